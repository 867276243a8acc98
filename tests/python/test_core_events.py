"""Sections E, F and M: attributes, event objects, listeners; exceptions (U)."""

import gc
import sys
import threading
import weakref

import pytest
from core_peers import CLOSE, TEXT, Peer, close_body, echo, frame
from core_run import record, run

import libws

# -- Constants and attributes


def test_constants_do_not_change():  # Rows 100, 101, 102.
    ws = libws.WebSocket("ws://h/")
    for number, name in enumerate(("CONNECTING", "OPEN", "CLOSING", "CLOSED")):
        for owner in (libws.WebSocket, ws):
            assert getattr(owner, name) == number
            with pytest.raises((AttributeError, TypeError)):
                setattr(owner, name, 9)
            with pytest.raises((AttributeError, TypeError)):
                delattr(owner, name)
            assert getattr(owner, name) == number
    ws.terminate()
    run()


@pytest.mark.parametrize(
    ("name", "value"),
    [("readyState", 0), ("bufferedAmount", 0), ("extensions", ""), ("protocol", ""), ("url", "ws://h/")],
)
def test_attributes_are_read_only(name, value):  # Rows 103, 104, 111, 117, 118, 391.
    ws = libws.WebSocket("ws://h/")
    assert getattr(ws, name) == value
    with pytest.raises(AttributeError):
        setattr(ws, name, 5)
    assert getattr(ws, name) == value
    ws.terminate()
    run()


def test_binary_type_takes_two_values():  # Rows 114, 115, 116.
    ws = libws.WebSocket("ws://h/")
    assert ws.binaryType == "blob"
    ws.binaryType = "arraybuffer"
    ws.binaryType = "notBlobOrArrayBuffer"
    assert ws.binaryType == "arraybuffer"
    with pytest.raises(TypeError):
        ws.binaryType = 5
    with pytest.raises(TypeError):
        del ws.binaryType
    ws.terminate()
    run()


def test_handlers_are_none_at_first():  # Rows 120, 121, 385.
    ws = libws.WebSocket("ws://h/")
    for name in ("onopen", "onmessage", "onerror", "onclose", "onping", "onpong", "ondrain", "onreconnect"):
        assert getattr(ws, name) is None
    for name in ("addEventListener", "removeEventListener", "dispatchEvent", "send", "close"):
        assert callable(getattr(ws, name))
    ws.terminate()
    run()


def test_the_ready_state_follows_the_connection():  # Rows 105, 109.
    states = []

    def script(wire):
        wire.open()
        wire.send(CLOSE, close_body(1000))
        wire.receive()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        ws.onopen = lambda e: states.append(ws.readyState)
        ws.onclose = lambda e: states.append(ws.readyState)
        run()
    assert states == [1, 3]


# -- Events


def test_real_events_have_these_fields():  # Rows 122, 125 to 129, 131, 132.
    events = []

    def script(wire):
        wire.open()
        wire.send(TEXT, b"hi")
        wire.send(CLOSE, close_body(3001, "why"))
        wire.receive()

    inside = []

    def look(event):
        events.append(event)
        inside.append((event.target, event.currentTarget, event.eventPhase, event.composedPath()))

    with Peer(script) as peer:
        ws = libws.WebSocket(f"ws://127.0.0.1:{peer.port}/x?y")
        ws.onopen = ws.onmessage = ws.onclose = look
        run()
    assert inside == [(ws, ws, 2, [ws])] * 3
    assert [event.type for event in events] == ["open", "message", "close"]
    for event in events:
        assert isinstance(event, libws.Event)
        assert event.target is ws
        assert (event.currentTarget, event.eventPhase, event.composedPath()) == (None, 0, [])
        assert (event.bubbles, event.cancelable, event.composed) == (False, False, False)
        assert event.isTrusted is True
        assert event.defaultPrevented is False
    opened, message, closed = events
    assert type(opened) is libws.Event
    assert not hasattr(opened, "data")
    assert not hasattr(opened, "code")
    assert type(message) is libws.MessageEvent
    assert message.data == "hi"
    assert message.origin == f"ws://127.0.0.1:{peer.port}"
    assert (message.lastEventId, message.source, message.ports) == ("", None, [])
    assert type(closed) is libws.CloseEvent
    assert (closed.code, closed.reason, closed.wasClean) == (3001, "why", True)
    assert opened.timeStamp <= message.timeStamp <= closed.timeStamp
    for name in ("code", "reason", "wasClean", "type", "target"):
        with pytest.raises(AttributeError):
            setattr(closed, name, 5)
    with pytest.raises(AttributeError):
        message.data = 5


