"""libws.sync as a client, with peers that write and read bytes."""

import os
import signal
import threading
import time

import libws
import pytest
from libws.sync import State, connect

from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Peer, close_body, echo
from shells import LIMIT

FIN = 0x80
MIB = 1024 * 1024


def sends(*frames, code=1000):
    def script(wire):
        wire.open()
        for arguments in frames:
            wire.send(*arguments)
        wire.send(CLOSE, close_body(code) if code else b"")
        wire.expect(CLOSE, close_body(code) if code else b"")

    return script


def test_connection_is_a_context():
    with Peer(echo) as peer:
        with connect(peer.url, subprotocols=["echo"], compression=None) as ws:
            assert ws.state is State.OPEN
            assert ws.subprotocol == "echo"
            ws.send("text")
            ws.send(b"bytes")
            assert ws.recv(LIMIT) == "text"
            assert ws.recv(LIMIT, decode=True) == "bytes"
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (1000, "")
        with pytest.raises(libws.ConnectionClosedOK):
            ws.recv()
        with pytest.raises(libws.ConnectionClosedOK):
            ws.send("late")
        with pytest.raises(libws.ConnectionClosedOK):
            ws.ping()
        ws.close()


def test_failures():
    def refuses(wire):
        wire.read_head()
        wire.write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        wire.end()

    with Peer(refuses) as peer:
        with pytest.raises(libws.InvalidStatus) as caught:
            connect(peer.url)
        assert (caught.value.status, caught.value.response.body) == (403, b"no")
    with pytest.raises(OSError):
        connect(peer.url)
    with Peer(lambda wire: wire.read_to_end()) as silent:
        with pytest.raises(TimeoutError):
            connect(silent.url, open_timeout=0.05)
    with pytest.raises(ValueError):
        connect("ftp://h/")
    with pytest.raises(TypeError):
        connect("ws://h/", no_such_option=1)


def test_timeout_changes_nothing():
    may_send = threading.Event()

    def script(wire):
        wire.open()
        wire.expect(PING, b"?")
        assert may_send.wait(LIMIT)
        wire.send(TEXT, b"at last")
        wire.echo_close()

    with Peer(script) as peer, connect(peer.url) as ws:
        for timeout in (0, 0.01, -1):
            with pytest.raises(TimeoutError):
                ws.recv(timeout)
        with pytest.raises(TimeoutError):
            ws.recv_many(timeout=0)
        with pytest.raises(TimeoutError):
            ws.wait_closed(timeout=0)
        with pytest.raises(TimeoutError):
            ws.ping("?", timeout=0)
        may_send.set()
        assert ws.recv(LIMIT) == "at last"


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_iteration_ends_with_a_good_close(code):
    with Peer(sends((TEXT, b"a"), (BINARY, b"b"), code=code)) as peer:
        ws = connect(peer.url)
        assert list(ws) == ["a", b"b"]
        assert ws.close_code == (code or 1005)


def test_iteration_raises_for_another_close():
    with Peer(sends((TEXT, b"a"), code=1011)) as peer:
        ws = connect(peer.url)
        messages = iter(ws)
        assert next(messages) == "a"
        with pytest.raises(libws.ConnectionClosedError) as caught:
            next(messages)
        assert caught.value.code == 1011


def test_recv_many_takes_all_there_is():
    with Peer(sends(*[(TEXT, b"%d" % i) for i in range(40)])) as peer:
        ws = connect(peer.url)
        got = []
        with pytest.raises(libws.ConnectionClosedOK):
            while True:
                got += ws.recv_many(LIMIT)
        assert got == [str(i) for i in range(40)]


def test_streaming_yields_pieces():
    may_begin, may_go_on = threading.Event(), threading.Event()

    def script(wire):
        wire.open().send(TEXT, b"first")
        assert may_begin.wait(LIMIT)
        wire.send(BINARY, b"ab", fin=False)
        assert may_go_on.wait(LIMIT)
        wire.send(CONTINUATION, b"cd")
        wire.send(TEXT, b"not", fin=False)
        wire.send(CONTINUATION, b" read")
        wire.send(TEXT, b"whole")
        wire.echo_close()

    with Peer(script) as peer, connect(peer.url) as ws:
        assert list(ws.recv_streaming()) == ["first"]
        may_begin.set()
        got = []
        for piece in ws.recv_streaming():
            got.append(piece)
            may_go_on.set()
        assert got == [b"ab", b"cd"]
        stream = ws.recv_streaming()
        assert next(stream) == "not"
        stream.close()
        assert ws.recv(LIMIT) == "whole"


def test_stream_of_an_abandoned_message_does_not_go_on_with_another():
    may_begin = threading.Event()

    def script(wire):
        wire.open().send(TEXT, b"first")
        assert may_begin.wait(LIMIT)
        wire.send(TEXT, b"a", fin=False)
        wire.send(CONTINUATION, b"b")
        wire.send(TEXT, b"c")
        wire.echo_close()

    with Peer(script) as peer, connect(peer.url) as ws:
        assert list(ws.recv_streaming()) == ["first"]
        may_begin.set()
        stream = ws.recv_streaming()
        assert next(stream) == "a"
        assert ws.recv(LIMIT) == "c"
        with pytest.raises(RuntimeError, match="passed over"):
            next(stream)


def test_pieces_are_sent_as_one_message():
    def script(wire):
        wire.open()
        assert wire.receive() == (TEXT, b"a")
        assert wire.receive() == (CONTINUATION, b"b")
        assert wire.receive() == (FIN | CONTINUATION, b"")
        assert wire.receive() == (BINARY, b"1")
        wire.echo_close()

    with Peer(script) as peer:
        ws = connect(peer.url, compression=None)
        ws.send(["a", "b"])
        with pytest.raises(TypeError):
            ws.send([b"1", "2"])
        ws.wait_closed(LIMIT)
        assert ws.close_code == 1011
    for wrong in (None, 1, {"a": 1}):
        with Peer(echo) as peer, connect(peer.url) as ws:
            with pytest.raises(TypeError):
                ws.send(wrong)


