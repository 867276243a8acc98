#!/usr/bin/env python3
"""Drives the command libws from outside, as a person or a script would.

    test_cli.py PROGRAM [unittest options]

Uses Python's standard library, and openssl(1) for certificates. Nothing waits
longer than DEADLINE; ports are free ones.
"""

import base64
import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

PROGRAM = None
DEADLINE = 60

OK, FAILED, USAGE, REFUSED, TIMEOUT, TLS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


def environment(**more):
    """Ours without what changes what the program does."""
    kept = {name: value for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and name not in ("NO_COLOR", "TERM")}
    return {**kept, "TERM": "xterm", **more}


def run(*args, stdin="", env=None):
    """Runs the program to its end; stdin may be bytes."""
    data = stdin if isinstance(stdin, bytes) else stdin.encode()
    return subprocess.run([PROGRAM, *map(str, args)], input=data, capture_output=True,
                          timeout=DEADLINE, env=env or environment())


class Lines:
    """What comes out of a pipe, line by line."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = b""

    def _read(self):
        if not select.select([self.stream], [], [], DEADLINE)[0]:
            raise AssertionError("nothing has come")
        chunk = os.read(self.stream.fileno(), 1 << 16)
        self.buffer += chunk
        return chunk != b""

    def next(self):
        while b"\n" not in self.buffer:
            if not self._read():
                raise AssertionError(f"it has ended: {self.buffer!r}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def rest(self):
        while self._read():
            pass
        return self.buffer.decode()


class Background:
    """The program, running beside the test."""

    def __init__(self, *args, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen([PROGRAM, *map(str, args)], stdin=stdin,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment())
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def line(self):
        """The next line of stdout."""
        return self.out.next()

    def complaint(self):
        """The next line of stderr."""
        return self.err.next()

    def send_signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Waits for the end. Returns exit code, and what is left of stdout and
        stderr."""
        out, err = self.out.rest(), self.err.rest()
        return self.process.wait(DEADLINE), out, err

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


