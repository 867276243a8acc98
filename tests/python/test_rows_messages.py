"""Sections G, H and I: messages in, messages out, bufferedAmount."""

import array
import random
import socket
import threading

import pytest
from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_body
from core_run import FAILED
from row_link import both, client

import libws

SIZES = (0, 125, 126, 127, 65535, 65536, 65537)

# -- Receiving


async def receive(link, *frames):
    """What the library makes of frames of the peer."""
    for one in frames:
        link.wire.send(*one)
    await link.until(lambda: len(link.messages) == sum(one[2:] != (False,) for one in frames))
    return link.messages


@both
async def test_row_139_text_is_str(link):
    await link.open()
    assert await receive(link, (TEXT, "é".encode())) == ["é"]


@both
async def test_row_141_binary_is_bytes(link):
    await link.open()
    assert link.ws.binaryType == "blob"
    data = [bytes(10), random.Random(1).randbytes(100_000)]
    got = await receive(link, *((BINARY, one) for one in data))
    assert got == data
    assert [type(one) for one in got] == [bytes, bytes]


@both
async def test_row_142_text_is_text_whatever_binary_type_says(link):
    await link.open()
    link.ws.binaryType = "arraybuffer"
    text, data = await receive(link, (TEXT, b"x"), (BINARY, b"x"))
    assert (type(text), type(data)) == (str, bytearray)


@both
async def test_row_144_empty_messages_arrive(link):
    await link.open()
    assert await receive(link, (TEXT, b""), (BINARY, b"")) == ["", b""]


@both
async def test_row_145_a_byte_order_mark_stays(link):
    await link.open()
    assert await receive(link, (TEXT, b"\xef\xbb\xbfx")) == ["\ufeffx"]


@both
async def test_row_146_nothing_is_normalised(link):
    texts = ["a\0b", "\U0001047e", "a\u030a"]
    await link.open()
    assert await receive(link, *((TEXT, text.encode()) for text in texts)) == texts


@both
async def test_row_147_what_comes_after_close_is_dropped(link):
    await link.open()
    link.ws.close(1000)
    await link.wire.expect(CLOSE, close_body(1000))
    link.wire.send(TEXT, b"too late")
    link.wire.send(CLOSE, close_body(1000))
    link.wire.shut_down()
    await link.closed(1000)
    assert link.messages == []


@both
async def test_row_148_a_message_before_a_close_is_delivered(link):
    await link.open()
    link.wire.write(link.wire.frame(TEXT, b"x") + link.wire.frame(CLOSE, close_body(1000)))
    await link.wire.expect(CLOSE, close_body(1000))
    link.wire.shut_down()
    await link.closed(1000)
    assert link.messages == ["x"]


@both
async def test_row_149_what_follows_a_close_is_ignored(link):
    await link.open()
    frames = ((CLOSE, close_body(3001)), (TEXT, b"x"), (3, b""), (CLOSE, b"x"))
    link.wire.write(b"".join(link.wire.frame(*one) for one in frames))
    await link.wire.expect(CLOSE, close_body(3001))
    link.wire.shut_down()
    await link.closed(3001)
    assert link.log == [("open",), ("close", 3001, "", True)]


@pytest.mark.parametrize("size", SIZES)
@both
async def test_row_153_every_form_of_the_length_works(link, size):
    await link.open(compression=False)
    text = "x" * size
    data = random.Random(size).randbytes(size)
    link.ws.send(text)
    link.ws.send(data)
    await link.wire.expect(TEXT, text.encode())
    await link.wire.expect(BINARY, data)
    assert await receive(link, (TEXT, text.encode()), (BINARY, data)) == [text, data]


@both
async def test_row_155_an_idle_connection_stays_open(link):
    # Twenty pings, as in as many minutes of the default interval.
    await link.open(ping_interval=0.01, ping_timeout=10)
    for _ in range(20):
        first, payload = await link.wire.receive()
        assert first == 0x80 | PING
        link.wire.send(PONG, payload)
    assert link.ws.readyState == 1
    # And without any.
    link.ws.send("end of pings")
    first = None
    while first != 0x80 | TEXT:
        first, payload = await link.wire.receive()
    assert payload == b"end of pings"


@both
async def test_row_156_a_message_may_come_in_tiny_frames(link):
    await link.open()
    text = "héllo, wörld".encode()
    for at, byte in enumerate(text):
        link.wire.send(CONTINUATION if at else TEXT, bytes([byte]), fin=at == len(text) - 1)
        link.wire.send(PING, bytes([at]))
    for at in range(len(text)):
        await link.wire.expect(PONG, bytes([at]))
    await link.until(lambda: link.messages)
    assert link.messages == [text.decode()]


@both
async def test_row_157_the_first_frame_may_be_empty(link):
    await link.open()
    frames = ((TEXT, b"", False), (CONTINUATION, b"data", False), (CONTINUATION, b""))
    assert await receive(link, *frames) == ["data"]


# -- send()


