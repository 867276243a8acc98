"""libws.asyncio as a server, with clients that write and read bytes, and ours."""

import asyncio
import contextlib
import re
import socket

import libws
import libws.sync
import pytest
from libws.asyncio import (
    ServerConnection,
    State,
    basic_auth,
    broadcast,
    connect,
    route,
    serve,
    unix_connect,
    unix_serve,
)

from core_peers import CLOSE, TEXT, Client, close_body
from shells import async_test, turns, until


async def echo(ws):
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def serving(handler=echo, **options):
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server


async def status_of(uri, **options):
    with pytest.raises(libws.InvalidStatus) as caught:
        await connect(uri, **options)
    return caught.value.status


async def run_client(server, script):
    await asyncio.to_thread(Client(server.port, script).finish)


# -- Serving -------------------------------------------------------------------


@async_test
async def test_handler_talks_to_each_client():
    async with serving() as server:
        async with connect(server.urls[0]) as one, connect(server.urls[0]) as two:
            assert len(server.connections) == 2
            await one.send("a")
            await two.send(b"b")
            assert (await one.recv(), await two.recv()) == ("a", b"b")
        await until(lambda: not server.connections)
        assert server.stats()["opened"] == 2


@async_test
async def test_serve_can_be_awaited():
    server = await serve(echo, "127.0.0.1", 0)
    assert server.is_serving()
    assert server.urls == [f"ws://127.0.0.1:{server.port}"]
    server.close()
    await server.wait_closed()
    assert not server.is_serving()


@async_test
async def test_handler_sees_the_request():
    seen = []

    async def handler(ws):
        assert isinstance(ws, ServerConnection)
        seen.append((ws.request.path, ws.request.headers["X-A"], ws.server is server))
        seen.append(ws.remote_address[0])

    async with serving(handler) as server:
        async with connect(server.urls[0] + "/a?b", additional_headers={"X-A": "1"}) as ws:
            await ws.wait_closed()
            assert ws.close_code == 1000  # The handler has returned.
    assert seen == [("/a", "1", True), "127.0.0.1"]


@async_test
async def test_messages_sent_with_the_handshake_are_kept():  # Row 360.
    def script(wire):
        wire.write(wire.request_bytes())
        wire.send(TEXT, b"early")
        wire.read_head()
        wire.expect(TEXT, b"early")
        wire.send(CLOSE, close_body(1000))
        wire.expect(CLOSE, close_body(1000))

    async with serving() as server:
        await run_client(server, script)


@async_test
async def test_failing_handler_closes_with_1011(reported):
    async def handler(ws):
        raise ZeroDivisionError

    async with serving(handler) as server:
        async with connect(server.urls[0]) as ws:
            with pytest.raises(libws.ConnectionClosedError) as caught:
                await ws.recv()
            assert caught.value.code == 1011
    context = reported.pop()
    assert isinstance(context["exception"], ZeroDivisionError)
    assert context["message"].startswith("The handler of <ServerConnection")


@pytest.mark.parametrize("code", [1000, 1011, 4000])
@async_test
async def test_handler_that_is_left_by_its_client_is_no_error(code):
    async def handler(ws):
        while True:
            await ws.recv()

    async with serving(handler) as server:
        ws = await connect(server.urls[0])
        await ws.close(code)


# -- Hooks of the handshake ----------------------------------------------------


