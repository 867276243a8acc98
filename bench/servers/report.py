"""Turns what was measured into tables and marks."""

import statistics

import harness
from harness import best_in_bold, format_number, median, table
from peers import OURS, PEERS, RAW
from rows import CPU, MEMORY, MORE_IS_BETTER, RATE, ROWS, TEXT

# A core that is used for less than this share of the time waits for something.
BUSY = 0.9


class Results(harness.Results):
    def __init__(self, run):
        super().__init__(run, ROWS, PEERS)

    def values(self, row, peer):
        """What `row.measure` says, for each round."""
        if row.measure is MEMORY:
            return self.numbers(row, peer, "bytes_per_connection")
        if row.measure is TEXT:
            return [r["server_ns"] / r["binary"]["server_ns"] for r in self.cell(row, peer).values()]
        both = self.pairs(row, peer, RAW)
        if row.measure is CPU:
            return [raw["server_ns"] / result["server_ns"] for result, raw in both]
        return [result["rate"] / raw["rate"] for result, raw in both]

    def median(self, row, peer):
        return median(self.values(row, peer))


# -- Tables ------------------------------------------------------------------------


def format_value(row, value):
    if value is None:
        return "–"
    return format_number(value) if row.measure is MEMORY else f"{value:.2f}"


def value_line(results, row, peers):
    values = [results.median(row, peer) for peer in peers]
    cells = best_in_bold(values, lambda v: format_value(row, v), MORE_IS_BETTER[row.measure])
    return [row.name, *cells]


def value_tables(results):
    """What counts, of all but the raw echo, which is what they are held to."""
    peers = [peer for peer in results.peers if peer is not RAW]
    for measure in (RATE, CPU, TEXT, MEMORY):
        rows = [row for row in results.rows if row.measure is measure]
        if rows:
            sense = "more" if MORE_IS_BETTER[measure] else "less"
            yield f"\n{measure[0].upper()}{measure[1:]} ({sense} is better):\n"
            yield from table(peers, (value_line(results, row, peers) for row in rows))


def tables(run):
    """Those of the documentation."""
    yield from value_tables(Results(run))


def number_table(results, title, key, scale):
    lines = []
    for row in results.rows:
        numbers = [median(results.numbers(row, peer, key)) for peer in results.peers]
        if any(number is not None for number in numbers):
            scaled = (None if number is None else number * scale for number in numbers)
            lines.append([row.name, *map(format_number, scaled)])
    if lines:
        yield f"\n{title}:\n"
        yield from table(results.peers, lines)


# -- How far to trust it -----------------------------------------------------------


def has_many_connections(row):
    """With one, both sides wait for each other and no core is busy."""
    return "1 connection" not in row.name and row.measure is not MEMORY


def notes(results):
    rows = [row for row in results.rows if has_many_connections(row)]
    held_back = []
    for row in rows:
        server = median(results.numbers(row, RAW, "server_busy"))
        load = median(results.numbers(row, RAW, "client_busy"))
        if server is not None and server < BUSY <= load:
            held_back.append(row.name)
    if held_back:
        yield (
            "\nThe load generator was busier than the raw echo, which could have done more, in: "
            + "; ".join(held_back)
            + "."
        )

    measurements = [r for row in rows for p in results.peers for r in results.cell(row, p).values()]
    disturbed = sum(max(r["server_busy"], r["client_busy"]) < BUSY for r in measurements)
    if disturbed:
        yield (
            f"\nIn {disturbed} of {len(measurements)} measurements neither side had its core"
            " for itself."
        )


# -- Marks -------------------------------------------------------------------------


def mark_lines(results):
    for row in results.rows:
        ours = results.median(row, OURS)
        if row.mark is None or ours is None:
            continue
        passes = ours >= row.mark if MORE_IS_BETTER[row.measure] else ours <= row.mark
        sense = "at least" if MORE_IS_BETTER[row.measure] else "at most"
        yield (
            f"{'PASS' if passes else 'FAIL'}  {row.name}: {format_value(row, ours)},"
            f" {sense} {row.mark:g} [uWebSockets once {format_value(row, row.stand_in)}]"
        )


def middle_half(values):
    """Between which the middle half of the values lies."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def is_ahead(results, row, peer):
    """Whether a peer is ahead of ours by more than the noise: if the middle halves
    of the rounds do not even touch."""
    if row.measure is TEXT:  # Who is slow with binary has a good ratio.
        theirs, ours = (results.numbers(row, p, "rate") for p in (peer, OURS))
    else:
        theirs, ours = (results.values(row, p) for p in (peer, OURS))
    if not theirs or not ours:
        return False
    if row.measure is MEMORY:
        return middle_half(theirs)[1] < middle_half(ours)[0]
    return middle_half(theirs)[0] > middle_half(ours)[1]


def rival_lines(results):
    rivals = [peer for peer in results.peers if peer not in (RAW, OURS)]
    behind = []
    for row in results.rows:
        ahead = [peer.title for peer in rivals if is_ahead(results, row, peer)]
        if ahead:
            behind.append(f"FAIL  {row.name}: ahead of libws is {', '.join(ahead)}")
    yield from behind or ["PASS  no peer is ahead of libws by more than the noise"]


def marks(results):
    if OURS in results.peers:
        yield from harness.marks([*mark_lines(results), *rival_lines(results)])


def markdown(run):
    results = Results(run)
    rates = "Messages, deliveries or handshakes per second"
    costs = "Processor time of the server for each of them, in microseconds"
    lines = [
        harness.conditions(run, PEERS),
        *value_tables(results),
        *number_table(results, rates, "rate", 1),
        *number_table(results, costs, "server_ns", 1e-3),
        *notes(results),
        *marks(results),
    ]
    return "\n".join(lines) + "\n"
