"""Sections G, H, I, L and P: messages both ways, the send queue, faults."""

import array
import ctypes
import threading

import pytest
from core_peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, Peer, close_body, echo, frame
from core_run import FAILED, record, run, run_until, serving

import libws


def exchange(script, act, **options):
    """Runs a client against a script; `act(ws)` is called when it is open."""
    with Peer(lambda wire: script(wire.open())) as peer:
        ws = libws.WebSocket(peer.url, **options)
        log = record(ws)
        ws.addEventListener("open", lambda e: act(ws))
        run()
    return ws, log


def receive(*frames, **options):
    """What a client sees of these frames, and of a Close that follows."""

    def script(wire):
        wire.write(b"".join(frames))
        wire.send(CLOSE)
        wire.receive()

    return exchange(script, lambda ws: None, **options)[1][1:-1]


def sent(act, **options):
    """The frames that a client sends."""
    frames = []

    def script(wire):
        while True:
            first, payload = wire.receive()
            frames.append((first, payload))
            if first & 0xF == CLOSE:
                wire.send(CLOSE, payload)
                return

    def send(ws):
        act(ws)
        ws.close()

    exchange(script, send, **options)
    return frames[:-1]


# -- Receiving


@pytest.mark.parametrize(
    ("frames", "messages"),
    [
        ([frame(TEXT, "é".encode())], ["é"]),  # Row 139.
        ([frame(TEXT), frame(BINARY)], ["", b""]),  # Row 144.
        ([frame(TEXT, b"\xef\xbb\xbfx")], ["\ufeffx"]),  # Row 145.
        ([frame(TEXT, "a\0b\U0001047ea\u030a".encode())], ["a\0b\U0001047ea\u030a"]),  # Row 146.
        ([frame(BINARY, bytes(10)), frame(BINARY, bytes(100000))], [bytes(10), bytes(100000)]),  # 141.
        (  # Rows 156, 297.
            [
                frame(TEXT, b"a", fin=False),
                frame(PING, b"x"),
                frame(CONTINUATION, b"b", fin=False),
                frame(PONG, b"y"),
                frame(CONTINUATION, b"c"),
            ],
            ["abc"],
        ),
        ([frame(TEXT, fin=False), frame(CONTINUATION, b"data")], ["data"]),  # Row 157.
    ],
)
def test_messages_come_as_they_were_sent(frames, messages):
    assert receive(*frames) == [("message", message) for message in messages]


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536, 65537, 1 << 20])  # Row 153.
def test_messages_of_all_lengths_are_echoed(size):
    got = []
    with Peer(echo) as peer:
        ws = libws.WebSocket(peer.url)

        def onmessage(event):
            got.append(event.data)
            if len(got) == 2:
                ws.close()

        ws.onopen = lambda e: (ws.send("x" * size), ws.send(b"y" * size))
        ws.onmessage = onmessage
        run()
    assert got == ["x" * size, b"y" * size]


def test_binary_type_chooses_the_type_of_data():  # Rows 115, 142, 392.
    types = []

    def script(wire):
        wire.write(frame(TEXT, b"a") + frame(BINARY, b"b") + frame(BINARY, b"c") + frame(CLOSE))
        wire.receive()

    def act(ws):
        def onmessage(event):
            types.append((type(event.data), event.data))
            ws.binaryType = "blob" if len(types) == 2 else "arraybuffer"

        ws.binaryType = "arraybuffer"
        ws.onmessage = onmessage

    exchange(script, act)
    assert types == [(str, "a"), (bytearray, b"b"), (bytes, b"c")]


def test_data_that_is_kept_stays_as_it_is():
    payloads = [b"%03d" % i for i in range(6)]
    kept, views, hashes = [], [], []

    def on_message(event):
        hashes.append(hash(event.data))
        if len(hashes) % 3 == 1:
            kept.append(event.data)
        elif len(hashes) % 3 == 2:
            views.append(memoryview(event.data))

    def script(wire):
        wire.write(b"".join(frame(BINARY, payload) for payload in payloads))
        wire.send(CLOSE)
        wire.receive()

    exchange(script, lambda ws: setattr(ws, "onmessage", on_message))
    assert kept == payloads[0::3]
    assert [bytes(view) for view in views] == payloads[1::3]
    assert hashes == [hash(payload) for payload in payloads]


