"""Connections that end where they should not, in each state, in both directions:
FIN, RST and a half-close by a peer that speaks raw TCP (rows 97, 218, 229, 247)."""

import contextlib

import pytest

from support.frames import BINARY, CLOSE, TEXT, RawServer, connect_raw, handshake_request
from support.libws import ABNORMAL
from support.process import wait_until

ENDS = ("fin", "rst", "half_close")


def end(peer, how):
    """Ends the connection from the peer's side."""
    {"fin": peer.close, "rst": peer.reset, "half_close": peer.half_close}[how]()


def name_of(how):
    return "TRANSPORT" if how == "rst" else "UNEXPECTED_EOF"


def expect_gone(peer, how):
    """libws must not keep its half open: whatever it still sends, it ends."""
    if how == "half_close":
        # With a byte unread, Linux sends RST for FIN.
        with contextlib.suppress(ConnectionResetError):
            peer.read_to_end()


# -- libws as client -----------------------------------------------------------


def at_connection(peer):
    """No byte was read."""


def after_the_request(peer):
    peer.read_request()


def inside_the_101(peer):
    peer.read_request()
    peer.send(peer.switching()[:40])


def inside_a_refusal(peer):
    """A body that is shorter than its Content-Length."""
    peer.read_request()
    peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno")


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("reach", [after_the_request, inside_the_101])
def test_the_client_fails_in_the_handshake(libws, reach, how):
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept() as peer:
            reach(peer)
            end(peer, how)
            probe.expect_failure(socket, name_of(how), phase="handshake", close_code=0, status=0)
            expect_gone(peer, how)


def test_the_client_fails_when_the_server_reads_nothing(libws):
    """FIN before the request was read becomes RST in Linux."""
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        server.accept().close()
        error = probe.event()
        assert error["name"] in ("TRANSPORT", "UNEXPECTED_EOF"), error
        probe.expect_close(socket, ABNORMAL, clean=False)


def test_the_client_shows_a_refusal_that_was_cut_off(libws):
    """Row 74: the status counts, not the body."""
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept() as peer:
            inside_a_refusal(peer)
            peer.half_close()
            probe.expect_failure(socket, "UNEXPECTED_STATUS", status=403)


def when_open(peer):
    """Between frames."""


def inside_a_head(peer):
    peer.send(peer.encode(BINARY, bytes(1000))[:2])


def inside_a_payload(peer):
    peer.send(peer.encode(BINARY, bytes(1000))[:500])


def inside_a_message(peer):
    peer.send_frame(TEXT, b"part", fin=False)


def inside_a_close_frame(peer):
    peer.send(peer.encode(CLOSE, b"\x03\xe8bye")[:3])


OPEN_STATES = [when_open, inside_a_head, inside_a_payload, inside_a_message, inside_a_close_frame]


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("reach", OPEN_STATES)
def test_the_client_fails_when_open(libws, reach, how):
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept().accept() as peer:
            probe.expect("open", id=socket)
            reach(peer)
            end(peer, how)
            probe.expect_failure(socket, name_of(how), phase="open", close_code=0)
            expect_gone(peer, how)


@pytest.mark.parametrize("how", ENDS)
def test_the_client_fails_when_its_close_is_not_answered(libws, how):
    """Row 218."""
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept().accept() as peer:
            probe.expect("open", id=socket)
            probe.command("close", socket, 4000, "because")
            peer.expect_close(4000, "because")
            end(peer, how)
            probe.expect_failure(socket, name_of(how), phase="closing")
            expect_gone(peer, how)


@pytest.mark.parametrize("how", ENDS)
def test_the_client_is_done_when_both_have_said_close(libws, how):
    """Rows 214 and 220: whatever comes of TCP then."""
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept().accept() as peer:
            probe.expect("open", id=socket)
            peer.send_close(4001, "bye")
            peer.expect_close(4001, "bye")
            end(peer, how)
            probe.expect_close(socket, 4001, "bye")


