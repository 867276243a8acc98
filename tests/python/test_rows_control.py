"""Sections P, Q and S: pings, masks, compression, and what browsers do not have."""

import random
import zlib

import pytest
from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_body
from core_run import FAILED
from row_link import DEFLATE, both, client, server

import libws

BROWSER = ("binaryType bufferedAmount close extensions onclose onerror onmessage onopen protocol "
           "readyState send url addEventListener dispatchEvent removeEventListener").split()

# -- Ping, pong, masking


@pytest.mark.parametrize("payload", [b"", bytes(125)])
@both
async def test_row_297_a_ping_is_answered(link, payload):
    await link.open()
    link.wire.send(PING, payload)
    await link.wire.expect(PONG, payload)
    assert link.log == [("open",)]


@both
async def test_row_298_a_pong_nobody_asked_for_is_ignored(link):
    await link.open()
    link.wire.send(PONG, b"x")
    await link.is_usable()
    assert link.log == [("open",), ("message", "usable!")]


@both
async def test_row_301_many_pings_at_once_are_answered_in_order(link):
    await link.open()
    link.wire.write(b"".join(link.wire.frame(PING, b"%d" % at) for at in range(10)))
    pongs = []
    while not pongs or pongs[-1] != b"9":
        first, payload = await link.wire.receive()
        assert first == 0x80 | PONG
        pongs.append(payload)
    assert pongs == sorted(pongs)


@client
async def test_row_302_every_frame_has_a_key_of_its_own(link):
    await link.open(compression=False)
    for _ in range(50):
        link.ws.send(bytes(4))
    await link.until(lambda: len(link.wire.rest) == 50 * 10)
    frames = [link.wire.rest[at : at + 10] for at in range(0, 500, 10)]
    link.wire.rest = b""
    assert {frame[:2] for frame in frames} == {b"\x82\x84"}
    keys = [frame[2:6] for frame in frames]
    assert [frame[6:] for frame in frames] == keys
    assert len(set(keys)) == 50


@server
async def test_row_303_no_frame_of_a_server_is_masked(link):
    await link.open()
    link.ws.send("x")
    link.ws.ping(b"x")
    link.ws.close()
    await link.until(lambda: len(link.wire.rest) >= 8)
    assert link.wire.rest == b"\x81\x01x\x89\x01x\x88\x00"


@client
async def test_row_304_ping_is_an_extension(link):
    """What a browser has is there; ping() and the like are beside it, and no
    attribute of a browser's socket behaves as one of them."""
    link.ws, _ = link.connect()
    assert set(BROWSER) <= set(dir(link.ws))
    assert not {"ping", "pong", "terminate", "pause", "resume"} & set(BROWSER)


@pytest.mark.parametrize("is_silent", [True, False])
@both
async def test_row_305_only_a_silent_peer_is_pinged(link, is_silent):
    """Without an interval never; with one when nothing has come for so long."""
    await link.open(ping_interval=0.02 if is_silent else None, ping_timeout=10)
    if is_silent:
        assert (await link.wire.receive())[0] == 0x80 | PING
    else:
        await link.turns(100)
        link.ws.send("x")
        await link.wire.expect(TEXT, b"x")


# -- Compression


def deflated(data, window=15):
    """The payload of a compressed message."""
    packer = zlib.compressobj(wbits=-window)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload, window=15):
    return zlib.decompressobj(wbits=-window).decompress(payload + b"\0\0\xff\xff")


@both
async def test_row_306_messages_come_out_as_they_went_in(link):
    await link.open_compressed(b"; server_no_context_takeover; client_no_context_takeover")
    noise = random.Random(1).randbytes(50_000)
    messages = [b"text " * 1000, b"", bytes(1 << 20), noise]
    for data in messages:
        link.wire.send(BINARY, deflated(data), rsv=4)
        link.ws.send(data)
        first, payload = await link.wire.receive()
        assert (inflated(payload) if first & 0x40 else payload) == data
    await link.until(lambda: len(link.messages) == len(messages))
    assert link.messages == messages


