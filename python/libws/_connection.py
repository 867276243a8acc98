"""What a connection is to its user, whether calls block or are awaited.

It stands on a socket in queue mode: libws.WebSocket, or the engine over a
transport of Python's (_engine.py). Nothing here waits; what has to, is left to
libws.asyncio and libws.sync.
"""

from __future__ import annotations

import codecs
import enum
import os
import time
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from ._core import WebSocket

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._core import Request, Response, SocketStats, TLSInfo, _Handler, _Listener
    from ._engine import EngineSocket

    Data: TypeAlias = str | bytes
    Message: TypeAlias = str | Buffer
    # Data, whether it is text, whether it is the first and the last piece.
    Piece: TypeAlias = tuple[bytes, bool, bool, bool]

Waiter = TypeVar("Waiter")

# RFC 6455 7.4.1.
NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
INTERNAL_ERROR = 1011

# How much is queued at most, besides the number of messages.
MAX_QUEUE_BYTES = 1024 * 1024

# What tells one ping from another.
PING_BYTES = 4


class State(enum.IntEnum):
    """The states of a connection, as in a browser."""

    CONNECTING = WebSocket.CONNECTING
    OPEN = WebSocket.OPEN
    CLOSING = WebSocket.CLOSING
    CLOSED = WebSocket.CLOSED


class Pieces:
    """Messages that come in pieces, after recv_streaming() was called once.

    Messages that were queued before come whole, which is taken as one piece.
    Whoever stops in the middle of a message leaves the rest to be passed over,
    even if nobody says so: a generator that is dropped hears of it later.
    """

    def __init__(self) -> None:
        self._is_wanted = False
        self._taken: list[bytes] = []  # By a recv() that has not come to the end.
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_split = False  # A part of the message was handed on.
        self._turn = 0  # That of the recv_streaming() that gets the pieces.

    def begin(self) -> int:
        """A recv_streaming() begins. Returns its turn."""
        self._end_turn()
        return self._turn

    def finish(self, turn: int) -> None:
        """It ends. If that is before the end of the message, the rest is passed over."""
        if turn == self._turn:
            self.skip()

    def join(self, item: Data | Piece) -> Data | None:
        """Takes a piece; returns the message that is complete now."""
        self._end_turn()
        if not isinstance(item, tuple):
            return item
        data, is_text, is_first, is_last = item
        if not self._wants(is_first):
            return None
        self._taken.append(data)
        if not is_last:
            return None
        whole = b"".join(self._taken)
        self.skip()
        return whole.decode() if is_text else whole

    def check(self, turn: int) -> None:
        """Raises RuntimeError if something else has been received since begin()."""
        if turn != self._turn:
            raise RuntimeError("the rest of the message was passed over by another call")

    def split(self, item: Data | Piece, decode: bool | None) -> tuple[Data, bool]:
        """Takes a piece; returns what to hand on and whether the message ends."""
        if not isinstance(item, tuple):
            return decoded(item, decode), True
        data, is_text, is_first, is_last = item
        if not self._wants(is_first):
            return b"", False
        data = b"".join([*self._taken, data])
        self._taken.clear()
        self._is_split = True
        piece: Data = data
        if is_text if decode is None else decode:
            # A character may be cut in two.
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
            piece = self._decoder.decode(data, is_last)
        if is_last:
            self.skip()
        return piece, is_last

    def skip(self) -> None:
        """Passes over what is left of the message."""
        self._is_wanted = False
        self._is_split = False
        self._taken.clear()
        self._decoder = None

    def _end_turn(self) -> None:
        """Somebody else receives now, and gets whole messages only."""
        self._turn += 1
        if self._is_split:
            self.skip()

    def _wants(self, is_first: bool) -> bool:
        if is_first:
            self.skip()
            self._is_wanted = True
        return self._is_wanted


def decoded(data: Data, decode: bool | None) -> Data:
    """The data of a message as str (True), bytes (False), or as it came."""
    if decode is True and isinstance(data, bytes):
        return data.decode()
    if decode is False and isinstance(data, str):
        return data.encode()
    return data


