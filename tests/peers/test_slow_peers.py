"""Peers that are slow, or do not read at all, and limits of the system."""

import contextlib
import resource
import select
import signal
import ssl

import pytest

from support.frames import (BINARY, TEXT, RawServer, close_payload, connect_raw, encode_frame,
                            handshake_request)
from support.libws import ABNORMAL, MIB, pattern_bytes, pattern_text
from support.process import TIMEOUT, wait_until

SMALL_BUFFER = 4096
CLOSING = 2  # readyState


# -- Slow writers --------------------------------------------------------------


def test_a_response_may_come_byte_by_byte(libws):
    """Row 95."""
    probe = libws.probe()
    with RawServer() as server:
        socket_ = probe.connect(server.url)
        with server.accept() as peer:
            peer.read_request()
            peer.send_in_pieces(peer.switching())
            probe.expect("open", id=socket_)
            peer.send_in_pieces(peer.encode(TEXT, "é €".encode()))
            probe.expect_message(socket_, "é €")
            peer.send_in_pieces(peer.encode(8, close_payload(1000)))
            peer.expect_close(1000)
        probe.expect_close(socket_, 1000)


def test_a_request_may_come_byte_by_byte(libws):
    """Row 360 as well: a message right behind the request."""
    probe = libws.probe()
    probe.listen()
    with connect_raw(probe.port) as peer:
        peer.send_in_pieces(handshake_request() + peer.encode(TEXT, b"first"))
        assert peer.read_head().startswith(b"HTTP/1.1 101 ")
        probe.expect("open", id=1)
        probe.expect_message(1, "first")
        peer.send_in_pieces(peer.encode(8, close_payload(1000)))
        peer.expect_close(1000)
    probe.expect_close(1, 1000)


def test_a_request_that_does_not_end_is_given_up(libws):
    """Slow clients have handshake_timeout for all of it."""
    probe = libws.probe()
    probe.listen(handshake_timeout=100)
    # It is asleep until all is there: who says nothing in time gets no answer.
    probe.send_signal(signal.SIGSTOP)
    with connect_raw(probe.port) as peer:
        peer.send(handshake_request()[:-2])
        probe.send_signal(signal.SIGCONT)
        assert peer.read_to_end().startswith(b"HTTP/1.1 408 ")
    probe.expect_failure(1, "HANDSHAKE_TIMEOUT", phase="handshake", status=408)


def test_a_response_that_does_not_come_is_given_up(libws):
    """Row 343."""
    probe = libws.probe()
    with RawServer() as server:
        socket_ = probe.connect(server.url, handshake_timeout=100)
        with server.accept() as peer:
            probe.expect_failure(socket_, "HANDSHAKE_TIMEOUT")
            peer.read_to_end()  # What was asked, if there was time to.


# -- Slow readers --------------------------------------------------------------


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_slow_reader_gets_everything(libws, role):
    """Row 174: through the smallest windows. What Linux does not take (at most
    4 MiB) waits, and a drain event says that there is room again."""
    count, size = 100, 65536
    with open_pair(libws, role) as (probe, number, peer):
        for _ in range(count):
            probe.send(number, size)
        assert probe.state(number)["buffered"] > MIB
        for _ in range(count):
            peer.expect(BINARY, pattern_bytes(size))
        probe.expect("drain", id=number)
        assert probe.state(number)["buffered"] == 0
        probe.command("close", number, 1000, "that was all")
        peer.expect_close(1000, "that was all")
        peer.send_close(1000, "that was all")
        peer.close()
        probe.expect_close(number, 1000, "that was all")


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_peer_that_never_reads_fails_the_socket(libws, role):
    """Row 175: the queue is full, the connection fails, memory is bounded."""
    with open_pair(libws, role, max_send_queue=MIB) as (probe, number, peer):
        while (event := send_and_look(probe, number))["event"] == "state":
            assert event["buffered"] <= MIB
        assert (event["event"], event["name"]) == ("refused", "SEND_QUEUE_FULL"), event
        probe.expect("state", id=number, state=CLOSING)
        probe.expect_failure(number, "SEND_QUEUE_FULL", side="local")
        with contextlib.suppress(ConnectionResetError):
            peer.read_to_end()


