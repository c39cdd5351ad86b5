"""
Tests of C{matrix_federation_agent._discovery.records}: what is remembered of
DNS answers (CONFORMANCE 5).
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from matrix_federation_agent import DiscoveryPolicy
from matrix_federation_agent._discovery.records import Answer, NoAnswer, RecordsEntry, advance_records

from ..case import TestCase
from .kit import HypothesisTestCase, hostile

POLICY = DiscoveryPolicy()
SILENCE = NoAnswer("silence")
NOW = 1000
DAY = 86400

Entry = RecordsEntry[str]


def entry(records: str | None, fetched: int, expires: int, next_try: int | None = None, failures: int = 0) -> Entry:
    """Make an entry whose records are letters."""
    known = None if records is None else tuple(records)
    return RecordsEntry(
        known, fetched, expires, expires if next_try is None else next_try, failures, "silence" if failures else ""
    )


def answer(records: str, ttl: int | None) -> Answer[str]:
    """Make an answer whose records are letters."""
    return Answer(tuple(records), ttl)


# Answered at second 0 for 60 seconds; the same after one failure and after
# ten; an absence; and failures from the beginning.
OLD = entry("ab", 0, 60)
STALE = entry("ab", 0, DAY, 90, 1)
LONG_STALE = entry("ab", 0, DAY, 400, 10)
ABSENT = entry("", 0, 900)
NEVER = entry(None, 0, 30, 30, 1)

# Row of CONFORMANCE 5, what was known, what the lookup brought at second 1000
# (or as given), and what is known then.
REDUCED: list[tuple[str, Entry | None, Answer[str] | NoAnswer, int, Entry]] = [
    ("D5", None, answer("a", 60), NOW, entry("a", NOW, NOW + 60)),
    ("D5", None, answer("a", 30), NOW, entry("a", NOW, NOW + 30)),
    ("D5", None, answer("a", 29), NOW, entry("a", NOW, NOW + 30)),
    ("D5", None, answer("a", 0), NOW, entry("a", NOW, NOW + 30)),
    ("D5", None, answer("a", None), NOW, entry("a", NOW, NOW + 30)),
    ("D5", None, answer("a", DAY), NOW, entry("a", NOW, NOW + DAY)),
    ("D5", None, answer("a", DAY + 1), NOW, entry("a", NOW, NOW + DAY)),
    ("D5", None, answer("a", 2**31), NOW, entry("a", NOW, NOW + DAY)),
    ("D5", OLD, answer("b", 60), NOW, entry("b", NOW, NOW + 60)),
    ("D5", OLD, answer("", 60), NOW, entry("", NOW, NOW + 60)),
    ("D5", LONG_STALE, answer("b", 60), NOW, entry("b", NOW, NOW + 60)),
    ("D5", NEVER, answer("b", 60), NOW, entry("b", NOW, NOW + 60)),
    ("D1", None, answer("", 900), NOW, entry("", NOW, NOW + 900)),
    ("D1", None, answer("", 3600), NOW, entry("", NOW, NOW + 3600)),
    ("D1", None, answer("", DAY), NOW, entry("", NOW, NOW + 3600)),
    ("D1", None, answer("", 5), NOW, entry("", NOW, NOW + 5)),
    ("D1", None, answer("", 0), NOW, entry("", NOW, NOW)),
    ("D1", None, answer("", None), NOW, entry("", NOW, NOW + 30)),
    ("D6", OLD, SILENCE, NOW, entry("ab", 0, DAY, NOW + 30, 1)),
    ("D6", STALE, SILENCE, NOW, entry("ab", 0, DAY, NOW + 60, 2)),
    ("D6", LONG_STALE, SILENCE, NOW, entry("ab", 0, DAY, NOW + 300, 11)),
    ("D6", ABSENT, SILENCE, NOW, entry("", 0, DAY, NOW + 30, 1)),
    ("D6", STALE, SILENCE, DAY - 1, entry("ab", 0, DAY, DAY + 59, 2)),
    ("D6", STALE, SILENCE, DAY, entry(None, DAY, DAY + 60, DAY + 60, 2)),
    ("D7", None, SILENCE, NOW, entry(None, NOW, NOW + 30, NOW + 30, 1)),
    ("D7", NEVER, SILENCE, NOW, entry(None, NOW, NOW + 60, NOW + 60, 2)),
    ("D7", entry(None, 0, 0, 0, 9999), SILENCE, NOW, entry(None, NOW, NOW + 300, NOW + 300, 10000)),
]

outcomes = st.one_of(st.builds(answer, st.text("ab", max_size=3), st.none() | st.integers(0, 2**32)), st.just(SILENCE))


class AdvanceRecordsTests(TestCase):
    """L{advance_records}, by the default policy."""

    def test_d1_d5_d6_d7_what_is_remembered(self) -> None:
        """What was known and what the lookup brought decide about what is known."""
        for row, before, outcome, now, after in REDUCED:
            self.assertEqual(advance_records(before, outcome, now, POLICY), after, f"{row} {before} {outcome} at {now}")

    def test_d7_back_off_doubles_to_five_minutes(self) -> None:
        """Name servers that are asked whenever they are due are left alone for twice as long each time."""
        known = NEVER
        tries = [0.0]
        for _ in range(6):
            tries.append(known.next_try)
            known = advance_records(known, SILENCE, known.next_try, POLICY)
        self.assertEqual([later - earlier for earlier, later in pairwise(tries)], [30, 60, 120, 240, 300, 300])

    def test_the_numbers_are_the_policy_s(self) -> None:
        """Floor, cap and negative cap are settings."""
        policy = DiscoveryPolicy(dns_minimum=10, dns_maximum=20, dns_negative_maximum=15)
        given = [answer("a", 0), answer("a", 99), answer("", 99), answer("", None)]
        found = [advance_records(None, one, 0, policy).expires for one in given]
        self.assertEqual(found, [10, 20, 15, 10])

    def test_the_back_off_is_the_policy_s(self) -> None:
        """First wait, longest wait and age of stale answers are settings."""
        policy = DiscoveryPolicy(dns_failure_lifetime=7, dns_failure_maximum=10, dns_stale_maximum=100)
        found = [advance_records(entry("a", 0, 0, 0, count), SILENCE, 50, policy) for count in range(2)]
        self.assertEqual([(one.next_try, one.expires) for one in found], [(57, 100), (60, 100)])


class EntryTests(TestCase):
    """L{RecordsEntry}."""

    def test_d5_when_it_is_usable_and_due(self) -> None:
        """An answer is good until the second of its expiry, in which it is due."""
        self.assertEqual([(OLD.usable(now), OLD.due(now)) for now in (59, 60)], [(True, False), (False, True)])

    def test_d6_a_stale_answer_is_usable_while_due(self) -> None:
        """Requests go by it when name servers are to be asked again."""
        self.assertEqual([(STALE.usable(now), STALE.due(now)) for now in (89, 90)], [(True, False), (True, True)])

    def test_d7_what_is_barren(self) -> None:
        """An entry is that has never had an answer; that there is nothing is one."""
        self.assertEqual([one.barren for one in (OLD, STALE, ABSENT, NEVER)], [False, False, False, True])

    def test_what_it_says_of_itself(self) -> None:
        """Records, their absence, nothing, and the last failure are told apart."""
        texts = ["a, b", "a, b (but the last lookup: silence)", "no records", "nothing (but the last lookup: silence)"]
        self.assertEqual([one.summary for one in (OLD, STALE, ABSENT, NEVER)], texts)


class HostileHistoryTests(HypothesisTestCase):
    """L{advance_records} under any history."""

    @hostile
    @given(st.lists(st.tuples(st.integers(0, 50_000), outcomes), min_size=1, max_size=25))
    def test_an_entry_holds_together(self, history: list[tuple[int, Answer[str] | NoAnswer]]) -> None:
        """Whatever comes when, an entry expires within a day, and name servers are not left alone for long."""
        now, known, last = 0, None, None
        for seconds, outcome in history:
            now += seconds
            known = advance_records(known, outcome, now, POLICY)
            failed = isinstance(outcome, NoAnswer)
            last = last if isinstance(outcome, NoAnswer) else outcome.records
            holds = {
                "not expired before": known.expires >= now,
                "answers expire within a day": known.expires <= known.fetched + DAY,
                "tried when it expires": known.next_try <= known.expires or failed,
                "left alone for a while": not failed or now + 30 <= known.next_try <= now + 300,
                "fetched before": known.fetched <= now,
                "failures are counted": (known.failures > 0, known.failure != "") == (failed, failed),
                "nothing is made up": known.records in (last, None),
                "answers are kept": failed or known.records == last,
            }
            self.assertEqual([rule for rule, kept in holds.items() if not kept], [], f"{known} at {now}")
