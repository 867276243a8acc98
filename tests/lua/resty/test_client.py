"""Clients inside nginx: connect() and WebSocket()."""

import socket
from urllib.parse import quote

import pytest


def ask(nginx, handler, url, **options):
    """Returns the lines that a handler says about a client of that URL."""
    query = "".join(f"&{name}={value}" for name, value in options.items())
    status, body = nginx.get(f"/app/{handler}?url={quote(url, safe='')}{query}")
    assert status == 200, body
    return body.splitlines()


def echo_url(nginx, handler="echo"):
    return f"ws://127.0.0.1:{nginx.port}/app/{handler}"


def test_connect_echo_and_close(nginx):
    lines = ask(nginx, "client", echo_url(nginx))
    assert lines[0] == "open"
    assert lines[1] == "hello"
    assert lines[2].startswith("permessage-deflate")
    assert lines[3] == "3000enoughtrue"


def test_compression_can_be_left_out(nginx):
    assert ask(nginx, "client", echo_url(nginx), compression="no")[2] == ""


def test_the_events_of_a_browser(nginx):
    assert ask(nginx, "client-events", echo_url(nginx)) == [
        "state 0",
        "open 1",
        f"message hello from ws://127.0.0.1:{nginx.port}",
        "close 1005 true",
    ]


def test_a_refused_port(nginx):
    assert ask(nginx, "client", "ws://127.0.0.1:1/") == ["connection refused | WS_ERR_CONNECT | -"]
    nginx.expect_error("connect() failed (111: Connection refused)")


def test_a_refused_port_by_events(nginx):
    assert ask(nginx, "client-events", "ws://127.0.0.1:1/") == ["state 0", "error WS_ERR_CONNECT", "close 1006 false"]
    nginx.expect_error("connect() failed (111: Connection refused)")


def test_a_name_without_a_resolver(nginx):
    (line,) = ask(nginx, "client", "ws://name.invalid/")
    assert line == 'no resolver defined to resolve "name.invalid" | WS_ERR_RESOLVE | -'


def test_another_status(nginx):
    (line,) = ask(nginx, "client", f"ws://127.0.0.1:{nginx.port}/nowhere")
    assert line == "the server did not answer with status 101 | WS_ERR_UNEXPECTED_STATUS | 404"
    nginx.expect_error("open()")


def test_a_protocol_that_is_not_spoken(nginx):
    (line,) = ask(nginx, "client", echo_url(nginx, "protocols"), protocol="x")
    assert "WS_ERR_MISSING_SUBPROTOCOL" in line


def test_a_server_that_says_nothing(nginx):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        (line,) = ask(nginx, "client", url, timeout="0.05")
    assert line == "opening handshake has timed out | WS_ERR_HANDSHAKE_TIMEOUT | -"


def test_close_while_connecting(nginx):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        assert ask(nginx, "client-close-early", url) == ["1006false"]


def test_a_unix_socket(start):
    nginx = start(server="listen unix:@HERE@/ws.sock;")
    url = f"ws+unix:{nginx.folder}/ws.sock:/app/echo"
    assert ask(nginx, "client", url)[:2] == ["open", "hello"]


def test_misuse_raises(nginx):
    lines = ask(nginx, "client-misuse", "")
    assert [line.split(":")[0] for line in lines] == [
        "SyntaxError", "SyntaxError", "SyntaxError", "TypeError", "TypeError", "TypeError",
        "InvalidStateError", "TypeError", "InvalidStateError",
    ]
    assert lines[3].endswith(": tls.ca: nginx has the directive lua_ssl_trusted_certificate for it")
    nginx.expect_error("connect() failed (111: Connection refused)")
    nginx.expect_error("SyntaxError: ")
    nginx.expect_error("TypeError: ")


def test_a_client_in_a_timer(nginx):
    ask(nginx, "client-in-timer", echo_url(nginx))
    nginx.wait_for_log("timer got from a timer")


def start_tls(start, certificate, trusted):
    cert, key = certificate
    trust = f"lua_ssl_trusted_certificate {cert};" if trusted else ""
    nginx = start(
        server=trust,
        http=f"""
          server {{
            listen 127.0.0.1:@TLS@ ssl;
            ssl_certificate {cert};
            ssl_certificate_key {key};
            location / {{ content_by_lua_block {{ require("handlers").echo() }} }}
          }}""",
    )
    return nginx


def test_wss_with_a_trusted_certificate(start, certificate):
    nginx = start_tls(start, certificate, trusted=True)
    lines = ask(nginx, "client", f"wss://127.0.0.1:{nginx.tls_port}/", name="localhost")
    assert lines[:2] == ["open", "hello"]


def test_wss_is_verified_by_default(start, certificate):
    nginx = start_tls(start, certificate, trusted=False)
    (line,) = ask(nginx, "client", f"wss://127.0.0.1:{nginx.tls_port}/", name="localhost")
    assert line.endswith(" | WS_ERR_CERTIFICATE | -")
    nginx.expect_error("lua ssl certificate verify error")


def test_wss_without_verification_has_to_be_asked_for(start, certificate):
    nginx = start_tls(start, certificate, trusted=False)
    lines = ask(nginx, "client", f"wss://127.0.0.1:{nginx.tls_port}/", insecure="yes")
    assert lines[:2] == ["open", "hello"]


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
def test_wss_to_another_name(start, certificate, name):
    # nginx compares names only: an IP address in the certificate is not seen.
    nginx = start_tls(start, certificate, trusted=True)
    (line,) = ask(nginx, "client", f"wss://127.0.0.1:{nginx.tls_port}/", name=name)
    assert line == "certificate host mismatch | WS_ERR_CERTIFICATE | -"
    nginx.expect_error("lua ssl certificate does not match host")
