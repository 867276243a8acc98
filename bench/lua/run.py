#!/usr/bin/env python3
"""Measures the Lua side of libws beside its peers; see README.md."""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chart
import harness
import report
from peers import BUILD, CODEC, HERE, IN_NGINX, LIBWS, LOAD, NGINX, PEERS
from rows import MEMORY, ROWS

# PUC Lua has its strings from malloc(): see README.md.
HEAP_THAT_STAYS = {"MALLOC_TOP_PAD_": str(1024 * 1024)}


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description="Compares the Lua side of libws with its peers. Prints the tables, and"
        " writes them, all numbers and a chart to build/bench-lua."
    )
    return harness.parse_options(parser, argv, PEERS, ROWS)


# -- Servers -----------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_listens(port):
    deadline = time.monotonic() + harness.START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise harness.MeasurementError("nginx did not start") from None
            time.sleep(0.01)


@contextmanager
def serving_nginx(peer, log):
    """One worker, which is all of nginx."""
    port = free_port()
    config = (HERE / "nginx/nginx.conf").read_text(encoding="utf-8")
    for key, value in (("ROCK", peer.lua.rock), ("PORT", port), ("SCRIPT", HERE / peer.script)):
        config = config.replace(f"@{key}@", str(value))
    with tempfile.TemporaryDirectory(prefix="libws-bench-") as folder:
        Path(folder, "nginx.conf").write_text(config, encoding="utf-8")
        command = harness.pinned(0, [NGINX, "-p", folder, "-c", "nginx.conf"])
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until_it_listens(port)
            yield f"ws://127.0.0.1:{port}", server
        finally:
            server.kill()
            server.wait()


def serving(peer, row, log):
    if row.place == IN_NGINX:
        return serving_nginx(peer, log)
    if peer.lua is None:
        options = ["--host", "127.0.0.1", "--port", "0", "--max-message", "16M"]
        return harness.serving([LIBWS, "serve", "--echo", "--quiet", *options], log)
    return harness.serving(peer.lua.command(peer.script), log, peer.lua.environment)


# -- One measurement ---------------------------------------------------------------


def measure(peer, row, seconds, log):
    if row.place == CODEC:
        environment = {**peer.lua.environment, **HEAP_THAT_STAYS}
        return harness.measured(peer.lua.command(peer.script, seconds), seconds, environment)
    with serving(peer, row, log) as (url, server):
        load = [LOAD, *row.load, "--port", url.rpartition(":")[2], "--pid", server.pid]
        if row.key != MEMORY:
            load += ["--seconds", seconds, "--warm-up", harness.WARM_UP]
        return harness.measured(load, seconds)


# -- All of them -------------------------------------------------------------------


def main(argv):
    options = parse_arguments(argv)
    if options.again is not None:
        harness.write_again(options, report, chart)
        return
    harness.keep_those_there(options)
    harness.allow_descriptors()
    run = harness.run_all(options, measure, BUILD / "lua")
    harness.write(run, report, chart, BUILD / "lua")


if __name__ == "__main__":
    main(sys.argv[1:])
