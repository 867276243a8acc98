"""Reads "--name value", "--name=value", "-n value" and "--"; options and the
argument come in any order. The tables of the commands are those of the C command,
word for word.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

PROGRAM = "python -m libws"

HELP_WIDTH = 79
HELP_COLUMN = 28

MAX_COUNT = 1_000_000
MAX_SECONDS = 4_294_966
MAX_SIZE = 1 << 63
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class UsageError(Exception):
    """The command line is wrong."""


# -- Values ------------------------------------------------------------------


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(text)
    return int(text)


def _count(text: str) -> int:
    return _number(text, 1, MAX_COUNT)


def _port(text: str) -> int:
    return _number(text, 0, 65535)


def _size(text: str) -> int | None:
    """None for "unlimited"."""
    if text == "unlimited":
        return None
    match = re.fullmatch(r"(\d+)([KMG]?)", text, re.ASCII)
    if match is None:
        raise ValueError(text)
    return _number(match[1], 1, MAX_SIZE) * UNITS[match[2]]


def _seconds(text: str) -> float | None:
    """None for "forever"."""
    if text == "forever":
        return None
    if not re.fullmatch(r"\d+(\.\d+)?|\.\d+", text, re.ASCII) or float(text) > MAX_SECONDS:
        raise ValueError(text)
    return float(text)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


@dataclass(frozen=True)
class Kind:
    """What an option takes; how its value is read, and what that may be."""

    read: Callable[[str], Any] = str
    expected: str = ""


FLAG = Kind()
TEXT = Kind()
LIST = Kind()
SWITCH = Kind(_switch, "on or off")
COUNT = Kind(_count, "a whole number from 1 to 1000000")
PORT = Kind(_port, "a port from 0 to 65535")
SIZE = Kind(_size, "a number of bytes such as 64K, or unlimited")
SECONDS = Kind(_seconds, "a number of seconds, or forever")


# -- Tables ------------------------------------------------------------------


@dataclass(frozen=True)
class Heading:
    """A line between options in the help."""

    text: str

    def help(self) -> str:
        """The lines that people see."""
        return f"\n{self.text}:"


@dataclass(frozen=True)
class Option:
    """An option; it is called as in the settings, with - for _."""

    kind: Kind
    letter: str
    name: str
    value_name: str
    text: str
    default: Any = None

    @property
    def field(self) -> str:
        """Its name in the settings."""
        return self.name.replace("-", "_")

    def first_value(self) -> Any:
        """What it is when it is not given."""
        if self.kind is FLAG:
            return False
        return [] if self.kind is LIST else self.default

    def help(self) -> str:
        """The lines that people see."""
        head = f"  -{self.letter}, " if self.letter else " " * 6
        head = f"{head}--{self.name} {self.value_name}".rstrip()
        if len(head) >= HELP_COLUMN:
            return f"{head}\n{_wrapped(self.text, ' ' * HELP_COLUMN)}"
        return _wrapped(self.text, head.ljust(HELP_COLUMN))


@dataclass(frozen=True)
class CommandLine:
    """What a command understands."""

    name: str
    argument: str
    summary: str
    options: Sequence[Heading | Option]
    epilogue: str = ""

    def asks_for_help(self, arguments: Sequence[str]) -> bool:
        """Whether an option asks for help."""
        ended = arguments.index("--") if "--" in arguments else len(arguments)
        return not {"--help", "-h"}.isdisjoint(arguments[:ended])

    def read(self, arguments: Sequence[str]) -> SimpleNamespace:
        """Returns the settings. Raises UsageError."""
        settings = SimpleNamespace(
            **{one.field: one.first_value() for one in self.options if isinstance(one, Option)}
        )
        found: list[str] = []
        rest = iter(arguments)
        for word in rest:
            if word == "--":
                found += rest
            elif word.startswith("-") and word != "-":
                self._read_option(settings, word, rest)
            else:
                found.append(word)
        self._take_argument(settings, found)
        return settings

    def _take_argument(self, settings: SimpleNamespace, found: list[str]) -> None:
        wanted = 1 if self.argument else 0
        if len(found) > wanted:
            self._fail(f"one argument too many: {found[wanted]}")
        if len(found) < wanted:
            self._fail(f"{self.argument} is missing")
        if self.argument:
            setattr(settings, self.argument.lower(), found[0])

    def _read_option(self, settings: SimpleNamespace, word: str, rest: Iterator[str]) -> None:
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = self._find(name)
        if option is None:
            self._fail(f"unknown option {word}")
        if option.kind is FLAG:
            if equals:
                self._fail(f"a value is too much: {word}")
            setattr(settings, option.field, True)
            return
        if not equals:
            try:
                value = next(rest)
            except StopIteration:
                self._fail(f"a value is missing: {word}")
        self._set(settings, option, value)

    def _find(self, name: str) -> Option | None:
        for option in self.options:
            if isinstance(option, Option) and name in (f"--{option.name}", f"-{option.letter}"):
                return option
        return None

    def _set(self, settings: SimpleNamespace, option: Option, text: str) -> None:
        try:
            value = option.kind.read(text)
        except ValueError:
            raise UsageError(
                f"--{option.name} takes {option.kind.expected}, not '{text}'"
            ) from None
        if option.kind is LIST:
            getattr(settings, option.field).append(value)
        else:
            setattr(settings, option.field, value)

    def _fail(self, what: str) -> NoReturn:
        raise UsageError(f"{what} (see '{PROGRAM} {self.name} --help')")

    def help(self) -> str:
        """The text that people see."""
        usage = f"Usage: {PROGRAM} {self.name} [options] {self.argument}".rstrip()
        lines = [usage, "", _wrapped(self.summary), *(one.help() for one in self.options)]
        if self.epilogue:
            lines += ["", *map(_wrapped, self.epilogue.split("\n"))]
        return "\n".join(lines)


def _wrapped(text: str, start: str = "") -> str:
    return textwrap.fill(
        text,
        HELP_WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
