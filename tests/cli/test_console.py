"""
Tests of C{matrix_federation_agent._cli.console}.
"""

from __future__ import annotations

import errno
from io import BytesIO, StringIO

from matrix_federation_agent._cli.console import BodyText, Console, OutputLost
from matrix_federation_agent._text import escaped
from tests.case import TestCase
from tests.cli.kit import Child, MemoryConsole, environment

RESOLVE = ("resolve", "127.0.0.1", "--allow-network", "127.0.0.0/8")


class EscapeTests(TestCase):
    """
    Text that cannot control a terminal.
    """

    def test_escaped(self) -> None:
        """
        Visible ASCII and spaces stay.
        """
        table = {
            "plain text ~": "plain text ~",
            "\x1b[2J\x07": r"\x1b[2J\x07",
            "a\r\nb\tc": r"a\r\nb\tc",
            "\x7f\x9b\u202e\udc80": r"\x7f\x9b\u202e\udc80",
            "caf\xe9": r"caf\xe9",
        }
        self.assertEqual(table, {text: escaped(text) for text in table})

    def test_bodies(self) -> None:
        """
        In a body letters of every script stay as well, newlines and tabs too.
        """
        table = {
            b"a\n\tb": b"a\n\tb",
            b"\x1b[2J\r\x00": rb"\x1b[2J\r\x00",
            "caf\xe9".encode(): "caf\xe9".encode(),
            "\x9b\u202e".encode(): rb"\x9b\u202e",
            b"\xff": rb"\xff",
        }
        self.assertEqual(table, {body: BodyText()(body, final=True) for body in table})

    def test_characters_in_pieces(self) -> None:
        """
        A character may arrive in pieces, and may never be complete.
        """
        text = BodyText()
        self.assertEqual(
            [b"", "\xe9".encode(), b"", rb"\xc3"], [text(b"\xc3"), text(b"\xa9"), text(b"\xc3"), text(b"", final=True)]
        )


class _Slow(BytesIO):
    """
    Takes three bytes at most, like a raw file that is nearly full.
    """

    def write(self, data: object) -> int:
        return super().write(bytes(data)[:3])  # type: ignore[call-overload]


class _Broken(BytesIO):
    """
    Takes nothing.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, data: object) -> int:
        raise OSError(self.number, "not today")


class WritingTests(TestCase):
    """
    L{Console}.
    """

    def test_streams(self) -> None:
        """
        What was asked for and what is said about it are kept apart.
        """
        memory = MemoryConsole()
        console = memory.console()
        console.say("caf\xe9")
        console.write(b"\x00")
        console.note("a note")
        console.complain("an error")
        said = memory.said(0)
        self.assertEqual(("caf\xe9\n\0".encode(), "a note\nmatrix-federation: an error\n"), (said.output, said.errors))

    def test_partial_writes(self) -> None:
        """
        Everything is written, also where a single write does not take it.
        """
        output = _Slow()
        Console(output, StringIO()).write(b"0123456789")
        self.assertEqual(b"0123456789", output.getvalue())

    def test_lost_output(self) -> None:
        """
        A reader who has gone is not worth a word; a full disk is.
        """
        for number, reason in ((errno.EPIPE, ""), (errno.ENOSPC, "not today")):
            lost = self.assertRaises(OutputLost, Console(_Broken(number), StringIO()).say, "x")
            self.assertEqual(reason, lost.reason)

    def test_lost_errors(self) -> None:
        """
        When standard error is gone, nobody can be told.
        """
        errors = StringIO()
        errors.write = _Broken(errno.EPIPE).write  # type: ignore[method-assign]
        self.assertIsNone(Console(BytesIO(), errors).complain("x"))  # type: ignore[func-returns-value]

    def test_paint(self) -> None:
        """
        There are colours only where they are wanted.
        """
        memory = MemoryConsole()
        found = [memory.console(colour=colour).paint("x", "red") for colour in (False, True)]
        self.assertEqual(["x", "\x1b[31mx\x1b[0m"], found)


class TerminalTests(TestCase):
    """
    L{Console.standard}, in a process of its own.
    """

    async def colours(self, *options: str, terminal: bool = True, **variables: str) -> bool:
        """
        Tell whether C{resolve} writes in colours.
        """
        child = Child.start(*RESOLVE, *options, terminal=terminal, env=environment(**variables))
        said = await child.ended
        self.assertEqual(0, said.status)
        self.assertIn(b"127.0.0.1", said.output)
        return b"\x1b[" in said.output

    async def test_terminal(self) -> None:
        """
        A terminal has colours.
        """
        self.assertTrue(await self.colours(TERM="xterm"))

    async def test_no_terminal(self) -> None:
        """
        A pipe has none.
        """
        self.assertFalse(await self.colours(TERM="xterm", terminal=False))

    async def test_refused(self) -> None:
        """
        Colours can be refused in each of the usual ways.
        """
        found = [await self.colours("--no-color", TERM="xterm"), await self.colours(NO_COLOR="1", TERM="xterm")]
        self.assertEqual([False, False, False], [*found, await self.colours(TERM="dumb")])

    async def test_an_empty_refusal_is_none(self) -> None:
        """
        NO_COLOR counts when it is "present and not an empty string".
        """
        self.assertTrue(await self.colours(NO_COLOR="", TERM="xterm"))