def test_what_comes_after_close_is_dropped():  # Row 147.
    def script(wire):
        body = wire.receive()[1]
        wire.write(frame(TEXT, b"late") + frame(CLOSE, body))

    _, log = exchange(script, lambda ws: ws.close(1000))
    assert log == [("open",), ("close", 1000, "", True)]


def test_a_message_before_a_close_in_one_segment_comes_first():  # Rows 148, 149.
    def script(wire):
        wire.write(frame(TEXT, b"last") + frame(CLOSE, close_body(1000)) + frame(TEXT, b"after"))
        wire.receive()

    _, log = exchange(script, lambda ws: None)
    assert log == [("open",), ("message", "last"), ("close", 1000, "", True)]


# -- Sending


@pytest.mark.parametrize("data", ["a", "", b"a", "a\udc00x"])
def test_send_while_connecting_is_an_invalid_state(data):  # Row 158.
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    with pytest.raises(libws.InvalidStateError):
        ws.send(data)
    assert ws.bufferedAmount == 0
    assert ws.readyState == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("test", (0x81, b"test")),  # Row 161.
        (b"test", (0x82, b"test")),  # Row 162.
        ("", (0x81, b"")),  # Row 163.
        (b"", (0x82, b"")),  # Row 163.
        (memoryview(b"abcdefgh")[2:6], (0x82, b"cdef")),  # Row 164.
        (memoryview(b"abcdefgh")[::2], (0x82, b"aceg")),  # Section 2.4 of security.
        (array.array("H", [1, 2]), (0x82, array.array("H", [1, 2]).tobytes())),  # Row 164.
        (array.array("d", [1.5]), (0x82, array.array("d", [1.5]).tobytes())),  # Row 164.
        (bytearray(b"xy"), (0x82, b"xy")),
        ((ctypes.c_char * 2)(b"x", b"y"), (0x82, b"xy")),
        (  # Row 166.
            "a\udc00xb\ud800xc\udc00\ud800x",
            (0x81, "a\ufffdxb\ufffdxc\ufffd\ufffdx".encode()),
        ),
        ("\ud801\udc07", (0x81, b"\xf0\x90\x90\x87")),  # Row 167.
        ("\ud800", (0x81, "\ufffd".encode())),
        (type("Text", (str,), {})("sub"), (0x81, b"sub")),
        (type("Bytes", (bytes,), {})(b"sub"), (0x82, b"sub")),
        ("\U0001f600é", (0x81, "\U0001f600é".encode())),
    ],
)
def test_send_takes_text_and_bytes(data, message):
    assert sent(lambda ws: ws.send(data)) == [message]


@pytest.mark.parametrize("data", [None, 1, 1.5, {}, [], object(), ["a"]])
def test_other_types_are_type_errors(data):  # Row 169.
    def act(ws):
        with pytest.raises(TypeError):
            ws.send(data)
        ws.send("fine")

    assert sent(act) == [(0x81, b"fine")]


def test_wrong_arguments_are_type_errors():  # Row 390.
    def act(ws):
        for call in (
            lambda: ws.send(),
            lambda: ws.send("a", "b"),
            lambda: ws.send("a", nonsense=1),
            lambda: ws.close(1000, "a", "b"),
            lambda: ws.ping("a", "b"),
            lambda: ws.pause(1),
        ):
            with pytest.raises(TypeError):
                call()
        assert ws.readyState == 1

    assert sent(act) == []


def test_send_returns_none_and_copies():  # Rows 160, 165.
    def act(ws):
        data = bytearray(b"old")
        assert ws.send(data) is None
        data[:] = b"new!"
        big = bytearray(b"a" * 100000)
        ws.send(big)
        big[:] = b"b"

    assert sent(act, compression=False) == [(0x82, b"old"), (0x82, b"a" * 100000)]


def test_send_options_force_what_they_say():  # Rows 312, 349, 350.
    def act(ws):
        ws.send("a", fin=False)
        ws.send("b", fin=True)
        ws.send(b"text", binary=False)
        ws.send("bytes", binary=True)
        with pytest.raises(TypeError):
            ws.send(b"\xff", binary=False)
        ws.send("c", fin=False)
        with pytest.raises(ValueError, match="unfinished"):
            ws.send(b"c")
        ws.send("c")

    assert sent(act) == [
        *((0x01, b"a"), (0x80, b"b")),
        *((0x81, b"text"), (0x82, b"bytes")),
        *((0x01, b"c"), (0x80, b"c")),
    ]


def test_messages_before_close_arrive_in_order():  # Rows 173, 176.
    def act(ws):
        for text in "abc":
            ws.send(text)

    assert sent(act) == [(0x81, b"a"), (0x81, b"b"), (0x81, b"c")]


