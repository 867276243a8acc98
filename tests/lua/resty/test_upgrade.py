"""The opening handshake: who is let in, and what the others are told."""

import subprocess

import pytest
from support.frames import LIMIT, Client


def test_a_handshake_is_accepted(connect):
    client = connect("echo")
    status, headers = client.response
    assert status == 101
    assert headers["upgrade"] == "websocket"
    assert "sec-websocket-extensions" not in headers
    assert "server" not in headers


def test_nginx_logs_the_status(nginx, connect):
    connect("echo").close()
    with Client(nginx.port) as client:
        client.request("/app/refuse", ["Sec-WebSocket-Key: second"])
        assert client.read_head()[0] == 400
        client.read_to_end()
    nginx.quit()
    lines = (nginx.folder / "access.log").read_text().splitlines()
    assert sorted(line.split('" ')[1].split()[0] for line in lines) == ["101", "400"]


def test_protocol_headers_and_request(connect):
    client = connect("protocols?q=1", ["Sec-WebSocket-Protocol: a, c, b", "X-Question: 6 * 7"])
    assert client.response[1]["sec-websocket-protocol"] == "c"
    assert client.response[1]["x-answer"] == "42"
    assert client.read_message() == b"c"
    assert client.read_message() == b"GET /app/protocols 6 * 7"
    assert client.read_message() == b"ws://127.0.0.1/app/protocols?q=1"
    assert client.read_message() == b"127.0.0.1:PORT"


# Rows 361 to 367.
@pytest.mark.parametrize(
    "request_text, status, code",
    [
        ("GET /app/refuse HTTP/1.1\r\nHost: a\r\n\r\n", 426, "WS_ERR_INVALID_UPGRADE"),
        ("POST /app/refuse HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Content-Length: 0\r\n\r\n", 405, "WS_ERR_HTTP_METHOD"),
        ("GET /app/refuse HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 12\r\n\r\n", 426, "WS_ERR_INVALID_VERSION"),
        ("GET /app/refuse HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n", 400, "WS_ERR_INVALID_KEY"),
        ("GET /app/refuse HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n"
         "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 403, "WS_ERR_ORIGIN_NOT_ALLOWED"),
    ],
)
def test_what_is_no_handshake_is_answered_and_the_connection_ends(nginx, request_text, status, code):
    with Client(nginx.port) as client:
        client.send_raw(request_text.encode())
        assert client.read_head()[0] == status
        client.read_to_end()
        nginx.wait_for_log(f"{code} {status}")


def test_a_same_origin_page_is_let_in(connect):
    assert connect("echo", ["Origin: http://127.0.0.1"]).close() == 1000


def test_http_2_is_told_to_use_http_1(start):
    nginx = start(server="listen 127.0.0.1:@TLS@ http2;")
    answer = subprocess.run(
        ["curl", "-s", "-w", " %{http_code} %{http_version}", "--http2-prior-knowledge",
         f"http://127.0.0.1:{nginx.tls_port}/app/refuse"],
        capture_output=True, timeout=LIMIT,
    )
    assert answer.stdout.decode() == "WebSockets need HTTP/1.1\n 400 2"


def test_an_unknown_option_is_an_error_of_the_handler(nginx):
    assert nginx.get("/app/bad-option")[0] == 500
    nginx.expect_error(": unknown option 'nonsense'")
    nginx.expect_error("lua entry thread aborted: runtime error: unknown reason")


@pytest.mark.parametrize(
    "directive, call, phase",
    [
        ("header_filter_by_lua_block", "upgrade()", "header_filter"),
        ("log_by_lua_block", "upgrade()", "log"),
        ("access_by_lua_block", "upgrade()", "access"),
        ("log_by_lua_block", "WebSocket('ws://127.0.0.1/')", "log"),
        ("body_filter_by_lua_block", "connect('ws://127.0.0.1/')", "body_filter"),
    ],
)
def test_a_phase_without_sockets_is_named(start, directive, call, phase):
    # Row 402.
    code = f"local _, err = pcall(function() require('libws.resty').{call} end) ngx.log(ngx.NOTICE, tostring(err))"
    nginx = start(server=f"location /phase {{ {directive} {{ {code} }} content_by_lua_block {{ ngx.say() }} }}")
    assert nginx.get("/phase")[0] == 200
    nginx.expect_error(f"but this is the phase {phase}")
    nginx.wait_for_log("InvalidStateError: ")
