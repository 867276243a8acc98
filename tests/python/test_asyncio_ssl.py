"""TLS both ways of saying it: tls= and ssl=, in asyncio and blocking."""

import asyncio
import contextlib
import errno
import socket
import ssl
import threading

import libws
import libws.sync
import pytest
from libws.asyncio import basic_auth, connect, serve

from shells import LIMIT, async_test, certificate, until  # noqa: F401 - a fixture.

BIG = bytes(range(256)) * 4000  # About 1 MB.


def client_options(kind, cert):
    if kind == "ssl":
        return {"ssl": ssl.create_default_context(cafile=cert)}
    return {"tls": libws.TLSOptions(cafile=cert)}


def server_options(kind, cert, key):
    if kind == "ssl":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return {"ssl": context}
    return {"tls": libws.TLSOptions(certfile=cert, keyfile=key)}


@pytest.fixture(params=["tls", "ssl"])
def client(request, certificate):  # noqa: F811
    return client_options(request.param, certificate[0])


@pytest.fixture(params=["tls", "ssl"])
def server(request, certificate):  # noqa: F811
    return server_options(request.param, *certificate)


async def echo(ws):
    async for message in ws:
        await ws.send(message)


@async_test
async def test_echo(client, server):
    async with serve(echo, "127.0.0.1", 0, compression=True, **server) as listening:
        assert listening.urls == [f"wss://127.0.0.1:{listening.port}"]
        async with connect(listening.urls[0] + "/a?b", **client) as ws:
            assert ws.tls_info()["version"] == "TLSv1.3"
            assert ws.remote_address == ("127.0.0.1", listening.port)
            assert ws.extensions.startswith("permessage-deflate")
            for message in ("text", b"bytes", "", BIG):
                await ws.send(message)
                assert await ws.recv() == message
            for _ in range(8):
                ws.send(BIG)
            for _ in range(8):
                assert await ws.recv() == BIG
            await ws.send(["a", "b"])
            assert "".join([piece async for piece in ws.recv_streaming()]) == "ab"
            assert await ws.ping() > 0
            assert ws.stats()["messages_received"] == 13
        assert ws.close_code == 1000


@async_test
async def test_hooks_and_refusals(client, server):
    async def handler(ws):
        await ws.send(f"{ws.username} {ws.request.path} {ws.subprotocol}")

    hook = basic_auth("r", ("ann", "x"))
    options = {"process_request": hook, "subprotocols": ["chat"], **server}
    async with serve(handler, "127.0.0.1", 0, **options) as listening:
        uri = f"wss://ann:x@127.0.0.1:{listening.port}/a"
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(listening.urls[0], **client)
        assert caught.value.status == 401
        with pytest.raises(libws.InvalidStatus) as caught:
            await connect(uri, origin="https://evil.example", **client)
        assert caught.value.status == 403
        async with connect(uri, subprotocols=["chat"], **client) as ws:
            assert await ws.recv() == "ann /a chat"


