"""
Tests of C{matrix_federation_agent._discovery.freshness}: what headers ask
for.  The bounds of CONFORMANCE 4 are C{advance}'s.
"""

from __future__ import annotations

from time import process_time

from hypothesis import example, given
from hypothesis import strategies as st

from matrix_federation_agent._discovery.freshness import Freshness, freshness

from ..case import TestCase
from .kit import HypothesisTestCase, hostile

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
NOW = 784111777.0  # The same, in seconds since the epoch.
IN_AN_HOUR = b"Sun, 06 Nov 1994 09:49:37 GMT"
IN_TEN_YEARS = b"Sat, 06 Nov 2004 08:49:37 GMT"
TEN_YEARS = 3653 * 86400.0

# Row of CONFORMANCE 4 (R: of RFC 9111), Cache-Control headers, and seconds.
CACHE_CONTROL: list[tuple[str, list[bytes], float | None]] = [
    ("C1", [], None),
    ("C1", [b""], None),
    ("C1", [b"public, must-revalidate"], None),
    ("C1", [b"no-store-at-all"], None),
    ("C2", [b"max-age=1000"], 1000.0),
    ("C2", [b"MAX-AGE=1000"], 1000.0),
    ("C2", [b'max-age="1000"'], 1000.0),
    ("C2", [b"public", b"max-age=1000"], 1000.0),
    ("C2", [b"max-age=1000, max-age=2000"], 1000.0),
    ("C2", [b"max-age=nonsense, max-age=2000"], 2000.0),
    ("C2", [b"max-age=0000000000001000"], 1000.0),
    ("C2", [b",, ,max-age=1000,,"], 1000.0),
    ("C2", [b"\tmax-age=1000\t, public"], 1000.0),
    ("C2", [b'ext="max-age=5, no-store", max-age=1000'], 1000.0),
    ("C2", [b'ext="a\\"b, no-store, \\"", max-age=1000'], 1000.0),
    ("R", [b'ext="unfinished', b"max-age=1000"], None),
    ("C2", [b"immutable, stale-while-revalidate=60, max-age=1000"], 1000.0),
    ("R", [b"x," * 3000, b"max-age=1000"], None),
    ("C3", [b"max-age=1000000000"], 1e9),
    ("C3", [b"max-age=" + b"9" * 3000], 1e10),
    ("C4", [b"max-age=0"], 0.0),
    ("C4", [b"no-store"], 0.0),
    ("C4", [b"No-Cache"], 0.0),
    ("C4", [b"max-age=1000, no-store"], 0.0),
    ("C4", [b"max-age=1000", b"no-cache"], 0.0),
    ("R", [b'no-cache="Set-Cookie, Vary", max-age=1000'], 1000.0),
    ("R", [b"no-cache=Set-Cookie, max-age=1000"], 1000.0),
    ("R", [b'no-cache="Set-Cookie"'], None),
    ("C5", [b"foo, Max-Age = 100, bar"], 100.0),
    ("C6", [b"max-age=, bar"], None),
    ("C6", [b"private; max-age=0"], None),
    ("C6", [b"max-age"], None),
    ("C6", [b"max-age=-1"], None),
    ("C6", [b"max-age=1e3"], None),
    ("C6", [b"max-age=1000s"], None),
    ("C6", [b"max-age=10 00"], None),
    ("C6", [b"x-max-age=1000"], None),
    ("C6", [b"max-age=\xb2"], None),
    ("C6", [b"max-age='1000'"], None),
    ("C7", [b"s-maxage=10, max-age=500"], 500.0),
    ("C7", [b"s-maxage=10"], None),
]

# Row, Expires headers, Date headers, and seconds.
EXPIRES: list[tuple[str, list[bytes], list[bytes], float | None]] = [
    ("C1", [], [DATE], None),
    ("C2", [IN_AN_HOUR], [DATE], 3600.0),
    ("C2", [IN_AN_HOUR], [], 3600.0),
    ("C2", [IN_TEN_YEARS], [IN_AN_HOUR], TEN_YEARS - 3600),
    ("C2", [b"Sunday, 06-Nov-94 09:49:37 GMT"], [DATE], 3600.0),
    ("C2", [b"Sun Nov  6 09:49:37 1994"], [DATE], 3600.0),
    ("C2", [b"Sun, 06 Nov 1994 10:49:37 +0100"], [DATE], 3600.0),
    ("C3", [IN_TEN_YEARS], [DATE], TEN_YEARS),
    ("C3", [b"Fri, 31 Dec 9999 23:59:59 GMT"], [b"Mon, 01 Jan 0001 00:00:00 GMT"], 1e10),
    ("C9", [b"0"], [DATE], 0.0),
    ("C9", [b"-1"], [DATE], 0.0),
    ("C9", [b""], [DATE], 0.0),
    ("C9", [b"garbage"], [DATE], 0.0),
    ("C9", [b"\xff\xfe"], [DATE], 0.0),
    ("C9", [b"Sun, 06 Nov 99999999999 08:49:37 GMT"], [DATE], 0.0),
    ("C9", [b"Sun, 06 Nov 1994 08:49:37 +99999999999"], [DATE], 0.0),
    ("C9", [b"Mon, 99 Foo 2020"], [DATE], 0.0),
    ("C9", [DATE], [DATE], 0.0),
    ("C9", [DATE], [IN_TEN_YEARS], 0.0),
    ("C9", [IN_AN_HOUR], [b"garbage"], 0.0),
    ("C9", [b"garbage", IN_AN_HOUR], [DATE], 0.0),
]

