"""One connection of the library with a raw peer, for the tests of test_rows_*.py.

A test is a coroutine function that gets a Link, whose `ws` is the library's end and
whose `wire` speaks bytes. It runs as client and as server (or as the one its
decorator names), driven by the library's own loop, by asyncio and by uvloop; all it
waits for it awaits through the link.

Beside what a test asserts, each one checks that the events came in an order that
the contract allows, saw the readyState that belongs to them, and that nothing was
reported to the loop.
"""

import asyncio
import contextlib
import functools
import inspect
import os
import socket
import struct
import sys
import time

import pytest
import uvloop
from core_peers import CLOSE, Wire, close_body, connected, frame, listening
from core_run import FAILED

import libws

SECONDS = 60  # More than anything here takes, on a machine with much else to do.
TURN = 0.0005

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"


class Turn:
    """Awaited, gives the library's own loop a turn."""

    def __await__(self):
        yield


class Own:
    """Drives a coroutine by turns of libws.get_loop()."""

    def run(self, main, reported):
        coroutine = main()
        with unraisable_into(reported), contextlib.suppress(StopIteration):
            while True:
                coroutine.send(None)
                loop = libws.get_loop()  # Another one, if the test has closed it.
                loop.wait(TURN)
                loop.dispatch()

    async def turn(self):
        await Turn()


class Host:
    """Drives a coroutine by asyncio's loop, or one like it."""

    def __init__(self, runner):
        self.runner = runner

    def run(self, main, reported):
        async def watched():
            asyncio.get_running_loop().set_exception_handler(
                lambda loop, context: reported.append(context.get("exception", context))
            )
            await main()

        self.runner(watched())

    async def turn(self):
        await asyncio.sleep(TURN)


DRIVERS = {"own": Own(), "asyncio": Host(asyncio.run), "uvloop": Host(uvloop.run)}


@contextlib.contextmanager
def unraisable_into(reported):
    before = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: reported.append(unraisable.exc_value)
    try:
        yield
    finally:
        sys.unraisablehook = before