def test_reprs_say_what_an_event_is():
    assert repr(libws.Event("x")) == "<libws.Event 'x'>"
    data = "é" * 41
    shown = [("hi", "'hi'"), (b"hi", "b'hi'"), (None, "None"), (data, f"'{data[:40]}'...")]
    for data, text in shown:
        event = libws.MessageEvent("message", data=data)
        assert repr(event) == f"<libws.MessageEvent 'message' data={text}>"
    event = libws.CloseEvent("close", code=1001, reason="bye", wasClean=True)
    assert repr(event) == "<libws.CloseEvent 'close' code=1001 reason='bye' wasClean=True>"
    event = libws.ErrorEvent("error", message="why")
    assert repr(event) == "<libws.ErrorEvent 'error' message='why'>"


def test_an_event_that_is_kept_keeps_its_message():
    kept = []

    def script(wire):
        wire.open()
        for text in (b"1", b"2", b"3"):
            wire.send(TEXT, text)
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)

        def onmessage(event):
            if event.data != "2":
                kept.append(event)
            if event.data == "3":
                ws.close()

        ws.onmessage = onmessage
        run()
    assert [event.data for event in kept] == ["1", "3"]
    assert kept[0] is not kept[1]


def test_close_events_can_be_made():  # Rows 133, 134, 135.
    event = libws.CloseEvent("foo")
    assert (event.type, event.wasClean, event.code, event.reason) == ("foo", False, 0, "")
    init = {"wasClean": True, "code": 7, "reason": "x", "bubbles": True, "cancelable": True, "other": 1}
    for event in (
        libws.CloseEvent("foo", init),
        libws.CloseEvent("foo", wasClean=True, code=7, reason="x", bubbles=True, cancelable=True),
    ):
        assert (event.wasClean, event.code, event.reason) == (True, 7, "x")
        assert (event.bubbles, event.cancelable, event.composed) == (True, True, False)
        assert event.isTrusted is False
        assert event.target is None
    assert not hasattr(libws.CloseEvent, "initCloseEvent")


def test_the_other_events_can_be_made():
    message = libws.MessageEvent("message", {"data": [1], "origin": "o", "lastEventId": "i"})
    assert (message.data, message.origin, message.lastEventId) == ([1], "o", "i")
    message = libws.MessageEvent("message")
    assert (message.data, message.origin, message.lastEventId) == (None, "", "")
    cause = ValueError("why")
    error = libws.ErrorEvent("error", message="m", error=cause)
    assert (error.message, error.error) == ("m", cause)
    error = libws.ErrorEvent("error")
    assert (error.message, error.error) == ("", None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: libws.Event(),
        lambda: libws.Event(5),
        lambda: libws.Event("a", 5),
        lambda: libws.Event("a", {}, {}),
        lambda: libws.Event("a", nonsense=1),
        lambda: libws.CloseEvent("a", reason=5),
        lambda: libws.CloseEvent("a", code="x"),
        lambda: libws.ControlEvent("ping"),
        lambda: libws.Request(),
        lambda: libws.Timer(),
    ],
)
def test_events_are_made_with_right_arguments_only(call):
    with pytest.raises(TypeError):
        call()


