"""Section T: WebSocketServer, its hooks, topics and end; TLS."""

import socket
import subprocess
import threading

import pytest
from core_peers import CLOSE, TEXT, Client, Wire, accept_of, close_body, frame
from core_run import record, run, run_until, serving

import libws


def talk(server, *scripts):
    """Runs clients one after another, and the loop meanwhile."""
    for script in scripts:
        client = start(server, script)
        run_until(lambda: client.has_ended)  # noqa: B023
        client.finish()


def start(server, script):
    """A client that wakes the loop at its end."""
    return Client(server.port, script, lambda: server._loop.post(lambda: None))


def get(*lines, method=b"GET", target=b"/"):
    """A script that asks with plain HTTP; its `answer` is what came."""

    def script(wire):
        wire.write(b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: h", *lines, b"", b""]))
        script.answer = wire.read_to_end()

    return script


def status_of(script):
    return int(script.answer.split(b" ", 2)[1])


def handshake(*lines, target=b"/"):
    """A script that shakes hands and closes; its `wire` has the answer."""

    def script(wire):
        script.wire = wire
        wire.request(*lines, target=target)
        if wire.status == 101:
            wire.send(CLOSE)
            wire.read_to_end()

    return script


# -- Making


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {}),  # Row 356.
        (("127.0.0.1",), {}),  # Row 356.
        (("127.0.0.1", 0), {"unix": "/tmp/x"}),  # Row 356.
        (("127.0.0.1", 0), {"listen": False}),
        (("127.0.0.1", "80"), {}),
        ((5, 0), {}),
        (("127.0.0.1", 0), {"nonsense": 1}),
        (("127.0.0.1", 0), {"onconnection": 5}),
        (("127.0.0.1", 0), {"socket_class": int}),
        (("127.0.0.1", 0), {"tls": 5}),
        (("127.0.0.1", 0), {"origins": [5]}),
    ],
)
def test_wrong_arguments_are_type_errors(args, options):
    with pytest.raises(TypeError):
        libws.WebSocketServer(*args, **options)


@pytest.mark.parametrize(
    "options",
    [{"port": -1}, {"port": 65536}, {"tls": True}, {"tls": libws.TLSOptions()}, {"path": "chat"}, {"max_message": 0}],
)
def test_wrong_values_are_value_errors(options):
    options = dict(options)
    port = options.pop("port", 0)
    with pytest.raises(ValueError):
        libws.WebSocketServer("127.0.0.1", port, **options)


def test_the_real_port_is_told():  # Row 357.
    with serving() as server:
        assert server.port > 0
        assert server.urls == [f"ws://127.0.0.1:{server.port}"]
        server.listen("127.0.0.1", 0)
        assert len(server.urls) == 2
        assert (server.closing, server.closed, server.clients) == (False, False, set())


def test_failing_to_listen_is_an_error_event_or_an_exception():  # Row 358.
    events = []
    with serving() as server:
        other = libws.WebSocketServer("127.0.0.1", server.port, onerror=events.append)
        assert events == []
        run_until(lambda: other.closed)
        with pytest.raises(libws.NetworkError) as caught:
            server.listen("127.0.0.1", server.port)
    (event,) = events
    assert isinstance(event.error, libws.NetworkError)
    assert isinstance(caught.value, OSError)
    assert str(server.port) in str(caught.value)
    with pytest.raises(libws.InvalidStateError):
        other.listen("127.0.0.1", 0)


def test_unix_sockets_and_listening_descriptors(tmp_path):  # Row 351.
    path = tmp_path / "s.sock"
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    seen = []

    def onconnection(ws, request):
        seen.append((request.target, request.remote.partition(":")[0]))
        ws.close()

    server = libws.WebSocketServer(unix=path, unix_mode=0o600, onconnection=onconnection)
    assert server.port == 0
    assert server.urls == [f"ws+unix:{path}"]
    assert path.stat().st_mode & 0o777 == 0o600
    server.listen(sock=listener)
    assert listener.fileno() == -1
    for url in (f"ws+unix:{path}:/path?q", f"ws://127.0.0.1:{port}/tcp"):
        ws = libws.WebSocket(url)
        ws.onclose = lambda e: libws.stop()
        run()
    server.close()
    run()
    assert seen == [("/path?q", "unix"), ("/tcp", "127.0.0.1")]
    assert not path.exists()


