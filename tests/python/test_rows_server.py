"""Section T: what a server makes of requests, its hooks, and its end.

Row 382, that a server's sockets keep the other rows, is what `both` in the other
files is for.
"""

import socket

import pytest
from core_peers import BINARY, CLOSE, TEXT, close_body
from row_link import server

import libws


async def ask(link, *lines, method=b"GET", target=b"/", version=b"1.1"):
    """Writes a head of these lines; returns the raw end with the answer's head."""
    wire = link.dial()
    wire.write(b"\r\n".join([method + b" " + target + b" HTTP/" + version, *lines, b"", b""]))
    await wire.read_head()
    return wire


async def shake(link, *lines, target=b"/"):
    """A handshake; returns the raw end with the answer's head."""
    wire = link.dial()
    wire.write(wire.request_bytes(*lines, target=target))
    await wire.read_head()
    return wire


HOST = b"Host: h"
UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: Upgrade"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = b"Sec-WebSocket-Version: 13"
GOOD = (HOST, UPGRADE, CONNECTION, KEY, VERSION)


@server
async def test_row_356_a_place_to_listen_is_required(link):
    with pytest.raises(TypeError):
        libws.WebSocketServer()
    with pytest.raises(TypeError):
        libws.WebSocketServer("127.0.0.1", 0, unix="/tmp/never.sock")


@server
async def test_row_357_port_0_becomes_a_real_one(link):
    link.serve()
    assert link.server.port > 0
    assert link.server.urls == [f"ws://127.0.0.1:{link.server.port}"]


@server
async def test_row_358_failing_to_listen_is_an_error_event(link):
    errors = []
    link.serve()
    second = libws.WebSocketServer("127.0.0.1", link.server.port, onerror=errors.append)
    await link.until(lambda: errors)
    assert isinstance(errors[0].error, OSError)
    second.close()


@server
async def test_row_359_the_socket_is_open_when_it_is_connected(link):
    order = []

    def onconnection(ws, request):
        order.append(("connection", ws.readyState, request.path))
        ws.addEventListener("open", lambda e: order.append("open"))

    link.serve(onconnection=onconnection)
    await shake(link, target=b"/path?query")
    await link.until(lambda: len(order) == 2)
    assert order == [("connection", 1, "/path"), "open"]


@pytest.mark.parametrize(
    ("method", "lines", "statuses"),
    [
        pytest.param(b"GET", (HOST,), {426}, id="row_361"),  # Row 361.
        pytest.param(b"POST", GOOD, {405}, id="row_362"),  # Row 362.
        pytest.param(b"GET", GOOD[:1] + GOOD[2:], {400, 426}, id="row_363"),  # Row 363.
        pytest.param(b"GET", (HOST, b"Upgrade: h2c", *GOOD[2:]), {400, 426}, id="row_363"),
    ],
)
@server
async def test_rows_361_to_363_and_378_what_is_no_handshake(link, method, lines, statuses):
    requests = []
    link.serve(onupgrade=requests.append)
    wire = await ask(link, *lines, method=method)
    assert wire.status in statuses
    # Row 378: it is answered, and no handler of handshakes hears of it.
    assert requests == []
    assert link.logs == {}


@pytest.mark.parametrize("version", [b"Sec-WebSocket-Version: 12", b"X: y"])
@server
async def test_row_365_another_version_is_told_ours(link, version):
    link.serve()
    wire = await ask(link, *GOOD[:4], version)
    assert wire.status in (400, 426)
    assert wire.header(b"Sec-WebSocket-Version") == [b"13"]
    assert link.logs == {}


@pytest.mark.parametrize("value", [b"a,,b", b"a, a", b"a b"])
@server
async def test_row_366_malformed_subprotocols_are_refused(link, value):
    link.serve()
    assert (await shake(link, b"Sec-WebSocket-Protocol: " + value)).status == 400


@server
async def test_row_367_malformed_extensions_are_refused_and_others_passed_over(link):
    link.serve()
    wire = await shake(link, b"Sec-WebSocket-Extensions: ;;")
    assert wire.status == 400
    wire = await shake(link, b"Sec-WebSocket-Extensions: x-foo; bar=1")
    assert wire.status == 101
    assert wire.header(b"Sec-WebSocket-Extensions") == []


@server
async def test_row_368_another_path_is_404(link):
    link.serve(path="/chat")
    assert (await shake(link, target=b"/other")).status == 404
    assert (await shake(link, target=b"/chat?room=1")).status == 101


@pytest.mark.parametrize(
    ("hook", "chosen"),
    [(None, [b"b"]), (lambda request: "a", [b"a"]), (lambda request: "", [])],
)
@server
async def test_row_369_the_first_subprotocol_unless_a_hook_chooses(link, hook, chosen):
    link.serve(onupgrade=hook)
    wire = await shake(link, b"Sec-WebSocket-Protocol: b, a")
    assert wire.status == 101
    assert wire.header(b"Sec-WebSocket-Protocol") == chosen


