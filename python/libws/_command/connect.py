"""`connect`: lines typed become messages, messages become lines.

The loop is one descriptor in poll(), beside the standard input. That is read only
while the connection is open and takes what is sent, so that nothing read is lost.
"""

from __future__ import annotations

import binascii
import contextlib
import select
import sys
from types import SimpleNamespace
from typing import Any

from .. import Loop, SyntaxError, TLSError, WebSocket
from .client import exit_of, tls_of
from .input import DESCRIPTOR, Input
from .options import (
    COUNT,
    FLAG,
    LIST,
    SECONDS,
    SIZE,
    SWITCH,
    TEXT,
    CommandLine,
    Heading,
    Option,
    UsageError,
)
from .process import Exit, on_interrupt
from .terminal import complain, is_terminal
from .transcript import Transcript

COMMAND = "connect"

# While more than this waits to be sent no input is read.
MAX_WAITING = 1 << 20

# What the last ping carries, to know its pong by; and how long that may take.
LAST_PING = b"libws: end of input"
PATIENCE = 5.0

LINE = CommandLine(
    name=COMMAND,
    argument="URL",
    summary="Opens a WebSocket, sends each line of the input as a text message, and prints each "
    "message that comes.",
    options=(
        Heading("The request"),
        Option(LIST, "H", "header", "'NAME: VALUE'", "a further header; may be repeated"),
        Option(
            LIST,
            "s",
            "subprotocol",
            "NAME",
            "offer a subprotocol; may be repeated, the first is preferred",
        ),
        Option(TEXT, "o", "origin", "ORIGIN", "the Origin header"),
        Option(COUNT, "", "redirects", "N", "follow up to N redirects (default: none)", 0),
        Heading("The way there"),
        Option(
            TEXT,
            "",
            "ca",
            "FILE",
            "trust the certificates in this PEM file instead of the system's",
        ),
        Option(TEXT, "", "cert", "FILE", "show the server this certificate"),
        Option(TEXT, "", "key", "FILE", "its key, unless it stands in the same file"),
        Option(FLAG, "k", "insecure", "", "take any certificate of any host"),
        Option(
            TEXT,
            "",
            "proxy",
            "URL",
            "through this proxy (http, https, socks5, socks5h) instead of the one the environment "
            "names",
        ),
        Option(FLAG, "", "no-proxy", "", "through none, whatever the environment says"),
        Option(
            SECONDS,
            "",
            "timeout",
            "SECONDS",
            "give up if the connection is not open by then (default: 30), or with --one if there "
            "is no message",
            30.0,
        ),
        Option(FLAG, "", "reconnect", "", "connect again whenever the connection is lost"),
        Heading("Messages"),
        Option(LIST, "", "send", "TEXT", "send this when the connection opens; may be repeated"),
        Option(FLAG, "", "binary", "", "what is sent is hexadecimal, and goes as binary messages"),
        Option(FLAG, "1", "one", "", "wait for one message, print it, and close"),
        Option(
            SECONDS,
            "",
            "wait",
            "SECONDS",
            "stay that long after the end of the input, or forever (default: until the server has "
            "answered a ping)",
            0.0,
        ),
        Option(
            SECONDS,
            "",
            "ping",
            "SECONDS",
            "ping after that long without a word from the server (default: 20), or 0 for never",
            20.0,
        ),
        Option(
            SIZE,
            "",
            "max-message",
            "SIZE",
            "longest message taken, such as 64K, or unlimited (default: 16M)",
            1 << 24,
        ),
        Option(
            SWITCH, "", "compression", "on|off", "offer permessage-deflate (default: on)", True
        ),
        Heading("What is printed"),
        Option(FLAG, "", "json", "", "one JSON object a line for everything that happens"),
        Option(FLAG, "", "full", "", "all of every message, however long"),
    ),
    epilogue="The URL is ws:, wss:, http:, https: or ws+unix:/path/of/socket:/path. At the end of "
    "the input, or with Ctrl-C, the connection is closed; Ctrl-C twice ends it at once.\n"
    "\n"
    "Exit status: 0 closed cleanly, 1 not connected or lost, 2 wrong usage, 3 the server refused, "
    "4 timed out, 5 TLS failed, 130 interrupted.",
)


def run(settings: SimpleNamespace) -> int:
    """Runs the command."""
    _check(settings)
    headers = [_header(text) for text in settings.header]
    with Loop() as loop:
        try:
            session = Session(settings, headers, loop)
        except TLSError as error:
            complain(COMMAND, error)
            return Exit.TLS
        except (SyntaxError, ValueError, TypeError) as error:
            raise UsageError(error) from None
        return session.talk()


def _check(settings: SimpleNamespace) -> None:
    """What the table of options cannot say."""
    if settings.key is not None and settings.cert is None:
        raise UsageError("--key needs --cert")
    if settings.proxy is not None and settings.no_proxy:
        raise UsageError("--proxy and --no-proxy exclude each other")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise UsageError(f"--header takes 'Name: value', not '{text}'")
    return name, value.strip(" \t")


