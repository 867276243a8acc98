"""What happens to connections when workers end, and many of them at once."""

import os
import signal
import subprocess

from support.frames import CLOSE, LIMIT, Client


def test_a_reload_closes_with_1001_and_new_connections_go_to_the_new_worker(nginx, connect):
    # Row 293.
    clients = [connect("echo"), connect("echo-events"), connect("named?name=ann")]
    clients[2].read_message()
    (old,) = nginx.workers()
    nginx.reload()
    for client in clients:
        frame = client.read()
        assert (frame.opcode, frame.close_code) == (CLOSE, 1001)
    # The old worker waits for the answers.
    newcomer = connect("echo")
    newcomer.send("hello")
    assert newcomer.read_message() == b"hello"
    assert old in nginx.workers()
    for client in clients:
        client.answer_close(frame)
    nginx.wait_for_log(f"worker process {old} exited with code 0")
    newcomer.send("still here")
    assert newcomer.read_message() == b"still here"


def test_a_reload_closes_clients_too(start):
    upstream, nginx = start(), start()
    with Client(nginx.port, f"/app/proxy?url=ws://127.0.0.1:{upstream.port}/app/echo") as client:
        client.send("hello")
        assert client.read_message() == b"hello"
        nginx.reload()
        frame = client.read()
        assert frame.close_code == 1001
        client.answer_close(frame)
        upstream.wait_for_log("echo closed 1001 '' true")


def test_an_end_in_good_order(nginx, connect):
    client = connect("echo")
    nginx.process.send_signal(signal.SIGQUIT)
    frame = client.read()
    assert frame.close_code == 1001
    client.answer_close(frame)
    assert nginx.process.wait(10) == 0


def test_a_worker_that_is_killed_takes_its_connections_along(nginx, connect):
    client = connect("echo")
    (worker,) = nginx.workers()
    os.kill(worker, signal.SIGKILL)
    assert client.is_at_end()
    nginx.expect_error(f"worker process {worker} exited on signal 9")
    nginx.wait_for_log("start worker process", 2)
    newcomer = connect("echo")
    newcomer.send("hello")
    assert newcomer.read_message() == b"hello"


def test_a_thousand_connections(nginx, connect):
    clients = [connect("echo") for _ in range(1000)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(f"{turn} {number}")
        for number, client in enumerate(clients):
            assert client.read_message() == f"{turn} {number}".encode()
    nginx.get("/app/publish?text=all")
    assert all(client.read_message() == b"all" for client in clients)
    for client in clients:
        assert client.close() == 1000
    assert nginx.get("/app/clients") == (200, "0\n")


def test_several_workers_share_the_work(start):
    nginx = start(workers=2)
    for _ in range(20):
        with Client(nginx.port, "/app/echo") as client:
            client.send("x")
            assert client.read_message() == b"x"
            client.close()


def test_the_command_libws_talks_to_it(nginx, libws):
    talk = subprocess.run(
        [libws, "connect", f"ws://127.0.0.1:{nginx.port}/app/echo-events"],
        input=b"one\ntwo\n",
        capture_output=True,
        timeout=LIMIT,
    )
    assert (talk.stdout, talk.returncode) == (b"one\ntwo\n", 0)
