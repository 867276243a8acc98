"""Proxies that remember what they were asked for: HTTP CONNECT (RFC 9110
section 9.3.6, with Basic credentials, over TLS as well) and SOCKS5 (RFC 1928,
RFC 1929).

They connect to where the test says, whatever name they are asked for, so that a
test can use names that no resolver knows: what is on this machine is never
reached through a proxy of the environment.
"""

import base64
import contextlib
import ipaddress
import select
import socket
import struct
import threading

from .frames import CRLF, HEAD_END
from .process import TIMEOUT


def _read_exactly(sock, count):
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _relay(one, other):
    """Passes bytes both ways until one side ends. Both block only for a write."""
    sockets = {one: other, other: one}
    while True:
        # What TLS has decrypted already does not show up in select().
        pending = [s for s in sockets if getattr(s, "pending", lambda: 0)()]
        readable = pending or select.select(list(sockets), [], [])[0]
        for sock in readable:
            data = sock.recv(1 << 16)
            if not data:
                return
            sockets[sock].sendall(data)


class Proxy:
    """Listens on a free port; one thread for each connection. `requests` lists
    what was asked for, in order."""

    scheme = None

    def __init__(self, target, credentials=None, tls=None):
        self._target = target
        self._credentials = credentials
        self._tls = tls
        self._sockets = []
        self.requests = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def url(self, credentials=None):
        user = "" if credentials is None else ":".join(credentials) + "@"
        return f"{self.scheme}://{user}127.0.0.1:{self.port}"

    def close(self):
        # shutdown() wakes the threads that wait in accept() and select().
        for sock in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        # A client that leaves ends its thread.
        with contextlib.suppress(OSError, EOFError, ValueError):
            client.settimeout(TIMEOUT)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._sockets.append(client)
            with client:
                if self._open(client):
                    with socket.create_connection(self._target, TIMEOUT) as server:
                        self._sockets.append(server)
                        _relay(client, server)

    def _open(self, client):
        """Speaks the proxy's protocol. Returns whether a tunnel follows."""
        raise NotImplementedError


class ConnectProxy(Proxy):
    """`requests` has the heads. `https` is for one that is reached by TLS."""

    @property
    def scheme(self):
        return "http" if self._tls is None else "https"

    def _open(self, client):
        head = b""
        while not head.endswith(HEAD_END):
            head += _read_exactly(client, 1)
        self.requests.append(head)
        if not self._is_allowed(head):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                           b"Proxy-Authenticate: Basic realm=\"test\"\r\n"
                           b"Content-Length: 0" + HEAD_END)
            return False
        client.sendall(b"HTTP/1.1 200 Connection established" + HEAD_END)
        return True

    def _is_allowed(self, head):
        if self._credentials is None:
            return True
        token = base64.b64encode(":".join(self._credentials).encode())
        return CRLF + b"Proxy-Authorization: Basic " + token + CRLF in head


class SocksProxy(Proxy):
    """`requests` has pairs of host and port; hosts as they were given: names, or
    addresses in brackets-free text."""

    scheme = "socks5h"
    VERSION, NO_AUTHENTICATION, PASSWORD, NONE_ACCEPTABLE = 5, 0, 2, 0xFF
    CONNECT, IPV4, NAME, IPV6 = 1, 1, 3, 4

    def _open(self, client):
        return self._agree(client) and self._connect(client)

    def _agree(self, client):
        """The choice of a method, and the password."""
        version, count = _read_exactly(client, 2)
        methods = _read_exactly(client, count)
        method = self.NO_AUTHENTICATION if self._credentials is None else self.PASSWORD
        if version != self.VERSION or method not in methods:
            client.sendall(bytes([self.VERSION, self.NONE_ACCEPTABLE]))
            return False
        client.sendall(bytes([self.VERSION, method]))
        return self._credentials is None or self._check_password(client)

    def _check_password(self, client):
        _, user_len = _read_exactly(client, 2)
        user = _read_exactly(client, user_len).decode()
        password = _read_exactly(client, _read_exactly(client, 1)[0]).decode()
        is_right = (user, password) == tuple(self._credentials)
        client.sendall(bytes([1, 0 if is_right else 1]))
        return is_right

    def _connect(self, client):
        _, command, _, kind = _read_exactly(client, 4)
        if command != self.CONNECT:
            raise ValueError(command)
        if kind == self.NAME:
            host = _read_exactly(client, _read_exactly(client, 1)[0]).decode()
        else:
            size = 4 if kind == self.IPV4 else 16
            host = str(ipaddress.ip_address(_read_exactly(client, size)))
        port, = struct.unpack("!H", _read_exactly(client, 2))
        self.requests.append((host, port))
        client.sendall(bytes([self.VERSION, 0, 0, self.IPV4]) + bytes(6))
        return True