class Session:
    """One run of the command."""

    def __init__(
        self, settings: SimpleNamespace, headers: list[tuple[str, str]], loop: Loop
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._code: Exit | None = None  # The first thing that happens decides.
        self._is_over = False
        self._has_ended_input = False  # And closes when that has been answered.
        self._socket = self._open(headers)
        self._timer = loop.timer(settings.timeout or 0.0, self._on_timer)
        if not settings.one or settings.timeout is None:
            self._timer.cancel()
        on_interrupt(loop, self._on_interrupt)
        is_interactive = is_terminal(sys.stdin) and is_terminal(sys.stdout) and not settings.json
        self._input = Input(is_interactive)
        self._transcript = Transcript(settings.json, settings.full, self._input.hide)

    def _open(self, headers: list[tuple[str, str]]) -> WebSocket:
        settings = self._settings
        ws = WebSocket(
            settings.url,
            settings.subprotocol,
            headers=headers,
            origin=settings.origin,
            tls=tls_of(settings),
            proxy=False if settings.no_proxy else settings.proxy,
            max_redirects=settings.redirects,
            reconnect=settings.reconnect,
            handshake_timeout=settings.timeout,
            ping_interval=settings.ping or None,
            max_message=settings.max_message,
            max_send_queue=None,
            send_high_water=MAX_WAITING,
            compression=settings.compression,
            loop=self._loop,
        )
        ws.onopen = self._on_open
        ws.onmessage = self._on_message
        ws.onpong = self._on_pong
        ws.onerror = self._on_error
        ws.onreconnect = self._on_reconnect
        ws.onclose = self._on_close
        return ws

    def talk(self) -> int:
        """Runs until the connection has ended; returns the exit status."""
        with contextlib.closing(self._input):
            while not self._is_over:
                self._send_lines()
                self._wait()
                self._loop.wait(0)
                self._loop.dispatch()
        return Exit.FAILED if self._code is None else self._code

    def _wait(self) -> None:
        """Waits for the loop, and for the input if what it brings could be sent."""
        poll = select.poll()
        poll.register(self._loop.fileno(), select.POLLIN)
        wants_input = self._can_send() and not self._input.has_ended
        if wants_input:
            poll.register(DESCRIPTOR, select.POLLIN)
            self._input.show()
        else:
            self._input.hide()
        if any(descriptor == DESCRIPTOR for descriptor, _ in poll.poll()):
            self._input.fill()

    # -- Sending ------------------------------------------------------------

    def _can_send(self) -> bool:
        socket = self._socket
        return socket.readyState == WebSocket.OPEN and not socket._is_full

    def _send_lines(self) -> None:
        while self._can_send() and (line := self._input.next()) is not None:
            self._send(line)
        if self._can_send() and self._input.has_ended and not self._has_ended_input:
            self._end_input()

    def _send(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            complain(COMMAND, "not sent: the text is not valid UTF-8")
            return
        if not self._settings.binary:
            self._socket.send(text)
            return
        try:
            self._socket.send(binascii.unhexlify("".join(text.split())))
        except ValueError:
            complain(COMMAND, f"not sent, as it is not hexadecimal: {text[:40]}")

    def _end_input(self) -> None:
        """Messages that come after close() are not seen any more, as in a
        browser. A server that answers in order has answered all that was sent
        before the pong to this ping comes.
        """
        self._has_ended_input = True
        wait = self._settings.wait
        if self._settings.one or wait is None:
            return
        if wait == 0:
            self._socket.ping(LAST_PING)
        self._timer.set(wait or PATIENCE)

    # -- Closing ------------------------------------------------------------

    def _decide(self, code: Exit) -> None:
        if self._code is None:
            self._code = code

    def _on_timer(self) -> None:
        if self._settings.one:
            complain(COMMAND, "no message has come in time")
            self._decide(Exit.TIMEOUT)
        elif self._socket.bufferedAmount > 0 and self._settings.wait == 0:
            self._timer.set(PATIENCE)  # The ping has not left yet.
            return
        self._socket.close(1000)

    def _on_interrupt(self, count: int) -> None:
        """The first closes, the second does not wait."""
        if count == 1 and self._socket.readyState == WebSocket.OPEN:
            self._transcript.note("closing")
            self._socket.close(1000)
        else:
            self._code = Exit.INTERRUPTED
            self._socket.terminate()

    # -- Events -------------------------------------------------------------

    def _on_open(self, event: object) -> None:
        ws = self._socket
        self._transcript.opened(ws.url, ws.protocol, ws.extensions)
        for text in self._settings.send:
            self._send(text.encode(errors="surrogateescape"))

    def _on_message(self, event: Any) -> None:
        self._transcript.message(event.data)
        if self._settings.one:
            self._decide(Exit.OK)
            self._socket.close(1000)

    def _on_pong(self, event: Any) -> None:
        if self._has_ended_input and self._settings.wait == 0 and event.data == LAST_PING:
            self._socket.close(1000)

    def _on_error(self, event: Any) -> None:
        self._transcript.failed(event.error)
        self._decide(exit_of(event.error))

    def _on_reconnect(self, event: object) -> None:
        self._transcript.reconnecting(event)
        self._has_ended_input = False  # Its ping went with the connection.

    def _on_close(self, event: Any) -> None:
        self._transcript.closed(event.code, event.reason, event.wasClean)
        is_fine = event.wasClean and not self._settings.one
        self._decide(Exit.OK if is_fine else Exit.FAILED)
        self._is_over = True