def test_send_after_close_only_counts():  # Rows 170, 187.
    amounts = []

    def script(wire):
        wire.echo_close()
        assert wire.end() == b""

    def act(ws):
        ws.close()
        assert ws.send("test") is None
        amounts.append(ws.bufferedAmount)
        assert ws.readyState == 2

    ws, log = exchange(script, act)
    ws.send(b"abc")
    amounts.append(ws.bufferedAmount)
    assert amounts == [4, 7]
    assert log == [("open",), ("close", 1005, "", True)]


def test_send_on_a_failed_connection_only_counts():  # Row 172.
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    log = record(ws)
    run()
    ws.send(bytes(5))
    assert ws.bufferedAmount == 5
    assert log == FAILED


def test_many_large_messages_neither_block_nor_raise():  # Row 174.
    count = 50

    def script(wire):
        for _ in range(count):
            assert wire.receive() == (0x82, bytes(65536))
            wire.send(TEXT, b"ok")
        wire.echo_close()

    def act(ws):
        acks = []
        ws.onmessage = lambda e: (acks.append(e.data), len(acks) == count and ws.close(1000))
        for _ in range(count):
            ws.send(bytes(65536))

    _, log = exchange(script, act, compression=False)
    assert log[-1] == ("close", 1000, "", True)
    assert len(log) == count + 2


def test_a_full_send_queue_fails_the_connection():  # Row 175.
    done = threading.Event()

    def act(ws):
        for _ in range(100):
            ws.send(bytes(1 << 20))

    def script(wire):
        done.wait(60)

    with Peer(lambda wire: script(wire.open())) as peer:
        ws = libws.WebSocket(peer.url, max_send_queue=1 << 20, compression=False)
        log = record(ws)
        errors = []
        ws.addEventListener("open", lambda e: act(ws))
        ws.addEventListener("error", lambda e: errors.append(e.error.code))
        run()
        done.set()
    assert log == [("open",), *FAILED]
    assert errors == ["WS_ERR_SEND_QUEUE_FULL"]


def test_drain_comes_when_there_is_room_again():
    start = threading.Event()
    log = []

    def script(wire):
        start.wait(60)
        total = 0
        while total < 8 << 20:
            total += len(wire.receive()[1])
        wire.echo_close()

    def act(ws):
        ws.ondrain = lambda e: (log.append((e.type, ws._is_full)), ws.close())
        for _ in range(8):
            ws.send(bytes(1 << 20))
        log.append(ws._is_full)
        start.set()

    exchange(script, act, compression=False, send_high_water=1 << 16)
    assert log == [True, ("drain", False)]


# -- bufferedAmount


@pytest.mark.parametrize(
    ("data", "amount"),
    [
        ("¥" * 6, 12),  # Row 179.
        (bytes(10), 10),  # Row 180.
        (bytes(65000), 65000),  # Row 181.
        ("", 0),  # Row 182.
        (bytes(1 << 20), 1 << 20),  # Row 185.
    ],
)
def test_buffered_amount_counts_payload(data, amount):
    amounts = []

    def act(ws):
        ws.ping("not counted")  # Row 186.
        ws.send(data)
        amounts.extend([ws.bufferedAmount, ws.bufferedAmount])  # Row 183.

    sent(act)
    assert amounts == [amount, amount]


def test_buffered_amount_is_zero_once_written():  # Row 189.
    amounts = []

    def script(wire):
        wire.receive()
        wire.send(TEXT, b"got it")
        wire.echo_close()

    def act(ws):
        ws.send("x")
        ws.onmessage = lambda e: (amounts.append(ws.bufferedAmount), ws.close())

    exchange(script, act)
    assert amounts == [0]


def test_buffered_amount_stays_when_the_connection_dies():  # Row 188.
    amounts = []
    sent_it = threading.Event()

    def script(wire):
        sent_it.wait(60)
        wire.reset()

    def act(ws):
        ws.send(bytes(8 << 20))
        amounts.append(ws.bufferedAmount)
        ws.onerror = lambda e: amounts.append(ws.bufferedAmount)
        ws.onclose = lambda e: amounts.append(ws.bufferedAmount)
        sent_it.set()

    ws, log = exchange(script, act, compression=False)
    assert log == [("open",), *FAILED]
    first, *rest = amounts
    assert first == 8 << 20
    assert 0 < rest[0] <= first
    assert rest == [rest[0]] * 2
    assert ws.bufferedAmount == rest[0]


