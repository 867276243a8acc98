"""WebSockets for uvicorn: `uvicorn --ws libws.uvicorn:WebSocketProtocol app:app`.

FastAPI, Starlette and any other ASGI application run as they are. uvicorn hands
over the transport with the request that it has read; from there on it is ours.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    is_ssl,
)

from ._connection import INTERNAL_ERROR, NORMAL_CLOSURE
from ._core import Connection as Engine
from ._core import ConnectionClosed, WebSocket
from ._engine import WRITE_LIMIT
from .asyncio._transport import TransportSocket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from ._core import Request

# "Service Restart", of the registry of RFC 6455 11.7.
SERVICE_RESTART = 1012

# Headers of a response that the engine writes itself.
FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})

Event = dict[str, Any]


class WebSocketProtocol(TransportSocket):
    """One WebSocket of an ASGI application.

    The options --ws-max-size, --ws-max-queue, --ws-ping-interval,
    --ws-ping-timeout and --ws-per-message-deflate apply. Which origins may
    connect is left to the application.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        engine = Engine(
            "server",
            origins="*",
            compression=config.ws_per_message_deflate,
            handshake_timeout=None,  # The request is here; applications may take their time.
            max_message=config.ws_max_size,
            ping_interval=config.ws_ping_interval,
            ping_timeout=config.ws_ping_timeout,
        )
        super().__init__(engine, WRITE_LIMIT)
        self._start_queue(config.ws_max_queue)
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._logger = logging.getLogger("uvicorn.error")
        self._has_connected = False  # The application was told of it.
        self._response: Event | None = None  # Instead of a WebSocket, begun.
        self._drained = asyncio.Event()

    # -- uvicorn ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._state.connections.add(self)  # type: ignore[arg-type]
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """uvicorn ends."""
        if self.readyState == WebSocket.CONNECTING:
            self._refuse(500)
        else:
            self.closeWith(SERVICE_RESTART)

    # -- The application ----------------------------------------------------

    def _answer(self, request: Request) -> None:
        """Starts the application, which answers by websocket.accept."""
        if not request.is_upgrade:
            self._refuse(426, [("Upgrade", "websocket")])
            return
        self._scope = self._scope_of(request)
        task = self._loop.create_task(self._run())
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope_of(self, request: Request) -> Any:
        assert self._transport is not None
        raw_path, _, query = request.target.partition("?")
        root = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": root,
            "path": root + unquote(raw_path),
            "raw_path": root.encode() + raw_path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": request.protocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    async def _run(self) -> None:
        code = INTERNAL_ERROR
        try:
            app: Any = self._config.loaded_app
            await app(self._scope, self._receive, self._send)
            code = NORMAL_CLOSURE
        except ClientDisconnected:
            pass
        except Exception:
            self._logger.exception("Exception in ASGI application\n")
        if self.readyState == WebSocket.CONNECTING:
            self._logger.error("The ASGI application has not answered the handshake.")
            self._refuse(500)
        else:
            self.closeWith(code)

    async def _receive(self) -> Event:
        if not self._has_connected:
            self._has_connected = True
            return {"type": "websocket.connect"}
        try:
            data = await self._recv()
        except ConnectionClosed as error:
            return {
                "type": "websocket.disconnect",
                "code": error.code,
                "reason": error.reason,
            }
        return {
            "type": "websocket.receive",
            "text" if isinstance(data, str) else "bytes": data,
        }

    async def _send(self, event: Event) -> None:
        kind = event["type"]
        if self.readyState == WebSocket.CONNECTING:
            self._send_answer(kind, event)
        elif self.readyState != WebSocket.OPEN:
            raise ClientDisconnected
        elif kind == "websocket.send":
            data = event.get("bytes")
            self.send(event["text"] if data is None else data)
            await self._drain()
        elif kind == "websocket.close":
            self.closeWith(event.get("code", NORMAL_CLOSURE), event.get("reason") or "")
        else:
            raise RuntimeError(f"{kind} was sent to an open WebSocket")

    async def _drain(self) -> None:
        while self._is_full and self.readyState == WebSocket.OPEN:
            self._drained.clear()
            self._drain_waiter = self._drained.set
            await self._drained.wait()

    # -- The handshake ------------------------------------------------------

    def _send_answer(self, kind: str, event: Event) -> None:
        headers = _decoded(event.get("headers", ()))
        if self._response is not None:
            self._send_body(kind, event)
        elif kind == "websocket.accept":
            self._log("[accepted]")
            headers = _decoded(self._state.default_headers) + headers
            self._engine.accept(event.get("subprotocol"), headers)
            self._process()
        elif kind == "websocket.close":
            self._refuse(403)
        elif kind == "websocket.http.response.start":
            self._response = {"status": event["status"], "headers": headers, "body": b""}
        else:
            raise RuntimeError(f"{kind} was sent before websocket.accept")

    def _send_body(self, kind: str, event: Event) -> None:
        if kind != "websocket.http.response.body":
            raise RuntimeError(f"{kind} was sent within a response")
        assert self._response is not None
        self._response["body"] += event.get("body", b"")
        if not event.get("more_body", False):
            response = self._response
            self._refuse(response["status"], response["headers"], response["body"])

    def _refuse(
        self, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        self._log(str(status))
        kept = [(name, value) for name, value in headers if name.lower() not in FRAMING]
        self._engine.respond(status, body, kept)
        self._process()

    def _log(self, text: str) -> None:
        scope = getattr(self, "_scope", None)
        if scope is not None:
            path = get_path_with_query_string(scope)
            self._logger.info('%s - "WebSocket %s" %s', get_client_addr(scope), path, text)


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
