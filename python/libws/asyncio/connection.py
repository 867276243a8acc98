"""One connection, client's or server's, for asyncio.

A task that waits for a message waits in the C module, which takes the message
out of the queue when the task goes on and not before. So a recv() that is
cancelled loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
)
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from .._connection import (
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    BaseConnection,
    copied,
    decoded,
    is_binary,
    is_message,
    same_kind,
)
from .._core import ConnectionClosedOK, WebSocket

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .._connection import Data, Message

    Pieces: TypeAlias = Iterable[Message] | AsyncIterable[Message]


class Sending(Coroutine[Any, Any, None]):
    """What send() returns: a coroutine that nobody has to await.

    The wait begins when it is awaited.
    """

    __slots__ = ("_begin", "_begun")

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._begin = begin
        self._begun: Coroutine[Any, Any, None] | None = None

    def __await__(self) -> Generator[Any, Any, None]:
        return self._begin().__await__()

    # The rest is for asyncio.create_task().

    def send(self, value: Any, /) -> Any:
        if self._begun is None:
            self._begun = self._begin()
        return self._begun.send(value)

    def throw(self, *args: Any) -> Any:
        if self._begun is None:
            raise args[0]
        return self._begun.throw(*args)

    def close(self) -> None:
        if self._begun is not None:
            self._begun.close()


class Connection(BaseConnection["asyncio.Future[float]"]):
    """A connection that is used by the tasks of one asyncio loop.

    Iterating over it yields messages until it is closed in good order; any other
    end raises ConnectionClosedError. One task at a time may receive; any number
    may send. It is a context manager that closes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._drains: list[asyncio.Future[None]] = []
        self._ended: asyncio.Future[None] | None = None
        # While a message is being sent in pieces: its lock, and the messages
        # that have to wait for its end.
        self._stream_lock: asyncio.Lock | None = None
        self._held: list[tuple[Message, bool | None]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(NORMAL_CLOSURE if error is None else INTERNAL_ERROR)

    # -- Receiving ----------------------------------------------------------

    @overload
    def recv(self, decode: Literal[True]) -> Coroutine[Any, Any, str]: ...
    @overload
    def recv(self, decode: Literal[False]) -> Coroutine[Any, Any, bytes]: ...
    @overload
    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Data]: ...

    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, Any]:
        """Returns the next message: str for text, otherwise bytes.

        `decode` True returns any message as str, False as bytes. Raises
        ConnectionClosed when the connection has ended and all messages have been
        taken. Cancelling it loses no message.
        """
        if decode is None and self._pieces is None:
            return self._socket._recv()
        return self._recv(decode)

    async def _recv(self, decode: bool | None) -> Data:
        while True:
            item = await self._socket._recv()
            message = item if self._pieces is None else self._pieces.join(item)
            if message is not None:
                return decoded(message, decode)

    def __aiter__(self) -> AsyncIterator[Data]:
        return self._socket._iterate(self)

    def __anext__(self) -> Coroutine[Any, Any, Data]:
        if self._pieces is None:
            return self._socket._anext()
        return self._anext()

    async def _anext(self) -> Data:
        try:
            return await self._recv(None)
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def recv_many(self) -> list[Data]:
        """Returns all messages there are, waiting for the first one if need be.

        Raises as recv() does.
        """
        while True:
            items = self._socket._pop_all()
            if not items:
                items = [await self._socket._recv(), *self._socket._pop_all()]
            if self._pieces is not None:
                joined = map(self._pieces.join, items)
                items = [message for message in joined if message is not None]
            if items:
                return items

    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...
    @overload
    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]: ...

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Any]:
        """Yields the next message in pieces, as they come.

        `decode` is that of recv(). If the caller stops before the end of the
        message, the rest of it is passed over. What has come before the first
        call is one piece.
        """
        pieces = self._start_pieces()
        turn = pieces.begin()
        is_last = False
        try:
            while not is_last:
                pieces.check(turn)
                piece, is_last = pieces.split(await self._socket._recv(), decode)
                if piece:
                    yield piece
        finally:
            if not is_last:
                pieces.finish(turn)

    # -- Sending ------------------------------------------------------------

    def send(self, message: Message | Pieces, text: bool | None = None) -> Sending:
        """Sends a message at once: str as text, bytes-like as binary.

        `text` forces the one or the other. What is returned may be awaited until
        no more than `write_limit` bytes wait to be sent, or be ignored.

        An iterable or asynchronous iterable is sent as one message in pieces,
        and has to be awaited. Messages that are sent meanwhile follow it.

        Raises ConnectionClosed.
        """
        if text is None and self._held is None:
            sent: Sending | None = self._socket._post(message)
            if sent is not None:
                return sent
        return self._send(message, text)

    def _send(self, message: Message | Pieces, text: bool | None) -> Sending:
        if not is_message(message):
            # To be awaited, and to be warned about otherwise.
            return self._send_stream(message, text)  # type: ignore[arg-type, return-value]
        if self._held is not None:
            self._held.append((copied(message), text))  # type: ignore[arg-type]
            return Sending(self._settle)
        if self._socket.readyState == WebSocket.CLOSED:
            raise self._socket._closed_error()
        if self._socket.readyState != WebSocket.OPEN:
            # How it ends is not known yet, but will be to whoever waits.
            return Sending(self._raise_closed)
        self._socket.send(message, binary=is_binary(text))  # type: ignore[arg-type]
        return Sending(self._drain)

    async def _raise_closed(self) -> None:
        await self.wait_closed()
        raise self._socket._closed_error()

    async def _drain(self) -> None:
        """Waits until there is room in the queue of what is to be sent."""
        socket = self._socket
        while socket._is_full and socket.readyState == WebSocket.OPEN:
            drained = self._loop.create_future()
            self._drains.append(drained)
            socket._drain_waiter = self._wake_drains
            await drained
        if socket.readyState != WebSocket.OPEN:
            await self._raise_closed()

    def _wake_drains(self) -> None:
        drains, self._drains = self._drains, []
        for drained in drains:
            if not drained.done():
                drained.set_result(None)

    # -- Sending in pieces --------------------------------------------------

    async def _send_stream(self, pieces: Pieces, text: bool | None) -> None:
        if self._stream_lock is None:
            self._stream_lock = asyncio.Lock()
        async with self._stream_lock:
            await self._drain()
            self._held = []
            try:
                await self._send_pieces(pieces, text)
            finally:
                held, self._held = self._held, None
                for message, is_text in held:
                    self._socket.send(message, binary=is_binary(is_text))

    async def _send_pieces(self, pieces: Pieces, text: bool | None) -> None:
        kind: type[str | bytes] | None = None
        try:
            async for piece in _each(pieces):
                kind = same_kind(kind, piece)
                self._socket.send(piece, fin=False, binary=is_binary(text))
                await self._drain()
            if kind is not None:
                self._socket.send(kind(), binary=is_binary(text))
        except BaseException:
            # The message cannot be finished, so nothing else can be sent.
            if kind is not None:
                self._socket.closeWith(INTERNAL_ERROR, "unfinished message")
            raise

    async def _settle(self) -> None:
        """Waits until a message was sent that had to wait for one in pieces."""
        if self._stream_lock is not None:
            async with self._stream_lock:
                pass
        await self._drain()

    # -- Pings --------------------------------------------------------------

    async def ping(self, data: Message | None = None) -> float:
        """Sends a ping; returns after how many seconds its pong came.

        Pings that keep the connection alive are sent without it.
        """
        answered: asyncio.Future[float] = self._loop.create_future()
        self._send_ping(data, answered)
        self._watch_end()
        return await answered

    def _pong_came(self, waiter: asyncio.Future[float], rtt: float) -> None:
        if not waiter.done():
            waiter.set_result(rtt)

    # -- The end ------------------------------------------------------------

    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Closes the connection, and waits until it has ended.

        Messages that have been received already can still be taken.
        """
        self._socket.closeWith(code, reason)
        self._socket.resume()  # The peer's Close may stand behind messages.
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Waits until the connection has ended, whoever ends it."""
        if self._socket._close_info is None:
            await asyncio.shield(self._watch_end())

    def _watch_end(self) -> asyncio.Future[None]:
        if self._ended is None:
            self._ended = self._loop.create_future()
            self._socket.addEventListener("close", self._on_close)
        return self._ended

    def _on_close(self, event: object) -> None:
        if self._ended is not None:
            self._ended.set_result(None)
        for _, answered in self._pings.values():
            if not answered.done():
                answered.set_exception(self._socket._closed_error())
        self._pings.clear()


async def _each(pieces: Pieces) -> AsyncIterator[Message]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece
