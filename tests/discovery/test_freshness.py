"""
Tests of C{matrix_federation_agent._discovery.freshness}: how long a
delegation is remembered.
"""

from __future__ import annotations

from matrix_federation_agent import DiscoveryPolicy
from matrix_federation_agent._discovery.freshness import delegation_lifetime

from ..case import TestCase

FLOOR, DEFAULT, CAP = 300.0, 24 * 3600.0, 48 * 3600.0

NOW = b"Sun, 06 Nov 1994 08:49:37 GMT"
IN_AN_HOUR = b"Sun, 06 Nov 1994 09:49:37 GMT"
IN_TEN_YEARS = b"Sat, 06 Nov 2004 08:49:37 GMT"

# Row of CONFORMANCE 4, Cache-Control headers, and seconds.
CACHE_CONTROL = [
    ("C1", [], DEFAULT),
    ("C1", [b""], DEFAULT),
    ("C1", [b"public, must-revalidate"], DEFAULT),
    ("C2", [b"max-age=1000"], 1000.0),
    ("C2", [b"MAX-AGE=1000"], 1000.0),
    ("C2", [b'max-age="1000"'], 1000.0),
    ("C2", [b"public", b"max-age=1000"], 1000.0),
    ("C2", [b"max-age=1000, max-age=2000"], 1000.0),
    ("C2", [b"max-age=0000000000001000"], 1000.0),
    ("C3", [b"max-age=1000000000"], CAP),
    ("C3", [b"max-age=" + b"9" * 5000], CAP),
    ("C4", [b"max-age=0"], FLOOR),
    ("C4", [b"no-store"], FLOOR),
    ("C4", [b"No-Cache"], FLOOR),
    ("C4", [b"max-age=1000, no-store"], FLOOR),
    ("C4", [b"max-age=1000", b"no-cache"], FLOOR),
    ("C5", [b"foo, Max-Age = 100, bar"], FLOOR),
    ("C5", [b"foo, Max-Age = 1000, bar"], 1000.0),
    ("C6", [b"max-age=, bar"], DEFAULT),
    ("C6", [b"private; max-age=0"], DEFAULT),
    ("C6", [b"max-age=-1"], DEFAULT),
    ("C6", [b"max-age=1e3"], DEFAULT),
    ("C6", [b"max-age=1000s"], DEFAULT),
    ("C6", [b"x-max-age=1000"], DEFAULT),
    ("C6", [b"max-age=\xb2"], DEFAULT),
    ("C7", [b"s-maxage=10, max-age=500"], 500.0),
    ("C7", [b"s-maxage=10"], DEFAULT),
]

# Row, Expires headers, Date headers, and seconds.
EXPIRES = [
    ("C1", [], [NOW], DEFAULT),
    ("C2", [IN_AN_HOUR], [NOW], 3600.0),
    ("C2", [b"Sunday, 06-Nov-94 09:49:37 GMT"], [NOW], 3600.0),
    ("C2", [b"Sun Nov  6 09:49:37 1994"], [NOW], 3600.0),
    ("C2", [b"Sun, 06 Nov 1994 10:49:37 +0100"], [NOW], 3600.0),
    ("C3", [IN_TEN_YEARS], [NOW], CAP),
    ("C9", [b"0"], [NOW], FLOOR),
    ("C9", [b"-1"], [NOW], FLOOR),
    ("C9", [b""], [NOW], FLOOR),
    ("C9", [b"garbage"], [NOW], FLOOR),
    ("C9", [b"\xff\xfe"], [NOW], FLOOR),
    ("C9", [b"Sun, 06 Nov 99999999999 08:49:37 GMT"], [NOW], FLOOR),
    ("C9", [b"Sun, 06 Nov 1994 08:49:37 +99999999999"], [NOW], FLOOR),
    ("C9", [b"Mon, 99 Foo 2020"], [NOW], FLOOR),
    ("C9", [NOW], [IN_TEN_YEARS], FLOOR),
    ("C9", [IN_AN_HOUR], [b"garbage"], FLOOR),
]


class DelegationLifetimeTests(TestCase):
    """L{delegation_lifetime} (CONFORMANCE 4)."""

    policy = DiscoveryPolicy()

    def test_c1_to_c7_cache_control(self) -> None:
        """C{max-age} counts inside the bounds; what cannot be read is not there."""
        for row, values, seconds in CACHE_CONTROL:
            self.assertEqual(delegation_lifetime(values, [], [], self.policy), seconds, f"{row} {values!r}"[:200])

    def test_c1_c2_c3_c9_expires(self) -> None:
        """C{Expires} counts from C{Date} and inside the bounds; an invalid date has expired."""
        for row, expires, date, seconds in EXPIRES:
            self.assertEqual(delegation_lifetime([], expires, date, self.policy), seconds, f"{row} {expires!r}")

    def test_c8_cache_control_wins_over_expires(self) -> None:
        """C{Expires} is looked at where no directive of C{Cache-Control} decides."""
        cases = [([b"max-age=1000"], 1000.0), ([b"no-store"], FLOOR), ([b"public"], 3600.0), ([b"max-age="], 3600.0)]
        for values, seconds in cases:
            found = delegation_lifetime(values, [IN_AN_HOUR], [NOW], self.policy)
            self.assertEqual(found, seconds, f"C8 {values!r}")

    def test_the_bounds_are_the_policy_s(self) -> None:
        """Default, floor and cap are settings."""
        policy = DiscoveryPolicy(delegation_default=20, delegation_minimum=10, delegation_maximum=30)
        found = [delegation_lifetime(values, [], [], policy) for values in ([], [b"max-age=0"], [b"max-age=99"])]
        self.assertEqual(found, [20, 10, 30])
