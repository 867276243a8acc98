"""Proxies: HTTP CONNECT, the same over TLS, and SOCKS5; with and without
credentials; from the option and from the environment. Own ones, which show what
they were asked, and tinyproxy and microsocks."""

import base64
import ssl

import pytest

from support.foreign import microsocks, tinyproxy
from support.frames import CRLF
from support.process import clean_environment
from support.proxies import ConnectProxy, SocksProxy

USER = ("user", "p@ss word")
USER_IN_URL = ("user", "p%40ss%20word")
WRONG_IN_URL = ("user", "guess")
# A host that nobody else knows: the proxy alone can reach it.
HOST = "echo.test"


@pytest.fixture
def server(libws):
    return libws.serve()


@pytest.fixture
def target(server):
    return ("127.0.0.1", server.port)


def basic(credentials):
    return b"Basic " + base64.b64encode(":".join(credentials).encode())


# -- HTTP CONNECT --------------------------------------------------------------


def test_connect_asks_for_a_tunnel_to_the_host(libws, target):
    with ConnectProxy(target) as proxy:
        libws.connect(f"ws://{HOST}:8080/chat", "--proxy", proxy.url()).expect_echo()
    head, = proxy.requests
    lines = head.split(CRLF)
    assert lines[0] == b"CONNECT echo.test:8080 HTTP/1.1"
    assert b"Host: echo.test:8080" in lines
    assert b"authorization" not in head.lower()


def test_connect_names_the_default_port(libws, target):
    with ConnectProxy(target) as proxy:
        libws.connect(f"ws://{HOST}/", "--proxy", proxy.url()).expect_echo()
    assert proxy.requests[0].startswith(b"CONNECT echo.test:80 HTTP/1.1\r\n")


def test_connect_sends_credentials(libws, target):
    with ConnectProxy(target, USER) as proxy:
        client = libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(USER_IN_URL))
        client.expect_echo()
    assert CRLF + b"Proxy-Authorization: " + basic(USER) + CRLF in proxy.requests[0]


@pytest.mark.parametrize("credentials", [None, WRONG_IN_URL])
def test_connect_without_the_right_credentials_fails(libws, target, credentials):
    with ConnectProxy(target, USER) as proxy:
        client = libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(credentials))
        error = client.expect_failure("PROXY")
        assert "407" in error["message"]


def test_connect_over_tls(libws, target, authority, identity):
    """The client speaks TLS to the proxy and plain HTTP through it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(identity.cert, identity.key)
    with ConnectProxy(target, USER, tls) as proxy:
        libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(USER_IN_URL),
                      "--ca", authority.ca).expect_echo()
    assert len(proxy.requests) == 1


def test_connect_over_tls_checks_the_certificate(libws, target, identity):
    """Nothing is asked of a proxy that could be anybody."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(identity.cert, identity.key)
    with ConnectProxy(target, USER, tls) as proxy:
        client = libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(USER_IN_URL))
        client.expect_failure("CERTIFICATE")
    assert proxy.requests == []


def test_tls_through_connect(libws, authority, identity):
    """The certificate is checked against the URL's host, not the proxy's."""
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    with ConnectProxy(("127.0.0.1", server.port)) as proxy:
        libws.connect("wss://localhost/", "--proxy", proxy.url(),
                      "--ca", authority.ca).expect_echo()
        wrong = libws.connect(f"wss://{HOST}/", "--proxy", proxy.url(), "--ca", authority.ca)
        wrong.expect_failure("CERTIFICATE")
    assert [head.split()[1] for head in proxy.requests] == [b"localhost:443", b"echo.test:443"]


@pytest.mark.heavy
def test_tinyproxy(libws, server, tmp_path):
    with tinyproxy(libws, tmp_path, ("user", "secret")) as port:
        libws.connect(server.url, "--proxy", f"http://user:secret@127.0.0.1:{port}").expect_echo()
        client = libws.connect(server.url, "--proxy", f"http://user:guess@127.0.0.1:{port}")
        client.expect_failure("PROXY")


# -- SOCKS5 --------------------------------------------------------------------


def test_socks_is_given_the_name(libws, target):
    """socks5h: the proxy resolves."""
    with SocksProxy(target) as proxy:
        libws.connect(f"ws://{HOST}:8080/", "--proxy", proxy.url()).expect_echo()
    assert proxy.requests == [(HOST, 8080)]


