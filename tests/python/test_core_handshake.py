"""Sections C and D: the request that a client writes, and what answers open."""

import socket
import threading

import pytest
from core_peers import TEXT, Peer, accept_of, close_body, echo, frame, with_wrong_letter
from core_run import FAILED, record, run

import libws


def head_of(url_path="", **options):
    """The request head of a client, as its peer saw it."""
    seen = []

    def script(wire):
        seen.append(wire.read_head())

    with Peer(script) as peer:
        libws.WebSocket(f"ws://127.0.0.1:{peer.port}{url_path}", **options).onclose = lambda e: None
        run()
    return seen[0].split(b"\r\n"), peer.port


def values(lines, name):
    pairs = [line.split(b": ", 1) for line in lines[1:]]
    return [value for key, value in pairs if key.lower() == name]


def test_the_request_is_that_of_the_url():  # Rows 60, 63.
    lines, port = head_of("/a/b?c=d")
    assert lines[0] == b"GET /a/b?c=d HTTP/1.1"
    assert values(lines, b"host") == [b"127.0.0.1:%d" % port]


def test_the_headers_of_the_handshake_are_there_once():  # Rows 61, 62, 66.
    lines, _ = head_of()
    assert values(lines, b"upgrade") == [b"websocket"]
    assert values(lines, b"connection") == [b"Upgrade"]
    assert values(lines, b"sec-websocket-version") == [b"13"]
    assert len(values(lines, b"sec-websocket-key")[0]) == 24
    assert values(lines, b"origin") == []
    assert values(lines, b"sec-websocket-key") != values(head_of()[0], b"sec-websocket-key")


def test_compression_is_offered_unless_it_is_off():  # Row 64.
    (offer,) = values(head_of()[0], b"sec-websocket-extensions")
    assert offer.startswith(b"permessage-deflate")
    assert b"client_max_window_bits" in offer
    assert values(head_of(compression=False)[0], b"sec-websocket-extensions") == []


@pytest.mark.parametrize(
    "headers",
    [{"X-A": "1", "X-B": "é"}, [("X-A", "1"), ("X-B", "é")], libws.Headers({"X-A": "1", "X-B": "é"})],
)
def test_headers_and_origin_are_added(headers):  # Rows 66, 67.
    lines, _ = head_of(headers=headers, origin="https://x")
    assert values(lines, b"x-a") == [b"1"]
    assert values(lines, b"x-b") == ["é".encode("latin-1")]
    assert values(lines, b"origin") == [b"https://x"]


def test_the_headers_of_the_response_can_be_read():  # Row 70.
    def script(wire):
        wire.open(b"Set-Cookie: a=b", b"Set-Cookie: c=d")

    seen = []
    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        assert ws.response is None
        ws.onopen = lambda e: seen.append(ws.response)
        run()
    (response,) = seen
    assert response.status == 101
    assert response.reason == "Switching Protocols"
    assert response.headers.get_all("set-cookie") == ["a=b", "c=d"]


def test_a_client_that_fails_can_connect_again_at_once():  # Row 72.
    def refuse(wire):
        wire.read_head()

    log = []
    with Peer(refuse, refuse, refuse, echo) as peer:

        def connect(_=None):
            ws = libws.WebSocket(peer.url)
            ws.onopen = lambda e: ws.close(1000)
            ws.onclose = lambda e: (log.append(e.wasClean), e.wasClean or connect())

        connect()
        run()
    assert log == [False, False, False, True]


def answers(*lines, accept=None):
    """A script that answers with a head of these lines."""

    def script(wire):
        wire.read_head()
        key = wire.header(b"Sec-WebSocket-Key")[0]
        answer = accept_of(key) if accept is None else accept(accept_of(key))
        wire.write(b"\r\n".join(lines).replace(b"{}", answer) + b"\r\n\r\n")

    return script


SWITCH = b"HTTP/1.1 101 Switching Protocols"
UPGRADE = b"Upgrade: websocket"
CONNECTION = b"Connection: Upgrade"
ACCEPT = b"Sec-WebSocket-Accept: {}"
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (answers(b"FOO BAR BAZ"), {}),  # Row 73.
        *(  # Row 74.
            (answers(b"HTTP/1.1 %d Status" % status, b"Content-Length: 0"), {})
            for status in (200, 204, 400, 403, 404, 426, 500, 503)
        ),
        *(  # Row 75.
            (answers(b"HTTP/1.1 %d Found" % status, b"Location: ws://127.0.0.1:1/"), {})
            for status in (301, 302, 307, 308)
        ),
        (answers(b"HTTP/1.1 401 Who", b"WWW-Authenticate: Basic"), {}),  # Row 76.
        (answers(SWITCH, CONNECTION, ACCEPT), {}),  # Row 77.
        (answers(SWITCH, b"Upgrade: h2c", CONNECTION, ACCEPT), {}),  # Row 79.
        (answers(SWITCH, UPGRADE, ACCEPT), {}),  # Row 80.
        (answers(SWITCH, UPGRADE, CONNECTION), {}),  # Row 83.
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, accept=with_wrong_letter), {}),  # Row 83.
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, accept=bytes.swapcase), {}),  # Row 85.
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, b"Sec-WebSocket-Protocol: foobar"), {}),  # 86.
        (  # Row 87.
            answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, b"Sec-WebSocket-Protocol: foobar"),
            {"protocols": "FOOBAR"},
        ),
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT), {"protocols": "foobar"}),  # Row 88.
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, b"Sec-WebSocket-Extensions: foo"), {}),  # 90.
        (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, DEFLATE), {"compression": False}),  # 91.
        *(  # Row 92.
            (answers(SWITCH, UPGRADE, CONNECTION, ACCEPT, DEFLATE + b"; " + parameter), {})
            for parameter in (
                b"server_max_window_bits=7",
                b"server_max_window_bits=16",
                b"server_max_window_bits=1000",
                b"unknown",
                b"server_no_context_takeover; server_no_context_takeover",
            )
        ),
        (answers(b"HTTP/1.0 101 Switching Protocols", UPGRADE, CONNECTION, ACCEPT), {}),  # Row 96.
        (lambda wire: wire.read_head(), {}),  # Row 97.
        (lambda wire: None, {}),  # Row 97.
    ],
)
def test_other_answers_fail_the_connection(script, options):
    options = dict(options)
    protocols = options.pop("protocols", None)
    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, protocols, **options)
        log = record(ws)
        states = []
        ws.addEventListener("error", lambda e: states.append(ws.readyState))
        ws.addEventListener("close", lambda e: states.append(ws.readyState))
        run()
    assert log == FAILED
    assert states == [3, 3]  # Row 108.


