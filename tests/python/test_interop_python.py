"""libws.asyncio with other libraries of Python: plain, over TLS, compressed."""

import asyncio
import contextlib
import random
import ssl

import aiohttp
import aiohttp.web
import libws
import picows
import pytest
import websockets
from libws.asyncio import connect, serve

from shells import async_test, certificate  # noqa: F401 - a fixture.

MESSAGES = [
    "",
    b"",
    "text: é, 天気, \U0001f600",
    bytes(range(256)),
    "compressible " * 10000,
    random.Random(1).randbytes(100_000),
]


@pytest.fixture(params=["plain", "TLS", "compressed"])
def transport(request, certificate):  # noqa: F811
    return Transport(request.param, *certificate)


class Transport:
    """Whether there is TLS or compression, and the contexts for it."""

    def __init__(self, kind, cert, key):
        self.is_compressed = kind == "compressed"
        self.scheme = "wss" if kind == "TLS" else "ws"
        self.server = self.client = None
        self.tls_server = self.tls_client = None
        if kind == "TLS":
            self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.server.load_cert_chain(cert, key)
            self.client = ssl.create_default_context(cafile=cert)
            self.tls_server = libws.TLSOptions(certfile=cert, keyfile=key)
            self.tls_client = libws.TLSOptions(cafile=cert)

    def url(self, port):
        return f"{self.scheme}://127.0.0.1:{port}/"


# -- Their servers -------------------------------------------------------------


@contextlib.asynccontextmanager
async def serve_websockets(transport):
    async def handler(ws):
        async for message in ws:
            await ws.send(message)

    compression = "deflate" if transport.is_compressed else None
    async with websockets.serve(
        handler, "127.0.0.1", 0, ssl=transport.server, compression=compression
    ) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def serve_aiohttp(transport):
    async def handler(request):
        ws = aiohttp.web.WebSocketResponse(compress=transport.is_compressed)
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    app = aiohttp.web.Application()
    app.router.add_get("/", handler)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=transport.server)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class PicowsEcho(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


@contextlib.asynccontextmanager
async def serve_picows(transport):
    server = await picows.ws_create_server(
        lambda request: PicowsEcho(), "127.0.0.1", 0, ssl=transport.server
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("serve_theirs", [serve_websockets, serve_aiohttp, serve_picows])
@async_test
async def test_our_client_with_their_server(serve_theirs, transport):
    async with serve_theirs(transport) as port:
        compression = "deflate" if transport.is_compressed else None
        options = {"tls": transport.tls_client, "compression": compression}
        async with connect(transport.url(port), **options) as ws:
            knows_compression = serve_theirs is not serve_picows
            assert bool(ws.extensions) == (transport.is_compressed and knows_compression)
            for message in MESSAGES:
                ws.send(message)
            for message in MESSAGES:
                assert await ws.recv() == message
            if serve_theirs is not serve_picows:
                assert await ws.ping() > 0
        assert ws.close_code == 1000


# -- Their clients -------------------------------------------------------------


async def use_websockets(url, transport):
    compression = "deflate" if transport.is_compressed else None
    async with websockets.connect(url, ssl=transport.client, compression=compression) as ws:
        for message in MESSAGES:
            await ws.send(message)
        got = [await ws.recv() for _ in MESSAGES]
        await (await ws.ping())
    return got


async def use_aiohttp(url, transport):
    compress = 15 if transport.is_compressed else 0
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, ssl=transport.client or True, compress=compress) as ws:
            for message in MESSAGES:
                await (ws.send_str if isinstance(message, str) else ws.send_bytes)(message)
            return [(await ws.receive()).data for _ in MESSAGES]


async def use_picows(url, transport):
    done = asyncio.get_running_loop().create_future()

    class Listener(picows.WSListener):
        def __init__(self):
            self.got = []

        def on_ws_connected(self, connection):
            for message in MESSAGES:
                is_text = isinstance(message, str)
                kind = picows.WSMsgType.TEXT if is_text else picows.WSMsgType.BINARY
                connection.send(kind, message.encode() if is_text else message)

        def on_ws_frame(self, connection, frame):
            is_text = frame.msg_type == picows.WSMsgType.TEXT
            data = frame.get_payload_as_bytes()
            self.got.append(data.decode() if is_text else data)
            if len(self.got) == len(MESSAGES):
                done.set_result(self.got)

    connection, _ = await picows.ws_connect(Listener, url, ssl_context=transport.client)
    got = await done
    connection.send_close(picows.WSCloseCode.OK)
    connection.disconnect()
    await connection.wait_disconnected()
    return got


@pytest.mark.parametrize("use_theirs", [use_websockets, use_aiohttp, use_picows])
@async_test
async def test_our_server_with_their_client(use_theirs, transport):
    extensions = []
    codes = []

    async def handler(ws):
        extensions.append(ws.extensions)
        async for message in ws:
            await ws.send(message)
        codes.append(ws.close_code)

    options = {"tls": transport.tls_server, "compression": transport.is_compressed}
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        assert await use_theirs(server.urls[0], transport) == MESSAGES
    knows_compression = use_theirs is not use_picows
    assert bool(extensions[0]) == (transport.is_compressed and knows_compression)
    assert codes == [1000]
