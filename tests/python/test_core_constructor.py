"""Sections A and B of the behaviour table: what the constructor takes."""

import socket
import urllib.parse

import pytest
from core_peers import Peer, echo
from core_run import FAILED, record, run

import libws


def url_of(text, *args):
    return libws.WebSocket(text, *args).url


def test_a_url_is_required():  # Row 1.
    with pytest.raises(TypeError):
        libws.WebSocket()


def test_the_third_argument_is_the_options():  # Row 2.
    libws.WebSocket("ws://h/", "echo", {})
    libws.WebSocket("ws://h/", "echo", {"origin": "https://x"}, max_message=10)
    with pytest.raises(TypeError):
        libws.WebSocket("ws://h/", "echo", 5)
    with pytest.raises(TypeError, match="nonsense"):
        libws.WebSocket("ws://h/", nonsense=1)


def test_the_constructor_does_not_wait():  # Row 3.
    ws = libws.WebSocket("ws://h.example/")
    assert isinstance(ws, libws.WebSocket)
    assert isinstance(ws, libws.EventTarget)
    assert ws.readyState == 0


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://h.example:8080", "ws://h.example:8080/"),  # Row 4.
        ("WS://127.0.0.1:1/echo", "ws://127.0.0.1:1/echo"),  # Row 5.
        ("ws://LOCALHOST:1/", "ws://localhost:1/"),  # Row 6.
        ("ws://h:443/", "ws://h:443/"),  # Row 8.
        ("wss://h:80/", "wss://h:80/"),  # Row 8.
        ("ws://h:08080/", "ws://h:8080/"),  # Row 9.
        ("ws://h:/x", "ws://h/x"),  # Row 9.
        ("http://h/", "ws://h/"),  # Row 15.
        ("https://h:443/x", "wss://h/x"),  # Row 15.
        ("http://h:80/?a", "ws://h/?a"),  # Row 15.
        ("ws:127.0.0.1:1/echo", "ws://127.0.0.1:1/echo"),  # Row 17.
        ("ws:/127.0.0.1:1/echo", "ws://127.0.0.1:1/echo"),  # Row 17.
        ("ws:\\\\127.0.0.1:1\\echo", "ws://127.0.0.1:1/echo"),  # Row 17.
        ("ws://h/a%23b", "ws://h/a%23b"),  # Row 21.
        ("ws://h/a/../b/./c", "ws://h/b/c"),  # Row 22.
        ("ws://h/?€", "ws://h/?%E2%82%AC"),  # Row 25.
        ("  ws://h/ \n", "ws://h/"),  # Row 28.
        ("ws://h/a\tb\nc", "ws://h/abc"),  # Row 28.
        ("ws://127.1/", "ws://127.0.0.1/"),  # Row 29.
        ("ws://0x7f.1/", "ws://127.0.0.1/"),  # Row 29.
        ("ws://[::1]:81/", "ws://[::1]:81/"),  # Row 29.
        ("ws://foo:bar@h/", "ws://foo:bar@h/"),  # Row 30.
        ("ws://h/?", "ws://h/?"),  # Row 33.
        ("ws://h/?\ud800", "ws://h/?%EF%BF%BD"),  # USVString.
    ],
)
def test_urls_are_normalised(text, url):
    assert url_of(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *("ws://h:65536/", "ws://h:80a/", "ws://h:-1/"),  # Row 10.
        *("ws://a<b/", "ws://%/", "ws://a|b/"),  # Row 13.
        *("ftp://h/", "mailto:a@b.org", "about:blank", "wsx://h/", "file:///x"),  # Row 14.
        *("test", "/x", "?q", "//h/x", ""),  # Row 18.
        *("ws://h/#f", "ws://h/#", "ws://h/?q#", "#test"),  # Row 20.
    ],
)
def test_bad_urls_are_syntax_errors(text):
    with pytest.raises(libws.SyntaxError) as caught:
        libws.WebSocket(text)
    assert caught.value.name == "SyntaxError"
    assert caught.value.message


def test_objects_with_a_text_are_taken():  # Row 40.
    class Url:
        count = 0

        def __str__(self):
            self.count += 1
            return "ws://h/x"

    url = Url()
    assert url_of(url) == "ws://h/x"
    assert url.count == 1
    assert url_of(urllib.parse.urlparse("ws://h/y?z")) == "ws://h/y?z"


@pytest.mark.parametrize("value", [None, 123, 1.5, b"ws://h/", bytearray(b"ws://h/"), [], object()])
def test_other_types_are_type_errors(value):  # Row 41.
    with pytest.raises(TypeError):
        libws.WebSocket(value)


