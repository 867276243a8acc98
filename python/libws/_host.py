"""What the C module leaves to Python about the asyncio loop that drives it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._core import Loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Coroutine


def attach(host: Any) -> Loop:
    """Returns the Loop inside of an asyncio loop that runs now, made with it.

    The two refer to each other, so that they live and are collected together.
    """
    loop = Loop()
    loop._attach(host, *_libuv_of(host))
    host._libws_loop = loop
    host._libws_watch = watch = _close_with(loop)
    with contextlib.suppress(StopIteration):
        watch.asend(None).send(None)
    return loop


def _libuv_of(host: object) -> tuple[Any, ...]:
    """Where the libuv of a loop of uvloop is, and the uv_loop_t in it.

    So that we can ask whether callbacks wait, as asyncio's own loops show.
    """
    module = sys.modules.get("uvloop.loop")
    if module is None or not isinstance(host, module.Loop):
        return ()
    capsule = getattr(module, "libuv_get_loop_t_ptr", None)
    return () if capsule is None else (module.__file__, capsule(host))


async def _close_with(loop: Loop) -> AsyncGenerator[None, None]:
    """Closes `loop` when asyncio.run() ends.

    That is when it shuts its asynchronous generators down, before it closes the
    asyncio loop: the one moment of which it tells.
    """
    try:
        yield
    finally:
        loop.close()


_tasks: set[asyncio.Task[object]] = set()  # asyncio itself refers to tasks weakly.


def start_task(
    host: asyncio.AbstractEventLoop | None, coroutine: Coroutine[Any, Any, object]
) -> asyncio.Task[object]:
    """Starts what a handler that is a coroutine function has returned."""
    if host is None:
        coroutine.close()
        raise RuntimeError("a handler that is a coroutine function needs asyncio")
    task = host.create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_finish)
    return task


def _finish(task: asyncio.Task[object]) -> None:
    _tasks.discard(task)
    if task.cancelled() or task.exception() is None:
        return
    task.get_loop().call_exception_handler(
        {
            "message": "Exception in a handler of libws",
            "exception": task.exception(),
            "task": task,
        }
    )


def _cookie(name: str, value: str) -> str:
    """A cookie in its header, where it must not pass for two."""
    if "=" in name or ";" in f"{name}{value}":
        raise ValueError("a cookie must not have ; in it, nor = in its name")
    return f"{name}={value}"


def with_cookies(
    url: str, cookies: Any, headers: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Returns headers with the cookies for a URL, all of them in one header.

    `cookies` is a mapping, an iterable of pairs, or a CookieJar, which knows what
    goes where.
    """
    values = [value for name, value in headers if name.lower() == "cookie"]
    if hasattr(cookies, "add_cookie_header"):
        from urllib.request import Request

        # A jar knows http and https, which ws and wss are for it.
        request = Request(url if url[:2].lower() != "ws" else f"http{url[2:]}")
        cookies.add_cookie_header(request)
        values += filter(None, [request.get_header("Cookie")])
    elif not isinstance(cookies, Iterable):
        kind = type(cookies).__name__
        raise TypeError(f"cookies must be a mapping, pairs or a CookieJar, not {kind}")
    else:
        items = cookies.items() if isinstance(cookies, Mapping) else cookies
        values += [_cookie(name, value) for name, value in items]
    others = [pair for pair in headers if pair[0].lower() != "cookie"]
    return [*others, ("Cookie", "; ".join(values))] if values else others
