"""`python -m libws`: does what the command of the C library does.

The tests of that command (tests/cli/test_cli.py) are run with this one. Where the
two differ, a test here stands for the one there.
"""

import importlib.util
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from libws._command import bench, connect, serve
from libws._command.options import PROGRAM, Option
from libws.sync import connect as connect_to

TOP = pathlib.Path(__file__).resolve().parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cli = load(TOP / "tests/cli/test_cli.py")


@pytest.fixture(scope="module", autouse=True)
def program(tmp_path_factory):
    """A program as those tests want one."""
    path = tmp_path_factory.mktemp("command") / "libws"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m libws "$@"\n')
    path.chmod(0o755)
    cli.PROGRAM = str(path)


# -- The tables --------------------------------------------------------------

COMMANDS = {module.COMMAND: module.LINE for module in (bench, connect, serve)}

# {OPTION_TEXT, 'o', "origin", CLIENT(origin), "ORIGIN", "the Origin header"},
STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+|NULL|0)'
ENTRY = re.compile(
    rf"\{{OPTION_(\w+),\s*('.'|0),\s*{STRINGS},\s*[^\"]*?,\s*{STRINGS},\s*{STRINGS}\}}", re.DOTALL
)


def joined(strings):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', strings))


def table_in_c(name):
    """The options of a command, as C has them."""
    text = (TOP / f"cli/{name}.c").read_text()
    for kind, letter, word, value, words in ENTRY.findall(text):
        if kind == "HEADING":
            yield joined(words)
        else:
            words = joined(words).replace("N threads", "N processes")
            yield kind, letter.strip("'0"), joined(word), joined(value), words


