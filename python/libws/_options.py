"""Options of connect() and serve(), and what sockets call them.

The names are those of the library `websockets`, where it has the same.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl as _ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from ._core import Headers

if TYPE_CHECKING:
    import os
    from http.cookiejar import CookieJar

    from ._core import TLSOptions
    from ._handshake import Hook

HeadersLike: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
# One bound; or two, of which the first is taken.
Bound: TypeAlias = "int | tuple[int | None, int | None] | None"
TLS: TypeAlias = "TLSOptions | bool | None"

MAX_QUEUE = 16


class ConnectionOptions(TypedDict, total=False):
    """Options of both sides. A limit or time of None means none."""

    compression: bool | Literal["deflate"] | None
    """Whether to offer permessage-deflate (default: yes), or to take it when a
    client offers it (default: no)."""
    open_timeout: float | None
    """Seconds until the connection has to be open. Default: 10."""
    ping_interval: float | None
    """Seconds of silence until a ping is sent. Default: 20."""
    ping_timeout: float | None
    """Seconds of silence after it until the connection is given up. Default: 20."""
    close_timeout: float | None
    """Seconds that the peer has to answer a Close frame. Default: 5."""
    max_size: Bound
    """The longest message that is taken. Default: 16 MiB, of a server 1 MiB."""
    max_queue: Bound
    """How many messages wait for recv() before reading pauses. Default: 16."""
    write_limit: Bound
    """How many bytes wait to be sent before send() has one wait. Default: 1 MiB."""

    # As the C library has them; docs/design.md says what they bound.
    max_fragments: int | None
    max_send_queue: int | None
    max_head: int | None
    max_head_line: int | None
    max_headers: int | None
    useless_burst: int | None
    useless_rate: int | None
    message_timeout: float | None
    send_timeout: float | None
    compression_threshold: int
    compression_level: int
    compression_memory: int
    server_max_window_bits: int
    client_max_window_bits: int
    server_no_context_takeover: bool
    client_no_context_takeover: bool
    auto_pong: bool


class ClientOptions(ConnectionOptions, total=False):
    """Options of connect()."""

    origin: str | None
    """The Origin header. Default: none."""
    subprotocols: str | Iterable[str] | None
    """What to offer; the server has to choose one of them."""
    additional_headers: HeadersLike | None
    """For the request."""
    cookies: Mapping[str, str] | Iterable[tuple[str, str]] | CookieJar | None
    """For one Cookie header; a jar knows which of them are for the URL."""
    user_agent_header: str | None
    """The User-Agent header. Default: none."""
    proxy: str | bool | None
    """Its URL, True for what the environment says (the default), None for none."""
    proxy_headers: HeadersLike | None
    proxy_tls: TLS
    tls: TLS
    ssl: _ssl.SSLContext | bool | None
    """Instead of `tls`; a context of the ssl module costs speed, and goes
    without a proxy."""
    server_hostname: str | None
    """Whom the certificate must be for. Default: the URL's host."""
    sock: socket.socket | None
    """A connected socket, which is taken over."""
    max_redirects: int
    """How many to follow. Default: 0."""
    max_response_body: int | None
    block_bad_ports: bool
    driver: Literal["loop", "thread"] | None
    """What reads and writes: this loop (the default), or a thread in C, which
    answers pings also while Python is busy."""


class ServerOptions(ConnectionOptions, total=False):
    """Options of serve()."""

    origins: Iterable[str | re.Pattern[str] | None] | None
    """Whose pages may connect: values of the Origin header, or regular
    expressions. Default: those of this server. Without the header, all may."""
    hosts: str | Iterable[str] | None
    """What may stand in the Host header. Default: anything."""
    subprotocols: str | Iterable[str] | None
    """Which are spoken; of these the first that the client offers is taken.
    Default: the first that it offers."""
    select_subprotocol: Hook | None
    """Called with the connection and what is offered; returns one, or None."""
    process_request: Hook | None
    """Called with the connection and the Request, for a WebSocket or not;
    returns None, or the Response to answer with."""
    process_response: Hook | None
    """Called with the connection, the request, and the response; returns None,
    or another one. The headers of a 101 are added to the handshake's."""
    tls: TLS
    ssl: _ssl.SSLContext | bool | None
    """Instead of `tls`; a context of the ssl module costs speed."""
    sock: socket.socket | None
    """A listening socket, instead of host and port, which is taken over."""
    unix: str | os.PathLike[str] | None
    """The path of a Unix socket, instead of host and port."""
    unix_mode: int
    reuse_port: bool
    """Lets other processes listen there, too."""
    backlog: int
    path: str | None
    """The only path that is served; others get 404."""
    root: str | None
    """A folder whose files are served over HTTP."""
    max_connections: int
    max_connections_per_address: int


