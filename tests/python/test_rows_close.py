"""Sections J and K: the arguments of close(), and the closing handshake."""

import math

import pytest
from core_peers import CLOSE, PING, TEXT, close_body
from core_run import FAILED
from row_link import both, client, server

import libws

BAD_CODES = (0, 500, 999, 1001, 1005, 1006, 1011, 1015, 2999, 5000, 65536 + 1000, -1)

# -- Arguments


@pytest.mark.parametrize("code", BAD_CODES)
@both
async def test_row_190_other_codes_are_refused(link, code):
    await link.open()
    with pytest.raises(libws.InvalidAccessError):
        link.ws.close(code)
    assert link.ws.readyState == 1
    await link.is_usable()


@pytest.mark.parametrize("code", BAD_CODES)
@client
async def test_row_191_in_connecting_too(link, code):
    link.ws, _ = link.connect()
    with pytest.raises(libws.InvalidAccessError):
        link.ws.close(code)
    assert link.ws.readyState == 0
    assert link.log == []


@both
async def test_row_192_in_closing_and_closed_too(link):
    def check():
        with pytest.raises(libws.InvalidAccessError):
            link.ws.close(999)
        with pytest.raises(libws.SyntaxError):
            link.ws.close(1000, "x" * 124)

    await link.open()
    link.ws.close()
    check()
    await link.wire.echo_close()
    link.wire.shut_down()
    await link.closed(1005)
    check()


@both
async def test_row_194_other_types_are_errors(link):
    await link.open()
    for code in (math.nan, math.inf, -math.inf):
        with pytest.raises(libws.InvalidAccessError):
            link.ws.close(code)
    for args in (("text",), (b"1000",), ([],), (1000, 5), (1000, b"x")):
        with pytest.raises(TypeError):
            link.ws.close(*args)
    await link.is_usable()
    link.ws.close(None)
    await link.wire.expect(CLOSE)


@both
async def test_row_195_a_whole_float_is_a_code(link):
    await link.open()
    with pytest.raises(TypeError):
        link.ws.close(1000.4)
    link.ws.close(1000.0)
    await link.wire.expect(CLOSE, close_body(1000))


@both
async def test_row_196_a_reason_may_have_123_bytes(link):
    await link.open()
    await link.close(1000, "é" * 61 + "x")


@both
async def test_row_197_124_bytes_are_a_syntax_error(link):
    await link.open()
    for reason in ("x" * 124, "é" * 62):
        with pytest.raises(libws.SyntaxError):
            link.ws.close(1000, reason)
    assert link.ws.readyState == 1
    await link.is_usable()


@both
async def test_row_199_the_code_is_looked_at_first(link):
    await link.open()
    with pytest.raises(libws.InvalidAccessError):
        link.ws.close(999, "x" * 124)
    await link.is_usable()


@both
async def test_row_200_surrogates_of_a_reason_are_replaced(link):
    await link.open()
    link.ws.close(1000, "\ud807")
    assert await link.wire.echo_close() == close_body(1000) + b"\xef\xbf\xbd"
    link.wire.shut_down()
    await link.closed(1000, "\ufffd")


@both
async def test_row_201_it_returns_none(link):
    await link.open()
    assert link.ws.close() is None
    assert link.ws.close(1000) is None


@both
async def test_row_202_a_reason_without_a_code_goes_with_1000(link):
    await link.open()
    link.ws.close(None, "bye")
    await link.wire.expect(CLOSE, close_body(1000, "bye"))


@both
async def test_row_202_neither_is_an_empty_body(link):
    await link.open()
    link.ws.close(None, "")
    await link.wire.expect(CLOSE, b"")


@both
async def test_row_203_none_is_no_code(link):
    await link.open()
    link.ws.close(None)
    await link.wire.expect(CLOSE, b"")


# -- The closing handshake


@both
async def test_row_204_close_sends_an_empty_body(link):
    await link.open()
    link.ws.close()
    await link.until(lambda: len(link.wire.rest) >= 2)
    assert link.wire.rest[:2] == (b"\x88\x80" if link.is_client else b"\x88\x00")
    await link.wire.echo_close()
    link.wire.shut_down()
    await link.closed(1005)
    assert link.log == [("open",), ("close", 1005, "", True)]


@both
async def test_row_205_code_and_reason_come_back(link):
    await link.open()
    await link.close(1000, "Clean Close")
    assert link.log == [("open",), ("close", 1000, "Clean Close", True)]


@pytest.mark.parametrize(("code", "reason"), [(3000, "x"), (4999, "")])
@both
async def test_row_206_so_do_the_codes_of_applications(link, code, reason):
    await link.open()
    await link.close(code, reason)


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 4999])
@both
async def test_rows_214_and_138_codes_of_the_peer_are_clean(link, code):
    await link.open()
    link.wire.send(CLOSE, close_body(code, "r"))
    await link.wire.expect(CLOSE, close_body(code, "r"))
    link.wire.shut_down()
    await link.closed(code, "r")
    assert link.log == [("open",), ("close", code, "r", True)]


@both
async def test_row_214_no_code_of_the_peer_is_1005(link):
    await link.open()
    link.wire.send(CLOSE)
    await link.wire.expect(CLOSE)
    link.wire.shut_down()
    await link.closed(1005)


