"""What the benchmarks in the folders beside this file do alike.

All peers take their turn in each round, and each round begins with another one. A
measurement has processes of its own: one side on the first core, the other on the
second. A ratio is taken within a round, and of the rounds the median is shown: so a
slow moment of the machine falls on all.

A *peer* has a name, a title, a version (None if it is not there), `is_main` (it is
measured for the whole time) and `can(row)`. A *row* is what is measured; it has a
name and `max_rounds`.
"""

import json
import os
import platform
import re
import resource
import select
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20  # Which a program may take to start,
MEASURE_SECONDS = 120  # and beyond its time to measure.
WARM_UP = 0.2
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.2
MINOR_SHARE = 1 / 3  # Of the seconds, for peers that are not the main ones.


class MeasurementError(Exception):
    """A program that did not start, or did not do what it should."""


# -- Options -----------------------------------------------------------------------


def parse_options(parser, argv, peers, rows, always=()):
    """Adds to the options of a benchmark those that all have. Returns them with the
    peers, `always` among them, and the rows that are to be measured."""
    names = [peer.name for peer in peers]
    parser.add_argument("--rounds", type=int, default=5, help="(5)")
    parser.add_argument(
        "--seconds", type=float, default=1, help="of each measurement; less for some peers (1)"
    )
    parser.add_argument("--quick", action="store_true", help="only whether it runs")
    parser.add_argument("--only", metavar="NAME,NAME", help="of " + ", ".join(names))
    parser.add_argument("--rows", metavar="REGEX", default="", help="those whose names match")
    parser.add_argument("--list", action="store_true", help="print peers and rows, and stop")
    parser.add_argument(
        "--again", metavar="JSON", type=Path, help="only report what was measured before"
    )
    options = parser.parse_args(argv)

    wanted = options.only.split(",") if options.only else names
    for name in wanted:
        if name not in names:
            parser.error(f"there is no {name}")
    options.peers = [peer for peer in peers if peer.name in wanted or peer in always]
    options.rows = [row for row in rows if re.search(options.rows, row.name)]
    if options.quick:
        options.rounds, options.seconds = QUICK_ROUNDS, QUICK_SECONDS
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("nothing to measure")
    if options.list:
        print("\n".join(["Peers:", *(f"  {peer.name}" for peer in options.peers)]))
        print("\n".join(["Rows:", *(f"  {row.name}" for row in options.rows)]))
        parser.exit()
    return options


def keep_those_there(options):
    """Leaves out the peers that have not been built or installed."""
    for peer in options.peers:
        if peer.version is None:
            print(f"left out: {peer.name}, which is not there", file=sys.stderr)
    options.peers = [peer for peer in options.peers if peer.version is not None]


# -- One measurement ---------------------------------------------------------------


def pinned(index, command):
    """On the first core (0), where servers run, or on the second."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("Both sides need a core each.")
    return ["taskset", "-c", str(cores[index]), *map(str, command)]


@contextmanager
def serving(command, log, environment=None):
    """A server; the URL that it listens on, which its first line says, and its
    process."""
    server = subprocess.Popen(
        pinned(0, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment,
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


def measured(command, seconds, environment=None):
    """What a program has printed that measures for so many seconds."""
    done = subprocess.run(
        pinned(1, command),
        capture_output=True,
        text=True,
        env=environment,
        timeout=MEASURE_SECONDS + seconds,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        raise MeasurementError(last[0])
    return json.loads(done.stdout)


# -- All of them -------------------------------------------------------------------


def allow_descriptors():
    """As many as the system grants. Returns how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _run_row(row, options, measure):
    """Returns the results of a row, of all rounds and peers."""
    results = []
    peers = [peer for peer in options.peers if peer.can(row)]
    for number in range(min(options.rounds, row.max_rounds)):
        first = number % len(peers) if peers else 0
        for peer in peers[first:] + peers[:first]:
            seconds = options.seconds * (1 if peer.is_main else MINOR_SHARE)
            result = {"row": row.name, "peer": peer.name, "round": number}
            try:
                result.update(measure(peer, row, seconds))
            except (MeasurementError, subprocess.TimeoutExpired) as error:
                result["error"] = str(error)
                print(f"  {peer.name}: {error}", file=sys.stderr)
            results.append(result)
    return results


