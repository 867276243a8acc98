"""The socket of the shells on an engine without I/O, for a transport of Python's.

It stands in for libws.WebSocket where an ssl.SSLContext has to be used, and has
the part of its interface that the shells need. Bytes come in by _feed() and go
out by _write(); a subclass brings the transport, and calls _process() whenever
something may have happened.
"""

from __future__ import annotations

import collections
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ._core import (
    CloseEvent,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ErrorEvent,
    Event,
    EventTarget,
    Headers,
    MessageEvent,
    NetworkError,
    PayloadTooBig,
    RequestEvent,
    TLSError,
    WebSocketError,
)
from ._core import Connection as Engine
from ._host import with_cookies

if TYPE_CHECKING:
    from ._connection import Data, Message, Piece
    from ._core import Request, Response, SocketStats, TLSInfo

WRITE_LIMIT = 1024 * 1024

# RFC 6455 7.4.1; 1005 stands for no code at all.
ORDERLY_CODES = frozenset({1000, 1001, 1005})


class Opening(NamedTuple):
    """How a client begins: an engine with its request, and what is not for it."""

    engine: Engine
    write_limit: int | None
    server_name: str | None
    sock: socket.socket | None


def open_engine(
    url: str, subprotocols: str | Iterable[str] | None, options: Mapping[str, Any]
) -> Opening:
    """Takes the options of a WebSocket apart."""
    options = dict(options)
    if isinstance(options.pop("proxy", None), str):
        raise TypeError("a proxy goes with tls, not with ssl")
    if options.pop("driver", None) == "thread":
        raise TypeError("a thread goes with tls, not with ssl")
    headers, origin = options.pop("headers", None), options.pop("origin", None)
    if (cookies := options.pop("cookies", None)) is not None:
        headers = with_cookies(url, cookies, list(Headers(headers or ()).raw_items()))
    server_name, sock = options.pop("server_name", None), options.pop("sock", None)
    engine = Engine("client", **options)
    engine.connect(url, subprotocols, headers=headers, origin=origin)
    if (engine.url or "").startswith("ws+unix:"):
        raise TypeError("a Unix socket goes without ssl")
    return Opening(engine, options.get("send_high_water", WRITE_LIMIT), server_name, sock)


def transport_error(trouble: Exception, code: str) -> WebSocketError:
    """What a socket of the library would have for a failure of the transport.

    `code` is for what is a matter neither of TLS nor of the name.
    """
    text = str(trouble) or type(trouble).__name__
    error: WebSocketError
    if isinstance(trouble, ssl.SSLError):
        is_refused = isinstance(trouble, ssl.SSLCertVerificationError)
        error, code = TLSError(text), "WS_ERR_CERTIFICATE" if is_refused else "WS_ERR_TLS"
    elif isinstance(trouble, socket.gaierror):
        error, code = NetworkError(text), "WS_ERR_RESOLVE"
    else:
        error = NetworkError(text)
        error.errno = getattr(trouble, "errno", None)
    error.code, error.side, error.phase = code, "transport", "handshake"
    error.close_code = error.status = error.response = None
    error.__cause__ = trouble
    return error