def test_connections_of_others_are_adopted():  # Row 374.
    seen = []
    ours, theirs = socket.socketpair()
    server = libws.WebSocketServer(listen=False, onconnection=lambda ws, request: (seen.append(ws), ws.close()))
    wire = Wire(theirs, masks=True)
    request = wire.request_bytes()
    server.adopt(ours, request[:10])
    assert ours.fileno() == -1
    wire.write(request[10:])
    run_until(lambda: seen)
    wire.read_head()
    assert wire.status == 101
    wire.echo_close()
    theirs.close()
    server.close()
    run()
    assert server.closed


# -- Connections


def test_connection_comes_before_open():  # Rows 130, 359, 360, 382, 383.
    log = []

    def onconnection(ws, request):
        log.append((ws.readyState, request is ws.request, ws.server is server, ws.response))
        log.append((ws.url, request.method, request.target, request.path, request.protocols))
        log.append((request.headers["x-a"], ws.protocol, ws.bufferedAmount, ws.remoteAddress == request.remote))
        assert request.answered
        ws.onopen = lambda e: log.append(e.type)
        ws.onmessage = lambda e: (log.append((e.data, e.origin)), ws.close())

    def script(wire):
        request = wire.request_bytes(
            b"X-A: 1", b"Origin: http://h:81", b"Sec-WebSocket-Protocol: b, a", target=b"/p?q", host=b"h:81"
        )
        wire.write(request + frame(TEXT, b"early", mask=b"abcd"))
        wire.read_head()
        wire.echo_close()

    with serving(onconnection) as server:
        talk(server, script)
    assert log == [
        (1, True, True, None),
        ("ws://h:81/p?q", "GET", "/p?q", "/p", ["b", "a"]),
        ("1", "b", 0, True),
        "open",
        ("early", "http://h:81"),
    ]


def test_clients_are_the_open_sockets():  # Rows 375, 380.
    with serving(lambda ws, request: None) as server:
        go = threading.Event()

        def script(wire):
            wire.request()
            go.wait(60)
            wire.read_to_end()

        clients = [Client(server.port, script) for _ in range(3)]
        run_until(lambda: len(server.clients) == 3)
        assert all(isinstance(ws, libws.WebSocket) for ws in server.clients)
        one = server.clients.pop()
        one.terminate()
        server.broadcast("to all, open or not")
        run_until(lambda: len(server.clients) == 2)
        assert one not in server.clients
        assert server.stats()["opened"] == 3
        go.set()
        for ws in server.clients:
            ws.terminate()
        assert server.clients == set()
        run_until(lambda: server.stats()["connections"] == 0)
        for client in clients:
            client.finish()


def test_sockets_have_the_class_that_is_asked_for():
    class Mine(libws.WebSocket):
        extra = "x"

    seen = []
    with serving(lambda ws, request: (seen.append(ws), ws.close()), socket_class=Mine) as server:
        talk(server, handshake())
    assert type(seen[0]) is Mine
    assert seen[0].extra == "x"


def test_without_tracking_a_socket_nobody_keeps_is_closed():  # Row 375.
    bodies = []
    with serving(lambda ws, request: None, client_tracking=False) as server:
        talk(server, lambda wire: bodies.append(wire.request().echo_close()))
    assert bodies == [b""]


def test_an_exception_in_onconnection_is_reported(monkeypatch):
    import sys

    caught = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: caught.append(info.exc_value))

    def onconnection(ws, request):
        raise ValueError("x")

    with serving(onconnection) as server:
        talk(server, handshake())
    assert [str(error) for error in caught] == ["x"]
    caught.clear()


# -- Handshakes


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (get(), 426),  # Row 361.
        (get(b"Upgrade: websocket", b"Connection: Upgrade", method=b"POST"), 405),  # Row 362.
        (get(b"Upgrade: h2c", b"Connection: Upgrade"), 426),  # Row 363.
    ],
)
def test_what_is_no_handshake_is_refused(script, status):
    with serving() as server:
        talk(server, script)
    assert status_of(script) == status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((b"Sec-WebSocket-Protocol: a,,b",), 400),  # Row 366.
        ((b"Sec-WebSocket-Protocol: a, a",), 400),  # Row 366.
        ((b"Sec-WebSocket-Extensions: ;",), 400),  # Row 367.
        ((b"Sec-WebSocket-Extensions: foo",), 101),  # Row 367.
        ((b"Origin: http://evil",), 403),
        ((b"Origin: http://h",), 101),
    ],
)
def test_handshakes_are_judged(lines, status):
    script = handshake(*lines)
    with serving() as server:
        talk(server, script)
    assert script.wire.status == status


