"""Connection: the engine without I/O."""

import weakref

import pytest
from core_peers import CLOSE, PING, TEXT, accept_of, close_body, frame
from core_run import collect

import libws


def pump(client, server, cut=1 << 20, accept=True):
    """Carries bytes both ways, `cut` at a time; returns the events of both."""
    events = {"client": [], "server": []}
    while True:
        quiet = True
        for source, sink in ((client, server), (server, client)):
            while data := source.output(cut):
                quiet = False
                sink.feed(data)
            for event in sink.events():
                quiet = False
                events[sink.role].append(event)
                if event.type == "request" and accept:
                    sink.accept(*event.request.protocols[:1])
        if quiet:
            return events["client"], events["server"]


def pair(cut=1 << 20, **options):
    client = libws.Connection("client")
    server = libws.Connection("server", **options)
    client.connect("ws://h:81/p?q", ["a", "b"], headers={"X-A": "1"}, origin="http://h:81")
    return client, server, pump(client, server, cut)


@pytest.mark.parametrize("cut", [1 << 20, 1, 7])
def test_a_handshake_opens_both_ends(cut):
    client, server, (client_events, server_events) = pair(cut)
    assert [event.type for event in server_events] == ["request", "open"]
    request = server_events[0].request
    assert request is server.request
    assert type(server_events[0]) is libws.RequestEvent
    assert (request.target, request.protocols, request.is_upgrade) == ("/p?q", ["a", "b"], True)
    assert request.headers["x-a"] == "1"
    assert (request.server, request.remote, request.answered) == (None, "", True)
    assert [event.type for event in client_events] == ["open"]
    assert client.response.status == 101
    assert (client.role, server.role) == ("client", "server")
    assert (client.url, server.url) == ("ws://h:81/p?q", None)
    assert (client.protocol, server.protocol) == ("a", "a")
    assert (client.readyState, server.readyState) == (1, 1)
    with pytest.raises(libws.InvalidStateError):
        request.accept()
    with pytest.raises(libws.InvalidStateError):
        server.accept()


@pytest.mark.parametrize("compression", [True, False])
@pytest.mark.parametrize("cut", [1 << 20, 1000])
def test_messages_go_both_ways(cut, compression):
    client, server, _ = pair(compression=compression)
    assert bool(client.extensions) == compression
    messages = ["é" * 50000, b"x" * 100000, "", b"", "last"]
    for end in (client, server):
        for message in messages:
            end.send(message)
    assert client.bufferedAmount == 200004
    for events in pump(client, server, cut):
        assert [event.data for event in events] == messages
        assert all(type(event) is libws.MessageEvent for event in events)
    assert client.bufferedAmount == 0
    assert client.stats()["messages_sent"] == 5
    assert server.stats()["messages_received"] == 5


def test_origins_of_messages():
    client, server, _ = pair()
    client.send("x")
    server.send("y")
    (from_server,), (from_client,) = pump(client, server)
    assert from_server.origin == "ws://h:81"
    assert from_client.origin == "http://h:81"


def test_the_end():
    client, server, _ = pair()
    client.close(3000, "why")
    assert client.readyState == 2
    client_events, server_events = pump(client, server)
    server.feed_eof()
    client.feed_eof()
    for events in (client_events + list(client.events()), server_events + list(server.events())):
        (event,) = events
        assert (event.type, event.code, event.reason, event.wasClean) == ("close", 3000, "why", True)
    assert client.next_event() is None
    assert client.timeout is None


def test_pings_and_control():
    client, server, _ = pair()
    server.pong(b"b")
    (pong,), _ = pump(client, server)
    assert (type(pong), pong.type, pong.data, pong.rtt) == (libws.ControlEvent, "pong", b"b", None)
    client.ping("a")
    (pong,), (ping,) = pump(client, server)
    assert (ping.type, ping.data, ping.rtt) == ("ping", b"a", None)
    assert (pong.type, pong.data) == ("pong", b"a")
    assert pong.rtt >= 0
    with pytest.raises(ValueError):
        client.ping(bytes(126))