def test_constants_of_events():
    assert [libws.Event.NONE, libws.Event.CAPTURING_PHASE] == [0, 1]
    assert [libws.Event.AT_TARGET, libws.Event.BUBBLING_PHASE] == [2, 3]


# -- Listeners


@pytest.fixture
def target():
    """A socket that never gets anywhere, to dispatch events to."""
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    yield ws
    ws.terminate()
    run()


def fire(target, type="open"):
    return target.dispatchEvent(libws.Event(type))


def test_the_order_is_that_of_first_registration(target):  # Row 250.
    log = []
    target.addEventListener("open", lambda e: log.append("a"))
    target.onopen = lambda e: log.append("h")
    target.addEventListener("open", lambda e: log.append("b"))
    fire(target)
    assert log == ["a", "h", "b"]


def test_a_handler_that_is_replaced_keeps_its_place(target):  # Row 251.
    log = []
    target.addEventListener("open", lambda e: log.append("a"))
    target.onopen = lambda e: log.append("h1")
    target.addEventListener("open", lambda e: log.append("b"))
    target.onopen = lambda e: log.append("h2")
    fire(target)
    assert log == ["a", "h2", "b"]


def test_none_gives_the_place_up(target):  # Rows 252, 254.
    log = []
    target.onopen = lambda e: log.append("h1")
    target.addEventListener("open", lambda e: log.append("b"))
    target.onopen = None
    assert target.onopen is None
    target.onopen = lambda e: log.append("h2")
    fire(target)
    assert log == ["b", "h2"]
    del target.onopen
    assert target.onopen is None


def test_a_handler_reads_back(target):  # Row 253.
    def handler(event):
        pass

    target.onopen = handler
    assert target.onopen is handler


@pytest.mark.parametrize("value", [2, ";", [], object()])
def test_other_handlers_are_type_errors(target, value):  # Row 255.
    with pytest.raises(TypeError):
        target.onopen = value
    with pytest.raises(TypeError):
        target.addEventListener("open", value)
    assert target.onopen is None


class Objective:
    def __init__(self):
        self.log = []

    def handleEvent(self, event):
        self.log.append((self, event.type))


def test_an_object_as_handler_is_kept_but_not_called(target):  # Row 256.
    handler = Objective()
    target.onopen = handler
    assert target.onopen is handler
    fire(target)
    assert handler.log == []


def test_an_object_as_listener_is_called():
    target = libws.EventTarget()
    listener = Objective()
    target.addEventListener("x", listener)
    fire(target, "x")
    assert listener.log == [(listener, "x")]


def test_duplicates_are_called_once(target):  # Rows 258, 259.
    log = []

    class Owner:
        def method(self, event):
            log.append("m")

    owner = Owner()

    def listener(event):
        log.append("f")

    for _ in range(2):
        target.addEventListener("open", listener)
        target.addEventListener("open", owner.method)
    target.onopen = listener
    fire(target)
    assert log == ["f", "m", "f"]
    target.removeEventListener("open", owner.method)
    fire(target)
    assert log == ["f", "m", "f", "f", "f"]


def test_listeners_are_removed(target):  # Rows 260, 261, 262.
    log = []

    def listener(event):
        log.append(1)

    target.addEventListener("open", listener)
    target.removeEventListener("open", listener)
    target.removeEventListener("open", listener)
    target.removeEventListener("open", None)
    fire(target)
    assert log == []
    target.onopen = listener
    target.removeEventListener("open", target.onopen)
    fire(target)
    assert log == [1]


def test_capture_is_part_of_a_listener(target):
    log = []

    def listener(event):
        log.append(event.type)

    target.addEventListener("open", lambda e: log.append("first"))
    target.addEventListener("open", listener, True)
    target.addEventListener("open", listener, {"capture": False, "passive": True})
    target.removeEventListener("open", listener, capture=False)
    fire(target)
    assert log == ["open", "first"]


