"""npm ws, as client and as server."""

import itertools
import json
import shutil
import urllib.parse

import pytest

from support.libws import FOR_LARGE, LARGE, MIB, SIZES, pattern_bytes, pattern_text
from support.process import ProcessError

pytestmark = pytest.mark.heavy

LARGE_MESSAGES = ("--max-message", LARGE)
CLOSE_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
               3000, 4999)
# ws asks zlib for a window of 8 bits, which raw streams do not have.
WINDOWS = (None, 9, 10, 11, 12, 13, 14, 15)
# What a window and the context between messages matter for.
DEFLATE_SIZES = (2000, 2000, 40000)


def deflate_options():
    """Every set of parameters that ws can be told to negotiate."""
    for server_bits, client_bits, server_forgets, client_forgets in itertools.product(
            WINDOWS, WINDOWS, (False, True), (False, True)):
        options = {"threshold": 0}
        if server_bits is not None:
            options["serverMaxWindowBits"] = server_bits
        if client_bits is not None:
            options["clientMaxWindowBits"] = client_bits
        if server_forgets:
            options["serverNoContextTakeover"] = True
        if client_forgets:
            options["clientNoContextTakeover"] = True
        yield options


class Node:
    """A program of node/, one line of JSON for each event or conversation."""

    def __init__(self, libws, folder, script):
        self._process = libws.foreign(shutil.which("node"), script, cwd=folder)

    def event(self):
        line = self._process.read_line()
        try:
            return json.loads(line)
        except ValueError:
            raise ProcessError(self._process.transcript()) from None

    def converse(self, url, **what):
        self._process.write_line(json.dumps({"url": url, **what}))
        return self.event()


@pytest.fixture
def client(libws, node_folder):
    return Node(libws, node_folder, "client.mjs")


@pytest.fixture
def server(libws, node_folder):
    node = Node(libws, node_folder, "echo_server.mjs")
    node.port = node.event()["port"]

    def url(**query):
        return f"ws://127.0.0.1:{node.port}/?{urllib.parse.urlencode(query)}"

    node.url = url
    return node


# -- As client of libws serve --------------------------------------------------


@pytest.mark.parametrize("compression", [False, True])
def test_client_gets_every_size_back(libws, client, compression):
    """Rows 153 and 306."""
    server = libws.serve(*LARGE_MESSAGES, *(["--compression"] if compression else []))
    sizes = [*SIZES, MIB, LARGE]
    result = client.converse(server.url, texts=sizes, binaries=sizes, close=[1000, "done"])
    extensions = result.pop("extensions")
    assert result == {"errors": [], "echoed": 2 * len(sizes), "close": [1000, "done"]}
    assert extensions.startswith("permessage-deflate") == compression


def test_client_gets_fragmented_messages_back(libws, client):
    """Row 156: in frames of one byte, and of 64 KiB."""
    server = libws.serve(*LARGE_MESSAGES)
    for fragments, sizes in ((1, [0, 1, 300]), (65536, [MIB, LARGE])):
        result = client.converse(server.url, texts=sizes, binaries=sizes,
                                 fragments=fragments, close=[1000, ""])
        assert result == {"errors": [], "extensions": "", "echoed": 2 * len(sizes),
                          "close": [1000, ""]}


def test_client_gets_pongs(libws, client):
    """Row 297."""
    server = libws.serve()
    for payload in ("", "x" * 125):
        result = client.converse(server.url, ping=payload, close=[1000, ""])
        assert result == {"errors": [], "extensions": "", "echoed": 0, "pong": payload,
                          "close": [1000, ""]}


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_client_closes_with_any_code(libws, client, code):
    """Rows 204 to 214: the server sends the same back."""
    probe = libws.probe()
    url = probe.listen()
    result = client.converse(url, close=[code, "because"])
    assert result["close"] == [code, "because"]
    probe.expect("open", id=1)
    probe.expect_close(1, code, "because")


def test_client_closes_without_a_code(libws, client):
    """Row 204."""
    probe = libws.probe()
    result = client.converse(probe.listen(), close=[])
    assert result["close"] == [1005, ""]
    probe.expect("open", id=1)
    probe.expect_close(1, 1005)


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_client_sees_the_codes_of_the_server(libws, client, code):
    """Row 379."""
    probe = libws.probe()
    client._process.write_line(json.dumps({"url": probe.listen()}))
    probe.expect("open", id=1)
    probe.command("close-with", 1, code, "because")
    assert client.event()["close"] == [code, "because"]
    probe.expect_close(1, code, "because")


