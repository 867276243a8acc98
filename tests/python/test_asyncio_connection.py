"""libws.asyncio as a client, with peers that write and read bytes."""

import array
import asyncio
import itertools
import threading

import libws
import pytest
from libws.asyncio import State, connect, serve

from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_body, echo
from shells import async_test, peering, turns, until

FIN = 0x80
MIB = 1024 * 1024


def refuses(status, *lines, body=b""):
    def script(wire):
        wire.read_head()
        head = b"\r\n".join([b"HTTP/1.1 %d No" % status, *lines, b"Content-Length: %d" % len(body)])
        wire.write(head + b"\r\n\r\n" + body)
        wire.end()

    return script


def sends(*frames, code=1000):
    """Opens, sends, closes, and ends as the server does."""

    def script(wire):
        wire.open()
        for arguments in frames:
            wire.send(*arguments)
        wire.send(CLOSE, close_body(code) if code else b"")
        wire.expect(CLOSE, close_body(code) if code else b"")

    return script


# -- Opening -------------------------------------------------------------------


@async_test
async def test_connect_is_awaited_entered_or_iterated():
    async with peering(echo, echo, echo) as peer:
        ws = await connect(peer.url)
        assert ws.state is State.OPEN
        await ws.close()
        async with connect(peer.url) as ws:
            await ws.send("a")
            assert await ws.recv() == "a"
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (1000, "")
        async for ws in connect(peer.url):
            await ws.close()
            break


@async_test
async def test_request_has_headers_and_subprotocols():  # Rows 44, 64, 66, 67.
    def script(wire):
        wire.read_head()
        assert wire.header(b"Sec-WebSocket-Protocol") == [b"a, b"]
        assert wire.header(b"Origin") == [b"https://o.example"]
        assert wire.header(b"X-A") == [b"1", b"2"]
        assert wire.header(b"User-Agent") == [b"me"]
        assert wire.header(b"Sec-WebSocket-Extensions") == []
        wire.respond(b"Sec-WebSocket-Protocol: b", b"X-B: 3")
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(
            peer.url,
            subprotocols=["a", "b"],
            origin="https://o.example",
            additional_headers=[("X-A", "1"), ("X-A", "2")],
            user_agent_header="me",
            compression=None,
        ) as ws:
            assert ws.subprotocol == "b"
            assert ws.response.headers["x-b"] == "3"
            assert ws.url == peer.url
            assert ws.remote_address == ("127.0.0.1", peer.port)
            assert ws.request is None


@async_test
async def test_refusal_has_the_response():  # Row 74.
    async with peering(refuses(403, b"X-Why: no", body=b"sorry")) as peer:
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(peer.url)
    assert caught.value.status == 403
    assert caught.value.response.body == b"sorry"
    assert caught.value.response.headers["X-Why"] == "no"


@async_test
async def test_failures_are_builtin_errors_too():  # Row 97.
    async with peering() as peer:
        pass
    with pytest.raises(OSError) as refused:
        await connect(peer.url)
    assert isinstance(refused.value, libws.NetworkError)
    async with peering(lambda wire: wire.read_to_end()) as silent:
        with pytest.raises(TimeoutError) as late:
            await connect(silent.url, open_timeout=0.05)
    assert isinstance(late.value, libws.ConnectionTimeout)
    async with peering(lambda wire: wire.write(b"FOO BAR BAZ\r\n\r\n")) as odd:  # Row 73.
        with pytest.raises(libws.HandshakeError):
            await connect(odd.url)
    with pytest.raises(ValueError):  # Row 14.
        await connect("ftp://h/")
    with pytest.raises(TypeError):
        connect("ws://h/", tls=True, ssl=True)


@async_test
async def test_cancelled_connect_ends_the_connection():
    has_come = threading.Event()

    def script(wire):
        wire.read_head()
        has_come.set()
        assert wire.read_to_end() == b""

    async with peering(script) as peer:
        connecting = asyncio.ensure_future(connect(peer.url))
        await until(has_come.is_set)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await turns()


# -- Receiving -----------------------------------------------------------------


@async_test
async def test_recv_gives_str_or_bytes_in_order():  # Rows 139, 144, 148.
    async with peering(
        sends((TEXT, "é".encode()), (BINARY, b"b"), (TEXT, b""), (BINARY, b""))
    ) as peer:
        ws = await connect(peer.url)
        assert [await ws.recv() for _ in range(4)] == ["é", b"b", "", b""]
        with pytest.raises(libws.ConnectionClosedOK) as caught:
            await ws.recv()
        assert (caught.value.code, caught.value.reason) == (1000, "")
        assert caught.value.wasClean


