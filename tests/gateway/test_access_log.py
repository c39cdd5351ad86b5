"""
Tests of C{matrix_federation_agent._gateway.access_log}.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.logger import LogLevel, formatEvent

from matrix_federation_agent._gateway.access_log import Record, log_request, shown_target
from tests.case import TestCase

RECORD = Record("192.0.2.7", b"PUT", "ex.com", b"/_matrix/x", 200, "ok", "", 802, 2, 0.12345)

# Targets that are not forwarded, and what is shown of them.
SHOWN = [
    (b"matrix-federation://ex.com/a?access_token=x", b"matrix-federation://ex.com/a"),
    (b"http://169.254.169.254/", b"http://169.254.169.254/"),
    (b"matrix-federation://user:pass@ex.com/a", b"...@ex.com/a"),
    (b"user:p@ss@ex.com:443", b"...@ex.com:443"),
    (b"matrix-federation://ex.com#a@b", b"matrix-federation://ex.com"),
    (b"matrix-federation://ex.com?a@b", b"matrix-federation://ex.com"),
    (b"*", b"*"),
    (b"", b""),
]


class LogRequestTests(TestCase):
    """
    L{log_request}.
    """

    def line(self, **changes: Any) -> str:
        """
        Log a request and read the line.
        """
        events = self.keep_log()
        log_request(attrs.evolve(RECORD, **changes))
        (event,) = events
        return formatEvent(event)

    def test_the_line(self) -> None:
        """
        All that is known, in one line.
        """
        expected = (
            "peer=192.0.2.7 method=PUT server_name=ex.com path=/_matrix/x code=200 outcome=ok"
            " received=802 sent=2 seconds=0.123"
        )
        self.assertEqual(self.line(), expected)

    def test_a_failure(self) -> None:
        """
        Phase and reason say on whose side it was.
        """
        line = self.line(code=502, outcome="failed", phase="tls", reason="certificate rejected: expired")
        self.assertEqual(line.partition(" seconds=0.123")[2], " phase=tls reason=certificate rejected: expired")

    def test_fields(self) -> None:
        """
        Programs need not read the line.
        """
        events = self.keep_log()
        log_request(attrs.evolve(RECORD, phase="tls", reason="why"))
        found = {name: events[0][name] for name in attrs.fields_dict(Record)}
        self.assertEqual(
            (found, events[0]["log_level"]),
            (
                {**attrs.asdict(RECORD), "method": "PUT", "path": "/_matrix/x", "phase": "tls", "reason": "why"},
                LogLevel.info,
            ),
        )

    def test_nothing_is_a_control_character(self) -> None:
        """
        A line stays one line, and a terminal in its senses.
        """
        line = self.line(method=b"A\x1b", path=b"/\r\n\x7f\xe9", reason="\x1b[31m\nq\u2028")
        self.assertEqual([one for one in line if not " " <= one <= "~"], [])
        self.assertIn(r"method=A\x1b ", line)

    def test_everything_is_ascii(self) -> None:
        """
        What looks like a letter may look like another one too.
        """
        self.assertIn(r"path=/\xe9 ", self.line(path=b"/\xe9"))

    def test_lengths(self) -> None:
        """
        A path is cut, and so is a method.
        """
        line = self.line(method=b"M" * 1000, path=b"/" * 10_000)
        self.assertEqual((line.count("M"), line.count("/")), (20, 200))

    def test_braces_are_text(self) -> None:
        """
        What is logged is no format.
        """
        self.assertIn("path=/{peer} ", self.line(path=b"/{peer}"))


class ShownTargetTests(TestCase):
    """
    L{shown_target}.
    """

    def test_neither_queries_nor_passwords(self) -> None:
        """
        They may be secrets.
        """
        self.assertEqual([(target, shown_target(target)) for target, _ in SHOWN], SHOWN)