@both
async def test_row_215_the_close_event_waits_for_the_peer(link):
    await link.open()
    link.ws.close(1000)
    await link.wire.expect(CLOSE, close_body(1000))
    await link.turns(100)
    assert link.log == [("open",)]
    assert link.ws.readyState == 2
    link.wire.send(CLOSE, close_body(1000))
    link.wire.shut_down()
    await link.closed(1000)


@both
async def test_row_216_a_peer_that_leaves_tcp_open_is_cut_off(link):
    await link.open(close_timeout=0.05)
    link.ws.addEventListener("message", lambda e: link.ws.close(3000))
    # What answers the Close is there when it is sent, so that its time never is up.
    link.wire.write(link.wire.frame(TEXT, b"x") + link.wire.frame(CLOSE, close_body(3000)))
    await link.wire.expect(CLOSE, close_body(3000))
    await link.wire.ended()
    await link.closed(3000)


@both
async def test_rows_217_and_346_a_peer_that_does_not_answer_is_given_up(link):
    errors = []
    await link.open(close_timeout=0.05)
    link.ws.addEventListener("error", lambda e: errors.append(e.error.code))
    link.ws.close(1000)
    await link.failed()
    assert errors == ["WS_ERR_CLOSE_TIMEOUT"]


@both
async def test_row_218_a_peer_that_drops_tcp_instead_fails_it(link):
    await link.open()
    link.ws.close(4000, "because")
    await link.wire.expect(CLOSE, close_body(4000, "because"))
    link.wire.shut_down()
    await link.failed()


@client
async def test_row_220_a_client_waits_for_the_server_to_end_tcp(link):
    await link.open(close_timeout=10)
    link.ws.close(1000)
    await link.wire.echo_close()
    await link.turns(100)
    assert not link.wire.has_ended
    link.wire.shut_down()
    await link.wire.ended()
    await link.closed(1000)


@server
async def test_row_220_a_server_ends_tcp_first(link):
    await link.open()
    link.ws.close(1000)
    await link.wire.echo_close()
    assert await link.wire.ended() == b""
    await link.closed(1000)


@both
async def test_row_221_close_again_does_nothing(link):
    await link.open()
    for args in ((1000, "first"), (3000, "second"), ()):
        link.ws.close(*args)
    assert await link.wire.echo_close() == close_body(1000, "first")
    link.wire.shut_down()
    assert await link.wire.ended() == b""
    await link.closed(1000, "first")


@both
async def test_row_222_close_in_its_handler_does_nothing(link):
    states = []
    await link.open()
    link.ws.addEventListener("close", lambda e: (link.ws.close(), states.append(link.ws.readyState)))
    await link.close(1000)
    await link.turns(20)
    assert states == [3]
    assert link.log == [("open",), ("close", 1000, "", True)]


@pytest.mark.parametrize("args", [(), (3000, "x")])
@client
async def test_rows_223_and_224_close_in_connecting_fails_later(link, args):
    link.ws, listener = link.connect()
    wire = await link.accept(listener)
    await wire.read_head()
    link.ws.close(*args)
    assert link.ws.readyState == 2
    assert link.log == []
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@client
async def test_row_225_a_response_that_still_comes_opens_nothing(link):
    link.ws, listener = link.connect()
    wire = await link.accept(listener)
    await wire.read_head()
    wire.write(wire.response())
    link.ws.close()
    await link.until(lambda: len(link.log) == 2)
    assert await wire.ended() == b""
    assert link.log == FAILED


@client
async def test_row_226_close_may_follow_the_constructor(link):
    link.ws, _ = link.connect()
    link.ws.close()
    assert link.log == []
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@both
async def test_row_227_close_as_the_first_act_is_clean(link):
    await link.open(before=lambda ws: ws.addEventListener("open", lambda e: ws.close()))
    assert await link.wire.echo_close() == b""
    link.wire.shut_down()
    await link.closed(1005)
    assert link.log == [("open",), ("close", 1005, "", True)]


@both
async def test_row_228_messages_already_read_are_dropped(link):
    await link.open()
    link.ws.addEventListener("message", lambda e: link.ws.close())
    link.wire.write(link.wire.frame(TEXT, b"x") * 6)
    await link.wire.echo_close()
    link.wire.shut_down()
    await link.closed(1005)
    assert link.messages == ["x"]


@server
async def test_row_230_a_server_has_another_door_for_its_codes(link):
    await link.open()
    for code in (1001, 1008, 1011, 1012, 1013):
        with pytest.raises(libws.InvalidAccessError):
            link.ws.close(code)
    link.ws.closeWith(1012, "restart")
    assert await link.wire.echo_close() == close_body(1012, "restart")
    await link.closed(1012, "restart")


@both
async def test_row_300_after_the_close_of_the_peer_no_ping_is_answered(link):
    await link.open()
    link.wire.write(link.wire.frame(CLOSE, close_body(1000)) + link.wire.frame(PING, b"x"))
    await link.wire.expect(CLOSE, close_body(1000))
    link.wire.shut_down()
    assert await link.wire.ended() == b""
    await link.closed(1000)