def _run_rows(options, measure):
    results = []
    begin = time.monotonic()
    for i, row in enumerate(options.rows, 1):
        minutes = (time.monotonic() - begin) / 60
        print(f"[{i}/{len(options.rows)}, {minutes:.0f} min] {row.name}", file=sys.stderr)
        results += _run_row(row, options, measure)
    return results


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        match = re.search(r"^model name\s*: (.*)", info.read(), re.MULTILINE)
    return match.group(1) if match else platform.machine()


def _describe(options):
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "rounds": options.rounds,
        "seconds": options.seconds,
        "versions": {peer.name: peer.version for peer in options.peers},
    }


def run_all(options, measure, stem, **conditions):
    """Returns the run: its conditions, these among them, and all results. `measure` is
    called with a peer, a row, seconds and the log, and returns numbers by name."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with open(stem.with_suffix(".log"), "w", encoding="utf-8") as log:
        results = _run_rows(options, lambda *what: measure(*what, log))
    return {**_describe(options), **conditions, "results": results}


def write(run, report, chart, stem):
    """Prints the report, and writes it, all numbers and a chart beside each other.
    `report` and `chart` are the modules that know how."""
    text = report.markdown(run)
    stem.with_suffix(".json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    stem.with_suffix(".svg").write_text(chart.draw(run), encoding="utf-8")
    print(text, end="")


def write_again(options, report, chart):
    """write() for the run that --again names."""
    run = json.loads(options.again.read_text(encoding="utf-8"))
    write(run, report, chart, options.again)


# -- Results -----------------------------------------------------------------------


class Results:
    """The measurements of a run, by row and peer."""

    def __init__(self, run, rows, peers):
        self._cells = {}
        for result in run["results"]:
            if "error" not in result:
                cell = self._cells.setdefault((result["row"], result["peer"]), {})
                cell[result["round"]] = result
        self.rows = [row for row in rows if any(row.name == key[0] for key in self._cells)]
        self.peers = [peer for peer in peers if peer.name in run["versions"]]

    def cell(self, row, peer):
        """The measurements of a peer in a row, by round."""
        return self._cells.get((row.name, peer.name), {})

    def numbers(self, row, peer, key):
        """One number of each round's measurement."""
        return [result[key] for result in self.cell(row, peer).values() if key in result]

    def pairs(self, row, one, other):
        """The measurements of two peers in the same round."""
        ours, theirs = self.cell(row, one), self.cell(row, other)
        return [(ours[number], theirs[number]) for number in ours if number in theirs]


def median(numbers):
    """None of nothing."""
    return statistics.median(numbers) if numbers else None


def format_number(number):
    """With three digits or more."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def table(peers, lines):
    """Lines of cells, under the peers' titles."""
    yield "| " + " | ".join(["", *(peer.title for peer in peers)]) + " |"
    yield "|---|" + "---:|" * len(peers)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def best_in_bold(values, show, more_is_better):
    """Cells that show the values, of which some may be None."""
    known = [value for value in values if value is not None]
    best = (max if more_is_better else min)(known, default=None)
    return [
        f"**{show(value)}**" if value is not None and value == best else show(value)
        for value in values
    ]


def conditions(run, peers, *more):
    """In one sentence."""
    titles = {peer.name: peer.title for peer in peers}
    versions = [f"{titles[name]} {version}".strip() for name, version in run["versions"].items()]
    machine = ", ".join([run["processor"], run["system"], *more])
    return f"{machine}; {run['rounds']} rounds of {run['seconds']:g} s; {', '.join(versions)}."


def marks(lines):
    """Lines that begin with PASS or FAIL, and their sum."""
    failed = sum(line.startswith("FAIL") for line in lines)
    yield "\nMarks:\n"
    yield from ("    " + line for line in lines)
    yield f"\n{len(lines) - failed} passed, {failed} failed."
