"""Turns what was measured into tables and marks."""

import harness
from harness import best_in_bold, format_number, median
from peers import PEERS
from rows import CPU, MEMORY, MORE_IS_BETTER, RATE, ROWS

TITLES = {
    RATE: "Messages or round trips per second (more is better)",
    CPU: "Processor time for each of them, in microseconds (less is better)",
    MEMORY: "Bytes of memory for each idle connection (less is better)",
}
SCALES = {RATE: 1, CPU: 1e-3, MEMORY: 1}


class Results(harness.Results):
    def __init__(self, run):
        super().__init__(run, ROWS, PEERS)

    def median(self, row, peer, key):
        """None if there is nothing."""
        return median(self.numbers(row, peer, key))

    def times_better(self, row, mark):
        """How many times as good the one of a mark is as the other."""
        key = mark.key
        both = [(a[key], b[key]) for a, b in self.pairs(row, mark.ours, mark.theirs)]
        better = MORE_IS_BETTER[key]
        return median([a / b if better else b / a for a, b in both])


def value_line(results, row, key):
    values = [results.median(row, peer, key) for peer in results.peers]
    show = lambda value: format_number(value and value * SCALES[key])
    return [row.name, *best_in_bold(values, show, MORE_IS_BETTER[key])]


def table(results, key):
    rows = [row for row in results.rows if key == row.key or (key, row.key) == (CPU, RATE)]
    if rows:
        yield f"\n{TITLES[key]}:\n"
        yield from harness.table(results.peers, (value_line(results, row, key) for row in rows))


def tables(run):
    results = Results(run)
    for key in (RATE, CPU, MEMORY):
        yield from table(results, key)


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
    if lines:
        yield from harness.marks(lines)


def markdown(run):
    results = Results(run)
    lines = [harness.conditions(run, PEERS, run["python"]), *tables(run), *marks(results)]
    return "\n".join(lines) + "\n"