@async_test
async def test_server_closes(client, server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        ws = await connect(listening.urls[0], **client)
        listening.close(reason="bye")
        with pytest.raises(libws.ConnectionClosedOK) as caught:
            await ws.recv()
        assert (caught.value.code, caught.value.reason) == (1001, "bye")


@pytest.mark.parametrize("kind", ["tls", "ssl"])
@async_test
async def test_unknown_certificate_is_refused(kind, server, reported):
    trust = {"ssl": True} if kind == "tls" else {"ssl": ssl.create_default_context()}
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        with pytest.raises(libws.TLSError) as caught:
            await connect(listening.urls[0], **trust)
        assert isinstance(caught.value, OSError)
        assert caught.value.phase == "handshake"
        assert caught.value.code == "WS_ERR_CERTIFICATE"


# A URL as browsers take it; what it stands for is what the context is for.
SPELLINGS = ("https://{}/", "wss:{}", "\t WSS://{}/a/../ ", "wss:\\\\{}")


@pytest.mark.parametrize("spelling", SPELLINGS)
@async_test
async def test_context_is_used_however_the_url_is_written(spelling, client, server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        url = f"wss://127.0.0.1:{listening.port}/"
        async with connect(spelling.format(url[6:-1]), **client) as ws:
            assert ws.url == url
            assert ws.tls_info() is not None
    with blocking(**server) as (uri, _):
        with libws.sync.connect(spelling.format(uri[6:].rstrip("/")), **client) as ws:
            assert ws.url == uri
            assert ws.tls_info() is not None


@async_test
async def test_unix_socket_goes_without_a_context():
    for one in (libws.asyncio.connect, libws.sync.connect):
        with pytest.raises(TypeError, match="^a Unix socket goes without ssl$"):
            await one("ws+unix:/nonexistent:/", ssl=ssl.create_default_context())


@async_test
async def test_slow_reader_stops_the_sender(client, server):
    async def handler(ws):
        for _ in range(12):
            await ws.send(BIG)

    async with serve(handler, "127.0.0.1", 0, **server) as listening:
        async with connect(listening.urls[0], **client) as ws:
            count = 0
            async for message in ws:
                assert message == BIG
                count += 1
                await asyncio.sleep(0)
        assert count == 12


@async_test
async def test_no_connection(client):
    with pytest.raises(libws.NetworkError):
        await connect("wss://127.0.0.1:1/", **client)
    with pytest.raises(libws.ConnectionTimeout):
        async with silence() as port:
            await connect(f"wss://127.0.0.1:{port}/", open_timeout=0.05, **client)


@contextlib.asynccontextmanager
async def silence():
    """A port where connections are made and nothing is said."""
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


# -- Blocking ------------------------------------------------------------------


def blocking_echo(ws):
    for message in ws:
        ws.send(message)


@contextlib.contextmanager
def blocking(handler=blocking_echo, **options):
    with libws.sync.serve(handler, "127.0.0.1", 0, **options) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"wss://127.0.0.1:{listening.port}/", listening
        finally:
            listening.shutdown()
            thread.join(LIMIT)


def test_blocking_echo(client, server):
    with blocking(compression=True, **server) as (uri, _):
        with libws.sync.connect(uri, **client) as ws:
            assert ws.tls_info()["version"] == "TLSv1.3"
            for message in ("text", b"bytes", "", BIG):
                ws.send(message)
                assert ws.recv(LIMIT) == message
            sender = threading.Thread(target=lambda: [ws.send(BIG) for _ in range(8)])
            sender.start()
            assert [ws.recv(LIMIT) == BIG for _ in range(8)] == [True] * 8
            sender.join()
            ws.send(["a", "b"])
            assert "".join(ws.recv_streaming()) == "ab"
            assert ws.ping(timeout=LIMIT) > 0
        assert ws.close_code == 1000


def test_blocking_hooks_and_refusals(client, server):
    def handler(ws):
        ws.send(f"{ws.username} {ws.request.path} {ws.subprotocol}")

    hook = basic_auth("r", ("ann", "x"))
    options = {"process_request": hook, "subprotocols": ["chat"], **server}
    with blocking(handler, **options) as (uri, _):
        with pytest.raises(libws.InvalidStatus) as caught:
            libws.sync.connect(uri, **client)
        assert caught.value.status == 401
        uri = uri.replace("//", "//ann:x@") + "a"
        with libws.sync.connect(uri, subprotocols=["chat"], **client) as ws:
            assert ws.recv(LIMIT) == "ann /a chat"


def test_blocking_server_closes(client, server):
    with blocking(**server) as (uri, listening):
        ws = libws.sync.connect(uri, **client)
        ending = threading.Thread(target=listening.shutdown, args=(1001, "bye"))
        ending.start()
        with pytest.raises(libws.ConnectionClosedOK) as caught:
            ws.recv(LIMIT)
        ending.join(LIMIT)
        assert (caught.value.code, caught.value.reason) == (1001, "bye")


def test_blocking_failures(client, server):
    with pytest.raises(libws.NetworkError) as caught:
        libws.sync.connect("wss://127.0.0.1:1/", **client)
    assert (caught.value.code, caught.value.errno) == ("WS_ERR_CONNECT", errno.ECONNREFUSED)
    with blocking(**server) as (uri, _):
        for trust in (ssl.create_default_context(), True):
            with pytest.raises(libws.TLSError) as caught:
                libws.sync.connect(uri, ssl=trust)
            assert caught.value.code == "WS_ERR_CERTIFICATE"
            assert caught.value.phase == "handshake"


def test_blocking_handshake_with_a_context_may_take_too_long(client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(libws.ConnectionTimeout) as caught:
            libws.sync.connect(f"wss://127.0.0.1:{port}/", open_timeout=0.05, **client)
    assert caught.value.code == "WS_ERR_HANDSHAKE_TIMEOUT"


@async_test
async def test_names_of_the_browser(client, server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        async with connect(listening.urls[0], **client) as ws:
            assert ws.readyState == ws.OPEN
            closed = []
            ws.onclose = lambda event: closed.append("replaced")
            ws.onclose = on_close = lambda event: closed.append(event.code)
            assert ws.onclose is on_close
            ws.addEventListener("close", lambda event: closed.append(event.type), once=True)
            await ws.ping()
        assert sorted(closed, key=str) == [1000, "close"]


@async_test
async def test_listeners_get_messages_before_the_queue(client, server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        async with connect(listening.urls[0], **client) as ws:
            heard = []

            def on_message(event):
                heard.append((event.data, event.origin, event.isTrusted))

            assert ws.onmessage is None
            ws.send("before")
            await until(lambda: ws.stats()["messages_received"] == 1)
            ws.addEventListener("message", on_message, once=True)
            assert heard == [("before", listening.urls[0], True)]
            ws.send("queued")
            await until(lambda: ws.stats()["messages_received"] == 2)
            assert len(heard) == 1
            ws.onmessage = on_message
            ws.send(b"heard")
            await until(lambda: len(heard) == 3)
            assert heard[1:] == [
                ("queued", listening.urls[0], True),
                (b"heard", listening.urls[0], True),
            ]
            ws.onmessage = None
            ws.send("after")
            assert await ws.recv() == "after"
            assert len(heard) == 3


@async_test
async def test_error_says_why_the_connection_ended(client, server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        ws = await connect(listening.urls[0], max_size=10, **client)
        await ws.send("x" * 11)
        with pytest.raises(libws.ConnectionClosedError, match="^1006: message exceeds max_size$"):
            await ws.recv()


@async_test
async def test_sockets_have_addresses(server):
    async with serve(echo, "127.0.0.1", 0, **server) as listening:
        assert listening.sockets[0].getsockname() == ("127.0.0.1", listening.port)
    assert listening.sockets == ()
