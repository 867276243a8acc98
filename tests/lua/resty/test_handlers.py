"""Handlers that wait, raise, and send from elsewhere."""

from support.frames import CLOSE, PING, PONG


def test_a_handler_that_waits_has_sent_before_and_holds_up_the_next_message(connect):
    client = connect("slow-handler")
    client.send("a")
    client.send("b")
    assert [client.read_message() for _ in range(4)] == [b"start a", b"end a", b"start b", b"end b"]


def test_a_handler_may_wait_for_its_own_connection(nginx, connect):
    client = connect("receiving-handler")
    client.send("a")
    assert client.read_message() == b"first a"
    client.send("b")
    assert client.read_message() == b"second b"
    frame = client.read()
    assert (frame.opcode, frame.close_code) == (CLOSE, 3000)
    client.send(frame.payload, CLOSE)
    nginx.wait_for_log("waited: 3000true")


def test_a_handler_that_raises_harms_no_other(nginx, connect):
    # Row 401.
    client = connect("raising-handler")
    for text in (b"x", b"y"):
        client.send(text)
        assert client.read_message() == b"second got " + text
    nginx.expect_error("by the first")
    assert "libws: error in a handler: " in nginx.log()
    assert "stack traceback" in nginx.log()


def test_a_peer_is_not_blamed_for_a_handler_that_takes_long(nginx, connect):
    client = connect("blocked-handler")
    client.send("go")
    frame = client.read()
    while frame.opcode == PING:
        client.send(frame.payload, PONG)
        frame = client.read()
    assert frame.payload == b"still here"
    assert "blocked closed" not in nginx.log()


def test_light_threads_send_while_another_reads(connect):
    client = connect("light-threads")
    client.send("echo")
    assert sorted(client.read_message() for _ in range(4)) == [b"echo", b"from 1", b"from 2", b"from 3"]