@pytest.mark.parametrize("data", ["a", "", b"a", "a\udc00x"])
@client
async def test_row_158_in_connecting_it_is_an_invalid_state(link, data):
    link.ws, _ = link.connect()
    with pytest.raises(libws.InvalidStateError):
        link.ws.send(data)
    assert link.ws.bufferedAmount == 0
    assert link.ws.readyState == 0


async def sent(link, *data, **options):
    """Sends, and returns the frames that the peer gets."""
    for one in data:
        link.ws.send(one, **options)
    return [await link.wire.receive() for _ in data]


@both
async def test_row_160_it_returns_none(link):
    await link.open()
    assert link.ws.send("x") is None
    assert link.ws.send(b"x") is None


@both
async def test_row_161_text_goes_in_a_text_frame(link):
    await link.open()
    assert await sent(link, "test") == [(0x81, b"test")]


@both
async def test_row_162_bytes_go_in_a_binary_frame(link):
    await link.open()
    assert await sent(link, b"test", bytearray(b"t")) == [(0x82, b"test"), (0x82, b"t")]


@both
async def test_row_163_empty_messages_go_out(link):
    await link.open()
    assert await sent(link, "", b"") == [(0x81, b""), (0x82, b"")]


@both
async def test_row_164_only_what_a_view_shows_is_sent(link):
    await link.open()
    views = [memoryview(b"abcdefgh")[2:6], memoryview(b"abcdefgh")[::2]]
    arrays = [array.array("H", [1, 2]), array.array("d", [1.5])]
    expected = [b"cdef", b"aceg", *(one.tobytes() for one in arrays)]
    assert await sent(link, *views, *arrays) == [(0x82, one) for one in expected]


@pytest.mark.parametrize("size", [10, 100_000, 4 << 20])
@both
async def test_row_165_data_may_change_at_once(link, size):
    await link.open(compression=False)
    data = bytearray(b"a" * size)
    link.ws.send(data)
    data[:] = b"b" * size
    await link.wire.expect(BINARY, b"a" * size)


@both
async def test_row_166_lone_surrogates_are_replaced(link):
    await link.open()
    expected = "a\ufffdxb\ufffdxc\ufffd\ufffdx".encode()
    assert await sent(link, "a\udc00xb\ud800xc\udc00\ud800x") == [(0x81, expected)]


@both
async def test_row_167_pairs_of_surrogates_are_joined(link):
    await link.open()
    link.ws.send("\ud801\udc07")
    assert link.ws.bufferedAmount == 4
    await link.wire.expect(TEXT, b"\xf0\x90\x90\x87")


@pytest.mark.parametrize("data", [None, 1, 1.5, {}, [], object(), ["a"]])
@both
async def test_row_169_other_types_are_type_errors(link, data):
    await link.open()
    with pytest.raises(TypeError):
        link.ws.send(data)
    assert link.ws.bufferedAmount == 0
    await link.is_usable()


@both
async def test_row_170_in_closing_nothing_is_sent(link):
    await link.open()
    link.ws.close()
    assert link.ws.send("test") is None
    assert link.ws.bufferedAmount == 4
    assert await link.wire.echo_close() == b""
    link.wire.shut_down()
    assert await link.wire.ended() == b""
    await link.closed(1005)


@both
async def test_row_172_on_a_failed_connection_it_only_counts(link):
    await link.open()
    link.wire.reset()
    await link.failed()
    assert link.ws.send(bytes(5)) is None
    assert link.ws.bufferedAmount == 5


@both
async def test_row_173_what_was_sent_before_close_arrives(link):
    await link.open()
    for text in ("1", "2", "3"):
        link.ws.send(text)
    link.ws.close(1000)
    for text in (b"1", b"2", b"3"):
        await link.wire.expect(TEXT, text)
    await link.wire.expect(CLOSE, close_body(1000))


@both
async def test_row_174_a_slow_reader_neither_blocks_nor_fails(link):
    await link.open(compression=False)
    link.wire.is_reading = False
    for _ in range(50):
        link.ws.send(bytes(65536))
    await link.turns(20)
    link.wire.is_reading = True
    for _ in range(50):
        await link.wire.expect(BINARY, bytes(65536))
        link.wire.send(TEXT, b"ok")
    await link.until(lambda: len(link.messages) == 50)
    await link.close(1000)


@both
async def test_row_175_past_the_limit_of_the_queue_it_fails(link):
    errors = []
    await link.open(compression=False, max_send_queue=1 << 20)
    link.ws.addEventListener("error", lambda e: errors.append(e.error.code))
    link.wire.is_reading = False
    for _ in range(100):
        assert link.ws.send(bytes(1 << 20)) is None
    await link.failed()
    assert errors == ["WS_ERR_SEND_QUEUE_FULL"]


@both
async def test_row_176_frames_leave_in_the_order_of_calls(link):
    await link.open()

    def answer(event):
        link.ws.send(event.data + "1")
        link.ws.ping(event.data.encode())
        link.ws.send(event.data + "2")

    link.ws.onmessage = answer
    link.ws.addEventListener("message", lambda e: link.ws.send(e.data + "3"))
    link.wire.write(link.wire.frame(TEXT, b"a") + link.wire.frame(TEXT, b"b"))
    for name in (b"a", b"b"):
        await link.wire.expect(TEXT, name + b"1")
        await link.wire.expect(PING, name)
        await link.wire.expect(TEXT, name + b"2")
        await link.wire.expect(TEXT, name + b"3")


