"""What `connect` prints: a line for each thing that happens."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

from .. import WebSocketError
from .client import error_name
from .terminal import Style, hex_dump, is_terminal, styled, visible

# What is shown of a message, unless all is wanted: of binary ones, and of text
# on a terminal; and of the page that came instead of a WebSocket.
MAX_BINARY_SHOWN = 256
MAX_TEXT_SHOWN = 8192
MAX_BODY_SHOWN = 1024

# RFC 6455 7.4.1, and the registry it sets up.
MEANINGS = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status",
    1006: "no closing handshake",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension required",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
}


class Transcript:
    """Prints events as lines for people, or as JSON objects.

    Messages go to the standard output, the rest to the standard error; JSON all
    to the standard output. `make_room` is called before anything is printed.
    """

    def __init__(self, is_json: bool, is_full: bool, make_room: Callable[[], object]) -> None:
        self._is_json = is_json
        self._is_full = is_full
        self._make_room = make_room

    def note(self, text: str) -> None:
        """Tells what the command does."""
        self._status(text, Style.DIM)

    def opened(self, url: str, protocol: str, extensions: str) -> None:
        """The connection is open."""
        if self._is_json:
            self._json("open", url=url, protocol=protocol, extensions=extensions)
            return
        named = f", subprotocol {protocol}" if protocol else ""
        used = f", {extensions}" if extensions else ""
        self._status("connected", Style.GREEN, f" to {url}{named}{used}")

    def message(self, data: str | bytes) -> None:
        """A message has come."""
        if self._is_json:
            self._json_message(data)
        elif isinstance(data, str):
            self._text(data)
        else:
            self._binary(data)

    def failed(self, error: WebSocketError) -> None:
        """The connection could not be opened, or was lost."""
        name = error_name(error)
        if self._is_json:
            self._json("error", name=name, message=str(error), status=error.status or 0)
            return
        rest = f": {error} ({name})"
        response = error.response
        if response is not None:
            rest += f"; the server answered {response.status} {visible(response.reason)}"
            body = response.body.decode(errors="replace")
            rest += self._cut(body, MAX_BODY_SHOWN, "\n") if body else ""
        self._status("failed", Style.RED, rest)

    def reconnecting(self, event: Any) -> None:
        """The connection was lost, and will be opened again."""
        if self._is_json:
            names = ("attempt", "delay", "code", "reason")
            self._json("reconnect", **{name: getattr(event, name) for name in names})
            return
        when = f"; attempt {event.attempt} in {event.delay:.1f} s"
        self._status("lost", Style.RED, _why(event.code, event.reason) + when)

    def closed(self, code: int, reason: str, was_clean: bool) -> None:
        """The connection has ended."""
        if self._is_json:
            self._json("close", code=code, reason=reason, clean=was_clean)
        else:
            style = Style.GREEN if was_clean else Style.RED
            self._status("closed", style, _why(code, reason))

    # -- Lines --------------------------------------------------------------

    def _print(self, text: str, stream: Any) -> None:
        self._make_room()
        print(text, file=stream, flush=True)

    def _json(self, event: str, **members: object) -> None:
        line = json.dumps({"event": event, **members}, ensure_ascii=False, separators=(",", ":"))
        self._print(line, sys.stdout)

    def _json_message(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self._json("message", type="text", data=data)
        else:
            encoded = base64.b64encode(data).decode()
            self._json("message", type="binary", data=encoded, length=len(data))

    def _status(self, word: str, style: Style, rest: str = "") -> None:
        self._print(styled(word, style, sys.stderr) + rest, sys.stderr)

    def _text(self, text: str) -> None:
        """To a pipe or a file it goes as it is, for other programs."""
        if is_terminal(sys.stdout):
            mark = styled("<", Style.CYAN, sys.stdout)
            text = f"{mark} {self._cut(text, MAX_TEXT_SHOWN)}"
        self._print(text, sys.stdout)

    def _cut(self, text: str, most: int, start: str = "") -> str:
        """The lines of a text that is too long to be shown whole."""
        shown = text if self._is_full else text[:most]
        left = len(text.encode()) - len(shown.encode())
        indent = start or "\n  "
        return start + indent.join(map(visible, shown.split("\n"))) + _rest(left)

    def _binary(self, data: bytes) -> None:
        shown = data if self._is_full else data[:MAX_BINARY_SHOWN]
        head = ""
        if is_terminal(sys.stdout):
            head = f"{styled('<', Style.CYAN, sys.stdout)} {len(data)} bytes\n"
        dump = head + hex_dump(shown).removesuffix("\n") + _rest(len(data) - len(shown))
        self._print(dump.removesuffix("\n"), sys.stdout)


def _rest(count: int) -> str:
    if count == 0:
        return ""
    return "\n" + styled(f"... {count} more bytes (--full shows all)", Style.DIM, sys.stdout)


def _why(code: int, reason: str) -> str:
    meaning = f" ({MEANINGS[code]})" if code in MEANINGS else ""
    return f" {code}{meaning}" + (f": {visible(reason)}" if reason else "")
