"""WebSocketStream: messages as streams, with backpressure both ways.

The API is the one that is being standardised for browsers
(https://github.com/whatwg/websockets/pull/48), with awaitables for promises.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core import AbortError, ConnectionClosed, InvalidStateError, WebSocket, WebSocketError
from .._options import ClientOptions, client_options
from .connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._connection import Data, Message
    from .._core import Event


class StreamOptions(ClientOptions, total=False):
    """Options of WebSocketStream."""

    protocols: Iterable[str]
    """The subprotocols to offer."""
    signal: Any
    """An AbortSignal: `aborted`, addEventListener() and removeEventListener()."""


class CloseInfo(NamedTuple):
    """How a connection was closed."""

    closeCode: int
    reason: str


class OpenInfo(NamedTuple):
    """What a stream has once it is open."""

    readable: Readable
    writable: Writable
    protocol: str
    extensions: str


class WebSocketStream:
    """Connects; `await stream.opened` and `await stream.closed` say the rest.

    opened: an OpenInfo. closed: a CloseInfo, when the connection was closed in
    good order. Both raise WebSocketError if it cannot be opened or fails, and
    AbortError if `signal` ends the handshake. Options are those of connect();
    they may be given as a mapping.
    """

    opened: asyncio.Future[OpenInfo]
    closed: asyncio.Future[CloseInfo]

    def __init__(
        self, url: str, options: StreamOptions | None = None, /, **more: Unpack[StreamOptions]
    ) -> None:
        given: dict[str, Any] = {**_checked(options), **more}
        protocols = given.pop("protocols", ())
        if isinstance(protocols, str):
            raise TypeError("protocols must be a list of str")
        signal = given.pop("signal", None)
        named, max_queue = client_options(given)
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self.closed = loop.create_future()
        self._error: Exception | None = None
        self._socket = WebSocket(url, protocols, **named)
        self._connection = Connection()
        self._connection._attach(self._socket, max_queue)
        self._socket.addEventListener("open", self._on_open)
        self._socket.addEventListener("close", self._on_close)
        self._signal: Any = None  # While its listener has something to do.
        if signal is not None and signal.aborted:
            self._abort()
        elif signal is not None:
            signal.addEventListener("abort", self._abort)
            self._signal = signal

    @property
    def url(self) -> str:
        """The URL, normalised."""
        return self._socket.url

    def close(
        self,
        info: Mapping[str, Any] | None = None,
        /,
        *,
        closeCode: int | None = None,
        reason: str = "",
    ) -> None:
        """Begins to close the connection; code and reason may be in a mapping."""
        given = _checked(info)
        code = given.get("closeCode", closeCode)
        self._socket.close(code, given.get("reason", reason))

    def _abort(self, event: object = None) -> None:
        """The signal: ends a handshake, and nothing else."""
        if self._socket.readyState == WebSocket.CONNECTING:
            self._error = AbortError("the handshake was aborted")
            self._socket.terminate()

    def _leave_signal(self) -> None:
        """The handshake is over."""
        if self._signal is not None:
            self._signal.removeEventListener("abort", self._abort)
            self._signal = None

    def _on_open(self, event: Event) -> None:
        self._leave_signal()
        info = OpenInfo(
            Readable(self), Writable(self), self._socket.protocol, self._socket.extensions
        )
        self.opened.set_result(info)

    def _on_close(self, event: Any) -> None:
        self._leave_signal()
        if event.wasClean:
            self.closed.set_result(CloseInfo(event.code, event.reason))
            return
        if self._error is None:
            self._error = self._failure_of(event)
        for promise in (self.opened, self.closed):
            if not promise.done():
                promise.set_exception(self._error)
                promise.exception()  # Nobody has to look at both.

    def _failure_of(self, event: Any) -> WebSocketError:
        failure: Any = self._socket._failure if not self.opened.done() else None
        failure = failure or self._socket._closed_error()
        failure.closeCode = event.code
        failure.reason = event.reason
        return failure  # type: ignore[no-any-return]

    def _end_error(self) -> Exception:
        """What reading and writing raise after the end."""
        return self._error or InvalidStateError("the connection is closed")


class Readable:
    """The messages that come. Iterating over it ends with the connection."""

    def __init__(self, stream: WebSocketStream) -> None:
        self._stream = stream

    async def read(self) -> Data | None:
        """Returns the next message, or None when the connection was closed."""
        try:
            return await self._stream._connection.recv()
        except ConnectionClosed as error:
            if error.wasClean:
                return None
            raise self._stream._end_error() from None

    async def __aiter__(self) -> AsyncIterator[Data]:
        while (message := await self.read()) is not None:
            yield message

    def cancel(self) -> None:
        """Wants no more: closes the connection."""
        self._stream.close()


class Writable:
    """Where messages are sent to."""

    def __init__(self, stream: WebSocketStream) -> None:
        self._stream = stream

    async def write(self, message: Message) -> None:
        """Sends a message; waits while too much is on its way already."""
        socket, connection = self._stream._socket, self._stream._connection
        if socket.readyState != WebSocket.OPEN:
            await connection.wait_closed()
            raise self._stream._end_error()
        socket.send(message)
        try:
            await connection._drain()
        except ConnectionClosed as error:
            raise InvalidStateError("the connection ended while writing") from error

    async def close(self) -> None:
        """Closes the connection, and waits until it is."""
        self._stream.close()
        await self._stream.closed

    def abort(self) -> None:
        """Closes the connection without waiting."""
        self._stream.close()


def _checked(mapping: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise TypeError(f"a mapping is needed, not {type(mapping).__name__}")
    return mapping