# -- Faults (section L)


@pytest.mark.parametrize(
    ("frames", "wire_code", "name"),
    [
        ([frame(TEXT, b"\xff")], 1007, "INVALID_UTF8"),  # Row 231.
        (  # Row 232.
            [frame(TEXT, b"\xc3", fin=False), frame(CONTINUATION, b"(")],
            1007,
            "INVALID_UTF8",
        ),
        ([frame(TEXT, b"\xed\xa0\x80")], 1007, "INVALID_UTF8"),  # Row 233.
        ([frame(CLOSE, close_body(1000) + b"\xff")], 1007, "INVALID_UTF8"),  # Row 234.
        ([frame(CLOSE, b"\x03")], 1002, "INVALID_CLOSE_PAYLOAD"),  # Row 235.
        *(
            ([frame(CLOSE, close_body(code))], 1002, "INVALID_CLOSE_CODE")  # Row 236.
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535)
        ),
        ([frame(3)], 1002, "INVALID_OPCODE"),  # Row 237.
        ([frame(TEXT, b"x", mask=b"abcd")], 1002, "UNEXPECTED_MASK"),  # Row 239.
        ([b"\x89\x7e\x00\x7e" + bytes(126)], 1002, "INVALID_CONTROL_PAYLOAD_LENGTH"),  # Row 241.
        ([frame(PING, fin=False)], 1002, "EXPECTED_FIN"),  # Row 241.
        ([frame(CONTINUATION)], 1002, "UNEXPECTED_CONTINUATION"),  # Row 242.
        ([frame(TEXT, fin=False), frame(TEXT)], 1002, "EXPECTED_CONTINUATION"),  # Row 242.
        ([b"\x82\x7f" + b"\xff" * 8], 1002, "UNSUPPORTED_DATA_PAYLOAD_LENGTH"),  # Row 243.
        ([frame(TEXT, rsv=4)], 1002, "UNEXPECTED_RSV_1"),
        ([frame(TEXT, rsv=2)], 1002, "UNEXPECTED_RSV_2_3"),
        ([frame(BINARY, bytes(1001))], 1009, "UNSUPPORTED_MESSAGE_LENGTH"),  # Row 244.
        ([frame(BINARY, fin=False)] * 1 + [frame(CONTINUATION, fin=False)] * 10, 1008, "TOO_MANY_BUFFERED_PARTS"),
    ],
)
def test_faults_are_told_to_the_peer_and_fail_the_connection(frames, wire_code, name):
    codes = []

    def script(wire):
        wire.write(b"".join(frames))
        first, payload = wire.receive()
        assert first == 0x88
        codes.append(int.from_bytes(payload[:2], "big"))
        wire.read_to_end()

    errors = []
    _, log = exchange(
        script,
        lambda ws: ws.addEventListener("error", lambda e: errors.append(e.error)),
        compression=False,
        max_message=1000,
        max_fragments=10,
    )
    assert log == [("open",), *FAILED]
    assert codes == [wire_code]
    assert errors[0].code == f"WS_ERR_{name}"  # Row 353.
    assert errors[0].close_code == wire_code
    assert errors[0].phase == "open"
    expected = {1009: libws.PayloadTooBig}.get(wire_code, libws.ProtocolError)
    assert type(errors[0]) is expected


def test_an_unmasked_frame_fails_a_server():  # Rows 240, 303.
    codes = []

    def script(wire):
        wire.request()
        wire.write(frame(TEXT, b"x"))
        first, payload = wire.receive()
        codes.append((first, int.from_bytes(payload[:2], "big")))

    logs = []
    with serving(lambda ws, request: logs.append(record(ws))) as server:
        client = Client(server.port, script)
        run_until(lambda: logs and ("close", 1006, "", False) in logs[0])
        client.finish()
    assert codes == [(0x88, 1002)]
    assert logs[0] == [("open",), *FAILED]


@pytest.mark.parametrize("end", ["fin", "reset"])
def test_a_lost_connection_is_an_error_and_1006(end):  # Rows 229, 247.
    def script(wire):
        if end == "reset":
            wire.reset()

    _, log = exchange(script, lambda ws: None)
    assert log == [("open",), *FAILED]


# -- Ping and pong (section P)


