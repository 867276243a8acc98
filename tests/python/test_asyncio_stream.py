"""Section R: WebSocketStream."""

import asyncio
import threading

import libws
import pytest
from libws import WebSocketStream

from core_peers import BINARY, CLOSE, TEXT, close_body, echo
from shells import async_test, peering, turns, until

MIB = 1024 * 1024


class Signal:
    """An AbortSignal."""

    def __init__(self, aborted=False):
        self.aborted = aborted
        self.listeners = []

    def addEventListener(self, kind, listener):
        assert kind == "abort"
        self.listeners.append(listener)

    def removeEventListener(self, kind, listener):
        assert kind == "abort"
        self.listeners.remove(listener)

    def abort(self):
        self.aborted = True
        for listener in list(self.listeners):
            listener("the event")


def refuses(wire):
    wire.read_head()
    wire.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    wire.end()


async def both_fail(stream, kind):
    for promise in (stream.opened, stream.closed):
        with pytest.raises(kind) as caught:
            await promise
    return caught.value


@async_test
async def test_constructor_checks_its_arguments():  # Row 314.
    for arguments, options in [
        ((), {}),
        (("ws://h/", True), {}),
        (("ws://h/",), {"protocols": "hi"}),
        (("ws://h/", {"protocols": "hi"}), {}),
        (("ws://h/",), {"no_such_option": 1}),
    ]:
        with pytest.raises(TypeError):
            WebSocketStream(*arguments, **options)
    with pytest.raises(libws.SyntaxError):
        WebSocketStream("invalid:")


@async_test
async def test_opened_has_everything():  # Rows 315, 332.
    async with peering(echo) as peer:
        stream = WebSocketStream(peer.url, {"protocols": ["other", "echo"]})
        assert stream.url == peer.url
        readable, writable, protocol, extensions = await stream.opened
        assert (protocol, extensions) == ("echo", "")
        await writable.write("text")
        await writable.write(b"bytes")
        assert await readable.read() == "text"
        assert await readable.read() == b"bytes"
        for wrong in (None, 1, object()):  # Row 333.
            with pytest.raises(TypeError):
                await writable.write(wrong)
        stream.close()
        assert [message async for message in readable] == []


@async_test
async def test_refusal_fails_both():  # Row 316.
    async with peering(refuses) as peer:
        stream = WebSocketStream(peer.url)
        error = await both_fail(stream, libws.WebSocketError)
    assert error.status == 404
    assert error.closeCode == 1006


@async_test
async def test_aborted_signal_makes_no_connection():  # Row 317.
    async with peering() as peer:
        await both_fail(WebSocketStream(peer.url, signal=Signal(True)), libws.AbortError)
        peer.listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.listener.accept()


@async_test
async def test_signal_ends_the_handshake_only():  # Row 318.
    has_come = threading.Event()

    def silent(wire):
        wire.read_head()
        has_come.set()
        wire.read_to_end()

    async with peering(silent, echo) as peer:
        signal = Signal()
        stream = WebSocketStream(peer.url, signal=signal)
        await until(has_come.is_set)
        signal.abort()
        await both_fail(stream, libws.AbortError)
        assert signal.listeners == []
        signal = Signal()
        stream = WebSocketStream(peer.url, signal=signal)
        readable, writable, *_ = await stream.opened
        assert signal.listeners == []
        signal.abort()
        await writable.write("x")
        assert await readable.read() == "x"
        await writable.close()


@async_test
async def test_idle_reader_stops_the_server():  # Row 319.
    def script(wire):
        wire.open()
        for _ in range(16):
            wire.send(BINARY, bytes(MIB))
        wire.send(CLOSE, close_body(1000))
        wire.expect(CLOSE, close_body(1000))

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        readable = (await stream.opened).readable
        before = -1
        while before != (before := stream._socket.stats()["bytes_received"]) or not before:
            await turns(100)
        assert before <= 4 * MIB
        assert [len(message) async for message in readable] == [MIB] * 16


@async_test
async def test_write_waits_for_the_server():  # Row 320.
    may_read = threading.Event()

    def script(wire):
        wire.open()
        assert may_read.wait(60)
        assert len(wire.receive()[1]) == 12 * MIB
        wire.echo_close()

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        writable = (await stream.opened).writable
        writing = asyncio.create_task(writable.write(bytes(12 * MIB)))
        await turns(500)
        assert not writing.done()
        may_read.set()
        await writing
        await writable.close()


@pytest.mark.parametrize(
    ("arguments", "body", "info"),
    [
        ((), b"", (1005, "")),  # Row 322.
        (({},), b"", (1005, "")),
        (({"reason": ""},), b"", (1005, "")),
        (({"reason": "bye"},), close_body(1000, "bye"), (1000, "bye")),  # Row 323.
        (({"closeCode": 3000},), close_body(3000), (3000, "")),
    ],
)
@async_test
async def test_close_says_why(arguments, body, info):
    def script(wire):
        assert wire.open().echo_close() == body

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        await stream.opened
        stream.close(*arguments)
        assert await stream.closed == info


@async_test
async def test_close_checks_its_arguments():  # Row 324.
    async with peering(echo) as peer:
        stream = WebSocketStream(peer.url)
        await stream.opened
        with pytest.raises(TypeError):
            stream.close(True)
        with pytest.raises(libws.SyntaxError):
            stream.close(reason="x" * 124)
        for code in (999, 1001, 2999, 5000):
            with pytest.raises(libws.InvalidAccessError):
                stream.close({"closeCode": code})
        stream.close(closeCode=1000)
        assert await stream.closed == (1000, "")


@async_test
async def test_close_within_the_handshake_fails_both():  # Row 325.
    async with peering() as peer:
        stream = WebSocketStream(peer.url)
        stream.close()
        await both_fail(stream, libws.WebSocketError)


@async_test
async def test_closing_the_writable_waits_for_the_handshake():  # Row 326.
    may_answer = threading.Event()

    def script(wire):
        wire.open()
        first, payload = wire.receive()
        assert (first, payload) == (0x80 | CLOSE, b"")
        assert may_answer.wait(60)
        wire.send(CLOSE)

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        writable = (await stream.opened).writable
        closing = asyncio.create_task(writable.close())
        await turns(100)
        assert not closing.done()
        may_answer.set()
        await closing
        assert await stream.closed == (1005, "")


@async_test
async def test_lost_connection_fails_everything_alike():  # Row 329.
    def script(wire):
        wire.open().send(TEXT, b"last")

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        readable, writable, *_ = await stream.opened
        errors = []
        assert await readable.read() == "last"
        for awaitable in (stream.closed, readable.read(), writable.write("x")):
            with pytest.raises(libws.WebSocketError) as caught:
                await awaitable
            errors.append(caught.value)
    assert errors[0] is errors[1] is errors[2]
    assert errors[0].closeCode == 1006


@async_test
async def test_connection_lost_while_writing():  # Row 330.
    may_go = threading.Event()

    def script(wire):
        wire.open()
        assert may_go.wait(60)
        wire.reset()

    async with peering(script) as peer:
        stream = WebSocketStream(peer.url)
        writable = (await stream.opened).writable
        writing = asyncio.create_task(writable.write(bytes(12 * MIB)))
        await turns()
        may_go.set()
        with pytest.raises(libws.InvalidStateError):
            await writing
        with pytest.raises(libws.WebSocketError):
            await stream.closed