def kind_of(option):
    kinds = vars(sys.modules["libws._command.options"]).items()
    return next(name for name, kind in kinds if kind is option.kind)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_those_of_the_c_command(name):
    ours = [
        (kind_of(one), one.letter, one.name, one.value_name, one.text)
        if isinstance(one, Option)
        else one.text
        for one in COMMANDS[name].options
    ]
    assert ours == list(table_in_c(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_and_epilogue_are_those_of_the_c_command(name):
    source = joined((TOP / f"cli/{name}.c").read_text())
    line = COMMANDS[name]
    assert line.summary in source
    assert line.epilogue.replace("\n", "\\n") in source


# -- The cases of the C command ----------------------------------------------


def is_listening(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


class TestCommandLine(cli.CommandLine):
    def test_help_is_there_for_every_command(self):
        for args in (["--help"], ["connect", "--help"], ["serve", "-h"], ["bench", "--help"]):
            done = cli.run(*args)
            assert (done.returncode, done.stderr) == (cli.OK, b"")
            assert done.stdout.decode().startswith(f"Usage: {PROGRAM} ")
            assert max(map(len, done.stdout.splitlines())) < 80

    def test_values_of_each_kind(self):
        read = connect.LINE.read
        assert read(["u", "--max-message=2K"]).max_message == 2048
        assert read(["--max-message", "unlimited", "u"]).max_message is None
        assert read(["u", "--wait", ".5", "--ping=3"]).wait == 0.5
        assert read(["u", "--timeout", "forever"]).timeout is None
        assert read(["--", "--json"]).url == "--json"
        for wrong in ("0", "1k", "K", "-1", "1KK", "1.5K", "²"):
            with pytest.raises(Exception, match="takes a number of bytes"):
                read(["u", "--max-message", wrong])
        for wrong in ("", ".", "1.", "-1", "1e3", "nan", "99999999999"):
            with pytest.raises(Exception, match="takes a number of seconds"):
                read(["u", "--wait", wrong])
        for words, said in (
            (["u", "--json=1"], "a value is too much: --json=1"),
            (["u", "--ca"], "a value is missing: --ca"),
            (["u", "-x"], "unknown option -x"),
            (["u", "-Hx"], "unknown option -Hx"),
        ):
            with pytest.raises(Exception, match=said):
                read(words)


class TestConnect(cli.Connect):
    def test_a_message_is_not_lost_in_a_pipe_that_closes(self):
        """As other programs, it ends when nobody reads what it prints."""
        server = self.serve("--broadcast", "--quiet")
        client = self.background("connect", server.url, "--wait", "forever")
        assert "connected" in client.complaint()
        client.process.stdout.close()
        self.talk(server.url, "--one", "--send", "x")
        assert client.process.wait(cli.DEADLINE) < 0


class TestTerminal(cli.Terminal):
    pass


class TestServe(cli.Serve):
    def test_everyone_hears_a_broadcast(self):
        server = self.serve("--broadcast")
        listeners = [self.background("connect", server.url, "--one") for _ in range(3)]
        for listener in listeners:
            assert "connected" in listener.complaint()
        self.talk(server.url, "--one", "--send", "all")
        for listener in listeners:
            assert listener.end()[:2] == (cli.OK, "all\n")

    def test_workers_end_with_their_parent(self):
        server = self.serve("--workers", "2", "--quiet")
        port = int(server.url.rpartition(":")[2])
        with connect_to(server.url) as ws:
            server.process.kill()
            ws.wait_closed(cli.DEADLINE)
            assert ws.close_code == 1001
        deadline = time.monotonic() + cli.DEADLINE
        while is_listening(port):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_workers_end_in_good_order_on_a_terminal(self):
        """Where a signal goes to all processes in the foreground."""
        command = [cli.PROGRAM, "serve", "--workers", "2", "--quiet", "--port", "0"]
        with subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.PIPE, text=True
        ) as server:
            url = server.stdout.readline().split()[-1]
            with connect_to(url) as ws:
                os.killpg(server.pid, signal.SIGINT)
                ws.wait_closed(cli.DEADLINE)
                assert ws.close_code == 1001
            assert server.wait(cli.DEADLINE) == cli.OK

    def test_workers_that_cannot_listen_end_it(self):
        done = cli.run("serve", "--workers", "2", "--port", 0, "--tls-cert", "/nowhere")
        assert done.returncode == cli.TLS
        assert done.stdout == b""
        assert b"/nowhere" in done.stderr

    def test_workers_are_processes(self):
        for other in (["--broadcast"], ["--unix", "/nowhere"]):
            done = cli.run("serve", "--workers", "2", *other)
            assert done.returncode == cli.USAGE
            assert b"--workers are processes here" in done.stderr


class TestOverTls(cli.OverTls):
    pass


class TestChat(cli.Chat):
    def test_what_is_not_understood_is_answered(self):
        server = self.serve("--chat")
        guest = cli.Guest(self, server.url)
        for text, why in (
            ("hello", "it is no JSON object"),
            ("[" * 100000, "it is no JSON object"),
            ("{}", '"type" must be "join" or "say"'),
            ('{"type":"say","text":"x"}', "join before you say something"),
            ('{"type":"join"}', "a name has at least one character"),
            ('{"type":"join","name":7}', "a member that must be a string is none"),
            ('{"type":"join","name":"\\u202e"}', "a name has odd characters"),
            ('{"type":"join","name":" a"}', "a name has no space around it"),
            (json.dumps({"type": "join", "name": "x" * 33}), "a name has at most 32 characters"),
        ):
            guest.write(text)
            guest.hear(type="error", text=why)
        guest.tell(type="join", name="é" * 32)
        guest.hear(type="hello", you="é" * 32)
        guest.hear(type="joined")
        guest.tell(type="join", name="again")
        guest.hear(type="error", text="you have joined already")
        guest.tell(type="say", text="")
        guest.hear(type="error", text="there is nothing to say")
        guest.tell(type="say", text="x" * 16385)
        guest.hear(type="error", text="a text has at most 16384 bytes")


class TestBench(cli.Bench):
    def test_json_has_the_members_that_c_has(self):
        source = (TOP / "cli/bench.c").read_text()
        server = self.serve("--quiet")
        done = cli.run("bench", server.url, "--seconds", "0", "--json")
        members = re.findall(r'json_add_\w+\(&out, "(\w+)"', source)
        quantile = re.compile(r"_(p[\d_]+|max)_us$")
        assert [name for name in json.loads(done.stdout) if not quantile.search(name)] == members
