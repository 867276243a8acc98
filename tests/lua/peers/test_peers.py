"""The Lua side with npm ws, Chromium, the command of the C library, the package
libws and websockets of Python: each as client and, but for the browser, as
server; plain, compressed and over TLS. Rows 153 and 306."""

import asyncio
import json
import shutil
import ssl
import sys
from pathlib import Path

import pytest

from libraries.clients import talk_websockets
from support.chromium import Chromium
from support.foreign import find
from support.libws import LARGE, MIB, SIZES, pattern_bytes, pattern_text

PEERS = Path(__file__).parents[2] / "peers"
ALL_SIZES = [*SIZES, MIB, LARGE]

# What goes over the wire: the words for echo_server.lua.
KINDS = ["plain", "compressed", "tls"]


def server_words(kind, identity):
    if kind == "tls":
        return [f"cert={identity.cert}", f"key={identity.key}"]
    return ["compression"] if kind == "compressed" else []


def client_words(kind, authority):
    if kind == "tls":
        return ["no-compression", f"ca={authority.ca}"]
    return [] if kind == "compressed" else ["no-compression"]


def assert_negotiated(extensions, kind):
    assert extensions.startswith("permessage-deflate") == (kind == "compressed")


# -- npm ws --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_node_is_answered(libws, node_folder, identity, kind):
    server = libws.lua_server(*server_words(kind, identity))
    client = libws.foreign(shutil.which("node"), "client.mjs", cwd=node_folder)
    client.write_line(json.dumps({
        "url": server.url, "options": {"rejectUnauthorized": False}, "texts": ALL_SIZES,
        "binaries": ALL_SIZES, "fragments": 65536, "ping": "x", "close": [1000, "done"]}))
    result = json.loads(client.read_line(60))
    assert_negotiated(result.pop("extensions"), kind)
    assert result == {"errors": [], "echoed": 2 * len(ALL_SIZES), "pong": "x",
                      "close": [1000, "done"]}


@pytest.mark.parametrize("kind", ["plain", "compressed"])
def test_node_answers(libws, node_folder, authority, kind):
    server = libws.foreign(shutil.which("node"), "echo_server.mjs", cwd=node_folder)
    port = json.loads(server.read_line())["port"]
    options = "" if kind == "plain" else "?options={%22perMessageDeflate%22:true}"
    extensions = libws.lua_client(f"ws://127.0.0.1:{port}/{options}", *client_words(kind, authority))
    assert_negotiated(extensions, kind)


# -- Chromium ------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    chromium = Chromium(find("chromium"))
    yield chromium
    chromium.close()


@pytest.mark.parametrize("kind", KINDS)
def test_chromium_is_answered_by_the_server_of_its_page(libws, browser, identity, kind):
    server = libws.lua_server(f"root={PEERS / 'pages'}", *server_words(kind, identity))
    with browser.page(server.url.replace("ws", "http", 1)) as page:
        extensions, closed = page.evaluate(f"echo({server.url!r}, {ALL_SIZES})", timeout=60)
    assert_negotiated(extensions, kind)
    assert closed == 'close 1000 "" true'


# -- The C library -------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_is_answered(libws, authority, identity, kind):
    server = libws.lua_server(*server_words(kind, identity))
    client = libws.connect(server.url, "--ca", authority.ca)
    client.write_line("one line")
    client.end_input()
    assert "one line" in "\n".join(client.read_rest())
    assert client.wait() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_answers(libws, authority, identity, kind):
    words = {"plain": [], "compressed": ["--compression"],
             "tls": ["--tls-cert", identity.cert, "--tls-key", identity.key]}[kind]
    server = libws.serve("--max-message", str(LARGE), *words)
    assert_negotiated(libws.lua_client(server.url, *client_words(kind, authority)), kind)


# -- Python --------------------------------------------------------------------


def context_of(authority):
    return ssl.create_default_context(cafile=authority.ca)


@pytest.mark.parametrize("kind", KINDS)
def test_websockets_is_answered(libws, authority, identity, kind):
    server = libws.lua_server(*server_words(kind, identity))
    messages = [make(size) for size in ALL_SIZES for make in (pattern_text, pattern_bytes)]
    tls = context_of(authority) if kind == "tls" else None
    answers = asyncio.run(talk_websockets(server.url, messages, tls, kind == "compressed"))
    assert answers == messages


@pytest.mark.parametrize("kind", KINDS)
def test_websockets_answers(libws, authority, identity, kind):
    words = {"plain": [], "compressed": ["--compression"],
             "tls": ["--cert", identity.cert, "--key", identity.key]}[kind]
    server = libws.foreign(sys.executable, "-m", "libraries.echo_server", "websockets", *words,
                           cwd=PEERS)
    scheme = "wss" if kind == "tls" else "ws"
    url = f"{scheme}://127.0.0.1:{server.read_line()}/"
    assert_negotiated(libws.lua_client(url, *client_words(kind, authority)), kind)


@pytest.fixture
def python(request):
    program = request.config.getoption("--libws-python")
    if program is None:
        pytest.fail("--libws-python is needed: a Python that has the package libws")
    return program


CLIENT = """
import sys
from libws.sync import connect

with connect(sys.argv[1]) as ws:
    for message in ("text", b"bytes", "x" * 100000):
        ws.send(message)
        assert ws.recv() == message
print("done")
"""

SERVER = """
import sys
from libws.sync import serve

def echo(ws):
    for message in ws:
        ws.send(message)

with serve(echo, "127.0.0.1", 0, max_size=1 << 25, compression=sys.argv[1] == "compressed") as server:
    print(server.port, flush=True)
    server.serve_forever()
"""


@pytest.mark.parametrize("kind", ["plain", "compressed"])
def test_the_python_package_is_answered(libws, python, identity, kind):
    server = libws.lua_server(*server_words(kind, identity))
    client = libws.foreign(python, "-c", CLIENT, server.url)
    assert client.read_line(30) == "done", client.transcript()


@pytest.mark.parametrize("kind", ["plain", "compressed"])
def test_the_python_package_answers(libws, python, authority, kind):
    server = libws.foreign(python, "-c", SERVER, kind)
    url = f"ws://127.0.0.1:{server.read_line(30)}/"
    assert_negotiated(libws.lua_client(url, *client_words(kind, authority)), kind)
