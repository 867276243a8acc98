"""Connections over blocking sockets with an ssl.SSLContext.

The ssl module does TLS, the engine does WebSockets, and Turns runs both as a Loop
would, as far as a Connection needs it. See _engine.py.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._connection import address_text
from .._core import Connection as Engine
from .._core import ConnectionTimeout, Response
from .._engine import WRITE_LIMIT, EngineSocket, open_engine, transport_error
from .connection import heeding_signals

if TYPE_CHECKING:
    from .._core import Event, Request

HTTP_PORT = 80
HTTPS_PORT = 443
READ_SIZE = 64 * 1024


class BlockingSocket(EngineSocket):
    """A socket on a socket of Python's, and the Loop that runs it."""

    def __init__(self, engine: Engine, write_limit: int | None, sock: socket.socket) -> None:
        super().__init__(engine, write_limit)
        self._sock = sock
        self._out = b""  # What the system has not taken yet.
        self._is_reading = True
        self._waker, self._wakened = socket.socketpair()
        self._wakened.setblocking(False)
        sock.setblocking(False)

    # -- As a Loop ----------------------------------------------------------

    def wait(self, timeout: float | None = None) -> None:
        """Waits until there is something to do."""
        due = self._engine.timeout
        if timeout is None or (due is not None and due < timeout):
            timeout = due
        if self._has_read_ahead():
            timeout = 0
        interest = selectors.EVENT_READ if self._is_reading else 0
        interest |= selectors.EVENT_WRITE if self._out else 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakened, selectors.EVENT_READ)
            if interest and self._sock.fileno() >= 0:
                selector.register(self._sock, interest)
            selector.select(heeding_signals(timeout))

    def _has_read_ahead(self) -> bool:
        """TLS may hold data that the system does not tell of."""
        return (
            self._is_reading and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0
        )

    def dispatch(self) -> None:
        """Reads, writes, and does what is due."""
        with contextlib.suppress(BlockingIOError):
            self._wakened.recv(READ_SIZE)
        if self._close_info is None:
            self._read()
            self._process()

    def post(self, callback: Callable[[], object]) -> None:
        """Ends a wait in another thread."""
        self._waker.send(b"\0")

    def close(self) -> None:
        """Closes everything."""
        for sock in (self._sock, self._waker, self._wakened):
            sock.close()

    # -- The transport ------------------------------------------------------

    def _read(self) -> None:
        while self._is_reading and self._close_info is None:
            try:
                data = self._sock.recv(READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except ssl.SSLEOFError:
                data = b""
            except OSError as error:
                self._fail(error)
                return
            if data:
                self._feed(data)
            else:
                self._engine.feed_eof()
                self._process()
                return

    def _write(self, data: bytes) -> None:
        self._out += data
        try:
            while self._out:
                self._out = self._out[self._sock.send(self._out) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # The same bytes are tried again, as TLS demands.
        except OSError as error:
            self._out = b""
            self._fail(error)

    def _flush(self) -> bool:
        is_retry = bool(self._out)
        if is_retry:
            self._write(b"")
        return super()._flush() or (is_retry and not self._out)

    def _is_writable(self) -> bool:
        return not self._out

    def _set_timer(self, timeout: float | None) -> None:
        pass  # wait() asks the engine.

    def _set_reading(self, is_reading: bool) -> None:
        self._is_reading = is_reading

    def _close_transport(self) -> None:
        self._sock.close()

    def _ssl_object(self) -> ssl.SSLSocket | None:
        return self._sock if isinstance(self._sock, ssl.SSLSocket) else None

    @property
    def remoteAddress(self) -> str:
        """As WebSocket.remoteAddress."""
        try:
            return address_text(self._sock.getpeername())
        except OSError:
            return ""


class ClientSocket(BlockingSocket):
    """A client's socket, which has connected when it is made."""


    def __init__(
        self,
        url: str,
        subprotocols: str | Iterable[str] | None,
        options: Mapping[str, Any],
        context: ssl.SSLContext,
    ) -> None:
        engine, write_limit, server_name, sock = open_engine(url, subprotocols, options)
        self.url = str(engine.url)
        parts = urlsplit(self.url)
        is_secure = parts.scheme == "wss"
        address = (parts.hostname, parts.port or (HTTPS_PORT if is_secure else HTTP_PORT))
        with connecting():
            if sock is None:
                sock = socket.create_connection(address, engine.timeout)
            if is_secure:
                name = server_name or parts.hostname
                sock = secured(sock, context, engine.timeout, server_hostname=name)
        super().__init__(engine, write_limit, sock)
        self._process()


class ServerSocket(BlockingSocket):
    """A server's socket."""

    request: Request

    on_request: Callable[[Request], Response | None]
    """Accepts, or returns what to answer with."""
    on_connection: Callable[[Request], object]

    def __init__(
        self, sock: socket.socket, options: Mapping[str, Any], context: ssl.SSLContext
    ) -> None:
        sock = secured(sock, context, options["handshake_timeout"], server_side=True)
        write_limit = options.get("send_high_water", WRITE_LIMIT)
        super().__init__(Engine("server", **options), write_limit, sock)

    @property
    def url(self) -> str:
        """As WebSocket.url."""
        return f"wss://{self.request.headers.get('Host', '')}{self.request.target}"

    @property
    def has_ended(self) -> bool:
        """Whether the connection has."""
        return self._close_info is not None

    def _answer(self, request: Request) -> None:
        self.request = request
        response = self.on_request(request)
        if response is None and not request.is_upgrade:
            response = Response(426, headers={"Upgrade": "websocket"})
        if response is not None:
            headers = response.headers.raw_items()
            self._engine.respond(response.status, response.body, headers)

    def _deliver(self, event: Event) -> None:
        if event.type == "open":
            self.on_connection(self.request)
        super()._deliver(event)


def secured(
    sock: socket.socket, context: ssl.SSLContext, timeout: float | None, **names: Any
) -> ssl.SSLSocket:
    """Shakes hands; closes the socket if that fails."""
    sock.settimeout(timeout)
    try:
        return context.wrap_socket(sock, **names)
    except BaseException:
        sock.close()
        raise


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """Raises what a socket of the library would."""
    try:
        yield
    except TimeoutError as error:
        late = ConnectionTimeout("opening handshake has timed out")
        vars(late).update(vars(transport_error(error, "WS_ERR_HANDSHAKE_TIMEOUT")), side="peer")
        raise late from error
    except (OSError, ValueError) as error:  # ValueError: of a name for TLS.
        raise transport_error(error, "WS_ERR_CONNECT") from error
