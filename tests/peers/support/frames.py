"""WebSocket frames and the opening handshake over a blocking socket, byte by
byte as a test wants them (RFC 6455). Not for use outside of tests: nothing is
checked that a test does not ask for."""

import base64
import hashlib
import os
import socket
import struct
from typing import NamedTuple

from .process import TIMEOUT

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, MASK = 0x80, 0x40, 0x80
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def apply_mask(key, payload):
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
            ).to_bytes(len(payload), "big")


def encode_frame(opcode, payload=b"", *, fin=True, rsv=0, is_masked=False):
    """A frame with its length in the shortest form."""
    first = (FIN if fin else 0) | rsv | opcode
    mask = MASK if is_masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, mask | 127, len(payload))
    if not is_masked:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(key, payload)


def close_payload(code, reason=""):
    return struct.pack("!H", code) + reason.encode()


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    is_masked: bool = False


class RawPeer:
    """One end of a connection. `is_client` decides whether frames are masked."""

    def __init__(self, sock, is_client):
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.is_client = is_client
        self.request = b""
        self._buffer = b""

    # -- Bytes ---------------------------------------------------------------

    def send(self, data):
        self.sock.sendall(data)

    def send_in_pieces(self, data, size=1):
        """Each piece in a segment of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(data), size):
            self.sock.sendall(data[i:i + size])

    def read(self, count):
        while len(self._buffer) < count:
            self._receive()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def read_head(self):
        """An HTTP head with the empty line that ends it."""
        while HEAD_END not in self._buffer:
            self._receive()
        head, end, self._buffer = self._buffer.partition(HEAD_END)
        return head + end

    def read_to_end(self):
        """All that comes until the peer ends the connection in good order."""
        chunks = [self._buffer]
        self._buffer = b""
        while chunk := self.sock.recv(1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)

    def _receive(self):
        chunk = self.sock.recv(1 << 16)
        if not chunk:
            raise EOFError(f"the peer ended after {self._buffer!r}")
        self._buffer += chunk

    # -- The opening handshake -----------------------------------------------

    def read_request(self):
        """Takes a client's request and returns the right Accept header."""
        self.request = self.read_head()
        return accept_key(self.header("Sec-WebSocket-Key").encode())

    def header(self, name):
        """A header of the request, or None."""
        for line in self.request.split(CRLF)[1:]:
            field, _, value = line.partition(b":")
            if field.decode().lower() == name.lower():
                return value.strip().decode()
        return None

    def switching(self, *headers):
        """The response that opens the connection."""
        key = self.header("Sec-WebSocket-Key").encode()
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket",
                 b"Connection: Upgrade",
                 b"Sec-WebSocket-Accept: " + accept_key(key)]
        return CRLF.join(lines + [h.encode() for h in headers]) + HEAD_END

    def accept(self, *headers):
        """The server's side of the handshake."""
        self.read_request()
        self.send(self.switching(*headers))
        return self

    def open(self, *headers, target="/"):
        """The client's side of the handshake. Returns the response."""
        self.send(handshake_request(*headers, target=target))
        head = self.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return head

    # -- Frames --------------------------------------------------------------

    def encode(self, opcode, payload=b"", **options):
        options.setdefault("is_masked", self.is_client)
        return encode_frame(opcode, payload, **options)

    def send_frame(self, opcode, payload=b"", **options):
        self.send(self.encode(opcode, payload, **options))

    def send_close(self, code, reason=""):
        self.send_frame(CLOSE, close_payload(code, reason))

    def read_frame(self):
        """The next frame, unmasked."""
        first, second = self.read(2)
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack("!H", self.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self.read(8))
        key = self.read(4) if second & MASK else b""
        payload = self.read(length)
        return Frame(opcode=first & 0x0F,
                     payload=apply_mask(key, payload) if key else payload,
                     fin=bool(first & FIN), rsv=first & 0x70,
                     is_masked=bool(second & MASK))

    def expect(self, opcode, payload=b""):
        """The next frame has to be this one, whole and masked as it must."""
        expected = Frame(opcode, payload, is_masked=not self.is_client)
        frame = self.read_frame()
        assert frame == expected, f"{frame} instead of {expected}"

    def expect_close(self, code=None, reason=""):
        """The next frame has to be Close; without a code one without body."""
        self.expect(CLOSE, b"" if code is None else close_payload(code, reason))

    def expect_end(self):
        """The peer has to end the connection in good order, silently."""
        rest = self.read_to_end()
        assert rest == b"", rest

    # -- The end -------------------------------------------------------------

    def half_close(self):
        """Sends FIN, still reads."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Sends RST: with SO_LINGER 0 close() drops the connection."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def close(self):
        """Sends FIN; what still comes is answered with RST."""
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def handshake_request(*headers, target="/", host="localhost"):
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket",
             "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers]
    return "\r\n".join(lines).encode() + HEAD_END


def connect_raw(port, host="127.0.0.1", receive_buffer=None):
    """A client of a server under test."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(TIMEOUT)
    sock.connect((host, port))
    return RawPeer(sock, is_client=True)


class RawServer:
    """A listener for clients under test, one connection at a time."""

    def __init__(self, host="127.0.0.1", receive_buffer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        if receive_buffer is not None:
            # Inherited by the connections, and small windows are only taken
            # before they are made.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                      receive_buffer)
        self._listener.bind((host, 0))
        self._listener.listen()
        self._listener.settimeout(TIMEOUT)
        self.port = self._listener.getsockname()[1]
        authority = f"[{host}]" if ":" in host else host
        self.url = f"ws://{authority}:{self.port}/"

    def accept(self):
        """The next connection, before any of its bytes are read."""
        sock, _ = self._listener.accept()
        return RawPeer(sock, is_client=False)

    def close(self):
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
