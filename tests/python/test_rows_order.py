"""Sections N and O: order and time, lifetime."""

import asyncio
import gc
import threading
import weakref

from core_peers import CLOSE, PING, TEXT, close_body
from core_run import FAILED
from row_link import Own, both, client

import libws


@client
async def test_row_276_no_event_comes_before_the_loop_turns(link):
    listener = link.listener()
    listener.close()
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    for _ in range(100):
        assert ws.readyState == 0
    link.record(ws)
    link.ws = ws
    await link.until(lambda: len(link.log) == 2)
    assert link.log == FAILED


@both
async def test_row_277_calls_run_no_handlers(link):
    depth = []
    depths = []
    await link.open()

    def guarded(act):
        def handler(event):
            depths.append(len(depth))
            depth.append(1)
            act()
            depth.pop()

        return handler

    def send_and_close():
        link.ws.addEventListener("close", lambda e: depths.append(len(depth)))
        link.ws.send("x")
        link.ws.ping()
        link.ws.close()
        link.ws.terminate()

    link.ws.onmessage = guarded(send_and_close)
    link.ws.onclose = guarded(link.ws.close)
    link.wire.send(TEXT, b"go")
    await link.closed(1006, is_clean=False)
    assert depths == [0, 0, 0]


@both
async def test_row_278_each_message_is_a_task(link):
    """Under asyncio; the library's own loop runs no coroutines."""
    if isinstance(link.driver, Own):
        return
    host = asyncio.get_running_loop()
    order = []
    futures = {text: host.create_future() for text in "123"}

    async def inner(text):
        await futures[text]
        order.append(f"inner {text}")

    async def outer(text):
        await inner(text)
        order.append(f"outer {text}")

    await link.open()
    tasks = [host.create_task(outer(text)) for text in "123"]
    link.ws.onmessage = lambda e: (order.append(e.data), futures[e.data].set_result(None))
    link.wire.write(b"".join(link.wire.frame(TEXT, text) for text in (b"1", b"2", b"3")))
    await asyncio.gather(*tasks)
    assert order == [f"{prefix}{text}" for text in "123" for prefix in ("", "inner ", "outer ")]


@both
async def test_row_279_a_handler_gets_no_second_message_inside_of_it(link):
    errors = []
    order = []
    await link.open()

    def onmessage(event):
        order.append(f"in {event.data}")
        for call in (link.ws._loop.wait, link.ws._loop.dispatch, link.ws._loop.run):
            try:
                call()
            except RuntimeError as error:
                errors.append(error)
        order.append(f"out {event.data}")

    link.ws.onmessage = onmessage
    link.wire.write(link.wire.frame(TEXT, b"1") + link.wire.frame(TEXT, b"2"))
    await link.until(lambda: len(order) == 4)
    assert order == ["in 1", "out 1", "in 2", "out 2"]
    assert len(errors) == 6


@client
async def test_row_280_a_socket_closed_by_another_delivers_nothing(link):
    got = []
    first, first_listener = link.connect()
    second, second_listener = link.connect()
    wires = [await link.accept(one) for one in (first_listener, second_listener)]
    for wire in wires:
        await wire.read_head()
        wire.write(wire.response())
    await link.until(lambda: (first.readyState, second.readyState) == (1, 1))

    def onmessage(event):
        got.append(event.data)
        first.close()
        second.close()

    first.onmessage = second.onmessage = onmessage
    for wire in wires:
        wire.write(wire.frame(TEXT, b"1") + wire.frame(TEXT, b"2"))
    for wire in wires:
        await wire.echo_close()
        wire.shut_down()
    await link.until(lambda: (first.readyState, second.readyState) == (3, 3))
    assert got == ["1"]
    link.ws = first


@both
async def test_row_281_messages_wait_for_the_open_handler(link):
    order = []
    waited = threading.Event()

    def onopen(event):
        order.append("open begins")
        waited.wait(0.05)  # The message has come by now.
        order.append("open ends")

    def before(ws):
        ws.addEventListener("open", onopen)
        ws.addEventListener("message", lambda e: order.append(e.data))

    frame = b"\x81\x01x" if link.is_client else b"\x81\x81\0\0\0\0x"
    await link.open(behind=frame, before=before)
    await link.until(lambda: len(order) == 3)
    assert order == ["open begins", "open ends", "x"]


@both
async def test_row_282_events_come_in_the_order_of_arrival(link):
    order = []
    await link.open(before=lambda ws: ws.addEventListener("open", lambda e: order.append("open")))
    link.ws.addEventListener("message", lambda e: order.append(e.data))
    link.ws.addEventListener("ping", lambda e: order.append(e.data))
    link.ws.addEventListener("close", lambda e: order.append(e.code))
    frames = ((TEXT, b"1"), (PING, b"2"), (TEXT, b"3"), (PING, b"4"), (CLOSE, close_body(1000)))
    link.wire.write(b"".join(link.wire.frame(*one) for one in frames))
    await link.wire.expect(10, b"2")
    await link.wire.expect(10, b"4")
    await link.wire.expect(CLOSE, close_body(1000))
    link.wire.shut_down()
    await link.closed(1000)
    assert order == ["open", "1", b"2", "3", b"4", 1000]


