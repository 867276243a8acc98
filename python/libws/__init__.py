"""WebSocket as in the browser, client and server."""

from collections.abc import Mapping as _Mapping

from ._core import *  # noqa: F403
from ._core import Headers as _Headers
from ._core import __all__, __version__  # noqa: F401

_Mapping.register(_Headers)
