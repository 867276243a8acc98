"""Sections J and K: what close() takes, and how connections end."""

import math
import socket
import threading

import pytest
from core_peers import CLOSE, TEXT, Client, Peer, close_body, echo, frame
from core_run import FAILED, record, run, run_until, serving

import libws

BAD_CODES = [
    *(0, 500, 999, 1001, 1005, 1006, 1011, 1015, 2999, 5000, 65536 + 1000, -1, 1 << 80, True),
    *(math.nan, math.inf, -math.inf, 999.0),  # Row 194.
]


@pytest.fixture(params=["connecting", "open", "closing", "closed"])
def state(request):
    return request.param


def test_bad_codes_are_invalid_access(state):  # Rows 190, 191, 192, 230.
    def check(ws, expected):
        assert ws.readyState == expected
        for code in BAD_CODES:
            with pytest.raises(libws.InvalidAccessError):
                ws.close(code)
        with pytest.raises(libws.InvalidAccessError):
            ws.close(999, "x" * 124)  # Row 199.
        with pytest.raises(libws.SyntaxError):
            ws.close(1000, "x" * 124)
        for args in (("text",), (1000.4,), (1000, 5), (1000, b"x"), ([],)):
            with pytest.raises(TypeError):
                ws.close(*args)
        assert ws.readyState == expected

    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        if state == "connecting":
            check(ws, 0)

        def onopen(event):
            if state == "open":
                check(ws, 1)
            ws.close(1000)
            if state == "closing":
                check(ws, 2)

        ws.onopen = onopen
        run()
        if state == "closed":
            check(ws, 3)
    assert log == [("open",), ("close", 1000, "", True)]


@pytest.mark.parametrize(
    ("args", "body", "event"),
    [
        ((), b"", (1005, "")),  # Row 204.
        ((None,), b"", (1005, "")),  # Row 203.
        ((None, ""), b"", (1005, "")),  # Row 202.
        ((None, "bye"), close_body(1000, "bye"), (1000, "bye")),  # Row 202.
        ((1000, "Clean Close"), close_body(1000, "Clean Close"), (1000, "Clean Close")),  # Row 205.
        ((1000.0,), close_body(1000), (1000, "")),  # Row 195.
        ((3000, "x"), close_body(3000, "x"), (3000, "x")),  # Row 206.
        ((4999, ""), close_body(4999), (4999, "")),  # Row 206.
        ((1000, "x" * 123), close_body(1000, "x" * 123), (1000, "x" * 123)),  # Row 196.
        ((1000, "\ud807"), close_body(1000, "\ufffd"), (1000, "\ufffd")),  # Row 200.
    ],
)
def test_close_sends_what_it_is_given(args, body, event):
    bodies = []
    results = []
    with Peer(lambda wire: bodies.append(wire.open().echo_close())) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: results.append(ws.close(*args))
        run()
    assert bodies == [body]
    assert results == [None]  # Row 201.
    assert log == [("open",), ("close", *event, True)]  # Row 138.


def test_close_takes_keywords():
    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.close(code=3000, reason="r")
        run()
    assert log[-1] == ("close", 3000, "r", True)


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 4999])
def test_codes_of_the_peer_are_clean(code):  # Row 214.
    def script(wire):
        wire.open().send(CLOSE, close_body(code, "r"))
        wire.expect(CLOSE, close_body(code, "r"))

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        run()
    assert log == [("open",), ("close", code, "r", True)]


@pytest.mark.parametrize("code", [1001, 1008, 1011, 1012, 1013])
def test_close_with_takes_every_code_of_the_wire(code):  # Rows 230, 379.
    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.closeWith(code, "r")
        run()
    assert log == [("open",), ("close", code, "r", True)]


def test_close_with_refuses_codes_that_are_not_for_the_wire():
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    for code in (999, 1004, 1005, 1006, 1015, 2000, 5000):
        with pytest.raises(libws.InvalidAccessError):
            ws.closeWith(code)
    ws.terminate()
    run()


def test_a_peer_that_does_not_answer_is_given_up():  # Rows 217, 346.
    done = threading.Event()

    def script(wire):
        wire.open().receive()
        done.wait(60)

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, close_timeout=0.05)
        log = record(ws)
        errors = []
        ws.addEventListener("error", lambda e: errors.append(e.error.code))
        ws.onopen = lambda e: ws.close(1000)
        run()
        done.set()
    assert log == [("open",), *FAILED]
    assert errors == ["WS_ERR_CLOSE_TIMEOUT"]


def test_a_peer_that_does_not_end_tcp_is_cut_off():  # Rows 216, 220.
    done = threading.Event()

    def script(wire):
        # What answers the Close is there when it is sent, so that its time never is up.
        wire.open().write(frame(TEXT, b"x") + frame(CLOSE, close_body(3000)))
        wire.expect(CLOSE, close_body(3000))
        done.wait(60)

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url, close_timeout=0.05)
        log = record(ws)
        ws.onmessage = lambda e: ws.close(3000)
        run()
        done.set()
    assert log == [("open",), ("message", "x"), ("close", 3000, "", True)]


def test_a_close_that_is_not_answered_is_1006():  # Row 218.
    with Peer(lambda wire: wire.open().receive()) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.close(4000, "because")
        run()
    assert log == [("open",), *FAILED]


def test_closing_again_does_nothing():  # Rows 221, 222.
    def script(wire):
        wire.open().echo_close()
        assert wire.end() == b""

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: [ws.close() for _ in range(3)]
        ws.onclose = lambda e: ws.close()
        run()
    assert log == [("open",), ("close", 1005, "", True)]
    assert ws.readyState == 3


@pytest.mark.parametrize("args", [(), (3000, "x")])
def test_close_while_connecting_fails_later(args):  # Rows 223, 224, 225, 226.
    with Peer(lambda wire: wire.read_to_end()) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.close(*args)
        assert ws.readyState == 2
        assert log == []
        states = []
        ws.onclose = lambda e: states.append(ws.readyState)
        run()
        # If nobody came, the peer still waits for somebody.
        socket.create_connection(("127.0.0.1", peer.port)).close()
    assert log == FAILED
    assert states == [3]


def test_close_as_the_first_act_is_clean():  # Row 227.
    with Peer(lambda wire: wire.open().echo_close()) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onopen = lambda e: ws.close()
        run()
    assert log == [("open",), ("close", 1005, "", True)]


def test_close_in_a_message_handler_drops_the_rest():  # Row 228.
    def script(wire):
        wire.open().write(frame(TEXT, b"x") * 6)
        wire.echo_close()

    with Peer(script) as peer:
        ws = libws.WebSocket(peer.url)
        log = record(ws)
        ws.onmessage = lambda e: ws.close()
        run()
    assert log == [("open",), ("message", "x"), ("close", 1005, "", True)]


def test_a_server_closes_as_a_client_does():  # Rows 204, 205, 382.
    logs = []
    bodies = []

    def onconnection(ws, request):
        logs.append(record(ws))
        ws.close(1000, "done")

    with serving(onconnection) as server:
        client = Client(server.port, lambda wire: bodies.append(wire.request().echo_close()))
        run_until(lambda: logs and len(logs[0]) == 2)
        client.finish()
    assert bodies == [close_body(1000, "done")]
    assert logs == [[("open",), ("close", 1000, "done", True)]]
