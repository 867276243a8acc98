"""Sections A to D: what a client makes of URL and options, and of the answers."""

import contextlib
import socket
import tempfile

import pytest
from core_peers import CLOSE, accept_of, close_body, with_wrong_letter
from core_run import FAILED
from row_link import DEFLATE, both, client, url_of
from shells import certificate  # noqa: F401 - a fixture.

import libws


async def requested(link, **options):
    """Connects, and returns the raw end that has read the request."""
    link.ws, listener = link.connect(**options)
    wire = await link.accept(listener)
    await wire.read_head()
    return wire


def connected(link, url, **options):
    """A client of that URL, whose connection is made already, and its raw end."""
    ours, theirs = socket.socketpair()
    ws = libws.WebSocket(url, sock=ours, **options)
    link.record(ws)
    return ws, link.raw_end(theirs, masks=False)


# -- The constructor


@client
async def test_row_16_http_urls_connect(link):
    listener = link.listener()
    link.ws = libws.WebSocket(url_of(listener).replace("ws:", "http:"))
    link.record(link.ws)
    wire = await link.accept(listener)
    await wire.read_head()
    wire.write(wire.response())
    await link.until(lambda: link.log == [("open",)])


@client
async def test_row_26_international_names_become_ascii(link):
    """In URL, Host header and origin; the connection is one that is made already."""
    name = "xn--n8j6ds53lwwkrqhv28a.example"
    link.ws, wire = connected(link, "ws://天気の良い日.example/")
    assert link.ws.url == f"ws://{name}/"
    origins = []
    link.ws.addEventListener("message", lambda e: origins.append(e.origin))
    await wire.read_head()
    assert wire.header(b"Host") == [name.encode()]
    wire.write(wire.response() + b"\x81\x01x")
    await link.until(lambda: origins)
    assert origins == [f"ws://{name}"]


@pytest.mark.parametrize("url", ["ws://h:80/", "ws://h:443/", "wss://h:80/", "wss://h:443/"])
@client
async def test_row_36_ports_of_the_web_are_never_blocked(link, url):
    link.ws, wire = connected(link, url, block_bad_ports=True)
    await link.until(lambda: wire.rest)
    assert wire.rest[:1] == (b"\x16" if url.startswith("wss") else b"G")


@client
async def test_row_37_blocking_is_an_option(link):
    listener = None
    for port in (6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080):
        with contextlib.suppress(OSError):
            listener = link.stack.enter_context(socket.create_server(("127.0.0.1", port)))
            break
    assert listener is not None, "all the ports are taken"
    listener.setblocking(False)
    link.ws, _ = link.connect(listener)
    wire = await link.accept(listener)
    await wire.read_head()
    wire.write(wire.response())
    await link.until(lambda: link.log == [("open",)])


@client
async def test_row_37_port_0_fails_later(link):
    link.ws = libws.WebSocket("ws://127.0.0.1:0/")
    link.record(link.ws)
    assert link.log == []
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


BAD_ARGUMENTS = [
    (),
    (None,),
    (5,),
    (b"ws://h/",),
    ("",),
    ("test",),
    ("ftp://h/",),
    ("ws://h/#f",),
    ("ws://h:65536/",),
    ("ws://a<b/",),
    ("ws://h/", ""),
    ("ws://h/", "a b"),
    ("ws://h/", ["a", "A"]),
    ("ws://h/", 5),
    ("ws://h/", None, 5),
]


@pytest.mark.parametrize("args", BAD_ARGUMENTS)
def test_row_39_no_error_is_a_security_error(args):
    with pytest.raises((TypeError, libws.SyntaxError)) as caught:
        libws.WebSocket(*args)
    assert not isinstance(caught.value, libws.SecurityError)


# -- Subprotocols, cookies


@client
async def test_rows_57_and_58_the_server_chooses_one_of_the_list(link):
    for protocol in ("foobar", "foobar2"):
        wire = await requested(link, protocols=["foobar", "foobar2"])
        assert wire.header(b"Sec-WebSocket-Protocol") == [b"foobar, foobar2"]
        protocols = []
        link.ws.addEventListener("open", lambda e: protocols.append(e.target.protocol))
        wire.write(wire.response(b"Sec-WebSocket-Protocol: " + protocol.encode()))
        await link.until(lambda: protocols)
        assert protocols == [protocol]


@client
async def test_row_71_handshakes_run_side_by_side(link):
    listener = link.listener()
    sockets = [link.connect(listener)[0] for _ in range(2)]
    wires = [await link.accept(listener) for _ in sockets]
    for wire in wires:
        await wire.read_head()
    for wire in wires:
        wire.write(wire.response())
    await link.until(lambda: all(ws.readyState == 1 for ws in sockets))
    link.ws = sockets[0]


