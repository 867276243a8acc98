"""Types of the C module `libws._core`.

What begins with an underscore is for the shells of this package (asyncio,
blocking, uvicorn) and may change with any version.

Times are seconds. In options a limit or time of None means "none"; one that is
left out has the default of the C library.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from http.cookiejar import CookieJar
from typing import Any, ClassVar, Final, Literal, NoReturn, Protocol, TypeVar, TypedDict, final, overload

from typing_extensions import Buffer, Self, Unpack

__version__: str
__all__ = [
    "DOMException",
    "InvalidStateError",
    "SyntaxError",
    "InvalidAccessError",
    "SecurityError",
    "AbortError",
    "WebSocketError",
    "HandshakeError",
    "ProtocolError",
    "PayloadTooBig",
    "NetworkError",
    "ConnectionTimeout",
    "ConnectionClosed",
    "InvalidStatus",
    "ProxyError",
    "TLSError",
    "ConnectionClosedOK",
    "ConnectionClosedError",
    "Event",
    "MessageEvent",
    "CloseEvent",
    "ErrorEvent",
    "ControlEvent",
    "ReconnectEvent",
    "RequestEvent",
    "ResponseEvent",
    "EventTarget",
    "Headers",
    "Response",
    "Request",
    "TLSOptions",
    "Loop",
    "get_loop",
    "run",
    "stop",
    "Timer",
    "WebSocket",
    "WebSocketServer",
    "Connection",
]

_T = TypeVar("_T")

_Data = str | bytes | bytearray
_Sendable = str | Buffer
_HeaderInput = Mapping[str, str] | Iterable[tuple[str, str]]
_Protocols = str | Iterable[str] | None
# A piece of a message, with `streaming`: data (never str), whether it is text,
# whether it is the first and the last one of its message.
_Piece = tuple[bytes, bool, bool, bool]

# -- Events ---------------------------------------------------------------------

class _EventInit(TypedDict, total=False):
    bubbles: bool
    cancelable: bool
    composed: bool

class _MessageEventInit(_EventInit, total=False):
    data: Any
    origin: str
    lastEventId: str

class _CloseEventInit(_EventInit, total=False):
    wasClean: bool
    code: int
    reason: str

class _ErrorEventInit(_EventInit, total=False):
    message: str
    error: BaseException | None

class Event:
    NONE: Final = 0
    CAPTURING_PHASE: Final = 1
    AT_TARGET: Final = 2
    BUBBLING_PHASE: Final = 3
    def __init__(self, type: str, init: _EventInit | None = None, /, **kwargs: Unpack[_EventInit]) -> None: ...
    @property
    def type(self) -> str: ...
    @property
    def target(self) -> EventTarget | None: ...
    @property
    def currentTarget(self) -> EventTarget | None: ...
    @property
    def eventPhase(self) -> int: ...
    @property
    def bubbles(self) -> bool: ...
    @property
    def cancelable(self) -> bool: ...
    @property
    def composed(self) -> bool: ...
    @property
    def defaultPrevented(self) -> bool: ...
    @property
    def isTrusted(self) -> bool: ...
    # Milliseconds of a monotonic clock.
    @property
    def timeStamp(self) -> float: ...
    def composedPath(self) -> list[EventTarget]: ...
    def preventDefault(self) -> None: ...
    def stopPropagation(self) -> None: ...
    def stopImmediatePropagation(self) -> None: ...

class MessageEvent(Event):
    def __init__(self, type: str, init: _MessageEventInit | None = None, /, **kwargs: Unpack[_MessageEventInit]) -> None: ...
    # str for text; bytes, or bytearray if binaryType is "arraybuffer".
    @property
    def data(self) -> Any: ...
    @property
    def origin(self) -> str: ...
    @property
    def lastEventId(self) -> str: ...
    @property
    def source(self) -> None: ...
    @property
    def ports(self) -> list[Any]: ...

class CloseEvent(Event):
    def __init__(self, type: str, init: _CloseEventInit | None = None, /, **kwargs: Unpack[_CloseEventInit]) -> None: ...
    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def wasClean(self) -> bool: ...

class ErrorEvent(Event):
    def __init__(self, type: str, init: _ErrorEventInit | None = None, /, **kwargs: Unpack[_ErrorEventInit]) -> None: ...
    @property
    def message(self) -> str: ...
    # What a failed connection raises elsewhere; see WebSocketError.
    @property
    def error(self) -> Any: ...

# "ping" and "pong".
class ControlEvent(Event):
    @property
    def data(self) -> bytes: ...
    # How long ago the ping left that this pong answers; None if it answers none
    # of ours.
    @property
    def rtt(self) -> float | None: ...

# "reconnect": the socket is CONNECTING again, and the next attempt starts in
# `delay` seconds.
class ReconnectEvent(Event):
    @property
    def attempt(self) -> int: ...
    @property
    def delay(self) -> float: ...
    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def error(self) -> WebSocketError: ...

class _ListenerObject(Protocol):
    def handleEvent(self, event: Any, /) -> object: ...

class _AbortSignal(Protocol):
    @property
    def aborted(self) -> bool: ...
    def addEventListener(self, type: str, listener: Any, /) -> None: ...

_Listener = Callable[[Any], object] | _ListenerObject
# Of an attribute such as `onmessage`. It may be a coroutine function.
_Handler = Callable[[Any], object] | _ListenerObject | None

class _ListenerOptions(TypedDict, total=False):
    once: bool
    capture: bool
    passive: bool
    signal: _AbortSignal

class EventTarget:
    def __init__(self) -> None: ...
    def addEventListener(
        self, type: str, listener: _Listener | None, options: _ListenerOptions | bool | None = None, /, **kwargs: Unpack[_ListenerOptions]
    ) -> None: ...
    def removeEventListener(
        self, type: str, listener: _Listener | None, options: _ListenerOptions | bool | None = None, /, **kwargs: Unpack[_ListenerOptions]
    ) -> None: ...
    def dispatchEvent(self, event: Event, /) -> bool: ...
    # The same for an event of the library, which is trusted.
    def _dispatch(self, event: Event, /) -> bool: ...
    # Whether there are listeners to a type of a WebSocket's events.
    def _hears(self, type: str, /) -> bool: ...

# -- Errors ---------------------------------------------------------------------

class DOMException(Exception):
    name: str
    code: int
    def __init__(self, message: str = "", name: str = "Error", /) -> None: ...
    @property
    def message(self) -> str: ...

class InvalidStateError(DOMException, RuntimeError): ...
class SyntaxError(DOMException, ValueError): ...
class InvalidAccessError(DOMException, ValueError): ...
class SecurityError(DOMException, PermissionError): ...
class AbortError(DOMException): ...

# Why a connection failed or could not be made.
class WebSocketError(Exception):
    # As in npm's ws: "WS_ERR_EXPECTED_MASK".
    code: str | int
    # Who is at fault: "local", "peer", "transport".
    side: str | None
    # "handshake", "open", "closing".
    phase: str | None
    # Of the Close frame that told the peer.
    close_code: int | None
    # HTTP, of a handshake that failed.
    status: int | None
    response: Response | None

class HandshakeError(WebSocketError): ...
class InvalidStatus(HandshakeError): ...
class ProxyError(HandshakeError): ...
class ProtocolError(WebSocketError): ...
class PayloadTooBig(WebSocketError): ...
# Name, connection or transport.
class NetworkError(WebSocketError, OSError): ...
class TLSError(NetworkError): ...
class ConnectionTimeout(WebSocketError, TimeoutError): ...

# What send() and recv() of the shells raise; made by WebSocket._closed_error().
# `code` is the close code (int). The WebSocketError, if there was one, is the
# __cause__.
class ConnectionClosed(WebSocketError):
    code: int  # pyright: ignore[reportIncompatibleVariableOverride]
    reason: str
    wasClean: bool

# Clean, with 1000, 1001 or no code.
class ConnectionClosedOK(ConnectionClosed): ...
class ConnectionClosedError(ConnectionClosed): ...

# -- HTTP -----------------------------------------------------------------------

# Immutable; names compare without case; values of one name stay separate.
@final
class Headers(Mapping[str, str]):
    def __new__(cls, headers: _HeaderInput = (), /) -> Self: ...
    # The first value of the name.
    def __getitem__(self, name: str, /) -> str: ...
    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: _T, /) -> str | _T: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def get_all(self, name: str, /) -> list[str]: ...
    # All pairs in order, a name as often as it came.
    def raw_items(self) -> list[tuple[str, str]]: ...

@final
class Response:
    def __new__(
        cls, status: int = 200, body: str | Buffer = b"", headers: _HeaderInput = (), reason: str = ""
    ) -> Self: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> bytes: ...

# A request that a server got. Its strings are decoded as Latin-1. Hooks may keep
# what they found out in attributes of their own; onconnection gets the same
# object.
@final
class Request:
    # That of the shells.
    _connection: Any
    @property
    def method(self) -> str: ...
    # As it came, "/chat?room=1", and the part before the "?".
    @property
    def target(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def is_upgrade(self) -> bool: ...
    # The subprotocols that the client offers.
    @property
    def protocols(self) -> list[str]: ...
    # Address of the peer, "1.2.3.4:80", "[::1]:80" or "unix:/path".
    @property
    def remote(self) -> str: ...
    @property
    def server(self) -> WebSocketServer | None: ...
    # Whether it has been answered, or the client is gone.
    @property
    def answered(self) -> bool: ...
    # Answers. Raise InvalidStateError when `answered`, ValueError for a
    # subprotocol that was not offered or a header that must not stand.
    def accept(self, protocol: str | None = None, headers: _HeaderInput = (), compression: bool = True) -> None: ...
    def respond(self, status: int, body: str | Buffer = b"", headers: _HeaderInput = ()) -> None: ...
    # The file below the folder `root` that the target names, or 404 or 405.
    def respond_file(self, root: str, /) -> None: ...
    # The hook will answer after it has returned.
    def hold(self) -> None: ...

# -- TLS ------------------------------------------------------------------------

# For clients and servers. PEM data is given as the name of a file or as text.
# The files are read when the first connection or listener is made with it.
@final
class TLSOptions:
    def __init__(
        self,
        *,
        # Whom to trust; None for what the system trusts. Of a server: who signs
        # the clients' certificates.
        cafile: str | None = None,
        cadata: str | None = None,
        capath: str | None = None,
        # Who one is. Required for a server.
        certfile: str | None = None,
        certdata: str | None = None,
        keyfile: str | None = None,
        keydata: str | None = None,
        password: str | None = None,
        # Of a server: further certificates, chosen by SNI; the same names.
        certificates: Iterable[Mapping[str, str]] = (),
        client_auth: Literal["none", "optional", "required"] = "none",
        min_version: Literal["1.2", "1.3"] | None = None,
        max_version: Literal["1.2", "1.3"] | None = None,
        ciphers: str | None = None,
        cipher_suites: str | None = None,
        # Takes any certificate of any host.
        insecure_no_verify: bool = False,
    ) -> None: ...
    # Reads the files of a server again, for connections to come.
    def reload(self) -> None: ...

_TLS = TLSOptions | bool | None

# -- Loop -----------------------------------------------------------------------

class LoopStats(TypedDict):
    sockets: int
    turns: int
    events: int
    bytes_received: int
    bytes_sent: int
    reads: int
    writes: int

# Belongs to the thread that runs it. While it waits, other threads may call what
# is marked so, and send() and close() of its sockets.
@final
class Loop:
    def __init__(self, *, backend: Literal["epoll", "kqueue", "poll"] | None = None, receive_buffer: int = 0, send_buffer: int = 0) -> None: ...
    # Waits for something to dispatch, without the GIL; in the main thread only for
    # a moment, so that signals are heard.
    def wait(self, timeout: float | None = None, /) -> None: ...
    # Calls the handlers for what wait() brought; returns the number of events.
    # Raises what a handler raised only if it is no Exception.
    def dispatch(self) -> int: ...
    # Turns until stop(), or until no socket, server or timer is left.
    def run(self) -> None: ...
    # Any thread, and signal handlers.
    def stop(self) -> None: ...
    # Has the loop call `callback()`. Any thread.
    def post(self, callback: Callable[[], object], /) -> None: ...
    def timer(self, delay: float, callback: Callable[[], object], /) -> Timer: ...
    # Open sockets send Close 1001; no more events come.
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    # Whether there is a socket, server or timer to wait for.
    @property
    def alive(self) -> bool: ...
    def fileno(self) -> int: ...
    def stats(self) -> LoopStats: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    # For a host loop: `host.add_reader(loop.fileno(), loop._dispatch)`. After
    # _attach() a task that an event has scheduled runs before the next event,
    # coroutines become tasks of the host, and exceptions of handlers go to its
    # exception handler.
    # Of uvloop: the file that has its libuv, and a capsule with the uv_loop_t.
    def _attach(self, host: Any, uv_library: str | None = None, uv_loop: Any = None, /) -> None: ...
    def _dispatch(self) -> None: ...
    @property
    def _host(self) -> Any: ...

@final
class Timer:
    # Rings `delay` seconds from now, instead of when it would.
    def set(self, delay: float, /) -> None: ...
    def cancel(self) -> None: ...

# The loop of this thread that is not asyncio's, made when first asked for.
def get_loop() -> Loop: ...
# Runs it, and stops it.
def run() -> None: ...
def stop() -> None: ...

# -- Sockets --------------------------------------------------------------------

class _ConnOptions(TypedDict, total=False):
    max_message: int | None
    max_fragments: int | None
    max_send_queue: int | None
    send_high_water: int | None
    max_head: int | None
    max_head_line: int | None
    max_headers: int | None
    max_response_body: int | None
    useless_burst: int | None
    useless_rate: int | None
    handshake_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    message_timeout: float | None
    send_timeout: float | None
    close_timeout: float | None
    # True or "deflate", False; None for the default: a client offers it, a
    # server declines it.
    compression: bool | Literal["deflate"] | None
    compression_threshold: int
    compression_level: int
    compression_memory: int
    server_max_window_bits: int
    client_max_window_bits: int
    server_no_context_takeover: bool
    client_no_context_takeover: bool
    auto_pong: bool
    # Server. Which values of Origin may connect; None for the same origin, "*"
    # for any. Requests without Origin always may.
    origins: str | Iterable[str] | None
    # Server. Which hosts may stand in the Host header; None for any.
    hosts: str | Iterable[str] | None

class _SocketOptions(_ConnOptions, total=False):
    headers: _HeaderInput | None
    # What goes to one Cookie header: names and values, or a jar, which knows
    # which cookies are for the URL.
    cookies: Mapping[str, str] | Iterable[tuple[str, str]] | CookieJar | None
    origin: str | None
    tls: _TLS
    # Whom the certificate must be for, instead of the URL's host.
    server_name: str | None
    # True or None: what the environment says. False: none. Or its URL.
    proxy: str | bool | None
    proxy_headers: _HeaderInput | None
    proxy_tls: _TLS
    # A connected socket, or its descriptor, which is taken over (detached).
    sock: socket.socket | int | None
    max_redirects: int
    block_bad_ports: bool
    reconnect: bool
    reconnect_min: float
    reconnect_max: float
    reconnect_attempts: int | None
    loop: Loop | None
    # "loop", or "thread": a thread in C reads, writes and answers pings also
    # while Python is busy, and the loop delivers the events.
    driver: Literal["loop", "thread"] | None

class SocketStats(TypedDict):
    bytes_received: int
    bytes_sent: int
    messages_received: int
    messages_sent: int
    bytes_queued: int
    bytes_held: int
    rtt: float | None

class TLSInfo(TypedDict):
    version: str
    cipher: str
    protocol: str
    server_name: str
    peer_subject: str
    is_resumed: bool

# Driven by `loop`, or else by the asyncio loop that is running, or else by
# libws.run(). May be subclassed.
class WebSocket(EventTarget):
    CONNECTING: ClassVar[Literal[0]]
    OPEN: ClassVar[Literal[1]]
    CLOSING: ClassVar[Literal[2]]
    CLOSED: ClassVar[Literal[3]]
    def __init__(self, url: object, protocols: _Protocols = None, options: _SocketOptions | None = None, /, **kwargs: Unpack[_SocketOptions]) -> None: ...
    @property
    def url(self) -> str: ...
    @property
    def readyState(self) -> int: ...
    @property
    def bufferedAmount(self) -> int: ...
    @property
    def extensions(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    binaryType: str
    onopen: _Handler
    onmessage: _Handler
    onerror: _Handler
    onclose: _Handler
    # callback(None) is called when the system has taken the message, or
    # callback(error) with the ConnectionClosed that has kept it from that.
    def send(
        self,
        data: _Sendable,
        callback: Callable[[ConnectionClosed | None], object] | None = None,
        /,
        *,
        compress: bool = True,
        fin: bool = True,
        binary: bool | None = None,
    ) -> None: ...
    def close(self, code: float | None = None, reason: str | None = None) -> None: ...

    # -- More than the browser has.
    onping: _Handler
    onpong: _Handler
    ondrain: _Handler
    onreconnect: _Handler
    # close() with every code that may be on the wire.
    def closeWith(self, code: float | None = None, reason: str | None = None) -> None: ...
    # Ends the connection at once; the close event says 1006.
    def terminate(self) -> None: ...
    def ping(self, data: _Sendable = b"", /) -> None: ...
    def pong(self, data: _Sendable = b"", /) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stats(self) -> SocketStats: ...
    def tlsInfo(self) -> TLSInfo | None: ...
    # Of a client that reconnects, for the attempts to come.
    def setRequestHeaders(self, headers: _HeaderInput, /) -> None: ...
    @property
    def remoteAddress(self) -> str: ...
    # The 101 of a client, the request of a server's socket; from the open event
    # on.
    @property
    def response(self) -> Response | None: ...
    @property
    def request(self) -> Request | None: ...
    @property
    def server(self) -> WebSocketServer | None: ...
    # Of a server's socket.
    def subscribe(self, topic: str, /) -> None: ...
    def unsubscribe(self, topic: str, /) -> None: ...
    # To all subscribers but this socket.
    def publish(self, topic: str, data: _Sendable, /, *, compress: bool = True) -> None: ...

    # -- For the shells: messages are queued instead of dispatched as events.
    # Reading pauses when the queue holds `max_messages` or `max_bytes`, and goes
    # on when half of that is left. With `streaming` the items are _Piece.
    def _start_queue(self, max_messages: int | None = 16, max_bytes: int | None = 1048576, streaming: bool = False, /) -> None: ...
    # The oldest item, or None; all of them.
    def _pop(self) -> Any | None: ...
    def _pop_all(self) -> list[Any]: ...
    # Dispatches them to those who listen to messages now.
    def _hand_over(self) -> None: ...
    @property
    def _queued(self) -> int: ...
    # Awaitables for one waiter at a time (RuntimeError for the second): the next
    # item. When the socket has ended and the queue is empty they raise
    # _closed_error(); _anext() raises StopAsyncIteration if that is a
    # ConnectionClosedOK. Cancelling loses nothing.
    def _recv(self) -> Coroutine[Any, Any, Any]: ...
    def _anext(self) -> Coroutine[Any, Any, Any]: ...
    # Sends a str or bytes if the socket is open and has room for it, and returns
    # what may be awaited, but waits for nothing. Otherwise sends nothing.
    def _post(self, data: object, /) -> Any | None: ...
    # Iterates by _anext(), but by other.__anext__() while streaming.
    def _iterate(self, other: AsyncIterator[Any], /) -> AsyncIterator[Any]: ...
    # Called once, without arguments, by the dispatcher: `_waiter` when the queue
    # is not empty any more or the socket has ended; `_drain_waiter` when the send
    # queue has room again or the socket has ended. Keep the socket alive.
    _waiter: Callable[[], object] | None
    _drain_waiter: Callable[[], object] | None
    # Whether more than send_high_water waits to be sent, so that a drain is due.
    @property
    def _is_full(self) -> bool: ...
    # Of the error event that came, or None.
    @property
    def _failure(self) -> WebSocketError | None: ...
    # (code, reason, wasClean) of the close event that came, or None.
    @property
    def _close_info(self) -> tuple[int, str, bool] | None: ...
    # A new ConnectionClosedOK or ConnectionClosedError for what has ended.
    def _closed_error(self) -> ConnectionClosed: ...
    @property
    def _loop(self) -> Loop: ...

# -- Servers --------------------------------------------------------------------

class ServerStats(TypedDict):
    connections: int
    accepted: int
    refused: int
    opened: int
    published: int

_UpgradeResult = None | bool | str | Response
_RequestResult = None | Response

class _ListenOptions(TypedDict, total=False):
    # Instead of host and port:
    unix: str | None
    unix_mode: int
    sock: socket.socket | int | None
    tls: _TLS
    backlog: int
    reuse_port: bool

class _ServerOptions(_ConnOptions, _ListenOptions, total=False):
    onconnection: Callable[[Any, Request], object] | None
    # May answer through the request. Otherwise what it returns is the answer:
    # None or True accepts with the first subprotocol that is spoken, a str with
    # that one ("" for none), False refuses with 403, a Response with that. May
    # be a coroutine function.
    onupgrade: Callable[[Request], _UpgradeResult | Awaitable[_UpgradeResult]] | None
    # Plain HTTP; None returned and nothing answered is 426. May be a coroutine
    # function.
    onrequest: Callable[[Request], _RequestResult | Awaitable[_RequestResult]] | None
    # A listener cannot accept, or, of those the constructor began, not listen.
    onerror: Callable[[ErrorEvent], object] | None
    # All has ended after close().
    onclose: Callable[[], object] | None
    # Which subprotocols are spoken. None: the first the client offers.
    protocols: _Protocols
    # Handshakes for other paths get 404.
    path: str | None
    # A folder whose files are served to GET and HEAD.
    root: str | None
    max_connections: int
    max_connections_per_address: int
    # The class of the sockets, WebSocket or a subclass; its __init__ is not
    # called.
    socket_class: type[WebSocket]
    # Keep open sockets alive, for `clients`.
    client_tracking: bool
    loop: Loop | None

class WebSocketServer:
    # Listens at once, unless `listen` is False; then listen() and adopt() do. A
    # failure comes as an error event.
    def __init__(self, host: str | None = None, port: int | None = None, /, *, listen: bool = True, **kwargs: Unpack[_ServerOptions]) -> None: ...
    # Raises NetworkError, which is an OSError.
    def listen(self, host: str | None = None, port: int = 0, /, **kwargs: Unpack[_ListenOptions]) -> None: ...
    # Serves a connection that was accepted elsewhere, taken over.
    def adopt(self, sock: socket.socket | int, data: Buffer = b"", *, tls: _TLS = None) -> None: ...
    # Ends: 1001 (or `code`) to every socket, dropped after `timeout` seconds
    # (default: close_timeout).
    def close(self, code: float | None = None, reason: str | None = None, *, timeout: float | None = None) -> None: ...
    def stop_listening(self) -> None: ...
    def publish(self, topic: str, data: _Sendable, /, *, compress: bool = True, exclude: WebSocket | None = None) -> None: ...
    # To all open sockets.
    def broadcast(self, data: _Sendable, /, *, compress: bool = True, exclude: WebSocket | None = None) -> None: ...
    onconnection: Callable[[Any, Request], object] | None
    onupgrade: Callable[[Request], Any] | None
    onrequest: Callable[[Request], Any] | None
    onerror: Callable[[ErrorEvent], object] | None
    onclose: Callable[[], object] | None
    # Of the first listener; 0 for a Unix socket.
    @property
    def port(self) -> int: ...
    # "ws://127.0.0.1:8080", "wss://[::1]:8443", "ws+unix:/path".
    @property
    def urls(self) -> list[str]: ...
    # The sockets that are open.
    @property
    def clients(self) -> set[WebSocket]: ...
    # After close(), and when all has ended.
    @property
    def closing(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    def stats(self) -> ServerStats: ...
    @property
    def _loop(self) -> Loop: ...

# -- The protocol without I/O ---------------------------------------------------

# "request", of a server's Connection.
# "upgrade": what has accepted a client's handshake, before "open"; a listener may
# still close. "unexpected-response": what has not; who listens to it gets neither
# "error" nor "close".
class ResponseEvent(Event):
    @property
    def response(self) -> Response: ...

class RequestEvent(Event):
    @property
    def request(self) -> Request: ...

# One end of one connection, for those who bring their own transport. Events are
# Event ("open", "drain"), MessageEvent, ControlEvent, ErrorEvent, CloseEvent and,
# on a server, RequestEvent ("request").
class Connection:
    def __init__(self, role: Literal["client", "server"], /, **options: Unpack[_ConnOptions]) -> None: ...
    # Client: makes the request. Raises SyntaxError for URL and subprotocols.
    def connect(self, url: str, protocols: _Protocols = None, /, *, headers: _HeaderInput | None = None, origin: str | None = None) -> None: ...
    # Bytes from the peer, copied, and that it will send no more.
    def feed(self, data: Buffer, /) -> None: ...
    def feed_eof(self) -> None: ...
    # The next event or None; all there are now.
    def next_event(self) -> Event | None: ...
    def events(self) -> Iterator[Event]: ...
    # Takes out what is to be written, at most `max_size` bytes unless it is
    # negative.
    def output(self, max_size: int = -1, /) -> bytes: ...
    # Tells the time, as every other call does too. `timeout` is how many seconds
    # from now next_event() has something to do; None for never.
    def tick(self) -> None: ...
    @property
    def timeout(self) -> float | None: ...
    # Server: as those of Request, for the request that waits.
    def accept(self, protocol: str | None = None, headers: _HeaderInput = (), compression: bool = True) -> None: ...
    def respond(self, status: int, body: str | Buffer = b"", headers: _HeaderInput = ()) -> None: ...
    def send(self, data: _Sendable, /, *, compress: bool = True, fin: bool = True, binary: bool | None = None) -> None: ...
    def ping(self, data: _Sendable = b"", /) -> None: ...
    def pong(self, data: _Sendable = b"", /) -> None: ...
    def close(self, code: float | None = None, reason: str | None = None) -> None: ...
    def closeWith(self, code: float | None = None, reason: str | None = None) -> None: ...
    # The transport failed (True), or the application wants an end.
    def abort(self, failed: bool = False, /) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    # Messages come in pieces: MessageEvent.data is a _Piece.
    def set_streaming(self, streaming: bool, /) -> None: ...
    # Of a client, normalised, after connect().
    @property
    def url(self) -> str | None: ...
    @property
    def role(self) -> str: ...
    @property
    def readyState(self) -> int: ...
    @property
    def bufferedAmount(self) -> int: ...
    @property
    def protocol(self) -> str: ...
    @property
    def extensions(self) -> str: ...
    @property
    def request(self) -> Request | None: ...
    @property
    def response(self) -> Response | None: ...
    def stats(self) -> SocketStats: ...
