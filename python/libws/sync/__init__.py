"""WebSockets that block: connect() and serve().

with connect("wss://example.com/") as ws:
    ws.send("hello")
    for message in ws:
        print(message)
"""

from .._connection import State
from .._handshake import basic_auth
from .client import ClientConnection, connect
from .connection import Connection
from .server import Server, ServerConnection, broadcast, route, serve

__all__ = [
    "ClientConnection",
    "Connection",
    "Server",
    "ServerConnection",
    "State",
    "basic_auth",
    "broadcast",
    "connect",
    "route",
    "serve",
]