# Where the socket's default is another one.
_DEFAULTS: dict[str, Any] = {
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 5,
}

_SOCKET_NAMES = {
    "open_timeout": "handshake_timeout",
    "max_size": "max_message",
    "write_limit": "send_high_water",
    "server_hostname": "server_name",
}


@contextlib.contextmanager
def own_names() -> Iterator[None]:
    """Has errors call an option as its user does, not as the socket does."""
    try:
        yield
    except ValueError as error:
        socket_name, space, fault = str(error).partition(" ")
        for name, other in _SOCKET_NAMES.items():
            if other == socket_name and space:
                raise ValueError(f"{name} {fault}") from None
        raise


def socket_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Returns what a socket or server takes of it, and the bound of the queue."""
    named = {
        _SOCKET_NAMES.get(name, name): value for name, value in {**_DEFAULTS, **options}.items()
    }
    max_queue = _first(named.pop("max_queue", MAX_QUEUE))
    for name in ("max_message", "send_high_water"):
        if name in named:
            named[name] = _first(named[name])
    if "compression" in named:
        named["compression"] = bool(named["compression"])
    return named, max_queue


def client_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """As socket_options(), with what only a client has."""
    named, max_queue = socket_options(options)
    named.pop("subprotocols", None)
    headers = list(Headers(named.pop("additional_headers", None) or ()).raw_items())
    user_agent = named.pop("user_agent_header", None)
    if user_agent is not None:
        headers.append(("User-Agent", user_agent))
    named["headers"] = headers
    if "proxy" in named and named["proxy"] is None:
        named["proxy"] = False
    return named, max_queue


def _first(bound: Bound) -> int | None:
    return bound[0] if isinstance(bound, tuple) else bound


def take_ssl(options: dict[str, Any]) -> _ssl.SSLContext | None:
    """Takes `ssl` out: returns a context, or makes it the option `tls`."""
    ssl = options.pop("ssl", None)
    if ssl is None:
        return None
    if options.get("tls") is not None:
        raise TypeError("tls and ssl cannot both be given")
    if isinstance(ssl, _ssl.SSLContext):
        return ssl
    options["tls"] = ssl
    return None


Place: TypeAlias = tuple[str | None, int, dict[str, Any]]

_PLACE_NAMES = ("tls", "sock", "unix", "unix_mode", "reuse_port", "backlog")


def places(
    host: str | Iterable[str] | None, port: int | None, options: dict[str, Any]
) -> list[Place]:
    """Where to listen, as the arguments of WebSocketServer.listen().

    Takes the options that say it out of `options`.
    """
    place = {name: options.pop(name) for name in _PLACE_NAMES if name in options}
    if place.get("sock") is not None or place.get("unix") is not None:
        return [(None, 0, place)]
    # "::" takes IPv4 as well.
    every = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    hosts = [host] if host is None or isinstance(host, str) else host
    return [(one or every, port or 0, place) for one in hosts]


class Origins:
    """Whose pages may connect: values of the Origin header and patterns."""

    def __init__(self, origins: Iterable[str | re.Pattern[str] | None]) -> None:
        given = [origins] if isinstance(origins, str) else list(origins)
        self._values = {origin for origin in given if isinstance(origin, str)}
        self._patterns = [origin for origin in given if isinstance(origin, re.Pattern)]

    @property
    def has_patterns(self) -> bool:
        """Whether there are patterns, which sockets do not know."""
        return bool(self._patterns)

    @property
    def for_socket(self) -> list[str] | str:
        """The option of the socket."""
        return "*" if self._patterns else sorted(self._values)

    def allow(self, origin: str | None) -> bool:
        """Whether a page of this origin may connect."""
        if origin is None or origin in self._values or "*" in self._values:
            return True
        return any(pattern.fullmatch(origin) for pattern in self._patterns)
