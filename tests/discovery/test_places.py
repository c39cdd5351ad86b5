"""
Tests of C{matrix_federation_agent._discovery.places}.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from matrix_federation_agent._discovery.places import Places
from matrix_federation_agent.errors import TimedOut

from ..case import TestCase
from .kit import ManualWork, let_go


class StrictClock(Clock):
    """A clock that is as strict as a reactor."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        """Refuse what lies in the past."""
        if delay < 0:
            raise ValueError(delay)
        return super().callLater(delay, callable, *args, **kw)


class PlacesTests(TestCase):
    """L{Places}, two of them: for ten seconds each, of which three are each one's share."""

    def setUp(self) -> None:
        """Have work that ends when the test says so."""
        super().setUp()
        self.clock = StrictClock()
        self.work = ManualWork()
        self.places = Places(self.clock, 2, 10, 3, lambda seconds: TimedOut("", "late", seconds=seconds))

    def do(self, names: str) -> list[Deferred[Any]]:
        """Have work of some names done."""
        done = [self.done(partial(self.work.do, name)) for name in names]
        for one in done:
            self.addCleanup(let_go, one)
        return done

    def done(self, work: Callable[[], Coroutine[Deferred[Any], Any, Any]]) -> Deferred[Any]:
        """Have one piece of work done."""
        return Deferred.fromCoroutine(self.places.do(lambda: Deferred.fromCoroutine(work())))

    def seconds(self, done: Deferred[Any]) -> float:
        """Tell after how many seconds work was ended."""
        error = self.failureResultOf(done, TimedOut).value
        assert isinstance(error, TimedOut)
        return error.seconds

    def test_work_has_its_outcome(self) -> None:
        """What it brings or raises is what its caller has."""
        first, second = self.do("ab")
        self.work.end("a", "done")
        self.work.end("b", ZeroDivisionError())
        self.failureResultOf(second, ZeroDivisionError)
        self.assertEqual((self.successResultOf(first), self.clock.getDelayedCalls()), ("done", []))

    def test_many_that_end_at_once(self) -> None:
        """However many wait, that each ends as soon as it begins takes no more of the stack than one."""
        self.do("ab")
        done = [Deferred.fromCoroutine(self.places.do(lambda: succeed("done"))) for _ in range(2000)]
        self.work.end("a", None)
        self.assertEqual({self.successResultOf(one) for one in done}, {"done"})

    def test_others_wait_in_order(self) -> None:
        """Whenever one ends, the one that has waited longest begins."""
        self.do("abcd")
        begun = ["".join(self.work.begun)]
        for name in "ba":
            self.work.end(name, None)
            begun.append("".join(self.work.begun))
        self.assertEqual(begun, ["ab", "abc", "abcd"])

    def test_while_nobody_waits_the_limit_counts(self) -> None:
        """Work may take ten seconds, not more; then it is cancelled."""
        (done,) = self.do("a")
        self.clock.advance(9.9)
        self.assertNoResult(done)
        self.clock.advance(0.1)
        self.assertEqual((self.seconds(done), self.work.cancelled), (10, ["a"]))

    def test_while_somebody_waits_the_share_counts(self) -> None:
        """The oldest is ended when it has had its share, for the first who waits; no more than are waited for."""
        first, second, _ = self.do("abc")
        self.clock.advance(2.9)
        self.assertNoResult(first)
        self.clock.advance(0.1)
        self.assertEqual((self.seconds(first), self.work.cancelled, self.work.begun), (3, ["a"], ["a", "b", "c"]))
        self.assertNoResult(second)

    def test_who_comes_later_finds_room_at_once(self) -> None:
        """What has had its share already is ended the moment that somebody has to wait."""
        first, *_ = self.do("ab")
        self.clock.advance(7)
        self.do("c")
        self.assertEqual((self.seconds(first), self.work.begun), (7, ["a", "b", "c"]))

    def test_who_finds_a_place_ends_nobody(self) -> None:
        """While there is room, work may take its time."""
        (first,) = self.do("a")
        self.clock.advance(7)
        self.do("b")
        self.assertNoResult(first)

    def test_many_who_wait_have_their_turns(self) -> None:
        """Two of those that will never end leave every three seconds."""
        self.do("abcdefg")
        begun = []
        for _ in range(3):
            self.clock.advance(3)
            begun.append("".join(self.work.begun))
        self.assertEqual(begun, ["abcd", "abcdef", "abcdefg"])

    def test_the_limit_begins_with_the_turn(self) -> None:
        """Time spent waiting is not counted."""
        *_, third = self.do("abc")
        self.clock.advance(3)
        self.clock.advance(9.9)
        self.assertNoResult(third)
        self.clock.advance(0.1)
        self.assertEqual(self.seconds(third), 10)

    def test_an_outcome_in_spite_of_being_ended_counts(self) -> None:
        """Work that finishes when it is cancelled has brought something."""

        async def stubborn() -> str:
            try:
                await Deferred()
            except CancelledError:
                return "done"
            return ""

        done = self.done(stubborn)
        self.do("bc")
        self.clock.advance(3)
        self.assertEqual(self.successResultOf(done), "done")

    def test_who_leaves_the_queue_leaves_nothing(self) -> None:
        """When nobody waits any more, nobody is ended for others' sake."""
        *_, waiting = self.do("abc")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.clock.advance(9.9)
        self.assertEqual((self.work.begun, self.work.cancelled), (["a", "b"], []))

    def test_cancelled_work_frees_its_place(self) -> None:
        """Its caller sees C{CancelledError}, and the next begins."""
        first, *_ = self.do("abc")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual((self.work.begun, self.work.cancelled), (["a", "b", "c"], ["a"]))

    def test_one_timer_serves_all(self) -> None:
        """However much is under way, and whenever it began."""
        for name in "ab":
            self.do(name)
            self.clock.advance(1)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [10])

    def test_nothing_is_left(self) -> None:
        """When all have ended, no timer is."""
        for one in self.do("abcd"):
            one.addErrback(lambda _: None).cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
