"""`bench`: how fast a server echoes.

First all connections are opened. Then each keeps the same number of messages on
their way: for each that comes back the next one goes. At the end all are closed.
"""

from __future__ import annotations

import array
import bisect
import collections
import json
import random
import sys
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from .. import Loop, SyntaxError, TLSError, WebSocket
from .client import error_name, exit_of, tls_of
from .options import (
    COUNT,
    FLAG,
    SECONDS,
    SIZE,
    TEXT,
    CommandLine,
    Heading,
    Option,
    UsageError,
)
from .process import Exit, on_interrupt, raise_descriptor_limit
from .terminal import CLEAR_LINE, complain, is_terminal

COMMAND = "bench"

# Connections that are being opened at a time: no more than servers queue.
MAX_OPENING = 64

MAX_SIZE = 1 << 30
# Seconds between lines of progress.
TICK = 0.1

WORDS = b"the quick brown fox jumps over the lazy dog; "

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

LINE = CommandLine(
    name=COMMAND,
    argument="URL",
    summary="Measures a server that echoes, such as 'libws serve --echo': messages and bytes per "
    "second, the time a message takes there and back, and the time to connect.",
    options=(
        Heading("Options"),
        Option(COUNT, "c", "connections", "N", "connections at a time (default: 1)", 1),
        Option(SIZE, "", "size", "SIZE", "bytes of a message, such as 16K (default: 125)", 125),
        Option(
            COUNT,
            "",
            "pipeline",
            "N",
            "messages on their way on each connection (default: 1)",
            1,
        ),
        Option(SECONDS, "", "seconds", "S", "how long (default: 5)", 5.0),
        Option(FLAG, "", "text", "", "text messages, not binary ones"),
        Option(FLAG, "", "compression", "", "offer permessage-deflate"),
        Option(
            TEXT,
            "",
            "ca",
            "FILE",
            "trust the certificates in this PEM file instead of the system's",
        ),
        Option(FLAG, "k", "insecure", "", "take any certificate of any host"),
        Option(FLAG, "", "json", "", "print the results as one JSON object"),
    ),
)


def run(settings: SimpleNamespace) -> int:
    """Runs the command."""
    if settings.size is None or settings.size > MAX_SIZE:
        raise UsageError("--size is at most 1G")
    raise_descriptor_limit()
    with Loop() as loop:
        try:
            bench = Bench(settings, loop)
            bench.open_some()
        except TLSError as error:
            complain(COMMAND, error)
            return Exit.TLS
        except (SyntaxError, ValueError) as error:
            raise UsageError(error) from None
        on_interrupt(loop, bench.on_interrupt)
        loop.run()
        if bench.exit_code == Exit.OK:
            bench.print_results()
        return bench.exit_code


class Peer:
    """One connection, and when its messages on their way were sent."""

    def __init__(self, bench: Bench, ws: WebSocket) -> None:
        self._bench = bench
        self._began = time.perf_counter_ns()
        self._sent_at: collections.deque[int] = collections.deque()
        self.ws = ws
        ws.binaryType = "blob"
        ws.onopen = self._on_open
        ws.onmessage = self._on_message
        ws.onerror = self._on_error
        ws.onclose = lambda event: bench.on_close()

    def send(self, now: int) -> None:
        """Sends the next message."""
        self._sent_at.append(now)
        self.ws.send(self._bench.payload)

    def _on_open(self, event: object) -> None:
        self._bench.on_open(time.perf_counter_ns() - self._began)

    def _on_error(self, event: Any) -> None:
        name = error_name(event.error)
        self._bench.give_up(exit_of(event.error), f"{event.message} ({name})")

    def _on_message(self, event: Any) -> None:
        bench = self._bench
        if not bench.is_running:
            return
        if event.data != bench.payload:
            bench.give_up(Exit.FAILED, "what came back is not what was sent (no echo)")
            return
        now = time.perf_counter_ns()
        bench.latencies.append(now - self._sent_at.popleft())
        self.send(now)