def test_socks_is_given_the_address(libws, target):
    """socks5: the client resolves."""
    with SocksProxy(target) as proxy:
        url = proxy.url().replace("socks5h", "socks5")
        libws.connect("ws://127.0.0.1:8080/", "--proxy", url).expect_echo()
    assert proxy.requests == [("127.0.0.1", 8080)]


def test_socks_is_given_an_ipv6_address(libws, target):
    with SocksProxy(target) as proxy:
        libws.connect("ws://[2001:db8::1]:8080/", "--proxy", proxy.url()).expect_echo()
    assert proxy.requests == [("2001:db8::1", 8080)]


def test_socks_sends_credentials(libws, target):
    with SocksProxy(target, USER) as proxy:
        libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(USER_IN_URL)).expect_echo()
    assert proxy.requests == [(HOST, 80)]


@pytest.mark.parametrize("credentials", [None, WRONG_IN_URL])
def test_socks_without_the_right_credentials_fails(libws, target, credentials):
    with SocksProxy(target, USER) as proxy:
        client = libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(credentials))
        client.expect_failure("PROXY")
    assert proxy.requests == []


def test_tls_through_socks(libws, authority, identity):
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    with SocksProxy(("127.0.0.1", server.port)) as proxy:
        libws.connect("wss://localhost/", "--proxy", proxy.url(),
                      "--ca", authority.ca).expect_echo()


@pytest.mark.heavy
def test_microsocks(libws, server):
    with microsocks(libws, ("user", "secret")) as port:
        libws.connect(server.url, "--proxy",
                      f"socks5://user:secret@127.0.0.1:{port}").expect_echo()
        client = libws.connect(server.url, "--proxy", f"socks5://user:guess@127.0.0.1:{port}")
        client.expect_failure("PROXY")


# -- The environment -----------------------------------------------------------


@pytest.mark.parametrize("name", ["ws_proxy", "socks_proxy", "https_proxy", "HTTPS_PROXY",
                                  "http_proxy", "all_proxy", "ALL_PROXY"])
def test_the_environment_names_a_proxy(libws, target, name):
    kind = SocksProxy if name == "socks_proxy" else ConnectProxy
    with kind(target) as proxy:
        client = libws.connect(f"ws://{HOST}/", env=clean_environment(**{name: proxy.url()}))
        client.expect_echo()
    assert len(proxy.requests) == 1


def test_http_proxy_is_not_for_wss(libws, target):
    """RFC 6455 section 4.1 has wss prefer the proxy for HTTPS."""
    with ConnectProxy(target) as proxy:
        client = libws.connect(f"wss://{HOST}/", env=clean_environment(http_proxy=proxy.url()))
        client.expect_failure("RESOLVE")
    assert proxy.requests == []


@pytest.mark.parametrize("exception", [HOST, "test", ".test", "*"])
def test_no_proxy_names_exceptions(libws, target, exception):
    with ConnectProxy(target) as proxy:
        env = clean_environment(http_proxy=proxy.url(), no_proxy=f"example.com, {exception}")
        libws.connect(f"ws://{HOST}/", env=env).expect_failure("RESOLVE")
    assert proxy.requests == []


def test_this_machine_is_reached_without_a_proxy(libws, server, target):
    with ConnectProxy(target) as proxy:
        client = libws.connect(server.url, env=clean_environment(http_proxy=proxy.url()))
        client.expect_echo()
    assert proxy.requests == []


def test_the_option_comes_before_the_environment(libws, target):
    with ConnectProxy(target) as unused, ConnectProxy(target) as proxy:
        env = clean_environment(http_proxy=unused.url())
        libws.connect(f"ws://{HOST}/", "--proxy", proxy.url(), env=env).expect_echo()
    assert (len(unused.requests), len(proxy.requests)) == (0, 1)


def test_no_proxy_at_all_can_be_asked_for(libws, target):
    with ConnectProxy(target) as proxy:
        env = clean_environment(http_proxy=proxy.url())
        libws.connect(f"ws://{HOST}/", "--no-proxy", env=env).expect_failure("RESOLVE")
    assert proxy.requests == []