@server
async def test_row_370_one_that_was_not_offered_is_never_sent(link):
    link.serve(onupgrade=lambda request: "c")
    wire = await shake(link, b"Sec-WebSocket-Protocol: b, a")
    assert wire.status == 500
    assert wire.header(b"Sec-WebSocket-Protocol") == []
    await link.until(lambda: link.reported)
    assert [type(error) for error in link.reported] == [ValueError]
    link.reported.clear()


@pytest.mark.parametrize("is_later", [False, True])
@server
async def test_row_371_a_hook_can_refuse(link, is_later):
    held = []

    def onupgrade(request):
        if is_later:
            request.hold()
            held.append(request)
            return None
        return libws.Response(403, "no", {"X-Why": "x"})

    link.serve(onupgrade=onupgrade)
    wire = link.dial()
    wire.write(wire.request_bytes())
    if is_later:
        await link.until(lambda: held)
        await link.turns(20)
        assert wire.rest == b""
        held[0].respond(403, "no", {"X-Why": "x"})
    await wire.read_head()
    assert wire.status == 403
    assert wire.header(b"X-Why") == [b"x"]
    assert await wire.ended() == b"no"
    assert link.logs == {}


@server
async def test_row_371_false_is_403(link):
    link.serve(onupgrade=lambda request: False)
    assert (await shake(link)).status == 403


@server
async def test_row_372_a_client_that_leaves_meanwhile_leaves_nothing(link):
    held = []
    link.serve(onupgrade=lambda request: (request.hold(), held.append(request))[0])
    wire = link.dial()
    wire.write(wire.request_bytes())
    await link.until(lambda: held)
    wire.reset()
    await link.until(lambda: held[0].answered)
    with pytest.raises(libws.InvalidStateError):
        held[0].accept()
    assert link.logs == {}


@server
async def test_row_373_a_hook_can_add_headers(link):
    link.serve(onupgrade=lambda request: request.accept(headers={"Set-Cookie": "a=b"}))
    wire = await shake(link)
    assert wire.status == 101
    assert wire.header(b"Set-Cookie") == [b"a=b"]


@server
async def test_row_374_connections_accepted_elsewhere_are_served(link):
    listener = link.listener()
    link.serve()
    wire = link.raw_end(socket.create_connection(listener.getsockname()), masks=True)
    accepted = []

    def is_there():
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            return False
        return True

    await link.until(is_there)
    wire.write(wire.request_bytes())
    link.server.adopt(accepted[0])
    await wire.read_head()
    assert wire.status == 101
    await link.until(lambda: link.log == [("open",)])


@pytest.mark.parametrize("is_tracking", [True, False])
@server
async def test_row_375_open_sockets_can_be_listed(link, is_tracking):
    await link.open(client_tracking=is_tracking)
    assert link.server.clients == {link.ws}
    await link.close(1000)
    assert link.server.clients == set()


@server
async def test_row_376_close_stops_accepting_and_waits(link):
    closed = []
    await link.open(onclose=lambda: closed.append(True))
    port = link.server.port
    link.server.close(1001)
    assert (link.server.closing, link.server.closed) == (True, False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert closed == []
    assert await link.wire.echo_close() == close_body(1001)
    await link.until(lambda: closed == [True])
    assert link.server.closed
    link.server.close()


@server
async def test_row_377_handshakes_after_close_get_503(link):
    def onupgrade(request):
        link.server.close()
        with pytest.raises(libws.InvalidStateError):
            request.accept()

    link.serve(onupgrade=onupgrade)
    assert (await shake(link)).status == 503
    assert link.logs == {}


@pytest.mark.parametrize("code", [1001, 1008, 1011, 1012, 1013])
@server
async def test_row_379_a_server_can_close_with_every_code(link, code):
    await link.open()
    link.ws.closeWith(code, "why")
    assert await link.wire.echo_close() == close_body(code, "why")
    await link.closed(code, "why")


@server
async def test_row_380_a_broadcast_passes_over_who_is_closing(link):
    await link.open()
    second = await shake(link)
    await link.until(lambda: len(link.logs) == 2)
    link.ws.close()
    link.server.broadcast("news")
    link.server.broadcast(b"data")
    await link.wire.expect(CLOSE)
    await second.expect(TEXT, b"news")
    await second.expect(BINARY, b"data")


@server
async def test_row_383_the_url_is_made_of_host_and_target(link):
    link.serve()
    wire = link.dial()
    wire.write(wire.request_bytes(target=b"/chat?room=1", host=b"example.org:8080"))
    await wire.read_head()
    await link.until(lambda: link.ws is not None)
    assert link.ws.url == "ws://example.org:8080/chat?room=1"
