"""One connection, client's or server's, whose calls block.

There is no thread in the background: whoever waits runs the loop, one turn after
the other, and whoever else waits meanwhile sleeps until a turn has ended. All
that touches the socket happens between turns, under a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from .._connection import (
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    BaseConnection,
    decoded,
    is_binary,
    is_message,
    same_kind,
)
from .._core import ConnectionClosedOK, Loop, WebSocket

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .._connection import Data, Message
    from ._tls import BlockingSocket

Result = TypeVar("Result")
# Filled with the time of the pong.
Answer: TypeAlias = list[float]


# A signal that comes just before a wait does not end it, so that in the main thread,
# where signals are handled, none lasts longer than these seconds.
SIGNAL_SECONDS = 0.05


def heeding_signals(timeout: float | None) -> float | None:
    """How long select() may wait."""
    if threading.current_thread() is not threading.main_thread():
        return timeout
    return SIGNAL_SECONDS if timeout is None else min(timeout, SIGNAL_SECONDS)


def _nothing() -> None:
    """Posted to a loop that another thread waits in, to end the wait."""


class Connection(BaseConnection[Answer]):
    """A connection that any number of threads may use.

    Iterating over it yields messages until it is closed in good order; any other
    end raises ConnectionClosedError. It is a context manager that closes.

    Pings of the peer are answered, and pings sent, while a call waits; so an
    application that is silent for long should call recv() with a timeout now and
    then. The listeners to events are called while a call waits, too, and must not
    wait themselves; for messages there are none.
    """

    def __init__(self, loop: Loop | BlockingSocket) -> None:
        super().__init__()
        self._loop = loop
        self._turns = threading.Condition()
        self._is_away = False  # A thread waits in the loop, without the lock.
        self._visitors = 0  # Threads that want to have it back.
        self._sending = threading.Lock()

    def _check_type(self, type: str) -> None:
        """There is nobody to deliver messages while no call waits."""
        if type == "message":
            raise TypeError("messages go to recv(); libws.WebSocket has listeners")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(NORMAL_CLOSURE if error is None else INTERNAL_ERROR)

    def _wait_open(self) -> None:
        """Waits until the handshake is over; raises why it has failed."""
        opened: list[object] = []
        self._socket.addEventListener("open", opened.append, once=True)
        self._wait(lambda: bool(opened) or self._has_ended() or None)
        if not opened:
            raise self._socket._failure or self._socket._closed_error()

    # -- Receiving ----------------------------------------------------------

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data: ...

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> Data:
        """Returns the next message: str for text, otherwise bytes.

        Raises TimeoutError after `timeout` seconds, which changes nothing.
        `decode` True returns any message as str, False as bytes. Raises
        ConnectionClosed when the connection has ended and all messages have been
        taken.
        """
        return decoded(self._wait_for_item(self._take, timeout), decode)

    def recv_many(self, timeout: float | None = None) -> list[Data]:
        """Returns all messages there are, waiting for the first one if need be."""
        messages: list[Data] = [self._wait_for_item(self._take, timeout)]
        with self._alone():
            items = self._socket._pop_all()
            if self._pieces is None:
                return messages + items
            joined = map(self._pieces.join, items)
            return messages + [message for message in joined if message is not None]

    @overload
    def recv_streaming(self, decode: Literal[True]) -> Iterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> Iterator[bytes]: ...
    @overload
    def recv_streaming(self, decode: bool | None = None) -> Iterator[Data]: ...

    def recv_streaming(self, decode: bool | None = None) -> Iterator[Any]:
        """Yields the next message in pieces, as they come.

        `decode` is that of recv(). If the caller stops before the end of the
        message, the rest of it is passed over. What has come before the first
        call is one piece.
        """
        with self._alone():
            pieces = self._start_pieces()
            turn = pieces.begin()
        is_last = False
        try:
            while not is_last:
                pieces.check(turn)
                item = self._wait_for_item(self._socket._pop, None)
                piece, is_last = pieces.split(item, decode)
                if piece:
                    yield piece
        finally:
            if not is_last:
                pieces.finish(turn)

    def __iter__(self) -> Iterator[Data]:
        while True:
            try:
                message = self.recv()
            except ConnectionClosedOK:
                return
            yield message

    def _take(self) -> Data | None:
        """Takes a message out of the queue, if there is one."""
        while (item := self._socket._pop()) is not None:
            message: Data | None = item if self._pieces is None else self._pieces.join(item)
            if message is not None:
                return message
        return None

    def _wait_for_item(self, take: Callable[[], Any], timeout: float | None) -> Any:
        item = self._wait(lambda: self._next_item(take), timeout)
        if item is None:
            raise TimeoutError("no message has come in time")
        return item

    def _next_item(self, take: Callable[[], Result | None]) -> Result | None:
        item = take()
        if item is None and self._has_ended():
            raise self._socket._closed_error()
        return item

    # -- Sending ------------------------------------------------------------

    def send(self, message: Message | Iterable[Message], text: bool | None = None) -> None:
        """Sends a message: str as text, bytes-like as binary.

        `text` forces the one or the other. An iterable is sent as one message in
        pieces; threads that send meanwhile wait. Returns when no more than
        `write_limit` bytes wait to be sent. Raises ConnectionClosed.
        """
        with self._sending:
            if is_message(message):
                self._transmit(message, text)  # type: ignore[arg-type]
            else:
                self._send_pieces(message, text)  # type: ignore[arg-type]

    def _send_pieces(self, pieces: Iterable[Message], text: bool | None) -> None:
        kind: type[str | bytes] | None = None
        try:
            for piece in pieces:
                kind = same_kind(kind, piece)
                self._transmit(piece, text, is_last=False)
            if kind is not None:
                self._transmit(kind(), text)
        except BaseException:
            # The message cannot be finished, so nothing else can be sent.
            if kind is not None:
                self._begin_close(INTERNAL_ERROR, "unfinished message")
            raise

    def _post(self, data: Message, text: bool | None = None, is_last: bool = True) -> bool:
        """Sends without waiting; returns False when the connection is not open."""
        with self._alone():
            if self._socket.readyState != WebSocket.OPEN:
                return False
            self._socket.send(data, fin=is_last, binary=is_binary(text))
            self._turn(0)  # What is sent leaves with a turn.
            return True

    def _transmit(self, data: Message, text: bool | None, is_last: bool = True) -> None:
        is_open = self._post(data, text, is_last)
        self._wait(self._has_room)
        if not is_open:
            self.wait_closed()
            raise self._socket._closed_error()

    def _has_room(self) -> bool | None:
        socket = self._socket
        return not socket._is_full or socket.readyState != WebSocket.OPEN or None

    # -- Pings --------------------------------------------------------------

    def ping(self, data: Message | None = None, timeout: float | None = None) -> float:
        """Sends a ping; returns after how many seconds its pong came.

        Raises TimeoutError after `timeout` seconds without it.
        """
        answer: Answer = []
        with self._alone():
            self._send_ping(data, answer)
        self._wait(lambda: bool(answer) or self._has_ended() or None, timeout)
        if answer:
            return answer[0]
        if self._has_ended():
            raise self._socket._closed_error()
        raise TimeoutError("no pong has come in time")

    def _pong_came(self, waiter: Answer, rtt: float) -> None:
        waiter.append(rtt)

    # -- The end ------------------------------------------------------------

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Closes the connection, and waits until it has ended.

        Messages that have been received already can still be taken.
        """
        self._begin_close(code, reason)
        self.wait_closed()

    def _begin_close(self, code: int, reason: str) -> None:
        with self._alone():
            self._socket.closeWith(code, reason)
            self._socket.resume()  # The peer's Close may stand behind messages.

    def wait_closed(self, timeout: float | None = None) -> None:
        """Waits until the connection has ended, whoever ends it.

        Raises TimeoutError after `timeout` seconds.
        """
        if self._wait(lambda: self._has_ended() or None, timeout) is None:
            raise TimeoutError("the connection has not ended in time")

    def _has_ended(self) -> bool:
        return self._socket._close_info is not None

    # -- Turns --------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock while no thread waits in the loop."""
        with self._turns:
            self._visitors += 1
            try:
                while self._is_away:
                    self._loop.post(_nothing)
                    self._turns.wait()
            finally:
                self._visitors -= 1
            try:
                yield
            finally:
                self._turns.notify_all()

    def _wait(
        self, poll: Callable[[], Result | None], timeout: float | None = None
    ) -> Result | None:
        """Returns what `poll` returns as soon as that is not None.

        Returns None after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        rest = timeout
        with self._turns:
            while (result := poll()) is None:
                if rest is not None and rest < 0:
                    return None
                if self._is_away or self._visitors > 0:
                    self._turns.wait(rest)
                else:
                    self._turn(rest)
                if deadline is not None:
                    rest = deadline - time.monotonic()
        return result

    def _turn(self, timeout: float | None) -> None:
        """Runs the loop for one turn; others may have the lock while it waits.

        A signal ends the wait, and its handler may raise.
        """
        self._is_away = True
        self._turns.release()
        try:
            self._loop.wait(timeout)
        finally:
            self._turns.acquire()
            self._is_away = False
            self._turns.notify_all()
        self._loop.dispatch()
