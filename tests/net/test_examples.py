#!/usr/bin/env python3
"""Runs the examples as their users would, in pairs, and looks at what they say.

    test_examples.py FOLDER [unittest arguments]

FOLDER is where the programs of examples/c were built to.
"""

import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import unittest

# What must happen happens long before; only a failing test takes so long.
PATIENCE = 60.0

folder = pathlib.Path()


class Program:
    """A running example. What it writes is read line by line."""

    def __init__(self, name, *args):
        self.process = subprocess.Popen(
            [folder / name, *args], bufsize=0, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.rest = b""

    def line(self):
        """The next line of its output, without the end of line."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(left, 0))
            data = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not data:
                self.process.kill()
                raise AssertionError(f"no line, but: {self.process.stderr.read()}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def say(self, line):
        os.write(self.process.stdin.fileno(), line.encode() + b"\n")

    def finish(self):
        """Ends its input and waits. Returns exit status, output, errors."""
        try:
            output, errors = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, (self.rest + output).decode(), errors.decode()

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.finish()

    def kill(self):
        """For the end of a test that has failed."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Examples(unittest.TestCase):
    def start(self, name, *args):
        program = Program(name, *args)
        self.addCleanup(program.kill)
        return program

    def serve(self, name):
        """Starts a server on a free port. Returns it and its URL."""
        server = self.start(name, "0")
        first = server.line()
        self.assertRegex(first, r"^listening on ws://127\.0\.0\.1:\d+$")
        return server, first.split()[-1] + "/"

    def assert_ended_well(self, result, output=""):
        self.assertEqual(result, (0, output, ""))

    def test_echo(self):
        server, url = self.serve("echo_server")
        client = self.start("echo_client", url, "hello", "", "wörld")
        self.assert_ended_well(client.finish(), "hello\n\nwörld\n")
        self.assert_ended_well(server.interrupt())

    def test_a_server_says_goodbye(self):
        server, url = self.serve("echo_server")
        client = self.start("poll_loop", url)
        client.say("here")
        self.assertEqual(client.line(), "here")
        self.assert_ended_well(server.interrupt(signal.SIGTERM))
        self.assert_ended_well(client.finish())

    def test_failures_are_told(self):
        server, url = self.serve("echo_server")
        port = url.rstrip("/").rsplit(":", 1)[-1]
        status, output, errors = self.start("echo_server", port).finish()
        self.assertEqual((status, output), (1, ""))
        self.assertIn(f"127.0.0.1:{port}", errors)
        self.assert_ended_well(server.interrupt())

        status, output, errors = self.start("echo_client", url, "x").finish()
        self.assertEqual((status, output), (1, ""))
        self.assertRegex(errors, r"^echo_client: .*127\.0\.0\.1")
        for args in ([], ["ftp://x/", "x"]):
            self.assertEqual(self.start("echo_client", *args).finish()[0], 2)

    def test_chat(self):
        server, url = self.serve("chat_server")
        ann = self.start("poll_loop", url + "tea")
        ann.say("ann")
        self.assertEqual(ann.line(), "* ann has come")
        zoe = self.start("poll_loop", url + "coffee")
        zoe.say("zoe")
        self.assertEqual(zoe.line(), "* zoe has come")
        bob = self.start("poll_loop", url + "tea")
        bob.say("bob")
        for guest in ann, bob:
            self.assertEqual(guest.line(), "* bob has come")
        ann.say("hi")
        for guest in ann, bob:
            self.assertEqual(guest.line(), "ann: hi")
        self.assert_ended_well(bob.finish())
        self.assertEqual(ann.line(), "* bob has left")
        self.assert_ended_well(server.interrupt())
        self.assert_ended_well(ann.finish())
        self.assert_ended_well(zoe.finish())  # Has heard of none of it.

    def test_chat_refuses_long_names(self):
        server, url = self.serve("chat_server")
        client = self.start("echo_client", url, "n" * 32)
        status, output, errors = client.finish()
        self.assertEqual((status, output), (1, ""))
        self.assertIn("1008 a name has", errors)
        self.assert_ended_well(server.interrupt())

    def test_poll_loop(self):
        server, url = self.serve("echo_server")
        terminal = self.start("poll_loop", url)
        for line in "one", "two":
            terminal.say(line)
            self.assertEqual(terminal.line(), line)
        self.assert_ended_well(terminal.finish())
        self.assert_ended_well(server.interrupt())

    def test_libuv_loop(self):
        if not (folder / "libuv_loop").exists():
            self.skipTest("libuv was not found")
        server, url = self.serve("echo_server")
        client = self.start("libuv_loop", url)
        self.assert_ended_well(client.finish(), "tick 1\ntick 2\ntick 3\n")
        self.assert_ended_well(server.interrupt())

    def test_threads(self):
        server, url = self.serve("threads")
        client = self.start("echo_client", url, "1000", "100")
        self.assert_ended_well(client.finish(), "168\n25\n")
        self.assertEqual(server.line(), "168 primes up to 1000")
        self.assertEqual(server.line(), "25 primes up to 100")
        status, output, errors = self.start("echo_client", url, "x").finish()
        self.assertEqual((status, output), (1, ""))
        self.assertIn("1008 a number", errors)
        self.assert_ended_well(server.interrupt())


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv.pop(1))
    unittest.main()