def send_and_look(probe, number):
    """Both in one turn of the loop, so that no event comes between them."""
    probe.write(f"send {number} binary @65536\nstate {number}\n".encode())
    return probe.event()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_peer_that_does_not_read_for_too_long_fails_the_socket(libws, role):
    """send_timeout: none of what waits has left."""
    with open_pair(libws, role, send_timeout=200) as (probe, number, _):
        probe.send(number, 8 * MIB)
        probe.expect_failure(number, "SEND_TIMEOUT")


@contextlib.contextmanager
def open_pair(libws, role, **options):
    """An open connection of a probe in that role with a raw peer, whose receive
    buffer is as small as can be."""
    probe = libws.probe()
    if role == "client":
        with RawServer(receive_buffer=SMALL_BUFFER) as server:
            number = probe.connect(server.url, compression="off", **options)
            with server.accept().accept() as peer:
                probe.expect("open", id=number)
                yield probe, number, peer
    else:
        probe.listen(**options)
        with connect_raw(probe.port, receive_buffer=SMALL_BUFFER) as peer:
            peer.open()
            probe.expect("open", id=1)
            yield probe, 1, peer


@pytest.mark.exact_memory
def test_an_echo_server_makes_who_never_reads_wait(libws):
    """It reads no further, keeps little, and goes on for others."""
    server = libws.serve()
    before = server.memory()
    with connect_raw(server.port, receive_buffer=SMALL_BUFFER) as peer:
        peer.open()
        sent = send_until_blocked(peer.sock, peer.encode(BINARY, pattern_bytes(65536)))
        assert sent > MIB
        assert server.memory() - before < 8 * MIB
        libws.connect(server.url).expect_echo()


@pytest.mark.exact_memory
def test_a_broadcast_drops_who_never_reads(libws):
    """Row 175: the others get everything."""
    server = libws.serve("--broadcast")
    before = server.memory()
    with connect_raw(server.port, receive_buffer=SMALL_BUFFER) as idle, \
            connect_raw(server.port) as talker:
        idle.open()
        talker.open()
        for _ in range(24):
            message = pattern_bytes(MIB)
            talker.send_frame(BINARY, message)
            talker.expect(BINARY, message)
        wait_until(lambda: "SEND_QUEUE_FULL" in server.stderr, "the log")
        assert server.memory() - before < 24 * MIB
        with contextlib.suppress(ConnectionResetError):
            idle.read_to_end()


@pytest.mark.exact_memory
def test_a_paused_socket_makes_its_peer_wait(libws):
    """Row 347: what is not read stays with the peer."""
    probe = libws.probe()
    probe.listen(max_message=MIB)
    with connect_raw(probe.port) as peer:
        peer.open()
        probe.expect("open", id=1)
        probe.command("pause", 1)
        probe.state(1)
        before = probe.memory()
        frame = peer.encode(BINARY, pattern_bytes(65536))
        sent = send_until_blocked(peer.sock, frame)
        assert sent > len(frame)
        assert probe.memory() - before < 4 * MIB
        probe.command("resume", 1)
        whole = -(-sent // len(frame))
        peer.send(frame[sent - (whole - 1) * len(frame):])
        for _ in range(whole):
            probe.expect_message(1, pattern_bytes(65536))
    probe.expect_failure(1, "UNEXPECTED_EOF")


def test_a_reset_is_noticed_while_paused(libws):
    """Row 247: nothing that waits can be sent any more. Who pauses until it is
    sent would wait for ever."""
    with open_pair(libws, "server") as (probe, number, peer):
        probe.command("pause", number)
        probe.send(number, 8 * MIB)
        probe.state(number)
        peer.reset()
        probe.expect("error", id=number, side="transport", phase="open")
        probe.expect_close(number, ABNORMAL, clean=False)


def send_until_blocked(sock, frame):
    """Sends one frame after the other until the buffers of both ends are full
    and stay so. Returns how many bytes went."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.2)[1]:
        try:
            sent += sock.send(frame[sent % len(frame):])
        except BlockingIOError:
            pass
    sock.settimeout(TIMEOUT)
    return sent


# -- Many connections ----------------------------------------------------------


def allow_descriptors(count):
    """Raises the limit of this process, and of those it starts, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} descriptors are allowed")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def open_many(port, count):
    """Opens connections, all at once in bounded batches."""
    peers = []
    request = handshake_request()
    while len(peers) < count:
        batch = [connect_raw(port) for _ in range(min(500, count - len(peers)))]
        for peer in batch:
            peer.send(request)
        for peer in batch:
            assert peer.read_head().startswith(b"HTTP/1.1 101 ")
        peers += batch
    return peers