class Handler:
    """An attribute such as onclose: a listener to "close" with a slot of its own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._type = name.removeprefix("on")

    def __get__(self, socket: EngineSocket, owner: type) -> Any:
        listener = socket._handlers.get(self._type)
        return None if listener is None else listener.func

    def __set__(self, socket: EngineSocket, handler: Any) -> None:
        listener = None if handler is None else functools.partial(handler)
        socket.removeEventListener(self._type, socket._handlers.get(self._type))
        socket.addEventListener(self._type, listener)
        socket._handlers[self._type] = listener


class EngineSocket(EventTarget):
    """What a connection of the shells stands on, whatever the transport."""

    onmessage: Handler = Handler()
    onerror: Handler = Handler()
    onclose: Handler = Handler()
    _waiter: Callable[[], object] | None = None
    _drain_waiter: Callable[[], object] | None = None

    def __init__(self, engine: Engine, write_limit: int | None) -> None:
        super().__init__()
        self._engine = engine
        self._handlers: dict[str, functools.partial[object] | None] = {}
        self._write_limit = write_limit
        self._origin = ""  # Of messages.
        self._queue: collections.deque[Data | Piece] = collections.deque()
        self._queued_bytes = 0
        self._max_messages: int | None = None
        self._max_bytes: int | None = None
        self._is_streaming = False
        self._is_paused = False
        self._is_processing = False
        self._trouble: WebSocketError | None = None  # Of the transport.
        self._failure: WebSocketError | None = None
        self._close_info: tuple[int, str, bool] | None = None

    # -- What a subclass does -----------------------------------------------

    def _write(self, data: bytes) -> None:
        """Writes all of it, now or when it is possible."""
        raise NotImplementedError

    def _is_writable(self) -> bool:
        """Whether the transport wants more; otherwise the engine keeps it."""
        return True

    def _set_timer(self, timeout: float | None) -> None:
        """Has _process() called after that time, at the latest."""
        raise NotImplementedError

    def _set_reading(self, is_reading: bool) -> None:
        """Stops or goes on calling _feed()."""
        raise NotImplementedError

    def _close_transport(self) -> None:
        """Closes the transport when all is written; may be called again."""
        raise NotImplementedError

    def _answer(self, request: Request) -> None:
        """A server: accepts or refuses the request."""
        raise NotImplementedError

    def _ssl_object(self) -> ssl.SSLObject | ssl.SSLSocket | None:
        """What knows of TLS."""
        raise NotImplementedError

    # -- Events -------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._engine.feed(data)
        self._process()

    def _process(self) -> None:
        """Delivers what the engine has to tell, and writes what it has to say."""
        if self._is_processing:
            return  # By a handler; what it causes is seen in the loop below.
        self._is_processing = True
        try:
            self._engine.tick()
            self._deliver_all()
            while self._flush():
                self._deliver_all()  # Such as "drain".
        finally:
            self._is_processing = False
        if self._close_info is not None:
            self._close_transport()
        else:
            self._set_timer(self._engine.timeout)

    def _deliver_all(self) -> None:
        while (event := self._engine.next_event()) is not None:
            self._deliver(event)

    def _flush(self) -> bool:
        """Writes; returns whether there was anything to write."""
        data = self._engine.output() if self._is_writable() else b""
        if data:
            self._write(data)
        return bool(data)

    def _deliver(self, event: Event) -> None:
        if isinstance(event, MessageEvent):
            self._deliver_message(event)
            return
        if isinstance(event, RequestEvent):
            self._answer(event.request)
            return
        if isinstance(event, CloseEvent):
            self._close_info = (event.code, event.reason, event.wasClean)
            self._wake("_waiter")
            self._wake("_drain_waiter")
        elif event.type == "drain":
            self._wake("_drain_waiter")
        elif isinstance(event, ErrorEvent):
            self._failure = self._failure_of(event)
            event = ErrorEvent("error", message=str(self._failure), error=self._failure)
        self._dispatch(event)

    def _deliver_message(self, event: MessageEvent) -> None:
        """Listeners come before the queue, but get whole messages only."""
        self._origin = event.origin
        if self._has_listeners() and not self._queue:
            self._dispatch(event)
        else:
            self._enqueue(event.data)

    def _has_listeners(self) -> bool:
        return not self._is_streaming and self._hears("message")

    def _hand_over(self) -> None:
        """As WebSocket._hand_over()."""
        while self._queue and self._has_listeners():
            data = self._take()
            self._dispatch(MessageEvent("message", data=data, origin=self._origin))
        self._resume_if_room()

    def _wake(self, name: str) -> None:
        waiter = getattr(self, name)
        if waiter is not None:
            setattr(self, name, None)
            waiter()

    def _fail(self, trouble: Exception, code: str = "WS_ERR_TRANSPORT") -> None:
        """The transport has failed, or could not be made."""
        self._trouble = transport_error(trouble, code)
        self._engine.abort(True)
        self._process()

    def _failure_of(self, event: ErrorEvent) -> WebSocketError:
        """The engine knows nothing of the transport but that it has failed."""
        failure: WebSocketError = event.error
        if isinstance(failure, PayloadTooBig):
            failure.args = ("message exceeds max_size",)  # The shells' max_message.
        trouble = self._trouble
        if trouble is None:
            return failure
        vars(trouble).update({**vars(failure), "code": trouble.code})
        return trouble

    # -- The queue ----------------------------------------------------------

    def _start_queue(
        self,
        max_messages: int | None = 16,
        max_bytes: int | None = 1024 * 1024,
        streaming: bool = False,
    ) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._is_streaming = streaming
        self._engine.set_streaming(streaming)

    def _enqueue(self, item: Data | Piece) -> None:
        self._queue.append(item)
        self._queued_bytes += _size(item)
        if not self._has_room(1):
            self._set_paused(True)
        self._wake("_waiter")

    def _has_room(self, share: int) -> bool:
        """Whether less than the whole or a half (1, 2) of the bounds is used."""
        if self._max_messages is not None and len(self._queue) * share >= self._max_messages:
            return not self._queue
        return self._max_bytes is None or self._queued_bytes * share < self._max_bytes

    def _set_paused(self, is_paused: bool) -> None:
        if self._is_paused == is_paused or self._close_info is not None:
            return
        self._is_paused = is_paused
        if is_paused:
            self._engine.pause()
        else:
            self._engine.resume()
        self._set_reading(not is_paused)

    def _pop(self) -> Data | Piece | None:
        if not self._queue:
            return None
        item = self._take()
        self._resume_if_room()
        return item

    def _take(self) -> Data | Piece:
        item = self._queue.popleft()
        self._queued_bytes -= _size(item)
        return item

    def _post(self, data: object) -> None:
        return None

    def _iterate(self, other: AsyncIterator[Any]) -> AsyncIterator[Any]:
        return other

    def _pop_all(self) -> list[Any]:
        items = list(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._resume_if_room()
        return items

    def _resume_if_room(self) -> None:
        if self._is_paused and self._has_room(2):
            self.resume()

    def resume(self) -> None:
        """Goes on reading."""
        self._set_paused(False)
        self._process()

    # -- Calls --------------------------------------------------------------

    def send(
        self,
        data: Message,
        /,
        *,
        compress: bool = True,
        fin: bool = True,
        binary: bool | None = None,
    ) -> None:
        """As WebSocket.send()."""
        self._engine.send(data, compress=compress, fin=fin, binary=binary)
        self._process()

    def closeWith(self, code: int | None = None, reason: str | None = None) -> None:
        """As WebSocket.closeWith()."""
        self._engine.closeWith(code, reason)
        self._process()

    def terminate(self) -> None:
        """As WebSocket.terminate()."""
        self._engine.abort()
        self._process()

    def ping(self, data: Message = b"", /) -> None:
        """As WebSocket.ping()."""
        self._engine.ping(data)
        self._process()

    def pong(self, data: Message = b"", /) -> None:
        """As WebSocket.pong()."""
        self._engine.pong(data)
        self._process()

    # -- What is known ------------------------------------------------------

    @property
    def readyState(self) -> int:
        """As WebSocket.readyState."""
        return self._engine.readyState

    @property
    def bufferedAmount(self) -> int:
        """As WebSocket.bufferedAmount."""
        return self._engine.bufferedAmount

    @property
    def protocol(self) -> str:
        """As WebSocket.protocol."""
        return self._engine.protocol

    @property
    def extensions(self) -> str:
        """As WebSocket.extensions."""
        return self._engine.extensions

    @property
    def response(self) -> Response | None:
        """As WebSocket.response."""
        return self._engine.response

    @property
    def _is_full(self) -> bool:
        limit = self._write_limit
        return limit is not None and self._engine.bufferedAmount > limit

    def stats(self) -> SocketStats:
        """As WebSocket.stats()."""
        return self._engine.stats()

    def tlsInfo(self) -> TLSInfo | None:
        """As WebSocket.tlsInfo()."""
        tls = self._ssl_object()
        cipher = tls.cipher() if tls is not None else None
        if tls is None or cipher is None:
            return None
        return {
            "version": tls.version() or "",
            "cipher": cipher[0],
            "protocol": tls.selected_alpn_protocol() or "",
            "server_name": tls.server_hostname or "",
            "peer_subject": _subject(tls),
            "is_resumed": bool(tls.session_reused),
        }

    def _closed_error(self) -> ConnectionClosed:
        code, reason, was_clean = self._close_info or (1006, "", False)
        is_ok = was_clean and code in ORDERLY_CODES
        kind = ConnectionClosedOK if is_ok else ConnectionClosedError
        why = reason or self._failure
        error = kind(f"{code}: {why}" if why else str(code))
        error.code = code
        error.reason = reason
        error.wasClean = was_clean
        error.__cause__ = self._failure
        return error


def _size(item: Data | Piece) -> int:
    return len(item[0]) if isinstance(item, tuple) else len(item)


def _subject(tls: ssl.SSLObject | ssl.SSLSocket) -> str:
    """The certificate's subject as "CN=example.com, O=Example"."""
    certificate: Any = tls.getpeercert() or {}
    names = {"commonName": "CN", "organizationName": "O", "countryName": "C"}
    pairs = [pair for group in certificate.get("subject", ()) for pair in group]
    return ", ".join(f"{names.get(name, name)}={value}" for name, value in pairs)