def test_once_means_once(target):  # Row 263.
    log = []

    def listener(event):
        log.append(event.type)
        fire(target)

    target.addEventListener("open", listener, {"once": True})
    fire(target)
    fire(target)
    assert log == ["open"]


def test_changes_take_effect_with_the_next_event(target):  # Rows 265, 266.
    log = []

    def second(event):
        log.append("second")

    def first(event):
        log.append("first")
        target.addEventListener("open", second)
        target.removeEventListener("open", third)

    def third(event):
        log.append("third")

    target.addEventListener("open", first)
    target.addEventListener("open", third)
    fire(target)
    assert log == ["first"]
    fire(target)
    assert log == ["first", "first", "second"]


@pytest.fixture
def unraisable(monkeypatch):
    caught = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: caught.append((info.exc_value, info.object)))
    return caught


def test_exceptions_are_reported_and_others_still_called(target, unraisable):  # Row 267.
    log = []
    error = ValueError("x")

    def bad(event):
        raise error

    target.addEventListener("open", bad)
    target.addEventListener("open", lambda e: log.append(target.readyState))
    target.onerror = lambda e: log.append("error")
    assert fire(target) is True
    assert log == [0]
    assert unraisable == [(error, bad)]
    unraisable.clear()


def test_a_keyboard_interrupt_goes_up(target):
    def interrupt(event):
        raise KeyboardInterrupt

    target.onopen = interrupt
    with pytest.raises(KeyboardInterrupt):
        fire(target)


def test_stop_immediate_propagation(target):  # Row 269.
    log = []
    target.addEventListener("open", lambda e: (log.append(1), e.stopPropagation()))
    target.addEventListener("open", lambda e: (log.append(2), e.stopImmediatePropagation()))
    target.addEventListener("open", lambda e: log.append(3))
    fire(target)
    fire(target)
    assert log == [1, 2, 1, 2]


def test_prevent_default_needs_a_cancelable_event(target):  # Row 270.
    target.onopen = lambda e: e.preventDefault()
    assert target.dispatchEvent(libws.Event("open")) is True
    event = libws.Event("open", cancelable=True)
    assert target.dispatchEvent(event) is False
    assert event.defaultPrevented is True


def test_events_of_any_name_are_dispatched(target):  # Rows 128, 271, 272, 273.
    log = []
    target.addEventListener("foo", lambda e: log.append((e.type, e.isTrusted, e.target)))
    target.addEventListener("Open", lambda e: log.append("wrong"))
    target.onopen = lambda e: log.append(target.readyState)
    assert fire(target, "foo") is True
    assert fire(target, "FOO") is True
    fire(target)
    assert log == [("foo", False, target), 0]


def test_an_event_that_is_dispatched_cannot_be_again(target):
    def again(event):
        target.dispatchEvent(event)

    errors = []

    def listener(event):
        try:
            again(event)
        except libws.InvalidStateError as error:
            errors.append(error)

    target.onopen = listener
    fire(target)
    assert len(errors) == 1
    with pytest.raises(TypeError):
        target.dispatchEvent("open")


def test_no_listener_is_no_error(target):  # Row 274.
    target.addEventListener("open", None)
    fire(target)


class Signal(libws.EventTarget):
    aborted = False

    def abort(self):
        self.aborted = True
        self.dispatchEvent(libws.Event("abort"))


def test_a_signal_removes_a_listener(target):  # Row 275.
    log = []
    signal = Signal()
    target.addEventListener("open", lambda e: log.append(1), signal=signal)
    fire(target)
    signal.abort()
    fire(target)
    target.addEventListener("open", lambda e: log.append(2), {"signal": signal})
    fire(target)
    assert log == [1]


def test_a_signal_does_not_keep_a_target():
    signal = Signal()
    target = libws.EventTarget()
    target.addEventListener("x", print, signal=signal)
    dead = weakref.ref(target)
    del target
    gc.collect()
    assert dead() is None
    signal.abort()


