"""Programs for lua-resty-websocket with the modules' names changed."""

from urllib.parse import quote

from support.frames import BINARY, PING, PONG


def test_a_server(nginx, connect):
    client = connect("frames-server")
    client.send("hello")
    assert client.read_message() == b"hello"
    client.send(b"\0" * 3, BINARY)
    frame = client.read()
    assert (frame.opcode, frame.payload) == (BINARY, b"\0" * 3)
    client.send(b"p", PING)
    assert client.read().opcode == PONG
    assert client.close(3000, "bye") == 3000
    nginx.wait_for_log("close: 3000 bye")
    nginx.wait_for_log("after it: failed to receive: closed")


def test_a_server_and_a_client_that_vanishes(nginx, connect):
    connect("frames-server").socket.close()
    nginx.wait_for_log("recv_frame: failed to receive: closed")


def test_a_server_refuses_and_has_answered(nginx):
    assert nginx.get("/app/frames-server")[0] == 426
    nginx.wait_for_log("failed to new websocket: the request is not a WebSocket handshake")


def test_a_client(nginx):
    url = quote(f"ws://127.0.0.1:{nginx.port}/app/frames-server", safe="")
    assert nginx.get("/app/frames-client?url=" + url)[1].splitlines() == [
        "nilnot initialized yet",
        "nilconnection refused",
        "5",
        "hellotext",
        "1",
        "1",
        "nilnilfailed to receive: timeout",
        "1",
    ]
    nginx.expect_error("connect() failed (111: Connection refused)")