@async_test
async def test_recv_decodes_as_told():
    async with peering(sends((TEXT, b"a"), (BINARY, b"b"), (TEXT, b"c"))) as peer:
        ws = await connect(peer.url)
        assert await ws.recv(decode=False) == b"a"
        assert await ws.recv(decode=True) == "b"
        assert await ws.recv(decode=True) == "c"


@async_test
async def test_cancelled_recv_loses_nothing():
    count = 300
    frames = [(TEXT, b"%d" % i) for i in range(count)]
    async with peering(sends(*frames)) as peer:
        ws = await connect(peer.url)
        got = []
        for attempt in itertools.count():
            if len(got) == count:
                break
            receiving = asyncio.create_task(ws.recv())
            await turns(attempt % 4)
            receiving.cancel()
            try:
                got.append(await receiving)
            except asyncio.CancelledError:
                await turns(1)
        assert got == [str(i) for i in range(count)]
        await ws.wait_closed()


@async_test
async def test_one_task_receives_at_a_time():
    async with peering(echo) as peer:
        async with connect(peer.url) as ws:
            first = asyncio.create_task(ws.recv())
            await turns()
            with pytest.raises(RuntimeError):
                await ws.recv()
            ws.send("x")
            assert await first == "x"


@pytest.mark.parametrize("code", [1000, 1001, None])
@async_test
async def test_iteration_ends_with_a_good_close(code):
    async with peering(sends((TEXT, b"a"), (TEXT, b"b"), code=code)) as peer:
        ws = await connect(peer.url)
        assert [message async for message in ws] == ["a", "b"]
        assert ws.close_code == (code or 1005)


@async_test
async def test_iteration_raises_for_another_close():
    async with peering(sends((TEXT, b"a"), code=1011)) as peer:
        ws = await connect(peer.url)
        got = []
        with pytest.raises(libws.ConnectionClosedError) as caught:
            async for message in ws:
                got.append(message)
        assert got == ["a"]
        assert caught.value.code == 1011


@async_test
async def test_fault_of_the_peer_is_the_cause():  # Row 237.
    def script(wire):
        wire.open()
        wire.send(3)
        wire.expect(CLOSE, close_body(1002, "reserved opcode"))
        wire.end()

    async with peering(script) as peer:
        ws = await connect(peer.url)
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
    assert caught.value.code == 1006
    assert isinstance(caught.value.__cause__, libws.ProtocolError)
    assert caught.value.__cause__.code == "WS_ERR_INVALID_OPCODE"


@async_test
async def test_recv_many_takes_all_there_is():
    async with peering(sends(*[(TEXT, b"%d" % i) for i in range(40)])) as peer:
        ws = await connect(peer.url)
        got = []
        with pytest.raises(libws.ConnectionClosedOK):
            while True:
                messages = await ws.recv_many()
                assert messages
                got += messages
        assert got == [str(i) for i in range(40)]


@async_test
async def test_slow_reader_stops_the_sender():  # Row 319.
    def script(wire):
        wire.open()
        for _ in range(48):
            wire.send(BINARY, bytes(MIB))
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            await until(lambda: ws.stats()["messages_received"] > 0)
            before = -1
            while before != (before := ws.stats()["bytes_received"]):
                await turns(100)
            assert before <= 4 * MIB
            for _ in range(48):
                assert len(await ws.recv()) == MIB


@async_test
async def test_close_reads_past_what_is_queued():
    def script(wire):
        wire.open()
        for _ in range(100):
            wire.send(TEXT, b"unread")
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url, max_queue=4) as ws:
            await until(lambda: ws.stats()["messages_received"] >= 4)
        assert ws.close_code == 1000
        assert await ws.recv() == "unread"


# -- Pieces --------------------------------------------------------------------


def pieces_of(*messages):
    """Frames of messages that are lists of pieces."""
    for opcode, pieces in messages:
        for i, piece in enumerate(pieces):
            is_last = i + 1 == len(pieces)
            yield (CONTINUATION if i else opcode, piece, is_last)


class Gated:
    """Sends a message, and frames only when the gate was opened."""

    def __init__(self, *frames):
        self.frames = frames
        self.gate = threading.Event()

    def __call__(self, wire):
        wire.open().send(TEXT, b"first")
        assert self.gate.wait(60)
        for arguments in self.frames:
            wire.send(*arguments)
        wire.send(CLOSE, close_body(1000))
        wire.expect(CLOSE, close_body(1000))

    async def start(self, ws):
        """From now on messages come in pieces."""
        assert [piece async for piece in ws.recv_streaming()] == ["first"]
        self.gate.set()


