"""WebSocket as in the browser, client and server."""

import typing as _typing
from collections.abc import Mapping as _Mapping
from importlib import import_module as _import_module

from ._core import *
from ._core import Headers as _Headers
from ._core import __all__, __version__ as __version__

_Mapping.register(_Headers)  # pyright: ignore[reportAttributeAccessIssue]

if _typing.TYPE_CHECKING:
    from . import asyncio as asyncio
    from . import sync as sync
    from .asyncio import ClientConnection as ClientConnection
    from .asyncio import Server as Server
    from .asyncio import ServerConnection as ServerConnection
    from .asyncio import State as State
    from .asyncio import WebSocketStream as WebSocketStream
    from .asyncio import basic_auth as basic_auth
    from .asyncio import broadcast as broadcast
    from .asyncio import connect as connect
    from .asyncio import route as route
    from .asyncio import serve as serve
    from .asyncio import unix_connect as unix_connect
    from .asyncio import unix_serve as unix_serve


# Imported when they are needed first, as asyncio takes its time.
_SUBMODULES = ("asyncio", "sync")
_OF_ASYNCIO = (
    "ClientConnection",
    "Server",
    "ServerConnection",
    "State",
    "WebSocketStream",
    "basic_auth",
    "broadcast",
    "connect",
    "route",
    "serve",
    "unix_connect",
    "unix_serve",
)


if not _typing.TYPE_CHECKING:  # To them any name would be one.

    def __getattr__(name: str) -> _typing.Any:
        if name in _SUBMODULES:
            return _import_module(f".{name}", __name__)
        if name in _OF_ASYNCIO:
            return getattr(_import_module(".asyncio", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_OF_ASYNCIO})