@pytest.mark.heavy
@pytest.mark.exact_memory
def test_ten_thousand_connections_are_idle(libws, show_figure):
    """They cost little memory and no time, and each still works."""
    count = 10_000
    allow_descriptors(count + 100)
    server = libws.serve("--quiet")
    with contextlib.ExitStack() as stack:
        stack.enter_context(connect_raw(server.port)).open()
        before = server.memory()
        peers = open_many(server.port, count)
        for peer in peers:
            stack.enter_context(peer)
        per_connection = (server.memory() - before) / count
        show_figure(f"{per_connection:.0f} bytes for each of {count} idle connections")
        assert per_connection < 1024

        idle = cpu_while_waiting(server, 1)
        assert idle < 0.05, f"{idle:.2f} s of CPU in an idle second"

        for peer in peers[::100]:
            peer.send_frame(TEXT, b"hello")
            peer.expect(TEXT, b"hello")
    libws.connect(server.url).expect_echo()


@pytest.mark.heavy
@pytest.mark.exact_memory
def test_a_thousand_tls_connections_are_idle(libws, authority, identity, show_figure):
    """Their memory is that of OpenSSL, without its buffers."""
    count = 1000
    allow_descriptors(count + 100)
    server = libws.serve("--quiet", "--tls-cert", identity.cert, "--tls-key", identity.key)
    context = ssl.create_default_context(cafile=authority.ca)
    with contextlib.ExitStack() as stack:
        def open_one():
            peer = stack.enter_context(connect_raw(server.port))
            peer.sock = context.wrap_socket(peer.sock, server_hostname="localhost")
            peer.open()

        open_one()
        before = server.memory()
        for _ in range(count):
            open_one()
        per_connection = (server.memory() - before) / count
        show_figure(f"{per_connection:.0f} bytes for each of {count} idle TLS connections")
        assert per_connection < 20_000


def cpu_while_waiting(process, seconds):
    """CPU time that a process takes while nothing happens for so long."""
    before = process.cpu_seconds()
    select.select([], [], [], seconds)
    return process.cpu_seconds() - before


def test_a_server_without_descriptors_waits(libws):
    """EMFILE: no busy loop, and it goes on when there are some again."""
    limit, count = 64, 100

    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    server = libws.serve("--quiet", preexec_fn=few_descriptors)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect_raw(server.port)) for _ in range(count)]
        for peer in peers:
            peer.send(handshake_request())
        wait_until(lambda: server.descriptors() >= limit - 2, "all descriptors in use")
        used = cpu_while_waiting(server, 1)
        assert used < 0.05, f"{used:.2f} s of CPU in a second of waiting"

        # Those that came first are open. When half of them leave, the others
        # come in.
        accepted = [p for p in peers if select.select([p.sock], [], [], 0)[0]]
        assert limit // 2 < len(accepted) < limit
        waiting = [p for p in peers if p not in accepted]
        for peer in accepted:
            assert peer.read_head().startswith(b"HTTP/1.1 101 ")
            peer.close()
        for peer in waiting:
            assert peer.read_head().startswith(b"HTTP/1.1 101 ")
            peer.send_frame(TEXT, b"hello")
            peer.expect(TEXT, b"hello")


def test_connections_that_are_reset_at_once_leave_nothing(libws):
    """A thousand times connect and RST, some with half a request."""
    server = libws.serve("--quiet")
    libws.connect(server.url).expect_echo()
    before = server.descriptors()
    for i in range(1000):
        peer = connect_raw(server.port)
        if i % 2:
            peer.send(handshake_request()[:60])
        peer.reset()
    libws.connect(server.url).expect_echo()
    wait_until(lambda: server.descriptors() == before, "descriptors to be given back")
