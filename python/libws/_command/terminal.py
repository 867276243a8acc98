"""What people see: styles, complaints, and text that cannot steer a terminal."""

from __future__ import annotations

import enum
import os
import sys
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"

DUMP_WIDTH = 16


class Style(enum.IntEnum):
    """SGR codes."""

    DIM = 2
    RED = 31
    GREEN = 32
    CYAN = 36


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can be drawn on."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def styled(text: str, style: Style, stream: TextIO) -> str:
    """The text in a style, if the stream is a terminal and NO_COLOR is not set."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def complain(command: str, text: object) -> None:
    """Prints a line about what went wrong."""
    print(f"libws {command}: {text}", file=sys.stderr, flush=True)


def is_steering(character: str) -> bool:
    """Whether a character could change what people believe to see."""
    code = ord(character)
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or code == 0x061C
        or 0x200E <= code <= 0x200F
        or 0x2028 <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    )


def visible(text: str) -> str:
    """The text with such characters replaced, but for tabs."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character == "\t" or not is_steering(character):
        return character
    code = ord(character)
    return f"^{chr(code ^ 0x40)}" if code < 0x80 else f"<U+{code:04X}>"


def hex_dump(data: bytes) -> str:
    """Lines of an offset, 16 bytes, and what is printable among them."""
    return "".join(
        _dump_line(at, data[at : at + DUMP_WIDTH]) for at in range(0, len(data), DUMP_WIDTH)
    )


def _dump_line(at: int, data: bytes) -> str:
    half = DUMP_WIDTH // 2
    columns = f"{data[:half].hex(' '):<{3 * half}} {data[half:].hex(' '):<{3 * half}}"
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
    return f"{at:08x}  {columns} |{text}|\n"
