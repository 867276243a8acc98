"""Leaks and failing allocations, each in a process of its own."""

import subprocess
import sys
import textwrap

import pytest

# The handlers are made beforehand: some versions of CPython do not survive it when
# there is no memory for a function.
PRELUDE = """
import gc, sys
import libws

log = []

def onupgrade(request):
    request.headers.get_all("x")

def onconnection(ws, request):
    ws.onmessage = echo
    ws.subscribe("topic")

def echo(event):
    event.target.send(event.data)

def onsent(error):
    pass

def onupgrade_of_client(event):
    event.response.status

def ondriven(event):
    if event.type == "open":
        event.target.send("x" * 1000)
    elif event.type == "message":
        event.target.close()

def onopen(event):
    ws = event.target
    ws.send("text", onsent)
    ws.send(bytearray(b"binary"))
    ws.ping("p")

def onmessage(event):
    log.append(event)
    if len(log) == 2:
        event.target.other.publish("topic", "published")
    elif len(log) == 3:
        event.target.close(3000, "end")

def onpong(event):
    event.rtt

def onerror(event):
    event.error.code

def onclose(event):
    event.target.other.close()

def play():
    # Clients and a server, plain and with errors, to the end.
    log.clear()
    server = libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection, onupgrade=onupgrade)
    ws = libws.WebSocket(server.urls[0], ["a", "b"], headers={"X": "y"}, cookies={"a": "b"})
    ws.addEventListener("upgrade", onupgrade_of_client)
    driven = libws.WebSocket(server.urls[0], driver="thread")
    driven.onopen = driven.onmessage = driven.onclose = ondriven
    ws.other = server
    ws.onopen = onopen
    ws.onmessage = onmessage
    ws.onpong = onpong
    ws.addEventListener("close", onclose, once=True)
    ws.itself = ws
    bad = libws.WebSocket("ws://127.0.0.1:1/")
    bad.onerror = onerror
    try:
        libws.WebSocket("nonsense")
    except libws.SyntaxError:
        pass
    client, other = libws.Connection("client"), libws.Connection("server")
    client.connect("ws://h/")
    other.feed(client.output())
    for event in other.events():
        if event.type == "request":
            other.accept()
    client.feed(other.output())
    list(client.events())
    client.send("x" * 1000)
    other.feed(client.output())
    list(other.events())
    libws.run()
    return len(log)
"""


def python(code):
    program = f"play_code = {PRELUDE!r}\n{PRELUDE}{textwrap.dedent(code)}"
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_nothing_leaks():
    """Blocks that Python counts, and the memory of the process."""
    python(
        """
        import tracemalloc
        def count():
            gc.collect()
            return sys.getallocatedblocks()
        for _ in range(5):
            play()
        before = count()
        for _ in range(50):
            assert play() == 3
        after = count()
        assert after - before < 50, (before, after)
        """
    )


def test_failing_allocations_raise_or_fail_the_connection():
    """The n-th allocation fails, for every n, alone and with those after it. What
    comes of it is a MemoryError, or an end: nothing crashes or hangs. (Not with all
    after it: then CPython may try for ever to raise an exception.)"""
    pytest.importorskip("_testcapi", reason="this Python comes without its _testcapi")
    out = python(
        """
        import _testcapi

        if not hasattr(_testcapi, "set_nomemory"):
            raise SystemExit(0)
        sys.unraisablehook = lambda info: None
        run = libws.run

        def run_shortly():
            loop = libws.get_loop()
            timer = loop.timer(0.005, loop.stop)
            run()
            timer.cancel()

        libws.run = run_shortly

        def fails(start, stop):
            try:
                _testcapi.set_nomemory(start, stop)
                try:
                    play()
                finally:
                    _testcapi.remove_mem_hooks()
            except MemoryError:
                return True
            finally:
                libws.get_loop().close()
            return False

        play()
        print(sum(fails(n, n + 1) for n in range(1, 400)) > 50)
        print(sum(fails(n, n + 20) for n in range(1, 400, 3)) > 20)
        libws.run = run
        play()
        """
    )
    assert out in ("True\nTrue\n", "")


def test_an_interpreter_of_its_own_has_a_module_of_its_own():
    out = python(
        """
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            try:
                import _interpreters as interpreters
            except ImportError:
                raise SystemExit(0)
        play()
        for _ in range(3):
            other = interpreters.create()
            interpreters.run_string(other, play_code + "\\nassert play() == 3\\nprint('played')")
            interpreters.destroy(other)
        play()
        """
    )
    assert out in ("played\n" * 3, "")
