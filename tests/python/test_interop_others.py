"""libws with npm ws, both ways, and as server with a browser: plain, over TLS,
compressed."""

import asyncio
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
import shells
from libws.asyncio import connect, serve
from shells import async_test, certificate  # noqa: F401 - a fixture.
from test_interop_python import MESSAGES, Transport, transport  # noqa: F401 - a fixture.

import libws

TOP = pathlib.Path(__file__).resolve().parents[2]
PEERS = TOP / "tests/peers"
sys.path.append(str(PEERS))

from support.chromium import Chromium  # noqa: E402
from support.foreign import find  # noqa: E402
from support.process import Process  # noqa: E402

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def more_time(monkeypatch):
    """These are large programs, which start."""
    monkeypatch.setattr(shells, "LIMIT", 60)


SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]


@pytest.fixture(scope="session")
def node():
    """A folder with the programs of tests/peers/node, and npm ws."""
    folder = TOP / "build/python/node"
    lock = (PEERS / "node/package-lock.json").read_bytes()
    stamp = folder / "installed"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (PEERS / "node").iterdir():
        shutil.copy(path, folder)
    if not stamp.exists() or stamp.read_bytes() != lock:
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
        stamp.write_bytes(lock)
    return folder


@contextlib.asynccontextmanager
async def program(folder, name, *arguments):
    """A program of node, and a function that waits for the next thing it tells."""
    process = Process(["node", folder / name, *arguments])

    async def told():
        return json.loads(await asyncio.to_thread(process.read_line))

    try:
        yield process, told
    finally:
        await asyncio.to_thread(process.kill)


def options_of_node(transport):
    """What npm ws is made with, as client or server."""
    options = {"perMessageDeflate": transport.is_compressed}
    if transport.scheme == "wss":
        options["rejectUnauthorized"] = False
    return options


def echo(**options):
    """A server that sends everything back."""

    def onconnection(ws, request):
        ws.onmessage = lambda e: ws.send(e.data)

    return libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection, **options)


def options_of_server(transport):
    return {
        "tls": transport.tls_server,
        "compression": transport.is_compressed,
        "max_message": 2 << 20,
    }


@async_test
async def test_our_client_with_npm_ws(node, transport, certificate):  # noqa: F811
    arguments = certificate if transport.scheme == "wss" else ()
    async with program(node, "echo_server.mjs", *arguments) as (_, told):
        port = (await told())["port"]
        options = json.dumps({"perMessageDeflate": transport.is_compressed})
        url = f"{transport.url(port)}?options={options}&fragments=10000"
        compression = "deflate" if transport.is_compressed else None
        url = url.replace('"', "%22")
        async with connect(url, tls=transport.tls_client, compression=compression) as ws:
            opened = await told()
            assert bool(opened["extensions"]) == bool(ws.extensions) == transport.is_compressed
            for message in MESSAGES:
                await ws.send(message)
                assert await ws.recv() == message
            assert await ws.ping() > 0
        assert (ws.close_code, await told()) == (1000, {"event": "close", "code": 1000, "reason": ""})


@async_test
async def test_our_server_with_npm_ws(node, transport):  # noqa: F811
    codes = []

    async def handler(ws):
        async for message in ws:
            await ws.send(message)
        codes.append((ws.close_code, ws.close_reason))

    options = {"tls": transport.tls_server, "compression": transport.is_compressed}
    async with serve(handler, "127.0.0.1", 0, max_size=2 << 20, **options) as server:
        async with program(node, "client.mjs") as (process, told):
            conversation = {
                "url": server.urls[0],
                "options": options_of_node(transport),
                "texts": SIZES,
                "binaries": SIZES,
                "fragments": 10_000,
                "ping": "x" * 125,
                "close": [1000, "done"],
            }
            process.write_line(json.dumps(conversation))
            result = await told()
    extensions = result.pop("extensions")
    assert extensions.startswith("permessage-deflate") == transport.is_compressed
    assert result == {
        "errors": [],
        "echoed": 2 * len(SIZES),
        "pong": "x" * 125,
        "close": [1000, "done"],
    }
    assert codes == [(1000, "done")]


@pytest.fixture(scope="module")
def browser():
    program = find("chromium")
    assert program, "chromium is not installed"
    browser = Chromium(program)
    yield browser
    browser.close()


async def in_page(browser, server, script):
    """The value of a script in the page that a server shows."""

    def evaluate():
        with browser.page(server.urls[0].replace("ws", "http", 1)) as page:
            return page.evaluate(script)

    return await asyncio.to_thread(evaluate)


@async_test
async def test_our_server_with_chromium(browser, transport):  # noqa: F811
    server = echo(root=PEERS / "pages", **options_of_server(transport))
    extensions, closed = await in_page(browser, server, f"echo({server.urls[0]!r}, {SIZES})")
    assert extensions.startswith("permessage-deflate") == transport.is_compressed
    assert closed == 'close 1000 "" true'
    server.close()


@async_test
async def test_chromium_sees_our_close(browser, transport):  # noqa: F811
    def onconnection(ws, request):
        ws.onopen = lambda e: (ws.send("é"), ws.closeWith(1012, "again"))

    server = libws.WebSocketServer(
        "127.0.0.1",
        0,
        onconnection=onconnection,
        root=PEERS / "pages",
        **options_of_server(transport),
    )
    seen = await in_page(browser, server, f"listen({server.urls[0]!r})")
    assert seen == ["open", "text é", 'close 1012 "again" true']
    server.close()
