"""
Where a command writes.

What a remote server says may hold control characters that a terminal obeys.
Whoever composes text passes such parts through L{escaped} first; a body that
goes to a terminal goes through L{BodyText}.
"""

from __future__ import annotations

import os
import shutil
import sys
from codecs import getincrementaldecoder
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from .._text import escaped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO, TextIO

PROGRAM = "matrix-federation"

WIDTH = 120
"""
Columns of what is not a terminal.
"""

# ECMA-48, "Select graphic rendition".
_COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class OutputLost(Exception):
    """
    Nothing more can be written to standard output.

    @ivar reason: why, in words; empty when the reader has just gone away.
    """

    def __init__(self, error: OSError) -> None:
        """
        @param error: what the system said.
        """
        super().__init__(error)
        self.reason = "" if isinstance(error, BrokenPipeError) else error.strerror or type(error).__name__


class BodyText:
    """
    Makes a body fit for a terminal, piece by piece: printable text, newlines
    and tabs stay, everything else is escaped.
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("backslashreplace")

    def __call__(self, data: bytes, *, final: bool = False) -> bytes:
        """
        Convert the next piece.

        @param final: whether it is the last: a character that is still
            incomplete is escaped as well.
        """
        text = self._decoder.decode(data, final)
        return "".join(one if one.isprintable() or one in "\n\t" else escaped(one) for one in text).encode("utf-8")


@attrs.frozen(eq=False)
class Console:
    """
    Standard output and standard error.

    @ivar output: takes what was asked for; unbuffered.
    @ivar errors: takes what is said about it.
    @ivar terminal: whether C{output} is a terminal.
    @ivar colour: whether text on C{output} is coloured.
    @ivar width: columns of text on C{output}.
    """

    output: BinaryIO
    errors: TextIO
    terminal: bool = False
    colour: bool = False
    width: int = WIDTH

    @classmethod
    def standard(cls, environment: Mapping[str, str], *, colour: bool) -> Self:
        """
        Make the console of this process.

        @param environment: its variables.
        @param colour: L{False} forbids colours where they would be possible.
        """
        # Unbuffered: the interpreter, on its way out, must find nothing in a
        # buffer that a closed pipe would refuse once more.  There is no
        # stream at all when the process was started with it closed.
        nowhere = Path(os.devnull)
        output = sys.stdout and os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        output = output or nowhere.open("wb", buffering=0)
        errors = sys.stderr or nowhere.open("w", encoding="utf-8")
        terminal = output.isatty()
        # https://no-color.org: "when present and not an empty string".
        plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        return cls(output, errors, terminal, terminal and colour and not plain, width)

    def paint(self, text: str, colour: str) -> str:
        """
        Colour some text, where there are colours.

        @param colour: C{bold}, C{red}, C{green}, C{yellow} or C{cyan}.
        """
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour else text

    def say(self, line: str) -> None:
        """
        Write a line to standard output.

        @raise OutputLost: when that is not possible.
        """
        self.write(line.encode("utf-8", "backslashreplace") + b"\n")

    def write(self, data: bytes) -> None:
        """
        Write bytes to standard output.

        @raise OutputLost: when that is not possible.
        """
        rest = memoryview(data)
        try:
            while rest:
                # A raw file may take less than all, and L{None} is nothing.
                rest = rest[self.output.write(rest) or 0 :]
        except OSError as error:
            raise OutputLost(error) from error

    def note(self, line: str) -> None:
        """
        Write a line to standard error; when nobody listens there, nobody can
        be told.
        """
        with suppress(OSError):
            self.errors.write(line + "\n")
            self.errors.flush()

    def complain(self, text: str) -> None:
        """
        Write an error, in the way of every command: the program's name first.
        """
        self.note(f"{PROGRAM}: {text}")
