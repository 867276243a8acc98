"""What is measured, and the marks that libws is to reach."""

from dataclasses import dataclass

from peers import BESIDE_C, CODEC, IN_C, IN_NGINX, LOOP, LUA_HTTP, LUA_RESTY, Peer

# What counts of a measurement: messages per second, nanoseconds of the server's
# processor for each, bytes for each idle connection, gigabytes per second.
RATE, CPU, MEMORY = "rate", "server_ns", "bytes_per_connection"
SEND, RECEIVE = "send", "receive"
MORE_IS_BETTER = {RATE: True, CPU: False, MEMORY: False, SEND: True, RECEIVE: True}

KIB, MIB = 1024, 1024 * 1024
SIZES = {"16 B": 16, "1 KiB": KIB, "16 KiB": 16 * KIB, "64 KiB": 64 * KIB, "1 MiB": MIB}


@dataclass(frozen=True)
class Mark:
    """By `key`, ours is to be at least `least` or at most `most`: as a ratio to
    `theirs`, or where that is None, by itself."""

    key: str
    theirs: Peer = None
    least: float = None
    most: float = None


@dataclass(frozen=True)
class Row:
    name: str
    place: str
    key: str
    load: tuple = ()  # The mode of bench_load and its options.
    mark: Mark = None
    max_rounds: int = 1000


def _load(size, in_flight, connections):
    options = ("--size", SIZES[size], "--in-flight", in_flight, "--connections", connections)
    return ("echo", *options)


# Size and messages in flight: how many times as fast as lua-http.
LOOP_MARKS = {
    ("16 B", 1): 2,
    ("16 B", 16): 8,
    ("1 KiB", 1): 5,
    ("1 KiB", 8): 5,
    ("16 KiB", 1): 20,
    ("16 KiB", 8): 20,
    ("1 MiB", 1): 20,
}

# The same: the share of the processor time of lua-resty-websocket.
NGINX_MARKS = {
    ("16 B", 1): 1,
    ("16 B", 8): 1 / 3,
    ("1 KiB", 8): 1 / 3,
    ("16 KiB", 8): 1 / 4,
    ("64 KiB", 8): 1 / 4,
}


def _rows():
    for (size, in_flight), least in LOOP_MARKS.items():
        mark = Mark(RATE, LUA_HTTP, least=least)
        name = f"echo {size}, {in_flight} in flight"
        yield Row(name, LOOP, RATE, _load(size, in_flight, 64), mark)
    mark = Mark(CPU, IN_C, most=1.3)
    yield Row("echo 16 KiB, beside C", BESIDE_C, CPU, _load("16 KiB", 1, 64), mark)
    for (size, in_flight), most in NGINX_MARKS.items():
        mark = Mark(CPU, LUA_RESTY, most=most)
        name = f"nginx, echo {size}, {in_flight} in flight"
        yield Row(name, IN_NGINX, CPU, _load(size, in_flight, 16), mark)
    idle = ("idle", "--connections", 2000)
    yield Row("idle connection", BESIDE_C, MEMORY, idle, Mark(MEMORY, most=2 * KIB), max_rounds=3)
    for key in (SEND, RECEIVE):
        yield Row(f"codec, {key} 64 KiB", CODEC, key, mark=Mark(key, least=4))


ROWS = tuple(_rows())
