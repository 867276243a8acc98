"""What is measured, and the marks that libws is to reach."""

from dataclasses import dataclass

from peers import BROADCAST, COMPRESSION, TLS, UTF8

# What counts of a measurement, and how it is shown.
RATE = "messages per second, as a ratio to the raw echo"
CPU = "processor time of the raw echo, as a ratio to the server's"
TEXT = "processor time for multi-byte text, as a ratio to binary"
MEMORY = "bytes of memory for each idle connection"

MORE_IS_BETTER = {RATE: True, CPU: True, TEXT: False, MEMORY: False}


@dataclass(frozen=True)
class Row:
    name: str
    load: tuple  # The mode of bench_load and its options.
    measure: str = RATE
    needs: frozenset = frozenset()  # Of the server.
    mark: float = None
    stand_in: float = None  # What uWebSockets reached when the mark was set.
    max_rounds: int = 1000
    descriptors: int = 2000  # Which each process may have open.


SIZES = {"16 B": 16, "125 B": 125, "1 KiB": 1 << 10, "16 KiB": 16 << 10, "1 MiB": 1 << 20}

# By size, then as in LOADS: the mark, and what uWebSockets reached.
ECHO_MARKS = {
    "16 B": ((0.97, 0.97), (0.92, 0.80), (0.94, 0.89)),
    "125 B": ((0.95, 0.89), (1.00, 0.99), (0.95, 0.92)),
    "1 KiB": ((0.96, 0.93), (0.97, 0.92), (0.90, 0.86)),
    "16 KiB": ((0.97, 0.97), (0.92, 0.85), (0.85, 0.53)),
    "1 MiB": ((0.85, 0.65), (0.80, 0.59), (0.95, 0.92)),
}
NO_MARK = (None, None)


def _loads(size):
    """Connections and messages in flight on each."""
    if size == "1 MiB":  # More would be gigabytes under way.
        return ((1, 1), (64, 1), (8, 4))
    return ((1, 1), (64, 1), (64, 16), (1000, 1))


def _load_name(connections, in_flight):
    name = f"{connections:,} connection" + ("s" if connections > 1 else "")
    return name + (f", {in_flight} in flight" if in_flight > 1 else "")


def _options(size, connections, in_flight=1):
    return (
        *("--size", str(SIZES[size])),
        *("--connections", str(connections)),
        *("--in-flight", str(in_flight)),
    )


def _echo_rows():
    for size, marks in ECHO_MARKS.items():
        for i, load in enumerate(_loads(size)):
            mark, stand_in = marks[i] if i < len(marks) else NO_MARK
            yield Row(
                f"echo {size}, {_load_name(*load)}",
                ("echo", *_options(size, *load)),
                mark=mark,
                stand_in=stand_in,
            )


def _text_rows():
    for size, stand_in in (("1 KiB", 3.4), ("16 KiB", 4.6)):
        yield Row(
            f"multi-byte text {size}, 64 connections, 16 in flight",
            ("echo", "--multibyte", *_options(size, 64, 16)),
            measure=TEXT,
            needs=frozenset({UTF8}),
            mark=1.25,
            stand_in=stand_in,
        )


def _idle_rows():
    for connections, needs, mark, stand_in in (
        (1000, frozenset(), 256, 270),
        (10000, frozenset(), 256, 270),
        (1000, frozenset({TLS}), 16 << 10, 32 << 10),
    ):
        yield Row(
            f"idle memory, {connections:,}{' TLS' if needs else ''} connections",
            ("idle", *_options("125 B", connections)),
            measure=MEMORY,
            needs=needs,
            mark=mark,
            stand_in=stand_in,
            max_rounds=3,
            descriptors=connections + 1000,
        )


def _broadcast_rows():
    for in_flight in (1, 16):
        yield Row(
            f"broadcast 125 B to {_load_name(1000, in_flight)}",
            ("broadcast", *_options("125 B", 1000, in_flight)),
            needs=frozenset({BROADCAST}),
        )


ROWS = (
    *_echo_rows(),
    *_text_rows(),
    Row(
        "TLS echo 1 KiB, 64 connections, 16 in flight",
        ("echo", *_options("1 KiB", 64, 16)),
        needs=frozenset({TLS}),
        mark=0.80,
        stand_in=0.74,
    ),
    Row(
        "TLS echo 100 KiB, 8 connections, 2 in flight",
        ("echo", "--size", "102400", "--connections", "8", "--in-flight", "2"),
        needs=frozenset({TLS}),
    ),
    Row(
        "compressed echo 1 KiB, 64 connections, 16 in flight",
        ("echo", "--text", *_options("1 KiB", 64, 16)),
        needs=frozenset({COMPRESSION}),
    ),
    # The generator has more to do for each than the raw echo, so that its rate
    # would say nothing.
    Row("opening handshakes, 64 at a time", ("handshakes", "--connections", "64"), measure=CPU),
    *_idle_rows(),
    *_broadcast_rows(),
)
