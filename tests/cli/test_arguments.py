"""
Tests of C{matrix_federation_agent._cli.arguments}.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix_federation_agent import ServerName
from matrix_federation_agent._cli import arguments
from matrix_federation_agent._options import whole_number
from tests.case import TestCase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class ArgumentTests(TestCase):
    """
    Each function takes what is usable, and refuses everything else.
    """

    def check(self, read: Callable[[str], Any], good: dict[str, Any], bad: Iterable[str]) -> None:
        """
        Check a table.
        """
        self.assertEqual(good, {text: read(text) for text in good})
        for text in bad:
            with self.assertRaises(ArgumentTypeError, msg=text):
                read(text)

    def test_server_name(self) -> None:
        """
        The grammar decides.
        """
        good = {text: ServerName.parse(text) for text in ("a.example", "-a.example:1", "[::1]:8448")}
        self.check(arguments.server_name, good, ["", "a b", "a/b", "::1", "\udc80", "\x1b[2J"])

    def test_name_server(self) -> None:
        """
        An address, with or without a port; never a name, which somebody would have to resolve.
        """
        good = {
            "127.0.0.1:53": ("127.0.0.1", 53),
            "9.9.9.9": ("9.9.9.9", 53),
            "[::1]:5353": ("::1", 5353),
            "[2001:DB8::1]": ("2001:db8::1", 53),
        }
        self.check(arguments.name_server, good, ["", "localhost:53", "::1", "127.0.0.1:", "127.0.0.1:0", "[::1%lo]:53"])

    def test_seconds(self) -> None:
        """
        More than nothing, and what a reactor can wait for.
        """
        self.check(
            arguments.seconds,
            {"1": 1.0, "0.25": 0.25, "86400": 86400.0},
            ["", "0", "-1", "nan", "inf", "1e300", "86401", "1s"],
        )

    def test_count(self) -> None:
        """
        Digits, and not too many.
        """
        bad = ["", "-1", "+1", "1.0", "1_0", " 1", "1\n", "\N{ARABIC-INDIC DIGIT TWO}", "1" * 16]
        self.check(whole_number, {"0": 0, "2": 2, "9" * 15: 10**15 - 1}, bad)

    def test_method(self) -> None:
        """
        A token, in the case in which it was given.
        """
        self.check(arguments.method, {"PUT": b"PUT", "purge": b"purge"}, ["", "A B", "G\n", "É", "A:"])

    def test_header(self) -> None:
        """
        Name and value; neither can smuggle anything, nor contradict the agent.
        """
        good = {
            "Authorization: X-Matrix a=b": (b"Authorization", b"X-Matrix a=b"),
            "X-Empty:": (b"X-Empty", b""),
            "X:a:b": (b"X", b"a:b"),
            "X: \xe9": (b"X", b"\xc3\xa9"),
            "X: \udce9": (b"X", b"\xe9"),
        }
        bad = ["", "X", ": a", "X : a", "X: a\r\nY: b", "X: \x00", "X: \x7f", "Host: a", "content-length: 1"]
        self.check(arguments.header, good, [*bad, "Transfer-Encoding: chunked"])

    def test_data(self) -> None:
        """
        Text as it is, or a file.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"\x00\xff")
        good = {"": b"", '{"a":1}': b'{"a":1}', "\xe9": b"\xc3\xa9", "\udcff": b"\xff", f"@{path}": b"\x00\xff"}
        self.check(arguments.data, good, [f"@{path}.missing", "@", "@a\x00b"])
