"""connect(), which blocks until the connection is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Loop, WebSocket
from .._options import client_options, own_names, take_ssl
from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from .._options import ClientOptions
    from ._tls import ClientSocket


class ClientConnection(Connection):
    """A connection to a server."""


@own_names()
def connect(
    uri: str,
    *,
    create_connection: Callable[[Loop | ClientSocket], ClientConnection] = ClientConnection,
    **options: Unpack[ClientOptions],
) -> ClientConnection:
    """Connects to a WebSocket server, and returns when the connection is open.

    URI, options and errors are those of libws.asyncio.connect. The connection is
    a context manager that closes it.
    """
    named, max_queue = client_options(options)
    subprotocols = options.get("subprotocols")
    context = take_ssl(named)
    loop: Loop | ClientSocket
    if context is None:
        loop = Loop()
    else:
        from ._tls import ClientSocket

        loop = ClientSocket(uri, subprotocols, named, context)
    try:
        socket: WebSocket | ClientSocket
        if isinstance(loop, Loop):
            socket = WebSocket(uri, subprotocols, loop=loop, **named)
        else:
            socket = loop
        connection = create_connection(loop)
        connection._attach(socket, max_queue)
        connection._wait_open()
    except BaseException:
        loop.close()
        raise
    return connection
