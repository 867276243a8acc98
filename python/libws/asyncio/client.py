"""connect(): to be awaited, entered, or iterated over to connect again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._core import ConnectionTimeout, InvalidStatus, NetworkError, WebSocket
from .._options import client_options, own_names, take_ssl
from .connection import Connection

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Unpack

    from .._core import Event
    from .._engine import EngineSocket
    from .._options import ClientOptions

# RFC 9110 15.6: what may be better soon.
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})

# Between attempts: a random time up to a bound, which doubles with each failure.
RECONNECT_MIN = 0.5
RECONNECT_MAX = 30.0


class ClientConnection(Connection):
    """A connection to a server."""


def process_exception(error: Exception) -> Exception | None:
    """Returns None for an error after which it is worth trying again.

    That is trouble of the network, a deadline, or a server that is overloaded.
    """
    if isinstance(error, (NetworkError, ConnectionTimeout)):
        return None
    if isinstance(error, InvalidStatus) and error.status in TRANSIENT_STATUSES:
        return None
    return error


class connect:
    """Connects to a WebSocket server.

    `await connect(uri)` and `async with connect(uri)` give a ClientConnection;
    leaving the context closes it. `async for connection in connect(uri)` connects
    again whenever the loop's body goes on, after a random time if the attempt
    failed for a reason that may pass; which those are, `process_exception` says.

    `uri` has the scheme ws, wss, http or https, or is
    ws+unix:/path/of/socket:/target. The options are those of ClientOptions.

    Raises InvalidStatus (with the response), HandshakeError, NetworkError (an
    OSError), TLSError, ProxyError or ConnectionTimeout (a TimeoutError), which
    are all WebSocketErrors; and SyntaxError (a ValueError) for a URI or
    subprotocol that is none.
    """

    def __init__(
        self,
        uri: str,
        *,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        create_connection: Callable[[], ClientConnection] = ClientConnection,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._uri = uri
        self._subprotocols = options.get("subprotocols")
        self._options, self._max_queue = client_options(options)
        self._ssl = take_ssl(self._options)
        self._process_exception = process_exception
        self._create_connection = create_connection

    # -- Once ---------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        self._connection = await self
        return await self._connection.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connection.__aexit__(kind, error, traceback)

    async def _connect(self) -> ClientConnection:
        connection = self._create_connection()
        socket = self._open_socket()
        connection._attach(socket, self._max_queue)
        await _opened(socket)
        return connection

    @own_names()
    def _open_socket(self) -> WebSocket | EngineSocket:
        if self._ssl is None:
            return WebSocket(self._uri, self._subprotocols, **self._options)
        from ._transport import ClientSocket

        return ClientSocket(self._uri, self._subprotocols, self._options, self._ssl)

    # -- Again and again ----------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        bound = RECONNECT_MIN
        while True:
            opened_at = None
            try:
                connection = await self
            except Exception as error:
                self._raise_unless_transient(error)
            else:
                opened_at = time.monotonic()
                try:
                    yield connection
                finally:
                    await connection.close()
            # One that was lost at once is another failure.
            if opened_at is not None and time.monotonic() - opened_at > bound:
                bound = RECONNECT_MIN
            await asyncio.sleep(random.uniform(0, bound))
            bound = min(2 * bound, RECONNECT_MAX)

    def _raise_unless_transient(self, error: Exception) -> None:
        other = self._process_exception(error)
        if other is error:
            raise error
        if other is not None:
            raise other from error


async def _opened(socket: WebSocket | EngineSocket) -> None:
    """Waits until a socket is open; raises why it cannot be."""
    opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def settle(event: Event) -> None:
        if not opened.done():
            opened.set_result(event.type == "open")

    for kind in ("open", "close"):
        socket.addEventListener(kind, settle, once=True)
    try:
        is_open = await opened
    except BaseException:
        socket.terminate()
        raise
    finally:
        socket.removeEventListener("close", settle)
    if not is_open:
        raise socket._failure or socket._closed_error()


def unix_connect(path: str, uri: str = "ws://localhost/", **options: Any) -> connect:
    """connect() to a Unix socket; path and query are those of `uri`."""
    parts = urlsplit(uri)
    target = parts._replace(scheme="", netloc="").geturl()
    return connect(f"ws+unix:{path}:{target or '/'}", **options)
