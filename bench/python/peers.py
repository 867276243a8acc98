"""The programs that are compared: what stands in programs/, each with one library.

A peer takes part in the rows whose role and loop it has.
"""

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench-python"
VENV = BUILD / "venv"
FLOOD = BUILD / "flood"

# What tools/bench.sh has built.
SERVERS = ROOT / "build/bench-peers"
LOAD = SERVERS / "bin/bench_load"
ECHO = SERVERS / "bin/libws"
CERTIFICATE = SERVERS / "cert.pem"
KEY = SERVERS / "key.pem"

RECEIVE, CLIENT, SERVER = "receive", "echo", "serve"
ASYNCIO, UVLOOP, OWN = "asyncio", "uvloop", "own"


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    package: str
    roles: frozenset
    loops: frozenset
    is_main: bool = False  # Is measured for the whole time.

    def can(self, row):
        return row.role in self.roles and row.loop in self.loops

    def command(self, role, loop, *arguments):
        program = HERE / f"programs/{self.name}.py"
        return [str(VENV / "bin/python"), str(program), role, "--loop", loop, *arguments]

    @property
    def version(self):
        """None if it is not installed."""
        folders = [str(path) for path in VENV.glob("lib/python*/site-packages")]
        for found in metadata.distributions(name=self.package, path=folders):
            return found.version
        return None


ALL = frozenset({RECEIVE, CLIENT, SERVER})
HOSTS = frozenset({ASYNCIO, UVLOOP})

EVENTS = Peer(
    "libws_events", "libws, events", "libws", ALL, HOSTS | {OWN}, is_main=True
)
AWAITED = Peer("libws_asyncio", "libws.asyncio", "libws", ALL, HOSTS, is_main=True)
PICOWS = Peer("picows_callbacks", "picows", "picows", ALL, HOSTS, is_main=True)
WEBSOCKETS = Peer("websockets_asyncio", "websockets", "websockets", ALL, HOSTS)
PEERS = (
    EVENTS,
    AWAITED,
    Peer(
        "libws_sync", "libws.sync", "libws", frozenset({RECEIVE, CLIENT}), frozenset({OWN})
    ),
    PICOWS,
    WEBSOCKETS,
    Peer("aiohttp_asyncio", "aiohttp", "aiohttp", ALL, HOSTS),
    Peer(
        "websocket_client",
        "websocket-client",
        "websocket-client",
        frozenset({RECEIVE, CLIENT}),
        frozenset({OWN}),
    ),
    Peer(
        "socketify_callbacks", "socketify", "socketify", frozenset({SERVER}), frozenset({OWN})
    ),
)


def environment():
    """That of the programs, which use nothing but what the venv has."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}
