"""Sections E and F: attributes of a socket, and the fields of its events."""

import pytest
from core_peers import BINARY, CLOSE, TEXT, close_body
from row_link import both, client, server

import libws

STATES = {"CONNECTING": 0, "OPEN": 1, "CLOSING": 2, "CLOSED": 3}


@both
async def test_rows_100_and_101_sockets_have_the_constants(link):
    await link.open()
    for name, value in STATES.items():
        assert getattr(libws.WebSocket, name) == value
        assert getattr(link.ws, name) == value


@both
async def test_row_102_the_constants_do_not_change(link):
    await link.open()
    for owner in (libws.WebSocket, link.ws):
        for name in STATES:
            with pytest.raises((AttributeError, TypeError)):
                setattr(owner, name, 5)
            with pytest.raises((AttributeError, TypeError)):
                delattr(owner, name)
    assert {name: getattr(link.ws, name) for name in STATES} == STATES


@client
async def test_row_103_a_new_socket_is_connecting(link):
    link.ws, _ = link.connect()
    assert link.ws.readyState == 0
    assert (link.ws.extensions, link.ws.protocol) == ("", "")  # Rows 56 and 111.


@both
async def test_rows_104_118_and_391_attributes_are_read_only(link):
    await link.open()
    for name in ("readyState", "bufferedAmount", "url", "protocol", "extensions"):
        before = getattr(link.ws, name)
        with pytest.raises(AttributeError):
            setattr(link.ws, name, 5)
        assert getattr(link.ws, name) == before


@both
async def test_row_105_it_is_open_in_the_open_handler(link):
    states = []
    await link.open(
        before=lambda ws: ws.addEventListener("open", lambda e: states.append(ws.readyState))
    )
    assert states == [1]


@both
async def test_row_108_it_is_closed_in_the_error_handler(link):
    states = []
    await link.open()
    for name in ("error", "close"):
        link.ws.addEventListener(name, lambda e: states.append(link.ws.readyState))
    link.wire.send(3)
    await link.failed(wire_code=1002)
    assert states == [3, 3]


@client
async def test_row_109_it_is_closing_until_tcp_ends(link):
    await link.open()
    link.wire.send(CLOSE, close_body(1000))
    await link.wire.expect(CLOSE, close_body(1000))
    await link.until(lambda: link.ws.readyState == 2)
    assert link.log == [("open",)]
    link.wire.shut_down()
    await link.closed(1000)


@both
async def test_rows_59_and_112_nothing_agreed_on_is_empty(link):
    await link.open()
    assert (link.ws.extensions, link.ws.protocol) == ("", "")


@both
async def test_row_113_extensions_are_those_of_the_response(link):
    await link.open_compressed()
    assert type(link.ws.extensions) is str
    assert link.ws.extensions.startswith("permessage-deflate")
    if not link.is_client:
        (sent,) = link.wire.header(b"Sec-WebSocket-Extensions")
        assert link.ws.extensions == sent.decode()


@both
async def test_rows_114_115_and_116_binary_type_takes_two_values(link):
    await link.open()
    assert link.ws.binaryType == "blob"
    link.ws.binaryType = "arraybuffer"
    assert link.ws.binaryType == "arraybuffer"
    link.ws.binaryType = "notBlobOrArrayBuffer"
    assert link.ws.binaryType == "arraybuffer"


@both
async def test_row_354_values_of_npm_ws_are_not_taken(link):
    await link.open()
    for value in ("nodebuffer", "fragments"):
        link.ws.binaryType = value
        assert link.ws.binaryType == "blob"


@both
async def test_row_117_nothing_is_buffered_at_first(link):
    await link.open()
    assert type(link.ws.bufferedAmount) is int
    assert link.ws.bufferedAmount == 0


@both
async def test_row_120_handlers_are_none_at_first(link):
    await link.open()
    handlers = [getattr(link.ws, "on" + name) for name in ("open", "message", "error", "close")]
    assert handlers == [None] * 4


@both
async def test_row_121_a_socket_is_an_event_target(link):
    await link.open()
    assert isinstance(link.ws, libws.EventTarget)
    for name in ("addEventListener", "removeEventListener", "dispatchEvent"):
        assert callable(getattr(link.ws, name))


