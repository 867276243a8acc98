"""Runs loops of libws in tests, within a limit, and records events."""

import contextlib
import gc
import threading

import libws

LIMIT = 60  # Seconds; more than any test here takes.

FAILED = [("error",), ("close", 1006, "", False)]


def run(loop=None):
    """Runs until nothing is left, or somebody stops the loop."""
    loop = loop or libws.get_loop()
    late = threading.Event()

    def give_up():
        late.set()
        loop.stop()

    limit = threading.Timer(LIMIT, give_up)
    limit.start()
    try:
        loop.run()
    finally:
        limit.cancel()
    assert not late.is_set(), "the loop did not come to an end"


def run_until(condition, loop=None):
    """Turns the loop until the condition holds."""
    loop = loop or libws.get_loop()
    late = []
    limit = loop.timer(LIMIT, lambda: late.append(True))
    try:
        while not condition():
            assert not late, "what was waited for did not happen"
            loop.wait()
            loop.dispatch()
    finally:
        limit.cancel()


def record(target, log=None):
    """Listens to everything; the list returned fills with tuples."""
    log = log if log is not None else []
    target.addEventListener("open", lambda e: log.append(("open",)))
    target.addEventListener("message", lambda e: log.append(("message", e.data)))
    target.addEventListener("error", lambda e: log.append(("error",)))
    target.addEventListener(
        "close", lambda e: log.append(("close", e.code, e.reason, e.wasClean))
    )
    return log


@contextlib.contextmanager
def serving(onconnection=None, **options):
    """A server on a free port, closed at the end."""
    server = libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection, **options)
    try:
        yield server
    finally:
        server.close(timeout=0.1)
        run(server._loop)


def collect():
    for _ in range(3):
        gc.collect()
