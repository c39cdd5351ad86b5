"""
Tests of C{matrix_federation_agent._deadlines}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from matrix_federation_agent._deadlines import within

from .case import TestCase


class LateError(Exception):
    """The work took longer than some seconds."""


class WithinTests(TestCase):
    """L{within}, with a limit of ten seconds."""

    def setUp(self) -> None:
        """Start work that ends when the test says so."""
        super().setUp()
        self.clock = Clock()
        self.cancelled: list[Deferred[str]] = []
        self.work: Deferred[str] = Deferred(self.cancelled.append)
        self.result = self.limited(self.work)

    def limited(self, work: Deferred[str]) -> Deferred[str]:
        """Limit some work to ten seconds."""
        return Deferred.fromCoroutine(within(self.clock, 10.0, work, LateError))

    def test_work_in_time_has_its_result(self) -> None:
        """What is done within the limit is handed on."""
        self.clock.advance(9.9)
        self.work.callback("done")
        self.assertEqual(self.successResultOf(self.result), "done")

    def test_work_that_fails_in_time_has_its_error(self) -> None:
        """An error within the limit is not taken for lateness."""
        error = ZeroDivisionError()
        self.work.errback(error)
        self.assertIs(self.failureResultOf(self.result, ZeroDivisionError).value, error)

    def test_work_is_given_all_its_time(self) -> None:
        """Nothing happens before the limit."""
        self.clock.advance(9.9)
        self.assertNoResult(self.result)

    def test_late_work_fails_with_the_limit(self) -> None:
        """The error is made of the limit, in seconds."""
        self.clock.advance(10)
        self.assertEqual(self.failureResultOf(self.result, LateError).value.args, (10.0,))

    def test_late_work_is_cancelled(self) -> None:
        """What is late does not go on."""
        self.clock.advance(10)
        self.failureResultOf(self.result, LateError)
        self.assertEqual(self.cancelled, [self.work])

    def test_late_work_that_finishes_all_the_same_counts(self) -> None:
        """Work whose cancelling brings a result has that result."""
        result = self.limited(Deferred(lambda work: work.callback("just now")))
        self.clock.advance(10)
        self.assertEqual(self.successResultOf(result), "just now")
        self.failureResultOf(self.result, LateError)

    def test_cancelling_is_not_lateness(self) -> None:
        """A caller that gives up sees its own C{CancelledError}."""
        self.result.cancel()
        self.failureResultOf(self.result, CancelledError)
        self.assertEqual(self.cancelled, [self.work])

    def test_no_timer_is_left(self) -> None:
        """Whether work succeeds, fails, is late or is cancelled: its timer is gone."""
        deferreds: list[Deferred[str]] = [Deferred() for _ in range(3)]
        results = [self.result, *map(self.limited, deferreds)]
        deferreds[0].callback("done")
        deferreds[1].errback(ZeroDivisionError())
        results[3].cancel()
        left = len(self.clock.getDelayedCalls())
        self.clock.advance(10)
        for result in (results[0], results[2], results[3]):
            self.failureResultOf(result)
        self.assertEqual((left, self.clock.getDelayedCalls()), (1, []))

    def test_coroutines_are_work_as_well(self) -> None:
        """A coroutine is started, and cancelled when it is late."""

        cancelled: list[Deferred[None]] = []
        work: Deferred[None] = Deferred(cancelled.append)

        async def wait() -> None:
            await work

        result = Deferred.fromCoroutine(within(self.clock, 3.0, wait(), LateError))
        self.clock.advance(3)
        self.failureResultOf(result, LateError)
        self.assertEqual(cancelled, [work])