def test_client_may_negotiate_any_window(libws, client):
    """Rows 306 and 309."""
    server = libws.serve("--compression", *LARGE_MESSAGES)
    for options in deflate_options():
        result = client.converse(server.url, options={"perMessageDeflate": options},
                                 texts=DEFLATE_SIZES, binaries=DEFLATE_SIZES,
                                 close=[1000, ""])
        extensions = result.pop("extensions", "")
        assert result == {"errors": [], "echoed": 2 * len(DEFLATE_SIZES),
                          "close": [1000, ""]}, options
        assert extensions.startswith("permessage-deflate"), options


def test_client_that_asks_for_too_much_is_told(libws, client):
    """Row 244: 1 MiB is the default of a server."""
    server = libws.serve()
    result = client.converse(server.url, binaries=[MIB, MIB + 1])
    assert result["close"][0] == 1009, result


# -- As server of libws --------------------------------------------------------


@pytest.mark.parametrize("compression", ["off", "on"])
def test_server_sends_every_size_back(libws, server, compression):
    """Rows 153 and 306."""
    probe = libws.probe()
    deflate = {"perMessageDeflate": compression == "on"}
    socket = probe.connect(server.url(options=json.dumps(deflate)), compression=compression,
                           **FOR_LARGE)
    opened = probe.expect("open", id=socket)
    assert opened["extensions"].startswith("permessage-deflate") == (compression == "on")
    probe.expect_echoes(socket, [*SIZES, MIB, LARGE])
    probe.command("close", socket, 1000, "done")
    probe.expect_close(socket, 1000, "done")
    assert server.event()["event"] == "open"
    assert server.event() == {"event": "close", "code": 1000, "reason": "done"}


def test_server_may_negotiate_any_window(libws, server):
    """Rows 306 and 309."""
    probe = libws.probe()
    for options in deflate_options():
        url = server.url(options=json.dumps({"perMessageDeflate": options}))
        # ws refuses offers of windows smaller than it is told to use.
        socket = probe.connect(url, compression="on", compression_threshold=1,
                               server_max_window_bits=15, client_max_window_bits=15)
        opened = probe.expect("open", id=socket)
        assert opened["extensions"].startswith("permessage-deflate"), options
        assert server.event() == {"event": "open", "extensions": "permessage-deflate"}
        for size in DEFLATE_SIZES:
            probe.send_text_pattern(socket, size)
            probe.expect_message(socket, pattern_text(size))
        probe.command("close", socket, 1000)
        probe.expect_close(socket, 1000)
        assert server.event() == {"event": "close", "code": 1000, "reason": ""}


def test_server_gets_any_offer_of_ours(libws, server):
    """Row 309, the offer being ours."""
    probe = libws.probe()
    url = server.url(options=json.dumps({"perMessageDeflate": {"threshold": 0}}))
    for bits, forgets in itertools.product(range(9, 16), (0, 1)):
        socket = probe.connect(url, compression="on", compression_threshold=1,
                               server_max_window_bits=bits, client_max_window_bits=bits,
                               server_no_context_takeover=forgets,
                               client_no_context_takeover=forgets)
        probe.expect("open", id=socket)
        for size in DEFLATE_SIZES:
            probe.send(socket, size)
            probe.expect_message(socket, pattern_bytes(size))
        probe.command("terminate", socket)
        probe.expect_close(socket, 1006, clean=False)


def test_server_sends_fragments_and_pings(libws, server):
    """Rows 156 and 297."""
    client = libws.connect(server.url(fragments=1, ping="are you there"))
    client.expect_echo("x" * 300)
    assert server.event()["event"] == "open"
    assert server.event() == {"event": "pong", "data": "are you there"}
    assert server.event() == {"event": "close", "code": 1000, "reason": ""}


def test_server_takes_our_fragments(libws, server):
    """Row 349."""
    probe = libws.probe()
    socket = probe.connect(server.url())
    probe.expect("open", id=socket)
    probe.send(socket, "one", "fragment")
    probe.send(socket, "", "fragment")
    probe.send(socket, " message")
    probe.expect_message(socket, "one message")


def test_server_answers_our_ping(libws, server):
    """Row 337."""
    probe = libws.probe()
    socket = probe.connect(server.url())
    probe.expect("open", id=socket)
    probe.command("ping", socket, "hello")
    probe.expect("pong", id=socket, data=b"hello".hex())


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_server_closes_with_any_code(libws, server, code):
    """Rows 214 and 138: clean, without an error event; the command shows it."""
    client = libws.connect(server.url(close=code, reason="because"))
    client.expect("open")
    client.expect_close(code, "because")
    assert client.wait() == 0, client.transcript()
    assert server.event()["event"] == "open"
    assert server.event() == {"event": "close", "code": code, "reason": "because"}