# -- Events


async def event_of(link, name, act, **options):
    """The event of a name that comes after `act()`, and what it showed inside of
    its handler."""
    seen = []

    def note(event):
        seen.append((event, event.target, event.currentTarget, event.eventPhase))

    await link.open(before=lambda ws: ws.addEventListener(name, note), **options)
    if act is not None:
        act()
    await link.until(lambda: seen)
    return seen[0]


def fail(link):
    return lambda: link.wire.send(3)


def message(link, data=b"x"):
    return lambda: link.wire.send(TEXT, data)


@both
async def test_row_122_open_is_a_plain_event(link):
    event, *_ = await event_of(link, "open", None)
    assert event.type == "open"
    assert type(event) is libws.Event
    assert not hasattr(event, "data")
    assert not hasattr(event, "code")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("message", libws.MessageEvent), ("error", libws.ErrorEvent), ("close", libws.CloseEvent)],
)
@both
async def test_row_125_events_neither_bubble_nor_can_be_cancelled(link, name, kind):
    event, *_ = await event_of(link, name, message(link) if name == "message" else fail(link))
    assert (type(event), event.type) == (kind, name)
    assert (event.bubbles, event.cancelable) == (False, False)


@both
async def test_rows_126_and_127_targets_and_phase(link):
    event, target, current, phase = await event_of(link, "message", message(link))
    assert target is current is link.ws
    assert phase == libws.Event.AT_TARGET == 2
    assert event.target is link.ws
    assert (event.currentTarget, event.eventPhase) == (None, 0)


@both
async def test_row_128_only_real_events_are_trusted(link):
    event, *_ = await event_of(link, "message", message(link))
    assert event.isTrusted is True
    trusted = []
    link.ws.addEventListener("mine", lambda e: trusted.append(e.isTrusted))
    link.ws.dispatchEvent(libws.Event("mine"))
    assert trusted == [False]


@client
async def test_row_129_origin_of_a_message_is_that_of_the_url(link):
    event, *_ = await event_of(link, "message", message(link), path="/x?y")
    port = link.wire.sock.getsockname()[1]
    assert event.origin == f"ws://127.0.0.1:{port}"


@server
async def test_row_130_on_a_server_it_is_that_of_the_client(link):
    origins = []
    await link.open(b"Origin: https://o.example", origins="*")
    link.ws.onmessage = lambda e: origins.append(e.origin)
    link.wire.send(TEXT, b"x")
    await link.until(lambda: origins)
    assert origins == ["https://o.example"]


@server
async def test_row_130_without_one_it_is_empty(link):
    event, *_ = await event_of(link, "message", message(link))
    assert event.origin == ""


@both
async def test_row_131_the_rest_of_a_message_event_is_empty(link):
    event, *_ = await event_of(link, "message", message(link))
    assert (event.lastEventId, event.source, event.ports) == ("", None, [])


@both
async def test_row_132_a_close_event_has_read_only_fields(link):
    event, *_ = await event_of(link, "close", fail(link))
    fields = {"code": 1006, "reason": "", "wasClean": False}
    for name, value in fields.items():
        assert getattr(event, name) == value
        assert type(getattr(event, name)) is type(value)
        with pytest.raises(AttributeError):
            setattr(event, name, value)
    assert not hasattr(event, "initCloseEvent")  # Row 135.


@both
async def test_row_136_every_connection_has_one_close_event(link):
    await link.open()
    link.wire.send(BINARY, b"x")
    link.wire.send(3)
    await link.failed(("message", b"x"), wire_code=1002)
    link.ws.close()
    link.ws.terminate()
    link.ws.send("x")
    await link.turns(20)
    assert [event[0] for event in link.log].count("close") == 1
    assert link.log[-1][0] == "close"


@both
async def test_row_137_the_error_comes_right_before_it(link):
    order = []
    await link.open()
    for name in ("message", "error", "close", "ping"):
        link.ws.addEventListener(name, lambda e: order.append(e.type))
    link.wire.write(link.wire.frame(TEXT, b"x") + link.wire.frame(3) + link.wire.frame(TEXT, b"y"))
    await link.failed(("message", "x"), wire_code=1002)
    await link.turns(20)
    assert order == ["message", "error", "close"]
