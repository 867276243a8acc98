"""The programs under test: the command `libws`, the probe (probe/probe.c) and the
examples."""

import json
import os
import signal
import urllib.parse
import zlib
from pathlib import Path

from .process import Process, ProcessError, clean_environment

TEXT_PERIOD = bytes(range(32, 127))
BINARY_PERIOD = bytes(range(251))

# Row 153, with what comes after it on both sides.
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 65537)
MIB = 1 << 20
LARGE = 16 * MIB
# For a probe that sends and gets messages of that size: no drain events.
FOR_LARGE = {"max_message": LARGE, "max_send_queue": 2 * LARGE, "send_high_water": 2 * LARGE}
ABNORMAL = 1006

# What libws connect exits with for a failure; 1 for all others.
EXIT_CODES = {"UNEXPECTED_STATUS": 3, "HANDSHAKE_TIMEOUT": 4, "TLS": 5, "CERTIFICATE": 5}


def pattern(size, is_text):
    """The payload that the probe calls @size."""
    period = TEXT_PERIOD if is_text else BINARY_PERIOD
    return (period * (size // len(period) + 1))[:size]


def pattern_text(size):
    return pattern(size, is_text=True).decode()


def pattern_bytes(size):
    return pattern(size, is_text=False)


class Events(Process):
    """A process that prints a line of JSON for each event."""

    def event(self):
        line = self.read_line()
        try:
            return json.loads(line)
        except ValueError:
            raise ProcessError(f"no JSON: {line}\n{self.transcript()}") from None

    def expect(self, event, **fields):
        """The next event has to be this one, as far as is said. Returns it."""
        actual = self.event()
        wanted = {"event": event, **fields}
        assert {name: actual.get(name) for name in wanted} == wanted, (
            f"{actual}\ninstead of {wanted}\n{self.transcript()}")
        return actual


class Probe(Events):
    """Acts at exact moments and shows exact events. Sockets have numbers, in the
    order in which they were opened or, on a server, were first heard of."""

    def command(self, *words):
        self.write_line(" ".join(urllib.parse.quote(str(word), safe="@=:/") for word in words))

    def _open(self, *words, **options):
        named = [(name.replace("_", "-"), value) for name, value in options.items()]
        pairs = [f"{name}={v}" for name, value in named
                 for v in (value if isinstance(value, (list, tuple)) else [value])]
        self.command(*words, *pairs)

    def listen(self, **options):
        """Starts a server; options as in probe/options.c. Returns its URL."""
        self._open("listen", **options)
        event = self.expect("listening")
        self.port = event["port"]
        return event["url"]

    def connect(self, url, **options):
        """Opens a client and returns its number."""
        self._open("connect", url, **options)
        return self.expect("connecting")["id"]

    def send(self, number, payload, *flags):
        """Sends text (str) or, by an int, that much of the binary pattern."""
        if isinstance(payload, str):
            self.command("send", number, "text", payload or "@0", *flags)
        else:
            self.command("send", number, "binary", f"@{payload}", *flags)

    def send_text_pattern(self, number, size, *flags):
        self.command("send", number, "text", f"@{size}", *flags)

    def state(self, number):
        """What the socket's attributes are now. Also shows that there are no
        events before it."""
        self.command("state", number)
        return self.expect("state", id=number)

    def expect_message(self, number, data):
        is_text = isinstance(data, str)
        payload = data.encode() if is_text else data
        self.expect("message", id=number, type="text" if is_text else "binary",
                    length=len(payload), crc32=zlib.crc32(payload))

    def expect_echoes(self, number, sizes):
        """Text and binary messages of these sizes have to come back."""
        for size in sizes:
            self.send_text_pattern(number, size)
            self.expect_message(number, pattern_text(size))
            self.send(number, size)
            self.expect_message(number, pattern_bytes(size))

    def expect_close(self, number, code, reason="", clean=True):
        self.expect("close", id=number, code=code, reason=reason, clean=clean)

    def expect_failure(self, number, name, **fields):
        """Error and close, as rows 137 and 231 to 248 have it. Returns the
        error."""
        error = self.expect("error", id=number, name=name, **fields)
        self.expect_close(number, ABNORMAL, clean=False)
        return error

    def finish(self):
        """Ends it. It must have nothing further to tell."""
        if self.is_running():
            self.end_input()
        rest = self.read_rest()
        assert rest == [], f"further events:\n{self.transcript()}"
        return self.wait()


class Client(Events):
    """libws connect --json."""

    def send(self, text):
        self.write_line(text)

    def expect_message(self, text):
        self.expect("message", type="text", data=text)

    def expect_close(self, code, reason="", clean=True):
        self.expect("close", code=code, reason=reason, clean=clean)

    def expect_failure(self, name):
        """Error, close and the end. Returns the error."""
        error = self.expect("error", name=name)
        self.expect_close(ABNORMAL, clean=False)
        assert self.wait() == EXIT_CODES.get(name, 1), self.transcript()
        return error

    def expect_echo(self, text="hello"):
        """Opens, has a message sent back, and closes."""
        self.expect("open")
        self.send(text)
        self.expect_message(text)
        self.end_input()
        self.expect_close(1000)
        assert self.wait() == 0, self.transcript()

    def finish(self):
        if self.is_running():
            self.kill()
        return 0


class Server(Process):
    """libws serve."""

    def read_address(self):
        """The first line of all servers says where they listen."""
        words = self.read_line().split()
        assert words[:2] == ["listening", "on"], words
        self.url = words[2]
        self.port = urllib.parse.urlsplit(self.url).port

    def finish(self):
        """It has to end in good order."""
        return self.stop(signal.SIGTERM)


class Programs:
    """Starts the programs, and ends them when the test has ended."""

    def __init__(self, prefix, probe=None):
        self.libws = Path(prefix) / "bin" / "libws"
        self._probe = probe and Path(probe)
        self.running = []

    def _start(self, kind, *args, **options):
        process = kind(args, **options)
        self.running.append(process)
        return process

    def where_both_are_known(self):
        """An environment in which the name both.test is ::1 and 127.0.0.1; see
        probe/both.c."""
        # It may well stand before what a sanitizer brings.
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return clean_environment(LD_PRELOAD=str(self._probe.parent / "libboth.so"),
                                 ASAN_OPTIONS=asan)

    def probe(self, **options):
        return self._start(Probe, self._probe, **options)

    def connect(self, url, *args, **options):
        return self._start(Client, self.libws, "connect", "--json", url, *args, **options)

    def serve(self, *args, **options):
        where = () if {"--unix", "--port"} & set(args) else ("--port", "0")
        server = self._start(Server, self.libws, "serve", *where, *args, **options)
        server.read_address()
        return server

    def example(self, name, *args):
        """A program of examples/c, which stands beside the probe."""
        return self._start(Process, self._probe.parent / name, *args)

    def example_server(self, name):
        server = self._start(Server, self._probe.parent / name, "0")
        server.read_address()
        return server

    def foreign(self, *args, **options):
        """A program that is not under test."""
        process = self._start(Process, *args, **options)
        process.is_foreign = True
        return process

    def finish(self):
        """Ends all. Those under test must have ended well: sanitizers report
        leaks by the exit code."""
        problems = []
        for process in reversed(self.running):
            try:
                code = process.finish()
                if code != 0 and not getattr(process, "is_foreign", False):
                    problems.append(process.transcript())
            except AssertionError as error:
                problems.append(str(error))
            finally:
                process.kill()
        assert not problems, "\n".join(problems)
