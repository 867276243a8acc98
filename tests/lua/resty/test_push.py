"""Sending to a connection from other requests of the worker."""

from support.frames import BINARY


def test_another_request_sends_to_a_socket(nginx, connect):
    client = connect("named?name=ann")
    assert client.read_message() == b"ready"
    assert nginx.get("/app/tell?name=ann&text=hello") == (200, "1\n")
    assert client.read_message() == b"hello"
    client.close()
    assert nginx.get("/app/tell?name=ann&text=hello") == (200, "nobody\n")


def test_a_topic_reaches_its_subscribers(nginx, connect):
    red, other_red, blue = (connect(f"subscribe?topic={topic}") for topic in ("red", "red", "blue"))
    for client in (red, other_red, blue):
        assert client.read_message() == b"ready"
    nginx.get("/app/publish?topic=red&text=1")
    nginx.get("/app/publish?topic=blue&text=2")
    nginx.get("/app/publish?topic=green&text=3")
    nginx.get("/app/publish?text=4")
    for client, messages in ((red, [b"1", b"4"]), (other_red, [b"1", b"4"]), (blue, [b"2", b"4"])):
        assert [client.read_message(), client.read_message()] == messages


def test_a_broadcast_may_be_binary(nginx, connect):
    client = connect("named?name=ann")
    client.read_message()
    nginx.get("/app/publish?text=x")
    assert client.read().opcode == BINARY


def test_a_socket_publishes_to_all_but_itself(connect):
    clients = [connect("subscribe?topic=room") for _ in range(3)]
    for client in clients:
        assert client.read_message() == b"ready"
    clients[0].send("hi")
    assert clients[1].read_message() == b"hi"
    assert clients[2].read_message() == b"hi"
    clients[1].send("there")
    assert clients[0].read_message() == b"there"


def test_who_has_left_gets_nothing(nginx, connect):
    client = connect("subscribe?topic=room")
    client.read_message()
    client.send("leave")
    assert client.read_message() == b"left"
    nginx.get("/app/publish?topic=room&text=1")
    nginx.get("/app/publish?text=2")
    assert client.read_message() == b"2"


def test_a_topic_reaches_compressed_and_plain_connections(nginx, connect):
    plain = connect("subscribe?topic=room")
    deflated = connect("subscribe?topic=room&compression=yes", compress=True)
    for client in (plain, deflated):
        assert client.read_message() == b"ready"
    text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    nginx.get("/app/publish?topic=room&text=" + text)
    assert plain.read_message() == text.encode()
    frame = deflated.read()
    assert frame.rsv1 and len(frame.payload) < len(text)


def test_nothing_is_kept_of_sockets_that_are_gone(nginx, connect):
    for _ in range(5):
        client = connect("subscribe?topic=room")
        client.read_message()
        client.close()
    assert nginx.get("/app/clients") == (200, "0\n")


def test_a_request_that_dies_takes_its_socket_along(nginx, connect):
    client = connect("abort")
    assert client.read_message() == b"ready"
    client.send("die")
    assert client.is_at_end()
    nginx.expect_error("on purpose")
    # Who sends to it finds it closed, and nothing queues up.
    assert nginx.get("/app/tell?name=aborted&text=x") == (200, "3\n")
    assert nginx.get("/app/clients") == (200, "0\n")
