"""What serve() does with a request before there is a connection.

The hooks of libws.asyncio may be coroutine functions, those of libws.sync are
not; so Handshakes.answer() is a generator, which yields what a hook returned and
is sent what that came to.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import inspect
import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ._core import Request, Response
from ._options import Origins

# (connection, request[, response]) -> Response | None, or an awaitable of that.
Hook = Callable[..., Any]
# (subprotocol, headers)
Accept = Callable[[str | None, list[tuple[str, str]]], object]
Steps = Generator[Any, Any, Response | None]


class Handshakes:
    """The hooks of a server, and the choice of subprotocol and origins."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Takes what belongs here out of `options`, and leaves what the server
        has to know of it."""
        origins = options.pop("origins", None)
        self._origins = None if origins is None else Origins(origins)
        options["origins"] = self._origins and self._origins.for_socket
        spoken = options.pop("subprotocols", None)
        self._spoken = [spoken] if isinstance(spoken, str) else spoken and list(spoken)
        options["protocols"] = self._spoken
        self._select = _take_hook(options, "select_subprotocol")
        self._process_request = _take_hook(options, "process_request")
        self._process_response = _take_hook(options, "process_response")

    @property
    def are_plain(self) -> bool:
        """Whether the server can do without answer()."""
        hooks = (self._select, self._process_request, self._process_response)
        return not any(hooks) and not (self._origins and self._origins.has_patterns)

    def answer(
        self,
        connection: object,
        request: Request,
        accept: Accept,
    ) -> Steps:
        """Answers a request, for a WebSocket or not.

        The generator returns a Response, or None when the request was accepted
        or the server shall answer as it does without hooks.
        """
        response = None
        if self._process_request is not None:
            response = _checked((yield self._process_request(connection, request)))
        if response is None and not request.is_upgrade:
            return None
        if response is None and not self._is_allowed(request):
            response = Response(403, "This origin may not connect.\n")
        if response is not None:
            return (yield from self._revise(connection, request, response))
        protocol = yield self._choose(connection, request)
        response = yield from self._revise(connection, request, Response(101))
        if response.status != 101:
            return response
        accept(protocol, response.headers.raw_items())
        return None

    def _is_allowed(self, request: Request) -> bool:
        return self._origins is None or self._origins.allow(request.headers.get("Origin"))

    def _choose(self, connection: object, request: Request) -> Any:
        """By default the first one that the client offers and we speak."""
        if self._select is not None:
            return self._select(connection, request.protocols)
        for offered in request.protocols:
            if self._spoken is None or offered in self._spoken:
                return offered
        return None

    def _revise(
        self, connection: object, request: Request, response: Response
    ) -> Generator[Any, Any, Response]:
        if self._process_response is None:
            return response
        other = _checked((yield self._process_response(connection, request, response)))
        return response if other is None else other


def _take_hook(options: dict[str, Any], name: str) -> Hook | None:
    hook: Hook | None = options.pop(name, None)
    if hook is not None:
        check_callable(name, hook)
    return hook


def check_callable(name: str, value: object) -> None:
    """Raises TypeError for an argument that cannot be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")


def _checked(response: object) -> Response | None:
    if response is None or isinstance(response, Response):
        return response
    raise TypeError(f"a hook must return a Response or None, not {type(response).__name__}")


async def run_async(steps: Steps) -> Response | None:
    """Runs Handshakes.answer() with hooks that may return awaitables."""
    value = None
    while True:
        try:
            step = steps.send(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        value = await step if inspect.isawaitable(step) else step


def run_sync(steps: Steps) -> Response | None:
    """Runs Handshakes.answer() with hooks that are plain functions."""
    value = None
    while True:
        try:
            value = steps.send(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


# -- Basic authentication (RFC 7617) -----------------------------------------

Credentials = tuple[str, str] | Iterable[tuple[str, str]]
CheckCredentials = Callable[[str, str], bool | Awaitable[bool]]


def basic_auth(
    realm: str = "",
    credentials: Credentials | None = None,
    check_credentials: CheckCredentials | None = None,
) -> Hook:
    """Returns a process_request that asks for name and password.

    `credentials` is one pair or several; `check_credentials(name, password)` is
    a function instead, or in asyncio a coroutine function. The connection has
    the name as its attribute `username`.
    """
    if (credentials is None) == (check_credentials is None):
        raise TypeError("one of credentials and check_credentials has to be given")
    check = check_credentials or functools.partial(_is_among, _encoded(credentials or ()))
    realm = realm.replace("\\", "\\\\").replace('"', '\\"')
    refusal = Response(
        401,
        "Name and password are needed.\n",
        {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"'},
    )

    def process_request(connection: Any, request: Request) -> Any:
        given = _credentials_of(request)
        if given is None:
            return refusal
        connection.username = given[0]
        is_right = check(*given)
        if inspect.isawaitable(is_right):
            return _refuse_unless(is_right, refusal)
        return None if is_right else refusal

    return process_request


async def _refuse_unless(is_right: Awaitable[bool], refusal: Response) -> Response | None:
    return None if await is_right else refusal


def _credentials_of(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, password = text.partition(":")
    return (name, password) if colon else None


def _encoded(credentials: Credentials) -> list[bytes]:
    pairs: Any = list(credentials)
    if pairs and isinstance(pairs[0], str):
        pairs = [tuple(pairs)]
    return [f"{name}:{password}".encode() for name, password in pairs]


def _is_among(known: list[bytes], name: str, password: str) -> bool:
    """Takes the same time whatever is wrong."""
    given = f"{name}:{password}".encode()
    is_known = False
    for one in known:
        is_known |= hmac.compare_digest(given, one)
    return is_known


# -- Routes ------------------------------------------------------------------


class Routes:
    """Finds the handler for a path among patterns such as "/chat/{room}".

    A name in braces stands for one segment of the path, and "{rest:path}" for
    all that follows. Patterns are tried in order.
    """

    def __init__(self, handlers: Mapping[str, Hook]) -> None:
        self._routes = [(_compiled(pattern), handler) for pattern, handler in handlers.items()]

    def find(self, path: str) -> Callable[[Any], Any] | None:
        """Returns the handler with the arguments that the path has, or None."""
        for pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                arguments = {name: unquote(text) for name, text in match.groupdict().items()}
                return functools.partial(handler, **arguments)
        return None

    def process_request(self, connection: Any, request: Request, inner: Hook | None = None) -> Any:
        """The hook that refuses paths without a handler."""
        connection.handler = self.find(request.path)
        if connection.handler is None:
            return Response(404, "There is nothing here.\n")
        return None if inner is None else inner(connection, request)

    @staticmethod
    def handle(connection: Any) -> Any:
        """Calls the handler that process_request() has found."""
        return connection.handler(connection)


def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern of a route as a regular expression."""
    parts = re.split(r"\{([A-Za-z_]\w*)(:path)?\}", pattern)
    expression = re.escape(parts[0])
    for name, is_rest, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        kind = ".*" if is_rest else "[^/]+"
        expression += f"(?P<{name}>{kind}){re.escape(text)}"
    return re.compile(expression)
