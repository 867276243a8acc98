"""Section M: listeners and handlers, with the events of real connections."""

import pytest
from core_peers import TEXT
from row_link import both, client

import libws


class Calls(list):
    """Makes listeners that note their name here."""

    def __call__(self, name):
        def listener(event):
            self.append(name)

        return listener


async def message(link, data=b"x"):
    """Lets the peer send one, and waits until it has been dispatched."""
    count = len(link.messages)
    link.wire.send(TEXT, data)
    await link.until(lambda: len(link.messages) > count)


@both
async def test_row_250_listeners_are_called_in_their_order(link):
    calls = Calls()
    await link.open()
    link.ws.addEventListener("message", calls("A"))
    link.ws.onmessage = calls("h")
    link.ws.addEventListener("message", calls("B"))
    await message(link)
    assert calls == ["A", "h", "B"]


@both
async def test_row_251_a_handler_that_replaces_one_keeps_its_place(link):
    calls = Calls()
    await link.open()
    link.ws.addEventListener("message", calls("A"))
    link.ws.onmessage = calls("h1")
    link.ws.addEventListener("message", calls("B"))
    link.ws.onmessage = calls("h2")
    await message(link)
    assert calls == ["A", "h2", "B"]


@both
async def test_row_252_none_gives_the_place_up(link):
    calls = Calls()
    await link.open()
    link.ws.onmessage = calls("h1")
    link.ws.addEventListener("message", calls("B"))
    link.ws.onmessage = None
    link.ws.onmessage = calls("h2")
    await message(link)
    assert calls == ["B", "h2"]


@both
async def test_rows_253_and_254_a_handler_reads_back_until_it_is_none(link):
    calls = Calls()
    handler = calls("h")
    await link.open()
    link.ws.onmessage = handler
    assert link.ws.onmessage is handler
    link.ws.onmessage = None
    assert link.ws.onmessage is None
    await message(link)
    assert calls == []


@both
async def test_row_255_what_cannot_be_called_is_a_type_error(link):
    await link.open()
    for value in (2, ";", [], b""):
        with pytest.raises(TypeError):
            link.ws.onmessage = value
        assert link.ws.onmessage is None
    await link.is_usable()


@both
async def test_row_256_an_object_as_handler_is_kept_but_not_called(link):
    class Listener:
        def handleEvent(self, event):
            raise AssertionError("called")

    listener = Listener()
    await link.open()
    link.ws.onmessage = listener
    assert link.ws.onmessage is listener
    await message(link)


@both
async def test_rows_258_and_259_twice_is_once_but_a_handler_counts_too(link):
    calls = Calls()
    listener = calls("f")
    await link.open()
    link.ws.addEventListener("message", listener)
    link.ws.addEventListener("message", listener)
    await message(link)
    assert calls == ["f"]
    link.ws.onmessage = listener
    await message(link)
    assert calls == ["f"] * 3


@both
async def test_rows_260_and_261_removed_listeners_are_not_called(link):
    calls = Calls()
    listener = calls("f")
    await link.open()
    link.ws.addEventListener("message", listener)
    link.ws.removeEventListener("message", listener)
    link.ws.removeEventListener("message", calls("never added"))
    await message(link)
    assert calls == []


@both
async def test_row_262_a_handler_is_not_removed_as_a_listener(link):
    calls = Calls()
    await link.open()
    link.ws.onmessage = calls("h")
    link.ws.removeEventListener("message", link.ws.onmessage)
    await message(link)
    assert calls == ["h"]


@both
async def test_row_263_once_is_for_one_event(link):
    calls = Calls()
    await link.open()

    def listener(event):
        calls.append(event.data)
        # It is removed already: dispatching again does not come back to it.
        link.ws.dispatchEvent(libws.MessageEvent("message", data="again"))

    link.ws.addEventListener("message", listener, {"once": True})
    link.wire.write(link.wire.frame(TEXT, b"1") + link.wire.frame(TEXT, b"2"))
    await link.until(lambda: len(link.messages) == 3)
    assert calls == ["1"]


@both
async def test_row_265_a_new_listener_waits_for_the_next_event(link):
    calls = Calls()
    later = calls("later")
    await link.open()
    link.ws.addEventListener("message", lambda e: link.ws.addEventListener("message", later))
    await message(link)
    assert calls == []
    await message(link)
    assert calls == ["later"]


@both
async def test_row_266_a_handler_set_in_a_handler_gets_the_next(link):
    calls = []
    await link.open()

    def first(event):
        calls.append(("first", event.data))
        link.ws.onmessage = lambda e: calls.append(("second", e.data))

    link.ws.onmessage = first
    link.wire.write(link.wire.frame(TEXT, b"1") + link.wire.frame(TEXT, b"2"))
    await link.until(lambda: len(calls) == 2)
    assert calls == [("first", "1"), ("second", "2")]


@both
async def test_row_267_an_exception_is_reported_and_others_run(link):
    calls = Calls()
    error = ZeroDivisionError()
    await link.open()

    def fail(event):
        raise error

    link.ws.onmessage = fail
    link.ws.addEventListener("message", calls("next"))
    await message(link)
    await link.until(lambda: link.reported)
    assert calls == ["next"]
    assert link.reported == [error]
    link.reported.clear()
    link.ws.onmessage = None
    await link.is_usable()


@both
async def test_row_269_stop_immediate_propagation_ends_it(link):
    calls = Calls()
    await link.open()
    link.ws.addEventListener("message", lambda e: e.stopImmediatePropagation())
    link.ws.addEventListener("message", calls("after"))
    await message(link)
    assert calls == []


@both
async def test_row_270_prevent_default_has_no_effect(link):
    events = []
    await link.open()

    def listener(event):
        event.preventDefault()
        events.append(event)
        return False

    link.ws.onmessage = listener
    await message(link)
    assert [event.defaultPrevented for event in events] == [False]
    await link.is_usable()


@both
async def test_row_271_own_events_dispatch_at_once(link):
    calls = Calls()
    await link.open()
    link.ws.addEventListener("foo", calls("f"))
    assert link.ws.dispatchEvent(libws.Event("foo")) is True
    assert calls == ["f"]


@client
async def test_row_272_a_dispatched_open_changes_no_state(link):
    calls = Calls()
    link.ws = libws.WebSocket("ws://127.0.0.1:1/")
    link.ws.onopen = calls("open")
    link.ws.dispatchEvent(libws.Event("open"))
    assert calls == ["open"]
    assert link.ws.readyState == 0
    link.ws.terminate()


@both
async def test_row_273_types_compare_with_case(link):
    calls = Calls()
    await link.open()
    for name in ("Message", "MESSAGE"):
        link.ws.addEventListener(name, calls(name))
    await message(link)
    assert calls == []


@both
async def test_row_274_no_listener_is_ignored(link):
    await link.open()
    link.ws.addEventListener("message", None)
    link.ws.removeEventListener("message", None)
    await message(link)


@both
async def test_row_275_a_signal_takes_its_listeners_away(link):
    class Signal(libws.EventTarget):
        aborted = False

        def abort(self):
            self.aborted = True
            self.dispatchEvent(libws.Event("abort"))

    calls = Calls()
    signal = Signal()
    await link.open()
    link.ws.addEventListener("message", calls("with"), {"signal": signal})
    link.ws.addEventListener("message", calls("without"))
    await message(link)
    signal.abort()
    await message(link)
    link.ws.addEventListener("message", calls("too late"), {"signal": signal})
    await message(link)
    assert calls == ["with", "without", "without", "without"]
