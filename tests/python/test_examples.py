"""Runs the examples as their users would, in pairs, and looks at what they say."""

import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from libws.sync import connect

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/python"

# What must happen happens long before; only a failing test takes so long.
PATIENCE = 60.0


class Program:
    """A running example. What it writes is read line by line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=EXAMPLES,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.rest = b""

    def line(self):
        """The next line of its output."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.rest:
            left = max(deadline - time.monotonic(), 0)
            ready, _, _ = select.select([self.process.stdout], [], [], left)
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.process.kill()
                raise AssertionError(f"no line, but: {self.process.stderr.read()}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def say(self, line):
        os.write(self.process.stdin.fileno(), line.encode() + b"\n")

    def end(self):
        """Ends its input and waits. Returns exit status, output, errors."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (self.rest + output).decode(), errors.decode()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.end()


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:

        def begin(*command):
            program = Program(*command)
            stack.callback(program.process.communicate)
            stack.callback(program.process.kill)
            return program

        yield begin


@pytest.fixture
def serve(start):
    def begin(name, port=0):
        server = start(name, port)
        first = server.line()
        assert first.startswith("listening on ws://127.0.0.1:")
        return server, first.removeprefix("listening on ")

    return begin


@pytest.mark.parametrize("client", ["echo_client.py", "blocking_client.py"])
def test_echo(start, serve, client):
    server, url = serve("echo_server.py")
    assert start(client, url, "hello", "wörld").end() == (0, "hello\nwörld\n", "")
    with connect(url) as ws:  # Who is there when it ends.
        ws.send("x")
        assert ws.recv() == "x"
        server.process.send_signal(signal.SIGINT)
        ws.wait_closed(PATIENCE)
        assert ws.close_code == 1001
    assert server.end() == (0, "", "")


@pytest.mark.parametrize("client", ["echo_client.py", "blocking_client.py"])
def test_clients_say_what_went_wrong(start, client):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # It does not listen.
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}/"
        status, output, errors = start(client, url, "hello").end()
    assert (status, output) == (1, "")
    assert errors.startswith(client.removesuffix(".py") + ": ")
    assert "refused" in errors


def test_chat(start, serve):
    server, url = serve("chat_server.py")
    ann = start("chat_client.py", f"{url}/tea", "Ann")
    assert ann.line() == "Ann has come"
    bob = start("chat_client.py", f"{url}/tea", "Bob")
    for guest in (ann, bob):
        assert guest.line() == "Bob has come"
    bob.say("hello")
    for guest in (ann, bob):
        assert guest.line() == "Bob: hello"
    assert bob.end()[0] == 0
    assert ann.line() == "Bob has gone"
    with connect(f"{url}/tea") as stranger:
        stranger.send("x" * 32)
        stranger.wait_closed(PATIENCE)
        assert (stranger.close_code, stranger.close_reason) == (1008, "a name first, please")
    assert ann.end()[0] == 0
    assert server.interrupt() == (0, "", "")


def test_prices(start, serve):
    server, url = serve("prices_server.py")
    status, output, errors = start("prices_client.py", f"{url}/prices", 3).end()
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == 3
    assert "'ACME': " in lines[-1]
    with connect(f"{url}/prices/HOOLI") as ws:
        assert {json.loads(ws.recv())["share"] for _ in range(3)} == {"HOOLI"}
    with connect(f"{url}/prices/NONE") as ws:
        ws.wait_closed(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4004, "no such share")
    with connect(f"{url}/status") as ws:
        assert json.loads(ws.recv())["opened"] == 4
    assert server.interrupt() == (0, "", "")


def test_prices_are_followed_again_after_a_loss(start, serve):
    server, url = serve("prices_server.py")
    client = start("prices_client.py", f"{url}/prices")
    assert "ACME" in client.line()
    server.process.kill()
    serve("prices_server.py", url.rpartition(":")[2])
    while "ACME" in client.line() and not said(client.process.stderr):
        pass
    assert b"connecting again" in os.read(client.process.stderr.fileno(), 65536)
    while connections_of(url) < 2:  # The one that asks, and the client.
        time.sleep(0.05)
    assert client.interrupt()[0] == 0


def connections_of(url):
    with connect(f"{url}/status") as ws:
        return json.loads(ws.recv(PATIENCE))["connections"]


def said(stream):
    """Whether there is something to be read."""
    return bool(select.select([stream], [], [], 0)[0])


def test_fastapi(start):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    options = ("--ws", "libws.uvicorn:WebSocketProtocol", "--port", port)
    start("-m", "uvicorn", *options, "fastapi_app:app")
    url = f"127.0.0.1:{port}"
    wait_for(port)
    with connect(f"ws://{url}/rooms/tea?name=Ann") as ann, connect(f"ws://{url}/rooms/tea") as bob:
        bob.send("hello")
        bob.recv()
        ann.send("hi")
        assert [bob.recv(), ann.recv(), ann.recv()] == ["Ann: hi", "somebody: hello", "Ann: hi"]
        with urllib.request.urlopen(f"http://{url}/", timeout=PATIENCE) as page:
            assert json.loads(page.read()) == {"tea": 2}


def wait_for(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("nobody listens")


def test_every_example_is_run():
    source = pathlib.Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert path.stem in source
