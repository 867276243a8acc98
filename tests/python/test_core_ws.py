"""Conventions of npm's `ws` beyond the browser: cookies, the answers of servers,
callbacks of send()."""

import asyncio
import errno
import gc
import threading
from http.cookiejar import Cookie, CookieJar

import pytest
from core_peers import CLOSE, TEXT, Client, Peer, echo
from core_run import collect, record, run, run_until, serving
from shells import async_test

import libws
from libws._engine import open_engine

REFUSAL = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho"


def refuse(wire):
    wire.read_head()
    wire.write(REFUSAL)
    wire.end()


# -- Cookies (row 69)


def cookie(name, value, *, secure=False, domain="127.0.0.1", path="/", http_only=False):
    rest = {"HttpOnly": None} if http_only else {}
    return Cookie(
        0, name, value, None, False, domain, False, False, path, True, secure, None, False,
        None, None, rest,
    )  # fmt: skip


def cookies_sent(url_of=lambda peer: peer.url, **options):
    got = []

    def script(wire):
        wire.open()
        got.extend(wire.header(b"Cookie"))
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(url_of(peer), **options)
        ws.onopen = lambda e: ws.close()
        run()
    return got


def test_row_69_cookies_are_one_header():
    assert cookies_sent(cookies={"a": "1", "b": "2"}) == [b"a=1; b=2"]
    assert cookies_sent(cookies=[("a", "1"), ("a", "2")]) == [b"a=1; a=2"]
    headers = iter([("Cookie", "x=0"), ("X-Y", "z")])
    assert cookies_sent(headers=headers, cookies={"a": "1"}) == [b"x=0; a=1"]
    assert cookies_sent(cookies={}) == []
    assert cookies_sent(cookies=None) == []


def test_row_69_a_cookie_cannot_pass_for_two():
    for cookies in ({"a": "1; b=2"}, {"a; b": "1"}, {"a=b": "1"}):
        with pytest.raises(ValueError, match="^a cookie must not have"):
            libws.WebSocket("ws://127.0.0.1:1/", cookies=cookies)
    with pytest.raises(TypeError, match="^cookies must be a mapping, pairs or a CookieJar, not int"):
        libws.WebSocket("ws://127.0.0.1:1/", cookies=5)


def test_row_69_a_jar_knows_which_cookies_go_where():
    jar = CookieJar()
    jar.set_cookie(cookie("plain", "1"))
    jar.set_cookie(cookie("http_only", "2", http_only=True))
    jar.set_cookie(cookie("secure", "3", secure=True))
    jar.set_cookie(cookie("elsewhere", "4", domain="example.com"))
    jar.set_cookie(cookie("deeper", "5", path="/deep"))
    assert cookies_sent(cookies=jar) == [b"plain=1; http_only=2"]
    (deeper,) = cookies_sent(lambda peer: peer.url + "deep/er", cookies=jar)
    assert sorted(deeper.split(b"; ")) == [b"deeper=5", b"http_only=2", b"plain=1"]
    secure = libws._host.with_cookies("wss://127.0.0.1/", jar, [])
    assert secure == [("Cookie", "plain=1; http_only=2; secure=3")]


def test_wrong_cookies_are_refused():
    for wrong in (5, "a=b", [1]):
        with pytest.raises((TypeError, ValueError)):
            libws.WebSocket("ws://127.0.0.1:1/", cookies=wrong)
    with pytest.raises(ValueError):
        libws.WebSocket("ws://127.0.0.1:1/", cookies={"a": "b\r\nX: y"})


@async_test
async def test_row_69_cookies_of_connect():
    got = []

    def script(wire):
        wire.open()
        got.extend(wire.header(b"Cookie"))
        wire.echo_close()

    with Peer(script) as peer:
        async with libws.connect(peer.url, cookies={"a": "1"}):
            pass
    assert got == [b"a=1"]


def test_row_69_cookies_with_a_context_of_ssl():
    opening = open_engine("ws://h/", None, {"cookies": {"a": "1"}, "driver": "loop"})
    assert b"\r\nCookie: a=1\r\n" in bytes(opening.engine.output())
    with pytest.raises(TypeError, match="thread"):
        open_engine("ws://h/", None, {"driver": "thread"})


# -- What the server answers


def test_row_341_unexpected_response_instead_of_error_and_close():
    log = []

    def on_response(event):
        assert event.target.readyState == 3
        response = event.response
        log.append((response.status, response.headers["www-authenticate"], response.body))

    with Peer(refuse) as peer:
        ws = libws.WebSocket(peer.url)
        record(ws, log)
        ws.addEventListener("unexpected-response", on_response)
        run()
    assert log == [(401, "Basic", b"who")]
    assert ws.readyState == 3


def test_row_341_without_listener_or_response_it_is_an_error():
    with Peer(refuse) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        run()
    assert log == [("error",), ("close", 1006, "", False)]
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    ws.addEventListener("unexpected-response", log.append)
    assert record(ws, log) is log
    run()
    assert log == [("error",), ("close", 1006, "", False)] * 2


@pytest.mark.parametrize("driver", ["loop", "thread"])
def test_row_342_upgrade_comes_before_open(driver):
    def script(wire):
        wire.open(b"X-Served-By: me")
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver=driver)
        log = []
        ws.addEventListener(
            "upgrade", lambda e: log.append((e.response.status, e.response.headers["x-served-by"]))
        )
        record(ws, log)
        ws.addEventListener("open", lambda e: ws.close())
        run()
    assert log == [(101, "me"), ("open",), ("close", 1005, "", True)]