@both
async def test_row_283_a_socket_may_be_let_go_in_its_last_handlers(link):
    order = []
    await link.open()

    def let_go(event):
        order.append(event.type)
        link.logs.clear()
        link.ws = None
        gc.collect()

    link.ws.onerror = link.ws.onclose = let_go
    dead = weakref.ref(link.ws)
    link.wire.send(3)
    await link.until(lambda: order == ["error", "close"])
    await link.until(lambda: gc.collect() >= 0 and dead() is None)


@both
async def test_row_284_handlers_run_on_the_thread_of_the_loop(link):
    threads = []
    await link.open()
    link.ws.onmessage = lambda e: threads.append(threading.current_thread())
    other = threading.Thread(target=lambda: link.ws.send("from another thread"))
    other.start()
    await link.wire.expect(TEXT, b"from another thread")
    other.join()
    link.wire.send(TEXT, b"x")
    await link.until(lambda: threads)
    assert threads == [threading.current_thread()]


@both
async def test_row_285_sockets_come_and_go_without_a_trace(link):
    """Objects; descriptors and memory are counted in test_core_memory.py."""
    dead = []
    for _ in range(20):
        await link.open()
        dead.append(weakref.ref(link.ws))
        await link.close(1000)
        if link.server is not None:
            link.server.close()
        link.ws = None
        link.logs.clear()
        link.wires.clear()
    await link.until(lambda: gc.collect() >= 0 and not any(one() for one in dead))


# -- Lifetime


async def let_go(link):
    """Drops the socket as an application does; returns a weak reference."""
    dead = weakref.ref(link.ws)
    link.logs.clear()
    link.ws = None
    await link.turns()
    gc.collect()
    return dead


async def open_unheard(link, **options):
    """An open socket without listeners, and nobody else who holds it."""
    if not link.is_client:
        options["client_tracking"] = False
    link.record = lambda ws: link.logs.setdefault(ws, [("open",)])
    await link.open(**options)


@both
async def test_rows_287_and_291_listeners_keep_an_open_socket(link):
    got = []
    await open_unheard(link)
    link.ws.onmessage = lambda e: got.append(e.data)
    dead = await let_go(link)
    assert dead() is not None
    link.wire.send(TEXT, b"x")
    await link.until(lambda: got == ["x"])
    link.wire.send(CLOSE)
    await link.wire.expect(CLOSE)
    link.wire.shut_down()
    await link.until(lambda: gc.collect() >= 0 and dead() is None)


@both
async def test_row_288_a_socket_nobody_listens_to_is_closed(link):
    await open_unheard(link)
    link.ws.onopen = lambda e: None
    dead = await let_go(link)
    await link.until(lambda: gc.collect() >= 0 and dead() is None)
    assert await link.wire.echo_close() == b""


@both
async def test_row_289_a_closing_socket_lives_until_its_close_event(link):
    codes = []
    await open_unheard(link)
    link.ws.onclose = lambda e: codes.append(e.code)
    link.ws.close(1000)
    dead = await let_go(link)
    assert dead() is not None
    await link.wire.echo_close()
    link.wire.shut_down()
    await link.until(lambda: codes == [1000])
    await link.until(lambda: gc.collect() >= 0 and dead() is None)


@both
async def test_row_290_what_is_queued_is_sent_first(link):
    await open_unheard(link, compression=False)
    link.wire.is_reading = False
    link.ws.send(bytes(1 << 20))
    await let_go(link)
    link.wire.is_reading = True
    assert await link.wire.receive() == (0x82, bytes(1 << 20))
    assert await link.wire.echo_close() == b""


@both
async def test_row_292_handlers_that_refer_to_their_socket_are_no_leak(link):
    await open_unheard(link)
    link.ws.onmessage = link.ws.onclose = lambda e, ws=link.ws: ws
    link.ws.itself = link.ws
    link.ws.close()
    await link.wire.echo_close()
    link.wire.shut_down()
    dead = await let_go(link)
    await link.until(lambda: gc.collect() >= 0 and dead() is None)


@both
async def test_row_293_when_the_loop_goes_sockets_say_goodbye(link):
    await link.open()
    link.ws._loop.close()
    link.logs.clear()
    link.server = None
    await link.wire.expect(CLOSE, close_body(1001))
    assert link.ws.readyState == 3


@client
async def test_row_294_when_the_loop_goes_who_connects_hears_nothing(link):
    ws, listener = link.connect()
    wire = await link.accept(listener)
    await wire.read_head()
    ws._loop.close()
    assert await wire.ended() == b""
    assert ws.readyState == 3
    assert link.logs.pop(ws) == []
