"""What the C module leaves to Python about the asyncio loop that drives it."""

from __future__ import annotations

import contextlib
import sys
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