class Bench:
    """One run of the command."""

    def __init__(self, settings: SimpleNamespace, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop
        self._tls = tls_of(settings)
        self._peers: list[Peer] = []
        self._open_count = 0
        self._ended_count = 0
        self._opening = array.array("Q")
        self._started = time.perf_counter_ns()
        self._began = 0  # With all connections open.
        self._elapsed = 0
        self._shown_at = 0
        self._shown_count = 0
        self._is_closing = False
        self.latencies = array.array("Q")
        self.payload: str | bytes = _payload(settings.size, settings.text)
        self.is_running = False
        self.exit_code = Exit.OK

    # -- Phases -------------------------------------------------------------

    def open_some(self) -> None:
        """Opens connections, not too many at a time."""
        settings = self._settings
        while (
            len(self._peers) < settings.connections
            and len(self._peers) - self._open_count < MAX_OPENING
        ):
            ws = WebSocket(
                settings.url,
                tls=self._tls,
                compression=settings.compression,
                max_message=settings.size,
                max_send_queue=None,
                loop=self._loop,
            )
            self._peers.append(Peer(self, ws))

    def on_open(self, elapsed: int) -> None:
        """A connection is open."""
        self._opening.append(elapsed)
        self._open_count += 1
        if self._open_count < self._settings.connections:
            self.open_some()
            return
        self.is_running = True
        self._began = time.perf_counter_ns()
        self._shown_at = self._began
        self._tick()
        self._fill()

    def _fill(self) -> None:
        """Sends the first messages, which to compress can take longer than all of the time."""
        for _ in range(self._settings.pipeline):
            for peer in self._peers:
                now = time.perf_counter_ns()
                if self._is_over(now):
                    self._close_all()
                if not self.is_running:
                    return
                peer.send(now)

    def _is_over(self, now: int) -> bool:
        seconds = self._settings.seconds
        return seconds is not None and now - self._began >= seconds * 1e9

    def _tick(self) -> None:
        """Shows how it goes on a terminal, and ends it in time."""
        now = time.perf_counter_ns()
        elapsed, seconds = (now - self._began) / 1e9, self._settings.seconds
        if self._is_closing:
            return
        if self._is_over(now):
            self._close_all()
            return
        if is_terminal(sys.stderr) and now > self._shown_at:
            rate = (len(self.latencies) - self._shown_count) / ((now - self._shown_at) / 1e9)
            progress = f"{elapsed:.1f} of {seconds or 0:.1f} s   {rate:.0f} messages/s"
            print(end=CLEAR_LINE + progress, file=sys.stderr, flush=True)
        self._shown_count, self._shown_at = len(self.latencies), now
        left = TICK if seconds is None else min(TICK, seconds - elapsed)
        self._loop.timer(left, self._tick)

    def _close_all(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        if is_terminal(sys.stderr):
            print(end=CLEAR_LINE, file=sys.stderr, flush=True)
        if self.is_running:
            self._elapsed = time.perf_counter_ns() - self._began
        self.is_running = False
        for peer in self._peers:
            if peer.ws.readyState == WebSocket.OPEN:
                peer.ws.close(1000)
            else:
                peer.ws.terminate()

    def on_close(self) -> None:
        """A connection has ended."""
        self.give_up(Exit.FAILED, "the server has closed a connection (in the middle)")
        self._ended_count += 1
        if self._ended_count == len(self._peers):
            self._loop.stop()

    def give_up(self, code: Exit, why: str) -> None:
        """Only the first failure is told: the others follow from it."""
        if self._is_closing:
            return
        complain(COMMAND, why)
        self.exit_code = code
        self._close_all()

    def on_interrupt(self, count: int) -> None:
        """The first ends early, the second at once."""
        if not self.is_running and not self._is_closing:
            self.exit_code = Exit.INTERRUPTED
        self._close_all()
        if count > 1:
            self.exit_code = Exit.INTERRUPTED
            self._loop.stop()

    # -- Results ------------------------------------------------------------

    def print_results(self) -> None:
        """Prints what was measured."""
        rate = len(self.latencies) / (self._elapsed / 1e9)
        latencies, opening = sorted(self.latencies), sorted(self._opening)
        if self._settings.json:
            self._print_json(rate, latencies, opening)
            return
        settings = self._settings
        plural = "" if settings.connections == 1 else "s"
        kind = ("text" if settings.text else "binary") + " compressed" * settings.compression
        print(
            f"{settings.url}: {settings.connections} connection{plural}, {settings.size} bytes of "
            f"{kind}, {settings.pipeline} on their way, {self._elapsed / 1e9:.1f} s\n\n"
            f"{'messages':<11}{rate:.0f} /s\n"
            f"{'data':<11}{rate * settings.size / 1e6:.1f} MB/s each way\n"
            f"{'latency':<11}{_times(latencies)}\n"
            f"{'connecting':<11}{_times(opening)}"
        )

    def _print_json(self, rate: float, latencies: list[int], opening: list[int]) -> None:
        settings = self._settings
        result: dict[str, object] = {
            "url": settings.url,
            "connections": settings.connections,
            "size": settings.size,
            "pipeline": settings.pipeline,
            "type": "text" if settings.text else "binary",
            "compression": settings.compression,
            "seconds": self._elapsed / 1e9,
            "messages": len(latencies),
            "messages_per_second": rate,
            "bytes_per_second": rate * settings.size,
        }
        result |= _times_in_us("latency", latencies)
        result["connecting_all_us"] = (self._began - self._started) / 1e3
        result |= _times_in_us("connecting", opening)
        print(json.dumps(result))


def _payload(size: int, is_text: bool) -> str | bytes:
    """Text compresses, binary does not."""
    if not is_text:
        return random.Random(1).randbytes(size)
    return (WORDS * (size // len(WORDS) + 1))[:size].decode()


def _quantile(times: Sequence[int], part: float) -> int:
    """A time that this part of all does not exceed; 0 if there is none."""
    return times[min(int(len(times) * part), len(times) - 1)] if times else 0


def _times_in_us(name: str, times: Sequence[int]) -> dict[str, float]:
    return {
        f"{name}_{quantile.replace('.', '_')}_us": _quantile(times, part) / 1e3
        for quantile, part in QUANTILES.items()
    }


def _times(times: Sequence[int]) -> str:
    return "   ".join(
        f"{name} {_time(_quantile(times, part))}" for name, part in QUANTILES.items()
    )


def _time(ns: int) -> str:
    """A time with three digits and the unit that fits."""
    units = [(1e3, "us"), (1e6, "ms"), (1e9, "s")]
    factor, unit = units[max(0, bisect.bisect([one for one, _ in units], ns) - 1)]
    number = ns / factor
    return f"{number:.1f} {unit}" if number < 100 else f"{number:.0f} {unit}"