@client
async def test_row_72_a_new_attempt_starts_at_once(link):
    listener = link.listener()
    cleans = []

    def connect():
        link.ws, _ = link.connect(listener)
        link.ws.addEventListener("close", lambda e: (cleans.append(e.wasClean), again(e)))

    def again(event):
        if not event.wasClean:
            connect()

    connect()
    for _ in range(3):
        wire = await link.accept(listener)
        await wire.read_head()
        wire.reset()
    wire = await link.accept(listener)
    await wire.read_head()
    wire.write(wire.response())
    await link.until(lambda: link.ws.readyState == 1)
    link.ws.close(1000)
    await wire.echo_close()
    wire.shut_down()
    await link.until(lambda: len(cleans) == 4)
    assert cleans == [False, False, False, True]


# -- The response

SWITCH = b"HTTP/1.1 101 Switching Protocols"
UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: Upgrade"
ACCEPT = b"Sec-WebSocket-Accept: {}"
GOOD = (SWITCH, UPGRADE, CONNECTION, ACCEPT)
PROTOCOL = b"Sec-WebSocket-Protocol: foobar"


def answer(row, *lines, accept=None, **options):
    """A case: lines of the head, in which {} is what the key asks for."""
    return pytest.param(lines, accept or (lambda key: key), options, id=f"row_{row}")


ANSWERS = [
    answer(73, b"FOO BAR BAZ"),  # Row 73.
    *(  # Row 74.
        answer(74, b"HTTP/1.1 %d Status" % status, b"Content-Length: 0")
        for status in (200, 204, 400, 403, 404, 426, 500, 503)
    ),
    *(  # Row 75.
        answer(75, b"HTTP/1.1 %d Found" % status, b"Location: ws://127.0.0.1:1/")
        for status in (301, 302, 307, 308)
    ),
    answer(76, b"HTTP/1.1 401 Who", b"WWW-Authenticate: Basic"),  # Row 76.
    answer(77, SWITCH, CONNECTION, ACCEPT),  # Row 77.
    answer(79, SWITCH, b"Upgrade: h2c", CONNECTION, ACCEPT),  # Row 79.
    answer(80, SWITCH, UPGRADE, ACCEPT),  # Row 80.
    answer(83, SWITCH, UPGRADE, CONNECTION),  # Row 83.
    answer(83, *GOOD, accept=with_wrong_letter),
    answer(85, *GOOD, accept=bytes.swapcase),  # Row 85.
    answer(86, *GOOD, PROTOCOL),  # Row 86.
    answer(87, *GOOD, PROTOCOL, protocols="FOOBAR"),  # Row 87.
    answer(88, *GOOD, protocols="foobar"),  # Row 88.
    answer(90, *GOOD, b"Sec-WebSocket-Extensions: foo"),  # Row 90.
    answer(91, *GOOD, DEFLATE, compression=False),  # Row 91.
    *(  # Row 92.
        answer(92, *GOOD, DEFLATE + b"; " + parameter)
        for parameter in (
            b"server_max_window_bits=7",
            b"server_max_window_bits=16",
            b"server_max_window_bits=1000",
            b"unknown",
            b"server_no_context_takeover; server_no_context_takeover",
        )
    ),
    answer(96, b"HTTP/1.0 101 Switching Protocols", *GOOD[1:]),  # Row 96.
]


@pytest.mark.parametrize(("lines", "accept", "options"), ANSWERS)
@client
async def test_rows_73_to_96_other_answers_fail(link, lines, accept, options):
    wire = await requested(link, **options)
    key = accept(accept_of(wire.header(b"Sec-WebSocket-Key")[0]))
    wire.write(b"\r\n".join(lines).replace(b"{}", key) + b"\r\n\r\n")
    wire.shut_down()
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@pytest.mark.parametrize("line", [b"Connection: keep-alive, Upgrade", b"connection: UPGRADE"])
@client
async def test_rows_78_and_81_names_and_tokens_compare_without_case(link, line):
    wire = await requested(link)
    wire.write(wire.response().replace(CONNECTION, line).replace(UPGRADE, b"UPGRADE: WebSocket"))
    await link.until(lambda: link.log == [("open",)])


@both
async def test_row_93_a_close_right_behind_the_head_comes_after_open(link):
    body = close_body(1001, "PASS")
    close = b"\x88" + (
        bytes([len(body)]) + body if link.is_client else bytes([0x80 | len(body)]) + bytes(4) + body
    )
    await link.open(
        behind=close, before=lambda ws: ws.addEventListener("open", lambda e: ws.close(3000))
    )
    assert (await link.wire.receive())[0] == 0x80 | CLOSE
    link.wire.shut_down()
    await link.closed(1001, "PASS")
    assert [event[0] for event in link.log] == ["open", "close"]


@both
async def test_rows_94_and_360_a_message_right_behind_the_head_is_not_lost(link):
    got = []

    def before(ws):
        ws.onopen = lambda e: setattr(ws, "onmessage", lambda e: got.append(e.data))

    await link.open(behind=b"\x81\x01x" if link.is_client else b"\x81\x81\0\0\0\0x", before=before)
    await link.until(lambda: got == ["x"])


