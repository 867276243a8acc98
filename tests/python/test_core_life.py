"""Section O and 2.4 of the faults: what is kept alive, collection, forks, exit."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest
from core_peers import CLOSE, TEXT, Peer, close_body, echo
from core_run import collect, record, run, run_until

import libws


def opened(peer, **handlers):
    """An open socket, with these handlers only."""
    ws = libws.WebSocket(peer.url)
    ws.onopen = lambda e: libws.stop()
    run()
    ws.onopen = None
    for name, handler in handlers.items():
        setattr(ws, name, handler)
    return ws


@pytest.mark.parametrize("name", ["onmessage", "onerror", "onclose"])
def test_listeners_keep_an_open_socket_alive(name):  # Row 287.
    log = []
    go = threading.Event()

    def script(wire):
        wire.open()
        go.wait(60)
        wire.send(TEXT, b"hi")
        if name == "onerror":
            return
        wire.send(CLOSE, close_body(1000))
        wire.receive()

    with Peer(script) as peer:
        alive = weakref.ref(opened(peer, **{name: lambda e: log.append(e.type)}))
        collect()
        assert alive() is not None
        go.set()
        run()
    assert log == [name[2:]]
    collect()
    assert alive() is None  # Row 291.


def test_a_socket_nobody_listens_to_is_closed_when_collected():  # Row 288.
    bodies = []

    def script(wire):
        bodies.append(wire.open().echo_close())

    with Peer(script) as peer:
        ws = opened(peer, onopen=lambda e: None)
        dead = weakref.ref(ws)
        del ws
        collect()
        assert dead() is None
        run()
    assert bodies == [b""]


def test_a_closing_socket_lives_until_its_close_event():  # Row 289.
    log = []
    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = opened(peer, onclose=lambda e: log.append(e.code))
        ws.close(1000)
        dead = weakref.ref(ws)
        del ws
        collect()
        assert dead() is not None
        run()
        collect()
        assert dead() is None
    assert log == [1000]


def test_queued_data_is_sent_before_the_close_of_a_collected_socket():  # Row 290.
    size = 12 << 20  # More than the system takes at once.
    sizes = []
    go = threading.Event()

    def script(wire):
        wire.open()
        go.wait(60)
        sizes.append(len(wire.receive()[1]))
        sizes.append(wire.echo_close())

    with Peer(script) as peer:
        ws = opened(peer)
        ws.send(bytes(size))
        alive = weakref.ref(ws)
        del ws
        assert alive() is not None
        go.set()
        run()
        assert alive() is None
    assert sizes == [size, b""]


def test_handlers_that_refer_to_their_socket_are_no_leak():  # Row 292.
    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = opened(peer)
        ws.onmessage = ws.onclose = lambda e, ws=ws: ws
        ws.itself = ws
        ws.close()
        dead = weakref.ref(ws)
        del ws
        run()
        collect()
        assert dead() is None


def test_a_connecting_socket_with_listeners_lives():
    log = []
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    ws.onclose = lambda e: log.append(e.code)
    del ws
    collect()
    run()
    assert log == [1006]


def test_closing_a_loop_says_goodbye():  # Rows 293, 294.
    bodies = []
    with Peer(lambda wire: bodies.append(wire.open().receive())) as peer:
        loop = libws.Loop()
        ws = libws.WebSocket(peer.url, loop=loop)
        log = record(ws)
        ws.onopen = lambda e: loop.stop()
        run(loop)
        connecting = libws.WebSocket(peer.url, loop=loop)
        log2 = record(connecting)
        loop.close()
        assert loop.closed
        assert (ws.readyState, connecting.readyState) == (3, 3)
        ws.send("only counted")
        assert ws.bufferedAmount == 12
        ws.close()
        ws.terminate()
        loop.close()
    assert bodies == [(0x88, close_body(1001))]
    assert (log, log2) == ([("open",)], [])
    for call in (loop.run, loop.wait, loop.dispatch, loop.fileno, lambda: loop.post(print)):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_a_loop_closed_in_a_handler_ends_when_the_handler_is_done():
    with Peer(lambda wire: wire.open().receive()) as peer, libws.Loop() as loop:
        ws = libws.WebSocket(peer.url, loop=loop)
        states = []

        def onopen(event):
            loop.close()
            states.append(ws.readyState)

        ws.onopen = onopen
        run(loop)
        assert states == [1]
        assert loop.closed


def test_a_collected_loop_closes_its_sockets():
    bodies = []
    with Peer(lambda wire: bodies.append(wire.open().receive())) as peer:
        loop = libws.Loop()
        ws = libws.WebSocket(peer.url, loop=loop)
        ws.onopen = lambda e, loop=loop: loop.stop()
        ws.onclose = lambda e: None
        run(loop)
        dead = weakref.ref(loop)
        del loop, ws
        collect()
        assert dead() is None
    assert bodies == [(0x88, close_body(1001))]


def test_the_collector_may_run_in_every_handler():  # Section 2.4.
    log = []
    with Peer(echo, echo) as peer:
        for _ in range(2):
            ws = libws.WebSocket(peer.url)
            ws.onopen = lambda e: (gc.collect(), e.target.send("x"))
            ws.onmessage = lambda e: (gc.collect(), e.target.close())
            ws.onclose = lambda e: (gc.collect(), log.append(e.wasClean))
            del ws
        run()
    assert log == [True, True]


def test_the_last_reference_may_go_in_a_handler():  # Row 283.
    log = []
    box = []

    def script(wire):
        wire.open().send(TEXT, b"x")
        wire.receive()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        box.append(ws)

        def onmessage(event):
            box.clear()
            event.target.onmessage = None
            log.append(event.data)

        ws.onmessage = onmessage
        del ws
        run()
    assert log == ["x"]


def test_exceptions_of_finalizers_do_no_harm(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda info: None)

    class Bad(libws.WebSocket):
        def __del__(self):
            raise ValueError

    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = Bad(peer.url)
        ws.onopen = lambda e: libws.stop()
        run()
        ws.onopen = None
        del ws
        collect()
        run()


def test_sockets_come_and_go_without_a_trace():  # Row 285.
    def count():
        collect()
        return len(os.listdir("/proc/self/fd")), len(gc.get_objects())

    def once():
        with Peer(*[lambda wire: wire.open().echo_close()] * 20) as peer:
            for _ in range(20):
                ws = libws.WebSocket(peer.url)
                ws.onopen = lambda e: e.target.close()
                ws.onclose = lambda e: None
            del ws
            run()

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("this system has no /proc/self/fd to count descriptors by")
    once()
    fds, objects = count()
    for _ in range(10):
        once()
    fds_after, objects_after = count()
    assert fds_after == fds
    assert objects_after < objects + 100


def python(code, status=0):
    """Runs a program of its own."""
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == status, result.stderr
    return result.stdout, result.stderr


SERVER_AND_CLIENT = """
import libws
server = libws.WebSocketServer("127.0.0.1", 0, onconnection=lambda ws, request: None)
ws = libws.WebSocket(server.urls[0])
ws.onopen = lambda e: libws.stop()
ws.onmessage = print
libws.run()
"""


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "del ws, server",
        "raise SystemExit(0)",
        "ws.cycle = ws; import gc; gc.disable(); del ws",
        "import sys; sys.modules['keep'] = ws",
        "libws.WebSocket('ws://example.invalid/').onclose = print",
        "import threading; t = threading.Thread(target=libws.run, daemon=True); t.start()",
    ],
)
def test_an_interpreter_ends_with_sockets_open(ending):  # Row 296.
    out, err = python(SERVER_AND_CLIENT + ending)
    assert (out, err) == ("", "")


def test_an_interpreter_ends_while_a_daemon_thread_waits():
    out, err = python(
        """
        import threading, libws
        started = threading.Event()
        def work():
            ws = libws.WebSocketServer("127.0.0.1", 0)
            libws.get_loop().post(started.set)
            libws.run()
        threading.Thread(target=work, daemon=True).start()
        started.wait()
        """
    )
    assert (out, err) == ("", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_child_may_not_use_the_loops_of_its_parent():
    out, err = python(
        SERVER_AND_CLIENT
        + """