@async_test
async def test_streaming_yields_pieces():
    may_begin, may_go_on = threading.Event(), threading.Event()

    def script(wire):
        wire.open().send(TEXT, b"first")
        assert may_begin.wait(60)
        wire.send(BINARY, b"ab", fin=False)
        assert may_go_on.wait(60)
        wire.send(CONTINUATION, b"cd")
        wire.send(TEXT, b"whole")
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            assert [piece async for piece in ws.recv_streaming()] == ["first"]
            may_begin.set()
            got = []
            async for piece in ws.recv_streaming():
                got.append(piece)
                may_go_on.set()
            assert got == [b"ab", b"cd"]
            assert await ws.recv() == "whole"


@async_test
async def test_streaming_does_not_cut_characters():
    euro = "€".encode()
    frames = pieces_of((TEXT, [b"a" + euro[:1], euro[1:2], euro[2:] + b"b"]), (TEXT, [b"", b"c"]))
    script = Gated(*frames)
    async with peering(script) as peer:
        ws = await connect(peer.url)
        await script.start(ws)
        assert [piece async for piece in ws.recv_streaming()] == ["a", "€b"]
        assert [piece async for piece in ws.recv_streaming(decode=False)] == [b"c"]
        await ws.wait_closed()


@async_test
async def test_rest_of_an_abandoned_message_is_passed_over():
    frames = pieces_of((TEXT, [b"a", b"b", b"c"]), (BINARY, [b"1", b"2"]), (TEXT, [b"end"]))
    script = Gated(*frames)
    async with peering(script) as peer:
        ws = await connect(peer.url)
        await script.start(ws)
        stream = ws.recv_streaming()
        assert await anext(stream) == "a"
        await stream.aclose()
        assert [message async for message in ws] == [b"12", "end"]


@async_test
async def test_rest_of_a_message_is_passed_over_at_once():
    """A generator that is left by `break` hears of it in a later turn of the loop."""
    frames = [*pieces_of((TEXT, [b"a", b"b", b"c"]), (BINARY, [b"1", b"2"]), (TEXT, [b"end"]))]
    script = Gated(*frames)
    async with peering(script) as peer:
        ws = await connect(peer.url)
        await script.start(ws)
        async for piece in ws.recv_streaming():
            assert piece == "a"
            await until(lambda: ws._socket._queued == len(frames) - 1)
            break
        assert await ws.recv() == b"12"
        await turns()
        assert [message async for message in ws] == ["end"]


@async_test
async def test_stream_of_an_abandoned_message_does_not_go_on_with_another():
    frames = pieces_of((TEXT, [b"a", b"b"]), (TEXT, [b"1", b"2"]), (TEXT, [b"x", b"y"]))
    script = Gated(*frames)
    async with peering(script) as peer:
        ws = await connect(peer.url)
        await script.start(ws)
        stream, other = ws.recv_streaming(), ws.recv_streaming()
        assert await anext(stream) == "a"
        assert await anext(other) == "1"
        with pytest.raises(RuntimeError, match="passed over"):
            await anext(stream)
        assert await anext(other) == "2"
        assert await ws.recv_many() == ["xy"]
        await ws.wait_closed()


@async_test
async def test_cancelled_recv_loses_no_piece():
    may_begin, may_go_on = threading.Event(), threading.Event()

    def script(wire):
        wire.open().send(TEXT, b"one")
        assert may_begin.wait(60)
        wire.send(TEXT, b"a", fin=False)
        assert may_go_on.wait(60)
        wire.send(CONTINUATION, b"b")
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            assert [piece async for piece in ws.recv_streaming()] == ["one"]
            may_begin.set()
            receiving = asyncio.create_task(ws.recv())
            await until(lambda: ws._pieces._taken)
            receiving.cancel()
            await turns()
            may_go_on.set()
            assert await ws.recv() == "ab"


# -- Sending -------------------------------------------------------------------


@async_test
async def test_send_acts_at_once():  # Row 176.
    def script(wire):
        wire.open()
        wire.expect(TEXT, b"a")
        wire.expect(BINARY, b"b")
        wire.expect(TEXT, b"c")
        wire.expect(BINARY, b"d")
        wire.expect(BINARY, b"\1\0\2\0")
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            ws.send("a")
            data = bytearray(b"b")
            ws.send(data)
            data[:] = b"x"  # Row 165.
            ws.send(b"c", text=True)
            ws.send("d", text=False)
            ws.send(array.array("H", [1, 2]))  # Row 164.
            for wrong in (None, 1, object(), {"a": 1}):  # Row 169.
                with pytest.raises(TypeError):
                    ws.send(wrong)


