"""IPv6, in both directions, and a name with addresses of both kinds. (A dead IPv6
address beside a live IPv4 one is in tests/unit/test_dial.c.)"""

import socket

import pytest

from support.frames import RawServer, TEXT, connect_raw

LOOPBACK = "::1"


def has_ipv6():
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind((LOOPBACK, 0))
        except OSError:
            return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def test_a_server_on_ipv6(libws):
    server = libws.serve("--host", LOOPBACK)
    assert server.url.startswith("ws://[::1]:")
    with connect_raw(server.port, LOOPBACK) as peer:
        peer.open()
        peer.send_frame(TEXT, b"hello")
        peer.expect(TEXT, b"hello")


def test_a_client_on_ipv6(libws):
    """Row 63: brackets stand in the Host header."""
    with RawServer(LOOPBACK) as server:
        client = libws.connect(server.url)
        with server.accept().accept() as peer:
            assert peer.header("Host") == f"[::1]:{server.port}"
            client.expect("open")
            client.send("hello")
            peer.expect(TEXT, b"hello")
            peer.send_close(1000)
            peer.expect_close(1000)
        client.expect_close(1000)
        assert client.wait() == 0


def test_any_address_takes_both(libws):
    """ws_listen_options.host: "::" takes IPv4 as well."""
    server = libws.serve("--host", "::")
    for host in (LOOPBACK, "127.0.0.1"):
        with connect_raw(server.port, host) as peer:
            peer.open()


@pytest.mark.parametrize("host", [LOOPBACK, "127.0.0.1"])
def test_a_name_is_reached_by_the_address_that_answers(libws, host):
    """The name is both, and only one of them listens."""
    server = libws.serve("--host", host)
    client = libws.connect(f"ws://both.test:{server.port}/", env=libws.where_both_are_known())
    client.expect_echo()


def test_libws_talks_to_itself_on_ipv6(libws):
    server = libws.serve("--host", LOOPBACK)
    libws.connect(server.url).expect_echo()