class Case(unittest.TestCase):
    def background(self, *args, **options):
        process = Background(*args, **options)
        self.addCleanup(process.kill)
        return process

    def serve(self, *args):
        """A server on a free port. Its URL is in `url`."""
        where = () if "--unix" in args else ("--port", 0)
        server = self.background("serve", *where, *args)
        first = server.line()
        self.assertRegex(first, r"^listening on ws")
        server.url = first.removeprefix("listening on ")
        return server

    def talk(self, *args, stdin="", code=OK):
        """Runs `libws connect`. Returns what it prints."""
        done = run("connect", *args, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode()

    def events(self, *args, **options):
        """The same with --json; returns the objects."""
        return [json.loads(line) for line in self.talk(*args, "--json", **options).splitlines()]


# -- The command line ----------------------------------------------------------


class CommandLine(Case):
    def test_version(self):
        done = run("--version")
        self.assertEqual(done.returncode, OK)
        self.assertRegex(done.stdout.decode(), r"^libws \d+\.\d+\.\d+\n$")

    def test_help_is_there_for_every_command(self):
        for args in (["--help"], ["connect", "--help"], ["serve", "-h"], ["bench", "--help"]):
            done = run(*args)
            self.assertEqual(done.returncode, OK)
            self.assertTrue(done.stdout.startswith(b"Usage: libws "))
            self.assertEqual(done.stderr, b"")

    def test_every_option_is_in_the_man_page(self):
        path = os.path.join(os.path.dirname(__file__), "../../cli/libws.1")
        with open(path, encoding="utf-8") as file:
            page = file.read().replace("\\-", "-")
        for command in ("connect", "serve", "bench"):
            names = re.findall(r"^ {2}(?:-., |    )(--[a-z-]+)",
                               run(command, "--help").stdout.decode(), re.MULTILINE)
            self.assertGreater(len(names), 5)
            for name in names:
                self.assertIn(name, page)

    def test_wrong_usage_exits_with_2_and_says_why(self):
        cases = {
            (): "Usage",
            ("dance",): "unknown command dance",
            ("connect",): "URL is missing",
            ("connect", "ws://h/", "--colour"): "unknown option --colour",
            ("connect", "ws://h/", "--header", "Name"): "takes 'Name: value'",
            ("connect", "ws://h/", "--timeout", "soon"): "takes a number of seconds",
            ("connect", "gopher://h/"): "scheme",
            ("connect", "ws://h/", "--subprotocol", "a b"): "subprotocol",
            ("connect", "ws://h/", "--header", "Host: x"): "Host",
            ("connect", "wss://h/", "--key", "x"): "--key needs --cert",
            ("connect", "ws://h/", "--proxy", "http://p", "--no-proxy"): "exclude each other",
            ("serve", "--port", "65536"): "takes a port",
            ("serve", "--echo", "--chat"): "exclude each other",
            ("serve", "--chat", "--workers", "2"): "needs no --workers",
            ("serve", "--tls-key", "x"): "needs --tls-cert",
            ("serve", "--root", "/nowhere"): "--root takes a folder, not '/nowhere'",
            ("serve", "ws://h/"): "one argument too many",
            ("bench", "ws://h/", "--size", "2G"): "at most 1G",
        }
        for args, expected in cases.items():
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(expected, done.stderr.decode())
                self.assertEqual(done.stdout, b"")


# -- libws connect -------------------------------------------------------------


class Connect(Case):
    def test_lines_come_back_before_it_ends(self):
        server = self.serve()
        self.assertEqual(self.talk(server.url, stdin="one\ntwo\n\nthree"), "one\ntwo\n\nthree\n")

    def test_much_input_comes_back_whole(self):
        """What waits to be sent is bounded, and nothing is lost by that."""
        server = self.serve("--quiet")
        text = "".join(f"{n} {'x' * (n % 700)}\n" for n in range(20000))
        self.assertEqual(self.talk(server.url, stdin=text), text)

    def test_one_prints_one_message(self):
        server = self.serve()
        self.assertEqual(self.talk(server.url, "--one", "--send", "hi"), "hi\n")
        self.assertEqual(self.talk(server.url, "-1", stdin="a\nb\n"), "a\n")

    def test_one_fails_when_none_comes(self):
        server = self.serve()
        started = time.monotonic()
        self.talk(server.url, "--one", "--timeout", "0.2", code=TIMEOUT)
        self.assertLess(time.monotonic() - started, DEADLINE)
        client = self.background("connect", server.url, "--one")
        self.assertIn("connected", client.complaint())
        server.send_signal(signal.SIGTERM)
        self.assertEqual(client.end()[0], FAILED)

    def test_sends_before_lines(self):
        server = self.serve()
        self.assertEqual(self.talk(server.url, "--send", "a", "--send", "b", stdin="c\n"),
                         "a\nb\nc\n")

    def test_json_has_all_events(self):
        server = self.serve("--subprotocol", "two", "--compression")
        events = self.events(server.url, "--subprotocol", "one", "--subprotocol", "two",
                             stdin='"\\\t\x01é\n')
        self.assertEqual(events[0]["event"], "open")
        self.assertEqual(events[0]["url"], server.url + "/")
        self.assertEqual(events[0]["protocol"], "two")
        self.assertIn("permessage-deflate", events[0]["extensions"])
        self.assertEqual(events[1:], [
            {"event": "message", "type": "text", "data": '"\\\t\x01é'},
            {"event": "close", "code": 1000, "reason": "", "clean": True},
        ])

    def test_binary_is_hexadecimal(self):
        server = self.serve()
        out = self.talk(server.url, "--binary", stdin="00 41ff\n")
        self.assertEqual(out, "00000000  00 41 ff" + " " * 40 + "  |.A.|\n")
        self.assertEqual(self.events(server.url, "--binary", "--send", "00FF")[1],
                         {"event": "message", "type": "binary", "data": "AP8=", "length": 2})
        done = run("connect", server.url, "--binary", stdin="0g\né\n01\n")
        self.assertIn("not hexadecimal: 0g", done.stderr.decode())
        self.assertIn("not hexadecimal: é", done.stderr.decode())
        self.assertIn("|.|", done.stdout.decode())

    def test_long_binary_is_cut_unless_full(self):
        server = self.serve()
        data = "ab" * 1000
        cut = self.talk(server.url, "--binary", stdin=data)
        self.assertEqual(len(cut.splitlines()), 17)
        self.assertIn("744 more bytes", cut)
        full = self.talk(server.url, "--binary", "--full", stdin=data)
        self.assertEqual(len(full.splitlines()), 63)

    def test_a_line_that_is_not_utf8_is_not_sent(self):
        server = self.serve()
        done = run("connect", server.url, stdin=b"a\n\xff\nb\n")
        self.assertEqual(done.stdout, b"a\nb\n")
        self.assertIn("not sent", done.stderr.decode())

    def test_wait_outlasts_the_end_of_the_input(self):
        """A server that is slower than its pongs: the ping does not help."""
        server = self.serve("--broadcast")
        first = self.background("connect", server.url, "--wait", "forever")
        self.assertIn("connected", first.complaint())
        self.talk(server.url, "--send", "late")
        self.assertEqual(first.line(), "late")
        server.send_signal(signal.SIGTERM)
        code, _, err = first.end()
        self.assertEqual(code, OK)
        self.assertIn("closed 1001 (going away)", err)

    def test_messages_over_the_limit_fail_it(self):
        server = self.serve()
        events = self.events(server.url, "--max-message", "4", stdin="12345\n", code=FAILED)
        self.assertEqual([e["event"] for e in events], ["open", "error", "close"])
        self.assertEqual(events[1]["name"], "UNSUPPORTED_MESSAGE_LENGTH")
        self.assertEqual(events[2], {"event": "close", "code": 1006, "reason": "", "clean": False})

    def test_no_server_is_1(self):
        with contextlib.closing(socket.socket()) as bound:
            bound.bind(("127.0.0.1", 0))  # It does not listen.
            url = f"ws://127.0.0.1:{bound.getsockname()[1]}/"
            events = self.events(url, code=FAILED)
        self.assertEqual(events[0]["name"], "CONNECT")
        self.assertEqual(events[1]["event"], "close")

    def test_a_refusal_is_3_and_shows_the_status(self):
        """A-41: a page of another origin may not connect."""
        server = self.serve("--origin", "https://example.com")
        done = run("connect", server.url, "--origin", "https://evil.example")
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("403", done.stderr.decode())
        events = self.events(server.url, "--origin", "https://evil.example", code=REFUSED)
        self.assertEqual((events[0]["name"], events[0]["status"]), ("UNEXPECTED_STATUS", 403))
        self.talk(server.url, "--origin", "https://example.com")

    def test_a_server_that_says_nothing_is_4(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
            events = self.events(url, "--timeout", "0.2", code=TIMEOUT)
        self.assertEqual(events[0]["name"], "HANDSHAKE_TIMEOUT")

    def test_an_interrupt_closes(self):
        server = self.serve()
        client = self.background("connect", server.url, "--wait", "forever")
        self.assertIn("connected", client.complaint())
        client.send_signal(signal.SIGINT)
        code, _, err = client.end()
        self.assertEqual(code, OK)
        self.assertIn("closed 1000", err)

    def test_an_interrupt_before_it_is_open_ends_it(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
            client = self.background("connect", f"ws://127.0.0.1:{silent.getsockname()[1]}/")
            connection = silent.accept()[0]
            connection.settimeout(DEADLINE)
            self.assertIn(b"GET / HTTP/1.1", connection.recv(4096))
            client.send_signal(signal.SIGINT)
            self.assertEqual(client.end()[0], INTERRUPTED)
            connection.close()

    def test_headers_are_sent(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            client = self.background("connect", f"ws://127.0.0.1:{listener.getsockname()[1]}/x?y",
                                     "-H", "X-One:  1 ", "-H", "X-Two:2", "--compression", "off",
                                     "--origin", "http://o")
            connection = listener.accept()[0]
            connection.settimeout(DEADLINE)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            connection.close()
            client.end()
        lines = head.decode().split("\r\n")
        self.assertEqual(lines[0], "GET /x?y HTTP/1.1")
        for line in ("X-One: 1", "X-Two: 2", "Origin: http://o"):
            self.assertIn(line, lines)
        self.assertNotIn("sec-websocket-extensions", head.decode().lower())

    def test_it_reconnects(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve("--unix", path, "--once")
            client = self.background("connect", server.url, "--json", "--reconnect", "--wait",
                                     "forever", "--send", "hi")
            self.assertEqual(json.loads(client.line())["event"], "open")
            self.assertEqual(json.loads(client.line())["data"], "hi")
            server.send_signal(signal.SIGTERM)
            server.end()
            lost = json.loads(client.line())
            self.assertEqual((lost["event"], lost["attempt"], lost["code"]), ("reconnect", 1, 1001))
            self.serve("--unix", path)
            event = json.loads(client.line())
            while event["event"] == "reconnect":  # If it came before the server.
                event = json.loads(client.line())
            self.assertEqual(event["event"], "open")
            self.assertEqual(json.loads(client.line())["data"], "hi")


class Terminal(Case):
    """libws connect with a terminal on both sides."""

    def open(self, *args, **variables):
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(PROGRAM, [PROGRAM, "connect", *args], environment(**variables))
        self.addCleanup(os.close, fd)
        self.addCleanup(self.reap, pid)
        self.pid, self.fd, self.seen = pid, fd, ""
        return pid

    def reap(self, pid):
        if self.pid is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def expect(self, text):
        """Reads until the text has been printed, and takes it off."""
        deadline = time.monotonic() + DEADLINE
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{text!r} has not come: {self.seen!r}")
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:  # The program has ended.
                raise AssertionError(f"{text!r} has not come: {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def end(self):
        status = os.waitpid(self.pid, 0)[1]
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def test_lines_are_edited_and_sent(self):
        self.open(self.serve().url, NO_COLOR="1")
        self.expect("connected to ws://")
        self.expect("> ")
        self.type("helpx\x7f\x7flo é\r")
        self.expect("> hello é\r\n")
        self.expect("< hello é\r\n")
        self.type("\x04")
        self.expect("closed 1000 (normal closure)")
        self.assertEqual(self.end(), OK)

    def test_a_message_leaves_the_line_being_typed(self):
        server = self.serve("--broadcast")
        self.open(server.url, NO_COLOR="1")
        self.expect("> ")
        self.type("half a li")
        self.expect("> half a li")
        self.talk(server.url, "--send", "from another")
        self.expect("\r\x1b[K< from another\r\n")
        self.expect("> half a li")
        self.type("ne\r")
        self.expect("< half a line\r\n")
        self.type("\x03")
        self.expect("closed 1000")
        self.assertEqual(self.end(), OK)

    def test_messages_cannot_steer_the_terminal(self):
        server = self.serve("--broadcast")
        self.open(server.url, NO_COLOR="1")
        self.expect("> ")
        self.talk(server.url, "--send", "\x1b[2J\a one\n> two")
        self.expect("< ^[[2J^G one\r\n  > two\r\n")
        self.type("\x04")
        self.assertEqual((self.expect("closed 1000"), self.end())[1], OK)

    def test_colours_are_for_terminals_without_no_color(self):
        server = self.serve()
        self.open(server.url)
        self.expect("\x1b[32mconnected\x1b[0m")
        self.type("\x04")
        self.expect("\x1b[32mclosed\x1b[0m")
        self.assertEqual(self.end(), OK)
        done = run("connect", server.url)
        self.assertNotIn(b"\x1b", done.stdout + done.stderr)

    def test_a_dumb_terminal_gets_plain_lines(self):
        self.open(self.serve().url, TERM="dumb")
        self.expect("connected to")
        self.type("hi\n")
        self.expect("\nhi\r\n")
        self.type("\x04")
        self.expect("closed 1000")
        self.assertNotIn("\x1b", self.seen)
        self.assertEqual(self.end(), OK)


# -- libws serve ---------------------------------------------------------------


class Serve(Case):
    def test_it_ends_in_good_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = self.serve()
            client = self.background("connect", server.url, "--wait", "forever", "--json")
            self.assertEqual(json.loads(client.line())["event"], "open")
            server.send_signal(number)
            self.assertEqual(server.end()[0], OK)
            self.assertEqual(json.loads(client.line()),
                             {"event": "close", "code": 1001, "reason": "", "clean": True})
            self.assertEqual(client.end()[0], OK)

    def test_a_second_signal_does_not_wait(self):
        """A client that does not answer Close would hold it for seconds."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve("--unix", path, "--quiet")
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as stubborn:
                stubborn.settimeout(DEADLINE)
                stubborn.connect(path)
                stubborn.sendall(HANDSHAKE)
                self.assertIn(b"101", stubborn.recv(4096))
                server.send_signal(signal.SIGINT)
                self.assertEqual(stubborn.recv(4096), b"\x88\x02\x03\xe9")
                server.send_signal(signal.SIGINT)
                self.assertEqual(server.end()[0], INTERRUPTED)
            self.assertFalse(os.path.exists(path))

    def test_signals_that_come_at_once_are_all_heard(self):
        server = self.serve()
        for number in signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT:
            server.send_signal(number)
        self.assertEqual(server.end()[0], OK)

    def test_once_ends_after_one(self):
        server = self.serve("--once")
        self.assertEqual(self.talk(server.url, stdin="a\n"), "a\n")
        self.assertEqual(server.end()[0], OK)

    def test_it_logs_unless_it_is_quiet(self):
        server = self.serve()
        self.talk(server.url + "/room?1", "--send", "a", "--send", "b")
        server.send_signal(signal.SIGTERM)
        lines = server.end()[2].splitlines()
        who = r"^\d\d:\d\d:\d\d 127\.0\.0\.1:\d+ "
        self.assertEqual(len(lines), 2, lines)
        self.assertRegex(lines[0], who + r"open /room\?1$")
        self.assertRegex(lines[1], who + "closed 1000, 2 messages in, 2 out$")
        quiet = self.serve("--quiet")
        self.talk(quiet.url, "--send", "a")
        quiet.send_signal(signal.SIGTERM)
        self.assertEqual(quiet.end(), (OK, "", ""))

    def test_text_and_binary_keep_their_type(self):
        server = self.serve("--workers", "2")
        self.assertEqual(self.events(server.url, "--send", "61")[1]["type"], "text")
        self.assertEqual(self.events(server.url, "--binary", "--send", "61")[1]["type"], "binary")

    def test_everyone_hears_a_broadcast(self):
        for workers in ((), ("--workers", "2")):
            server = self.serve("--broadcast", *workers)
            listeners = [self.background("connect", server.url, "--one") for _ in range(3)]
            for listener in listeners:
                self.assertIn("connected", listener.complaint())
            self.talk(server.url, "--one", "--send", "all")
            for listener in listeners:
                self.assertEqual(listener.end()[:2], (OK, "all\n"))

    def test_unix_sockets(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            server = self.serve("--unix", path)
            self.assertEqual(server.url, f"ws+unix:{path}")
            self.assertEqual(self.talk(f"{server.url}:/target", stdin="a\n"), "a\n")
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.end()[0], OK)
            self.assertFalse(os.path.exists(path))

    def test_limits(self):
        server = self.serve("--max-message", "4", "--max-connections", "1")
        first = self.background("connect", server.url, "--wait", "forever")
        self.assertIn("connected", first.complaint())
        self.talk(server.url, code=FAILED)
        first.send_signal(signal.SIGINT)
        self.assertEqual(first.end()[0], OK)
        events = self.events(server.url, "--send", "12345")
        self.assertEqual((events[-1]["event"], events[-1]["code"]), ("close", 1009))

    def test_large_messages_come_back(self):
        """Longer than what may wait to be sent by default."""
        server = self.serve("--max-message", "32M", "--quiet")
        text = "x" * (16 << 20)
        self.assertEqual(self.talk(server.url, "--max-message", "16M", stdin=text), text + "\n")

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.txt"), "w", encoding="utf-8") as file:
                file.write("content")
            server = self.serve("--root", folder)
            self.assertEqual(fetch(server.url, "/a.txt")[0::2], (200, b"content"))
            self.assertEqual(fetch(server.url, "/b.txt")[0], 404)
            self.assertEqual(self.talk(server.url, stdin="a\n"), "a\n")

    def test_an_address_in_use_is_1(self):
        server = self.serve()
        done = run("serve", "--port", server.url.rpartition(":")[2])
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual(done.stdout, b"")
        self.assertIn("127.0.0.1", done.stderr.decode())


@contextlib.contextmanager
def open_raw(url):
    """A socket on which a WebSocket is open."""
    host, _, port = url.removeprefix("ws://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as raw:
        raw.sendall(HANDSHAKE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(1)
        yield raw


def masked_frame(opcode, payload):
    """A short message from a client; a mask of zeros changes nothing."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


def fetch(url, path):
    """Status, headers and body of a page beside the WebSocket."""
    try:
        with urllib.request.urlopen(url.replace("ws", "http", 1) + path, timeout=DEADLINE) as page:
            return page.status, page.headers, page.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
class OverTls(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate = os.path.join(folder.name, "cert.pem")
        self.key = os.path.join(folder.name, "key.pem")
        self.make_certificate("first")
        if "without TLS" in run("serve", "--tls-cert", self.certificate).stderr.decode():
            self.skipTest("the library is built without TLS")

    def make_certificate(self, name):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
             "subjectAltName=IP:127.0.0.1", "-out", self.certificate, "-keyout", self.key],
            check=True, capture_output=True, timeout=DEADLINE)

    def serve_tls(self):
        server = self.serve("--tls-cert", self.certificate, "--tls-key", self.key)
        self.assertTrue(server.url.startswith("wss://127.0.0.1:"))
        return server

    def test_a_certificate_that_is_trusted(self):
        server = self.serve_tls()
        self.assertEqual(self.talk(server.url, "--ca", self.certificate, stdin="a\n"), "a\n")
        self.assertEqual(self.talk(server.url, "--insecure", stdin="a\n"), "a\n")

    def test_a_certificate_that_is_not_is_5(self):
        events = self.events(self.serve_tls().url, code=TLS)
        self.assertEqual(events[0]["name"], "CERTIFICATE")

    def test_files_that_are_none_are_5(self):
        self.talk("wss://127.0.0.1:1/", "--ca", "/nowhere", code=TLS)
        done = run("serve", "--port", "0", "--tls-cert", "/nowhere")
        self.assertEqual(done.returncode, TLS)
        self.assertIn("/nowhere", done.stderr.decode())

    def test_a_hangup_takes_the_certificate_anew(self):
        server = self.serve_tls()
        port = int(server.url.rpartition(":")[2])
        before = ssl.get_server_certificate(("127.0.0.1", port), timeout=DEADLINE)
        self.make_certificate("second")
        server.send_signal(signal.SIGHUP)
        while "anew" not in server.complaint():
            pass
        after = ssl.get_server_certificate(("127.0.0.1", port), timeout=DEADLINE)
        self.assertNotEqual(before, after)
        self.assertEqual(self.talk(server.url, "--ca", self.certificate, stdin="a\n"), "a\n")


# -- The chat ------------------------------------------------------------------


class Guest:
    """Somebody in the chat."""

    def __init__(self, case, url, name=None):
        self.case = case
        self.client = case.background("connect", url, "--json", "--wait", "forever",
                                      stdin=subprocess.PIPE)
        case.assertEqual(json.loads(self.client.line())["event"], "open")
        if name is not None:
            self.tell(type="join", name=name)

    def write(self, text):
        self.client.process.stdin.write(text.encode() + b"\n")
        self.client.process.stdin.flush()

    def tell(self, **message):
        self.write(json.dumps(message))

    def hear(self, **expected):
        """The next message has to have these members."""
        event = json.loads(self.client.line())
        self.case.assertEqual(event["event"], "message", event)
        if event["type"] == "binary":
            message = {"binary": base64.b64decode(event["data"])}
        else:
            message = json.loads(event["data"])
        self.case.assertEqual({**message, **expected}, message)
        return message

    def leave(self):
        self.client.send_signal(signal.SIGINT)
        self.case.assertEqual(self.client.end()[0], OK)


class Chat(Case):
    def test_people_hear_each_other(self):
        server = self.serve("--chat")
        ann = Guest(self, server.url, "Ann")
        ann.hear(type="hello", you="Ann", people=1, max=4 << 20)
        ann.hear(type="joined", name="Ann", people=1)
        bob = Guest(self, server.url, "Bob é")
        bob.hear(type="hello", you="Bob é", people=2)
        for guest in (ann, bob):
            message = guest.hear(type="joined", name="Bob é", people=2)
            self.assertLess(abs(message["time"] / 1000 - time.time()), DEADLINE)
        bob.tell(type="say", text='<b>"Hi"</b>\n\u2028')
        for guest in (ann, bob):
            guest.hear(type="said", name="Bob é", text='<b>"Hi"</b>\n\u2028')
        bob.leave()
        ann.hear(type="left", name="Bob é", people=1)

    def test_a_name_is_given_once(self):
        server = self.serve("--chat")
        Guest(self, server.url, "Ann").hear(you="Ann")
        Guest(self, server.url, "Ann").hear(you="Ann 2")
        Guest(self, server.url, "Ann").hear(you="Ann 3")

    def test_binary_goes_to_all_behind_its_sender(self):
        server = self.serve("--chat")
        ann = Guest(self, server.url, "Ann")
        ann.hear(type="hello")
        ann.hear(type="joined")
        with open_raw(server.url) as bob:
            bob.sendall(masked_frame(2, b"too early"))
            bob.sendall(masked_frame(1, b'{"type":"join","name":"Bob"}'))
            bob.sendall(masked_frame(2, b"\0\xff"))
            ann.hear(type="joined", name="Bob")
            ann.hear(type="sent", name="Bob", bytes=2)
            ann.hear(binary=b"\0\xff")
            seen = b""
            while not seen.endswith(b"\x82\x02\0\xff"):  # He hears it too.
                seen += bob.recv(4096)
            self.assertIn(b"join before you send something", seen)
        ann.hear(type="left", name="Bob", people=1)

    def test_what_is_not_understood_is_answered(self):
        server = self.serve("--chat")
        guest = Guest(self, server.url)
        for text, why in (
                ("hello", "it is no JSON object"),
                ('{"type":"join","name":"a"', "',' or '}' is missing"),
                ('{"type":"dance"}', '"type" must be "join" or "say"'),
                ("{}", '"type" must be "join" or "say"'),
                ('{"type":"say","text":"x"}', "join before you say something"),
                ('{"type":"join"}', "a name has at least one character"),
                ('{"type":"join","name":7}', "a member that must be a string is none"),
                ('{"type":"join","name":"\\u0000"}', "a name has odd characters"),
                ('{"type":"join","name":"\\u202e"}', "a name has odd characters"),
                ('{"type":"join","name":" a"}', "a name has no space around it"),
                (json.dumps({"type": "join", "name": "x" * 33}),
                 "a name has at most 32 characters"),
                ("[" * 100000, "it is no JSON object"),
                ('{"x":' + "[" * 100000, "nested too deep")):
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
        guest.tell(type="say", text="x" * 16384)
        guest.hear(type="said", text="x" * 16384)

    def test_the_page_stands_alone(self):
        server = self.serve("--chat")
        status, headers, body = fetch(server.url, "/?name=Ann")
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        page = body.decode()
        self.assertTrue(page.startswith("<!DOCTYPE html>"))
        self.assertTrue(page.endswith("</html>\n"))
        self.assertNotRegex(page, r'(src|href)="(https?:)?//')
        self.assertEqual(fetch(server.url, "/other")[0], 404)


# -- libws bench ---------------------------------------------------------------


class Bench(Case):
    def test_it_measures_an_echo(self):
        server = self.serve("--quiet", "--compression")
        for more in ((), ("--text",), ("--text", "--compression", "--size", "4K")):
            done = run("bench", server.url, "--connections", "3", "--pipeline", "4", "--seconds",
                       "0.2", "--json", *more)
            self.assertEqual((done.returncode, done.stderr), (OK, b""))
            result = json.loads(done.stdout)
            self.assertEqual((result["connections"], result["pipeline"]), (3, 4))
            self.assertGreater(result["messages"], 0)
            self.assertLessEqual(result["latency_p50_us"], result["latency_p99_us"])
            self.assertLessEqual(result["latency_p99_us"], result["latency_max_us"])

    def test_people_can_read_it(self):
        server = self.serve("--quiet")
        done = run("bench", server.url, "--seconds", "0.1")
        self.assertEqual((done.returncode, done.stderr), (OK, b""))
        for line in (r"1 connection, 125 bytes of binary", r"^messages +\d+ /s$",
                     r"^data +[\d.]+ MB/s each way$", r"^latency +p50 [\d.]+ [um]?s .*max"):
            self.assertRegex(done.stdout.decode(), re.compile(line, re.MULTILINE))

    def test_an_interrupt_ends_it_early(self):
        server = self.serve()
        bench = self.background("bench", server.url, "--seconds", "forever", "--json")
        self.assertIn("open", server.complaint())
        bench.send_signal(signal.SIGINT)
        self.assertIn(bench.end()[0], (OK, INTERRUPTED))  # With a result, or before.

    def test_it_ends_in_time_even_if_its_pipelines_are_not_full_by_then(self):
        server = self.serve("--compression", "--max-message", "16M")
        done = run("bench", server.url, "--connections", "2", "--pipeline", "1000", "--size",
                   "1M", "--compression", "--seconds", "0.1", "--json")
        self.assertEqual((done.returncode, done.stderr), (OK, b""))
        server.send_signal(signal.SIGTERM)
        closed = re.findall(r"closed 1000, (\d+) messages in", server.end()[2])
        self.assertEqual(len(closed), 2)
        for messages in closed:  # Nobody compresses 2 GB in a tenth of a second.
            self.assertLess(int(messages), 1000)

    def test_failures_have_their_codes(self):
        server = self.serve("--chat", "--quiet")
        done = run("bench", server.url, "--seconds", "5", "--text")
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("not what was sent", done.stderr.decode())
        done = run("bench", "ws://127.0.0.1:1/", "--connections", "10")
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual(len(done.stderr.decode().splitlines()), 1)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop(1)
    unittest.main()