def test_event_targets_can_be_subclassed():
    class Mine(libws.EventTarget):
        pass

    mine = Mine()
    mine.anything = []
    mine.addEventListener("x", lambda e: mine.anything.append(e.type))
    fire(mine, "x")
    assert mine.anything == ["x"]
    dead = weakref.ref(mine)
    del mine
    gc.collect()
    assert dead() is None


# -- Exceptions


@pytest.mark.parametrize(
    ("kind", "name", "code", "base"),
    [
        (libws.InvalidStateError, "InvalidStateError", 11, RuntimeError),  # Row 386.
        (libws.SyntaxError, "SyntaxError", 12, ValueError),  # Row 387.
        (libws.InvalidAccessError, "InvalidAccessError", 15, ValueError),  # Row 388.
        (libws.SecurityError, "SecurityError", 18, PermissionError),  # Row 389.
        (libws.AbortError, "AbortError", 20, Exception),
    ],
)
def test_dom_exceptions(kind, name, code, base):
    error = kind("why")
    assert isinstance(error, libws.DOMException)
    assert isinstance(error, base)
    assert (error.name, error.code, error.message, str(error)) == (name, code, "why", "why")
    assert kind is not getattr(__builtins__, name, None)
    assert (kind().message, kind().name) == ("", name)


def test_dom_exception_takes_message_and_name():
    error = libws.DOMException("m", "NotFoundError")
    assert (error.message, error.name, error.code, str(error)) == ("m", "NotFoundError", 0, "m")
    assert libws.DOMException().name == "Error"
    with pytest.raises(TypeError):
        libws.DOMException(5)


def test_websocket_errors_have_their_place():
    assert issubclass(libws.ConnectionClosedOK, libws.ConnectionClosed)
    assert issubclass(libws.ConnectionClosedError, libws.ConnectionClosed)
    assert issubclass(libws.InvalidStatus, libws.HandshakeError)
    assert issubclass(libws.ProxyError, libws.HandshakeError)
    assert issubclass(libws.NetworkError, OSError)
    assert issubclass(libws.TLSError, libws.NetworkError)
    assert issubclass(libws.ConnectionTimeout, TimeoutError)
    for name in ("ConnectionClosed", "HandshakeError", "ProtocolError", "PayloadTooBig", "NetworkError"):
        assert issubclass(getattr(libws, name), libws.WebSocketError)


# -- Order and time (section N)


def test_no_event_comes_before_the_loop_runs():  # Rows 276, 277.
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    ws.close()
    assert ws.readyState == 2
    log = record(ws)
    assert log == []
    run()
    assert log == [("error",), ("close", 1006, "", False)]


def test_a_handler_that_closes_another_socket_silences_it():  # Row 280.
    log = []
    go = threading.Event()
    written = threading.Barrier(3)

    def script(wire):
        wire.open()
        go.wait(60)
        wire.write(frame(TEXT, b"1") + frame(TEXT, b"2"))
        written.wait(60)
        wire.receive()

    with Peer(script) as one, Peer(script) as two:
        sockets = [libws.WebSocket(one.url), libws.WebSocket(two.url)]

        def onopen(event):
            if all(ws.readyState == 1 for ws in sockets):
                go.set()
                written.wait(60)

        def onmessage(event):
            log.append(event.data)
            for ws in sockets:
                ws.close()

        for ws in sockets:
            ws.onopen = onopen
            ws.onmessage = onmessage
        run()
    assert log == ["1"]


def test_the_loop_does_not_run_inside_of_a_handler():  # Row 279.
    errors = []

    def onopen(event):
        for call in (libws.run, ws._loop.dispatch, ws._loop.wait):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))
        ws.close()

    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)
        ws.onopen = onopen
        run()
    assert len(errors) == 3
