"""Peers of a few lines over plain TCP, for the tests of libws._core.

They write and read bytes as the tests say; nothing of the library is in them. Each
runs in a thread of its own and hands its exceptions back when it is left.
"""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import threading

SECONDS = 60  # More than anything here takes.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# What a raw end takes in without reading; systems may let it grow to 32 MiB.
ROOM = 256 * 1024

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", fin=True, mask=None, rsv=0):
    """A frame as bytes. `mask` is a key of four bytes or None."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if mask is None:
        return head + payload
    return head + mask + apply_mask(payload, mask)


def apply_mask(payload, key):
    repeated = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return number.to_bytes(len(payload), "big")


def close_body(code=None, reason=""):
    return b"" if code is None else struct.pack("!H", code) + reason.encode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def with_wrong_letter(accept):
    """The same but for its first letter, whatever that was: keys are random."""
    return (b"y" if accept.startswith(b"x") else b"x") + accept[1:]


def listening():
    """A listener on a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    return listener


def connected(port):
    """A connection to a port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    sock.connect(("127.0.0.1", port))
    return sock


class Wire:
    """One end of a TCP connection that speaks frames."""

    def __init__(self, sock, masks):
        self.sock = sock
        self.masks = masks  # As a client does.
        self.rest = b""
        self.head = b""
        sock.settimeout(SECONDS)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- Bytes

    def write(self, data):
        self.sock.sendall(data)

    def read(self, count):
        while len(self.rest) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self.rest)
            self.rest += data
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def read_head(self):
        while b"\r\n\r\n" not in self.rest:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self.rest)
            self.rest += data
        self.head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return self.head

    def read_to_end(self):
        """All that comes until the other side ends; b"" after a reset too."""
        data, self.rest = self.rest, b""
        with contextlib.suppress(ConnectionError):
            while more := self.sock.recv(65536):
                data += more
        return data

    def end(self):
        """Says that no more comes, as a server does first; returns what still
        comes from the other side."""
        self.sock.shutdown(socket.SHUT_WR)
        return self.read_to_end()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- HTTP

    def header(self, name):
        """The values of a header of the head that was read."""
        pairs = (line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:])
        return [value for key, value in pairs if key.lower() == name.lower()]

    def respond(self, *lines, accept=True):
        """Answers the handshake: 101 and what makes it whole, and more lines."""
        self.write(self.response(*lines, accept=accept))

    def response(self, *lines, accept=True):
        head = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
        if accept:
            head.append(b"Sec-WebSocket-Accept: " + accept_of(self.header(b"Sec-WebSocket-Key")[0]))
        return b"\r\n".join([*head, *lines, b"", b""])

    def open(self, *lines):
        """The whole handshake of a server."""
        self.read_head()
        self.respond(*lines)
        return self

    def request(self, *lines, target=b"/", host=b"h"):
        """The whole handshake of a client, with `lines` as further headers."""
        self.write(self.request_bytes(*lines, target=target, host=host))
        self.read_head()
        return self

    def request_bytes(self, *lines, target=b"/", host=b"h"):
        head = [
            b"GET " + target + b" HTTP/1.1",
            b"Host: " + host,
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)),
        ]
        return b"\r\n".join([*head, *lines, b"", b""])

    @property
    def status(self):
        return int(self.head.split(b" ", 2)[1])

    # -- Frames

    def send(self, opcode, payload=b"", fin=True, rsv=0):
        mask = os.urandom(4) if self.masks else None
        self.write(frame(opcode, payload, fin, mask, rsv))

    def receive(self):
        """The next frame as (first byte, payload)."""
        first, second = self.read(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.read(8))
        assert bool(second & 0x80) == (not self.masks)
        key = self.read(4) if second & 0x80 else b"\0\0\0\0"
        return first, apply_mask(self.read(length), key)

    def expect(self, opcode, payload):
        got = self.receive()
        assert got == (0x80 | opcode, payload), got

    def echo_close(self):
        """Answers the Close frame that comes next with the same; returns it."""
        first, payload = self.receive()
        assert first == 0x80 | CLOSE, first
        self.send(CLOSE, payload)
        return payload


class Peer:
    """A server whose connections are each served by `script(wire)`, in order."""

    def __init__(self, *scripts):
        self.scripts = scripts
        self.listener = listening()
        self.listener.settimeout(SECONDS)
        self.port = self.listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"
        self.errors = []
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        try:
            for script in self.scripts:
                sock, _ = self.listener.accept()
                with sock:
                    script(Wire(sock, masks=False))
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        if value is not None:
            self.listener.close()
        self.thread.join(SECONDS)
        self.listener.close()
        assert not self.thread.is_alive()
        if value is None and self.errors:
            raise self.errors[0]


class Client(threading.Thread):
    """A client whose connection to a port is used by `script(wire)`. `on_end()` is
    called at its end, to wake who waits for it."""

    def __init__(self, port, script, on_end=lambda: None):
        super().__init__()
        self.port = port
        self.script = script
        self.on_end = on_end
        self.has_ended = False
        self.errors = []
        self.start()

    def run(self):
        try:
            with connected(self.port) as sock:
                self.script(Wire(sock, masks=True))
        except BaseException as error:
            self.errors.append(error)
        self.has_ended = True
        self.on_end()

    def finish(self):
        self.join(SECONDS)
        assert not self.is_alive()
        if self.errors:
            raise self.errors[0]


def echo(wire):
    """ECHO of the behaviour table: picks "echo", echoes messages and Close."""
    wire.read_head()
    offers = b",".join(wire.header(b"Sec-WebSocket-Protocol")).replace(b" ", b"").split(b",")
    wire.respond(*([b"Sec-WebSocket-Protocol: echo"] if b"echo" in offers else []))
    while True:
        first, payload = wire.receive()
        wire.send(first & 0xF, payload, fin=bool(first & 0x80))
        if first & 0xF == CLOSE:
            return
