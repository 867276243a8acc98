#!/usr/bin/env python3
"""Turns what was measured into tables and marks.

    report.py build/bench-python/python.json    prints them once more

A ratio is taken within each round, and of the rounds the median is shown: so a
slow moment of the machine falls on both sides.
"""

import json
import statistics
import sys

from peers import BY_NAME
from rows import CPU, MEMORY, MORE_IS_BETTER, RATE, ROWS

TITLES = {
    RATE: "Messages or round trips per second (more is better)",
    CPU: "Processor time for each of them, in microseconds (less is better)",
    MEMORY: "Bytes of memory for each idle connection (less is better)",
}
SCALES = {RATE: 1, CPU: 1e-3, MEMORY: 1}


class Results:
    """The measurements of a run, by row and peer."""

    def __init__(self, run):
        self._cells = {}
        for result in run["results"]:
            if "error" not in result:
                cell = self._cells.setdefault((result["row"], result["peer"]), {})
                cell[result["round"]] = result
        self.rows = [row for row in ROWS if any(row.name == key[0] for key in self._cells)]
        self.peers = [BY_NAME[name] for name in run["versions"]]

    def _cell(self, row, peer):
        return self._cells.get((row.name, peer.name), {})

    def median(self, row, peer, key):
        """None if there is nothing."""
        numbers = [r[key] for r in self._cell(row, peer).values() if key in r]
        return statistics.median(numbers) if numbers else None

    def times_better(self, row, mark):
        """How many times as good the one of a mark is as the other."""
        ours, theirs = self._cell(row, mark.ours), self._cell(row, mark.theirs)
        both = [(ours[n][mark.key], theirs[n][mark.key]) for n in ours if n in theirs]
        better = MORE_IS_BETTER[mark.key]
        ratios = [a / b if better else b / a for a, b in both]
        return statistics.median(ratios) if ratios else None


def format_number(number):
    """With three digits or more."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def table(results, key):
    rows = [row for row in results.rows if key == row.key or (key, row.key) == (CPU, RATE)]
    if not rows:
        return
    yield f"\n{TITLES[key]}:\n"
    yield "| " + " | ".join(["", *(peer.title for peer in results.peers)]) + " |"
    yield "|---|" + "---:|" * len(results.peers)
    best_of = max if MORE_IS_BETTER[key] else min
    for row in rows:
        values = [results.median(row, peer, key) for peer in results.peers]
        best = best_of((value for value in values if value is not None), default=None)
        cells = [format_number(v and v * SCALES[key]) for v in values]
        bold = (f"**{cell}**" if v == best else cell for cell, v in zip(cells, values))
        yield "| " + " | ".join([row.name, *bold]) + " |"


def mark_line(results, row, mark):
    """None if it was not measured."""
    if mark.theirs is None:
        value = results.median(row, mark.ours, mark.key)
        words = f"at most {format_number(mark.most)}"
        passes = value is not None and value <= mark.most
    else:
        value = results.times_better(row, mark)
        what = " by CPU" if mark.key == CPU else ""
        words = f"times {mark.theirs.title}{what}, at least {mark.least:g}"
        passes = value is not None and value >= mark.least
    if value is None:
        return None
    verdict = "PASS" if passes else "FAIL"
    return f"{verdict}  {row.name}: {mark.ours.title} {format_number(value)} {words}"


def marks(results):
    lines = [mark_line(results, row, mark) for row in results.rows for mark in row.marks]
    lines = [line for line in lines if line is not None]
    if not lines:
        return
    yield "\nMarks:\n"
    yield from ("    " + line for line in lines)
    failed = sum(line.startswith("FAIL") for line in lines)
    yield f"\n{len(lines) - failed} passed, {failed} failed."


def conditions(run):
    versions = [f"{BY_NAME[name].title} {version}" for name, version in run["versions"].items()]
    return (
        f"{run['processor']}, {run['system']}, {run['python']}; {run['rounds']} rounds of"
        f" {run['seconds']:g} s; {', '.join(versions)}."
    )


def markdown(run):
    results = Results(run)
    lines = [conditions(run)]
    for key in (RATE, CPU, MEMORY):
        lines += table(results, key)
    lines += marks(results)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(markdown(json.load(file)), end="")