@async_test
async def test_awaited_send_waits_for_the_reader():  # Row 320.
    may_read = threading.Event()

    def script(wire):
        wire.open()
        assert may_read.wait(60)
        assert len(wire.receive()[1]) == 12 * MIB
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            sending = asyncio.create_task(ws.send(bytes(12 * MIB)))
            await turns(1000)
            assert not sending.done()
            assert ws.buffered_amount > MIB
            may_read.set()
            await sending
            assert ws.buffered_amount <= MIB


@async_test
async def test_iterables_are_sent_as_one_message():
    def script(wire):
        wire.open()
        assert wire.receive() == (TEXT, b"a")
        assert wire.receive() == (CONTINUATION, b"b")
        assert wire.receive() == (FIN | CONTINUATION, b"")
        assert wire.receive() == (BINARY, b"1")
        wire.expect(CONTINUATION, b"")
        wire.expect(TEXT, b"between")
        wire.echo_close()

    async def slowly(gate):
        yield b"1"
        await gate.wait()

    async with peering(script) as peer:
        async with connect(peer.url, compression=None) as ws:
            await ws.send(["a", "b"])
            await ws.send([])
            gate = asyncio.Event()
            sending = asyncio.create_task(ws.send(slowly(gate)))
            await turns()
            between = asyncio.create_task(ws.send("between"))
            await turns()
            assert not between.done()
            gate.set()
            await sending
            await between


@async_test
async def test_unfinished_message_closes_the_connection():
    def script(wire):
        wire.open()
        assert wire.receive() == (TEXT, b"a")
        assert wire.echo_close() == close_body(1011, "unfinished message")

    def broken():
        yield "a"
        raise ZeroDivisionError

    for pieces, error in ((broken(), ZeroDivisionError), (["a", b"b"], TypeError)):
        async with peering(script) as peer:
            ws = await connect(peer.url, compression=None)
            with pytest.raises(error):
                await ws.send(pieces)
            await ws.wait_closed()
            assert ws.close_code == 1011


@async_test
async def test_send_after_the_end_raises():
    async with peering(echo) as peer:
        ws = await connect(peer.url)
        closing = asyncio.create_task(ws.close())
        await turns(1)
        late = ws.send("late")  # The end is not known yet, but will be.
        with pytest.raises(libws.ConnectionClosedOK):
            await late
        await closing
        with pytest.raises(libws.ConnectionClosedOK):
            ws.send("too late")
        with pytest.raises(libws.ConnectionClosedOK):
            await ws.ping()
        await ws.close()


# -- Pings and the end ---------------------------------------------------------


@async_test
async def test_ping_returns_the_time_of_its_pong():  # Row 337.
    def script(wire):
        wire.open()
        first, one = wire.receive()
        assert (first, len(one)) == (FIN | PING, 4)
        wire.expect(PING, b"mine")
        wire.send(PONG, b"nobody's")
        wire.send(PONG, b"mine")  # RFC 6455 5.5.3: answers both.
        wire.echo_close()

    async with peering(script) as peer:
        async with connect(peer.url) as ws:
            pings = [asyncio.create_task(ws.ping()), asyncio.create_task(ws.ping("mine"))]
            await turns(1)
            with pytest.raises(ValueError):
                await ws.ping(b"mine")
            assert all(0 < rtt < 10 for rtt in await asyncio.gather(*pings))


@async_test
async def test_ping_fails_with_the_connection():
    def script(wire):
        wire.open()
        wire.receive()
        wire.send(CLOSE, close_body(1001))
        wire.expect(CLOSE, close_body(1001))

    async with peering(script) as peer:
        ws = await connect(peer.url)
        with pytest.raises(libws.ConnectionClosedOK):
            await ws.ping()


@async_test
async def test_close_sends_any_code():  # Row 379.
    def script(wire):
        wire.open()
        assert wire.echo_close() == close_body(1011, "because")

    async with peering(script) as peer:
        ws = await connect(peer.url)
        with pytest.raises(ValueError):
            await ws.close(1005)
        await ws.close(1011, "because")
        assert (ws.close_code, ws.close_reason) == (1011, "because")


@async_test
async def test_context_left_by_an_exception_closes_with_1011():
    def script(wire):
        wire.open()
        assert wire.echo_close() == close_body(1011)

    async with peering(script) as peer:
        with pytest.raises(ZeroDivisionError):
            async with connect(peer.url):
                raise ZeroDivisionError


