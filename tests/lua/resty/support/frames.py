"""A WebSocket client byte by byte, from Python's standard library alone.

It checks nothing that it is not asked to check: tests say what they expect.
"""

import base64
import os
import socket
import struct
import zlib

LIMIT = 60.0  # Seconds that anything may take, on a busy machine too.

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

# What ends a deflated message and is not sent (RFC 7692 7.2.1).
TAIL = b"\x00\x00\xff\xff"


class Frame:
    def __init__(self, first, payload):
        self.fin = bool(first & 0x80)
        self.rsv1 = bool(first & 0x40)
        self.opcode = first & 0x0F
        self.payload = payload

    def __repr__(self):
        return f"Frame(opcode={self.opcode}, fin={self.fin}, {self.payload[:40]!r})"

    @property
    def close_code(self):
        return struct.unpack(">H", self.payload[:2])[0] if self.payload else 1005


def encode(opcode, payload, fin=True, rsv1=False, mask=True):
    head = bytes([(fin << 7) | (rsv1 << 6) | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack(">BH", bit | 126, len(payload))
    else:
        head += struct.pack(">BQ", bit | 127, len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    pad = key * (len(payload) // 4 + 1)
    number = int.from_bytes(payload, "big") ^ int.from_bytes(pad[: len(payload)], "big")
    return head + key + number.to_bytes(len(payload), "big")


class Client:
    """A connection to 127.0.0.1, with or without a handshake."""

    def __init__(self, port, path=None, headers=(), compress=False):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.deflater = zlib.compressobj(wbits=-12)
        self.inflater = zlib.decompressobj(wbits=-15)
        if path is not None:
            headers = list(headers)
            if compress:
                headers.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12")
            self.handshake(path, headers)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # -- The opening handshake --

    def handshake(self, path, headers):
        self.request(path, headers)
        self.response = self.read_head()
        assert self.response[0] == 101, self.response

    def request(self, path, headers=(), version="HTTP/1.1"):
        key = base64.b64encode(os.urandom(16)).decode()
        self.send_raw(
            "\r\n".join(
                [
                    f"GET {path} {version}",
                    "Host: 127.0.0.1",
                    "Upgrade: websocket",
                    "Connection: Upgrade",
                    "Sec-WebSocket-Version: 13",
                    f"Sec-WebSocket-Key: {key}",
                    *headers,
                    "",
                    "",
                ]
            ).encode("latin-1")
        )

    def read_head(self):
        """Returns the status and the headers."""
        while b"\r\n\r\n" not in self.buffer:
            self._receive()
        head = self._take(self.buffer.index(b"\r\n\r\n") + 4)[:-4]
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in fields.items()}

    # -- Bytes --

    def _receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.buffer += data

    def _take(self, count):
        while len(self.buffer) < count:
            self._receive()
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def send_raw(self, data):
        """Each step within LIMIT, where sendall() would want all of it."""
        left = memoryview(data)
        while left:
            left = left[self.socket.send(left) :]

    def is_at_end(self):
        """Whether the server ends the transport, and sends nothing before."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def read_to_end(self):
        """All that comes until the server ends the transport."""
        try:
            while True:
                self._receive()
        except EOFError:
            return self.buffer

    # -- Frames --

    def read(self):
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        return Frame(first, self._take(length))

    def send(self, payload, opcode=TEXT, **flags):
        if isinstance(payload, str):
            payload = payload.encode()
        self.send_raw(encode(opcode, payload, **flags))

    def send_deflated(self, payload):
        deflated = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        self.send(deflated.removesuffix(TAIL), rsv1=True)

    def read_message(self):
        """Returns the payload of the next frame, which must be a message."""
        frame = self.read()
        assert frame.fin and frame.opcode in (TEXT, BINARY), frame
        if frame.rsv1:
            return self.inflater.decompress(frame.payload + TAIL)
        return frame.payload

    def close(self, code=1000, reason=""):
        """Does the closing handshake; returns the code of the answer."""
        self.send(struct.pack(">H", code) + reason.encode(), CLOSE)
        frame = self.read()
        assert frame.opcode == CLOSE, frame
        assert self.is_at_end()
        self.socket.close()  # Or else nginx lingers.
        return frame.close_code

    def answer_close(self, frame):
        assert frame.opcode == CLOSE, frame
        self.send(frame.payload, CLOSE)
        assert self.is_at_end()
        self.socket.close()