def test_origins_hosts_and_path_are_options():  # Row 368, A-41, A-42.
    scripts = [
        handshake(b"Origin: https://good", target=b"/chat?x"),
        handshake(b"Origin: https://good", target=b"/chatter"),
        handshake(b"Origin: http://h", target=b"/chat"),
    ]
    with serving(origins=["https://good"], hosts="h", path="/chat") as server:
        talk(server, *scripts)
    assert [script.wire.status for script in scripts] == [101, 404, 403]


@pytest.mark.parametrize(
    ("protocols", "offer", "chosen"),
    [
        (None, b"b, a", b"b"),  # Row 369.
        (["a"], b"b, a", b"a"),
        (["c"], b"b, a", None),
        ([], b"b, a", None),
        (None, None, None),
    ],
)
def test_the_first_subprotocol_that_is_spoken_is_chosen(protocols, offer, chosen):
    script = handshake(*([b"Sec-WebSocket-Protocol: " + offer] if offer else []))
    with serving(protocols=protocols) as server:
        talk(server, script)
    assert script.wire.header(b"Sec-WebSocket-Protocol") == ([chosen] if chosen else [])


def held_then_accepted(request):
    request.hold()
    loop = request.server._loop
    loop.timer(0.001, lambda: request.accept("a", {"X-Later": "1"}))


@pytest.mark.parametrize(
    ("hook", "status", "lines"),
    [
        (lambda request: None, 101, {b"Sec-WebSocket-Protocol": b"b"}),
        (lambda request: True, 101, {b"Sec-WebSocket-Protocol": b"b"}),
        (lambda request: "a", 101, {b"Sec-WebSocket-Protocol": b"a"}),  # Row 369.
        (lambda request: "", 101, {b"Sec-WebSocket-Protocol": None}),
        (lambda request: request.accept("a", {"X-B": "2"}), 101, {b"X-B": b"2"}),  # Row 373.
        (lambda request: False, 403, {}),  # Row 371.
        (lambda request: libws.Response(401, "no", {"X-C": "3"}), 401, {b"X-C": b"3"}),  # Row 371.
        (lambda request: request.respond(503, b"later"), 503, {b"Content-Length": b"5"}),
        (held_then_accepted, 101, {b"X-Later": b"1"}),
    ],
)
def test_onupgrade_answers(hook, status, lines):
    connections = []
    script = handshake(b"Sec-WebSocket-Protocol: b, a")
    with serving(lambda ws, request: connections.append(request), onupgrade=hook) as server:
        talk(server, script)
    assert script.wire.status == status
    for name, value in lines.items():
        assert script.wire.header(name) == ([value] if value else [])
    assert len(connections) == (status == 101)


@pytest.mark.parametrize(
    "hook",
    [
        lambda request: "not offered",  # Row 370.
        lambda request: 5,
        lambda request: request.nonsense,
        lambda request: request.accept(headers={"X": "a\r\nb"}),
        lambda request: request.accept(protocol="c"),
        lambda request: request.respond(1000),
    ],
)
def test_hooks_that_fail_are_reported_and_answered_500(hook, monkeypatch):
    import sys

    caught = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: caught.append(info.exc_value))
    script = handshake()
    with serving(onupgrade=hook) as server:
        talk(server, script)
    assert script.wire.status == 500
    assert len(caught) == 1
    caught.clear()


def test_a_request_is_answered_once():
    errors = []

    def hook(request):
        request.accept()
        request.who = "me"
        for call in (request.accept, lambda: request.respond(200), lambda: request.respond_file("/")):
            with pytest.raises(libws.InvalidStateError):
                call()
            errors.append(request.answered)

    seen = []
    with serving(lambda ws, request: seen.append(request.who), onupgrade=hook) as server:
        talk(server, handshake())
    assert errors == [True] * 3
    assert seen == ["me"]


