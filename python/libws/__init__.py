"""WebSocket as in the browser, client and server."""

from ._core import *  # noqa: F403
from ._core import __all__, __version__  # noqa: F401
