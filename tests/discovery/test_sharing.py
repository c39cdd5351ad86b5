"""
Tests of C{matrix_federation_agent._discovery.sharing}.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from matrix_federation_agent._discovery.sharing import SharedWork

from ..case import TestCase
from .kit import ManualWork


def ends_of(deferred: Deferred[Any]) -> list[object]:
    """Watch what becomes of a Deferred: its result, or the class of its failure."""
    ends: list[object] = []
    deferred.addCallbacks(ends.append, lambda failure: ends.append(failure.type))
    return ends


def note(told: list[Deferred[Any]], who: Deferred[Any], result: object) -> None:
    """Be told."""
    told.append(who)


def cancel(other: Deferred[Any], result: object) -> None:
    """Be told, and cancel another."""
    other.cancel()


class SharedWorkTests(TestCase):
    """L{SharedWork}."""

    def setUp(self) -> None:
        """Have work that ends when the test says so."""
        super().setUp()
        self.work = ManualWork()
        self.shared = SharedWork(self.work.do)

    def callers(self, number: int, key: str = "a") -> tuple[list[Deferred[Any]], list[list[object]]]:
        """Have some callers wait for one key, and watch them."""
        waiting = [self.shared.join(key) for _ in range(number)]
        return waiting, [ends_of(one) for one in waiting]

    def test_c14_one_piece_of_work_for_many(self) -> None:
        """A thousand callers cause one piece of work, and all have its result."""
        _, ends = self.callers(1000)
        self.work.end("a", 7)
        self.assertEqual((self.work.begun, ends), (["a"], [[7]] * 1000))

    def test_c14_callers_are_served_in_order(self) -> None:
        """Who came first is told first."""
        waiting, _ = self.callers(100)
        told: list[Deferred[Any]] = []
        for one in waiting:
            one.addCallback(partial(note, told, one))
        self.work.end("a", 7)
        self.assertEqual(told, waiting)

    def test_nobody_is_served_before_the_end(self) -> None:
        """As long as the work is under way, callers wait."""
        _, ends = self.callers(2)
        self.assertEqual(ends, [[], []])

    def test_keys_do_not_share(self) -> None:
        """Work on one key is not work on another."""
        (_, first), (_, second) = self.callers(1), self.callers(1, "b")
        self.work.end("b", 7)
        self.assertEqual((self.work.begun, first, second), (["a", "b"], [[]], [[7]]))

    def test_work_that_has_ended_is_not_shared(self) -> None:
        """Who comes afterwards has new work done."""
        self.callers(1)
        self.work.end("a", 7)
        _, ends = self.callers(1)
        self.work.end("a", 8)
        self.assertEqual((self.work.begun, ends), (["a", "a"], [[8]]))

    def test_work_that_ends_at_once(self) -> None:
        """A coroutine that awaits nothing has its result returned, and leaves nothing under way."""

        async def at_once(key: str) -> str:
            return key

        shared = SharedWork(at_once)
        results = [self.successResultOf(shared.join("a")) for _ in range(2)]
        self.assertEqual((results, shared.is_under_way("a")), (["a", "a"], False))

    def test_work_that_fails_at_once(self) -> None:
        """A coroutine that only raises fails its caller."""

        async def fails(key: str) -> None:
            raise ZeroDivisionError

        self.failureResultOf(SharedWork(fails).join("a"), ZeroDivisionError)

    def test_the_first_caller_may_leave(self) -> None:
        """Cancelling the one who began it stops neither the work nor the others."""
        waiting, ends = self.callers(3)
        waiting[0].cancel()
        self.work.end("a", 7)
        self.assertEqual((ends, self.work.cancelled), ([[CancelledError], [7], [7]], []))

    def test_the_last_caller_stops_the_work(self) -> None:
        """When all have gone, the work is cancelled, and not before."""
        waiting, _ = self.callers(3)
        cancelled = []
        for one in waiting:
            one.cancel()
            cancelled.append(list(self.work.cancelled))
        self.assertEqual(cancelled, [[], [], ["a"]])

    def test_work_that_nobody_wants_is_not_joined(self) -> None:
        """After the last caller has gone, the next begins anew."""
        waiting, _ = self.callers(1)
        waiting[0].cancel()
        _, ends = self.callers(1)
        self.work.end("a", 8)
        self.assertEqual((self.work.begun, ends), (["a", "a"], [[8]]))

    def test_a_new_beginning_is_not_ended_by_the_old(self) -> None:
        """Work that takes its time to be cancelled does not answer for its successor."""
        ending: list[Deferred[int]] = [Deferred(lambda _: None), Deferred()]
        remaining = iter(ending)

        async def stubborn(key: str) -> int:
            try:
                return await next(remaining)
            except CancelledError:
                return await later

        later: Deferred[int] = Deferred()
        shared = SharedWork(stubborn)
        shared.join("a").addErrback(lambda failure: failure.trap(CancelledError)).cancel()
        ends = ends_of(shared.join("a"))
        later.callback(1)
        self.assertEqual((ends, shared.is_under_way("a")), ([], True))

    def test_a_failure_reaches_all(self) -> None:
        """Work that fails fails for everybody who waits."""
        _, ends = self.callers(3)
        self.work.end("a", ZeroDivisionError())
        self.assertEqual(ends, [[ZeroDivisionError]] * 3)

    def test_background_work_needs_no_caller(self) -> None:
        """It is done once, however often it is asked for."""
        self.shared.kick("a")
        self.shared.kick("a")
        self.assertEqual((self.work.begun, self.shared.is_under_way("a")), (["a"], True))

    def test_background_work_can_be_joined(self) -> None:
        """Who needs what is done in the background waits for just that."""
        self.shared.kick("a")
        _, ends = self.callers(1)
        self.work.end("a", 7)
        self.assertEqual((self.work.begun, ends), (["a"], [[7]]))

    def test_background_work_survives_its_callers(self) -> None:
        """It goes on when who joined it has left, whoever came first."""
        for key, begin in (("a", self.shared.kick), ("b", lambda key: None)):
            begin(key)
            (one,), _ = self.callers(1, key)
            self.shared.kick(key)
            one.cancel()
        self.assertEqual((self.work.begun, self.work.cancelled), (["a", "b"], []))

    def test_background_failures_are_logged(self) -> None:
        """A failure that reaches nobody is in the log."""
        self.shared.kick("a")
        self.work.end("a", ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failures_that_reach_somebody_are_not_logged(self) -> None:
        """A failure belongs to whoever waits."""
        self.shared.kick("a")
        self.callers(1)
        self.work.end("a", ZeroDivisionError())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancelling_everything(self) -> None:
        """All work stops, that in the background too; who waits is cancelled; nothing is logged."""
        _, ends = self.callers(2)
        self.shared.kick("b")
        self.shared.cancel()
        found = self.work.cancelled, ends, self.flushLoggedErrors()
        self.assertEqual(found, (["a", "b"], [[CancelledError]] * 2, []))

    def test_one_caller_may_cancel_another_when_served(self) -> None:
        """Who is told first may cancel the others: they are cancelled, and the rest is served."""
        for result, expected in ((7, 7), (ZeroDivisionError(), ZeroDivisionError)):
            waiting = [self.shared.join("a") for _ in range(3)]
            waiting[0].addBoth(partial(cancel, waiting[1]))
            ends = [ends_of(one) for one in waiting[1:]]
            self.work.end("a", result)
            self.assertEqual(ends, [[CancelledError], [expected]], repr(result))

    def test_one_caller_may_ask_again_when_served(self) -> None:
        """Who is told may begin new work on the key, which cancelling others of the old leaves alone."""
        (first, second), ends = self.callers(2)
        again: list[Deferred[Any]] = []
        first.addCallback(lambda _: again.append(self.shared.join("a")))
        first.addCallback(lambda _: second.cancel())
        self.work.end("a", 7)
        found = self.shared.is_under_way("a"), ends[1], self.work.cancelled
        self.work.end("a", 8)
        self.assertEqual((*found, ends_of(again[0])), (True, [CancelledError], [], [8]))

    def test_a_caller_that_raises_harms_nobody(self) -> None:
        """What callers do with the result is their own affair."""
        waiting = [self.shared.join("a") for _ in range(2)]
        waiting[0].addCallback(lambda _: 1 / 0)
        ends = ends_of(waiting[1])
        self.work.end("a", 7)
        self.failureResultOf(waiting[0], ZeroDivisionError)
        self.assertEqual(ends, [7])
