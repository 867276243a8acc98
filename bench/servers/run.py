#!/usr/bin/env python3
"""Measures the servers in turns and writes the result; tools/bench.sh calls it.

Each measurement has a server of its own, which starts before it and ends with it.
Server and load generator have a core each. All servers take their turn in each
round, and each round begins with another one.
"""

import argparse
import json
import os
import platform
import re
import resource
import select
import subprocess
import sys
import time
from contextlib import contextmanager

import chart
import report
from peers import BIN, BY_NAME, COMPRESSION, OURS, PEERS, RAW, ROOT, TLS
from rows import ROWS, TEXT

OUT = ROOT / "build/bench"
CHART = ROOT / "docs/images/bench-servers.svg"
START_SECONDS = 10  # Which a server may take to start.
WARM_UP = 0.2
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.2
MINOR_SHARE = 1 / 3  # Of the seconds, for peers that are not the main ones.


class MeasurementError(Exception):
    """A server that did not start, or did not do what it should."""


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        prog="tools/bench.sh",
        description="Compares the servers of bench/servers with each other and with the raw"
        " echo of bytes. Builds them first, in build/bench-peers; leaves out what it cannot."
        " Prints the table, which also goes to build/bench/servers.md, and all that was"
        " measured to servers.json beside it. The chart goes there too, and after a run of"
        " everything to docs/images.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    parser.add_argument(
        "--seconds", type=float, default=1, help="of each measurement; less for some peers (1)"
    )
    parser.add_argument("--quick", action="store_true", help="only whether it runs")
    parser.add_argument(
        "--only", metavar="NAME,NAME", help="of " + ", ".join(BY_NAME) + "; raw is always there"
    )
    parser.add_argument("--rows", metavar="REGEX", default="", help="those whose names match")
    parser.add_argument("--list", action="store_true", help="print peers and rows, and stop")
    options = parser.parse_args(argv)

    names = options.only.split(",") if options.only else list(BY_NAME)
    for name in names:
        if name not in BY_NAME:
            parser.error(f"there is no {name}")
    options.peers = [p for p in PEERS if p.name in names or p is RAW]
    options.rows = [row for row in ROWS if re.search(options.rows, row.name)]
    options.is_full = not options.quick and len(options.peers) == len(PEERS)
    options.is_full = options.is_full and len(options.rows) == len(ROWS)
    if options.quick:
        options.rounds, options.seconds = QUICK_ROUNDS, QUICK_SECONDS
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("nothing to measure")
    return options


# -- One measurement ---------------------------------------------------------------


def two_cores():
    """For the server and for the load."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("The server and the load need a core each.")
    return cores[:2]


def pinned(core, arguments):
    return ["taskset", "-c", str(core), *arguments]


def read_port(server, name):
    """From the first line that a server prints."""
    readable, _, _ = select.select([server.stdout], [], [], START_SECONDS)
    line = server.stdout.readline() if readable else ""
    match = re.match(r"listening on wss?://.*:(\d+)", line)
    if not match:
        raise MeasurementError(f"{name} did not start")
    return match.group(1)


@contextmanager
def running(peer, row, core, log):
    """A server, as the load generator is told of it."""
    server = subprocess.Popen(
        pinned(core, peer.arguments(row.needs)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "GOMAXPROCS": "1"},
    )
    try:
        yield ["--port", read_port(server, peer.name), "--pid", str(server.pid)]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def load_arguments(peer, row, load, seconds):
    arguments = [str(BIN / "bench_load"), *load]
    arguments += ["--seconds", str(seconds), "--warm-up", str(WARM_UP)]
    arguments += ["--raw"] if peer is RAW else []
    arguments += ["--tls"] if TLS in row.needs else []
    arguments += ["--compression"] if COMPRESSION in row.needs else []
    return arguments


def measure(peer, row, load, seconds, log):
    """Returns what bench_load found out."""
    server_core, load_core = two_cores()
    with running(peer, row, server_core, log) as server:
        arguments = load_arguments(peer, row, load, seconds) + server
        done = subprocess.run(
            pinned(load_core, arguments),
            capture_output=True,
            text=True,
            timeout=120 + seconds,
        )
    if done.returncode != 0:
        raise MeasurementError(f"{peer.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure_row(peer, row, seconds, log):
    result = measure(peer, row, row.load, seconds, log)
    if row.measure is TEXT:  # What it is compared with, in the same moment.
        binary = [argument for argument in row.load if argument != "--multibyte"]
        result["binary"] = measure(peer, row, binary, seconds, log)
    return result


# -- All of them -------------------------------------------------------------------


def run_row(row, options, log):
    """Returns the results of a row, of all rounds and peers."""
    results = []
    peers = [peer for peer in options.peers if row.needs <= peer.can]
    for number in range(min(options.rounds, row.max_rounds)):
        first = number % len(peers) if peers else 0
        for peer in peers[first:] + peers[:first]:
            seconds = options.seconds * (1 if peer.is_main else MINOR_SHARE)
            result = {"row": row.name, "peer": peer.name, "round": number}
            try:
                result.update(measure_row(peer, row, seconds, log))
            except (MeasurementError, subprocess.TimeoutExpired) as error:
                result["error"] = str(error)
                print(f"  {error}", file=sys.stderr)
            results.append(result)
    return results


def run_rows(options):
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    results = []
    begin = time.monotonic()
    for i, row in enumerate(options.rows, 1):
        minutes = (time.monotonic() - begin) / 60
        print(f"[{i}/{len(options.rows)}, {minutes:.0f} min] {row.name}", file=sys.stderr)
        if limit < row.descriptors:
            print(f"  left out: it needs ulimit -n {row.descriptors}", file=sys.stderr)
            continue
        with open(OUT / "servers.log", "a", encoding="utf-8") as log:
            results += run_row(row, options, log)
    return results


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        match = re.search(r"^model name\s*: (.*)", info.read(), re.MULTILINE)
    return match.group(1) if match else platform.machine()


def describe(options):
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()}",
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": {peer.name: peer.version for peer in options.peers},
    }


def keep_those_built(options):
    for peer in options.peers:
        if peer.version is None:
            print(f"left out: {peer.name}, which was not built", file=sys.stderr)
    options.peers = [peer for peer in options.peers if peer.version is not None]
    if RAW not in options.peers:
        sys.exit("The raw echo was not built.")


def main(argv):
    options = parse_arguments(argv)
    if options.list:
        print("\n".join(["Peers:", *(f"  {p.name}" for p in options.peers)]))
        print("\n".join(["Rows:", *(f"  {row.name}" for row in options.rows)]))
        return
    keep_those_built(options)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "servers.log").unlink(missing_ok=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    run = {**describe(options), "results": run_rows(options)}
    (OUT / "servers.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    text = report.markdown(run)
    (OUT / "servers.md").write_text(text, encoding="utf-8")
    print(text, end="")
    drawing = chart.draw(run)
    (OUT / "servers.svg").write_text(drawing, encoding="utf-8")
    if options.is_full and OURS in options.peers:
        CHART.parent.mkdir(parents=True, exist_ok=True)
        CHART.write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
