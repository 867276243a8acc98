"""libcurl's WebSocket, which comes with pycurl: Debian's curl is built without."""

import select

import pycurl
import pytest

from support.frames import close_payload
from support.libws import MIB, SIZES, pattern_bytes, pattern_text
from support.process import TIMEOUT

CHUNK = 1 << 16
DETACHED = 2  # CURLOPT_CONNECT_ONLY: the handshake, and then ws_send and ws_recv.


class Curl:
    """One connection. curl itself never waits after the handshake."""

    def __init__(self, url, ca=None):
        self._curl = pycurl.Curl()
        for option, value in ((pycurl.URL, url), (pycurl.CONNECT_ONLY, DETACHED),
                              (pycurl.PROXY, ""), (pycurl.CONNECTTIMEOUT, int(TIMEOUT))):
            self._curl.setopt(option, value)
        if ca is not None:
            self._curl.setopt(pycurl.CAINFO, str(ca))
        self._curl.perform()
        self._socket = self._curl.getinfo(pycurl.ACTIVESOCKET)

    def send(self, data, flags):
        """Sends a frame; curl may take it in parts."""
        while True:
            try:
                data = data[self._curl.ws_send(data, flags):]
            except BlockingIOError:
                self._wait(writable=True)
            if not data:
                return

    def receive(self):
        """The payload of the next message or control frame, and its flags."""
        payload = bytearray()
        while True:
            try:
                chunk, meta = self._curl.ws_recv(CHUNK)
            except BlockingIOError:
                self._wait(writable=False)
                continue
            payload += chunk
            if meta.bytesleft == 0 and not meta.flags & pycurl.WS_CONT:
                return bytes(payload), meta.flags

    def close(self):
        """Ends TCP, as curl does not close a WebSocket by itself."""
        self._curl.close()

    def _wait(self, writable):
        sockets = [self._socket]
        ready = select.select([] if writable else sockets, sockets if writable else [], [],
                              TIMEOUT)
        assert any(ready), "curl waits for ever"


def expect_echoes(curl, sizes):
    for size in sizes:
        for data, flag in ((pattern_text(size).encode(), pycurl.WS_TEXT),
                           (pattern_bytes(size), pycurl.WS_BINARY)):
            curl.send(data, flag)
            assert curl.receive() == (data, flag), f"{size} bytes"


def test_every_size_comes_back(libws):
    """Row 153."""
    curl = Curl(libws.serve().url)
    expect_echoes(curl, [*SIZES, MIB])


def test_every_size_comes_back_over_tls(libws, authority, identity):
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    curl = Curl(server.url.replace("127.0.0.1", "localhost"), authority.ca)
    expect_echoes(curl, [*SIZES, MIB])


def test_a_close_comes_back(libws):
    """Row 214."""
    probe = libws.probe()
    curl = Curl(probe.listen())
    probe.expect("open", id=1)
    curl.send(close_payload(4001, "because"), pycurl.WS_CLOSE)
    assert curl.receive() == (close_payload(4001, "because"), pycurl.WS_CLOSE)
    probe.expect_close(1, 4001, "because")


def test_curl_is_pinged(libws):
    """Row 337. curl answers by itself while it receives, and keeps it to itself."""
    probe = libws.probe()
    curl = Curl(probe.listen())
    probe.expect("open", id=1)
    probe.command("ping", 1, "hello")
    probe.send(1, "then")
    assert curl.receive() == (b"then", pycurl.WS_TEXT)
    probe.expect("pong", id=1, data=b"hello".hex())
    curl.close()
    probe.expect_failure(1, "UNEXPECTED_EOF")


def test_an_origin_that_is_not_allowed_is_refused(libws):
    """A-41. curl fails for a status that is not 101."""
    probe = libws.probe()
    url = probe.listen(allow_origin="https://example.com")
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.CONNECT_ONLY, DETACHED)
    curl.setopt(pycurl.HTTPHEADER, ["Origin: https://example.org"])
    with pytest.raises(pycurl.error):
        curl.perform()
    assert curl.getinfo(pycurl.RESPONSE_CODE) == 403
    probe.expect_failure(1, "ORIGIN_NOT_ALLOWED", status=403)