@both
async def test_row_177_messages_of_threads_never_mix(link):
    await link.open(compression=False)
    count = 40

    def send(letter):
        for size in range(count):
            link.ws.send(letter * size * 700)

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    sizes = {b"a": [], b"b": [], b"": []}
    for _ in range(2 * count):
        first, payload = await link.wire.receive()
        assert first == 0x80 | BINARY
        assert payload == payload[:1] * len(payload)
        sizes[payload[:1]].append(len(payload))
    for thread in threads:
        thread.join()
    assert sizes[b"a"] == sizes[b"b"] == [size * 700 for size in range(1, count)]


# -- bufferedAmount


async def amount_of(link, data):
    """What sending adds, seen at once and not changed by work in the handler."""
    link.ws.send(data)
    amounts = [link.ws.bufferedAmount for _ in range(3)]
    assert len(set(amounts)) == 1
    return amounts[0]


@both
async def test_row_179_text_counts_in_utf_8(link):
    await link.open()
    assert await amount_of(link, "¥" * 6) == 12


@both
async def test_row_180_bytes_count(link):
    await link.open()
    assert await amount_of(link, bytes(10)) == 10


@both
async def test_row_181_large_messages_count(link):
    await link.open(compression=False)
    assert await amount_of(link, bytes(65000)) == 65000


@both
async def test_row_182_empty_messages_do_not_count(link):
    await link.open()
    assert await amount_of(link, "") == 0


@both
async def test_row_183_it_does_not_fall_in_a_handler(link):
    amounts = []
    got = threading.Event()
    await link.open()

    def onmessage(event):
        link.ws.send("hello")
        amounts.append(link.ws.bufferedAmount)
        # Far longer than the bytes take, if they are on their way.
        got.wait(0.05)
        amounts.append(link.ws.bufferedAmount)

    link.ws.onmessage = onmessage
    link.wire.send(TEXT, b"go")
    await link.wire.expect(TEXT, b"hello")
    assert amounts == [5, 5]


@both
async def test_row_185_what_compression_makes_does_not_count(link):
    await link.open_compressed()
    link.ws.send(bytes(1 << 20))
    assert link.ws.bufferedAmount == 1 << 20
    first, payload = await link.wire.receive()
    assert first == 0xC2
    assert len(payload) < 10_000


@both
async def test_row_186_control_frames_do_not_count(link):
    amounts = []
    await link.open()
    link.ws.onmessage = lambda e: amounts.append(link.ws.bufferedAmount)
    link.wire.write(link.wire.frame(PING, bytes(100)) + link.wire.frame(TEXT, b"x"))
    await link.wire.expect(PONG, bytes(100))
    link.ws.ping(bytes(100))
    link.ws.pong(bytes(100))
    amounts.append(link.ws.bufferedAmount)
    link.ws.close(1000, "a reason")
    amounts.append(link.ws.bufferedAmount)
    assert amounts == [0, 0, 0]


@both
async def test_row_187_in_closing_and_closed_it_grows_and_stays(link):
    await link.open()
    link.ws.close()
    link.ws.send(bytes(5))
    link.ws.send("abc")
    assert link.ws.bufferedAmount == 8
    await link.wire.echo_close()
    link.wire.shut_down()
    await link.closed(1005)
    assert link.ws.bufferedAmount == 8
    link.ws.send("d")
    assert link.ws.bufferedAmount == 9


@both
async def test_row_188_it_does_not_fall_when_the_connection_dies(link):
    amounts = []

    def note(event=None):
        amounts.append(link.ws.bufferedAmount)

    await link.open(compression=False)
    link.wire.is_reading = False
    link.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.ws.addEventListener("error", note)
    link.ws.addEventListener("close", note)
    link.ws.send(bytes(8 << 20))
    await link.turns()
    note()
    link.wire.reset()
    await link.failed()
    note()
    assert amounts[0] > 0
    assert amounts == sorted(amounts)


@both
async def test_row_189_it_is_0_when_the_system_has_taken_all(link):
    await link.open()
    link.ws.send("x")
    assert link.ws.bufferedAmount == 1
    await link.wire.expect(TEXT, b"x")
    await link.until(lambda: link.ws.bufferedAmount == 0)


@both
async def test_row_219_the_code_of_a_peer_stands_with_data_unsent(link):
    await link.open(compression=False, max_send_queue=32 << 20)
    link.wire.is_reading = False
    link.ws.send(bytes(20 << 20))
    await link.turns()
    link.wire.send(CLOSE, close_body(4567))
    await link.turns()
    link.wire.reset()
    await link.until(lambda: link.log[-1][0] == "close")
    assert link.log[-1] == ("close", 4567, "", False)
    assert FAILED[1] not in link.log
