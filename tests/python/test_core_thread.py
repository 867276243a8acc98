"""Sockets with driver="thread": a thread in C keeps them going while Python is
busy, and all else is as with the others."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest
from core_peers import BINARY, CLOSE, PING, PONG, TEXT, Peer, close_body, echo, frame
from core_run import FAILED, collect, record, run, run_until
from shells import async_test

import libws

HERE = Path(__file__).parent
# C functions that keep the GIL while they wait.
HOLDING = ctypes.PyDLL(None)


def opened(url, **options):
    ws = libws.WebSocket(url, driver="thread", **options)
    ws.onopen = lambda e: libws.stop()
    run()
    ws.onopen = None
    return ws


def peer_process(script):
    """A Peer in a process of its own, which runs while this one holds its GIL."""
    lines = textwrap.dedent(script)
    program = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom core_peers import *\n{lines}"
    program += "\nwith Peer(script) as peer:\n    print(peer.url, flush=True)\n"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    return process, process.stdout.readline().decode().strip()


# -- While Python is busy -------------------------------------------------------


def test_pings_are_answered_while_the_gil_is_held():
    process, url = peer_process(
        """
        def script(wire):
            wire.open()
            for i in range(3):
                wire.send(PING, b"%d" % i)
                wire.expect(PONG, b"%d" % i)
            wire.send(TEXT, b"after the pings")
            print("x", flush=True)
            wire.echo_close()
        """
    )
    with process:
        ws = opened(url)
        log = record(ws)
        # Nothing of Python runs until the peer has its pongs.
        byte = ctypes.create_string_buffer(1)
        assert HOLDING.read(process.stdout.fileno(), byte, 1) == 1
        ws.addEventListener("message", lambda e: ws.close(1000))
        run()
        assert log == [("message", "after the pings"), ("close", 1000, "", True)]


def test_pings_are_answered_while_a_handler_runs():
    answered = threading.Event()

    def script(wire):
        wire.open().send(TEXT, b"busy")
        wire.send(PING, b"p")
        wire.expect(PONG, b"p")
        answered.set()
        wire.echo_close()

    def on_message(event):
        assert answered.wait(60)
        event.target.close(1000)

    with Peer(script) as peer:
        ws = opened(peer.url)
        ws.onmessage = on_message
        log = record(ws)
        run()
    assert log == [("message", "busy"), ("close", 1000, "", True)]


def test_what_comes_while_python_is_away_is_bounded_and_not_lost():
    size, count = 1 << 20, 40
    sent = []

    def script(wire):
        wire.open()
        for i in range(count):
            wire.send(BINARY, bytes([i]) * size)
            sent.append(i)
        wire.echo_close()

    with Peer(script) as peer:
        ws = opened(peer.url)
        while len(sent) < 16:
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)
        assert len(sent) < count  # It has to wait for us.
        got = []
        ws.onmessage = lambda e: got.append(e.data[:1]) or len(got) < count or ws.close()
        run()
    assert got == [bytes([i]) for i in range(count)]


# -- As any other socket --------------------------------------------------------


def test_events_and_states():
    states = []
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url, "echo", driver="thread")
        assert ws.readyState == 0
        with pytest.raises(libws.InvalidStateError):
            ws.send("early")
        log = record(ws)
        for name in ("open", "message", "close"):
            ws.addEventListener(name, lambda e: states.append(ws.readyState))

        def on_open(event):
            ws.send("text")
            ws.send(b"\0\1")

        def on_message(event):
            if event.data == b"\0\1":
                ws.close(3000, "end")
                states.append(ws.readyState)

        ws.onopen, ws.onmessage = on_open, on_message
        run()
        assert log == [
            ("open",),
            ("message", "text"),
            ("message", b"\0\1"),
            ("close", 3000, "end", True),
        ]
        assert states == [1, 1, 1, 2, 3]
        assert (ws.url, ws.protocol, ws.response.status) == (peer.url, "echo", 101)
        assert ws.response.headers["upgrade"] == "websocket"
        assert ws.bufferedAmount == 0
        assert ws.stats()["messages_sent"] == 2
        assert ws.tlsInfo() is None
        ws.send("too late")
        assert ws.bufferedAmount == 8
        ws.close()
        ws.terminate()


def test_a_handshake_that_fails_tells_why():
    answer = b"HTTP/1.1 401 Who are you\r\nX-A: b\r\nContent-Length: 4\r\n\r\nno!!"

    def script(wire):
        wire.read_head()
        wire.write(answer)
        wire.end()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver="thread")
        errors = []
        ws.onerror = lambda e: errors.append((e.error, ws.readyState))
        log = record(ws)
        run()
    assert log == FAILED
    error, state = errors[0]
    assert state == 3
    assert isinstance(error, libws.InvalidStatus)
    assert (error.response.status, error.response.reason) == (401, "Who are you")
    assert (error.response.headers["x-a"], error.response.body) == ("b", b"no!!")


def test_pings_pongs_and_pieces():
    def script(wire):
        wire.open().expect(PING, b"abc")
        wire.send(PONG, b"abc")
        wire.send(PING, b"")
        wire.expect(PONG, b"")
        wire.send(TEXT, b"first ", fin=False)
        wire.send(0, b"last")
        wire.echo_close()

    log = []
    with Peer(script) as peer:
        ws = opened(peer.url)
        ws.onpong = lambda e: log.append((e.type, e.data, e.rtt >= 0))
        ws.onping = lambda e: log.append((e.type, e.data))
        ws.onmessage = lambda e: (log.append(e.data), ws.close())
        ws.ping(b"abc")
        run()
    assert log == [("pong", b"abc", True), ("ping", b""), "first last"]


def test_reconnecting():
    log = []

    def lost(wire):
        wire.open().send(TEXT, b"1")
        wire.reset()

    def kept(wire):
        wire.open().send(TEXT, b"2")
        wire.echo_close()

    with Peer(lost, kept) as peer:
        ws = libws.WebSocket(peer.url, driver="thread", reconnect=True, reconnect_min=0.01)
        ws.onopen = lambda e: log.append(("open", ws.readyState))
        ws.onmessage = lambda e: (log.append(e.data), e.data == "2" and ws.close())
        ws.onreconnect = lambda e: log.append((e.code, ws.readyState, str(e.error) != ""))
        ws.onclose = lambda e: log.append((e.code, e.wasClean))
        run()
    log = [entry for entry in log if entry != "1"]  # The reset may destroy it.
    assert log == [("open", 1), (1006, 0, True), ("open", 1), "2", (1005, True)]


def test_pausing():
    go = threading.Event()

    def script(wire):
        wire.open()
        go.wait(60)
        for i in range(3):
            wire.send(TEXT, b"%d" % i)
        wire.echo_close()

    with Peer(script) as peer:
        ws = opened(peer.url)
        ws.pause()
        got = []
        ws.onmessage = lambda e: got.append(e.data) or e.data != "2" or ws.close()
        go.set()
        ticks = []
        timer = ws._loop.timer(0.05, lambda: ticks.append(1))
        run_until(lambda: ticks)
        assert got == []
        del timer
        ws.resume()
        run()
    assert got == ["0", "1", "2"]


def test_calls_of_other_threads():
    with Peer(echo) as peer:
        ws = opened(peer.url)
        got = []
        ws.onmessage = lambda e: got.append(e.data) or len(got) < 300 or ws.close()

        def send(name):
            for i in range(100):
                ws.send(f"{name}{i}")
                ws.bufferedAmount, ws.readyState, ws.stats()

        threads = [threading.Thread(target=send, args=name) for name in "abc"]
        for thread in threads:
            thread.start()
        run()
        for thread in threads:
            thread.join()
    for name in "abc":
        assert [text for text in got if text[0] == name] == [f"{name}{i}" for i in range(100)]


@async_test
async def test_one_message_is_one_task():  # Row 278.
    log = []

    def script(wire):
        wire.open().write(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
        wire.echo_close()

    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def on_message(event):
        log.append(event.data)
        loop.call_soon(log.append, f"after {event.data}")
        if event.data == "3":
            event.target.close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver="thread")
        ws.onmessage = on_message
        ws.onclose = ended.set_result
        await ended
    assert log == ["1", "after 1", "2", "after 2", "3", "after 3"]


@async_test
async def test_connections_of_asyncio():
    with Peer(echo) as peer:
        async with libws.connect(peer.url, driver="thread") as connection:
            for i in range(50):
                await connection.send(f"{i}")
            assert [await connection.recv() for _ in range(50)] == [f"{i}" for i in range(50)]
            assert await connection.ping() >= 0


def test_wrong_drivers():
    with pytest.raises(TypeError, match="driver"):
        libws.WebSocket("ws://h/", driver=1)
    with pytest.raises(ValueError, match="driver"):
        libws.WebSocket("ws://h/", driver="threads")
    ws = libws.WebSocket("ws://127.0.0.1:1/", driver="loop")
    log = record(ws)
    run()
    assert log == FAILED


# -- Life -----------------------------------------------------------------------


def test_the_end_of_the_loop_ends_the_thread():
    bodies = []
    with Peer(lambda wire: bodies.append(wire.open().receive())) as peer:
        ws = opened(peer.url)
        ws.onmessage = lambda e: None
        assert ws._loop.alive
        ws._loop.close()
        assert ws.readyState == 3
        ws.send("x")
        ws.close()
    assert bodies == [(0x80 | CLOSE, close_body(1001))]


def test_a_socket_nobody_listens_to_is_closed_when_collected():  # Row 288.
    bodies = []
    with Peer(lambda wire: bodies.append(wire.open().echo_close())) as peer:
        dead = weakref.ref(opened(peer.url))
        collect()
        assert dead() is None
    assert bodies == [b""]


def test_a_socket_is_kept_until_its_data_is_out():  # Row 290.
    size = 1 << 20
    got = []

    def script(wire):
        wire.open()
        got.append(wire.receive())
        got.append(wire.receive())

    with Peer(script) as peer:
        ws = opened(peer.url)
        ws.send(bytes(size))
        dead = weakref.ref(ws)
        del ws
        collect()
        assert dead() is None  # The connection lives without it.
    assert got == [(0x80 | BINARY, bytes(size)), (0x80 | CLOSE, b"")]


def test_events_of_what_was_collected_are_dropped():
    def script(wire):
        wire.open()
        for _ in range(100):
            wire.send(TEXT, b"x" * 1000)
        wire.receive()

    with Peer(script) as peer:
        opened(peer.url)
        collect()
        timer = libws.get_loop().timer(0.05, libws.stop)
        run()
        del timer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_leaves_the_thread_to_its_parent():
    with Peer(echo) as peer:
        ws = opened(peer.url)
        ws.onclose = lambda e: None
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(60)
                with pytest.raises(RuntimeError, match="parent"):
                    ws.send("x")
                assert ws.readyState == 1
                libws.get_loop().close()
                del ws
                collect()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        got = []
        ws.onmessage = lambda e: (got.append(e.data), ws.close())
        ws.send("still here")
        run()
        assert got == ["still here"]


PROGRAMS = {
    "exit with an open socket": """
        ws = opened()
        ws.onmessage = print
    """,
    "exit with events that nobody took": """
        ws = opened()
        ws.onmessage = print
        for _ in range(100):
            ws.send("x" * 1000)
        while ws.stats()["messages_received"] < 100:
            pass
    """,
    "exit while connecting": """
        ws = opened()
        other = libws.WebSocket("ws://192.0.2.1/", driver="thread")
    """,
    "exceptions of handlers": """
        ws = opened()
        sys.unraisablehook = lambda info: print(type(info.exc_value).__name__)
        def fail(event):
            raise ValueError
        ws.onmessage = fail
        ws.onclose = lambda e: print(e.code)
        ws.send("x")
        ws.addEventListener("message", lambda e: ws.close(3333))
        libws.run()
    """,
}
PRINTED = {"exceptions of handlers": "ValueError\n3333\n"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_a_process_of_its_own(name):
    program = """
import sys
import libws
sys.path.insert(0, sys.argv[2])
url = sys.argv[1]
def opened():
    ws = libws.WebSocket(url, driver="thread")
    ws.onopen = lambda e: libws.stop()
    libws.run()
    ws.onopen = None
    return ws
""" + textwrap.dedent(PROGRAMS[name])

    def script(wire):
        try:
            echo(wire)
        except (EOFError, ConnectionError):
            assert "exit" in name

    with Peer(script) as peer:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", program, peer.url, str(HERE)],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "PYTHONMALLOC": "debug"},
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == PRINTED.get(name, "")
