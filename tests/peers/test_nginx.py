"""nginx as a WebSocket proxy in front of libws, and in front of its client."""

import pytest

from support.foreign import nginx
from support.libws import FOR_LARGE, LARGE, MIB, SIZES, pattern_text

pytestmark = pytest.mark.heavy


def target_of(url):
    return url.replace("ws", "http", 1).rstrip("/")


@pytest.fixture(params=["http", "https"])
def front(request, authority, identity):
    """(scheme, certificate of nginx, options of a client that trusts it)"""
    if request.param == "http":
        return "ws", None, {}
    return "wss", identity, {"ca": authority.ca}


def test_messages_pass_through(libws, front, tmp_path):
    """Row 153, with 16 MiB, both ends being libws."""
    scheme, identity, trust = front
    server = libws.serve("--max-message", LARGE)
    with nginx(libws, tmp_path, target_of(server.url), identity) as port:
        probe = libws.probe()
        socket = probe.connect(f"{scheme}://localhost:{port}/", **FOR_LARGE, **trust)
        probe.expect("open", id=socket)
        probe.expect_echoes(socket, [*SIZES, MIB, LARGE])


@pytest.mark.parametrize("code", [1000, 1001, 1013, 3000, 4999])
def test_close_codes_pass_through(libws, front, tmp_path, code):
    """Rows 205 and 214, in both directions."""
    scheme, identity, trust = front
    server = libws.probe()
    with nginx(libws, tmp_path, target_of(server.listen()), identity) as port:
        client = libws.probe()
        for closer, other in ((client, server), (server, client)):
            socket = client.connect(f"{scheme}://localhost:{port}/", **trust)
            client.expect("open", id=socket)
            server.expect("open", id=socket)
            closer.command("close-with", socket, code, "because")
            other.expect_close(socket, code, "because")
            closer.expect_close(socket, code, "because")


def test_compression_passes_through(libws, front, tmp_path):
    """Row 306."""
    scheme, identity, trust = front
    server = libws.serve("--compression")
    with nginx(libws, tmp_path, target_of(server.url), identity) as port:
        probe = libws.probe()
        socket = probe.connect(f"{scheme}://localhost:{port}/", compression="on", **trust)
        opened = probe.expect("open", id=socket)
        assert opened["extensions"].startswith("permessage-deflate")
        probe.send_text_pattern(socket, MIB)
        probe.expect_message(socket, pattern_text(MIB))


def test_the_command_connects_through_tls(libws, authority, identity, tmp_path):
    server = libws.serve()
    with nginx(libws, tmp_path, target_of(server.url), identity) as port:
        client = libws.connect(f"wss://localhost:{port}/", "--ca", authority.ca)
        client.expect_echo()


def test_a_server_that_is_gone_is_502(libws, tmp_path):
    """Row 74: what nginx says is an HTTP status."""
    with nginx(libws, tmp_path, "http://127.0.0.1:1") as port:
        client = libws.connect(f"ws://127.0.0.1:{port}/")
        error = client.expect_failure("UNEXPECTED_STATUS")
        assert error["status"] == 502


def test_a_plain_request_to_the_tls_port_is_refused(libws, identity, tmp_path):
    """nginx answers plain HTTP on its TLS port with 400."""
    with nginx(libws, tmp_path, "http://127.0.0.1:1", identity) as port:
        client = libws.connect(f"ws://127.0.0.1:{port}/")
        error = client.expect_failure("UNEXPECTED_STATUS")
        assert error["status"] == 400
