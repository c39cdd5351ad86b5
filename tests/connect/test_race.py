"""
Tests of C{matrix_federation_agent._connect.race}, on a fake clock, with attempts that end when a table says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater

from matrix_federation_agent import ConnectionPolicy, ServerName
from matrix_federation_agent._connect.attempts import Begun
from matrix_federation_agent._connect.candidates import Candidates
from matrix_federation_agent._connect.families import Lookup
from matrix_federation_agent._connect.order import Order, Place
from matrix_federation_agent._connect.race import Race
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent.errors import (
    AddressDenied,
    Attempt,
    ConnectionFailed,
    FederationError,
    HandshakeFailed,
    ResolutionFailed,
    TimedOut,
)
from tests.case import TestCase

NEVER = None
REFUSED = ConnectionFailed("ex.com", "refused")
Answer = tuple[float | None, str | FederationError]
End = tuple[float | None, str | Exception]


def place(text: str) -> Place:
    """
    Read C{target address}.
    """
    host, address = text.split()
    return Target(ServerName(host), 8448), ip_address(address)


@attrs.define(eq=False, slots=False)
class TabledCourse:
    """
    Lookups and attempts of which a table says when and how they end.

    @ivar answers: of each target, the families: after how many seconds, and addresses or a failure.
    @ivar ends: of each address, after how many seconds, and the result or a failure; never by default.
    @ivar events: what was begun, and when.
    @ivar at_hand: whether what takes no time is known without a lookup.
    """

    clock: Clock
    answers: dict[str, list[Answer]]
    ends: dict[str, End]
    events: list[str] = attrs.field(factory=list)
    under_way: list[str] = attrs.field(factory=list)
    dropped: list[str] = attrs.field(factory=list)
    asked: str = "ex.com"
    at_hand: bool = False

    def look_up(self, target: Target) -> Sequence[Lookup]:
        """
        Begin lookups.
        """
        self.note(f"{target.host}?")
        return [
            self._judged(target, found)
            if self.at_hand and seconds == 0 and isinstance(found, str)
            else self._lookup(target, seconds, found)
            for seconds, found in self.answers[str(target.host)]
        ]

    async def _lookup(self, target: Target, seconds: float | None, found: str | FederationError) -> Candidates:
        await self._wait(f"{target.host}?", seconds)
        if isinstance(found, Exception):
            raise found
        return self._judged(target, found)

    def _judged(self, target: Target, found: str) -> Candidates:
        refused = [one for one in found.split() if one.startswith("10.")]
        permitted = tuple(ip_address(one) for one in found.split() if one not in refused)
        denied = AddressDenied("ex.com", "refused by the address policy")
        return Candidates(permitted, tuple(Attempt(str(target), one, denied) for one in refused))

    def nowhere(self, target: Target, failures: Sequence[FederationError]) -> FederationError:
        """
        Tell of the first failure.
        """
        return [*failures, ResolutionFailed("", "no address")][0]

    async def attempt(self, begun: Begun) -> str:
        """
        Begin an attempt.
        """
        address = str(begun.address)
        seconds, end = self.ends.get(address, (NEVER, ""))
        self.note(address)
        await self._wait(address, seconds)
        if isinstance(end, Exception):
            raise end
        return end

    def drop(self, result: str) -> None:
        """
        Keep what was dropped.
        """
        self.dropped.append(result)

    def note(self, what: str) -> None:
        """
        Keep what was begun.
        """
        self.events.append(f"{self.clock.seconds():.2f} {what}")

    async def _wait(self, what: str, seconds: float | None) -> None:
        if seconds == 0:
            return
        self.under_way.append(what)
        try:
            await (Deferred() if seconds is None else deferLater(self.clock, seconds))
        finally:
            self.under_way.remove(what)


class RaceCase(TestCase):
    """
    A race.
    """

    def begin(
        self,
        answers: dict[str, list[Answer]],
        ends: dict[str, End] | None = None,
        first: Place | None = None,
        limit: int = 10,
        *,
        at_hand: bool = False,
    ) -> Deferred[str]:
        """
        Begin one to the targets of a table, in its order.
        """
        self.clock = Clock()
        self.course = TabledCourse(self.clock, answers, ends or {}, at_hand=at_hand)
        order = Order([Target(ServerName(host), 8448) for host in answers], limit, first)
        self.race: Race[str] = Race(self.clock, ConnectionPolicy(), order, self.course)
        return self.race.run()

    @property
    def now(self) -> float:
        """
        How many seconds have passed.
        """
        return round(self.clock.seconds(), 2)

    def run_out(self, racing: Deferred[str]) -> str | FederationError:
        """
        Let it come to its end.
        """
        ended: list[Any] = []
        racing.addCallbacks(ended.append, lambda failure: ended.append(failure.value))
        while not ended:
            self.clock.advance(self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds())
        self.assertEqual((self.course.under_way, self.clock.getDelayedCalls()), ([], []))
        (end,) = ended
        return end  # type: ignore[no-any-return]


# What is looked up and dialled, and when.
BEGUN: list[tuple[str, dict[str, list[Answer]], dict[str, End], list[str]]] = [
    (
        "D11 the next address begins beside one that is silent",
        {"a": [(0, "::1 4.0.0.1 ::2")]},
        {},
        ["0.00 a?", "0.00 ::1", "0.25 4.0.0.1", "0.50 ::2"],
    ),
    (
        "D10 after a failure the next begins at once, and its turn lasts as long as any",
        {"a": [(0, "::1 ::2 ::3")]},
        {"::1": (0.1, REFUSED)},
        ["0.00 a?", "0.00 ::1", "0.10 ::2", "0.35 ::3"],
    ),
    (
        "D10 the next target is looked up when its turn comes",
        {"a": [(0, "::1")], "b": [(0, "::2")]},
        {},
        ["0.00 a?", "0.00 ::1", "0.25 b?", "0.25 ::2"],
    ),
    (
        "D10 a lookup that is silent costs a turn",
        {"a": [(NEVER, "")], "b": [(0, "::2")]},
        {},
        ["0.00 a?", "0.25 b?", "0.25 ::2"],
    ),
    (
        "a lookup that fails costs nothing more",
        {"a": [(0.1, ResolutionFailed("", "no such host"))], "b": [(0, "::2")]},
        {},
        ["0.00 a?", "0.10 b?", "0.10 ::2"],
    ),
    (
        "a target without an address costs nothing",
        {"a": [(0, ""), (0, "")], "b": [(0, "::2")]},
        {},
        ["0.00 a?", "0.00 b?", "0.00 ::2"],
    ),
    (
        "a target at a forbidden address costs nothing",
        {"a": [(0, "10.0.0.1")], "b": [(0, "::2")]},
        {},
        ["0.00 a?", "0.00 b?", "0.00 ::2"],
    ),
    (
        "what a lookup finds in its turn is dialled at once",
        {"a": [(0.1, "::1 ::2")]},
        {},
        ["0.00 a?", "0.10 ::1", "0.35 ::2"],
    ),
    (
        "addresses that come late go before those of later targets",
        {"a": [(0.3, "::1")], "b": [(0, "::2 ::3")]},
        {},
        ["0.00 a?", "0.25 b?", "0.25 ::2", "0.50 ::1", "0.75 ::3"],
    ),
    (
        "addresses that come when nothing is left are dialled at once",
        {"a": [(3, "::2"), (0, "4.0.0.1")]},
        {"4.0.0.1": (0.1, REFUSED)},
        ["0.00 a?", "0.05 4.0.0.1", "3.00 ::2"],
    ),
    (
        "so are those that come later than a turn after the last attempt",
        {"a": [(3, "::2"), (0, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.05 4.0.0.1", "3.00 ::2"],
    ),
    (
        "D11 IPv4 waits a little for IPv6",
        {"a": [(NEVER, ""), (0.1, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.15 4.0.0.1"],
    ),
    (
        "D11 IPv6 that comes meanwhile goes first",
        {"a": [(0.13, "::1"), (0.1, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.13 ::1", "0.38 4.0.0.1"],
    ),
    (
        "D11 IPv4 does not wait once there is no IPv6",
        {"a": [(0.12, ""), (0.1, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.12 4.0.0.1"],
    ),
    (
        "D11 nor once IPv6 has failed",
        {"a": [(0.12, ResolutionFailed("", "SERVFAIL")), (0.1, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.12 4.0.0.1"],
    ),
    (
        "D11 IPv6 does not wait for IPv4",
        {"a": [(0.1, "::1"), (0.2, "4.0.0.1")]},
        {},
        ["0.00 a?", "0.10 ::1", "0.35 4.0.0.1"],
    ),
    (
        "D11 IPv6 that comes late takes its turn",
        {"a": [(0.2, "::1"), (0, "4.0.0.1 4.0.0.2")]},
        {},
        ["0.00 a?", "0.05 4.0.0.1", "0.30 ::1", "0.55 4.0.0.2"],
    ),
    (
        "a failure during the turn of a lookup does not shorten it",
        {"a": [(0, "::1")], "b": [(NEVER, "")], "c": [(0, "::3")]},
        {"::1": (0.3, REFUSED)},
        ["0.00 a?", "0.00 ::1", "0.25 b?", "0.50 c?", "0.50 ::3"],
    ),
]


class BeginningTests(RaceCase):
    """
    What is begun, and when.
    """

    def test_D10_D11_turns(self) -> None:
        """
        Each row of the table.
        """
        for title, answers, ends, expected in BEGUN:
            self.run_out(self.begin(answers, ends))
            self.assertEqual(self.course.events, expected, title)

    def test_addresses_at_hand(self) -> None:
        """
        All goes the same way where addresses that take no time are known without a lookup.
        """
        for title, answers, ends, expected in BEGUN:
            self.run_out(self.begin(answers, ends, at_hand=True))
            self.assertEqual(self.course.events, expected, title)

    def test_what_answered_last(self) -> None:
        """
        It is dialled first, across targets, and then the others as ever.
        """
        answers: dict[str, list[Answer]] = {"a": [(0, "::1")], "b": [(0, "::2 ::3")]}
        self.run_out(self.begin(answers, first=place("b ::3")))
        self.assertEqual(self.course.events, ["0.00 b?", "0.00 ::3", "0.25 a?", "0.25 ::1", "0.50 ::2"])

    def test_what_answered_last_and_is_not_known_yet(self) -> None:
        """
        A lookup for its sake takes one turn, as any other.
        """
        answers: dict[str, list[Answer]] = {"a": [(0, "::1")], "b": [(0.3, "::2 ::3")]}
        self.run_out(self.begin(answers, first=place("b ::3")))
        self.assertEqual(self.course.events, ["0.00 b?", "0.25 a?", "0.25 ::1", "0.50 ::3", "0.75 ::2"])

    def test_the_limit(self) -> None:
        """
        So many addresses are tried, and then no other target is looked up.
        """
        error = self.run_out(self.begin({"a": [(0, "::1 ::2 ::3")], "b": [(0, "::4")]}, limit=2))
        self.assertEqual(self.course.events, ["0.00 a?", "0.00 ::1", "0.25 ::2"])
        assert isinstance(error, TimedOut)
        self.assertEqual([one.address for one in error.attempts], ["::1", "::2"])

    def test_one_timer(self) -> None:
        """
        The race to one known address has one timer, that of the deadline.
        """
        self.begin({"a": [(0, "::1")]}).addErrback(lambda _: None)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [30.0])


class EndingTests(RaceCase):
    """
    How it ends.
    """

    def test_D10_the_first_that_succeeds(self) -> None:
        """
        Its result is the race's, and everything else is cancelled in the same moment.
        """
        answers: dict[str, list[Answer]] = {"a": [(0, "::1 ::2 ::3")], "b": [(NEVER, "")]}
        ended = self.run_out(self.begin(answers, {"::2": (0.6, "two"), "::3": (3, "three")}))
        assert self.race.winner is not None
        self.assertEqual((ended, str(self.race.winner.address), self.now), ("two", "::2", 0.85))

    def test_at_the_same_time(self) -> None:
        """
        Of two that succeed in the same turn of the reactor one counts, and the other was cancelled before it knew.
        """
        racing = self.begin({"a": [(0, "::1 ::2")]}, {"::1": (0.5, "one"), "::2": (0.25, "two")})
        self.clock.advance(0.25)
        self.clock.advance(0.5)
        self.assertEqual((self.successResultOf(racing), self.course.dropped), ("one", []))
        self.assertEqual((self.course.under_way, self.clock.getDelayedCalls()), ([], []))

    def test_a_result_that_comes_all_the_same(self) -> None:
        """
        What an attempt leads to that could not be cancelled is dropped.
        """
        racing = self.begin({"a": [(0, "::1 ::2")]}, {"::1": (0.5, "one")})
        stubborn: Deferred[str] = Deferred()

        async def attempt(begun: Begun) -> str:
            try:
                return await stubborn
            except CancelledError:
                return "two"

        self.course.attempt = attempt  # type: ignore[method-assign]
        self.clock.pump([0.25, 0.25])
        self.assertEqual((self.successResultOf(racing), self.course.dropped), ("one", ["two"]))

    def test_all_fail(self) -> None:
        """
        It fails with the last, without waiting, and every attempt is told in the order of their beginning.
        """
        slow = HandshakeFailed("ex.com", "slow")
        answers: dict[str, list[Answer]] = {
            "a": [(0, "10.0.0.1 ::1")],
            "b": [(0, ResolutionFailed("", "no"))],
            "c": [(0, "::3")],
        }
        error = self.run_out(self.begin(answers, {"::1": (1, slow), "::3": (0.1, REFUSED)}))
        assert isinstance(error, ConnectionFailed)
        self.assertEqual(self.now, 1.0)
        told = [(one.target, one.address, one.phase) for one in error.attempts]
        expected = [
            ("a:8448", "10.0.0.1", "policy"),
            ("a:8448", "::1", "tls"),
            ("b:8448", None, "dns"),
            ("c:8448", "::3", "tcp"),
        ]
        self.assertEqual(told, expected)

    def test_at_once(self) -> None:
        """
        Attempts that fail while they are begun leave nothing behind.
        """
        error = self.run_out(self.begin({"a": [(0, "::1 ::2")]}, {"::1": (0, REFUSED), "::2": (0, REFUSED)}))
        assert isinstance(error, ConnectionFailed)
        self.assertEqual((self.now, len(error.attempts)), (0, 2))

    def test_the_last_lookup_fails(self) -> None:
        """
        When nothing else is under way, that is the end.
        """
        answers: dict[str, list[Answer]] = {"a": [(0, "::1")], "b": [(1, ResolutionFailed("", "no"))]}
        error = self.run_out(self.begin(answers, {"::1": (0.5, REFUSED)}))
        assert isinstance(error, ConnectionFailed)
        self.assertEqual(([one.phase for one in error.attempts], self.now), (["tcp", "dns"], 1.25))

    def test_the_deadline(self) -> None:
        """
        What is not finished is cancelled and told of, with how far it was.
        """
        answers: dict[str, list[Answer]] = {"a": [(0, "::1 ::2")], "b": [(NEVER, "")]}
        racing = self.begin(answers, {"::1": (1, REFUSED)})
        self.clock.advance(2)
        begun = self.race.begun[-2]
        assert isinstance(begun, Begun)
        begun.phase = "tls"
        error = self.run_out(racing)
        assert isinstance(error, TimedOut)
        told = [(one.target, one.address, one.phase, one.error.reason) for one in error.attempts]
        late = "not finished within 30 s"
        expected = [
            ("a:8448", "::1", "tcp", "refused"),
            ("a:8448", "::2", "tls", late),
            ("b:8448", None, "dns", late),
        ]
        self.assertEqual((told, error.seconds), (expected, 30))
        self.assertIn("a:8448 (::1) [tcp]: refused", error.reason)

    def test_an_exception_of_the_caller(self) -> None:
        """
        What is no failed attempt ends the whole.
        """
        ended = self.run_out(self.begin({"a": [(0, "::1 ::2")]}, {"::2": (0.1, LookupError())}))
        self.assertEqual((type(ended), self.now), (LookupError, 0.35))

    def test_a_lookup_that_crashes(self) -> None:
        """
        So does one in a lookup, whose sister is then not begun.
        """
        racing = self.begin({"a": [(0, CancelledError()), (NEVER, "")]})  # type: ignore[list-item]
        self.assertEqual((type(self.run_out(racing)), self.course.events), (CancelledError, ["0.00 a?"]))


class CancellingTests(RaceCase):
    """
    Who waits no longer.
    """

    def test_at_any_moment(self) -> None:
        """
        Lookups, attempts and timers end in the same moment.
        """
        answers: dict[str, list[Answer]] = {
            "a": [(0.3, "::1"), (0.1, "4.0.0.1")],
            "b": [(NEVER, ""), (NEVER, "")],
        }
        for hundredths in (0, 5, 12, 20, 35, 50, 70, 200):
            racing = self.begin(answers)
            self.clock.pump([0.01] * hundredths)
            racing.cancel()
            self.failureResultOf(racing, CancelledError)
            self.assertEqual((self.course.under_way, self.clock.getDelayedCalls()), ([], []), f"{hundredths}")

    def test_while_an_attempt_begins(self) -> None:
        """
        The attempt is cancelled that was not known yet.
        """
        racing = self.begin({"a": [(0.1, "::1")]})
        note = self.course.note

        def leave(what: str) -> None:
            note(what)
            racing.cancel()

        self.course.note = leave  # type: ignore[method-assign]
        self.clock.advance(0.1)
        self.failureResultOf(racing, CancelledError)
        self.assertEqual((self.course.under_way, self.course.events[-1]), ([], "0.10 ::1"))
