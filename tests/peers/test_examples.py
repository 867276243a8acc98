"""The programs of examples/c with peers that are not ours. (Among each other they
run in tests/net.)"""

import sys
from pathlib import Path

from libraries.clients import talk
from support.frames import TEXT, connect_raw

ECHO_SERVER = Path(__file__).parent / "libraries" / "echo_server.py"


def start_echo_server(libws):
    peer = libws.foreign(sys.executable, ECHO_SERVER, "websockets", "--compression")
    return f"ws://127.0.0.1:{int(peer.read_line())}/"


def test_echo_server(libws):
    server = libws.example_server("echo_server")
    messages = ["hello", "wörld", b"\0\xff", ""]
    assert talk("websockets", server.url, messages) == messages


def test_chat_server(libws):
    """Those in one room hear each other, and nobody else."""
    server = libws.example_server("chat_server")
    with connect_raw(server.port) as ann, connect_raw(server.port) as bob, \
            connect_raw(server.port) as eve:
        for peer, target, name in ((ann, "/tea", b"Ann"), (bob, "/tea", b"Bob"),
                                   (eve, "/coffee", b"Eve")):
            peer.open(target=target)
            peer.send_frame(TEXT, name)
        ann.send_frame(TEXT, b"hello")
        assert hear(bob, b"hello") == b"Ann: hello"
        eve.send_frame(TEXT, b"anybody?")
        assert hear(eve, b"anybody?") == b"Eve: anybody?"


def hear(peer, words):
    """The first message with these words."""
    while words not in (payload := peer.read_frame().payload):
        pass
    return payload


def test_echo_client(libws):
    client = libws.example("echo_client", start_echo_server(libws), "hello", "wörld")
    assert client.read_rest() == ["hello", "wörld"]
    assert client.wait() == 0


def test_poll_loop(libws):
    client = libws.example("poll_loop", start_echo_server(libws))
    client.write_line("hello")
    assert client.read_line() == "hello"
    client.end_input()
    assert client.wait() == 0