@both
async def test_row_307_the_peer_need_not_compress(link):
    await link.open_compressed()
    link.wire.send(TEXT, b"plain")
    await link.until(lambda: link.messages)
    assert link.messages == ["plain"]


@pytest.mark.parametrize("bits", range(9, 16))
@client
async def test_row_309_every_window_works(link, bits):
    """A server chooses both windows; what comes and goes keeps within them."""
    data = random.Random(bits).randbytes(600) * 100
    parameters = b"; server_max_window_bits=%d; client_max_window_bits=%d" % (bits, bits)
    await link.open_compressed(parameters, client_max_window_bits=15, server_max_window_bits=15)
    link.wire.send(BINARY, deflated(data, bits), rsv=4)
    await link.until(lambda: link.messages == [data])
    link.ws.send(data)
    first, payload = await link.wire.receive()
    assert first == 0xC2
    assert inflated(payload, bits) == data


@pytest.mark.parametrize("bits", range(9, 16))
@server
async def test_row_309_a_client_may_limit_the_window(link, bits):
    data = random.Random(bits).randbytes(600) * 100
    await link.open_compressed(b"; server_max_window_bits=%d" % bits)
    link.ws.send(data)
    first, payload = await link.wire.receive()
    assert first == 0xC2
    assert inflated(payload, bits) == data


@server
async def test_row_310_a_server_compresses_only_when_told_to(link):
    await link.open(DEFLATE)
    assert link.ws.extensions == ""
    assert link.wire.header(b"Sec-WebSocket-Extensions") == []
    link.ws.send(bytes(10_000))
    await link.wire.expect(BINARY, bytes(10_000))


@server
async def test_row_311_short_messages_go_as_they_are(link):
    await link.open_compressed(compression_threshold=1024)
    link.ws.send(bytes(10))
    link.ws.send(bytes(2048))
    assert (await link.wire.receive())[0] == 0x82
    assert (await link.wire.receive())[0] == 0xC2


@both
async def test_row_312_a_message_can_be_sent_uncompressed(link):
    await link.open_compressed()
    link.ws.send(bytes(10_000), compress=False)
    await link.wire.expect(BINARY, bytes(10_000))


@both
async def test_row_313_a_bomb_fails_before_it_is_large(link):
    await link.open_compressed(max_message=20_000)
    bomb = deflated(bytes(10_000_000))
    assert len(bomb) < 20_000
    link.wire.send(BINARY, bomb, rsv=4)
    await link.failed(wire_code=1009)


# -- More than the browser has


@both
async def test_row_334_terminate_sends_nothing(link):
    await link.open()
    link.ws.terminate()
    assert link.ws.readyState == 2
    assert link.log == [("open",)]
    await link.closed(1006, is_clean=False)
    assert await link.wire.ended() == b""


@client
async def test_row_335_terminate_in_connecting_fails(link):
    link.ws, listener = link.connect()
    await link.accept(listener)
    link.ws.terminate()
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@both
async def test_row_336_terminate_in_closed_does_nothing(link):
    await link.open()
    await link.close(1000)
    link.ws.terminate()
    await link.turns(20)
    assert link.log == [("open",), ("close", 1000, "", True)]


@both
async def test_row_337_ping_and_pong_send_their_payload(link):
    await link.open()
    link.ws.ping("x")
    link.ws.pong()
    link.ws.ping(b"y")
    await link.wire.expect(PING, b"x")
    await link.wire.expect(PONG, b"")
    await link.wire.expect(PING, b"y")


@client
async def test_row_338_in_connecting_they_are_invalid_states(link):
    link.ws, _ = link.connect()
    for call in (link.ws.ping, link.ws.pong):
        with pytest.raises(libws.InvalidStateError):
            call()


@both
async def test_row_339_126_bytes_are_too_many(link):
    await link.open()
    for call in (link.ws.ping, link.ws.pong):
        with pytest.raises(ValueError, match="125"):
            call(bytes(126))
    await link.is_usable()


