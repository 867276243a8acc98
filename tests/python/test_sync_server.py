"""libws.sync as a server: a thread for each connection."""

import contextlib
import socket
import subprocess
import sys
import threading

import libws
import pytest
from libws.sync import basic_auth, broadcast, connect, route, serve

from core_peers import CLOSE, TEXT, Client, close_body
from shells import LIMIT


def echo(ws):
    for message in ws:
        ws.send(message)


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with server:
            yield server
    finally:
        thread.join(LIMIT)
        assert not thread.is_alive()


def serving(handler=echo, **options):
    return running(serve(handler, "127.0.0.1", 0, **options))


def url(server):
    return f"ws://127.0.0.1:{server.port}/"


def status_of(uri, **options):
    with pytest.raises(libws.InvalidStatus) as caught:
        connect(uri, **options)
    return caught.value.status


def test_handler_talks_to_each_client():
    with serving() as server:
        with connect(url(server)) as one, connect(url(server)) as two:
            assert len(server.connections) == 2
            one.send("a")
            two.send(b"b")
            assert (one.recv(LIMIT), two.recv(LIMIT)) == ("a", b"b")
            broadcast(server.connections, "to all")
            assert (one.recv(LIMIT), two.recv(LIMIT)) == ("to all", "to all")


def test_messages_sent_with_the_handshake_are_kept():  # Row 360.
    def script(wire):
        wire.write(wire.request_bytes())
        wire.send(TEXT, b"early")
        wire.read_head()
        wire.expect(TEXT, b"early")
        wire.send(CLOSE, close_body(1000))
        wire.expect(CLOSE, close_body(1000))

    with serving() as server:
        Client(server.port, script).finish()


def test_plain_requests_and_hooks():  # Rows 361, 371.
    def hook(connection, request):
        connection.greeting = "hello"
        if request.path == "/page":
            return libws.Response(200, "the page")
        return connection.respond(418, "no") if request.path == "/teapot" else None

    def get(target, status, body):
        def script(wire):
            wire.write(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
            wire.read_head()
            assert wire.status == status
            assert body in wire.read_to_end()

        return script

    with serving(lambda ws: ws.send(ws.greeting), process_request=hook) as server:
        Client(server.port, get(b"/page", 200, b"the page")).finish()
        Client(server.port, get(b"/", 426, b"")).finish()
        assert status_of(url(server) + "teapot") == 418
        with connect(url(server)) as ws:
            assert ws.recv(LIMIT) == "hello"
            ws.wait_closed(LIMIT)
            assert ws.close_code == 1000


def test_subprotocols_origins_headers():  # Rows 369, 373, A-41.
    def hook(connection, request, response):
        return libws.Response(response.status, headers={"X-A": "1"})

    options = {"subprotocols": ["a", "b"], "process_response": hook}
    with serving(origins=["https://a.example"], **options) as server:
        with connect(url(server), subprotocols=["x", "b"], origin="https://a.example") as ws:
            assert ws.subprotocol == "b"
            assert ws.response.headers["X-A"] == "1"
        assert status_of(url(server), origin="https://evil.example") == 403


def test_basic_auth_and_routes():
    def room(ws, name):
        ws.send(f"{ws.username} in {name}")

    hook = basic_auth("r", ("ann", "x"))
    with running(route({"/chat/{name}": room}, "127.0.0.1", 0, process_request=hook)) as server:
        base = f"ws://ann:x@127.0.0.1:{server.port}"
        assert status_of(base) == 404
        assert status_of(url(server) + "chat/a") == 401
        with connect(base + "/chat/a") as ws:
            assert ws.recv(LIMIT) == "ann in a"


def test_failing_handler_closes_with_1011(monkeypatch):
    reported = []
    monkeypatch.setattr("sys.excepthook", lambda *what: reported.append(what[0]))

    def handler(ws):
        raise ZeroDivisionError

    with serving(handler) as server:
        ws = connect(url(server))
        with pytest.raises(libws.ConnectionClosedError) as caught:
            ws.recv(LIMIT)
        assert caught.value.code == 1011
    assert reported == [ZeroDivisionError]


def test_shutdown_closes_and_waits():  # Row 376.
    ended = []

    def handler(ws):
        with contextlib.suppress(libws.ConnectionClosed):
            ws.recv()
        ended.append(ws.close_code)

    with serving(handler) as server:
        ws = connect(url(server))
        client = threading.Thread(target=ws.wait_closed)
        client.start()
        server.shutdown(1012, "restart")
        assert ended == [1012]
        client.join(LIMIT)
        assert (ws.close_code, ws.close_reason) == (1012, "restart")
        with pytest.raises(OSError):
            connect(url(server))


def test_handler_may_shut_down():
    server = serve(lambda ws: server.shutdown(), "127.0.0.1", 0)
    with running(server):
        ws = connect(url(server))
        ws.wait_closed(LIMIT)
        assert ws.close_code == 1001


def test_connections_beyond_the_limit_are_dropped():
    with serving(max_connections=1) as server, connect(url(server)):
        with pytest.raises(libws.WebSocketError):
            connect(url(server))


def test_client_that_leaves_early_leaves_nothing():
    def script(wire):
        wire.write(b"GET / HTTP/1.1\r\n")

    with serving() as server:
        for _ in range(3):
            Client(server.port, script).finish()
        with connect(url(server)) as ws:
            ws.send("x")
            assert ws.recv(LIMIT) == "x"


def test_unix_socket_and_taken_sockets(tmp_path):
    path = tmp_path / "s.sock"
    for _ in range(2):  # The second finds the file of the first.
        with running(serve(echo, unix=path)) as server:
            assert server.port == 0
            with connect(f"ws+unix:{path}:/") as ws:
                ws.send("x")
                assert ws.recv(LIMIT) == "x"
    listener = socket.create_server(("127.0.0.1", 0))
    with running(serve(echo, sock=listener)) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with connect("ws://name.example/", sock=sock) as ws:
            ws.send("x")
            assert ws.recv(LIMIT) == "x"


def test_server_that_has_been_shut_down_serves_nobody():
    server = serve(lambda ws: None, "127.0.0.1", 0)
    server.shutdown()
    server.serve_forever()  # Returns at once.


def test_address_in_use_is_an_os_error():
    with serving() as server:
        with pytest.raises(OSError):
            serve(echo, "127.0.0.1", server.port)


LEAVES_NOTHING_OPEN = """
import gc, threading
from libws.sync import connect, serve

with serve(lambda ws: ws.send("hi"), "127.0.0.1", 0) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with connect(f"ws://127.0.0.1:{server.port}/") as ws:
        assert ws.recv() == "hi"
    server.shutdown()
thread.join()
del thread, server
serve(print, "127.0.0.1", 0).shutdown()
gc.collect()
"""


def test_server_leaves_no_socket_open():
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c"]
    run = subprocess.run(
        [*command, LEAVES_NOTHING_OPEN], capture_output=True, text=True, timeout=6 * LIMIT
    )
    assert (run.returncode, run.stderr) == (0, "")
