#!/usr/bin/env python3
"""Measures the Python side of libws beside its peers; see README.md.

Each measurement has processes of its own: the program of the peer on one core,
what drives it on another. All peers take their turn in each round, and each round
begins with another one.
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
from peers import (
    BUILD,
    BY_NAME,
    CERTIFICATE,
    CLIENT,
    ECHO,
    FLOOD,
    KEY,
    LOAD,
    PEERS,
    RECEIVE,
    SERVER,
    VENV,
    environment,
)
from prepare import prepare
from rows import MEMORY, ROWS

START_SECONDS = 20  # Which a program may take to start.
WARM_UP = 0.2
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.2
MINOR_SHARE = 1 / 3  # Of the seconds, for peers that are not the main ones.


class MeasurementError(Exception):
    """A program that did not start, or did not do what it should."""


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description="Compares the Python side of libws with its peers. Builds what it needs"
        " in build/bench-python, prints the tables, and writes them, all numbers and a chart"
        " there."
    )
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    parser.add_argument(
        "--seconds", type=float, default=1, help="of each measurement; less for some peers (1)"
    )
    parser.add_argument("--quick", action="store_true", help="only whether it runs")
    parser.add_argument("--only", metavar="NAME,NAME", help="of " + ", ".join(BY_NAME))
    parser.add_argument("--rows", metavar="REGEX", default="", help="those whose names match")
    parser.add_argument("--list", action="store_true", help="print peers and rows, and stop")
    parser.add_argument("--no-build", action="store_true", help="measure what was built before")
    options = parser.parse_args(argv)

    names = options.only.split(",") if options.only else list(BY_NAME)
    for name in names:
        if name not in BY_NAME:
            parser.error(f"there is no {name}")
    options.peers = [peer for peer in PEERS if peer.name in names]
    options.rows = [row for row in ROWS if re.search(options.rows, row.name)]
    if options.quick:
        options.rounds, options.seconds = QUICK_ROUNDS, QUICK_SECONDS
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("nothing to measure")
    return options


# -- One measurement ---------------------------------------------------------------


def pinned(index, command):
    """On the first core, where servers run, or on the second."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("Both sides need a core each.")
    return ["taskset", "-c", str(cores[index]), *map(str, command)]


@contextmanager
def serving(command, log):
    """A server; the URL that it listens on, and its process."""
    server = subprocess.Popen(
        pinned(0, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment(),
    )
    try:
        readable, _, _ = select.select([server.stdout], [], [], START_SECONDS)
        line = server.stdout.readline() if readable else ""
        match = re.match(r"listening on (wss?://.*:\d+)", line)
        if not match:
            raise MeasurementError("the server did not start")
        yield match.group(1), server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def measured(command, seconds):
    """What a program that measures has printed."""
    done = subprocess.run(
        pinned(1, command), capture_output=True, text=True, env=environment(), timeout=60 + seconds
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        raise MeasurementError(last[0])
    return json.loads(done.stdout)


def measure_client(peer, row, seconds, log):
    tls = ["--tls-cert", CERTIFICATE, "--tls-key", KEY] if row.is_tls else []
    echo = [ECHO, "serve", "--echo", "--quiet", "--port", "0", "--max-message", "16M", *tls]
    with serving([FLOOD, row.size] if row.role == RECEIVE else echo, log) as (url, _):
        arguments = ["--url", url, "--size", str(row.size)]
        arguments += ["--seconds", str(seconds), "--warm-up", str(WARM_UP)]
        return measured(peer.command(row.role, row.loop, *arguments), seconds)


def measure_server(peer, row, seconds, log):
    tls = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)] if row.is_tls else []
    with serving(peer.command(SERVER, row.loop, *tls), log) as (url, server):
        load = [LOAD, *row.load, "--port", url.rpartition(":")[2], "--pid", server.pid]
        load += ["--seconds", seconds, "--warm-up", WARM_UP, *(["--tls"] if row.is_tls else [])]
        result = measured(load, seconds)
    if row.key != MEMORY:
        result["cpu_ns"] = result["server_ns"]
    return result


# -- All of them -------------------------------------------------------------------


def run_row(row, options, log):
    """Returns the results of a row, of all rounds and peers."""
    measure = measure_client if row.role in (RECEIVE, CLIENT) else measure_server
    peers = [peer for peer in options.peers if peer.can(row)]
    results = []
    for number in range(min(options.rounds, row.max_rounds)):
        first = number % len(peers) if peers else 0
        for peer in peers[first:] + peers[:first]:
            seconds = options.seconds * (1 if peer.is_main else MINOR_SHARE)
            result = {"row": row.name, "peer": peer.name, "round": number}
            try:
                result.update(measure(peer, row, seconds, log))
            except (MeasurementError, subprocess.TimeoutExpired) as error:
                result["error"] = str(error)
                print(f"  {peer.name}: {error}", file=sys.stderr)
            results.append(result)
    return results


def run_rows(options):
    results = []
    begin = time.monotonic()
    with open(BUILD / "python.log", "w", encoding="utf-8") as log:
        for i, row in enumerate(options.rows, 1):
            minutes = (time.monotonic() - begin) / 60
            print(f"[{i}/{len(options.rows)}, {minutes:.0f} min] {row.name}", file=sys.stderr)
            results += run_row(row, options, log)
    return results


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        match = re.search(r"^model name\s*: (.*)", info.read(), re.MULTILINE)
    return match.group(1) if match else platform.machine()


def python_version():
    done = subprocess.run([VENV / "bin/python", "--version"], capture_output=True, text=True)
    return done.stdout.strip()


def describe(options):
    return {
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": python_version(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": {peer.name: peer.version for peer in options.peers},
    }


def main(argv):
    options = parse_arguments(argv)
    if options.list:
        print("\n".join(["Peers:", *(f"  {peer.name}" for peer in options.peers)]))
        print("\n".join(["Rows:", *(f"  {row.name}" for row in options.rows)]))
        return
    if not options.no_build:
        prepare()
    for peer in options.peers:
        if peer.version is None:
            print(f"left out: {peer.name}, which is not installed", file=sys.stderr)
    options.peers = [peer for peer in options.peers if peer.version is not None]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    run = {**describe(options), "results": run_rows(options)}
    (BUILD / "python.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    text = report.markdown(run)
    (BUILD / "python.md").write_text(text, encoding="utf-8")
    (BUILD / "python.svg").write_text(chart.draw(run), encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
