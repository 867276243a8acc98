"""Connections over transports of asyncio, for an ssl.SSLContext.

The transport does TLS; the engine does WebSockets. See _engine.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._connection import GOING_AWAY, address_text
from .._core import Connection as Engine
from .._core import ConnectionClosedOK, Response, WebSocket
from .._engine import WRITE_LIMIT, EngineSocket, open_engine
from .._handshake import run_async
from .server import Server

if TYPE_CHECKING:
    import ssl

    from .._connection import Message
    from .._core import Event, Request
    from .._handshake import Handshakes
    from .server import Handler, MakeConnection

HTTP_PORT = 80
HTTPS_PORT = 443

# How long a transport may take to write what is left, in seconds.
LINGER = 5.0


class TransportSocket(EngineSocket, asyncio.Protocol):
    """A socket on a transport of asyncio."""

    _transport: asyncio.Transport | None = None
    _timer: asyncio.TimerHandle | None = None
    _is_full_transport = False

    def __init__(self, engine: Engine, write_limit: int | None) -> None:
        super().__init__(engine, write_limit)
        self._loop = asyncio.get_running_loop()

    # -- The protocol of asyncio --------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._process()

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    def eof_received(self) -> None:
        self._engine.feed_eof()
        self._process()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if exc is not None:
            self._fail(exc)
        elif self._close_info is None:
            self.eof_received()

    def pause_writing(self) -> None:
        self._is_full_transport = True

    def resume_writing(self) -> None:
        self._is_full_transport = False
        self._process()

    # -- What the engine needs ----------------------------------------------

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _is_writable(self) -> bool:
        return self._transport is not None and not self._is_full_transport

    def _set_timer(self, timeout: float | None) -> None:
        """A timer that rings too early rings again, which is cheaper than to set
        it with every message."""
        if timeout is None:
            return
        when = self._loop.time() + timeout
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._process()

    def _set_reading(self, is_reading: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if is_reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _close_transport(self) -> None:
        """What is written already, such as a Close frame, still leaves."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._timer = self._loop.call_later(LINGER, self._transport.abort)

    def terminate(self) -> None:
        """As WebSocket.terminate()."""
        super().terminate()
        if self._transport is not None:
            self._transport.abort()

    def _ssl_object(self) -> ssl.SSLObject | None:
        return None if self._transport is None else self._transport.get_extra_info("ssl_object")

    @property
    def remoteAddress(self) -> str:
        """As WebSocket.remoteAddress."""
        if self._transport is None:
            return ""
        return address_text(self._transport.get_extra_info("peername"))

    # -- Waiting ------------------------------------------------------------

    async def _recv(self) -> Any:
        while not self._queue:
            if self._close_info is not None:
                raise self._closed_error()
            if self._waiter is not None:
                raise RuntimeError("another task waits for the next message already")
            arrived = asyncio.Event()
            self._waiter = arrived.set
            try:
                await arrived.wait()
            finally:
                self._waiter = None
        return self._pop()

    async def _anext(self) -> Any:
        try:
            return await self._recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None


class ClientSocket(TransportSocket):
    """A client's socket; asyncio makes the transport."""


    def __init__(
        self,
        url: str,
        subprotocols: str | Iterable[str] | None,
        options: Mapping[str, Any],
        context: ssl.SSLContext,
    ) -> None:
        opening = open_engine(url, subprotocols, options)
        super().__init__(opening.engine, opening.write_limit)
        self._server_name, self._sock = opening.server_name, opening.sock
        self.url = str(opening.engine.url)
        self._task = self._loop.create_task(self._reach(context))
        self._set_timer(self._engine.timeout)

    async def _reach(self, context: ssl.SSLContext) -> None:
        parts = urlsplit(self.url)
        is_secure = parts.scheme == "wss"
        place: dict[str, Any] = {"sock": self._sock}
        if self._sock is None:
            port = parts.port or (HTTPS_PORT if is_secure else HTTP_PORT)
            place = {"host": parts.hostname, "port": port}
        if is_secure:
            place["ssl"] = context
            place["server_hostname"] = self._server_name or parts.hostname
        try:
            await self._loop.create_connection(lambda: self, **place)
        except (OSError, ValueError) as error:  # ValueError: of a name for TLS.
            self._fail(error, "WS_ERR_CONNECT")

    def _close_transport(self) -> None:
        if not self._task.done():
            self._task.cancel()
        super()._close_transport()


