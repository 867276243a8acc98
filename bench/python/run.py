#!/usr/bin/env python3
"""Measures the Python side of libws beside its peers; see README.md."""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chart
import harness
import report
from peers import (
    BUILD,
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


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description="Compares the Python side of libws with its peers. Builds what it needs"
        " in build/bench-python, prints the tables, and writes them, all numbers and a chart"
        " there."
    )
    parser.add_argument("--no-build", action="store_true", help="measure what was built before")
    return harness.parse_options(parser, argv, PEERS, ROWS)


# -- One measurement ---------------------------------------------------------------


def measure_client(peer, row, seconds, log):
    tls = ["--tls-cert", CERTIFICATE, "--tls-key", KEY] if row.is_tls else []
    echo = [ECHO, "serve", "--echo", "--quiet", "--port", "0", "--max-message", "16M", *tls]
    server = [FLOOD, row.size] if row.role == RECEIVE else echo
    with harness.serving(server, log, environment()) as (url, _):
        arguments = ["--url", url, "--size", str(row.size)]
        arguments += ["--seconds", str(seconds), "--warm-up", str(harness.WARM_UP)]
        command = peer.command(row.role, row.loop, *arguments)
        return harness.measured(command, seconds, environment())


def measure_server(peer, row, seconds, log):
    tls = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)] if row.is_tls else []
    command = peer.command(SERVER, row.loop, *tls)
    with harness.serving(command, log, environment()) as (url, server):
        load = [LOAD, *row.load, "--port", url.rpartition(":")[2], "--pid", server.pid]
        load += ["--seconds", seconds, "--warm-up", harness.WARM_UP]
        load += ["--tls"] if row.is_tls else []
        result = harness.measured(load, seconds)
    if row.key != MEMORY:
        result["cpu_ns"] = result["server_ns"]
    return result


def measure(peer, row, seconds, log):
    is_client = row.role in (RECEIVE, CLIENT)
    return (measure_client if is_client else measure_server)(peer, row, seconds, log)


# -- All of them -------------------------------------------------------------------


def python_version():
    done = subprocess.run([VENV / "bin/python", "--version"], capture_output=True, text=True)
    return done.stdout.strip()


def main(argv):
    options = parse_arguments(argv)
    if options.again is not None:
        harness.write_again(options, report, chart)
        return
    if not options.no_build:
        prepare()
    harness.keep_those_there(options)
    harness.allow_descriptors()
    run = harness.run_all(options, measure, BUILD / "python", python=python_version())
    harness.write(run, report, chart, BUILD / "python")


if __name__ == "__main__":
    main(sys.argv[1:])