def test_the_url_is_read_only():  # Rows 34, 391.
    ws = libws.WebSocket("ws://h/")
    with pytest.raises(AttributeError):
        ws.url = "ws://o/"
    assert ws.url == "ws://h/"


def test_schemes_and_hosts_of_any_case_connect():  # Rows 5, 6, 16.
    with Peer(echo, echo, echo) as peer:
        for scheme, host in (("WS", "127.0.0.1"), ("ws", "LOCALHOST"), ("http", "127.0.0.1")):
            ws = libws.WebSocket(f"{scheme}://{host}:{peer.port}/echo")
            log = record(ws)
            ws.onopen = lambda e: e.target.close(1000)
            run()
            assert log == [("open",), ("close", 1000, "", True)]


def test_credentials_of_the_url_are_sent():  # Rows 30, 31.
    seen = []

    def script(wire):
        wire.read_head()
        seen.extend(wire.header(b"Authorization"))

    with Peer(script, script) as peer:
        for user in ("foo:bar", "u:p%40x"):
            libws.WebSocket(f"ws://{user}@127.0.0.1:{peer.port}/").onclose = lambda e: None
            run()
    assert seen == [b"Basic Zm9vOmJhcg==", b"Basic dTpwQHg="]


@pytest.mark.parametrize("port", [0, 6000, 10080])
def test_bad_ports_are_blocked_when_asked_for(port):  # Row 35.
    ws = libws.WebSocket(f"ws://127.0.0.1:{port}/", block_bad_ports=True)
    log = record(ws)
    codes = []
    ws.addEventListener("error", lambda e: codes.append(e.error.code))
    run()
    assert log == FAILED
    assert codes == ["WS_ERR_BLOCKED_PORT"]


def test_a_host_that_does_not_resolve_fails_later():  # Row 38.
    ws = libws.WebSocket("ws://example.invalid/")
    log = record(ws)
    assert log == []
    run()
    assert log == FAILED


# -- Subprotocols


@pytest.mark.parametrize(
    ("protocols", "header"),
    [
        (None, []),  # Row 42.
        ([], []),  # Row 42.
        ("a", [b"a"]),  # Row 43.
        (["a"], [b"a"]),  # Row 43.
        (["b", "a", "c"], [b"b, a, c"]),  # Row 44.
        (iter(["b", "a"]), [b"b, a"]),  # Row 55.
    ],
)
def test_subprotocols_are_asked_for_in_order(protocols, header):
    seen = []

    def script(wire):
        wire.read_head()
        seen.extend(wire.header(b"Sec-WebSocket-Protocol"))

    with Peer(script) as peer:
        libws.WebSocket(peer.url, protocols).onclose = lambda e: None
        run()
    assert seen == header


BAD_TOKENS = [chr(c) for c in (*range(0x21), 0x7F, *range(0x80, 0x100))] + list('()<>@,;:\\"/[]?={}')


@pytest.mark.parametrize(
    "protocols",
    [
        *("", [""]),  # Row 45.
        "ec ho",  # Row 46.
        ["echo", "echo"],  # Row 52.
        ["echo", "eCho"],  # Row 53.
        ["foobar, foobar"],  # Row 54.
    ],
)
def test_bad_subprotocols_are_syntax_errors(protocols):
    with pytest.raises(libws.SyntaxError):
        libws.WebSocket("ws://h/", protocols)


@pytest.mark.parametrize("char", [c for c in BAD_TOKENS if c != "\0"])
def test_characters_that_are_no_token_are_syntax_errors(char):  # Rows 48, 49, 50.
    with pytest.raises(libws.SyntaxError):
        libws.WebSocket("ws://h/", f"a{char}b")


def test_nul_in_a_subprotocol_is_a_syntax_error():  # Row 49.
    with pytest.raises(libws.SyntaxError):
        libws.WebSocket("ws://h/", "a\0b")


@pytest.mark.parametrize("protocols", [{"a": 1}, [1], 5, b"a", [b"a"]])
def test_wrong_types_of_subprotocols_are_type_errors(protocols):  # Row 55.
    with pytest.raises(TypeError):
        libws.WebSocket("ws://h/", protocols)


def test_the_protocol_is_empty_before_open_and_then_the_chosen_one():  # Rows 56, 57.
    seen = []
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url, ["x", "echo"])
        assert ws.protocol == ""
        ws.onopen = lambda e: (seen.append(ws.protocol), ws.close())
        run()
    assert seen == ["echo"]