import os, sys, warnings
warnings.simplefilter("ignore")
pid = os.fork()
if pid == 0:
    for call in (lambda: ws.send("x"), ws.close, ws.terminate, ws.ping, server.close, ws._loop.run):
        try:
            call()
        except RuntimeError as error:
            assert "parent process" in str(error), error
        else:
            raise AssertionError(call)
    other = libws.WebSocketServer("127.0.0.1", 0)
    mine = libws.WebSocket(other.urls[0])
    mine.onopen = lambda e: (print("open", flush=True), libws.stop())
    libws.run()
    del ws, mine
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
ws.onclose = lambda e: (print(e.code, flush=True), libws.stop())
ws.close(3000)
libws.run()
"""
    )
    assert out == "open\n3000\n"
    assert err == ""


def test_loops_of_threads_are_their_own():  # Row 284.
    loops = []
    names = []
    with Peer(echo, echo) as peer:

        def work():
            ws = libws.WebSocket(peer.url)
            ws.onopen = lambda e: ws.close()
            ws.onclose = lambda e: names.append(threading.current_thread().name)
            loops.append(weakref.ref(libws.get_loop()))
            libws.run()

        threads = [threading.Thread(target=work, name=name) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(names) == ["a", "b"]
    collect()
    assert [loop() for loop in loops] == [None, None]


def test_other_threads_may_send_and_close_while_a_loop_waits():  # Row 177.
    got = []

    def script(wire):
        wire.open()
        while True:
            first, payload = wire.receive()
            if first == 0x88:
                got.append(payload)
                wire.send(CLOSE, payload)
                return
            got.append(payload)

    with Peer(script) as peer:
        ws = opened(peer, onclose=lambda e: None)
        loop = ws._loop

        def work():
            for i in range(100):
                ws.send(f"{i}")
                ws.stats()
                ws.bufferedAmount
            ws.send(b"x" * 100000)
            ws.pause()
            ws.resume()
            ws.close(3000, "bye")

        thread = threading.Thread(target=work)
        loop.timer(0, thread.start)
        run()
        thread.join()
    assert got == [b"%d" % i for i in range(100)] + [b"x" * 100000, close_body(3000, "bye")]


def wait_until_away(loop):
    """Returns when another thread waits in the loop."""
    never = threading.Event()
    for _ in range(10000):
        try:
            loop.stats()
        except RuntimeError:
            return
        never.wait(0.001)
    raise AssertionError("nobody waits in the loop")


def test_other_calls_from_another_thread_are_refused_while_a_loop_waits():
    with Peer(lambda wire: wire.open().echo_close()) as peer, libws.Loop() as loop:
        ws = libws.WebSocket(peer.url, loop=loop)
        ws.onopen = lambda e: loop.stop()
        ws.onclose = lambda e: None
        run(loop)
        timer = loop.timer(60, print)
        waiting = threading.Thread(target=run, args=(loop,))
        waiting.start()
        wait_until_away(loop)
        for call in (
            ws.ping,
            loop.run,
            loop.wait,
            loop.dispatch,
            loop.close,
            timer.cancel,
            lambda: timer.set(1),
            lambda: loop.timer(1, print),
            lambda: ws.setRequestHeaders({}),
            lambda: libws.WebSocket(peer.url, loop=loop),
            lambda: libws.WebSocketServer("127.0.0.1", 0, loop=loop),
        ):
            with pytest.raises(RuntimeError, match="another thread"):
                call()
        loop.post(timer.cancel)
        ws.close()
        waiting.join()
        assert ws.readyState == 3


def test_sockets_collected_by_another_thread_are_closed_by_their_own():
    bodies = []
    box = []
    with Peer(lambda wire: bodies.append(wire.open().echo_close())) as peer:
        box.append(opened(peer))
        loop = box[0]._loop
        thread = threading.Thread(target=box.clear)
        loop.timer(0.01, thread.start)
        run()
        thread.join()
    assert bodies == [b""]


def test_post_and_stop_work_from_any_thread():
    log = []
    loop = libws.get_loop()
    hold = loop.timer(60, print)

    def work():
        loop.post(lambda: log.append(threading.current_thread()))
        loop.post(loop.stop)

    thread = threading.Thread(target=work)
    thread.start()
    run()
    thread.join()
    hold.cancel()
    assert log == [threading.current_thread()]


def test_timers_ring_once_and_can_be_set_again():
    log = []
    with libws.Loop() as loop:

        def ring():
            log.append("a")
            if len(log) < 3:
                timer.set(0)

        timer = loop.timer(0, ring)
        never = loop.timer(0, lambda: log.append("never"))
        never.cancel()
        never.cancel()
        later = loop.timer(0, lambda: log.append("later"))
        later.set(60)
        run_until(lambda: len(log) == 3, loop)
        later.cancel()
        run(loop)
        assert log == ["a", "a", "a"]
        with pytest.raises(ValueError, match="delay"):
            timer.set(-1)
    with pytest.raises(RuntimeError, match="closed"):
        timer.set(1)
    timer.cancel()


def test_a_signal_interrupts_a_run():
    out, err = python(
        """
        import libws, os, signal, threading
        loop = libws.get_loop()
        hold = loop.timer(60, print)
        loop.timer(0, threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start)
        try:
            libws.run()
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert (out, err) == ("interrupted\n", "")


def test_a_signal_that_ends_no_wait_interrupts_a_run():
    """As one does that comes just before a wait: here another thread gets it."""
    out, err = python(
        """
        import libws, os, signal, threading
        loop = libws.get_loop()
        hold = loop.timer(60, print)
        loop.timer(0, threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start)
        idle = threading.Thread(target=threading.Event().wait, daemon=True)
        idle.start()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            libws.run()
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert (out, err) == ("interrupted\n", "")


def test_an_interrupt_in_a_handler_goes_up_and_nothing_is_lost():
    log = []
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)

        def onopen(event):
            ws.send("a")
            raise KeyboardInterrupt

        ws.onopen = onopen
        ws.onmessage = lambda e: (log.append(e.data), ws.close())
        with pytest.raises(KeyboardInterrupt):
            run()
        run()
    assert log == ["a"]