class ServerSocket(TransportSocket):
    """A server's socket; a listener of asyncio makes the transport."""

    request: Request

    def __init__(self, server: SSLServer, options: Mapping[str, Any]) -> None:
        write_limit = options.get("send_high_water", WRITE_LIMIT)
        super().__init__(Engine("server", **options), write_limit)
        self._server = server
        server._sockets.add(self)

    @property
    def url(self) -> str:
        """As WebSocket.url."""
        return f"wss://{self.request.headers.get('Host', '')}{self.request.target}"

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server._sockets.discard(self)

    def _answer(self, request: Request) -> None:
        self.request = request
        self._task = self._loop.create_task(self._negotiate())

    async def _negotiate(self) -> None:
        try:
            response = await self._server._respond(self._engine, self.request)
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "A hook of the handshake failed", "exception": error}
            )
            response = Response(500)
        if self._close_info is None and response is not None:
            headers = response.headers.raw_items()
            self._engine.respond(response.status, response.body, headers)
        self._process()

    def _deliver(self, event: Event) -> None:
        if event.type == "open":
            self._server._on_connection(self, self.request)
        super()._deliver(event)


class SSLServer(Server):
    """A Server whose listeners are asyncio's."""

    def __init__(
        self,
        handler: Handler,
        handshakes: Handshakes,
        create_connection: MakeConnection,
        max_queue: int | None,
        options: dict[str, Any],
        *,
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(handler, handshakes, create_connection, max_queue, {})
        self._engine_options = dict(options)
        del self._engine_options["protocols"]
        self._context = context
        self._listeners: list[asyncio.Server] = []
        self._sockets: set[ServerSocket] = set()

    async def _listen(self, host: str | None, port: int, place: dict[str, Any]) -> None:
        options: dict[str, Any] = {"ssl": self._context}
        if place.get("backlog"):
            options["backlog"] = place["backlog"]
        if place.get("unix") is not None:
            listener = await self._loop.create_unix_server(self._accept, place["unix"], **options)
        elif place.get("sock") is not None:
            listener = await self._loop.create_server(self._accept, sock=place["sock"], **options)
        else:
            reuse_port = place.get("reuse_port") or None
            listener = await self._loop.create_server(
                self._accept, host, port, reuse_port=reuse_port, **options
            )
        self._listeners.append(listener)

    def _accept(self) -> ServerSocket:
        return ServerSocket(self, self._engine_options)

    async def _respond(self, engine: Engine, request: Request) -> Response | None:
        """Accepts, and returns None, or returns what to answer with."""
        connection = self._connection_for(request)
        request._connection = connection
        response = await run_async(self._handshakes.answer(connection, request, engine.accept))
        if response is None and not request.is_upgrade:
            return Response(426, headers={"Upgrade": "websocket"})
        return response

    @property
    def port(self) -> int:
        addresses = self._addresses()
        return addresses[0][1] if addresses and isinstance(addresses[0], tuple) else 0

    @property
    def urls(self) -> list[str]:
        return [f"wss://{address_text(address)}" for address in self._addresses()]

    def _addresses(self) -> list[Any]:
        return [one.getsockname() for listener in self._listeners for one in listener.sockets]

    def broadcast(self, message: Message) -> None:
        for connection in self.connections:
            connection.send(message)

    def publish(self, topic: str, message: Message) -> None:
        raise TypeError("topics go with tls, not with ssl")

    def close(
        self, close_connections: bool = True, code: int = GOING_AWAY, reason: str = ""
    ) -> None:
        for listener in self._listeners:
            listener.close()
        if close_connections:
            for socket in list(self._sockets):
                if socket.readyState == WebSocket.CONNECTING:
                    socket.terminate()
                else:
                    socket.closeWith(code, reason)
        super().close(close_connections, code, reason)
