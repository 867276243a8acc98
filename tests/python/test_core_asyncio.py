"""The core under asyncio and uvloop: who drives it, tasks, the receive queue."""

import asyncio
import gc
import sys
import threading
import weakref

import pytest
from core_peers import BINARY, CLOSE, TEXT, Peer, close_body, echo, frame
from core_run import collect

import libws

SECONDS = 60

RUNNERS = {"asyncio": asyncio.run}
try:
    import uvloop

    RUNNERS["uvloop"] = uvloop.run
except ImportError:
    pass


@pytest.fixture(params=RUNNERS)
def run(request):
    def run(main):
        async def limited():
            return await asyncio.wait_for(main, SECONDS)

        return RUNNERS[request.param](limited())

    return run


async def opened(url, *args, **options):
    ws = libws.WebSocket(url, *args, **options)
    future = asyncio.get_running_loop().create_future()
    ws.onopen = lambda e: future.set_result(None)
    ws.onerror = lambda e: future.set_exception(e.error)
    await future
    ws.onopen = ws.onerror = None
    return ws


async def closed(ws):
    future = asyncio.get_running_loop().create_future()
    ws.addEventListener("close", future.set_result)
    return await future


def test_the_running_loop_drives_the_socket(run):
    async def main(url):
        ws = await opened(url)
        got = asyncio.get_running_loop().create_future()
        ws.onmessage = lambda e: got.set_result(e.data)
        ws.send("hi")
        assert await got == "hi"
        assert ws._loop._host is asyncio.get_running_loop()
        ws.close(1000)
        event = await closed(ws)
        assert (event.code, event.wasClean) == (1000, True)
        with pytest.raises(RuntimeError, match="asyncio"):
            libws.run()
        assert libws.get_loop() is not ws._loop

    with Peer(echo) as peer:
        run(main(peer.url))


def test_sending_outside_of_a_handler_gets_out(run):
    async def main(url):
        ws = await opened(url)
        ws._start_queue()
        for i in range(20):
            await asyncio.sleep(0)
            ws.send(f"{i}")
            assert await ws._recv() == f"{i}"
        ws.close()
        await closed(ws)

    with Peer(echo) as peer:
        run(main(peer.url))


def test_asyncio_ending_says_goodbye(run):  # Row 293.
    bodies = []
    loops = []

    async def main(url):
        ws = await opened(url)
        ws.onmessage = lambda e: None
        loops.append(ws._loop)

    with Peer(lambda wire: bodies.append(wire.open().receive())) as peer:
        run(main(peer.url))
        assert loops[0].closed
    assert bodies == [(0x88, close_body(1001))]


def test_a_loop_that_is_only_closed_is_collected_with_its_sockets():
    host = asyncio.new_event_loop()

    async def main(url):
        ws = await opened(url)
        ws.onmessage = lambda e: None
        return weakref.ref(ws)

    with Peer(lambda wire: wire.open().receive()) as peer:
        dead = host.run_until_complete(main(peer.url))
        host.close()
        del host
        collect()
        assert dead() is None


def test_one_message_is_one_task(run):  # Row 278.
    log = []

    def script(wire):
        wire.open().write(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
        wire.echo_close()

    async def main(url):
        host = asyncio.get_running_loop()
        futures = {text: [host.create_future(), host.create_future()] for text in "123"}

        async def inner(text):
            await futures[text][0]
            log.append(f"inner {text}")

        async def outer(text):
            await inner_tasks[text]
            log.append(f"outer {text}")
            await futures[text][1]
            log.append(f"second {text}")

        inner_tasks = {text: asyncio.create_task(inner(text)) for text in "123"}
        outer_tasks = [asyncio.create_task(outer(text)) for text in "123"]
        await asyncio.sleep(0)

        def onmessage(event):
            log.append(event.data)
            for future in futures[event.data]:
                future.set_result(None)

        ws = libws.WebSocket(url)
        ws.onmessage = onmessage
        await asyncio.gather(*outer_tasks)
        ws.close()
        await closed(ws)

    with Peer(script) as peer:
        run(main(peer.url))
    assert log == [f"{part}{text}" for text in "123" for part in ("", "inner ", "outer ", "second ")]


def test_handlers_may_be_coroutine_functions(run):  # Row 393.
    log = []

    def script(wire):
        wire.open().write(frame(TEXT, b"1") + frame(TEXT, b"2"))
        wire.echo_close()

    async def main(url):
        done = asyncio.get_running_loop().create_future()

        async def onmessage(event):
            log.append(f"start {event.data}")
            await asyncio.sleep(0)
            log.append(f"end {event.data}")
            if event.data == "2":
                done.set_result(None)

        ws = libws.WebSocket(url)
        ws.onmessage = onmessage
        await done
        ws.close()
        await closed(ws)

    with Peer(script) as peer:
        run(main(peer.url))
    assert [entry for entry in log if entry.startswith("start")] == ["start 1", "start 2"]
    assert sorted(log) == ["end 1", "end 2", "start 1", "start 2"]


def test_a_coroutine_without_asyncio_is_reported(monkeypatch):
    caught = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: caught.append(info.exc_value))

    async def handler(event):
        raise AssertionError("not called")

    ws = libws.WebSocket("ws://127.0.0.1:1/")
    ws.onclose = handler
    libws.run()
    assert [type(error) for error in caught] == [RuntimeError]
    caught.clear()


