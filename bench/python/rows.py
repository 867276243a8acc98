"""What is measured, and the marks that libws is to reach."""

from dataclasses import dataclass

from peers import (
    ASYNCIO,
    AWAITED,
    CLIENT,
    EVENTS,
    OWN,
    PICOWS,
    RECEIVE,
    SERVER,
    UVLOOP,
    WEBSOCKETS,
    Peer,
)

# What counts of a measurement. CPU is nanoseconds for each message, MEMORY bytes
# for each idle connection.
RATE, CPU, MEMORY = "rate", "cpu_ns", "bytes_per_connection"
MORE_IS_BETTER = {RATE: True, CPU: False, MEMORY: False}

KIB = 1024
SIZES = {"64 B": 64, "256 B": 256, "1 KiB": KIB, "8 KiB": 8 * KIB, "16 KiB": 16 * KIB}
SIZES["100 KiB"] = 100 * KIB

IDLE_CONNECTIONS = 500


@dataclass(frozen=True)
class Mark:
    """`ours` has to be at least `least` times as good as `theirs`, or, where that
    is None, at most `most`."""

    ours: Peer
    least: float = None
    theirs: Peer = None
    most: float = None
    key: str = RATE


@dataclass(frozen=True)
class Row:
    name: str
    role: str
    loop: str
    size: int = 0
    is_tls: bool = False
    load: tuple = ()  # The mode of bench_load and its options, for a server.
    key: str = RATE
    marks: tuple = ()
    max_rounds: int = 1000


def _receive_rows(loop):
    for size, least in (("64 B", 2), ("1 KiB", 1.5)):
        marks = [Mark(EVENTS, least, PICOWS)]
        marks += [Mark(AWAITED, 1, PICOWS), Mark(AWAITED, 8, WEBSOCKETS)]
        yield Row(
            f"receiving {size}, {loop}",
            RECEIVE,
            loop,
            SIZES[size],
            marks=() if loop == OWN else tuple(marks),
        )


def _client_rows(loop):
    for is_tls in (False, True):
        for size in ("256 B", "8 KiB", "100 KiB"):
            yield Row(
                f"client's echo {size}{', TLS' if is_tls else ''}, {loop}",
                CLIENT,
                loop,
                SIZES[size],
                is_tls,
                marks=() if loop == OWN else (Mark(EVENTS, 1, PICOWS),),
            )


# Size, connections, in flight: how many times as good as picows, by what.
SERVER_MARKS = {
    ("64 B", 1, 1): None,
    ("64 B", 1, 16): None,
    ("64 B", 64, 1): (1.15, CPU),
    ("64 B", 64, 16): (4, RATE),
    ("16 KiB", 64, 16): (2, RATE),
}


def _server_rows(loop):
    for (size, connections, in_flight), mark in SERVER_MARKS.items():
        name = f"{connections} connection" + ("s" if connections > 1 else "")
        name += f", {in_flight} in flight" if in_flight > 1 else ""
        load = ["echo", "--size", str(SIZES[size]), "--connections", str(connections)]
        load += ["--in-flight", str(in_flight)]
        marks = ()
        if mark is not None and loop != OWN:
            marks = (Mark(EVENTS, mark[0], PICOWS, key=mark[1]),)
        yield Row(
            f"server's echo {size}, {name}, {loop}",
            SERVER,
            loop,
            load=tuple(load),
            marks=marks,
        )


def _memory_rows(loop):
    for is_tls, most in ((False, 2 * KIB), (True, 24 * KIB)):
        yield Row(
            f"idle connection of a server{', TLS' if is_tls else ''}, {loop}",
            SERVER,
            loop,
            is_tls=is_tls,
            load=("idle", "--connections", str(IDLE_CONNECTIONS)),
            key=MEMORY,
            marks=(Mark(EVENTS, most=most, key=MEMORY),),
            max_rounds=3,
        )


ROWS = tuple(
    row
    for rows in (_receive_rows, _client_rows, _server_rows, _memory_rows)
    for loop in (ASYNCIO, UVLOOP, OWN)
    for row in rows(loop)
)