@pytest.mark.parametrize(
    "connection",
    [b"Connection: keep-alive, Upgrade", b"connection: upgrade"],  # Row 81.
)
def test_names_and_tokens_compare_without_case(connection):  # Row 78.
    with Peer(answers(SWITCH, b"Upgrade: WebSocket", connection, ACCEPT)) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        run()
    assert log[0] == ("open",)


def test_the_error_of_a_refusal_has_the_response():
    def script(wire):
        wire.read_head()
        wire.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: x\r\nContent-Length: 4\r\n\r\nbody")

    seen = []
    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        ws.onerror = lambda e: seen.append(e.error)
        run()
    (error,) = seen
    assert type(error) is libws.InvalidStatus
    assert isinstance(error, libws.HandshakeError)
    assert error.status == 403
    assert error.response.status == 403
    assert error.response.reason == "Forbidden"
    assert error.response.headers["x-why"] == "x"
    assert error.response.body == b"body"
    assert error.code == "WS_ERR_UNEXPECTED_STATUS"
    assert (error.side, error.phase, error.close_code) == ("peer", "handshake", None)


def test_refused_ports_are_network_errors():  # Row 97.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    seen = []
    ws = libws.WebSocket(f"ws://127.0.0.1:{port}/")
    log = record(ws)
    ws.addEventListener("error", lambda e: seen.append(e))
    run()
    assert log == FAILED
    (event,) = seen
    assert isinstance(event.error, libws.NetworkError)
    assert isinstance(event.error, OSError)
    assert event.error.code == "WS_ERR_CONNECT"
    assert event.message == str(event.error) != ""  # Row 249.


def test_close_comes_after_open_when_it_is_called_there():  # Row 93.
    def script(wire):
        wire.read_head()
        wire.write(wire.response() + frame(8, close_body(1001, "PASS")))
        assert wire.receive() == (0x88, close_body(3000))

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.close(3000)
        run()
    assert log == [("open",), ("close", 1001, "PASS", True)]


def test_a_message_behind_the_answer_is_not_lost():  # Row 94.
    def script(wire):
        wire.read_head()
        wire.write(wire.response() + frame(TEXT, b"hi"))
        wire.echo_close()

    log = []
    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)

        def onopen(event):
            log.append("open")
            ws.onmessage = lambda e: (log.append(e.data), ws.close())

        ws.onopen = onopen
        run()
    assert log == ["open", "hi"]


def test_an_answer_may_come_byte_by_byte():  # Row 95.
    def script(wire):
        wire.read_head()
        for byte in wire.response():
            wire.write(bytes([byte]))
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.close(1000)
        run()
    assert log == [("open",), ("close", 1000, "", True)]


def test_an_endless_head_fails():  # Row 98.
    def script(wire):
        wire.read_head()
        try:
            for _ in range(100):
                wire.write(b"X: " + b"y" * 1000 + b"\r\n")
        except ConnectionError:
            pass

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        run()
    assert log == FAILED


def test_a_silent_server_is_given_up():  # Row 343.
    done = threading.Event()

    def script(wire):
        wire.read_head()
        done.wait(60)

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, handshake_timeout=0.05)
        log = record(ws)
        errors = []
        ws.addEventListener("error", lambda e: errors.append(e.error))
        run()
        done.set()
    assert log == FAILED
    assert isinstance(errors[0], TimeoutError)
    assert isinstance(errors[0], libws.ConnectionTimeout)
    assert errors[0].code == "WS_ERR_HANDSHAKE_TIMEOUT"


def test_redirects_are_followed_when_asked_for():  # Row 344.
    with Peer(echo) as target:

        def script(wire):
            wire.read_head()
            wire.write(b"HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n" % target.url.encode())

        with Peer(script) as peer:
            ws = libws.WebSocket(peer.url, max_redirects=1)
            log = record(ws)
            ws.onopen = lambda e: ws.close(1000)
            run()
            assert ws.url == target.url
    assert log == [("open",), ("close", 1000, "", True)]
