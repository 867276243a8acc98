"""Turns what was measured into tables and marks."""

import harness
from harness import best_in_bold, format_number, median
from peers import BESIDE_C, CODEC, IN_NGINX, LOOP, OURS, PEERS, RESTY
from rows import CPU, MEMORY, MORE_IS_BETTER, RATE, RECEIVE, ROWS, SEND

TITLES = {
    (LOOP, RATE): "Messages per second of a server on its own loop, 64 connections (more is better)",
    (LOOP, CPU): "Processor time of that server for each message, in microseconds (less is better)",
    (BESIDE_C, CPU): "The same beside the server that is all C",
    (IN_NGINX, CPU): "Processor time of nginx's worker for each message, in microseconds (less is better)",
    (BESIDE_C, MEMORY): "Bytes of memory for each idle connection (less is better)",
    (CODEC, SEND): "Gigabytes per second that the engine alone sends (more is better)",
    (CODEC, RECEIVE): "And receives",
}
SCALES = {CPU: 1e-3}


class Results(harness.Results):
    def __init__(self, run):
        super().__init__(run, ROWS, PEERS)

    def median(self, row, peer, key):
        """None if there is nothing."""
        return median(self.numbers(row, peer, key))

    def ratio(self, row, ours, theirs, key):
        return median([a[key] / b[key] for a, b in self.pairs(row, ours, theirs)])


# -- Tables ------------------------------------------------------------------------


def value_line(results, row, peers, key):
    values = [results.median(row, peer, key) for peer in peers]
    show = lambda value: format_number(value and value * SCALES.get(key, 1))
    return [row.name, *best_in_bold(values, show, MORE_IS_BETTER[key])]


def table(results, place, key):
    rows = [row for row in results.rows if row.place == place and (row.key, key) != (MEMORY, CPU)]
    rows = [row for row in rows if row.key == key or (place == LOOP and key == CPU)]
    measured = lambda peer: any(results.numbers(row, peer, key) for row in rows)
    peers = [peer for peer in results.peers if measured(peer)]
    if peers:
        yield f"\n{TITLES[place, key]}:\n"
        yield from harness.table(peers, (value_line(results, row, peers, key) for row in rows))


def tables(run):
    results = Results(run)
    for place, key in TITLES:
        yield from table(results, place, key)


# -- Marks -------------------------------------------------------------------------


def mark_line(row, ours, value):
    """Of a row, one of our peers, and what it reaches."""
    mark = row.mark
    passes = value >= mark.least if mark.least is not None else value <= mark.most
    bound = f"at least {mark.least:g}" if mark.least is not None else f"at most {mark.most:.3g}"
    times = f" times {mark.theirs.title}" if mark.theirs else ""
    verdict = "PASS" if passes else "FAIL"
    return f"{verdict}  {row.name}: {ours.title} {format_number(value)}{times}, {bound}"


def mark_lines(results):
    for row in results.rows:
        for ours in results.peers:
            if not ours.can(row) or ours not in (OURS, RESTY) and row.place != CODEC:
                continue
            key, theirs = row.mark.key, row.mark.theirs
            value = results.ratio(row, ours, theirs, key) if theirs else results.median(row, ours, key)
            if value is not None:
                yield mark_line(row, ours, value)


def markdown(run):
    lines = [harness.conditions(run, PEERS), *tables(run), *harness.marks(list(mark_lines(Results(run))))]
    return "\n".join(lines) + "\n"
