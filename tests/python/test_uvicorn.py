"""libws.uvicorn, in a real uvicorn with applications of FastAPI, Starlette and none."""

import asyncio
import contextlib
import logging

import libws
import pytest
import uvicorn
from libws.asyncio import connect
from fastapi import Depends, FastAPI, Header, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from core_peers import CLOSE, TEXT, Client, close_body
from shells import async_test, certificate, until  # noqa: F401

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


@pytest.mark.parametrize("http", ["h11", "httptools"])
@async_test
async def test_plain_http_is_uvicorns(http):
    async with running(make_app(), http=http) as (_, host):
        async with connect(f"ws://{host}/echo") as ws:
            await ws.send("over either")
            assert await ws.recv() == "over either"
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert b"the page" in await reader.read()
        writer.close()


# -- More of the protocol ----------------------------------------------------


@async_test
async def test_tls(certificate):  # noqa: F811
    certfile, keyfile = certificate
    async with running(make_app(), ssl_certfile=certfile, ssl_keyfile=keyfile) as (_, host):
        trust = libws.TLSOptions(cafile=certfile)
        async with connect(f"wss://{host}/echo", tls=trust) as ws:
            for message in ("text", BIG):
                await ws.send(message)
                assert await ws.recv() == message
        ws = await connect(f"wss://{host}/scope", tls=trust, additional_headers={"X-Agent": "a"})
        assert '"scheme":"wss"' in await ws.recv()
        await ws.close()


@async_test
async def test_compression_can_be_turned_off():
    async with running(make_app(), ws_per_message_deflate=False) as (_, host):
        async with connect(f"ws://{host}/echo") as ws:
            assert ws.extensions == ""


@async_test
async def test_lost_client_is_a_disconnect_with_1006():
    app = make_app()
    async with running(app) as (_, host):
        ws = await connect(f"ws://{host}/echo")
        ws.abort()
        await until(lambda: app.state.ended)
    assert app.state.ended == [(1006, "")]


@async_test
async def test_sending_to_a_client_that_is_gone_raises():
    raised = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as error:
            raised.append(error)
        assert (await receive())["type"] == "websocket.disconnect"

    async with running(app) as (_, host):
        async with connect(f"ws://{host}/"):
            pass
        await until(lambda: raised)


@async_test
async def test_client_that_leaves_before_it_is_accepted():
    raised = []
    waiting, gone = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        waiting.set()
        await gone.wait()
        try:
            await send({"type": "websocket.accept"})
        except OSError as error:
            raised.append(error)

    async with running(app) as (server, host):
        connecting = asyncio.create_task(connect(f"ws://{host}/")._connect())
        await waiting.wait()
        connecting.cancel()
        await until(lambda: not server.server_state.connections)
        gone.set()
        await until(lambda: raised)


@async_test
async def test_shutdown_answers_who_is_not_accepted_yet():
    waiting = asyncio.Event()

    async def app(scope, receive, send):
        waiting.set()
        await receive()
        assert (await receive())["type"] == "websocket.disconnect"

    async with running(app) as (server, host):
        connecting = asyncio.create_task(connect(f"ws://{host}/")._connect())
        await waiting.wait()
        server.should_exit = True
        with pytest.raises(libws.InvalidStatus) as caught:
            await connecting
        assert caught.value.status == 500


@async_test
async def test_client_that_does_not_read_stops_the_application():
    sent = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(100):
            await send({"type": "websocket.send", "bytes": BIG})
            sent.append(number)

    async with running(app) as (_, host):
        ws = await connect(f"ws://{host}/", max_queue=1, compression=None, max_size=None)
        assert await ws.recv() == BIG
        while True:
            count = len(sent)
            await asyncio.sleep(0.05)
            if len(sent) == count:
                break
        assert count < 100
        for _ in range(99):
            assert await ws.recv() == BIG
        await ws.wait_closed()
        assert ws.close_code == 1000


@async_test
async def test_response_in_pieces():
    async def app(scope, receive, send):
        assert scope["extensions"] == {"websocket.http.response": {}}
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"6")]
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 402, "headers": headers})
        await send({"type": f"{kind}.body", "body": b"pay", "more_body": True})
        await send({"type": f"{kind}.body", "body": b"me!"})

    async with running(app) as (_, host):
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(f"ws://{host}/")
        response = caught.value.response
        assert (response.status, response.body) == (402, b"payme!")
        assert response.headers["content-type"] == "text/plain"
        assert response.headers.get_all("content-length") == ["6"]


@async_test
async def test_faults_of_a_client_end_its_connection():
    app = make_app()

    def unmasked(wire):
        wire.request(target=b"/echo")
        wire.masks = False
        wire.send(TEXT, b"x")
        wire.masks = True
        first, payload = wire.receive()
        assert (first, payload[:2]) == (0x80 | CLOSE, close_body(1002))

    async with running(app) as (_, host):
        client = Client(int(host.rpartition(":")[2]), unmasked)
        await asyncio.to_thread(client.finish)
        await until(lambda: app.state.ended)
    assert app.state.ended == [(1006, "")]


# -- FastAPI -----------------------------------------------------------------


def make_fastapi():
    app = FastAPI()
    app.state.left = []

    async def token(x_token: str = Header()):
        if x_token != "secret":
            raise WebSocketException(code=1008)
        return x_token

    @app.websocket("/items/{item}")
    async def items(ws: WebSocket, item: int, q: str = "", token: str = Depends(token)):
        await ws.accept()
        try:
            async for message in ws.iter_json():
                await ws.send_json({"item": item, "q": q, "got": message})
        except WebSocketDisconnect:
            pass
        app.state.left.append(item)

    @app.websocket("/bytes")
    async def data(ws: WebSocket):
        await ws.accept(subprotocol="b")
        await ws.send_bytes(await ws.receive_bytes())
        await ws.close(code=4000, reason="enough")

    @app.get("/")
    def page():
        return {"left": len(app.state.left)}

    return app


@async_test
async def test_fastapi():
    app = make_fastapi()
    async with running(app) as (_, host):
        headers = {"X-Token": "secret"}
        url = f"ws://{host}/items/7?q=x"
        async with connect(url, additional_headers=headers) as ws:
            await ws.send('{"a": [1]}')
            assert await ws.recv() == '{"item":7,"q":"x","got":{"a":[1]}}'
        await until(lambda: app.state.left == [7])
        for path, given in (("/items/7", {"X-Token": "no"}), ("/items/seven", headers)):
            with pytest.raises(libws.InvalidStatus) as caught:
                await connect(f"ws://{host}{path}", additional_headers=given)
            assert caught.value.status == 403
        ws = await connect(f"ws://{host}/bytes", subprotocols=["a", "b"])
        assert ws.subprotocol == "b"
        await ws.send(b"\0\xff")
        assert await ws.recv() == b"\0\xff"
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4000, "enough")


logging.getLogger("uvicorn.error").setLevel(logging.INFO)
