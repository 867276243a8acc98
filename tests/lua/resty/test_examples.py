"""The programs in examples/openresty, as its nginx.conf starts them."""

import re
import struct
import threading

import pytest
from support.frames import BINARY, CLOSE, LIMIT, TEXT, Client, encode
from support.nginx import TOP, Nginx


@pytest.fixture
def nginx(start):
    return start(make=Nginx.of_examples)


def test_echo(nginx):
    with Client(nginx.port, "/echo") as client:
        client.send("hello")
        assert client.read_message() == b"hello"
        assert client.close() == 1000


def test_chat_and_push(nginx):
    with Client(nginx.port, "/chat?name=ann") as ann, Client(nginx.port, "/chat?name=bob%20b") as bob:
        assert ann.read_message() == b"bob b is here"
        ann.send("hi")
        assert bob.read_message() == ann.read_message() == b"ann: hi"
        assert nginx.get("/push?text=news%21") == (200, "sent\n")
        assert bob.read_message() == ann.read_message() == b"news!"
        bob.close()
        assert ann.read_message() == b"bob b has left"


def test_the_gateway_carries_messages_both_ways(nginx):
    with Client(nginx.port, "/gateway") as client:
        for opcode in (TEXT, BINARY):
            for size in (0, 10, 100000):
                client.send(b"x" * size, opcode)
                frame = client.read()
                assert (frame.opcode, frame.payload) == (opcode, b"x" * size)
        assert client.close(3000, "bye") == 3000


def test_the_gateway_compresses_on_both_sides(nginx):
    with Client(nginx.port, "/gateway", compress=True) as client:
        assert "permessage-deflate" in client.response[1]["sec-websocket-extensions"]
        text = b"all work and no play " * 1000
        for _ in range(3):
            client.send_deflated(text)
            frame = client.read()
            assert frame.rsv1 and len(frame.payload) < len(text) / 10
            assert client.inflater.decompress(frame.payload + b"\x00\x00\xff\xff") == text


def test_who_does_not_read_from_the_gateway_has_to_wait(nginx):
    # Of 80 MB the sockets and queues on the way keep some; too short to be compressed.
    size, messages = 1000, 80000
    data = memoryview(encode(BINARY, bytes(size)) * messages)
    with Client(nginx.port, "/gateway") as client:
        client.socket.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < len(data):
                sent += client.socket.send(data[sent:])
        client.socket.settimeout(LIMIT)
        rest = threading.Thread(target=client.send_raw, args=(data[sent:],))
        rest.start()
        for _ in range(messages):
            assert len(client.read_message()) == size
        rest.join()
        assert client.close() == 1000


def test_the_gateway_without_its_upstream(start):
    nginx = start(make=Nginx.of_examples)
    config = nginx.folder / "nginx.conf"
    config.write_text(config.read_text().replace(f"ws://127.0.0.1:{nginx.port}/echo", "ws://127.0.0.1:1/"))
    nginx.reload()
    nginx.wait_for_log("gracefully shutting down")
    with Client(nginx.port) as client:
        client.request("/gateway")
        assert client.read_head()[0] == 502
    nginx.expect_error("connect() failed")
    nginx.expect_error("no connection to ws://127.0.0.1:1/: connection refused")


def test_the_gateway_and_a_client_that_vanishes(nginx):
    client = Client(nginx.port, "/gateway")
    client.send("x")
    client.read()
    client.socket.close()
    with Client(nginx.port, "/gateway") as other:
        other.send(struct.pack(">H", 1000), CLOSE)
        assert other.read().close_code == 1000


# -- docs/guides/openresty.md ----------------------------------------------------


@pytest.fixture
def guide(start, tmp_path):
    """An nginx with the guide's programs at /guide/1, /guide/2 and so on: those that
    make a WebSocket of a request. Returns it and what stands where."""
    text = (TOP / "docs/guides/openresty.md").read_text()
    programs = [block for block in re.findall(r"```lua\n(.*?)```", text, re.DOTALL) if "resty.upgrade" in block]
    nginx = start(
        server="".join(
            f"location /guide/{number} {{ content_by_lua_file {tmp_path}/{number}.lua; }}\n"
            for number in range(len(programs))
        )
    )
    for number, program in enumerate(programs):
        program = program.replace("127.0.0.1:9000/", f"127.0.0.1:{nginx.port}/app/echo")
        if "require" not in program:
            program = 'local resty = require "libws.resty"\n' + program
        (tmp_path / f"{number}.lua").write_text(program)
    return nginx, programs


def test_the_programs_of_the_guide_echo(guide):
    nginx, programs = guide
    assert ["gateway" if "upstream" in program else "echo" for program in programs] == ["echo", "gateway"]
    for number in range(len(programs)):
        with Client(nginx.port, f"/guide/{number}") as client:
            client.send("hello")
            assert client.read_message() == b"hello"
            assert client.close() == 1000
