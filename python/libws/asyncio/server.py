"""serve(): a server whose handler is a coroutine function, for asyncio."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._connection import GOING_AWAY, INTERNAL_ERROR, NORMAL_CLOSURE, address_of
from .._core import ConnectionClosed, Request, Response, WebSocket, WebSocketServer
from .._handshake import Handshakes, Routes, check_callable, run_async
from .._options import own_names, places, socket_options, take_ssl
from .connection import Connection

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from .._connection import Message
    from .._core import ServerStats
    from .._engine import EngineSocket
    from .._handshake import Hook
    from .._options import ServerOptions

Handler = Callable[["ServerConnection"], Awaitable[None]]
MakeConnection = Callable[["Server", Request], "ServerConnection"]


class ServerConnection(Connection):
    """A connection of a client. Hooks of the handshake may give it attributes."""

    server: Server

    username: str
    """Who has been authenticated, with basic_auth()."""

    def __init__(self, server: Server, request: Request) -> None:
        super().__init__()
        self.server = server
        self._request = request

    @property
    def request(self) -> Request:
        """What the client has asked."""
        return self._request  # type: ignore[no-any-return]

    @property
    def remote_address(self) -> tuple[str, int] | str:
        """Host and port of the peer; the path of a Unix socket."""
        return address_of(self.request.remote)

    def subscribe(self, topic: str) -> None:
        """Receives what is published to a topic of the server."""
        self._socket.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """Takes subscribe() back."""
        self._socket.unsubscribe(topic)

    def publish(self, topic: str, message: Message) -> None:
        """Sends to all other connections that subscribe to a topic."""
        self._socket.publish(topic, message)

    def respond(self, status: int, text: str) -> Response:
        """Returns a response for process_request() to refuse with."""
        return Response(status, text, {"Content-Type": "text/plain; charset=utf-8"})


class Listener:
    """What `websockets` has a socket for, as far as it is asked for its address."""

    def __init__(self, url: str) -> None:
        scheme, _, place = url.partition(":")
        is_unix = scheme.endswith("+unix")
        self._address = place if is_unix else address_of(place.removeprefix("//"))

    def getsockname(self) -> tuple[str, int] | str:
        """Host and port; the path of a Unix socket."""
        return self._address


class Server:
    """What serve() gives: listens, and runs a task for each connection."""

    def __init__(
        self,
        handler: Handler,
        handshakes: Handshakes,
        create_connection: MakeConnection,
        max_queue: int | None,
        options: dict[str, Any],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._handler = handler
        self._handshakes = handshakes
        self._create_connection = create_connection
        self._max_queue = max_queue
        self._tasks: dict[asyncio.Task[None], ServerConnection] = {}
        self._is_closing = False
        self._closed: asyncio.Future[None] = self._loop.create_future()
        hook = None if handshakes.are_plain else self._negotiate
        self._core = WebSocketServer(
            listen=False,
            onconnection=self._on_connection,
            onupgrade=hook,
            onrequest=hook,
            onclose=self._proceed,
            client_tracking=False,
            **options,
        )

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else " ".join(self.urls)
        return f"<{type(self).__name__} {state}>"

    async def _listen(self, host: str | None, port: int, place: dict[str, Any]) -> None:
        self._core.listen(host, port, **place)

    # -- What is known ------------------------------------------------------

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open."""
        return {one for one in self._tasks.values() if one._socket.readyState == WebSocket.OPEN}

    @property
    def port(self) -> int:
        """Where it listens; 0 for a Unix socket."""
        return self._core.port

    @property
    def urls(self) -> list[str]:
        """Where it listens, as "ws://127.0.0.1:8765"."""
        return self._core.urls

    @property
    def sockets(self) -> tuple[Listener, ...]:
        """What it listens with, each with getsockname()."""
        return () if self._is_closing else tuple(map(Listener, self.urls))

    def is_serving(self) -> bool:
        """Whether it takes connections."""
        return not self._is_closing

    def stats(self) -> ServerStats:
        """Returns how many connections there are and were."""
        return self._core.stats()

    # -- Sending to many ----------------------------------------------------

    def broadcast(self, message: Message) -> None:
        """Sends a message to all open connections, encoding it once."""
        self._core.broadcast(message)

    def publish(self, topic: str, message: Message) -> None:
        """Sends a message to the connections that subscribe to a topic."""
        self._core.publish(topic, message)

    # -- Connections --------------------------------------------------------

    def _connection_for(self, request: Request) -> ServerConnection:
        """The connection that the hooks of a request have seen, if any."""
        known: ServerConnection | None = getattr(request, "_connection", None)
        return known or self._create_connection(self, request)

    async def _negotiate(self, request: Request) -> Response | None:
        connection = self._connection_for(request)
        request._connection = connection
        return await run_async(self._handshakes.answer(connection, request, request.accept))

    def _on_connection(self, socket: WebSocket | EngineSocket, request: Request) -> None:
        connection = self._connection_for(request)
        connection._attach(socket, self._max_queue)
        task = self._loop.create_task(self._serve(connection))
        self._tasks[task] = connection
        task.add_done_callback(self._on_done)

    async def _serve(self, connection: ServerConnection) -> None:
        code = INTERNAL_ERROR
        try:
            await self._handler(connection)
            code = NORMAL_CLOSURE
        except ConnectionClosed:
            pass  # The end of the connection is the end of its handler.
        except Exception as error:
            self._report(connection, error)
        finally:
            if connection._socket._close_info is None:
                await connection.close(code)

    def _report(self, connection: ServerConnection, error: Exception) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"The handler of {connection!r} failed",
                "exception": error,
                "task": asyncio.current_task(),
            }
        )

    def _on_done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._proceed()

    # -- Life ---------------------------------------------------------------

    def close(
        self, close_connections: bool = True, code: int = GOING_AWAY, reason: str = ""
    ) -> None:
        """Ends: takes no more connections, and closes those there are.

        With `close_connections` False they stay until their handlers return.
        """
        if self._is_closing and not close_connections:
            return
        self._is_closing = True
        if close_connections:
            self._core.close(code, reason)
        else:
            self._core.stop_listening()
            self._proceed()

    def _proceed(self) -> None:
        """Goes on with close() when something has ended."""
        if not self._is_closing or self._tasks:
            return
        if not self._core.closed:
            self._core.close()
        elif not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Waits until close() was called and all handlers have returned."""
        await asyncio.shield(self._closed)

    async def serve_forever(self) -> None:
        """Waits for the end of the server, which cancelling this brings about."""
        try:
            await self.wait_closed()
        finally:
            self.close()
            await self.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


class serve:
    """Serves WebSockets: `await serve(...)`, or `async with serve(...) as server`,
    which closes the server at its end. Both give a Server.

    `handler` is called with each ServerConnection; when it returns, the
    connection is closed. `host` is a name or address, or several, None for all
    there are; `port` 0 or None is a free one. The options are those of
    ServerOptions; the hooks among them may be coroutine functions.

    An address that cannot be listened on raises NetworkError, an OSError.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        create_connection: MakeConnection = ServerConnection,
        **options: Unpack[ServerOptions],
    ) -> None:
        check_callable("handler", handler)
        self._options, self._max_queue = socket_options(options)
        self._ssl = take_ssl(self._options)
        self._places = places(host, port, self._options)
        self._handshakes = Handshakes(self._options)
        self._handler = handler
        self._create_connection = create_connection

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self
        return self._server

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, traceback)

    async def _start(self) -> Server:
        server = self._make()
        try:
            for place in self._places:
                await server._listen(*place)
        except BaseException:
            server.close()
            raise
        return server

    @own_names()
    def _make(self) -> Server:
        arguments = (self._handler, self._handshakes, self._create_connection)
        if self._ssl is None:
            return Server(*arguments, self._max_queue, self._options)
        from ._transport import SSLServer

        return SSLServer(*arguments, self._max_queue, self._options, context=self._ssl)


def unix_serve(handler: Handler, path: str | os.PathLike[str], **options: Any) -> serve:
    """serve() on a Unix socket."""
    return serve(handler, unix=path, **options)


def route(
    handlers: Mapping[str, Callable[..., Awaitable[None]]],
    *args: Any,
    process_request: Hook | None = None,
    **options: Any,
) -> serve:
    """serve() with a handler for each path, such as "/chat/{room}".

    What is in braces is passed to the handler by name; "{rest:path}" takes all
    that follows. Other paths get 404.
    """
    routes = Routes(handlers)
    hook = functools.partial(routes.process_request, inner=process_request)
    return serve(routes.handle, *args, process_request=hook, **options)


def broadcast(connections: Iterable[Connection], message: Message) -> None:
    """Sends a message to those connections that are open, without waiting.

    To all of a server, Server.broadcast() is faster.
    """
    for connection in connections:
        if connection._socket.readyState == WebSocket.OPEN:
            connection.send(message)