def test_pings_are_answered_and_can_be_listened_to():  # Rows 297, 298, 301, 340.
    log = []

    def script(wire):
        wire.write(b"".join(frame(PING, b"%d" % i) for i in range(10)) + frame(PONG, b"unasked"))
        for i in range(10):
            wire.expect(PONG, b"%d" % i)
        wire.send(CLOSE)

    def act(ws):
        ws.onping = lambda e: log.append((e.type, e.data, e.rtt))
        ws.onpong = lambda e: log.append((e.type, e.data, e.rtt))

    exchange(script, act)
    assert log == [("ping", b"%d" % i, None) for i in range(10)] + [("pong", b"unasked", None)]


def test_ping_sends_a_frame_whose_pong_tells_the_time():  # Row 337.
    log = []

    def script(wire):
        first, payload = wire.receive()
        assert first == 0x89
        wire.send(PONG, payload)
        wire.echo_close()

    def act(ws):
        ws.onpong = lambda e: (log.append((e.data, e.rtt)), ws.close())
        ws.ping("x")

    ws, _ = exchange(script, act)
    ((data, rtt),) = log
    assert data == b"x"
    assert 0 <= rtt < 5
    assert ws.stats()["rtt"] == rtt


def test_ping_checks_state_and_length():  # Rows 338, 339.
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    with pytest.raises(libws.InvalidStateError):
        ws.ping()
    ws.terminate()
    run()

    def act(ws):
        with pytest.raises(ValueError, match="125"):
            ws.ping(bytes(126))
        ws.ping(bytes(125))
        ws.pong()

    assert sent(act) == [(0x89, bytes(125)), (0x8A, b"")]


def test_pongs_can_be_left_to_the_application():  # Row 340.
    def script(wire):
        wire.send(PING, b"x")
        wire.expect(PONG, b"mine")
        wire.send(CLOSE)

    exchange(script, lambda ws: setattr(ws, "onping", lambda e: ws.pong("mine")), auto_pong=False)


def test_every_client_frame_has_a_key_of_its_own():  # Row 302.
    keys = set()

    def script(wire):
        for _ in range(20):
            wire.read(2)
            keys.add(wire.read(4))
            wire.read(1)
        wire.echo_close()

    exchange(script, lambda ws: ([ws.send("x") for _ in range(20)], ws.close()))
    assert len(keys) == 20


# -- Compression (section Q)


def test_compression_gives_the_same_messages():  # Rows 113, 306, 310, 311.
    got = []
    texts = ["a" * 5000, "", "short", b"\0" * (1 << 20)]

    def onconnection(ws, request):
        assert ws.extensions.startswith("permessage-deflate")
        ws.onmessage = lambda e: ws.send(e.data)

    with serving(onconnection, compression=True) as server:
        ws = libws.WebSocket(server.urls[0])

        def onopen(event):
            assert ws.extensions.startswith("permessage-deflate")
            for text in texts:
                ws.send(text)
            ws.send("b" * 5000, compress=False)

        ws.onopen = onopen
        ws.onmessage = lambda e: (got.append(e.data), len(got) == 5 and ws.close())
        ws.onclose = lambda e: libws.stop()
        run()
    assert got == [*texts, "b" * 5000]


def test_a_server_compresses_only_when_asked_to():  # Rows 112, 310.
    with serving() as server:
        ws = libws.WebSocket(server.urls[0])
        ws.onopen = lambda e: ws.close()
        ws.onclose = lambda e: libws.stop()
        run()
        assert ws.extensions == ""


# -- Flow


def test_nothing_comes_while_paused():  # Row 347.
    log = []

    def script(wire):
        wire.write(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
        wire.echo_close()

    def act(ws):
        def onmessage(event):
            log.append(event.data)
            if event.data == "1":
                ws.pause()
                ws._loop.timer(0.02, lambda: (log.append("resume"), ws.resume()))
            elif event.data == "3":
                ws.close()

        ws.onmessage = onmessage

    exchange(script, act)
    assert log == ["1", "resume", "2", "3"]


def test_terminate_ends_at_once():  # Row 334.
    def script(wire):
        assert wire.read_to_end() == b""

    states = []

    def act(ws):
        ws.terminate()
        states.append(ws.readyState)
        ws.terminate()

    ws, log = exchange(script, act)
    ws.terminate()  # Row 336.
    assert states == [2]
    assert log == [("open",), ("close", 1006, "", False)]


def test_terminate_while_connecting_fails():  # Row 335.
    ws = libws.WebSocket("ws://127.0.0.1:1/")
    log = record(ws)
    ws.terminate()
    run()
    assert log == FAILED
