"""Calls in any order: open, send, close, terminate, pause, drop, collect, against a
raw peer that answers, sends, misbehaves and leaves in any order too.

Whatever comes, readyState only grows, events come in the order of the contract with
exactly one close at the end, bufferedAmount is never negative, and nothing raises
but what the calls say they raise. The cases are the same in each run; to look for
new ones: `tests/python/run.sh test_hypothesis_calls.py --hypothesis-profile=search`.
"""

import contextlib
import gc
import socket
import sys
import weakref

import hypothesis
import pytest
from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_body
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from row_link import RawEnd, check_order

import libws

hypothesis.settings.register_profile(
    "usual", max_examples=150, stateful_step_count=25, derandomize=True, deadline=None
)
hypothesis.settings.register_profile("search", max_examples=5000, deadline=None)
hypothesis.settings.load_profile("usual")

# Some seconds of work, which on a machine with much else to do are minutes.
pytestmark = pytest.mark.timeout(600)

TURNS_TO_END = 5000  # Of a millisecond each, for the last events.

DATA = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=200),
    st.sampled_from(["x" * 70_000, bytes(300_000), "lone \ud800"]),
)
CLOSES = st.sampled_from([(), (1000,), (3000, "why"), (None, "why"), (4999, "x" * 123)])
FRAMES = st.sampled_from(
    [
        (TEXT, b"text"),
        (BINARY, bytes(1000)),
        (TEXT, b"", False),
        (CONTINUATION, b"more", False),
        (CONTINUATION, b"end"),
        (PING, b"ping"),
        (PONG, b"pong"),
        (CLOSE, b""),
        (CLOSE, close_body(3001, "bye")),
        (CLOSE, b"x"),
        (TEXT, b"\xff"),
        (3, b""),
    ]
)
# What a handler does, beside noting its event.
ACTS = st.sampled_from(["nothing", "send", "close", "terminate", "pause", "ping", "drop", "collect"])
EVENTS = ("open", "message", "ping", "error", "close")