@client
async def test_row_95_the_response_may_come_byte_by_byte(link):
    wire = await requested(link)
    for byte in wire.response():
        wire.write(bytes([byte]))
        await link.turns(1)
    await link.until(lambda: link.log == [("open",)])


@client
async def test_row_97_every_failure_has_the_same_close_event(link):
    events = []

    async def fails(ws, *wires):
        link.ws = ws
        ws.addEventListener("close", lambda e: events.append((e.code, e.reason, e.wasClean)))
        await link.until(lambda: len(link.log) == 2)
        assert link.log == FAILED

    def without_listener(url):
        ws = libws.WebSocket(url)
        link.record(ws)
        return ws

    closed = link.listener()
    port = closed.getsockname()[1]
    closed.close()
    await fails(without_listener(f"ws://127.0.0.1:{port}/"))
    await fails(without_listener("ws://example.invalid/"))
    # No byte of an answer, and no TLS.
    for scheme in ("ws", "wss"):
        listener = link.listener()
        ws = without_listener(url_of(listener).replace("ws:", scheme + ":"))
        wire = await link.accept(listener)
        await link.until(lambda: wire.rest)  # noqa: B023
        wire.write(b"" if scheme == "ws" else b"this is no TLS\r\n")
        wire.shut_down()
        await fails(ws)
    assert events == [(1006, "", False)] * 4


@client
async def test_row_98_a_head_without_end_fails(link):
    wire = await requested(link)
    wire.write(SWITCH + b"\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 100)
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@client
async def test_row_344_redirects_are_followed_up_to_a_limit(link):
    first, second = link.listener(), link.listener()
    options = {"max_redirects": 2, "headers": {"X-A": "1"}}
    link.ws = libws.WebSocket(url_of(first).replace("//", "//user:secret@"), **options)
    link.record(link.ws)
    moved = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"
    wire = await link.accept(first)
    await wire.read_head()
    assert wire.header(b"Authorization") == [b"Basic dXNlcjpzZWNyZXQ="]
    wire.write(moved % b"/again")
    wire = await link.accept(first)
    assert (await wire.read_head()).startswith(b"GET /again ")
    assert wire.header(b"Authorization") == [b"Basic dXNlcjpzZWNyZXQ="]
    wire.write(moved % url_of(second, "/elsewhere").encode())
    wire = await link.accept(second)
    await wire.read_head()
    assert wire.header(b"Authorization") == []
    wire.write(moved % b"/once-too-often")
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@client
async def test_row_351_unix_sockets_have_urls(link):
    folder = link.stack.enter_context(tempfile.TemporaryDirectory())
    path = f"{folder}/s.sock"
    listener = link.stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    listener.setblocking(False)
    link.ws = libws.WebSocket(f"ws+unix:{path}:/path?q")
    link.record(link.ws)
    wire = await link.accept(listener)
    assert (await wire.read_head()).startswith(b"GET /path?q HTTP/1.1\r\n")
    wire.write(wire.response())
    await link.until(lambda: link.log == [("open",)])


# -- Options


@client
async def test_row_352_origin_headers_and_credentials_are_options(link):
    wire = await requested(link, origin="https://x", headers={"X-A": "1", "Authorization": "Bearer t"})
    assert wire.header(b"Origin") == [b"https://x"]
    assert wire.header(b"X-A") == [b"1"]
    assert wire.header(b"Authorization") == [b"Bearer t"]


def tls_server(link, cert, key, **options):
    """Our server over TLS; raw bytes are for the tests of TLS itself."""
    return link.serve(tls=libws.TLSOptions(certfile=cert, keyfile=key, **options))


@pytest.mark.parametrize(
    ("options", "opens"),
    [
        ({}, False),
        ({"cafile": True}, True),
        ({"insecure_no_verify": True}, True),
        ({"cafile": True, "name": "localhost"}, True),
        ({"cafile": True, "name": "other.example"}, False),
        ({"cafile": True, "client": True}, True),
    ],
)
@client
async def test_row_352_certificates_and_names_are_options(link, certificate, options, opens):  # noqa: F811
    cert, key = certificate
    wanted = {"cafile": cert, "client_auth": "required"} if options.get("client") else {}
    server = tls_server(link, cert, key, **wanted)
    tls = {name: options[name] for name in options if name == "insecure_no_verify"}
    if "cafile" in options:
        tls["cafile"] = cert
    if "client" in options:
        tls.update(certfile=cert, keyfile=key)
    ws = libws.WebSocket(
        server.urls[0], tls=libws.TLSOptions(**tls), server_name=options.get("name")
    )
    link.record(ws)
    await link.until(lambda: link.logs[ws])
    assert link.logs[ws][0] == (("open",) if opens else ("error",))
    link.ws = ws
