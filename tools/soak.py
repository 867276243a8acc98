#!/usr/bin/env python3
"""Keeps `libws serve` busy with clients that come, talk, break off and are killed,
and looks whether it holds on to anything.

    tools/soak.py [--seconds N] [--seed N] [--libws PROGRAM]

Rounds of random clients: `libws bench` with many connections, sizes and pipelines,
one in three of them killed on the way; messages that are too large; requests that
are never finished; rubbish; ends of every kind. When all of a round have gone, the
server must have the descriptors that it began with. Its resident memory is printed,
and over the last third of the rounds may not be more than a tenth and 1 MiB above
what it was before. At the end it has to stop in good order.

Without --libws the command is built, in build/soak. The exit status is 0 if nothing
was held on to. Linux only.
"""

import argparse
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/soak"

PATIENCE = 60.0  # Seconds for what takes one; only a failure takes so long.
SIZES = (0, 1, 16, 125, 126, 1000, 16384, 65535, 65536, 300000, 1 << 20)
TOO_LARGE = 3 << 20  # The server takes 1 MiB.

UPGRADE = (b"GET / HTTP/1.1\r\nHost: soak\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
MASK = bytes(4)  # Changes nothing.

# glibc learns from what is freed to keep more of it; here all that is free goes
# back, so that what is resident is in use.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}

STRANGERS = {
    "silence": b"",
    "half a request": UPGRADE[:60],
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "rubbish": b"\x00\xff rubbish\r\n\r\n",
    "another page": b"GET /none HTTP/1.1\r\nHost: soak\r\n\r\n",
    "a frame without a mask": UPGRADE + b"\x81\x02hi",
    "half a frame": UPGRADE + b"\x82\xff\x00\x00\x00\x00\x00\x0f\xff\xff" + MASK + b"x",
    "a message without an end": UPGRADE + (b"\x02\x81" + MASK + b"x") + (b"\x00\x81" + MASK + b"y") * 50,
    "a close and more": UPGRADE + b"\x88\x82" + MASK + b"\x03\xe8" + b"\x89\x80" + MASK,
}


class Held(Exception):
    """What the server holds on to, or does wrong."""


def build():
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "build.log", "wb") as log:
        for command in (["cmake", "-S", ROOT, "-B", OUT, "-DWS_TESTS=OFF"],
                        ["cmake", "--build", OUT, "--parallel", str(os.cpu_count())]):
            subprocess.run(command, stdout=log, stderr=log, check=True)
    return OUT / "cli/libws"


# -- The server -------------------------------------------------------------------

class Server:
    def __init__(self, libws):
        self._process = subprocess.Popen(
            [libws, "serve", "--echo", "--compression", "--workers", "2", "--quiet", "--port", "0"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, **GIVE_BACK})
        self.url = self._process.stdout.readline().split()[-1]
        self.port = int(self.url.rpartition(":")[2])
        self._proc = pathlib.Path("/proc", str(self._process.pid))
        self._idle = self.descriptors()

    def descriptors(self):
        return len(list((self._proc / "fd").iterdir()))

    def resident_kib(self):
        status = (self._proc / "status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def wait_until_idle(self):
        deadline = time.monotonic() + PATIENCE
        while (now := self.descriptors()) > self._idle:
            if self._process.poll() is not None:
                raise Held(f"the server ended with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise Held(f"{now} descriptors, and nobody is there; at the start {self._idle}")
            time.sleep(0.05)

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(PATIENCE)
        if code != 0:
            raise Held(f"the server ended with {code}")

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


# -- The clients ------------------------------------------------------------------

def start(libws, *args, **options):
    return subprocess.Popen([libws, *map(str, args)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, **options)


def start_crowd(libws, server, choose, seconds):
    args = ["--connections", choose.randint(1, 200), "--size", choose.choice(SIZES),
            "--pipeline", choose.randint(1, 16), "--seconds", seconds]
    args += choose.sample(["--text", "--compression"], choose.randint(0, 2))
    return start(libws, "bench", *args, server.url)


def start_too_large(libws, server):
    """Is refused with 1009, in the middle of its message."""
    client = start(libws, "connect", "--compression", "off", server.url, stdin=subprocess.PIPE)
    try:
        client.communicate(b"x" * TOO_LARGE + b"\n", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        client.kill()
    return client


def visit(server, data, ending):
    """Sends bytes, and goes in one of three ways."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as peer:
        peer.sendall(data)
        if ending == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif ending == "half":
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(0.2)
            try:
                while peer.recv(65536):
                    pass
            except OSError:
                pass


def play_round(libws, server, choose):
    seconds = choose.uniform(0.5, 3)
    crowds = [start_crowd(libws, server, choose, round(seconds, 1)) for _ in range(3)]
    try:
        for data in STRANGERS.values():
            for ending in ("close", "half", "reset"):
                visit(server, data, ending)
        start_too_large(libws, server)
        for crowd in crowds:
            if choose.randrange(3) == 0:
                time.sleep(choose.uniform(0, seconds / 2))
                crowd.kill()
        for crowd in crowds:
            crowd.wait(PATIENCE)
    finally:
        for crowd in crowds:
            if crowd.poll() is None:
                crowd.kill()
                crowd.wait()
    server.wait_until_idle()


# -- The run ----------------------------------------------------------------------

def check_level(resident):
    """The first round is left out: it makes what is kept."""
    cut = len(resident) * 2 // 3
    before, after = max(resident[1:cut]), max(resident[cut:])
    print(f"resident: at most {before} KiB before, {after} KiB in the last third")
    if after > before * 1.1 + 1024:
        raise Held("memory grows")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--libws", type=pathlib.Path)
    options = parser.parse_args()
    libws = options.libws or build()
    print(f"seed {options.seed}")
    choose = random.Random(options.seed)
    server = Server(libws)
    resident, deadline = [], time.monotonic() + options.seconds
    try:
        while time.monotonic() < deadline or len(resident) < 4:
            play_round(libws, server, choose)
            resident.append(server.resident_kib())
            print(f"round {len(resident)}: {resident[-1]} KiB, {server.descriptors()} descriptors",
                  flush=True)
        check_level(resident)
        server.stop()
    except Held as held:
        print(f"soak: {held}", file=sys.stderr)
        return 1
    finally:
        server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
