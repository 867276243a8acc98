"""`serve`: a server that echoes, broadcasts or lets people chat."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from .. import Loop, Request, TLSError, TLSOptions, WebSocket, WebSocketServer
from .chat import Chat
from .client import error_name
from .options import (
    COUNT,
    FLAG,
    LIST,
    PORT,
    SIZE,
    TEXT,
    CommandLine,
    Heading,
    Option,
    UsageError,
)
from .process import Exit, on_interrupt, on_signal, raise_descriptor_limit
from .terminal import Style, complain, styled, visible

COMMAND = "serve"

DEFAULT_MAX_MESSAGE = 1 << 20
DEFAULT_MAX_CHAT_MESSAGE = 4 << 20  # A picture.

# A client that does not read its echoes is not read from, above this.
MAX_UNREAD = 4 << 20

# What may wait to be sent: this, and two messages of any length.
MAX_QUEUE = 16 << 20

LINE = CommandLine(
    name=COMMAND,
    argument="",
    summary="Serves WebSockets. The first line on the standard output is 'listening on URL'; what "
    "happens is logged on the standard error.",
    options=(
        Heading("What it does"),
        Option(FLAG, "", "echo", "", "send each message back (the default)"),
        Option(FLAG, "", "broadcast", "", "send each message to everyone"),
        Option(FLAG, "", "chat", "", "a chat, with its page at / on the same port"),
        Option(
            TEXT, "", "root", "DIR", "serve the files of this folder over HTTP, on the same port"
        ),
        Heading("Where"),
        Option(
            TEXT,
            "",
            "host",
            "HOST",
            "address or name to listen on (default: 127.0.0.1; :: for all)",
            "127.0.0.1",
        ),
        Option(
            PORT, "p", "port", "N", "port to listen on (default: 8080; 0 for a free one)", 8080
        ),
        Option(TEXT, "", "unix", "PATH", "listen on a Unix socket instead"),
        Option(TEXT, "", "tls-cert", "FILE", "serve wss with this certificate chain (PEM)"),
        Option(TEXT, "", "tls-key", "FILE", "its key, unless it stands in the same file"),
        Heading("How"),
        Option(COUNT, "", "workers", "N", "serve with N processes (not with --chat)", 0),
        Option(FLAG, "", "compression", "", "take permessage-deflate when a client offers it"),
        Option(
            SIZE,
            "",
            "max-message",
            "SIZE",
            "longest message taken, such as 64K, or unlimited (default: 1M; --chat: 4M)",
            0,
        ),
        Option(
            LIST,
            "",
            "origin",
            "ORIGIN",
            "let pages of this origin connect, or of any with '*'; may be repeated (default: pages "
            "of this server)",
        ),
        Option(
            LIST,
            "",
            "subprotocol",
            "NAME",
            "speak this subprotocol; may be repeated (default: the first that the client offers)",
        ),
        Option(COUNT, "", "max-connections", "N", "refuse those beyond", 0),
        Option(FLAG, "", "once", "", "end when the first WebSocket has ended"),
        Option(FLAG, "q", "quiet", "", "do not log"),
    ),
    epilogue="Ctrl-C closes all connections with code 1001 and ends when they have; Ctrl-C twice "
    "ends at once. With TLS, SIGHUP reads the certificate again.",
)


def run(settings: SimpleNamespace) -> int:
    """Runs the command."""
    _check(settings)
    if settings.max_message == 0:
        settings.max_message = DEFAULT_MAX_CHAT_MESSAGE if settings.chat else DEFAULT_MAX_MESSAGE
    raise_descriptor_limit()
    if settings.workers > 1:
        return _told(lambda: _serve_with_workers(settings))
    return _told(lambda: _serve(settings, _print_urls))


def _told(serve: Callable[[], int]) -> int:
    """The exit status of what serves; tells why that could not begin."""
    try:
        return serve()
    except TLSError as error:
        complain(COMMAND, error)
        return Exit.TLS
    except (OSError, ValueError) as error:
        complain(COMMAND, error)
        return Exit.FAILED


def _check(settings: SimpleNamespace) -> None:
    """What the table of options cannot say."""
    if settings.echo + settings.broadcast + settings.chat > 1:
        raise UsageError("--echo, --broadcast and --chat exclude each other")
    if settings.chat and settings.workers:
        raise UsageError("--chat needs no --workers")
    if settings.workers > 1 and (settings.broadcast or settings.unix is not None):
        raise UsageError("--workers are processes here: not with --broadcast or --unix")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise UsageError("--tls-key needs --tls-cert")
    if settings.root is not None and not os.path.isdir(settings.root):
        raise UsageError(f"--root takes a folder, not '{settings.root}'")


def _serve(
    settings: SimpleNamespace, announce: Callable[[list[str]], object], is_worker: bool = False
) -> int:
    with Loop() as loop:
        service = Service(settings, loop)
        service.listen(reuse_port=is_worker)
        announce(service.server.urls)
        loop.run()
        return Exit.OK


def _print_urls(urls: list[str]) -> None:
    for url in urls:
        print(f"listening on {url}", flush=True)


# -- Workers -----------------------------------------------------------------


class Pipe:
    """Tells by its end that all who could write to it have gone, or want no more."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_all(self) -> bytes:
        """Waits for that; returns what was written."""
        os.close(self.writer)
        return b"".join(iter(lambda: os.read(self.reader, 1), b""))


