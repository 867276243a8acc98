"""serve(): a server whose handler is a function, with a thread for each call.

Every connection has a loop of its own, which its thread runs whenever it waits;
the thread that is in serve_forever() does nothing but accept.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._connection import GOING_AWAY, INTERNAL_ERROR, NORMAL_CLOSURE, address_of, address_text
from .._core import (
    ConnectionClosed,
    Loop,
    Request,
    Response,
    WebSocket,
    WebSocketServer,
)
from .._handshake import Accept, Handshakes, Routes, check_callable, run_sync
from .._options import places, socket_options, take_ssl
from .connection import Connection, heeding_signals

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from .._connection import Message
    from .._handshake import Hook
    from .._options import TLS, ServerOptions
    from ._tls import ServerSocket

Handler = Callable[["ServerConnection"], object]
MakeConnection = Callable[["Loop | ServerSocket", Request], "ServerConnection"]

# How long accepting pauses, in seconds, when the system is out of descriptors.
ACCEPT_PAUSE = 0.1


class ServerConnection(Connection):
    """A connection of a client. Hooks of the handshake may give it attributes."""

    username: str
    """Who has been authenticated, with basic_auth()."""

    def __init__(self, loop: Loop | ServerSocket, request: Request) -> None:
        super().__init__(loop)
        self._request = request

    @property
    def request(self) -> Request:
        """What the client has asked."""
        return self._request  # type: ignore[no-any-return]

    @property
    def remote_address(self) -> tuple[str, int] | str:
        """Host and port of the peer; the path of a Unix socket."""
        return address_of(self.request.remote)

    def respond(self, status: int, text: str) -> Response:
        """Returns a response for process_request() to refuse with."""
        return Response(status, text, {"Content-Type": "text/plain; charset=utf-8"})


class Server:
    """What serve() gives. It listens, and accepts while serve_forever() runs."""

    def __init__(
        self,
        handler: Handler,
        listeners: list[socket.socket],
        create_connection: MakeConnection,
        max_queue: int | None,
        tls: TLS,
        context: ssl.SSLContext | None,
        options: dict[str, Any],
    ) -> None:
        self._handler = handler
        self._listeners = listeners
        self._create_connection = create_connection
        self._max_queue = max_queue
        self._tls, self._context = tls, context
        self._max_connections = options.pop("max_connections", None)
        self._handshakes = Handshakes(options)
        self._options = options
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, ServerConnection | None] = {}
        self._is_closing = False
        self._acceptors = 0  # Threads in serve_forever().
        self._waker, self._wakened = socket.socketpair()

    def __repr__(self) -> str:
        with self._lock:
            addresses = [] if self._is_closing else [one.getsockname() for one in self._listeners]
        state = " ".join(map(address_text, addresses)) or "closing"
        return f"<{type(self).__name__} {state}>"

    @property
    def port(self) -> int:
        """Where it listens; 0 for a Unix socket."""
        address = self._listeners[0].getsockname()
        return address[1] if isinstance(address, tuple) else 0

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open."""
        with self._lock:
            known = [one for one in self._threads.values() if one is not None]
        return {one for one in known if one._socket.readyState == WebSocket.OPEN}

    # -- Accepting ----------------------------------------------------------

    def serve_forever(self) -> None:
        """Accepts connections until shutdown() is called."""
        with selectors.DefaultSelector() as selector:
            with self._lock:
                if self._is_closing:
                    return
                self._acceptors += 1
                for listener in self._listeners:
                    listener.setblocking(False)
                    selector.register(listener, selectors.EVENT_READ)
            try:
                selector.register(self._wakened, selectors.EVENT_READ)
                while not self._is_closing:
                    for key, _ in selector.select(heeding_signals(None)):
                        if key.fileobj is not self._wakened:
                            self._accept(key.fileobj)  # type: ignore[arg-type]
            finally:
                with self._lock:
                    self._acceptors -= 1
                    self._drop_waker()

    def _drop_waker(self) -> None:
        """Closes what wakes serve_forever() when nobody is in it any more."""
        if self._is_closing and self._acceptors == 0:
            self._waker.close()
            self._wakened.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # Somebody else was faster, or the client is gone.
        except OSError:
            time.sleep(ACCEPT_PAUSE)
            return
        thread = threading.Thread(target=self._run, args=(sock,), name="libws-server")
        with self._lock:
            is_full = (
                self._max_connections is not None and len(self._threads) >= self._max_connections
            )
            if self._is_closing or is_full:
                sock.close()
                return
            self._threads[thread] = None
        thread.start()

    # -- A connection, in its thread ----------------------------------------

    def _run(self, sock: socket.socket) -> None:
        try:
            if self._context is None:
                with Loop() as loop:
                    self._serve(self._shake_hands(loop, sock))
            else:
                self._run_with(self._context, sock)
        finally:
            with self._lock:
                del self._threads[threading.current_thread()]

    def _shake_hands(self, loop: Loop, sock: socket.socket) -> ServerConnection | None:
        """Returns the connection, or None if the client did not want one."""
        hook = None if self._handshakes.are_plain else partial(self._negotiate, loop)
        opened: list[ServerConnection] = []
        server = WebSocketServer(
            listen=False,
            loop=loop,
            onconnection=lambda *found: opened.append(self._open(loop, *found)),
            onupgrade=hook,
            onrequest=hook,
            client_tracking=False,
            **self._options,
        )
        server.adopt(sock, tls=self._tls)
        while not opened and server.stats()["connections"] > 0:
            loop.wait()
            loop.dispatch()
        return opened[0] if opened else None

    def _run_with(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        from ._tls import ServerSocket

        opened: list[ServerConnection] = []
        options = {name: value for name, value in self._options.items() if name != "protocols"}
        try:
            end = ServerSocket(sock, options, context)
        except OSError:
            return  # The client has spoken no TLS, or has gone.
        end.on_request = lambda request: self._negotiate(end, request, end._engine.accept)
        end.on_connection = lambda request: opened.append(self._open(end, end, request))
        with contextlib.closing(end):
            while not opened and not end.has_ended:
                end.wait()
                end.dispatch()
            self._serve(opened[0] if opened else None)

    def _connection_for(self, loop: Loop | ServerSocket, request: Request) -> ServerConnection:
        """The connection that the hooks of a request have seen, if any."""
        known: ServerConnection | None = getattr(request, "_connection", None)
        return known or self._create_connection(loop, request)

    def _negotiate(
        self, loop: Loop | ServerSocket, request: Request, accept: Accept | None = None
    ) -> Response | None:
        connection = self._connection_for(loop, request)
        request._connection = connection
        accept = accept or request.accept
        return run_sync(self._handshakes.answer(connection, request, accept))

    def _open(
        self, loop: Loop | ServerSocket, socket: WebSocket | ServerSocket, request: Request
    ) -> ServerConnection:
        connection = self._connection_for(loop, request)
        connection._attach(socket, self._max_queue)
        with self._lock:
            self._threads[threading.current_thread()] = connection
            is_late = self._is_closing
        if is_late:
            socket.closeWith(GOING_AWAY)
        return connection

    def _serve(self, connection: ServerConnection | None) -> None:
        if connection is not None:
            self._handle(connection)

    def _handle(self, connection: ServerConnection) -> None:
        code = INTERNAL_ERROR
        try:
            self._handler(connection)
            code = NORMAL_CLOSURE
        except ConnectionClosed:
            pass  # The end of the connection is the end of its handler.
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            connection.close(code)

    # -- The end ------------------------------------------------------------

    def shutdown(self, code: int = GOING_AWAY, reason: str = "") -> None:
        """Stops serve_forever(), closes the connections, waits for the handlers.

        Any thread may call it, a handler's too.
        """
        with self._lock:
            self._is_closing = True
            threads = dict(self._threads)
            for listener in self._listeners:
                listener.close()
            if self._acceptors > 0:
                self._waker.send(b"\0")
            self._drop_waker()
        for connection in filter(None, threads.values()):
            connection._begin_close(code, reason)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()


def serve(
    handler: Handler,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    *,
    create_connection: MakeConnection = ServerConnection,
    **options: Unpack[ServerOptions],
) -> Server:
    """Listens; the Server that it returns is a context manager that shuts down.

    Arguments are those of libws.asyncio.serve, but the handler and the hooks are
    plain functions. For each connection there is a thread.
    """
    check_callable("handler", handler)
    named, max_queue = socket_options(options)
    context = take_ssl(named)
    tls = named.pop("tls", None)
    where = places(host, port, named)
    listeners = [listener for place in where for listener in _listeners(*place)]
    return Server(handler, listeners, create_connection, max_queue, tls, context, named)


def _listeners(host: str | None, port: int, place: dict[str, Any]) -> list[socket.socket]:
    """Begins to listen at a place; a name may have several addresses."""
    if place.get("sock") is not None:
        return [place["sock"]]
    backlog = place.get("backlog") or None
    if place.get("unix") is not None:
        return [_unix_listener(Path(place["unix"]), place.get("unix_mode"), backlog)]
    return [
        socket.create_server(
            address[:2],
            family=family,
            backlog=backlog,
            reuse_port=place.get("reuse_port", False),
            dualstack_ipv6=address[0] == "::",
        )
        for family, _, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    ]


def _unix_listener(path: Path, mode: int | None, backlog: int | None) -> socket.socket:
    if path.is_socket():
        path.unlink()  # Of a server that has ended.
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        if mode:
            path.chmod(mode)
        listener.listen(*([] if backlog is None else [backlog]))
    except BaseException:
        listener.close()
        raise
    return listener


def route(
    handlers: Mapping[str, Callable[..., object]],
    *args: Any,
    process_request: Hook | None = None,
    **options: Any,
) -> Server:
    """serve() with a handler for each path, as libws.asyncio.route."""
    routes = Routes(handlers)
    hook = partial(routes.process_request, inner=process_request)
    return serve(routes.handle, *args, process_request=hook, **options)


def broadcast(connections: Iterable[Connection], message: Message) -> None:
    """Sends a message to those connections that are open, without waiting."""
    for connection in connections:
        connection._post(message)
