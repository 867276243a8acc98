"""Section L, what fails an open connection, and what is so in every failure."""

import struct

import pytest
from core_peers import BINARY, CLOSE, CONTINUATION, PING, TEXT, close_body
from row_link import both, client, server

import libws

CONTROL = (CLOSE, PING, 10)


def parts_of(*frames):
    return [one if len(one) == 4 else (*one, *(True, 0)[len(one) - 2 :]) for one in frames]


def faulty(row, *frames, code=1002, error, before=()):
    """A case: frames (opcode, payload, fin, rsv), and what they come to."""
    return pytest.param(parts_of(*frames), code, error, list(before), id=f"row_{row}")


# The euro sign, cut in the middle.
EURO = "€".encode()

FAULTS = [
    # Row 231.
    faulty(231, (TEXT, b"\xff"), code=1007, error="WS_ERR_INVALID_UTF8"),
    faulty(231, (TEXT, b"abc\xc3"), code=1007, error="WS_ERR_INVALID_UTF8"),
    # Row 232.
    faulty(
        232,
        (TEXT, EURO[:1], False),
        (CONTINUATION, b"x", True),
        code=1007,
        error="WS_ERR_INVALID_UTF8",
    ),
    faulty(232, (TEXT, b"", False), (CONTINUATION, EURO[:2]), code=1007, error="WS_ERR_INVALID_UTF8"),
    # Row 233.
    *(
        faulty(233, (TEXT, text), code=1007, error="WS_ERR_INVALID_UTF8")
        for text in (b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\xaf", b"\xf8")
    ),
    # Row 234.
    faulty(234, (CLOSE, close_body(1000) + b"\xff"), code=1007, error="WS_ERR_INVALID_UTF8"),
    # Row 235.
    faulty(235, (CLOSE, b"x"), error="WS_ERR_INVALID_CLOSE_PAYLOAD"),
    # Row 236.
    *(
        faulty(236, (CLOSE, struct.pack("!H", code)), error="WS_ERR_INVALID_CLOSE_CODE")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    # Row 237.
    *(
        faulty(237, (opcode, b""), error="WS_ERR_INVALID_OPCODE")
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    ),
    faulty(237, (TEXT, b"x", True, 4), error="WS_ERR_UNEXPECTED_RSV_1"),
    faulty(237, (TEXT, b"x", True, 2), error="WS_ERR_UNEXPECTED_RSV_2_3"),
    faulty(237, (TEXT, b"x", True, 1), error="WS_ERR_UNEXPECTED_RSV_2_3"),
    # Row 241.
    *(
        faulty(241, (opcode, bytes(126)), error="WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH")
        for opcode in CONTROL
    ),
    *(faulty(241, (opcode, b"", False), error="WS_ERR_EXPECTED_FIN") for opcode in CONTROL),
    # Row 242.
    faulty(242, (CONTINUATION, b"x"), error="WS_ERR_UNEXPECTED_CONTINUATION"),
    faulty(242, (TEXT, b"x", False), (TEXT, b"x"), error="WS_ERR_EXPECTED_CONTINUATION"),
    faulty(242, (TEXT, b"x", False), (BINARY, b"x", False), error="WS_ERR_EXPECTED_CONTINUATION"),
    # Row 124: after a message.
    faulty(124, (TEXT, b"test"), (3, b""), error="WS_ERR_INVALID_OPCODE", before=[("message", "test")]),
]


@pytest.mark.parametrize(("frames", "wire_code", "error", "before"), FAULTS)
@both
async def test_rows_231_to_242_and_124(link, frames, wire_code, error, before):
    # Rows 108, 136, 137, 353: the same events and names for all.
    errors = []
    await link.open()
    link.ws.addEventListener("error", errors.append)
    for one in frames:
        link.wire.send(*one)
    await link.failed(*before, wire_code=wire_code)
    assert await link.wire.ended() == b""
    # Row 249: the error tells what was wrong.
    (event,) = errors
    assert event.error.code == error
    assert event.error.close_code == wire_code
    assert (event.error.side, event.error.phase) == ("peer", "open")
    assert isinstance(event.error, libws.ProtocolError)
    assert event.message == str(event.error) != ""


@both
async def test_row_232_a_character_may_be_cut_by_frames(link):
    await link.open()
    for cut in range(1, len(EURO)):
        link.wire.send(TEXT, EURO[:cut], fin=False)
        link.wire.send(CONTINUATION, EURO[cut:])
    await link.until(lambda: len(link.messages) == 2)
    assert link.messages == ["€", "€"]


@client
async def test_row_239_a_masked_frame_of_a_server_fails(link):
    await link.open()
    link.wire.write(b"\x81\x81abcd" + bytes([ord("x") ^ ord("a")]))
    await link.failed(wire_code=1002)


@server
async def test_row_240_an_unmasked_frame_of_a_client_fails(link):
    await link.open()
    link.wire.write(b"\x81\x01x")
    await link.failed(wire_code=1002)


@both
async def test_row_243_a_length_with_its_top_bit_set_fails(link):
    await link.open()
    link.wire.write(bytes([0x82, 127 | link.wire.masks << 7]) + b"\x80" + bytes(7) + bytes(4))
    await link.failed(wire_code=1002)


@both
async def test_row_244_too_long_a_message_fails_by_its_head(link):
    await link.open(max_message=1000)
    link.wire.send(BINARY, bytes(1000))
    await link.until(lambda: link.messages)
    # The head alone.
    link.wire.write(bytes([0x82, 126 | link.wire.masks << 7]) + struct.pack("!H", 1001) + bytes(4))
    await link.failed(("message", bytes(1000)), wire_code=1009)


@both
async def test_row_244_fragments_count_together(link):
    await link.open(max_message=1000)
    link.wire.send(BINARY, bytes(600), fin=False)
    link.wire.send(CONTINUATION, bytes(401))
    await link.failed(wire_code=1009)


@both
async def test_row_245_too_many_fragments_fail(link):
    await link.open(max_fragments=3)
    link.wire.send(TEXT, b"a", fin=False)
    link.wire.send(CONTINUATION, b"", fin=False)
    link.wire.send(CONTINUATION, b"b")
    await link.until(lambda: link.messages)
    link.wire.send(TEXT, b"a", fin=False)
    for _ in range(2):
        link.wire.send(CONTINUATION, b"", fin=False)
    link.wire.send(CONTINUATION, b"b")
    await link.failed(("message", "ab"), wire_code=1008)


@both
async def test_row_247_a_reset_fails(link):
    await link.open()
    link.wire.reset()
    await link.failed()


@both
async def test_rows_229_and_247_an_end_without_close_fails(link):
    await link.open()
    link.wire.shut_down()
    await link.failed()


@both
async def test_row_248_several_faults_are_one_error(link):
    await link.open()
    link.wire.write(
        link.wire.frame(3)
        + link.wire.frame(TEXT, b"\xff")
        + link.wire.frame(CLOSE, b"x")
        + link.wire.frame(CLOSE, close_body(1000))
    )
    link.wire.shut_down()
    await link.failed(wire_code=1002)
    await link.turns(20)
    assert [event[0] for event in link.log] == ["open", "error", "close"]


@both
async def test_row_249_a_close_event_has_nothing_extra(link):
    events = []
    await link.open()
    link.ws.addEventListener("close", events.append)
    link.wire.send(3)
    await link.failed(wire_code=1002)
    (event,) = events
    assert (event.code, event.reason, event.wasClean) == (1006, "", False)
    assert not hasattr(event, "error")
    assert not hasattr(event, "message")