def test_the_client_gets_what_came_before_the_end(libws):
    """Row 148, without a Close frame."""
    probe = libws.probe()
    with RawServer() as server:
        socket = probe.connect(server.url)
        with server.accept().accept() as peer:
            peer.send(peer.encode(TEXT, b"one") + peer.encode(TEXT, b"two"))
            peer.half_close()
            probe.expect("open", id=socket)
            probe.expect_message(socket, "one")
            probe.expect_message(socket, "two")
            probe.expect_failure(socket, "UNEXPECTED_EOF")


def test_the_command_reports_the_end(libws):
    """Exit code 1, and the cause."""
    with RawServer() as server:
        client = libws.connect(server.url)
        with server.accept().accept() as peer:
            client.expect("open")
            peer.reset()
            client.expect_failure("TRANSPORT")


# -- libws as server -----------------------------------------------------------


def without_a_byte(peer):
    """The client has connected, no more."""


def inside_the_request(peer):
    peer.send(handshake_request()[:30])


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("reach", [without_a_byte, inside_the_request])
def test_the_server_forgets_a_client_that_never_asked(libws, reach, how):
    """It says why, keeps no descriptor, and serves the next."""
    probe = libws.probe()
    probe.listen(echo=1)
    before = probe.descriptors()
    with connect_raw(probe.port) as peer:
        reach(peer)
        end(peer, how)
        probe.expect_failure(1, name_of(how), phase="handshake", close_code=0)
        expect_gone(peer, how)
    with connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=2)
        peer.send_frame(TEXT, b"hello")
        probe.expect_message(2, "hello")
        peer.expect(TEXT, b"hello")
        peer.send_close(1000)
        peer.expect_close(1000)
        peer.expect_end()
    probe.expect_close(2, 1000)
    wait_until(lambda: probe.descriptors() == before, "descriptors to be given back")


@pytest.mark.parametrize("how", ENDS)
def test_the_server_opens_for_a_client_that_is_gone(libws, how):
    """The request was whole; the end comes after it."""
    probe = libws.probe()
    probe.listen()
    with connect_raw(probe.port) as peer:
        peer.send(handshake_request())
        peer.read_head()
        probe.expect("open", id=1)
        end(peer, how)
        probe.expect_failure(1, name_of(how), phase="open", close_code=0)
        expect_gone(peer, how)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("reach", OPEN_STATES)
def test_the_server_fails_when_open(libws, reach, how):
    probe = libws.probe()
    probe.listen()
    with connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=1)
        reach(peer)
        end(peer, how)
        probe.expect_failure(1, name_of(how), phase="open", close_code=0)
        expect_gone(peer, how)


@pytest.mark.parametrize("how", ENDS)
def test_the_server_fails_when_its_close_is_not_answered(libws, how):
    """Row 218."""
    probe = libws.probe()
    probe.listen()
    with connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=1)
        probe.command("close-with", 1, 1001, "restart")
        peer.expect_close(1001, "restart")
        end(peer, how)
        probe.expect_failure(1, name_of(how), phase="closing")
        expect_gone(peer, how)


def test_the_server_ends_tcp_first(libws):
    """Row 220."""
    probe = libws.probe()
    probe.listen()
    with connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=1)
        peer.send_close(3000, "done")
        peer.expect_close(3000, "done")
        peer.expect_end()
    probe.expect_close(1, 3000, "done")


def test_a_server_ends_without_waiting_for_requests(libws):
    """Browsers connect in advance. Whoever has not asked for anything does not
    hold up the end, and who is open is told."""
    probe = libws.probe()
    probe.listen(handshake_timeout=60000, close_timeout=60000)
    with connect_raw(probe.port), connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=1)
        probe.command("shutdown", 1001, "restart")
        probe.expect_failure(2, "ABORTED", side="local", phase="handshake")
        peer.expect_close(1001, "restart")
        peer.send_close(1001, "restart")
        peer.expect_end()
        probe.expect_close(1, 1001, "restart")
        probe.expect("server_close")