def test_send_waits_for_the_reader():  # Row 320.
    may_read = threading.Event()

    def script(wire):
        wire.open()
        assert may_read.wait(LIMIT)
        assert len(wire.receive()[1]) == 12 * MIB
        wire.echo_close()

    with Peer(script) as peer, connect(peer.url) as ws:
        timer = threading.Timer(0.2, may_read.set)
        began = time.monotonic()
        timer.start()
        ws.send(bytes(12 * MIB))
        assert time.monotonic() - began > 0.1
        timer.join()


def test_pings_are_answered_by_whoever_waits():
    def script(wire):
        wire.open().send(PING, b"there?")
        wire.expect(PONG, b"there?")
        wire.send(TEXT, b"good")
        wire.expect(PING, b"you?")
        wire.send(PONG, b"you?")
        wire.echo_close()

    with Peer(script) as peer, connect(peer.url) as ws:
        assert ws.recv(LIMIT) == "good"
        assert 0 < ws.ping("you?", timeout=LIMIT) < LIMIT


def test_threads_send_while_one_receives():  # Row 177.
    count = 200

    with Peer(echo) as peer, connect(peer.url) as ws:
        got = []
        receiver = threading.Thread(
            target=lambda: [got.append(ws.recv(LIMIT)) for _ in range(4 * count)]
        )
        receiver.start()
        senders = [
            threading.Thread(target=lambda name=name: [ws.send(f"{name}{i}") for i in range(count)])
            for name in "abcd"
        ]
        for thread in senders:
            thread.start()
        for thread in (*senders, receiver):
            thread.join(LIMIT)
        for name in "abcd":
            assert [m for m in got if m[0] == name] == [f"{name}{i}" for i in range(count)]


def test_threads_share_what_comes():
    frames = [(TEXT, b"%d" % i) for i in range(400)]
    with Peer(sends(*frames)) as peer:
        ws = connect(peer.url)
        got = [[], [], []]
        threads = [threading.Thread(target=lambda mine=mine: mine.extend(ws)) for mine in got]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        for mine in got:
            assert mine == sorted(mine, key=int)
        assert sorted(int(message) for mine in got for message in mine) == list(range(400))


def test_close_ends_a_recv_in_another_thread():
    with Peer(echo) as peer:
        ws = connect(peer.url)
        errors = []

        def receive():
            try:
                ws.recv()
            except libws.ConnectionClosed as error:
                errors.append(error.code)

        threads = [threading.Thread(target=receive) for _ in range(2)]
        for thread in threads:
            thread.start()
        ws.ping(timeout=LIMIT)
        ws.close(4000)
        for thread in threads:
            thread.join(LIMIT)
        assert errors == [4000, 4000]


@pytest.mark.parametrize("call", ["recv", "wait_closed", "connect"])
def test_signal_ends_a_wait_at_once(call):
    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    silent = echo if call != "connect" else lambda wire: wire.read_to_end()
    try:
        with Peer(silent) as peer:
            if call == "connect":
                with pytest.raises(KeyboardInterrupt):
                    timer.start()
                    connect(peer.url)
            else:
                with connect(peer.url) as ws:
                    with pytest.raises(KeyboardInterrupt):
                        timer.start()
                        getattr(ws, call)()
                    ended = time.monotonic()
                    ws.send("still works")
                    assert ws.recv(LIMIT) == "still works"
                    assert time.monotonic() - ended < LIMIT
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_close_reads_past_what_is_queued():
    def script(wire):
        wire.open()
        for _ in range(100):
            wire.send(TEXT, b"unread")
        wire.echo_close()

    with Peer(script) as peer:
        with connect(peer.url, max_queue=4) as ws:
            assert ws.recv(LIMIT) == "unread"
        assert ws.close_code == 1000


def test_abort_sends_no_close():
    with Peer(lambda wire: wire.open().read_to_end()) as peer:
        ws = connect(peer.url)
        ws.abort()
        ws.wait_closed(LIMIT)
        assert ws.close_code == 1006
        with pytest.raises(libws.ConnectionClosedError):
            ws.send("x")


def test_connection_has_the_names_of_the_browser():
    with Peer(echo) as peer:
        ws = connect(peer.url, subprotocols=["echo"], compression=None)
        assert ws.readyState == ws.OPEN
        assert (ws.protocol, ws.bufferedAmount) == ("echo", 0)
        events = []
        ws.onclose = events.append
        with pytest.raises(TypeError, match=r"libws\.WebSocket"):
            ws.onmessage = events.append
        with pytest.raises(TypeError, match=r"libws\.WebSocket"):
            ws.addEventListener("message", events.append)
        ws.ping(timeout=LIMIT)
        ws.close()
        assert ws.readyState == ws.CLOSED
        assert [event.code for event in events] == [1000]


def test_error_says_why_the_connection_ended():
    def script(wire):
        wire.open()
        wire.send(TEXT, b"x" * 11)
        wire.expect(CLOSE, close_body(1009) + b"message exceeds the size limit")

    with Peer(script) as peer:
        ws = connect(peer.url, max_size=10)
        with pytest.raises(libws.ConnectionClosedError, match="^1006: message exceeds max_size$"):
            ws.recv(LIMIT)


def test_errors_call_options_as_their_user_does():
    with pytest.raises(ValueError, match="^max_size must be "):
        connect("ws://127.0.0.1:1", max_size=-1)
