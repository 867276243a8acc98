"""Finds the command that is asked for."""

from __future__ import annotations

import signal
import sys

from .._core import __version__
from . import bench, connect, serve
from .options import PROGRAM, UsageError
from .process import Exit
from .terminal import complain

COMMANDS = {
    "connect": (connect, "talk to a WebSocket server"),
    "serve": (serve, "be one: echo, broadcast or chat"),
    "bench": (bench, "measure one that echoes"),
}


def main(arguments: list[str]) -> int:
    """Runs a command; returns the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # As other programs in a pipe.
    if not arguments:
        print(_help(), file=sys.stderr)
        return Exit.USAGE
    name, *rest = arguments
    if name in ("--help", "-h"):
        print(_help())
        return Exit.OK
    if name in ("--version", "-V"):
        print(f"libws {__version__}")
        return Exit.OK
    if name not in COMMANDS:
        print(f"libws: unknown command {name} (see '{PROGRAM} --help')", file=sys.stderr)
        return Exit.USAGE
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    command, _ = COMMANDS[name]
    if command.LINE.asks_for_help(arguments):
        print(command.LINE.help())
        return Exit.OK
    try:
        code: int = command.run(command.LINE.read(arguments))
    except UsageError as error:
        complain(name, error)
        return Exit.USAGE
    return code


def _help() -> str:
    lines = [f"  {name:<9} {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            f"Usage: {PROGRAM} COMMAND [options]\n",
            *lines,
            f"\nTry '{PROGRAM} COMMAND --help', or\n\n  {PROGRAM} serve --chat",
        ]
    )