def is_message(data: object) -> bool:
    """Whether data is one message; otherwise it is an iterable of pieces."""
    if isinstance(data, (str, bytes, bytearray, memoryview)):
        return True
    if isinstance(data, Mapping):
        raise TypeError("a mapping cannot be sent; did you mean json.dumps()?")
    if not isinstance(data, (Iterable, AsyncIterable)):
        return True  # An array, or what the socket will refuse.
    try:
        memoryview(data).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True  # An array that is iterable, but means its bytes.


def same_kind(kind: type[str | bytes] | None, piece: Message) -> type[str | bytes]:
    """The kind of a piece, which has to be that of the pieces before."""
    own = str if isinstance(piece, str) else bytes
    if kind is not None and own is not kind:
        raise TypeError("pieces of a message must all be str or all be bytes-like")
    return own


def copied(data: Message) -> str | bytes:
    """Data that nobody changes."""
    return data if isinstance(data, str) else memoryview(data).tobytes()


def is_binary(text: bool | None) -> bool | None:
    """The argument `text` of send() as sockets have it."""
    return None if text is None else not text


def address_of(text: str) -> tuple[str, int] | str:
    """An address as in the socket module, of "1.2.3.4:80", "[::1]:80" or "unix:/path"."""
    if text.startswith("unix:") or not text:
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def address_text(address: tuple[str, int] | tuple[str, int, int, int] | str) -> str:
    """The text for an address of the socket module."""
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class BaseConnection(Generic[Waiter]):
    """The common part of the connections of libws.asyncio and libws.sync.

    What a browser's WebSocket has goes by its names, too: readyState, onclose,
    addEventListener() and so on.
    """

    CONNECTING: ClassVar[State] = State.CONNECTING
    OPEN: ClassVar[State] = State.OPEN
    CLOSING: ClassVar[State] = State.CLOSING
    CLOSED: ClassVar[State] = State.CLOSED

    # Or an EngineSocket, which looks the same from here. Not there yet in the
    # hooks of a handshake.
    _socket: WebSocket
    _max_queue: int | None

    _request: Any = None

    def __init__(self) -> None:
        self._pieces: Pieces | None = None
        self._pings: dict[bytes, tuple[float, Waiter]] = {}

    def _attach(self, socket: WebSocket | EngineSocket, max_queue: int | None) -> None:
        """Begins to receive from a socket that is open or about to be."""
        self._socket = socket  # type: ignore[assignment]
        self._max_queue = max_queue
        socket._start_queue(max_queue, MAX_QUEUE_BYTES)

    # -- What is known ------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the connection is between CONNECTING and CLOSED."""
        return State(self.readyState)

    @property
    def subprotocol(self) -> str | None:
        """What both sides have agreed upon, or None."""
        return self._socket.protocol or None

    @property
    def extensions(self) -> str:
        """What both sides have agreed upon, such as permessage-deflate."""
        return self._socket.extensions

    @property
    def request(self) -> Request | None:
        """What a client has asked its server; None for a client."""
        return self._request  # type: ignore[no-any-return]

    @property
    def response(self) -> Response | None:
        """What the server has answered a client; None for a server."""
        return self._socket.response

    @property
    def url(self) -> str:
        """The URL of the connection."""
        return self._socket.url

    @property
    def remote_address(self) -> tuple[str, int] | str:
        """Host and port of the peer; the path of a Unix socket."""
        return address_of(self._socket.remoteAddress)

    @property
    def close_code(self) -> int | None:
        """The code of the end: 1006 without a Close frame; None before it."""
        info = self._socket._close_info
        return None if info is None else info[0]

    @property
    def close_reason(self) -> str | None:
        """The reason that goes with `close_code`."""
        info = self._socket._close_info
        return None if info is None else info[1]

    @property
    def latency(self) -> float:
        """Seconds from the last ping to its pong; 0 as long as there is none."""
        return self._socket.stats()["rtt"] or 0.0

    @property
    def buffered_amount(self) -> int:
        """Bytes of messages that wait to be written."""
        return self._socket.bufferedAmount

    # -- As in a browser ----------------------------------------------------

    @property
    def readyState(self) -> int:
        """CONNECTING, OPEN, CLOSING or CLOSED."""
        return self._socket.readyState if hasattr(self, "_socket") else WebSocket.CONNECTING

    @property
    def bufferedAmount(self) -> int:
        """As `buffered_amount`."""
        return self._socket.bufferedAmount

    @property
    def protocol(self) -> str:
        """As `subprotocol`, but "" for none."""
        return self._socket.protocol

    def addEventListener(self, type: str, listener: _Listener | None, **options: Any) -> None:
        """Has `listener` called with each event of the type, as WebSocket's.

        As long as there are listeners to "message" they get the messages, and
        recv() does not; those that recv() has not taken come to them first. Not
        so after recv_streaming().
        """
        self._check_type(type)
        self._socket.addEventListener(type, listener, **options)
        if type == "message":
            self._socket._hand_over()

    def removeEventListener(self, type: str, listener: _Listener | None, **options: Any) -> None:
        """Takes addEventListener() back."""
        self._socket.removeEventListener(type, listener, **options)

    @property
    def onmessage(self) -> _Handler:
        """Called with each MessageEvent; see addEventListener()."""
        return self._socket.onmessage

    @onmessage.setter
    def onmessage(self, handler: _Handler) -> None:
        self._check_type("message")
        self._socket.onmessage = handler
        self._socket._hand_over()

    @property
    def onerror(self) -> _Handler:
        """Called with the ErrorEvent of a failure, before `onclose`."""
        return self._socket.onerror

    @onerror.setter
    def onerror(self, handler: _Handler) -> None:
        self._socket.onerror = handler

    @property
    def onclose(self) -> _Handler:
        """Called with the CloseEvent."""
        return self._socket.onclose

    @onclose.setter
    def onclose(self, handler: _Handler) -> None:
        self._socket.onclose = handler

    def _check_type(self, type: str) -> None:
        """Raises TypeError for events that cannot be listened to: here there are none."""

    def stats(self) -> SocketStats:
        """Returns the account of the connection: bytes, messages, memory."""
        return self._socket.stats()

    def tls_info(self) -> TLSInfo | None:
        """Returns version, cipher and names of TLS; None without it."""
        return self._socket.tlsInfo()

    def __repr__(self) -> str:
        kind = type(self).__name__
        if not hasattr(self, "_socket"):
            return f"<{kind} CONNECTING>"
        return f"<{kind} {self.state.name} {self.url}>"

    # -- What needs no waiting ----------------------------------------------

    def abort(self) -> None:
        """Ends the connection at once, without a Close frame."""
        self._socket.terminate()

    def pong(self, data: Message = b"") -> None:
        """Sends a pong that nobody has asked for."""
        self._socket.pong(data)

    # -- For those who wait -------------------------------------------------

    def _start_pieces(self) -> Pieces:
        """From the next message on, messages come in pieces."""
        if self._pieces is None:
            self._pieces = Pieces()
            self._socket._start_queue(self._max_queue, MAX_QUEUE_BYTES, True)
        return self._pieces

    def _send_ping(self, data: Message | None, waiter: Waiter) -> None:
        if self._socket.readyState != WebSocket.OPEN:
            raise self._socket._closed_error()
        payload = self._fresh_payload() if data is None else copied(data)
        if isinstance(payload, str):
            payload = payload.encode()
        if payload in self._pings:
            raise ValueError("a ping with the same data is on its way")
        self._socket.addEventListener("pong", self._on_pong)
        self._socket.ping(payload)
        self._pings[payload] = (time.monotonic(), waiter)

    def _fresh_payload(self) -> bytes:
        while True:
            payload = os.urandom(PING_BYTES)
            if payload not in self._pings:
                return payload

    def _on_pong(self, event: Any) -> None:
        """RFC 6455 5.5.3: "If an endpoint receives a Ping frame and has not yet
        sent Pong frame(s) in response to previous Ping frame(s), the endpoint
        MAY elect to send a Pong frame for only the most recently processed
        Ping frame." So a pong answers the pings before, too.
        """
        if event.data not in self._pings:
            return
        for payload in list(self._pings):
            sent_at, waiter = self._pings.pop(payload)
            self._pong_came(waiter, time.monotonic() - sent_at)
            if payload == event.data:
                break

    def _pong_came(self, waiter: Waiter, rtt: float) -> None:
        raise NotImplementedError
