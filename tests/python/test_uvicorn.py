"""libws.uvicorn, in a real uvicorn with applications of Starlette and without."""

import asyncio
import contextlib
import logging

import libws
import pytest
import uvicorn
from libws.asyncio import connect
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from shells import async_test, until

BIG = bytes(range(256)) * 4000


async def echo(ws):
    offered = ws.scope["subprotocols"]
    await ws.accept("chat" if "chat" in offered else None, headers=[(b"x-a", b"1")])
    while (message := await ws.receive())["type"] == "websocket.receive":
        kind = "text" if message.get("text") is not None else "bytes"
        await ws.send({"type": "websocket.send", kind: message[kind]})
    ws.app.state.ended.append((message["code"], message.get("reason")))


async def scope(ws):
    await ws.accept()
    seen = ws.scope
    await ws.send_json(
        {
            "path": seen["path"],
            "query": seen["query_string"].decode(),
            "scheme": seen["scheme"],
            "agent": ws.headers["x-agent"],
            "client": seen["client"][0],
            "state": ws.state._state,
        }
    )
    await ws.close(4001, "done")


async def refuse(ws):
    await ws.close()


async def deny(ws):
    await ws.send_denial_response(PlainTextResponse("no", 418, {"x-why": "teapot"}))


async def fail_early(ws):
    raise ZeroDivisionError


async def fail_late(ws):
    await ws.accept()
    await ws.send_text("before")
    raise ZeroDivisionError


async def page(request):
    return PlainTextResponse("the page")


def make_app():
    sockets = (echo, scope, refuse, deny, fail_early, fail_late)
    routes = [WebSocketRoute(f"/{one.__name__}", one) for one in sockets]
    app = Starlette(routes=[Route("/", page), *routes])
    app.state.ended = []
    return app


@contextlib.asynccontextmanager
async def running(app, **options):
    options = {"ws": "libws.uvicorn:WebSocketProtocol", "lifespan": "off", **options}
    config = uvicorn.Config(app, port=0, log_config=None, **options)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@async_test
async def test_echo():
    app = make_app()
    async with running(app, ws_per_message_deflate=True) as (_, host):
        async with connect(f"ws://{host}/echo", subprotocols=["a", "chat"]) as ws:
            assert ws.subprotocol == "chat"
            assert ws.response.headers["x-a"] == "1"
            assert ws.extensions.startswith("permessage-deflate")
            for message in ("text", b"bytes", "", b"", BIG):
                await ws.send(message)
                assert await ws.recv() == message
            for _ in range(8):
                ws.send(BIG)
            for _ in range(8):
                assert await ws.recv() == BIG
            assert await ws.ping() > 0
            await ws.close(4000, "bye")
        await until(lambda: app.state.ended)
    assert app.state.ended == [(4000, "bye")]


@async_test
async def test_scope():
    async with running(make_app()) as (_, host):
        headers = {"X-Agent": "me"}
        ws = await connect(f"ws://{host}/scope?a=b%20c", additional_headers=headers)
        assert await ws.recv() == (
            '{"path":"/scope","query":"a=b%20c","scheme":"ws","agent":"me",'
            '"client":"127.0.0.1","state":{}}'
        )
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert (caught.value.code, caught.value.reason) == (4001, "done")


@async_test
async def test_refusals(caplog):
    async with running(make_app()) as (_, host):
        for path, status, body in [
            ("refuse", 403, b""),
            ("deny", 418, b"no"),
            ("fail_early", 500, b""),
            ("nowhere", 403, b""),
        ]:
            with pytest.raises(libws.InvalidStatus) as caught:
                await connect(f"ws://{host}/{path}")
            assert (caught.value.status, caught.value.response.body) == (status, body)
            if path == "deny":
                assert caught.value.response.headers["x-why"] == "teapot"
    assert "ZeroDivisionError" in caplog.text


@async_test
async def test_failing_application_closes_with_1011(caplog):
    async with running(make_app()) as (_, host):
        ws = await connect(f"ws://{host}/fail_late")
        assert await ws.recv() == "before"
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1011
    assert "ZeroDivisionError" in caplog.text


@async_test
async def test_shutdown_closes_with_1012():
    async with running(make_app()) as (server, host):
        ws = await connect(f"ws://{host}/echo")
        server.should_exit = True
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1012


@async_test
async def test_limits_apply():
    async with running(make_app(), ws_max_size=100) as (_, host):
        ws = await connect(f"ws://{host}/echo")
        await ws.send(bytes(101))
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1009


@async_test
async def test_application_that_breaks_the_rules(caplog):
    events = [{"type": "websocket.send", "text": "x"}, {"type": "websocket.accept"}]

    async def app(scope, receive, send):
        assert (await receive()) == {"type": "websocket.connect"}
        for event in events:
            await send(event)

    async with running(app) as (_, host):
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(f"ws://{host}/")
        assert caught.value.status == 500
        del events[0]
        events.append({"type": "websocket.accept"})
        ws = await connect(f"ws://{host}/")
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.code == 1011
    assert caplog.text.count("\nRuntimeError: ") == 2


@pytest.mark.parametrize("http", ["h11"])
@async_test
async def test_plain_http_is_uvicorns(http):
    async with running(make_app(), http=http) as (_, host):
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert b"the page" in await reader.read()
        writer.close()


logging.getLogger("uvicorn.error").setLevel(logging.INFO)