def test_exceptions_go_to_the_handler_of_the_loop(run):  # Row 267.
    contexts = []

    async def main(url):
        host = asyncio.get_running_loop()
        host.set_exception_handler(lambda loop, context: contexts.append(context))
        ws = await opened(url)

        def bad(event):
            raise ValueError("plain")

        async def worse(event):
            raise ValueError("coroutine")

        ws.addEventListener("message", bad)
        ws.addEventListener("message", worse)
        ws.send("x")
        await asyncio.sleep(0.01)
        while len(contexts) < 2:
            await asyncio.sleep(0)
        assert ws.readyState == 1
        ws.close()
        await closed(ws)

    with Peer(echo) as peer:
        run(main(peer.url))
    assert sorted(str(context["exception"]) for context in contexts) == ["coroutine", "plain"]


def test_an_interrupt_in_a_handler_ends_the_run():
    async def main(url):
        ws = await opened(url)

        def interrupt(event):
            raise KeyboardInterrupt

        ws.onmessage = interrupt
        ws.send("x")
        await asyncio.sleep(SECONDS)

    def script(wire):
        wire.open()
        first, payload = wire.receive()
        wire.send(TEXT, payload)
        wire.read_to_end()

    with Peer(script) as peer, pytest.raises(KeyboardInterrupt):
        asyncio.run(main(peer.url))


def test_hooks_may_be_coroutine_functions(run):
    async def main():
        async def onupgrade(request):
            await asyncio.sleep(0)
            if request.path == "/fail":
                raise ValueError
            return libws.Response(402) if request.path == "/refuse" else "b"

        async def onrequest(request):
            await asyncio.sleep(0)
            return libws.Response(200, "body")

        async def onconnection(ws, request):
            ws.send("welcome")

        contexts = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))
        server = libws.WebSocketServer(
            "127.0.0.1", 0, onupgrade=onupgrade, onrequest=onrequest, onconnection=onconnection
        )
        ws = libws.WebSocket(server.urls[0], ["a", "b"])
        ws._start_queue()
        assert await ws._recv() == "welcome"
        assert ws.protocol == "b"
        for path, status in (("/refuse", 402), ("/fail", 500)):
            with pytest.raises(libws.InvalidStatus) as caught:
                await opened(server.urls[0] + path)
            assert caught.value.status == status
        assert [type(context["exception"]) for context in contexts] == [ValueError]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\nbody")
        writer.close()
        ended = asyncio.get_running_loop().create_future()
        server.onclose = lambda: ended.set_result(None)
        server.close()
        await ended
        assert server.closed
        with pytest.raises(libws.ConnectionClosedOK):
            await ws._recv()

    run(main())


# -- The queue


def test_items_come_in_order_and_the_end_behind_them(run):
    def script(wire):
        wire.open().write(frame(TEXT, b"1") + frame(2, b"2") + frame(TEXT, b"3"))
        wire.send(CLOSE, close_body(1000, "done"))
        wire.receive()

    async def main(url):
        ws = libws.WebSocket(url)
        ws._start_queue()
        assert await ws._recv() == "1"
        await closed(ws)
        assert ws._queued == 2
        assert ws._pop() == b"2"
        assert ws._pop_all() == ["3"]
        assert ws._pop() is None
        assert ws._pop_all() == []
        for _ in range(2):
            with pytest.raises(libws.ConnectionClosedOK) as caught:
                await ws._recv()
            error = caught.value
            assert (error.code, error.reason, error.wasClean) == (1000, "done", True)
            assert error.__cause__ is None
        with pytest.raises(StopAsyncIteration):
            await ws._anext()
        assert ws._close_info == (1000, "done", True)

    with Peer(script) as peer:
        run(main(peer.url))


