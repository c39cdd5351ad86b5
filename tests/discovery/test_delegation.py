"""
Tests of C{matrix_federation_agent._discovery.delegation}: what a
C{.well-known} response says.
"""

from __future__ import annotations

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation, read_delegation

from ..case import TestCase

VALID = b'{"m.server": "m.ex.com:443"}'

# Row of CONFORMANCE 3, status, and whether the lack is temporary.
STATUSES = [
    ("W5", 404, False),
    ("W5", 410, False),
    ("W5", 500, True),
    ("W5", 503, True),
    ("W5", 599, True),
    ("W5", 201, False),
    ("W5", 204, False),
    ("W5", 206, False),
    ("W5", 304, False),
    ("W5", 401, False),
]

BODIES = [
    ("W6", b""),
    ("W6", b"{"),
    ("W6", b"not JSON"),
    ("W6", b"<!DOCTYPE html><html></html>"),
    ("W6", b"{}"),
    ("W6", b"null"),
    ("W6", b"[]"),
    ("W6", b'"m.ex.com"'),
    ("W6", b'["m.server"]'),
    ("W6", b"8448"),
    ("W6", b'{"m.server": ""}'),
    ("W6", b'{"m.server": 8448}'),
    ("W6", b'{"m.server": null}'),
    ("W6", b'{"m.server": true}'),
    ("W6", b'{"m.server": ["m.ex.com"]}'),
    ("W6", b'{"m.server": {"m.server": "m.ex.com"}}'),
    ("W6", b'{"M.SERVER": "m.ex.com"}'),
    ("W6", b'{"m.server": "m.ex.com"} {}'),
    ("W6", b'{"m.server": "m.ex.com", "number": NaN}'),
    ("W6", b'{"m.server": "m.ex.com", "number": -Infinity}'),
    ("W6", b'{"m.server": "m.ex.com", "number": ' + b"9" * 5000 + b"}"),
    ("W6", b"[" * 50_000),
    ("W6", b'{"m.server":' * 4000),
    ("W6", b"\xff\xfe{}"),
    ("W6", b'{"m.server": "m.ex.com\xff"}'),
    ("W6", '{"m.server": "m.ex.com"}'.encode("utf-16")),
    ("W7", b'{"m.server": "a b"}'),
    ("W7", b'{"m.server": "a/b"}'),
    ("W7", b'{"m.server": "u@a"}'),
    ("W7", b'{"m.server": "https://a"}'),
    ("W7", b'{"m.server": "a:99999"}'),
    ("W7", b'{"m.server": "a:0"}'),
    ("W7", b'{"m.server": "a#"}'),
    ("W7", b'{"m.server": "a?b"}'),
    ("W7", '{"m.server": "é.com"}'.encode()),
    ("W7", rb'{"m.server": "\u00e9.com"}'),
    ("W7", rb'{"m.server": "\ud800"}'),
    ("W7", rb'{"m.server": "a\r\nHost: b"}'),
    ("W7", b'{"m.server": " m.ex.com"}'),
    ("W7", b'{"m.server": "m.ex.com."}'),
]

DELEGATIONS = [
    ("S", b'{"m.server": "m.ex.com"}', "m.ex.com"),
    ("S", b'{"m.server": "m.ex.com:00443"}', "m.ex.com:00443"),
    ("S", b'{"m.server": "42.42.42.42"}', "42.42.42.42"),
    ("S", b'{"m.server": "[2001:db8::1]:4443"}', "[2001:db8::1]:4443"),
    ("S", rb'{"m.server": "m\u002eex.com"}', "m.ex.com"),
    ("W8", b'{"other": [1, {}], "m.server": "m.ex.com", "m.homeserver": {"base_url": "x"}}', "m.ex.com"),
    ("W9", b'\xef\xbb\xbf{"m.server": "m.ex.com"}', "m.ex.com"),
    ("W9", b' \r\n\t{"m.server": "m.ex.com"}\n', "m.ex.com"),
]


class ReadDelegationTests(TestCase):
    """L{read_delegation} (CONFORMANCE 3)."""

    def test_w8_w9_valid_bodies_delegate(self) -> None:
        """The name in C{m.server} is the delegated one, whatever stands beside it."""
        for row, body, name in DELEGATIONS:
            self.assertEqual(read_delegation(200, body), Delegation(ServerName(name)), f"{row} {body!r}")

    def test_w5_other_statuses_do_not_delegate(self) -> None:
        """Only 200 has a body that counts; errors of the server may pass."""
        for row, status, temporary in STATUSES:
            outcome = read_delegation(status, VALID)
            self.assertEqual(outcome, NoDelegation(f"status {status}", temporary), f"{row} {status}")

    def test_w6_w7_invalid_bodies_do_not_delegate(self) -> None:
        """A body without a valid name is the decided lack of a delegation."""
        for row, body in BODIES:
            outcome = read_delegation(200, body)
            self.assertEqual(getattr(outcome, "temporary", outcome), False, f"{row} {body[:80]!r}")


class OutcomeTests(TestCase):
    """What an outcome says of itself."""

    def test_outcomes_are_values(self) -> None:
        """Equal outcomes are one key."""
        self.assertEqual(len({read_delegation(200, VALID), read_delegation(200, VALID)}), 1)

    def test_a_delegation_names_the_other(self) -> None:
        """The text of a delegation has the name as it was given."""
        self.assertEqual(str(read_delegation(200, VALID)), "delegates to m.ex.com:443")

    def test_the_lack_of_one_has_its_reason(self) -> None:
        """The text of the lack has the reason."""
        self.assertEqual(str(NoDelegation("status 404", temporary=False)), "no delegation: status 404")