@async_test
async def test_process_request_refuses_or_answers():  # Rows 361, 371.
    async def slowly(connection, request):
        await turns()
        return at_once(connection, request)

    def at_once(connection, request):
        connection.greeting = "hello"
        if request.path == "/page":
            return libws.Response(200, "the page", {"Content-Type": "text/plain"})
        if request.path == "/teapot":
            return connection.respond(418, "no")
        return None

    async def handler(ws):
        await ws.send(ws.greeting)

    def get(wire):
        wire.write(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
        wire.read_head()
        assert wire.status == 200
        assert wire.read_to_end() == b"the page"

    for hook in (at_once, slowly):
        async with serving(handler, process_request=hook) as server:
            await run_client(server, get)
            assert await status_of(server.urls[0] + "/teapot") == 418
            async with connect(server.urls[0]) as ws:
                assert await ws.recv() == "hello"


@async_test
async def test_plain_request_is_told_to_upgrade():  # Row 361.
    def script(wire):
        wire.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wire.read_head()
        assert wire.status == 426

    async with serving() as server, serving(process_request=lambda *_: None) as hooked:
        await run_client(server, script)
        await run_client(hooked, script)


@async_test
async def test_connection_in_a_hook_is_connecting():
    seen = []

    def hook(connection, request):
        seen.append((repr(connection), connection.state, connection.readyState))

    async with serving(process_request=hook) as server:
        assert repr(server) == f"<Server {server.urls[0]}>"
        async with connect(server.urls[0]):
            pass
    assert seen == [("<ServerConnection CONNECTING>", State.CONNECTING, 0)]
    assert repr(server) == "<Server closing>"


@async_test
async def test_hook_has_to_return_a_response(reported):
    async with serving(process_request=lambda *_: (403, {}, b"")) as server:
        assert await status_of(server.urls[0]) == 500
    error = reported.pop()["exception"]
    assert str(error) == "a hook must return a Response or None, not tuple"


@pytest.mark.parametrize(
    "name", ("handler", "process_request", "process_response", "select_subprotocol")
)
def test_what_cannot_be_called_is_refused(name):
    arguments = {"handler": print, name: 5}
    for serve_one in (libws.asyncio.serve, libws.sync.serve):
        with pytest.raises(TypeError, match=f"^{name} must be callable, not int$"):
            serve_one(host="127.0.0.1", port=0, **arguments)


@async_test
async def test_failing_hook_is_500(reported):
    def hook(connection, request):
        raise ZeroDivisionError

    async with serving(process_request=hook) as server:
        assert await status_of(server.urls[0]) == 500
    assert isinstance(reported.pop()["exception"], ZeroDivisionError)


@async_test
async def test_process_response_adds_headers():  # Row 373.
    def hook(connection, request, response):
        return libws.Response(response.status, headers={"Set-Cookie": "a=b"})

    def refuse(connection, request):
        return libws.Response(403)

    async with serving(process_response=hook) as server:
        async with connect(server.urls[0]) as ws:
            assert ws.response.headers["Set-Cookie"] == "a=b"
    async with serving(process_request=refuse, process_response=hook) as server:
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(server.urls[0])
    assert caught.value.response.headers["Set-Cookie"] == "a=b"


@async_test
async def test_subprotocol_is_the_first_that_is_spoken():  # Row 369.
    async with serving(subprotocols=["a", "b"]) as server:
        async with connect(server.urls[0], subprotocols=["x", "b", "a"]) as ws:
            assert ws.subprotocol == "b"
        with pytest.raises(libws.HandshakeError):  # Row 88: a client that asks needs one.
            await connect(server.urls[0], subprotocols=["x"])


@async_test
async def test_select_subprotocol_decides(reported):  # Rows 369, 370.
    answers = ["b", None, "not offered"]

    def hook(connection, offered):
        assert offered == ["a", "b"]
        return answers.pop(0)

    async with serving(select_subprotocol=hook) as server:
        async with connect(server.urls[0], subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
        with pytest.raises(libws.HandshakeError):
            await connect(server.urls[0], subprotocols=["a", "b"])
        assert await status_of(server.urls[0], subprotocols=["a", "b"]) == 500
    assert isinstance(reported.pop()["exception"], ValueError)


@async_test
async def test_origins_say_whose_pages_may_connect():
    allowed = ["https://a.example", re.compile(r"https://\w+\.b\.example")]
    async with (
        serving() as same,
        serving(origins=allowed[:1]) as listed,
        serving(origins=allowed) as matched,
    ):
        assert await status_of(same.urls[0], origin="https://a.example") == 403
        for server in (listed, matched):
            await (await connect(server.urls[0])).close()
            await (await connect(server.urls[0], origin="https://a.example")).close()
            assert await status_of(server.urls[0], origin="https://evil.example") == 403
        await (await connect(matched.urls[0], origin="https://x.b.example")).close()
        assert await status_of(matched.urls[0], origin="https://x.b.example.org") == 403


@async_test
async def test_basic_auth_asks_for_a_password():
    async def check(name, password):
        await turns()
        return (name, password) == ("ann", "x:y")

    async def handler(ws):
        await ws.send(ws.username)

    hooks = [
        basic_auth("r", ("ann", "x:y")),
        basic_auth("r", [("bob", "b"), ("ann", "x:y")]),
        basic_auth("r", check_credentials=check),
    ]
    for hook in hooks:
        async with serving(handler, process_request=hook) as server:
            with pytest.raises(libws.InvalidStatus) as caught:
                await connect(server.urls[0])
            assert caught.value.status == 401
            challenge = caught.value.response.headers["WWW-Authenticate"]
            assert challenge == 'Basic realm="r", charset="UTF-8"'
            for wrong in ("ann:x", "bob:x:y", "ann"):
                uri = server.urls[0].replace("//", f"//{wrong}@")
                assert await status_of(uri) == 401
            for odd in ("Basic !", "Basic", "Bearer YW5uOng6eQ==", "Basic /w=="):
                headers = {"Authorization": odd}
                assert await status_of(server.urls[0], additional_headers=headers) == 401
            async with connect(server.urls[0].replace("//", "//ann:x:y@")) as ws:
                assert await ws.recv() == "ann"
    with pytest.raises(TypeError):
        basic_auth("r")


@async_test
async def test_route_finds_the_handler():
    async def room(ws, name):
        await ws.send(f"room {name}")

    async def files(ws, rest):
        await ws.send(f"files {rest}")

    async def root(ws):
        await ws.send("root")

    handlers = {"/": root, "/chat/{name}": room, "/files/{rest:path}": files}
    async with route(handlers, "127.0.0.1", 0) as server:
        for path, answer in [
            ("/", "root"),
            ("/chat/a%20b?x", "room a b"),
            ("/files/a/b.txt", "files a/b.txt"),
        ]:
            async with connect(server.urls[0] + path) as ws:
                assert await ws.recv() == answer
        for path in ("/chat", "/chat/", "/chat/a/b", "/other"):
            assert await status_of(server.urls[0] + path) == 404


# -- Many ----------------------------------------------------------------------


@async_test
async def test_broadcast_reaches_all_that_are_open():  # Row 380.
    async with serving() as server:
        async with connect(server.urls[0]) as one, connect(server.urls[0]) as two:
            server.broadcast("to all")
            broadcast(server.connections, b"to some")
            for ws in (one, two):
                assert [await ws.recv(), await ws.recv()] == ["to all", b"to some"]
            ends = server.connections
        await until(lambda: not server.connections)
        broadcast(ends, "too late")


@async_test
async def test_topics_reach_subscribers():
    async def handler(ws):
        ws.subscribe("news")
        await ws.send("ready")
        async for message in ws:
            ws.publish("news", message)
            ws.unsubscribe("news")
            await ws.send("left")

    async with serving(handler) as server:
        async with connect(server.urls[0]) as one, connect(server.urls[0]) as two:
            assert [await one.recv(), await two.recv()] == ["ready", "ready"]
            await one.send("hello")
            assert await one.recv() == "left"
            server.publish("news", "more")
            assert [await two.recv(), await two.recv()] == ["hello", "more"]


# -- The end -------------------------------------------------------------------


@async_test
async def test_close_ends_connections_and_waits_for_handlers():  # Row 376.
    ended = []

    async def handler(ws):
        await ws.wait_closed()
        await turns()
        ended.append(ws.close_code)

    async with serving(handler) as server:
        ws = await connect(server.urls[0])
        server.close(code=1012, reason="restart")
        await server.wait_closed()
        assert ended == [1012]
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1012, "restart")


@async_test
async def test_close_may_leave_connections_alone():
    async with serving() as server:
        async with connect(server.urls[0]) as ws:
            server.close(close_connections=False)
            await turns()
            await ws.send("still here")
            assert await ws.recv() == "still here"
        await server.wait_closed()
        assert ws.close_code == 1000


@async_test
async def test_cancelled_serve_forever_closes():
    async with serving() as server:
        ws = await connect(server.urls[0])
        serving_forever = asyncio.create_task(server.serve_forever())
        await turns()
        serving_forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving_forever
        await ws.wait_closed()
        assert ws.close_code == 1001


# -- Where it listens ----------------------------------------------------------


@async_test
async def test_unix_socket(tmp_path):  # Row 351.
    path = tmp_path / "s.sock"
    async with unix_serve(echo, path) as server:
        assert server.port == 0
        assert server.urls == [f"ws+unix:{path}"]
        assert server.sockets[0].getsockname() == str(path)
        async with unix_connect(str(path), "ws://localhost/a?b") as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
    assert not path.exists()


@async_test
async def test_a_unix_socket_may_be_called_like_a_port(tmp_path):
    path = f"{tmp_path}/s:80"
    async with unix_serve(echo, path) as server:
        assert server.sockets[0].getsockname() == path


@async_test
async def test_listening_and_connected_sockets_are_taken_over():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with serve(echo, sock=listener):
        assert listener.fileno() == -1
        sock = socket.create_connection(("127.0.0.1", port))
        async with connect("ws://name.example/", sock=sock) as ws:
            assert sock.fileno() == -1
            await ws.send("x")
            assert await ws.recv() == "x"


@async_test
async def test_several_hosts():
    async with serve(echo, ["127.0.0.1", "127.0.0.2"], 0) as server:
        for url in server.urls:
            async with connect(url) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
    async with serve(echo) as server:
        await (await connect(f"ws://127.0.0.1:{server.port}")).close()


@async_test
async def test_address_in_use_is_an_os_error():  # Row 358.
    async with serving() as server:
        with pytest.raises(OSError):
            await serve(echo, "127.0.0.1", server.port)
        with pytest.raises(TypeError):
            await serve(echo, "127.0.0.1", 0, no_such_option=1)
