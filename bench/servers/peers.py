"""The servers that are compared, as tools/bench.sh has built them.

All have the same command line and print "listening on ws://HOST:PORT" first. A
peer takes part if the build left its version behind.
"""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench-peers"
BIN = BUILD / "bin"
VERSIONS = BUILD / "versions"
CERTIFICATE = BUILD / "cert.pem"
KEY = BUILD / "key.pem"

# What a server may be able to do; UTF8 is to check text, which some leave to the
# application unless told otherwise.
TLS, COMPRESSION, BROADCAST, UTF8 = "tls", "compression", "broadcast", "utf8"
TRUSTING = frozenset({TLS, COMPRESSION, BROADCAST})
ALL = TRUSTING | {UTF8}
ECHO_ONLY = frozenset({TLS, UTF8})


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    command: tuple
    echo: tuple = ()  # What has it echo, if it needs to be told.
    abilities: frozenset = ALL
    is_main: bool = False  # Is measured for the whole time.

    def can(self, row):
        return row.needs <= self.abilities

    def arguments(self, needs):
        """The command line of a server that has all of `needs`."""
        arguments = [*self.command]
        arguments += ["--broadcast"] if BROADCAST in needs else self.echo
        arguments += ["--port", "0"]
        if COMPRESSION in needs:
            arguments += ["--compression"]
        if TLS in needs:
            arguments += ["--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY)]
        return arguments

    @property
    def version(self):
        """None if it was not built."""
        path = VERSIONS / self.name
        return path.read_text().strip() if path.exists() else None


class RawPeer(Peer):
    """The limit, which is two programs."""

    def arguments(self, needs):
        program = "raw_tls_echo" if TLS in needs else "raw_echo"
        # Bytes are bytes, whatever is in them.
        arguments = super().arguments(needs - {COMPRESSION})
        return [str(BIN / program), *arguments]


def _own(name, title, program, **more):
    return Peer(name, title, (str(BIN / program),), **more)


RAW = RawPeer("raw", "raw echo", (), abilities=TRUSTING, is_main=True)
OURS = Peer(
    "libws",
    "libws",
    (str(BIN / "libws"), "serve", "--quiet", "--host", "127.0.0.1", "--max-message", "16M"),
    echo=("--echo",),
    is_main=True,
)
PEERS = (
    RAW,
    OURS,
    _own("uwebsockets", "uWebSockets", "uws_echo", is_main=True),
    _own("libwebsockets", "libwebsockets", "lws_echo", abilities=TRUSTING),
    _own("gws", "gws (Go)", "gws_echo", abilities=TRUSTING),
    _own("gorilla", "gorilla (Go)", "gorilla_echo", abilities=TRUSTING),
    _own("fastwebsockets", "fastwebsockets (Rust)", "fastwebsockets_echo", abilities=ECHO_ONLY),
    _own("tungstenite", "tungstenite (Rust)", "tungstenite_echo", abilities=ECHO_ONLY),
    Peer("ws", "ws (Node.js)", ("node", str(BUILD / "node/echo.js"))),
)