# -- Options


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"headers": {"X": "a\r\nb"}}, ValueError),  # Row 67, A-38.
        ({"headers": {"X\n": "a"}}, ValueError),
        ({"headers": {"X": "a\0"}}, ValueError),
        ({"headers": {"Host": "h"}}, TypeError),  # Row 68.
        ({"headers": {"sec-websocket-key": "h"}}, TypeError),  # Row 68.
        ({"headers": {"X": 5}}, TypeError),
        ({"headers": "X: 5"}, TypeError),
        ({"headers": [("X",)]}, TypeError),
        ({"origin": "a\nb"}, ValueError),
        ({"origin": 5}, TypeError),
        ({"max_message": 0}, ValueError),
        ({"max_message": -1}, ValueError),
        ({"max_message": 1 << 70}, ValueError),
        ({"max_message": "1"}, TypeError),
        ({"handshake_timeout": 0}, ValueError),
        ({"handshake_timeout": -1}, ValueError),
        ({"handshake_timeout": float("nan")}, ValueError),
        ({"compression": "gzip"}, ValueError),
        ({"compression_level": 10}, ValueError),
        ({"client_max_window_bits": 16}, ValueError),
        ({"proxy": "gopher://h/"}, ValueError),
        ({"tls": 5}, TypeError),
        ({"tls": libws.TLSOptions(cafile="/nonexistent")}, libws.TLSError),
        ({"loop": 5}, TypeError),
        ({"reconnect_min": 2, "reconnect_max": 1}, ValueError),
    ],
)
def test_bad_options_raise(options, error):
    with pytest.raises(error):
        libws.WebSocket("ws://h/", **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_message": "1"}, "max_message must be an int, not str"),
        ({"max_message": 1.5}, "max_message must be an int, not float"),
        ({"max_redirects": "1"}, "max_redirects must be an int, not str"),
        ({"ping_interval": "1"}, "ping_interval must be a number of seconds, not str"),
        ({"origins": 5}, "origins must be a str or an iterable of str, not int"),
        ({"headers": 5}, "headers must be a mapping or an iterable of pairs, not int"),
        ({"sock": "1"}, "sock must be a socket or a descriptor, not str"),
    ],
)
def test_wrong_types_are_told_by_name(options, text):
    with pytest.raises(TypeError) as caught:
        libws.WebSocket("ws://h/", **options)
    assert str(caught.value) == text


def test_wrong_arguments_are_told_by_name():
    with pytest.raises(TypeError, match="^protocols must be a str or an iterable of str, not int$"):
        libws.WebSocket("ws://h/", 5)
    with pytest.raises(TypeError, match="^port must be an int, not str$"):
        libws.WebSocketServer("127.0.0.1", "80")
    with pytest.raises(ValueError, match="^port must be 0 to 65535$"):
        libws.WebSocketServer("127.0.0.1", -1)
    target = libws.EventTarget()
    with pytest.raises(TypeError, match=r"^addEventListener\(\) takes at least 2 arguments"):
        target.addEventListener()
    with pytest.raises(TypeError, match=r"^removeEventListener\(\) argument 1 must be str, not int"):
        target.removeEventListener(5, None)
    with pytest.raises(TypeError, match="^signal must be an AbortSignal, not int$"):
        target.addEventListener("a", print, signal=5)
    with pytest.raises(TypeError, match=r"^Event\(\) takes at least 1 argument"):
        libws.Event()


def test_wss_without_tls_is_refused():
    with pytest.raises(ValueError, match="wss"):
        libws.WebSocket("wss://h/", tls=False)


def test_options_that_mean_none_are_taken():
    libws.WebSocket(
        "ws://h/",
        headers=None,
        origin=None,
        max_message=None,
        max_fragments=None,
        ping_interval=None,
        handshake_timeout=None,
        compression=None,
        proxy=False,
        tls=None,
        sock=None,
        loop=None,
    )


def test_a_connected_socket_is_taken_over():
    with Peer(echo) as peer:
        sock = socket.create_connection(("127.0.0.1", peer.port))
        ws = libws.WebSocket("ws://other.example/x", sock=sock)
        assert sock.fileno() == -1
        log = record(ws)
        ws.onopen = lambda e: ws.close()
        run()
        assert log == [("open",), ("close", 1005, "", True)]


def test_a_second_init_is_refused():
    ws = libws.WebSocket("ws://h/")
    with pytest.raises(RuntimeError):
        ws.__init__("ws://o/")
    assert ws.url == "ws://h/"


def test_a_subclass_that_forgets_init_is_told():
    class Forgetful(libws.WebSocket):
        def __init__(self):
            pass

    ws = Forgetful()
    for call in (lambda: ws.send("a"), ws.close, ws.terminate, ws.ping, ws.stats, ws._recv):
        with pytest.raises(RuntimeError, match="__init__"):
            call()
    assert ws.readyState == 0
    assert ws.url == ""
    assert ws.bufferedAmount == 0