def test_a_client_that_leaves_is_not_connected():  # Row 372.
    held = []
    connections = []

    def hook(request):
        request.hold()
        held.append(request)

    def script(wire):
        wire.write(wire.request_bytes())
        while not held:
            threading.Event().wait(0.001)

    with serving(lambda ws, request: connections.append(ws), onupgrade=hook) as server:
        talk(server, script)
        run_until(lambda: server.stats()["connections"] == 0)
        (request,) = held
        assert request.answered
        with pytest.raises(libws.InvalidStateError):
            request.accept()
    assert connections == []


# -- Plain HTTP


def test_onrequest_answers():
    def hook(request):
        assert not request.is_upgrade
        if request.path == "/response":
            return libws.Response(200, "héllo", {"Content-Type": "text/plain"})
        if request.path == "/respond":
            request.respond(201, b"made")
        return None

    scripts = [get(target=b"/response"), get(target=b"/respond?x"), get(target=b"/else")]
    with serving(onrequest=hook) as server:
        talk(server, *scripts)
    assert [status_of(script) for script in scripts] == [200, 201, 426]
    assert scripts[0].answer.endswith("héllo".encode())
    assert b"Content-Type: text/plain\r\n" in scripts[0].answer


def test_root_serves_files(tmp_path):
    (tmp_path / "index.html").write_text("<p>")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.txt").write_text("other")

    def hook(request):
        if request.path == "/x.txt":
            request.respond_file(tmp_path / "other")

    scripts = [get(target=b"/"), get(target=b"/none"), get(target=b"/x.txt")]
    with serving(root=tmp_path, onrequest=hook) as server:
        talk(server, *scripts)
    assert [status_of(script) for script in scripts] == [200, 404, 200]
    assert scripts[0].answer.endswith(b"<p>")
    assert scripts[2].answer.endswith(b"other")


def test_headers_are_a_case_insensitive_multi_mapping():
    from collections.abc import Mapping

    headers = libws.Headers([("X-A", "1"), ("x-b", "é"), ("x-a", "2"), ("__class__", "z")])
    assert isinstance(headers, Mapping)
    assert headers["x-A"] == "1"
    assert headers.get("X-B") == "é"
    assert headers.get("none") is None
    assert headers.get("none", 5) == 5
    assert headers.get_all("X-a") == ["1", "2"]
    assert headers.get_all("none") == []
    assert list(headers) == ["X-A", "x-b", "__class__"]
    assert len(headers) == 3
    assert "X-a" in headers
    assert 5 not in headers
    assert list(headers.items()) == [("X-A", "1"), ("x-b", "é"), ("__class__", "z")]
    assert list(headers.values()) == ["1", "é", "z"]
    assert dict(headers) == {"X-A": "1", "x-b": "é", "__class__": "z"}
    assert headers.raw_items() == [("X-A", "1"), ("x-b", "é"), ("x-a", "2"), ("__class__", "z")]
    assert repr(headers).startswith("Headers([('X-A', '1'),")
    with pytest.raises(KeyError):
        headers["none"]
    with pytest.raises(TypeError):
        libws.Headers(5)
    assert list(libws.Headers()) == []
    assert libws.Headers(headers).raw_items() == headers.raw_items()


def test_responses_can_be_made():
    response = libws.Response(404, b"x", [("A", "b")], "Nope")
    assert (response.status, response.body, response.reason) == (404, b"x", "Nope")
    assert response.headers["a"] == "b"
    assert libws.Response().body == b""
    with pytest.raises(ValueError):
        libws.Response(99)
    with pytest.raises(TypeError):
        libws.Response(200, 5)


# -- Topics


def test_topics_reach_their_subscribers():
    got = {"a": [], "b": []}
    ready = []

    def onconnection(ws, request):
        name = request.target[1:]
        ws.subscribe("all")
        ws.subscribe(name)
        ws.onmessage = lambda e: ws.publish("all", name + e.data)
        ready.append(name)

    def client(name):
        def script(wire):
            wire.request(target=b"/" + name.encode())
            while True:
                first, payload = wire.receive()
                if first == 0x88:
                    wire.send(CLOSE, payload)
                    return
                got[name].append(payload)
                server._loop.post(lambda: None)
                if payload == b"go" and name == "a":
                    wire.send(TEXT, b"!")

        return script

    with serving(onconnection) as server:
        clients = [start(server, client(name)) for name in "ab"]
        run_until(lambda: len(ready) == 2)
        server.publish("a", "only a")
        server.publish("nobody", "x")
        server.broadcast(b"both", compress=False)
        (first,) = [ws for ws in server.clients if ws.request.target == "/b"]
        server.publish("all", "not b", exclude=first)
        server.broadcast("nor b", exclude=first)
        first.unsubscribe("a")
        server.broadcast("go")
        run_until(lambda: b"a!" in got["b"])
        server.close(1001, "end")
        run_until(lambda: all(client.has_ended for client in clients))
        for one in clients:
            one.finish()
    assert got["a"] == [b"only a", b"both", b"not b", b"nor b", b"go"]
    assert got["b"] == [b"both", b"go", b"a!"]


