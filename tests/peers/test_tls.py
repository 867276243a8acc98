"""TLS: certificates with one thing wrong, who is asked for one, several on a
server, and ends that TLS does not know of (A-51)."""

import contextlib
import shutil
import signal
import socket
import ssl
import threading

import pytest

from support.certs import LOCAL, Authority
from support.frames import CLOSE, RawPeer, RawServer, TEXT, close_payload, connect_raw
from support.process import TIMEOUT, wait_until


def server_context(identity, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca, identity=None):
    context = ssl.create_default_context(cafile=ca)
    if identity is not None:
        context.load_cert_chain(identity.cert, identity.key)
    return context


class TlsServer:
    """Shakes hands with one client in a thread of its own; `received` is what
    came through TLS."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT)
        self.port = self._listener.getsockname()[1]
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        client, _ = self._listener.accept()
        client.settimeout(TIMEOUT)
        with self._context.wrap_socket(client, server_side=True,
                                       do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
                self.received = tls.recv(1 << 16)
            except OSError:
                # That the client leaves is what is tested. While it has not, it
                # shall read our alert: a reset could come before it.
                with contextlib.suppress(OSError), socket.socket(fileno=tls.detach()) as raw:
                    raw.settimeout(TIMEOUT)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(1 << 16):
                        pass

    def finish(self):
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
        self._listener.close()


def connect_tls(port, context, host="localhost"):
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    return RawPeer(context.wrap_socket(sock, server_hostname=host), is_client=True)


# -- Certificates of servers ---------------------------------------------------

# What is wrong with a certificate, and words the error has to have.
BAD_CERTIFICATES = {
    "expired": (dict(not_before=-3, not_after=-2), "expired"),
    "not_yet_valid": (dict(not_before=2, not_after=3), "not yet valid"),
    "wrong_host": (dict(hosts=["example.com"]), "mismatch"),
    "wrong_address": (dict(hosts=["127.0.0.2"]), "mismatch"),
    "self_signed": (dict(is_self_signed=True), "self-signed"),
    "common_name_only": (dict(hosts=[], common_name="localhost"), "mismatch"),
    "for_clients": (dict(is_client=True), "purpose"),
}


def expect_refusal(libws, server, words, *options, host="localhost"):
    """The command must fail, name the reason, and not have sent any byte of
    HTTP."""
    client = libws.connect(f"wss://{host}:{server.port}/", *options)
    error = client.expect_failure("CERTIFICATE")
    assert words in error["message"], error
    server.finish()
    assert server.received == b""


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_bad_certificate_is_refused(libws, authority, name, host):
    options, words = BAD_CERTIFICATES[name]
    server = TlsServer(server_context(authority.issue(name, **options)))
    expect_refusal(libws, server, words, "--ca", authority.ca, host=host)


def test_an_unknown_authority_is_refused(libws, authority, tmp_path):
    stranger = Authority(tmp_path, name="a stranger")
    server = TlsServer(server_context(stranger.issue("leaf")))
    expect_refusal(libws, server, "issuer", "--ca", authority.ca)


def test_the_system_does_not_trust_the_authority(libws, identity):
    server = TlsServer(server_context(identity))
    expect_refusal(libws, server, "issuer")


@pytest.mark.parametrize("host", LOCAL)
def test_a_good_certificate_is_taken(libws, authority, host):
    """By name, by IPv4 and by IPv6 address."""
    identity = authority.issue("one-name", [host])
    listen = ["--host", host] if host == "::1" else []
    server = libws.serve(*listen, "--tls-cert", identity.cert, "--tls-key", identity.key)
    authority_part = f"[{host}]" if ":" in host else host
    libws.connect(f"wss://{authority_part}:{server.port}/", "--ca", authority.ca).expect_echo()


def test_insecure_takes_any_certificate(libws, authority):
    """Only when asked for by that name."""
    identity = authority.issue("insecure", ["example.com"], not_after=-0.5)
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    libws.connect(f"wss://localhost:{server.port}/", "--insecure").expect_echo()


# -- Certificates of clients ---------------------------------------------------


@pytest.fixture
def client_identity(authority):
    return authority.issue("client", [], common_name="Ann", is_client=True)


def test_the_command_shows_its_certificate(libws, authority, identity, client_identity):
    probe = libws.probe()
    url = probe.listen(cert=identity.cert, key=identity.key, client_ca=authority.ca, echo=1)
    client = libws.connect(url.replace("127.0.0.1", "localhost"), "--ca", authority.ca,
                           "--cert", client_identity.cert, "--key", client_identity.key)
    probe.expect("open", id=1, peer_subject="CN=Ann")
    client.expect("open")
    client.send("hello")
    probe.expect_message(1, "hello")
    client.expect_message("hello")
    client.end_input()
    probe.expect("ping", id=1)
    client.expect_close(1000)
    probe.expect_close(1, 1000)


def test_a_missing_certificate_is_named(libws, authority, identity):
    """The words are those of the alert (RFC 8446 section 6.2)."""
    server = TlsServer(server_context(identity, client_ca=authority.ca))
    client = libws.connect(f"wss://localhost:{server.port}/", "--ca", authority.ca)
    error = client.expect_failure("TLS")
    assert "certificate required" in error["message"], error
    server.finish()
    assert server.received == b""


def test_a_server_refuses_clients_without_the_right_certificate(
        libws, authority, identity, client_identity, tmp_path):
    stranger = Authority(tmp_path, name="a stranger").issue("client", [], is_client=True)
    probe = libws.probe()
    probe.listen(cert=identity.cert, key=identity.key, client_ca=authority.ca)
    for number, shown, words in ((1, None, "no certificate"), (2, stranger, "issuer")):
        # With TLS 1.3 a client learns of it with its first read.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with connect_tls(probe.port, client_context(authority.ca, shown)) as peer:
                peer.open()
        error = probe.expect_failure(number, "CERTIFICATE", phase="handshake")
        assert words in error["message"], error
    with connect_tls(probe.port, client_context(authority.ca, client_identity)) as peer:
        peer.open()
        probe.expect("open", id=3, peer_subject="CN=Ann")
    probe.expect_failure(3, "UNEXPECTED_EOF")


# -- Certificates of a server --------------------------------------------------


def common_name_of(port, host, ca):
    context = client_context(ca)
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        with context.wrap_socket(sock, server_hostname=host) as tls:
            return dict(pair for part in tls.getpeercert()["subject"] for pair in part)["commonName"]


def test_a_server_chooses_by_name(libws, authority):
    """SNI: exactly, else by a wildcard, else the first."""
    identities = [authority.issue("default", ["localhost"], common_name="default"),
                  authority.issue("a", ["a.test"], common_name="a"),
                  authority.issue("wild", ["*.wild.test"], common_name="wild")]
    probe = libws.probe()
    probe.listen(cert=[i.cert for i in identities], key=[i.key for i in identities])
    for host, name in (("a.test", "a"), ("b.wild.test", "wild"), ("localhost", "default")):
        assert common_name_of(probe.port, host, authority.ca) == name
        probe.expect("error", side="transport", phase="handshake")
        probe.expect("close", code=1006)


def test_the_command_reloads_its_certificate(libws, authority, tmp_path):
    """SIGHUP; open connections stay."""
    old = authority.issue("old", common_name="old")
    new = authority.issue("new", common_name="new")
    cert, key = shutil.copy(old.cert, tmp_path / "cert"), shutil.copy(old.key, tmp_path / "key")
    server = libws.serve("--tls-cert", cert, "--tls-key", key)
    client = libws.connect(f"wss://localhost:{server.port}/", "--ca", authority.ca)
    client.expect("open")

    shutil.copy(new.cert, cert)
    shutil.copy(new.key, key)
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: common_name_of(server.port, "localhost", authority.ca) == "new", "reload")

    client.send("hello")
    client.expect_message("hello")


def test_the_command_keeps_its_certificate_if_the_new_one_is_no_good(libws, authority, tmp_path):
    identity = authority.issue("kept", common_name="kept")
    cert, key = (shutil.copy(identity.cert, tmp_path / "cert"),
                 shutil.copy(identity.key, tmp_path / "key"))
    server = libws.serve("--tls-cert", cert, "--tls-key", key)
    (tmp_path / "cert").write_text("nonsense")
    said = len(server.stderr)
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.stderr) > said, "what the server says about it")
    assert common_name_of(server.port, "localhost", authority.ca) == "kept"


# -- Ends ----------------------------------------------------------------------


@contextlib.contextmanager
def open_client(libws, authority, identity):
    """A probe's client that is open over TLS, and its peer, whose TCP socket a
    test may end without a word of TLS."""
    context = server_context(identity)
    probe = libws.probe()
    with RawServer() as server:
        number = probe.connect(f"wss://localhost:{server.port}/", ca=authority.ca)
        with server.accept() as raw:
            peer = RawPeer(context.wrap_socket(raw.sock, server_side=True), is_client=False)
            peer.accept()
            probe.expect("open", id=number)
            yield probe, number, peer


def test_truncation_is_not_clean(libws, authority, identity):
    """FIN without close_notify while open."""
    with open_client(libws, authority, identity) as (probe, number, peer):
        peer.sock.close()
        probe.expect_failure(number, "UNEXPECTED_EOF")


def test_close_notify_without_close_frame_is_not_clean(libws, authority, identity):
    with open_client(libws, authority, identity) as (probe, number, peer):
        with contextlib.suppress(OSError):
            peer.sock.unwrap()
        probe.expect_failure(number, "UNEXPECTED_EOF")


def test_truncation_after_both_close_frames_is_clean(libws, authority, identity):
    """WebSocket has its own close handshake."""
    with open_client(libws, authority, identity) as (probe, number, peer):
        peer.send_frame(TEXT, b"bye")
        peer.send_frame(CLOSE, close_payload(1000))
        probe.expect_message(number, "bye")
        peer.expect_close(1000)
        peer.sock.close()
        probe.expect_close(number, 1000)


def test_a_reset_is_not_clean(libws, authority, identity):
    with open_client(libws, authority, identity) as (probe, number, peer):
        peer.reset()
        probe.expect_failure(number, "TRANSPORT")


def test_wss_to_a_plain_server_fails(libws):
    """One error, no hang."""
    server = libws.serve()
    client = libws.connect(f"wss://127.0.0.1:{server.port}/")
    client.expect_failure("TLS")


def test_ws_to_a_tls_server_fails(libws, identity):
    """The server sees no TLS, and ends the connection."""
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    client = libws.connect(f"ws://127.0.0.1:{server.port}/")
    error = client.event()
    assert error["event"] == "error" and error["name"] in (
        "UNEXPECTED_EOF", "TRANSPORT", "HTTP_SYNTAX"), error
    client.expect_close(1006, clean=False)


def test_garbage_to_a_tls_server_does_not_stop_it(libws, authority, identity):
    server = libws.serve("--tls-cert", identity.cert, "--tls-key", identity.key)
    for garbage in (b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff"):
        with connect_raw(server.port) as peer:
            peer.send(garbage)
            peer.half_close()
            with contextlib.suppress(ConnectionError):
                peer.read_to_end()
    libws.connect(f"wss://localhost:{server.port}/", "--ca", authority.ca).expect_echo()
