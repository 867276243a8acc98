"""The chat of `serve --chat`: JSON objects from people, pictures and files.

Those who have joined subscribe to one topic, so that what is said is framed once
for all.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import Request, Response, WebSocket, WebSocketServer
from .terminal import is_steering

TOPIC = "chat"

MAX_NAME = 32
MAX_TEXT_SIZE = 16384

PAGE = Path(__file__).with_name("chat.html")

# The page needs nothing from anywhere; so the policy lets nothing in.
PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action "
    "'none'; frame-ancestors 'none'",
}


class Refusal(Exception):
    """What somebody has asked for is not done."""


@dataclass(eq=False)
class Member:
    """Somebody who is connected; `name` is empty until they have joined."""

    socket: WebSocket
    name: str = ""


class Chat:
    """Everybody in the room."""

    def __init__(self, max_message: int | None, root: str | None) -> None:
        self.server: WebSocketServer
        self._max_message = max_message
        self._root = root
        self._names: set[str] = set()

    def enter(self, socket: WebSocket) -> Member:
        """Somebody has connected."""
        return Member(socket)

    def leave(self, member: Member) -> None:
        """Somebody is gone."""
        if member.name:
            self._names.remove(member.name)
            self._tell("left", member, people=len(self._names))

    def hear(self, member: Member, data: str | bytes) -> None:
        """Somebody has sent a message."""
        try:
            if isinstance(data, str):
                self._obey(member, data)
            else:
                self._pass_on(member, data)
        except Refusal as refusal:
            _send(member, "error", text=str(refusal))

    def show(self, request: Request) -> Response | None:
        """Somebody wants a page."""
        if request.path == "/" and request.method in ("GET", "HEAD"):
            return Response(200, PAGE.read_bytes(), PAGE_HEADERS)
        if self._root is None:
            return Response(404)
        request.respond_file(self._root)
        return None

    # -- What is asked for --------------------------------------------------

    def _obey(self, member: Member, text: str) -> None:
        wish = _object_of(text)
        if wish.get("type") == "join":
            self._join(member, wish.get("name", ""))
        elif wish.get("type") == "say":
            self._say(member, wish.get("text", ""))
        else:
            raise Refusal('"type" must be "join" or "say"')

    def _join(self, member: Member, name: str) -> None:
        if member.name:
            raise Refusal("you have joined already")
        _check_name(name)
        member.name = self._free_name(name)
        self._names.add(member.name)
        member.socket.subscribe(TOPIC)
        people = len(self._names)
        limit = {} if self._max_message is None else {"max": self._max_message}
        _send(member, "hello", you=member.name, people=people, **limit)
        self._tell("joined", member, people=people)

    def _free_name(self, name: str) -> str:
        """The name, or "Ann 2" if there is an Ann."""
        free, number = name, 2
        while free in self._names:
            free = f"{name} {number}"
            number += 1
        return free

    def _say(self, member: Member, text: str) -> None:
        if not member.name:
            raise Refusal("join before you say something")
        if not text:
            raise Refusal("there is nothing to say")
        if len(text.encode(errors="surrogatepass")) > MAX_TEXT_SIZE:
            raise Refusal(f"a text has at most {MAX_TEXT_SIZE} bytes")
        self._tell("said", member, text=text)

    def _pass_on(self, member: Member, data: bytes) -> None:
        """Says from whom it is; nothing comes between the two."""
        if not member.name:
            raise Refusal("join before you send something")
        self._tell("sent", member, bytes=len(data))
        self.server.publish(TOPIC, data, compress=False)

    def _tell(self, kind: str, member: Member, **news: object) -> None:
        """Tells everybody that a member did something."""
        now = time.time_ns() // 1_000_000
        self.server.publish(TOPIC, _json({"type": kind, "name": member.name, "time": now, **news}))


def _send(member: Member, kind: str, **members: object) -> None:
    member.socket.send(_json({"type": kind, **members}))


def _json(members: dict[str, Any]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _object_of(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("it is no JSON object")
    for name in ("type", "name", "text"):
        if not isinstance(found.get(name, ""), str):
            raise Refusal("a member that must be a string is none")
    return found


def _check_name(name: str) -> None:
    """What could be taken for another name, or for none, will not do."""
    if any(is_steering(character) or "\ud800" <= character <= "\udfff" for character in name):
        raise Refusal("a name has odd characters")
    if len(name) > MAX_NAME:
        raise Refusal(f"a name has at most {MAX_NAME} characters")
    if not name:
        raise Refusal("a name has at least one character")
    if name != name.strip(" "):
        raise Refusal("a name has no space around it")