@both
async def test_row_340_pings_and_pongs_are_events(link):
    got = []
    await link.open()
    for name in ("ping", "pong"):
        link.ws.addEventListener(name, lambda e: got.append((e.type, e.data)))
    link.wire.send(PING, b"1")
    link.wire.send(PONG, b"2")
    await link.wire.expect(PONG, b"1")
    await link.until(lambda: len(got) == 2)
    assert got == [("ping", b"1"), ("pong", b"2")]


@both
async def test_row_340_the_pong_can_be_left_to_the_application(link):
    await link.open(auto_pong=False)
    link.ws.addEventListener("ping", lambda e: link.ws.pong(e.data + b"!"))
    link.wire.send(PING, b"1")
    await link.wire.expect(PONG, b"1!")


@client
async def test_row_343_a_handshake_has_a_time_limit(link):
    errors = []
    link.ws, listener = link.connect(handshake_timeout=0.05)
    link.ws.addEventListener("error", lambda e: errors.append(e.error.code))
    await link.accept(listener)
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED
    assert errors == ["WS_ERR_HANDSHAKE_TIMEOUT"]


@both
async def test_row_345_messages_have_a_limit_unless_none_is_asked_for(link):
    limit = (16 if link.is_client else 1) << 20
    await link.open()
    link.wire.send(BINARY, bytes(limit))
    await link.until(lambda: link.messages)
    link.wire.send(BINARY, bytes(limit + 1))
    await link.failed(("message", bytes(limit)), wire_code=1009)


@both
async def test_row_345_no_limit_is_none(link):
    await link.open(max_message=None)
    size = (17 << 20) + 1
    link.wire.send(BINARY, bytes(size))
    await link.until(lambda: link.messages)
    assert len(link.messages[0]) == size


@both
async def test_row_347_pause_stops_events_and_reading(link):
    await link.open()
    link.ws.pause()
    # Far more than fits between the two.
    for _ in range(32):
        link.wire.send(BINARY, bytes(1 << 20))
    await link.turns(50)
    assert link.messages == []
    assert link.wire.unsent
    link.ws.resume()
    await link.until(lambda: len(link.messages) == 32)


@client
async def test_row_347_in_connecting_and_closed_it_does_nothing(link):
    link.ws, listener = link.connect()
    link.ws.pause()
    link.wire = await link.accept(listener)
    await link.wire.read_head()
    link.wire.write(link.wire.response() + b"\x81\x01x")
    await link.until(lambda: link.messages == ["x"])
    await link.close(1000)
    link.ws.pause()
    link.ws.resume()


@both
async def test_row_349_a_message_can_be_sent_in_pieces(link):
    await link.open()
    link.ws.send("a", fin=False)
    link.ws.send("b", fin=False)
    link.ws.send("c", fin=True)
    assert await link.wire.receive() == (TEXT, b"a")
    assert await link.wire.receive() == (CONTINUATION, b"b")
    await link.wire.expect(CONTINUATION, b"c")


@both
async def test_row_350_text_or_binary_can_be_chosen(link):
    await link.open()
    link.ws.send(b"text", binary=False)
    link.ws.send("binary", binary=True)
    await link.wire.expect(TEXT, b"text")
    await link.wire.expect(BINARY, b"binary")


@both
async def test_row_355_where_npm_ws_differs_browsers_are_followed(link):
    """bufferedAmount counts payload and not at once 0; error comes in CLOSED, also
    after a loss of TCP; nothing is delivered in CLOSING; close() takes the codes of
    browsers."""
    await link.open()
    link.ws.send("12345")
    assert link.ws.bufferedAmount == 5
    with pytest.raises(libws.InvalidAccessError):
        link.ws.close(1001)
    await link.wire.expect(TEXT, b"12345")
    link.ws.close(1000)
    link.wire.send(TEXT, b"in CLOSING")
    await link.wire.expect(CLOSE, close_body(1000))
    link.wire.shut_down()
    await link.failed()


@server
async def test_row_381_a_peer_that_answers_no_ping_is_dropped(link):
    errors = []

    def listen(ws):
        ws.addEventListener("error", lambda e: errors.append(e.error.code))

    await link.open(before=listen, ping_interval=0.02, ping_timeout=0.05)
    await link.failed()
    assert errors == ["WS_ERR_PING_TIMEOUT"]