class RawEnd:
    """The peer's end of a TCP connection: writes and reads bytes without waiting.

    What has come is in `rest` until it is taken; `has_ended` tells of its end.
    """

    # How frames and heads look is the same as for a peer in a thread.
    header = Wire.header
    response = Wire.response
    request_bytes = Wire.request_bytes
    status = Wire.status

    def __init__(self, link, sock, masks):
        self.link = link
        self.sock = sock
        self.masks = masks
        self.head = b""
        self.rest = b""
        self.unsent = b""
        self.is_reading = True
        self.has_ended = False
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pump(self):
        """Moves what can be moved now."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        try:
            while self.is_reading and not self.has_ended:
                data = self.sock.recv(1 << 20)
                self.rest += data
                self.has_ended = not data
        except BlockingIOError:
            pass
        except ConnectionError:
            self.has_ended = True

    # -- Writing

    def write(self, data):
        self.unsent += data
        self.pump()

    def send(self, opcode, payload=b"", fin=True, rsv=0):
        self.write(self.frame(opcode, payload, fin, rsv))

    def frame(self, opcode, payload=b"", fin=True, rsv=0):
        return frame(opcode, payload, fin, os.urandom(4) if self.masks else None, rsv)

    def shut_down(self):
        assert not self.unsent
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.is_reading = False
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.unsent = b""
        self.has_ended = True

    # -- Reading

    async def read(self, count):
        await self.link.until(lambda: len(self.rest) >= count or self.has_ended)
        assert len(self.rest) >= count, f"the library ended the connection after {self.rest!r}"
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    async def read_head(self):
        await self.link.until(lambda: b"\r\n\r\n" in self.rest or self.has_ended)
        self.head, end, self.rest = self.rest.partition(b"\r\n\r\n")
        assert end, f"no head, but {self.head!r}"
        return self.head

    async def receive(self):
        """The next frame as (first byte, payload)."""
        first, second = await self.read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.read(8))
        # Row 302 of a client, row 303 of a server.
        assert bool(second & 0x80) == (not self.masks)
        key = await self.read(4) if second & 0x80 else b"\0\0\0\0"
        return first, unmask(await self.read(length), key)

    async def expect(self, opcode, payload=b""):
        assert await self.receive() == (0x80 | opcode, payload)

    async def echo_close(self):
        """Answers the Close frame that comes next with the same; returns it."""
        first, payload = await self.receive()
        assert first == 0x80 | CLOSE, first
        self.send(CLOSE, payload)
        return payload

    async def ended(self):
        """Waits for the end, and returns what came before it."""
        await self.link.until(lambda: self.has_ended)
        data, self.rest = self.rest, b""
        return data


def unmask(payload, key):
    repeated = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return number.to_bytes(len(payload), "big")


class Link:
    """`ws` of the library and `wire` of the peer, once open() has joined them."""

    def __init__(self, side, driver):
        self.is_client = side == "client"
        self.driver = driver
        self.reported = []
        self.ws = None
        self.server = None
        self.wires = []
        self.logs = {}
        self.stack = contextlib.ExitStack()

    # -- Waiting

    async def until(self, condition):
        late = time.monotonic() + SECONDS
        while True:
            for wire in self.wires:
                wire.pump()
            if condition():
                return
            assert time.monotonic() < late, f"did not happen; events: {self.log}"
            await self.driver.turn()

    async def turns(self, count=5):
        """Lets the loop turn, so that what can happen at once has happened."""
        for _ in range(count):
            for wire in self.wires:
                wire.pump()
            await self.driver.turn()

    # -- Making connections

    def listener(self):
        listener = self.stack.enter_context(listening())
        listener.setblocking(False)
        return listener

    async def accept(self, listener):
        """The raw end of a connection that the library made."""
        accepted = []

        def is_there():
            with contextlib.suppress(BlockingIOError):
                accepted.append(listener.accept()[0])
            return accepted

        await self.until(is_there)
        return self.raw_end(accepted[0], masks=False)

    def raw_end(self, sock, masks):
        wire = RawEnd(self, self.stack.enter_context(sock), masks)
        self.wires.append(wire)
        return wire

    def connect(self, listener=None, *, path="/", protocols=None, **options):
        """A client of the library for a raw server."""
        listener = listener or self.listener()
        ws = libws.WebSocket(url_of(listener, path), protocols, **options)
        self.record(ws)
        return ws, listener

    def serve(self, **options):
        """A server of the library; its sockets are recorded."""
        given = options.pop("onconnection", None)

        def onconnection(ws, request):
            self.record(ws)
            self.ws = self.ws or ws
            if given is not None:
                given(ws, request)

        self.server = libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection, **options)
        return self.server

    def dial(self):
        """A raw connection to serve()."""
        return self.raw_end(connected(self.server.port), masks=True)

    async def open(self, *lines, behind=b"", before=None, **options):
        """Makes `ws` and `wire`, an open connection. `lines` stand in the head
        that the peer writes, `behind` are frames in the same packet. `before(ws)`
        is called with the new socket."""
        if self.is_client:
            self.ws, listener = self.connect(**options)
            if before is not None:
                before(self.ws)
            self.wire = await self.accept(listener)
            await self.wire.read_head()
            self.wire.write(self.wire.response(*lines) + behind)
        else:
            self.serve(onconnection=before and (lambda ws, request: before(ws)), **options)
            self.wire = self.dial()
            self.wire.write(self.wire.request_bytes(*lines) + behind)
            await self.wire.read_head()
            assert self.wire.status == 101
        await self.until(lambda: self.log and self.ws.readyState != 0)
        assert self.log[0] == ("open",), self.log

    async def open_compressed(self, parameters=b"", **options):
        """The same, with permessage-deflate agreed on."""
        if not self.is_client:
            options.setdefault("compression", True)
        await self.open(DEFLATE + parameters, **options)
        assert self.ws.extensions.startswith("permessage-deflate")

    # -- Events

    def record(self, ws):
        log = self.logs[ws] = []

        def note(state, *event):
            assert ws.readyState == state, event
            log.append(event)

        ws.addEventListener("open", lambda e: note(1, "open"))
        ws.addEventListener("message", lambda e: note(1, "message", e.data))
        ws.addEventListener("error", lambda e: note(3, "error"))
        ws.addEventListener("close", lambda e: note(3, "close", e.code, e.reason, e.wasClean))

    @property
    def log(self):
        """The events of `ws`."""
        return self.logs.get(self.ws, [])

    @property
    def messages(self):
        return [event[1] for event in self.log if event[0] == "message"]

    async def closed(self, code, reason="", is_clean=True):
        """Waits for the close event, which has to be this one."""
        await self.until(lambda: self.log and self.log[-1][0] == "close")
        assert self.log[-1] == ("close", code, reason, is_clean)

    async def failed(self, *before, wire_code=None):
        """Waits for the end of a connection that fails after the events `before`,
        the peer being told `wire_code`."""
        if wire_code is not None:
            first, payload = await self.wire.receive()
            assert (first, payload[:2]) == (0x80 | CLOSE, close_body(wire_code))
        await self.until(lambda: self.log and self.log[-1][0] == "close")
        assert self.log == [("open",), *before, *FAILED]

    async def close(self, code=None, reason=""):
        """A clean close, begun by the library."""
        self.ws.close(code, reason)
        assert await self.wire.echo_close() == close_body(code, reason)
        self.wire.shut_down()
        await self.closed(1005 if code is None else code, reason)

    async def is_usable(self):
        """Checks that messages go both ways."""
        count = len(self.messages)
        self.ws.send("usable?")
        await self.wire.expect(1, b"usable?")
        self.wire.send(1, b"usable!")
        await self.until(lambda: len(self.messages) > count)
        assert self.messages[count:] == ["usable!"]

    # -- The end

    async def finish(self):
        """Ends what is left and checks what every connection has to keep."""
        for ws in self.logs:
            ws.terminate()
        if self.server is not None:
            self.server.close(timeout=0)
            await self.until(lambda: self.server.closed)
        await self.until(lambda: all(is_over(ws, log) for ws, log in self.logs.items()))
        await self.turns()
        for log in self.logs.values():
            check_order([event[0] for event in log])
        assert not self.reported, [repr(error) for error in self.reported]


def url_of(listener, path="/"):
    return f"ws://127.0.0.1:{listener.getsockname()[1]}{path}"


def is_over(ws, log):
    return ws.readyState == 3 and log and log[-1][0] == "close"


def check_order(names):
    """Rows 136, 137 and 282, of any connection."""
    names = list(names)
    assert names.pop() == "close", names
    if names and names[-1] == "error":
        names.pop()
    if names:
        assert names.pop(0) == "open", names
    assert set(names) <= {"message"}, names


def rows_of(sides, test):
    """Makes a test for pytest of a coroutine function."""

    @functools.wraps(test)
    def run(side, driver_name, **arguments):
        driver = DRIVERS[driver_name]
        link = Link(side, driver)

        async def main():
            with link.stack:
                await test(link, **arguments)
                await link.finish()

        driver.run(main, link.reported)

    parameters = inspect.signature(test).parameters
    names = ["side", "driver_name", *(name for name in parameters if name != "link")]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    run.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    run = pytest.mark.parametrize("driver_name", DRIVERS)(run)
    return pytest.mark.parametrize("side", sides)(run)


both = functools.partial(rows_of, ["client", "server"])
client = functools.partial(rows_of, ["client"])
server = functools.partial(rows_of, ["server"])