def test_topics_need_a_server_and_a_name():
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    for call in (lambda: ws.subscribe("a"), lambda: ws.publish("a", "b")):
        with pytest.raises(libws.InvalidStateError):
            call()
    ws.terminate()
    run()
    with serving() as server:
        for call, error in (
            (lambda: server.publish("a"), TypeError),
            (lambda: server.publish(None, "a"), TypeError),
            (lambda: server.publish(5, "a"), TypeError),
            (lambda: server.publish("", "a"), ValueError),
            (lambda: server.broadcast(5), TypeError),
            (lambda: server.broadcast("a", nonsense=1), TypeError),
            (lambda: server.broadcast("a", exclude=5), TypeError),
        ):
            with pytest.raises(error):
                call()


# -- The end


def test_close_ends_in_good_order():  # Rows 376, 377, 379.
    log = []
    bodies = []

    def onconnection(ws, request):
        ws.onclose = lambda e: log.append((e.code, e.reason, e.wasClean))
        server.close(1012, "again", timeout=5)
        server.close()

    server = libws.WebSocketServer("127.0.0.1", 0, onconnection=onconnection, onclose=lambda: log.append("closed"))
    client = Client(server.port, lambda wire: bodies.append(wire.request().echo_close()))
    run()
    client.finish()
    assert bodies == [close_body(1012, "again")]
    assert log == [(1012, "again", True), "closed"]
    assert (server.closing, server.closed) == (True, True)
    server.close()
    for call in (server.stats, lambda: server.broadcast("x"), server.stop_listening):
        with pytest.raises(libws.InvalidStateError):
            call()
    assert (server.clients, server.urls, server.port) == (set(), [], 0)


def test_a_server_lives_while_it_listens():
    import gc

    log = []
    port = libws.WebSocketServer(
        "127.0.0.1", 0, onconnection=lambda ws, request: (log.append(1), ws.server.close())
    ).port
    gc.collect()
    client = Client(port, lambda wire: wire.request().echo_close())
    run()
    client.finish()
    assert log == [1]


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls_works_and_verifies(certificate):
    cert, key = certificate
    log = []
    infos = []
    own = libws.TLSOptions(certfile=cert, keyfile=str(key))
    with serving(lambda ws, request: log.append(ws.url), tls=own) as server:
        assert server.urls[0].startswith("wss://")
        for tls in (
            libws.TLSOptions(cafile=cert),
            libws.TLSOptions(cadata=cert.read_text(), min_version="1.3"),
            libws.TLSOptions(insecure_no_verify=True),
            None,
            True,
        ):
            ws = libws.WebSocket(server.urls[0], tls=tls)
            ws.onopen = lambda e: (infos.append(ws.tlsInfo()), ws.close(1000))
            ws.onerror = lambda e: log.append(type(e.error))
            ws.onclose = lambda e: libws.stop()
            run()
        own.reload()
    url = server_url = f"wss://127.0.0.1:{log[0].rsplit(':', 1)[1]}"
    assert url == server_url
    assert log[:3] == [log[0]] * 3
    assert log[3:] == [libws.TLSError] * 2
    assert [info["version"] for info in infos] == ["TLSv1.3"] * 3
    assert infos[0]["server_name"] == ""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cafile": 5}, TypeError),
        ({"min_version": "1.1"}, ValueError),
        ({"client_auth": "maybe"}, ValueError),
        ({"nonsense": 1}, TypeError),
        ({"certificates": [5]}, TypeError),
        ({"certificates": [{"nonsense": "x"}]}, TypeError),
        ({"cadata": "a\0b"}, ValueError),
    ],
)
def test_tls_options_are_checked(options, error):
    with pytest.raises(error):
        libws.TLSOptions(**options)
    with pytest.raises(TypeError):
        libws.TLSOptions("x")