@pytest.mark.parametrize("driver", ["loop", "thread"])
def test_row_342_closing_in_upgrade_cancels_the_open(driver):
    def script(wire):
        wire.open().echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver=driver)
        log = record(ws)
        ws.addEventListener("upgrade", lambda e: ws.close(3000))
        run()
    assert log == [("close", 3000, "", True)]


def test_an_error_of_the_network_has_its_number():
    errors = []
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    ws.onerror = lambda e: errors.append(e.error)
    run()
    assert isinstance(errors[0], (libws.NetworkError, OSError))
    assert errors[0].errno == errno.ECONNREFUSED
    assert "refused" in str(errors[0])


# -- Callbacks of send() (row 348)

in_both_drivers = pytest.mark.parametrize("driver", ["loop", "thread"])


@in_both_drivers
def test_row_348_the_callback_comes_after_the_write(driver):
    log = []
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url, driver=driver)

        def on_open(event):
            assert ws.send("a", lambda error: log.append(("sent", error))) is None
            ws.send(b"b", None)
            log.append("returned")

        ws.onopen = on_open
        ws.onmessage = lambda e: log.append(e.data) or e.data == "a" or ws.close()
        run()
    assert log[0] == "returned"
    if driver == "thread":  # Which may have heard of the echo first.
        assert sorted(map(str, log[1:])) == ["('sent', None)", "a", "b'b'"]
    else:
        assert log[1:] == [("sent", None), "a", b"b"]


@in_both_drivers
def test_row_348_a_callback_waits_until_the_system_takes_it(driver):
    size = 32 << 20
    go = threading.Event()
    log = []

    def script(wire):
        wire.open()
        go.wait(60)
        left = 14 + size  # Head, key and payload.
        while left > 0:
            left -= len(wire.sock.recv(min(left, 1 << 20)))
        wire.expect(TEXT, b"small")
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver=driver, max_send_queue=2 * size)
        ws.onopen = lambda e: libws.stop()
        run()
        ws.send(bytes(size), lambda error: log.append(("large", error)))
        ws.send("small", lambda error: log.append(("small", error)) or ws.close())
        ticks = []
        timer = ws._loop.timer(0.02, lambda: ticks.append(1))
        run_until(lambda: ticks)
        assert log == []  # No socket buffer has so much room.
        del timer
        go.set()
        ws.onclose = lambda e: log.append(e.code)
        run()
    assert log == [("large", None), ("small", None), 1005]


@in_both_drivers
def test_row_348_the_callback_gets_the_error_of_what_is_never_sent(driver):
    log = []

    def script(wire):
        wire.open()
        go.wait(60)
        wire.reset()

    go = threading.Event()
    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, driver=driver, max_send_queue=64 << 20)
        ws.onopen = lambda e: libws.stop()
        run()
        ws.send(bytes(32 << 20), log.append)
        go.set()
        ws.onclose = lambda e: log.append(e.code)
        run()
        assert log[0] == 1006
        assert isinstance(log[1], libws.ConnectionClosedError)
        # And later sends, which raise nothing either.
        ws.send("x", log.append)
        run()
        assert [type(entry) for entry in log[1:]] == [libws.ConnectionClosedError] * 2


def test_row_348_of_a_server():
    log = []

    def onconnection(ws, request):
        ws.send("hi", lambda error: log.append(error))
        ws.onclose = lambda e: server.close()

    def script(wire):
        wire.request()
        wire.expect(TEXT, b"hi")
        wire.send(CLOSE, b"")
        wire.receive()

    with serving(onconnection) as server:
        client = Client(server.port, script)
        run()
        client.finish()
    assert log == [None]


def test_what_a_callback_may_be():
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)
        with pytest.raises(TypeError, match="callback"):
            ws.send("x", 5)
        with pytest.raises(TypeError):
            ws.send("x", None, None)
        with pytest.raises(libws.InvalidStateError):
            ws.send("x", print)
        ws.onopen = lambda e: ws.close()
        run()


def test_callbacks_keep_their_socket_and_are_collected_with_the_loop():
    alive = []

    class Callback:
        def __call__(self, error):
            alive.append(error)

        def __del__(self):
            alive.append("gone")

    with Peer(lambda wire: wire.open().read_to_end()) as peer:
        ws = libws.WebSocket(peer.url, max_send_queue=64 << 20)
        ws.onopen = lambda e: libws.stop()
        run()
        ws.onopen = None
        ws.pause()
        ws.send(bytes(32 << 20), Callback())
        loop = ws._loop
        loop.close()
        assert alive == ["gone"]
        del ws, loop
    collect()
    assert gc.collect() == 0


@async_test
async def test_a_callback_may_be_a_coroutine_function():
    done = asyncio.get_running_loop().create_future()

    async def callback(error):
        done.set_result(error)

    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)
        ws.onopen = lambda e: ws.send(b"x" * 1000, callback)
        assert await done is None
        ended = asyncio.get_running_loop().create_future()
        ws.onclose = ended.set_result
        ws.close()
        await ended


def test_an_exception_of_a_callback_goes_to_the_hook(monkeypatch):
    caught = []
    monkeypatch.setattr("sys.unraisablehook", lambda info: caught.append(info.exc_type))
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)
        ws.onopen = lambda e: ws.send(b"x", lambda error: 1 / 0)
        ws.onmessage = lambda e: ws.close()
        run()
    assert caught == [ZeroDivisionError]
