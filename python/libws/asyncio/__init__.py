"""WebSockets for asyncio: connect() and serve().

async with connect("wss://example.com/") as ws:
    await ws.send("hello")
    async for message in ws:
        print(message)
"""

from .._connection import State
from .._handshake import basic_auth
from .client import ClientConnection, connect, process_exception, unix_connect
from .connection import Connection
from .server import Server, ServerConnection, broadcast, route, serve, unix_serve
from .stream import WebSocketStream

__all__ = [
    "ClientConnection",
    "Connection",
    "Server",
    "ServerConnection",
    "State",
    "WebSocketStream",
    "basic_auth",
    "broadcast",
    "connect",
    "process_exception",
    "route",
    "serve",
    "unix_connect",
    "unix_serve",
]
