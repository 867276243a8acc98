#!/usr/bin/env python3
"""Measures the servers in turns and writes the result; tools/bench.sh calls it.

Each measurement has a server of its own, which starts before it and ends with it.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chart
import harness
import report
from peers import BIN, COMPRESSION, PEERS, RAW, ROOT, TLS
from rows import ROWS, TEXT

OUT = ROOT / "build/bench"


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        prog="tools/bench.sh",
        description="Compares the servers of bench/servers with each other and with the raw"
        " echo of bytes. Builds them first, in build/bench-peers; leaves out what it cannot."
        " Prints the table, which also goes to build/bench/servers.md; all that was"
        " measured goes to servers.json beside it, and the chart to servers.svg.",
    )
    return harness.parse_options(parser, argv, PEERS, ROWS, always=(RAW,))


# -- One measurement ---------------------------------------------------------------


def load_arguments(peer, row, load, seconds):
    arguments = [BIN / "bench_load", *load]
    arguments += ["--seconds", seconds, "--warm-up", harness.WARM_UP]
    arguments += ["--raw"] if peer is RAW else []
    arguments += ["--tls"] if TLS in row.needs else []
    arguments += ["--compression"] if COMPRESSION in row.needs else []
    return arguments


def measure_load(peer, row, load, seconds, log):
    """Returns what bench_load found out."""
    environment = {**os.environ, "GOMAXPROCS": "1"}
    with harness.serving(peer.arguments(row.needs), log, environment) as (url, server):
        where = ["--port", url.rpartition(":")[2], "--pid", server.pid]
        return harness.measured(load_arguments(peer, row, load, seconds) + where, seconds)


def measure(peer, row, seconds, log):
    result = measure_load(peer, row, row.load, seconds, log)
    if row.measure is TEXT:  # What it is compared with, in the same moment.
        binary = [argument for argument in row.load if argument != "--multibyte"]
        result["binary"] = measure_load(peer, row, binary, seconds, log)
    return result


# -- All of them -------------------------------------------------------------------


def keep_rows_within(options, descriptors):
    for row in options.rows:
        if row.descriptors > descriptors:
            print(f"left out: {row.name}, which needs ulimit -n {row.descriptors}", file=sys.stderr)
    options.rows = [row for row in options.rows if row.descriptors <= descriptors]


def main(argv):
    options = parse_arguments(argv)
    if options.again is not None:
        harness.write_again(options, report, chart)
        return
    harness.keep_those_there(options)
    if RAW not in options.peers:
        sys.exit("The raw echo was not built.")
    keep_rows_within(options, harness.allow_descriptors())
    run = harness.run_all(options, measure, OUT / "servers")
    harness.write(run, report, chart, OUT / "servers")


if __name__ == "__main__":
    main(sys.argv[1:])
