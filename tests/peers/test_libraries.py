"""The WebSocket libraries of PyPI, as clients and as servers: a short echo plain,
over TLS and compressed."""

import ssl
import sys
from pathlib import Path

import pytest

from libraries.clients import talk
from support.libws import SIZES, pattern_bytes, pattern_text

ECHO_SERVER = Path(__file__).parent / "libraries" / "echo_server.py"
LIBRARIES = ("websockets", "aiohttp", "picows")
# What picows can: it has no compression.
CASES = [(library, how) for library in LIBRARIES for how in ("plain", "tls", "compressed")
         if (library, how) != ("picows", "compressed")]


@pytest.mark.parametrize("library, how", CASES)
def test_client(libws, authority, identity, library, how):
    """Rows 153 and 306."""
    options = {"plain": [], "compressed": ["--compression"],
               "tls": ["--tls-cert", identity.cert, "--tls-key", identity.key]}[how]
    server = libws.serve(*options)
    messages = [make(size) for size in SIZES for make in (pattern_text, pattern_bytes)]
    tls = ssl.create_default_context(cafile=authority.ca) if how == "tls" else None
    url = server.url.replace("127.0.0.1", "localhost")
    assert talk(library, url, messages, tls=tls, compression=how == "compressed") == messages


@pytest.mark.parametrize("library, how", CASES)
def test_server(libws, authority, identity, library, how):
    """Rows 153 and 306."""
    options = {"plain": [], "compressed": ["--compression"],
               "tls": ["--cert", identity.cert, "--key", identity.key]}[how]
    peer = libws.foreign(sys.executable, ECHO_SERVER, library, *options)
    scheme = "wss" if how == "tls" else "ws"
    url = f"{scheme}://127.0.0.1:{int(peer.read_line())}/"

    probe = libws.probe()
    trust = {"ca": authority.ca} if how == "tls" else {}
    socket = probe.connect(url, compression="on", compression_threshold=1, **trust)
    opened = probe.expect("open", id=socket)
    assert opened["extensions"].startswith("permessage-deflate") == (how == "compressed")
    probe.expect_echoes(socket, SIZES)
    probe.command("close", socket, 1000)
    probe.expect_close(socket, 1000)
