"""Exit statuses, and the signals that end a command."""

from __future__ import annotations

import enum
import resource
import signal
from collections.abc import Callable
from types import FrameType

from .. import Loop


class Exit(enum.IntEnum):
    """Exit statuses, which scripts rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    TIMEOUT = 4
    TLS = 5
    INTERRUPTED = 130


def raise_descriptor_limit() -> None:
    """Lets as many connections be open as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def on_signal(loop: Loop, number: signal.Signals, callback: Callable[[], object]) -> None:
    """Has `callback` called in the loop with each signal of that number."""

    def post(number: int, frame: FrameType | None) -> None:
        loop.post(callback)

    signal.signal(number, post)


def on_interrupt(loop: Loop, callback: Callable[[int], object]) -> None:
    """Has `callback` called with how many times SIGINT or SIGTERM have come."""
    count = 0

    def interrupt() -> None:
        nonlocal count
        count += 1
        callback(count)

    for number in (signal.SIGINT, signal.SIGTERM):
        on_signal(loop, number, interrupt)
