"""Messages, limits, keepalive and ends, through the request's socket."""

import socket
import struct

import pytest
from support.frames import BINARY, CLOSE, PING, PONG, TEXT, Client, encode


@pytest.mark.parametrize("handler", ["echo", "echo-events"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 4096, 65535, 65536, 1000000])
def test_messages_of_every_size_come_back(connect, handler, size):
    client = connect(handler)
    for opcode in (TEXT, BINARY):
        client.send(b"x" * size, opcode)
        frame = client.read()
        assert (frame.opcode, frame.payload) == (opcode, b"x" * size)
    assert client.close() == 1000


def test_a_message_byte_by_byte(connect):
    client = connect("echo")
    for byte in encode(TEXT, b"slow"):
        client.send_raw(bytes([byte]))
    assert client.read_message() == b"slow"


def test_many_messages_at_once_come_back_in_order(connect):
    client = connect("echo")
    client.send_raw(b"".join(encode(TEXT, b"%d" % i) for i in range(1000)))
    assert [client.read_message() for _ in range(1000)] == [b"%d" % i for i in range(1000)]


def test_data_behind_the_handshake_is_delivered(nginx):
    # Row 360.
    with Client(nginx.port) as early:
        early.request("/app/echo", [])
        early.send("early")
        assert early.read_head()[0] == 101
        assert early.read_message() == b"early"


def test_compression_in_both_directions(connect):
    # Row 306.
    client = connect("echo", compress=True)
    assert "permessage-deflate" in client.response[1]["sec-websocket-extensions"]
    text = b"all work and no play " * 1000
    for _ in range(3):
        client.send_deflated(text)
        assert client.read_message() == text


def test_compression_is_off_unless_asked_for(connect):
    # Row 310.
    client = connect("echo-events", compress=True)
    assert "sec-websocket-extensions" not in client.response[1]


def test_pings_are_answered(connect):
    # Row 297.
    client = connect("echo")
    for payload in (b"", b"p" * 125):
        client.send(payload, PING)
        frame = client.read()
        assert (frame.opcode, frame.payload) == (PONG, payload)


def test_a_message_over_the_limit_is_1009(nginx, connect):
    client = connect("limit")
    client.send(b"x" * 1001)
    assert client.read().close_code == 1009
    nginx.wait_for_log("error WS_ERR_UNSUPPORTED_MESSAGE_LENGTH 1009")
    nginx.wait_for_log("limit closed 1006 '' false")


def test_an_unmasked_frame_is_1002(connect):
    client = connect("echo")
    client.send(b"x", mask=False)
    assert client.read().close_code == 1002
    assert client.is_at_end()


def test_invalid_text_is_1007(connect):
    client = connect("echo")
    client.send(b"\xff")
    assert client.read().close_code == 1007


def test_a_receive_that_times_out_loses_nothing(connect):
    client = connect("receive-timeout")
    assert client.read_message() == b"nil timeout"
    whole = encode(TEXT, b"x" * 1000)
    client.send_raw(whole[:500])
    client.send_raw(whole[500:])
    assert client.read_message() == b"then 1000"


def test_a_killed_light_thread_waits_no_more(connect):
    client = connect("receive-killed")
    assert client.read_message() == b"false InvalidStateError"
    client.send("a")
    assert client.read_message() == b"a"
    client.answer_close(client.read())


def test_a_wrong_timeout_harms_nothing(connect):
    client = connect("receive-misuse")
    assert client.read_message() == b"false timeout: number expected, got string"
    for _ in range(2):
        assert client.read_message() == b"false timeout: must be a time in seconds"
    client.send("a")
    assert client.read_message() == b"a"
    client.answer_close(client.read())


def test_unread_messages_do_not_hinder_a_close(nginx, connect):
    client = connect("close-unread")
    assert client.read_message() == b"go"
    for _ in range(64):
        client.send("x")
    client.answer_close(client.read())
    nginx.wait_for_log("unread closed 1005true")


def test_receive_tells_the_end(nginx, connect):
    connect("receive-closed").close(3000, "bye")
    nginx.wait_for_log("received closed 3000 bye")
    nginx.wait_for_log("again closed 3000")


def test_a_client_that_vanishes_is_1006(nginx, connect):
    connect("echo").socket.close()
    nginx.wait_for_log("echo closed 1006 '' false")


def test_the_close_event_of_a_clean_end(nginx, connect):
    assert connect("echo-events").close(3000, "bye") == 3000
    nginx.wait_for_log("events closed 3000 'bye' true")


def test_who_reads_late_makes_the_client_wait_and_gets_everything(nginx, connect):
    # Row 319: 16 messages or 1 MiB are kept; the rest waits in the kernel.
    client = connect("late")
    messages = [b"x" * 1000] * 5000 + [b"end"]
    data = b"".join(encode(TEXT, message) for message in messages)
    client.socket.setblocking(False)
    sent = 0
    try:
        while sent < len(data):
            sent += client.socket.send(data[sent:])
    except BlockingIOError:
        pass
    client.socket.settimeout(10)
    (nginx.folder / "go").write_text("")
    client.send_raw(data[sent:])
    assert client.read_message() == b"5001 5000003"


def test_answers_that_nobody_takes_do_not_keep_from_reading(connect):
    # The client writes all before it reads: more than fits between the two, less than
    # max_send_queue.
    client = connect("echo-events")
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        client.socket.setsockopt(socket.SOL_SOCKET, buffer, 65536)
    count, message = 150, b"x" * 100000
    for _ in range(count):
        client.send(message, BINARY)
    for _ in range(count):
        assert client.read_message() == message
    assert client.close() == 1000


def test_messages_in_pieces_both_ways(connect):
    client = connect("stream")
    client.send(b"x" * 500000, BINARY)
    assert client.read_message() == b"500000 true"
    first, second, third = client.read(), client.read(), client.read()
    assert (first.payload, first.fin) == (b"a", False)
    assert (second.payload, second.fin) == (b"b", True)
    assert third.payload == b"between"


def test_a_silent_client_is_pinged_and_dropped(nginx, connect):
    client = connect("keepalive")
    frame = client.read()
    assert frame.opcode == PING
    client.send(frame.payload, PONG)
    assert client.read().opcode == PING
    nginx.wait_for_log("error WS_ERR_PING_TIMEOUT")
    nginx.wait_for_log("keepalive closed 1006")


def test_a_close_that_is_not_answered_times_out(nginx, connect):
    client = connect("close-timeout")
    frame = client.read()
    assert frame.opcode == CLOSE
    assert frame.payload == struct.pack(">H", 3001) + b"bye"
    assert client.is_at_end()
    nginx.wait_for_log("ended 1006false")


def test_terminate_ends_at_once(nginx, connect):
    # Row 334.
    client = connect("terminate")
    client.send("go")
    assert client.is_at_end()
    nginx.wait_for_log("ended 1006false")


def test_drain_waits_for_a_client_that_reads(nginx, connect):
    client = connect("drain")
    for _ in range(32):
        assert len(client.read_message()) == 1024 * 1024
    assert client.read().opcode == CLOSE
    client.send(b"", CLOSE)
    nginx.wait_for_log("drains true")


def test_a_client_that_reads_nothing_is_dropped(nginx, connect):
    connect("flood")
    nginx.wait_for_log("error WS_ERR_SEND_TIMEOUT")
    nginx.wait_for_log("drain: closed")
    nginx.expect_error("lua tcp socket write timed out")