# Age headers, and what is left of max-age=1000.
AGE = [
    ([b"0"], 1000.0),
    ([b"400"], 600.0),
    ([b" 400 "], 600.0),
    ([b"400", b"1"], 600.0),
    ([b"2000"], 0.0),
    ([b"9" * 3000], 0.0),
    ([b"-400"], 1000.0),
    ([b"400.5"], 1000.0),
    ([b"garbage"], 1000.0),
    ([b""], 1000.0),
]

# Cache-Control, and the header that decided beside an Expires.
DECIDES = [
    ([b"max-age=1000"], Freshness(1000.0, "max-age=1000")),
    ([b"max-age=0"], Freshness(0.0, "max-age=0")),
    ([b"no-store"], Freshness(0.0, "no-store")),
    ([b"no-cache"], Freshness(0.0, "no-cache")),
    ([b"public"], Freshness(3600.0, "Expires")),
    ([b"max-age="], Freshness(3600.0, "Expires")),
    ([b"s-maxage=10"], Freshness(3600.0, "Expires")),
]

# Repeated, each of these once made some expression look at every rest of the text.
TEDIOUS = [b'"\\', b'a="\\"', b'a="' + b'\\"' * 30, b'","', b'"', b",", b'a"', b"a =", b" ", b'\\"', b"=", b"max-age"]

header = st.lists(
    st.sampled_from(
        [
            *(
                b"max-age",
                b"=",
                b" ",
                b"max-age=",
                b"1000",
                b"9" * 5000,
                b",",
                b'"',
                b"\\",
                b"no-store",
                b"no-cache",
                b";",
            ),
            *(
                DATE,
                b"Sun,",
                b" 06",
                b" Nov",
                b" 1994",
                b" 08:49:37",
                b" +9999",
                b" -0000",
                b"(",
                b"-1",
                b"\xff",
                b"\n",
            ),
        ]
    )
    | st.binary(max_size=3),
    max_size=12,
).map(b"".join)
headers = st.lists(st.binary() | header, max_size=3)


def seconds(
    cache_control: list[bytes] | None = None,
    expires: list[bytes] | None = None,
    date: list[bytes] | None = None,
    age: list[bytes] | None = None,
) -> float | None:
    """Read headers, and tell the seconds."""
    found = freshness(cache_control or [], expires or [], date or [], age or [], NOW)
    return None if found is None else found.seconds


class FreshnessTests(TestCase):
    """L{freshness} (CONFORMANCE 4)."""

    def test_c1_to_c7_cache_control(self) -> None:
        """Directives that bear on a private cache count; what cannot be read is not there."""
        for row, values, expected in CACHE_CONTROL:
            self.assertEqual(seconds(values), expected, f"{row} {values!r}"[:200])

    def test_c1_c2_c3_c9_expires(self) -> None:
        """C{Expires} counts from C{Date}, or else from now; an invalid date has expired."""
        for row, expires, date, expected in EXPIRES:
            self.assertEqual(seconds([], expires, date), expected, f"{row} {expires!r} {date!r}")

    def test_c8_max_age_wins_over_expires(self) -> None:
        """C{Expires} is looked at where no directive decides, and the result says who did."""
        for values, expected in DECIDES:
            self.assertEqual(freshness(values, [IN_AN_HOUR], [DATE], [], NOW), expected, f"C8 {values!r}")

    def test_age_is_used_up_already(self) -> None:
        """The seconds in C{Age} are taken off, an invalid one is not there (RFC 9111, section 4.2.3)."""
        for values, expected in AGE:
            self.assertEqual(seconds([b"max-age=1000"], age=values), expected, repr(values)[:80])

    def test_age_is_taken_off_expires_too(self) -> None:
        """Whoever decided, C{Age} is taken off."""
        self.assertEqual(seconds([], [IN_AN_HOUR], [DATE], [b"600"]), 3000.0)

    def test_age_alone_says_nothing(self) -> None:
        """C{Date} and C{Age} ask for no lifetime."""
        self.assertEqual(seconds([], [], [DATE], [b"600"]), None)


class HostileHeaderTests(HypothesisTestCase):
    """L{freshness} and what strangers write."""

    @hostile
    @given(headers, headers, headers, headers)
    @example([], [b"Sun, 06 Nov 1994 08:49:37 GMT (" + b"(" * 4000], [], [])
    def test_any_bytes_are_read(
        self, control: list[bytes], expires: list[bytes], date: list[bytes], age: list[bytes]
    ) -> None:
        """Any headers give a lifetime within bounds, or nothing."""
        found = seconds(control, expires, date, age)
        self.assertTrue(found is None or 0 <= found <= 10**10, repr(found))

    @hostile
    @given(header, st.lists(header, max_size=1), st.floats(0, 1e12))
    def test_any_dates_are_read(self, expires: bytes, date: list[bytes], now: float) -> None:
        """Any C{Expires} gives a lifetime within bounds."""
        found = freshness([], [expires], date, [], now)
        self.assertTrue(found is not None and 0 <= found.seconds <= 10**10, repr(found))

    def test_long_headers_take_time_by_their_length(self) -> None:
        """Eight times as much of anything takes nowhere near 64 times as long."""
        for piece in TEDIOUS:
            short, long = (best_time([piece * (length // len(piece))]) for length in (512, 4096))
            self.assertLess(long / short, 32, repr(piece))

    def test_endless_headers_take_no_more_time(self) -> None:
        """What is beyond some kilobytes is not looked at."""
        for piece in TEDIOUS:
            read, all_of_it = (best_time([piece * (length // len(piece))]) for length in (4096, 262_144))
            self.assertLess(all_of_it / read, 8, repr(piece))


def best_time(value: list[bytes]) -> float:
    """Tell the least CPU time, in seconds, that reading takes."""
    times = []
    for _ in range(15):
        start = process_time()
        freshness(value, value, value, value, NOW)
        times.append(process_time() - start)
    return min(times)
