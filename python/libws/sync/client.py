"""connect(), which blocks until the connection is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import Loop, WebSocket
from .._options import client_options, take_ssl
from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Unpack

    from .._engine import EngineSocket
    from .._options import ClientOptions


class ClientConnection(Connection):
    """A connection to a server."""


def connect(
    uri: str,
    *,
    create_connection: Callable[[Loop], ClientConnection] = ClientConnection,
    **options: Unpack[ClientOptions],
) -> ClientConnection:
    """Connects to a WebSocket server, and returns when the connection is open.

    URI, options and errors are those of libws.asyncio.connect. The connection is
    a context manager that closes it.
    """
    named, max_queue = client_options(options)
    context = take_ssl(named)
    loop = Loop()
    try:
        connection = create_connection(loop)
        socket: WebSocket | EngineSocket
        if context is None:
            socket = WebSocket(uri, options.get("subprotocols"), loop=loop, **named)
        else:
            from .tls import ClientSocket

            socket = ClientSocket(uri, options.get("subprotocols"), named, context)
        connection._attach(socket, max_queue)
        connection._wait_open()
    except BaseException:
        loop.close()
        raise
    return connection