def test_faults_are_errors():
    client, server, _ = pair()
    client.feed(frame(3))
    assert client.next_event() is None  # The peer is told first.
    server.feed(client.output())
    assert server.next_event() is None
    server.output()
    (told,) = server.events()
    assert (told.code, told.reason != "") == (1002, True)
    client.feed_eof()
    error, close = client.events()
    assert type(error) is libws.ErrorEvent
    assert error.error.code == "WS_ERR_INVALID_OPCODE"
    assert (close.code, close.wasClean) == (1006, False)


def test_plain_http_is_answered():
    server = libws.Connection("server")
    server.feed(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
    (event,) = server.events()
    assert not event.request.is_upgrade
    server.respond(200, "hi", {"X-A": "1"})
    answer = server.output()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nX-A: 1\r\n" in answer
    assert answer.endswith(b"\r\n\r\nhi")
    (event,) = server.events()
    assert event.type == "close"


def test_a_refused_client_has_the_response():
    client = libws.Connection("client")
    client.connect("ws://h/")
    client.output()
    client.feed(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
    error, _ = client.events()
    assert type(error.error) is libws.InvalidStatus
    assert (error.error.status, error.error.response.body) == (404, b"no")


def test_streaming_and_pausing():
    client, server, _ = pair()
    server.set_streaming(True)
    client.send("a", fin=False)
    client.send("b")
    _, events = pump(client, server)
    assert b"".join(event.data[0] for event in events) == b"ab"
    assert all(event.data[1] for event in events)
    server.set_streaming(False)
    server.pause()
    client.send("later")
    data = client.output()
    server.feed(data)
    assert server.next_event() is None
    server.resume()
    assert server.next_event().data == "later"


def test_input_may_be_fed_before_all_events_are_taken():
    client, server, _ = pair()
    for i in range(3):
        client.send(f"{i}" * 100)
        server.feed(client.output())
    assert [event.data for event in server.events()] == [f"{i}" * 100 for i in range(3)]
    server.feed(b"")
    assert server.next_event() is None


def test_deadlines_are_told():
    client = libws.Connection("client", handshake_timeout=0.001)
    client.connect("ws://h/")
    assert 0 <= client.timeout <= 0.001
    while client.timeout > 0:
        client.tick()
    error, close = client.events()
    assert error.error.code == "WS_ERR_HANDSHAKE_TIMEOUT"
    assert close.code == 1006


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: libws.Connection(), TypeError),
        (lambda: libws.Connection("peer"), ValueError),
        (lambda: libws.Connection("client", nonsense=1), TypeError),
        (lambda: libws.Connection("client", max_message=0), ValueError),
        (lambda: libws.Connection("server").connect("ws://h/"), libws.InvalidStateError),
        (lambda: libws.Connection("client").connect("nonsense"), libws.SyntaxError),
        (lambda: libws.Connection("client").connect("ws://h/", "a b"), libws.SyntaxError),
        (lambda: libws.Connection("client").connect("ws://h/", headers={"Host": "x"}), TypeError),
        (lambda: libws.Connection("client").send("x"), libws.InvalidStateError),
        (lambda: libws.Connection("client").send(5), TypeError),
        (lambda: libws.Connection("client").feed("x"), TypeError),
        (lambda: libws.Connection("client").close(999), libws.InvalidAccessError),
        (lambda: libws.Connection.__new__(libws.Connection).tick(), RuntimeError),
    ],
)
def test_wrong_calls_raise(call, error):
    with pytest.raises(error):
        call()


def test_abort_ends_without_a_word():
    client, server, _ = pair()
    client.abort(True)
    error, close = client.events()
    assert error.error.code == "WS_ERR_TRANSPORT"
    server.abort()
    (close,) = server.events()
    assert (close.code, client.output(), server.output()) == (1006, b"", b"")


def test_connections_can_be_subclassed_and_collected():
    class Mine(libws.Connection):
        pass

    mine = Mine("client")
    mine.itself = mine
    dead = weakref.ref(mine)
    del mine
    collect()
    assert dead() is None
