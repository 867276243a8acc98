"""Lines of the standard input, read when they are wanted.

On a terminal the line being typed stays apart from what is printed, and is edited
at its end: Backspace, Ctrl-W (a word), Ctrl-U (all), Ctrl-D (the end of the input).
"""

from __future__ import annotations

import collections
import os
import re
import shutil
import sys
import termios
import unicodedata

from .terminal import CLEAR_LINE, Style, styled, visible

DESCRIPTOR = 0
READ_SIZE = 1 << 16
PROMPT = "> "

# Keys like the arrows send these. They do nothing here.
ESCAPES = re.compile(r"\x1b[\[O][^@-~]*[@-~]?")

ERASE, ERASE_WORD, ERASE_ALL, END = "\b\x7f", "\x17", "\x15", "\x04"


class Input:
    """Takes the input apart into lines. It is read with the descriptor itself."""

    def __init__(self, is_terminal: bool) -> None:
        self.has_ended = False
        self._rest = bytearray()  # Of a line that has not ended.
        self._lines: collections.deque[bytes] = collections.deque()
        self._is_terminal = is_terminal
        self._is_shown = False
        if is_terminal:
            self._saved = termios.tcgetattr(DESCRIPTOR)
            raw = termios.tcgetattr(DESCRIPTOR)
            raw[3] &= ~(termios.ICANON | termios.ECHO)  # Signals stay.
            termios.tcsetattr(DESCRIPTOR, termios.TCSADRAIN, raw)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        self.hide()
        if self._is_terminal:
            termios.tcsetattr(DESCRIPTOR, termios.TCSADRAIN, self._saved)

    def fill(self) -> None:
        """Reads what there is."""
        data = os.read(DESCRIPTOR, READ_SIZE)
        if self._is_terminal:
            self._press(data)
        elif data:
            self._take(data)
        else:
            self._end()

    def next(self) -> bytes | None:
        """Takes out the next line; None if there is none yet."""
        return self._lines.popleft() if self._lines else None

    def _take(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._rest += first
        for other in others:
            self._lines.append(bytes(self._rest.removesuffix(b"\r")))
            self._rest = bytearray(other)

    def _end(self) -> None:
        if self._rest:
            self._lines.append(bytes(self._rest))
        self.has_ended = True

    # -- Keys ---------------------------------------------------------------

    def _press(self, data: bytes) -> None:
        typed = (self._rest + data).decode(errors="surrogateescape")
        line = ""
        for key in ESCAPES.sub("", typed):
            if key in "\r\n":
                self._finish(line)
                line = ""
            elif key == END and not line:
                self.hide()
                self.has_ended = True
                return
            else:
                line = _edited(line, key)
        self._rest = bytearray(line.encode(errors="surrogateescape"))
        self._draw()

    def _finish(self, line: str) -> None:
        """The whole line stays on the screen."""
        self.hide()
        print(f"{styled(PROMPT, Style.DIM, sys.stdout)}{visible(line)}", flush=True)
        self._lines.append(line.encode(errors="surrogateescape"))

    # -- The line being typed -----------------------------------------------

    def show(self) -> None:
        """Shows it, if there is a terminal and it is not shown."""
        if self._is_terminal and not self.has_ended and not self._is_shown:
            self._draw()

    def hide(self) -> None:
        """Makes room for something else."""
        if self._is_shown:
            print(end=CLEAR_LINE, flush=True)
        self._is_shown = False

    def _draw(self) -> None:
        """As much of its end as fits in a row, with the cursor behind it."""
        line = self._rest.decode(errors="replace")
        room = shutil.get_terminal_size().columns - len(PROMPT) - 1
        while line and sum(map(_width, line)) > room:
            line = line[1:]
        print(end=f"{CLEAR_LINE}{PROMPT}{visible(line)}", flush=True)
        self._is_shown = True


def _edited(line: str, key: str) -> str:
    """The line after a key."""
    if key in ERASE:
        return line[:-1]
    if key == ERASE_WORD:
        return line[: line.rstrip(" ").rfind(" ") + 1]
    if key == ERASE_ALL:
        return ""
    return line + key if key >= " " or key == "\t" else line


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    is_wide = unicodedata.east_asian_width(character) in "WF"
    return 2 if is_wide else len(visible(character))