def _serve_with_workers(settings: SimpleNamespace) -> int:
    """The system shares the connections out among processes on one port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as claim:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        claim.bind((settings.host, settings.port))
        settings.port = claim.getsockname()[1]
        listening, life = Pipe(), Pipe()
        workers = [_fork(settings, listening, life) for _ in range(settings.workers)]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: _pass_on(workers, number))
        urls = listening.read_all().decode().split()
        if len(urls) == settings.workers:
            _print_urls(urls[:1])
        else:
            _pass_on(workers, signal.SIGTERM)
        codes = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
    return max(codes)


def _fork(settings: SimpleNamespace, listening: Pipe, life: Pipe) -> int:
    worker = os.fork()
    if worker == 0:
        os.setpgrp()  # The signals of a terminal come from the parent.
        threading.Thread(target=_end_with, args=[life], daemon=True).start()
        os._exit(_told(lambda: _serve(settings, partial(_tell, listening), is_worker=True)))
    return worker


def _tell(listening: Pipe, urls: list[str]) -> None:
    os.write(listening.writer, f"{urls[0]}\n".encode())
    os.close(listening.writer)


def _end_with(life: Pipe) -> None:
    """Ends this process when the parent has, however that happened."""
    life.read_all()
    os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(workers: list[int], number: int) -> None:
    for worker in workers:
        os.kill(worker, number)


# -- One server --------------------------------------------------------------


class Service:
    """The server, and what a message causes."""

    def __init__(self, settings: SimpleNamespace, loop: Loop) -> None:
        self._settings = settings
        self._tls = None
        if settings.tls_cert is not None:
            self._tls = TLSOptions(certfile=settings.tls_cert, keyfile=settings.tls_key)
        self._chat = Chat(settings.max_message, settings.root) if settings.chat else None
        limit = settings.max_message
        self.server = WebSocketServer(
            listen=False,
            loop=loop,
            onconnection=self._on_connection,
            onrequest=self._chat.show if self._chat is not None else None,
            onerror=lambda event: complain(COMMAND, event.message),
            onclose=loop.stop,
            protocols=settings.subprotocol or None,
            origins=settings.origin or None,
            root=settings.root,
            compression=settings.compression,
            max_message=limit,
            max_send_queue=None if limit is None else MAX_QUEUE + 2 * limit,
            send_high_water=MAX_UNREAD,
            max_connections=settings.max_connections,
        )
        if self._chat is not None:
            self._chat.server = self.server
        on_interrupt(loop, self._on_interrupt)
        on_signal(loop, signal.SIGHUP, self._reload)

    def listen(self, reuse_port: bool) -> None:
        """Listens where the settings say."""
        settings = self._settings
        if settings.unix is not None:
            self.server.listen(unix=settings.unix, tls=self._tls)
        else:
            self.server.listen(settings.host, settings.port, tls=self._tls, reuse_port=reuse_port)

    def _on_interrupt(self, count: int) -> None:
        if count > 1:
            self.server.stop_listening()  # And removes the file of a Unix socket.
            os._exit(Exit.INTERRUPTED)
        self.server.close(1001)

    def _reload(self) -> None:
        if self._tls is None:
            return
        try:
            self._tls.reload()
        except TLSError as error:
            complain(COMMAND, f"kept the old certificate: {error}")
        else:
            if not self._settings.quiet:
                complain(COMMAND, "took the certificate anew")

    # -- Connections --------------------------------------------------------

    def _on_connection(self, ws: WebSocket, request: Request) -> None:
        if self._chat is not None:
            self._join_chat(ws, self._chat)
        elif self._settings.broadcast:
            ws.onmessage = self._broadcast
        else:
            ws.onmessage = self._echo
            ws.ondrain = lambda event: ws.resume()
        if not self._settings.quiet:
            self._log_all(ws, request)
        if self._settings.once:
            ws.addEventListener("close", lambda event: self.server.close(1001))

    def _join_chat(self, ws: WebSocket, chat: Chat) -> None:
        member = chat.enter(ws)
        ws.onmessage = lambda event: chat.hear(member, event.data)
        ws.onclose = lambda event: chat.leave(member)

    def _echo(self, event: Any) -> None:
        ws = event.target
        ws.send(event.data)
        if ws._is_full:
            ws.pause()

    def _broadcast(self, event: Any) -> None:
        self.server.broadcast(event.data)

    # -- The log ------------------------------------------------------------

    def _log_all(self, ws: WebSocket, request: Request) -> None:
        def on_error(event: Any) -> None:
            log(f"failed: {event.message} ({error_name(event.error)})")

        def on_close(event: Any) -> None:
            stats = ws.stats()
            reason = f": {visible(event.reason)}" if event.reason else ""
            traffic = f"{stats['messages_received']} messages in, {stats['messages_sent']} out"
            log(f"closed {event.code}{reason}, {traffic}")

        def log(text: str) -> None:
            clock = styled(time.strftime("%H:%M:%S"), Style.DIM, sys.stderr)
            print(f"{clock} {request.remote} {text}", file=sys.stderr, flush=True)

        log("open " + _description(ws, request))
        ws.addEventListener("error", on_error)
        ws.addEventListener("close", on_close)


def _description(ws: WebSocket, request: Request) -> str:
    protocol = f", subprotocol {ws.protocol}" if ws.protocol else ""
    extensions = f", {ws.extensions}" if ws.extensions else ""
    return visible(request.target) + protocol + extensions