def test_a_failure_is_the_cause_of_the_end(run):
    async def main(url):
        ws = libws.WebSocket(url)
        ws._start_queue()
        with pytest.raises(libws.ConnectionClosedError) as caught:
            await ws._recv()
        assert caught.value.code == 1006
        assert isinstance(caught.value.__cause__, libws.ProtocolError)
        assert caught.value.__cause__ is ws._failure
        with pytest.raises(libws.ConnectionClosedError):
            await ws._anext()

    with Peer(lambda wire: wire.open().write(frame(3))) as peer:
        run(main(peer.url))


def test_cancelling_loses_nothing(run):
    async def main(url):
        ws = await opened(url)
        ws._start_queue()
        for i in range(20):
            task = asyncio.create_task(ws._recv())
            await asyncio.sleep(0)
            ws.send(f"{i}")
            if i % 2:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await ws._recv() == f"{i}"
            else:
                assert await task == f"{i}"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ws._recv(), 0.001)
        ws.send("last")
        assert await ws._recv() == "last"
        ws.close()
        await closed(ws)

    with Peer(echo) as peer:
        run(main(peer.url))


def test_a_second_waiter_is_refused(run):
    async def main(url):
        ws = await opened(url)
        ws._start_queue()
        first = asyncio.create_task(ws._recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await ws._recv()
        ws.send("x")
        assert await first == "x"
        ws.close()
        await closed(ws)

    with Peer(echo) as peer:
        run(main(peer.url))


def test_the_awaitable_is_a_coroutine_in_all_but_name(run):
    from collections.abc import Coroutine

    async def main(url):
        ws = await opened(url)
        ws._start_queue()
        waiting = ws._recv()
        assert isinstance(waiting, Coroutine)
        waiting.close()
        waiting = ws._recv()
        with pytest.raises(ValueError, match="thrown"):
            waiting.throw(ValueError("thrown"))
        waiting = ws._recv()
        future = waiting.send(None)
        assert asyncio.isfuture(future)
        with pytest.raises(ValueError, match="thrown"):
            waiting.throw(ValueError("thrown"))
        assert ws._waiter is None
        ws.send("x")
        assert await ws._recv() == "x"
        ws.close()
        await closed(ws)

    with Peer(echo) as peer:
        run(main(peer.url))


def test_messages_of_the_turn_that_fills_the_queue_come_in_by_bytes(run):
    messages = [b"%05d" % i * 20 for i in range(500)]

    def script(wire):
        wire.open().write(b"".join(frame(BINARY, message) for message in messages))
        wire.echo_close()

    async def main(url):
        ws = await opened(url)
        ws._start_queue(4, 10_000)
        full = asyncio.get_running_loop().create_future()
        ws._waiter = lambda: full.set_result(None)
        await full
        for _ in range(20):
            await asyncio.sleep(0)
        assert 4 <= ws._queued <= 100
        assert [await ws._recv() for _ in messages] == messages
        ws.close()
        await closed(ws)

    with Peer(script) as peer:
        run(main(peer.url))


def test_iteration_goes_on_where_another_left_it(run):
    def script(wire):
        wire.open().write(b"".join(frame(TEXT, b"%d" % i) for i in range(30)))
        wire.send(CLOSE, close_body(1000))
        wire.receive()

    async def main(url):
        ws = await opened(url)
        ws._start_queue()
        got = []
        messages = ws._iterate(ws)
        assert aiter(messages) is messages
        kept = messages.__anext__()
        other = messages.__anext__()
        assert kept is not other
        got += [await kept, await other]
        async for text in messages:
            got.append(text)
            if len(got) == 10:
                break
        async for text in ws._iterate(ws):
            got.append(text)
        assert got == [str(i) for i in range(30)]
        with pytest.raises(StopAsyncIteration):
            await messages.__anext__()

    with Peer(script) as peer:
        run(main(peer.url))


def test_a_full_queue_stops_reading(run):  # Row 319.
    total = 400
    sent = []

    def script(wire):
        wire.open()
        for _ in range(total):
            wire.send(2, bytes(1 << 16))
            sent.append(1)
        wire.echo_close()

    async def main(url):
        ws = await opened(url)
        ws._start_queue(4, 1 << 20)
        host = asyncio.get_running_loop()
        full = host.create_future()
        ws._waiter = lambda: full.set_result(None)
        await full
        before = -1
        while len(sent) != before:
            before = len(sent)
            await asyncio.sleep(0.05)
        assert 4 <= ws._queued <= 16
        assert len(sent) < total
        for _ in range(total):
            assert len(await ws._recv()) == 1 << 16
        ws.close()
        await closed(ws)

    with Peer(script) as peer:
        run(main(peer.url))


def test_streaming_gives_pieces(run):
    def script(wire):
        wire.open().write(frame(TEXT, b"\xc3", fin=False))
        wire.write(frame(0, b"\xa9") + frame(2, b"bin"))
        wire.send(CLOSE)
        wire.receive()

    async def main(url):
        ws = libws.WebSocket(url)
        ws._start_queue(None, None, True)
        pieces = []
        with pytest.raises(libws.ConnectionClosed):
            while True:
                pieces.append(await ws._recv())
        text = [piece for piece in pieces if piece[1]]
        assert b"".join(piece[0] for piece in text) == "é".encode()
        assert (text[0][2], text[-1][3]) == (True, True)
        assert pieces[-1] == (b"bin", False, True, True)

    with Peer(script) as peer:
        run(main(peer.url))


def test_a_socket_somebody_waits_for_stays_alive(run):
    go = threading.Event()

    def script(wire):
        wire.open()
        go.wait(SECONDS)
        wire.send(TEXT, b"x")
        wire.echo_close()

    async def receive(url):
        ws = await opened(url)
        ws._start_queue()
        opened_future.set_result(weakref.ref(ws))
        data = await ws._recv()
        ws.close()
        await closed(ws)
        results.append(data)

    async def main(url):
        nonlocal opened_future
        opened_future = asyncio.get_running_loop().create_future()
        alive = weakref.ref(asyncio.get_running_loop().create_task(receive(url)))
        await opened_future
        await asyncio.sleep(0)
        gc.collect()
        assert alive() is not None
        go.set()
        await alive()

    opened_future = None
    results = []
    with Peer(script) as peer:
        run(main(peer.url))
    assert results == ["x"]


def test_drain_waiters_are_called(run):
    size = 8 << 20  # More than the system takes at once.
    start = threading.Event()

    def script(wire):
        wire.open()
        start.wait(SECONDS)
        total = 0
        while total < size:
            total += len(wire.receive()[1])
        wire.echo_close()

    async def main(url):
        ws = await opened(url, send_high_water=1 << 16, compression=False)
        ws.send(bytes(size))
        assert ws._is_full
        drained = asyncio.get_running_loop().create_future()
        ws._drain_waiter = lambda: drained.set_result(None)
        start.set()
        await drained
        assert not ws._is_full
        ws._drain_waiter = lambda: log.append("end")
        ws.close()
        await closed(ws)

    log = []
    with Peer(script) as peer:
        run(main(peer.url))
    assert log == ["end"]


def test_waiters_are_callable_or_none():
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    for name in ("_waiter", "_drain_waiter"):
        assert getattr(ws, name) is None
        with pytest.raises(TypeError):
            setattr(ws, name, 5)
        setattr(ws, name, print)
        assert getattr(ws, name) is print
        setattr(ws, name, None)
    with pytest.raises(RuntimeError, match="_start_queue"):
        ws._pop()
    ws._start_queue()
    with pytest.raises(RuntimeError, match="asyncio"):
        ws._recv().send(None)


def test_post_sends_what_needs_no_look():
    """What is full, closed or of another type is left to the caller."""

    async def main():
        def script(wire):
            wire.open()
            wire.expect(TEXT, "é".encode())
            wire.expect(BINARY, bytes(100))
            wire.echo_close()

        with Peer(script) as peer:
            ws = libws.WebSocket(peer.url, send_high_water=1000)
            assert ws._post("x") is None  # It is CONNECTING.
            opened = asyncio.get_running_loop().create_future()
            ws.onopen = opened.set_result
            await opened
            sent = ws._post("é")
            assert await sent is None
            assert await sent is None  # Again and again.
            assert ws._post(bytes(100)) is sent
            assert ws._post(bytes(1001)) is None
            assert ws._post(bytearray(1)) is None
            assert ws._post(5) is None
            assert asyncio.iscoroutine(sent)
            assert await asyncio.create_task(sent) is None
            with pytest.raises(ZeroDivisionError):
                sent.throw(ZeroDivisionError)
            sent.close()
            assert list(sent) == []
            with pytest.raises(TypeError):
                type(sent)()
            closed = asyncio.get_running_loop().create_future()
            ws.onclose = closed.set_result
            ws.close()
            assert ws._post("x") is None
            await closed
            assert ws._post("x") is None

    asyncio.run(main())
