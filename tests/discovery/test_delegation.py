"""
Tests of C{matrix_federation_agent._discovery.delegation}: what a
C{.well-known} response says, and what is remembered of it.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from random import Random

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from matrix_federation_agent import DiscoveryPolicy, ServerName
from matrix_federation_agent._discovery.delegation import (
    Delegation,
    DelegationEntry,
    NoDelegation,
    advance,
    read_delegation,
)
from matrix_federation_agent._discovery.freshness import Freshness

from ..case import TestCase
from .kit import DAY, HOUR, HypothesisTestCase, Spread, hostile

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

POLICY = DiscoveryPolicy()
M, N = ServerName("m.ex.com"), ServerName("n.ex.com")
TWO_DAYS = int(2 * DAY)

DOWN = NoDelegation("status 503", temporary=True)
GONE = NoDelegation("status 404", temporary=False)


def says(seconds: float | None = None, to: ServerName = M) -> Delegation:
    """Make a delegation whose response asks for a lifetime, or does not."""
    return Delegation(to, None if seconds is None else Freshness(seconds, "max-age"))


def entry(
    to: ServerName | None, fetched: int, next_try: int, expires: int, failures: int = 0, *, doubted: bool = False
) -> DelegationEntry:
    """Make an entry; what it says of itself in words is left out."""
    return DelegationEntry(to, "", fetched, next_try, expires, failures, doubted)


def then(
    before: DelegationEntry | None, outcome: Delegation | NoDelegation, now: float, spot: float = 0.5
) -> DelegationEntry:
    """Advance, without the words."""
    return attrs.evolve(advance(before, outcome, now, POLICY, Spread(spot)), summary="")


# Fetched at second 0 for 1000 seconds, now to be fetched again; the same
# after one failure, after seven, and when the host denied it once.
OLD = entry(M, 0, 800, 1000)
FAILING = entry(M, 0, 1060, TWO_DAYS, 1)
FAILED_LONG = entry(M, 0, 4000, TWO_DAYS, 7)
DOUBTED = entry(M, 0, 1060, TWO_DAYS, 1, doubted=True)
DOUBTED_AND_DOWN = entry(M, 0, 1180, TWO_DAYS, 2, doubted=True)
# A host that answered for itself, once and three times.
ITSELF = entry(None, 0, 60, 3600, 1)
STILL_ITSELF = entry(None, 0, 240, 3600, 3)
NOW = 1000

# Row of CONFORMANCE 4, what was known, what the fetch brought at second 1000
# (or as given), and what is known then.
REDUCED: list[tuple[str, DelegationEntry | None, Delegation | NoDelegation, int, DelegationEntry]] = [
    ("C1", None, says(), NOW, entry(M, NOW, NOW + 69120, NOW + 86400)),
    ("C2", None, says(1000), NOW, entry(M, NOW, NOW + 800, NOW + 1000)),
    ("C3", None, says(1e9), NOW, entry(M, NOW, NOW + 138240, NOW + 172800)),
    ("C3", None, says(172800), NOW, entry(M, NOW, NOW + 138240, NOW + 172800)),
    ("C4", None, says(0), NOW, entry(M, NOW, NOW + 240, NOW + 300)),
    ("C5", None, says(100), NOW, entry(M, NOW, NOW + 240, NOW + 300)),
    ("C2", None, says(301), 0, attrs.evolve(entry(M, 0, 0, 301), next_try=0.8 * 301)),
    ("C2", OLD, says(2000), NOW, entry(M, NOW, NOW + 1600, NOW + 2000)),
    ("C2", OLD, says(2000, N), NOW, entry(N, NOW, NOW + 1600, NOW + 2000)),
    ("C11", FAILED_LONG, says(2000), NOW, entry(M, NOW, NOW + 1600, NOW + 2000)),
    ("C12", DOUBTED, says(2000), NOW, entry(M, NOW, NOW + 1600, NOW + 2000)),
    ("C12", DOUBTED, says(2000, N), NOW, entry(N, NOW, NOW + 1600, NOW + 2000)),
    ("C10", ITSELF, says(2000), NOW, entry(M, NOW, NOW + 1600, NOW + 2000)),
    ("C10", None, DOWN, NOW, entry(None, NOW, NOW + 60, NOW + 3600, 1)),
    ("C10", None, GONE, NOW, entry(None, NOW, NOW + 60, NOW + 3600, 1)),
    ("C10", ITSELF, DOWN, NOW, entry(None, NOW, NOW + 120, NOW + 3600, 2)),
    ("C10", ITSELF, GONE, NOW, entry(None, NOW, NOW + 120, NOW + 3600, 2)),
    ("C10", STILL_ITSELF, GONE, NOW, entry(None, NOW, NOW + 480, NOW + 3600, 4)),
    ("C10", entry(None, 0, 0, 0, 6), GONE, NOW, entry(None, NOW, NOW + 3600, NOW + 3600, 7)),
    ("C10", entry(None, 0, 0, 0, 9999), GONE, NOW, entry(None, NOW, NOW + 3600, NOW + 3600, 10000)),
    ("C11", OLD, DOWN, NOW, entry(M, 0, NOW + 60, TWO_DAYS, 1)),
    ("C11", FAILING, DOWN, NOW, entry(M, 0, NOW + 120, TWO_DAYS, 2)),
    ("C11", FAILED_LONG, DOWN, NOW, entry(M, 0, NOW + 3600, TWO_DAYS, 8)),
    ("C11", FAILING, DOWN, TWO_DAYS - 1, entry(M, 0, TWO_DAYS + 119, TWO_DAYS, 2)),
    ("C11", FAILING, DOWN, TWO_DAYS, entry(None, TWO_DAYS, TWO_DAYS + 60, TWO_DAYS + 3600, 1)),
    ("C11", FAILED_LONG, GONE, TWO_DAYS, entry(None, TWO_DAYS, TWO_DAYS + 60, TWO_DAYS + 3600, 1)),
    ("C12", OLD, GONE, NOW, entry(M, 0, NOW + 60, TWO_DAYS, 1, doubted=True)),
    ("C12", FAILED_LONG, GONE, NOW, entry(M, 0, NOW + 60, TWO_DAYS, 1, doubted=True)),
    ("C12", DOUBTED, GONE, NOW, entry(None, NOW, NOW + 60, NOW + 3600, 1)),
    ("C12", DOUBTED, DOWN, NOW, entry(M, 0, NOW + 120, TWO_DAYS, 2, doubted=True)),
    ("C12", DOUBTED_AND_DOWN, GONE, NOW, entry(None, NOW, NOW + 60, NOW + 3600, 1)),
    ("C12", OLD, GONE, TWO_DAYS, entry(None, TWO_DAYS, TWO_DAYS + 60, TWO_DAYS + 3600, 1)),
]

# Row, what was known, outcome, chance at its lower and upper end, next try
# and expiry: 10 % of defaults and of back-off; nothing that a host asked for.
JITTERED: list[tuple[str, DelegationEntry | None, Delegation | NoDelegation, float, int, int]] = [
    ("C1", None, says(), 0.0, 62208, 77760),
    ("C1", None, says(), 1.0, 76032, 95040),
    ("C2", None, says(1000), 0.0, 800, 1000),
    ("C2", None, says(1000), 1.0, 800, 1000),
    ("C10", None, DOWN, 0.0, 54, 3600),
    ("C10", None, DOWN, 1.0, 66, 3600),
    ("C10", STILL_ITSELF, DOWN, 0.0, 432, 3600),
    ("C10", STILL_ITSELF, DOWN, 1.0, 528, 3600),
    ("C10", entry(None, 0, 0, 0, 6), DOWN, 0.0, 3456, 3600),
    ("C10", entry(None, 0, 0, 0, 6), DOWN, 1.0, 3600, 3600),
    ("C11", OLD, DOWN, 0.0, 54, 172800),
    ("C11", OLD, DOWN, 1.0, 66, 172800),
]

outcomes = st.one_of(
    st.builds(says, st.none() | st.floats(0, 1e10), st.sampled_from([M, N])), st.sampled_from([DOWN, GONE])
)
histories = st.lists(st.tuples(st.integers(0, 100_000), outcomes), min_size=1, max_size=25)


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


class AdvanceTests(TestCase):
    """L{advance} (CONFORMANCE 4), by the default policy."""

    def test_c1_to_c12_what_is_remembered(self) -> None:
        """What was known and what the fetch brought decide about what is known."""
        for row, before, outcome, now, after in REDUCED:
            self.assertEqual(then(before, outcome, now), after, f"{row} {before} {outcome} at {now}")

    def test_c1_c10_c11_jitter(self) -> None:
        """Defaults and back-off are spread by a tenth, and no further than the cap."""
        for row, before, outcome, spot, next_try, expires in JITTERED:
            found = then(before, outcome, 0, spot)
            times = round(found.next_try), round(found.expires)
            self.assertEqual(times, (next_try, expires), f"{row} {outcome} {spot}")

    def test_c10_back_off_doubles_to_an_hour(self) -> None:
        """A host that is tried whenever it is due is left alone for twice as long each time."""
        tries, known = [0.0], then(None, GONE, 0)
        for _ in range(8):
            tries.append(known.next_try)
            known = then(known, GONE, known.next_try)
        waits = [later - earlier for earlier, later in pairwise(tries)]
        self.assertEqual(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600])

    def test_c10_success_ends_the_back_off(self) -> None:
        """After a success, the first failure counts as the first again."""
        history: list[tuple[int, Delegation | NoDelegation]]
        history = [(0, GONE), (60, GONE), (180, says(1000)), (1000, DOWN)]
        known = reduce(lambda known, step: then(known, step[1], step[0]), history, entry(None, 0, 0, 0, 5))
        self.assertEqual(known, entry(M, 180, 1060, 180 + TWO_DAYS, 1))

    def test_c11_expiry_is_that_of_the_last_fetch(self) -> None:
        """However often the host fails, the delegation is used for 48 hours from its last fetch and no longer."""
        known, last_used = then(None, says(1000), 0), 0.0
        for now in range(1000, 4 * TWO_DAYS, 1000):
            last_used = now if known.usable(now) and known.delegation else last_used
            known = then(known, DOWN, now) if known.due(now) else known
        self.assertEqual((last_used, known.delegation), (172000, None))

    def test_the_numbers_are_the_policy_s(self) -> None:
        """Every lifetime is a setting."""
        policy = DiscoveryPolicy(
            delegation_default=20, delegation_minimum=10, delegation_maximum=30, refresh_after=0.5, jitter=0
        )
        found = [advance(None, says(asked), 0, policy, Random(0)) for asked in (None, 0, 99)]
        self.assertEqual([(one.next_try, one.expires) for one in found], [(10, 20), (5, 10), (15, 30)])

    def test_the_back_off_is_the_policy_s(self) -> None:
        """First wait, longest wait and spread are settings."""
        policy = DiscoveryPolicy(failure_lifetime=7, failure_maximum=20, jitter=0)
        found = [advance(entry(None, 0, 0, 0, count), DOWN, 0, policy, Random(0)) for count in range(3)]
        self.assertEqual([(one.next_try, one.expires) for one in found], [(7, 20), (14, 20), (20, 20)])

    def test_the_summary_names_the_header(self) -> None:
        """An entry says which header decided, and for how many seconds."""
        found = [advance(None, outcome, 0, POLICY, Spread()).summary for outcome in (says(1000), says())]
        texts = (
            "delegates to m.ex.com (for 1000 s, by max-age)",
            "delegates to m.ex.com (for 86400 s, by the default)",
        )
        self.assertEqual(tuple(found), texts)

    def test_the_summary_does_not_grow(self) -> None:
        """A hundred failures later, an entry is as long as after the first."""
        known = [advance(None, says(1000), 0, POLICY, Spread())]
        known += [advance(known[0], DOWN, 0, POLICY, Spread())]
        known += [reduce(lambda one, now: advance(one, DOWN, now, POLICY, Spread()), range(100), known[0])]
        self.assertEqual(known[2].summary, known[1].summary)


class EntryTests(TestCase):
    """L{DelegationEntry}."""

    def test_c2_c13_when_it_is_usable_and_due(self) -> None:
        """It is due from the second of the next try, and no longer usable from the second of its expiry."""
        found = [(OLD.usable(now), OLD.due(now)) for now in (799, 800, 999, 1000)]
        self.assertEqual(found, [(True, False), (True, True), (True, True), (False, True)])

    def test_c10_what_is_barren(self) -> None:
        """An entry is that has no delegation; doubts and failures do not make it so."""
        entries = [OLD, FAILED_LONG, DOUBTED, ITSELF]
        self.assertEqual([one.barren for one in entries], [False, False, False, True])


class HostileHistoryTests(HypothesisTestCase):
    """L{advance} under any history."""

    @hostile
    @given(histories, st.floats(0, 1))
    @example([(0, says(0)), (0, GONE), (0, GONE), (172800, DOWN)], 1.0)
    def test_an_entry_holds_together(self, history: list[tuple[int, Delegation | NoDelegation]], spot: float) -> None:
        """Whatever comes when, an entry is usable, is tried again in time, and expires within 48 hours."""
        now, known = 0, None
        for seconds, outcome in history:
            now += seconds
            known = then(known, outcome, now, spot)
            delegated = known.delegation is not None
            holds = {
                "usable at once": known.usable(now) and not known.due(now),
                "tried before it expires": known.next_try <= known.expires or known.failures > 0,
                "tried within two days": known.next_try <= now + TWO_DAYS,
                "failures are left alone for an hour at most": not known.failures or known.next_try <= now + HOUR,
                "bounded": known.expires <= (known.fetched + TWO_DAYS if delegated else now + HOUR),
                "fetched before": known.fetched <= now,
                "failures are counted": (known.failures == 0) == isinstance(outcome, Delegation),
                "doubts are about something": delegated or not known.doubted,
            }
            self.assertEqual([rule for rule, kept in holds.items() if not kept], [], f"{known} at {now}")

    @hostile
    @given(histories)
    def test_nothing_is_made_up(self, history: list[tuple[int, Delegation | NoDelegation]]) -> None:
        """The delegation that is known is the last one that was fetched, or none."""
        now, known, last = 0, None, None
        for seconds, outcome in history:
            now += seconds
            known = then(known, outcome, now)
            last = outcome.to if isinstance(outcome, Delegation) else last
            self.assertIn(known.delegation, (last, None))

    @hostile
    @given(st.binary(max_size=200), st.integers())
    def test_w6_any_body_is_read(self, body: bytes, status: int) -> None:
        """Any bytes delegate, or do not; the text of either can be logged."""
        for code in (200, status):
            outcome = read_delegation(code, body)
            self.assertIsInstance(outcome, Delegation | NoDelegation)
            str(outcome).encode("utf-8")