class Calls(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        gc.freeze()  # Collecting takes no time then for what was there before.
        self.loop = libws.Loop()
        self.stack = contextlib.ExitStack()
        self.reported = []
        self.hook = sys.unraisablehook
        sys.unraisablehook = lambda unraisable: self.reported.append(unraisable.exc_value)
        self.ws = self.server = self.wire = None
        self.weak = None
        self.names = []
        self.last_state = 0
        self.is_paused = self.is_answered = False

    # -- Beginnings

    @initialize(is_client=st.booleans(), acts=st.fixed_dictionaries(dict.fromkeys(EVENTS, ACTS)))
    def begin(self, is_client, acts):
        self.acts = acts
        if is_client:
            self.listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.listener.settimeout(10)
            port = self.listener.getsockname()[1]
            self.take(libws.WebSocket(f"ws://127.0.0.1:{port}/", loop=self.loop))
        else:
            self.server = libws.WebSocketServer(
                "127.0.0.1", 0, loop=self.loop, onconnection=lambda ws, _: self.take(ws)
            )
            self.connect(socket.create_connection(("127.0.0.1", self.server.port)), True)
            self.wire.write(self.wire.request_bytes())

    def take(self, ws):
        self.ws = ws
        self.weak = weakref.ref(ws)
        for name in EVENTS:
            ws.addEventListener(name, self.handle)

    def connect(self, sock, masks):
        self.stack.enter_context(sock)
        self.wire = RawEnd(None, sock, masks)

    def handle(self, event):
        if event.type != "ping":
            self.names.append(event.type)
        act = self.acts[event.type]
        if act == "send":
            self.send(event.target, "from a handler")
        elif act == "drop":
            self.ws = None
        elif act == "collect":
            gc.collect()
        elif act == "pause":
            self.pause(event.target)
        elif act == "ping":
            self.ping(event.target, b"from a handler")
        elif act != "nothing":
            getattr(event.target, act)()

    # -- The peer

    @rule()
    def turn(self):
        """Both ends do what they can."""
        if self.wire is not None:
            self.wire.pump()
        self.loop.wait(0)
        self.loop.dispatch()

    @precondition(lambda self: self.server is None and not self.is_answered)
    @rule()
    def answer(self):
        """A raw server reads the request and answers it, if anybody came."""
        self.loop.wait(0)
        self.loop.dispatch()
        if self.wire is None:
            self.listener.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                self.connect(self.listener.accept()[0], False)
        if self.wire is None:
            return
        self.wire.pump()
        if b"\r\n\r\n" in self.wire.rest:
            self.wire.head, _, self.wire.rest = self.wire.rest.partition(b"\r\n\r\n")
            self.wire.write(self.wire.response())
            self.is_answered = True

    @precondition(lambda self: self.wire is not None and not self.wire.has_ended)
    @rule(frames=st.lists(FRAMES, min_size=1, max_size=4))
    def peer_sends(self, frames):
        for one in frames:
            self.wire.send(*one)

    @precondition(lambda self: self.wire is not None and not self.wire.has_ended)
    @rule(is_reset=st.booleans())
    def peer_leaves(self, is_reset):
        if is_reset:
            self.wire.reset()
        else:
            with contextlib.suppress(OSError):
                self.wire.sock.shutdown(socket.SHUT_WR)

    # -- The calls

    def has_socket(self):
        return self.ws is not None

    def send(self, ws, data, **options):
        before = ws.bufferedAmount
        try:
            assert ws.send(data, **options) is None
        except (libws.InvalidStateError, ValueError):
            # Before it is open, or while a message of the other type is unfinished.
            assert ws.readyState <= 1
            assert ws.bufferedAmount == before

    @precondition(has_socket)
    @rule(data=DATA, fin=st.booleans(), compress=st.booleans())
    def send_now(self, data, fin, compress):
        self.send(self.ws, data, fin=fin, compress=compress)

    @precondition(has_socket)
    @rule(args=CLOSES)
    def close(self, args):
        assert self.ws.close(*args) is None
        assert self.ws.readyState >= 2

    @precondition(has_socket)
    @rule(args=st.sampled_from([(1005,), (0,), (1000, "x" * 124)]))
    def close_wrongly(self, args):
        state = self.ws.readyState
        with contextlib.suppress(libws.InvalidAccessError, libws.SyntaxError):
            self.ws.close(*args)
            raise AssertionError("taken")
        assert self.ws.readyState == state

    @precondition(has_socket)
    @rule()
    def terminate(self):
        self.ws.terminate()
        assert self.ws.readyState >= 2

    def pause(self, ws):
        self.is_paused = True
        ws.pause()

    @precondition(has_socket)
    @rule(is_pause=st.booleans())
    def pause_or_resume(self, is_pause):
        if is_pause:
            self.pause(self.ws)
        else:
            self.is_paused = False
            self.ws.resume()

    def ping(self, ws, payload):
        try:
            ws.ping(payload)
        except libws.InvalidStateError:
            assert ws.readyState != 1

    @precondition(has_socket)
    @rule(payload=st.binary(max_size=125))
    def ping_now(self, payload):
        self.ping(self.ws, payload)

    @precondition(has_socket)
    @rule()
    def look(self):
        assert self.ws.stats()["bytes_held"] >= 0
        assert isinstance(self.ws.url, str)
        assert (self.ws.protocol, self.ws.extensions) == ("", "")

    @precondition(has_socket)
    @rule()
    def drop(self):
        self.ws = None

    @rule()
    def collect(self):
        gc.collect()

    # -- What always holds

    @invariant()
    def state_only_grows(self):
        if self.ws is None:
            return
        state = self.ws.readyState
        assert self.last_state <= state <= 3
        assert self.ws.bufferedAmount >= 0
        self.last_state = state
        assert "close" not in self.names or state == 3

    @invariant()
    def events_are_in_order(self):
        if "close" in self.names:
            check_order(self.names)
        assert not self.reported, [repr(error) for error in self.reported]

    def teardown(self):
        try:
            self.end()
        finally:
            self.loop.close()
            self.stack.close()
            sys.unraisablehook = self.hook
        self.ws = self.server = None
        gc.collect()
        gc.unfreeze()
        assert self.weak is None or self.weak() is None, "a socket outlives its loop"
        assert not self.reported, [repr(error) for error in self.reported]

    def end(self):
        """Brings the connection, if there is one, to its last event."""
        if self.weak is None:
            return
        ws = self.weak()
        if ws is not None:
            ws.resume()
            ws.terminate()
            for _ in range(TURNS_TO_END):
                if "close" in self.names:
                    break
                self.loop.wait(0.001)
                self.loop.dispatch()
            assert ws.readyState == 3
        check_order(self.names)
        count = len(self.names)
        for _ in range(3):
            self.turn()
        assert len(self.names) == count


TestCalls = Calls.TestCase