@async_test
async def test_close_gives_up_on_a_silent_peer():  # Row 217.
    async with peering(lambda wire: wire.open().read_to_end()) as peer:
        ws = await connect(peer.url, close_timeout=0.05)
        await ws.close()
        assert ws.close_code == 1006


@async_test
async def test_abort_sends_no_close():  # Row 334.
    async with peering(lambda wire: wire.open().read_to_end()) as peer:
        ws = await connect(peer.url)
        ws.abort()
        await ws.wait_closed()
        assert ws.close_code == 1006


@async_test
async def test_silent_peer_is_given_up():  # Row 381.
    async with peering(lambda wire: wire.open().read_to_end()) as peer:
        ws = await connect(peer.url, ping_interval=0.05, ping_timeout=0.05)
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, TimeoutError)


# -- Again and again -----------------------------------------------------------


@async_test
async def test_iteration_connects_again(monkeypatch):  # Row 72.
    delays = []
    scripts = refuses(503), lambda wire: wire.reset(), echo, echo
    async with peering(*scripts) as peer:
        monkeypatch.setattr("random.uniform", lambda low, high: delays.append((low, high)) or 0)
        count = 0
        async for ws in connect(peer.url):
            ws.send("hello")
            assert await ws.recv() == "hello"
            count += 1
            if count == 2:
                await ws.close()
                break
            ws.send("Goodbye")
    # Full jitter, up to a bound that doubles.
    assert delays == [(0, 0.5), (0, 1.0), (0, 2.0)]


@async_test
async def test_iteration_stops_for_what_will_not_pass():
    async with peering(refuses(404)) as peer:
        with pytest.raises(libws.InvalidStatus):
            async for _ in connect(peer.url):
                pass
    async with peering(refuses(500)) as peer:
        with pytest.raises(KeyError) as caught:
            async for _ in connect(peer.url, process_exception=lambda error: KeyError()):
                pass
    assert isinstance(caught.value.__cause__, libws.InvalidStatus)


# -- The browser's names -------------------------------------------------------


@async_test
async def test_connection_has_the_names_of_the_browser():
    async with peering(echo) as peer:
        ws = await connect(peer.url, subprotocols=["echo"], compression=None)
        assert ws.readyState == ws.OPEN == libws.WebSocket.OPEN
        assert (ws.protocol, ws.bufferedAmount, ws.extensions) == ("echo", 0, "")
        assert (ws.onmessage, ws.onerror, ws.onclose) == (None, None, None)
        events = []
        ws.onclose = events.append
        ws.addEventListener("close", lambda event: events.append(event.type))
        await ws.ping()
        await ws.close(1000, "done")
        assert ws.readyState == ws.CLOSED
        assert (events[0].code, events[0].reason, events[1]) == (1000, "done", "close")


@async_test
async def test_listeners_get_messages_before_the_queue():
    async with peering(echo) as peer, connect(peer.url) as ws:
        heard, came = [], asyncio.Event()

        def on_message(event):
            heard.append(event.data)
            came.set()

        await ws.send("before")
        await until(lambda: ws._socket._queued == 1)
        ws.onmessage = on_message
        assert heard == ["before"]
        came.clear()
        await ws.send(b"heard")
        await came.wait()
        ws.onmessage = None
        await ws.send("after")
        assert await ws.recv() == "after"
        assert heard == ["before", b"heard"]


@async_test
async def test_error_says_why_the_connection_ended():
    def script(wire):
        wire.open()
        wire.send(TEXT, b"x" * 11)
        wire.expect(CLOSE, close_body(1009) + b"message exceeds the size limit")

    async with peering(script) as peer:
        ws = await connect(peer.url, max_size=10)
        errors = []
        ws.onerror = errors.append
        with pytest.raises(libws.ConnectionClosedError, match="^1006: message exceeds max_size$"):
            await ws.recv()
        assert isinstance(errors[0].error, libws.PayloadTooBig)
        assert errors[0].message == "message exceeds max_size"


@async_test
async def test_errors_call_options_as_their_user_does():
    with pytest.raises(ValueError, match="^max_size must be "):
        await connect("ws://127.0.0.1:1", max_size=-1)
    with pytest.raises(ValueError, match="^open_timeout must be "):
        await connect("ws://127.0.0.1:1", open_timeout=-1)
    with pytest.raises(ValueError, match="^max_headers must be "):
        await connect("ws://127.0.0.1:1", max_headers=-1)
    with pytest.raises(ValueError, match="^write_limit must be "):
        await serve(echo, write_limit=-1)
