"""
Tests of C{matrix_federation_agent._descriptors}.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectBindError
from twisted.internet.task import Clock

from matrix_federation_agent._descriptors import once_there_are_descriptors, run_out

from .case import TestCase


def caused_by(cause: Exception) -> Exception:
    """Make an error that has a cause."""
    error = ValueError()
    error.__cause__ = cause
    return error


FULL = OSError(errno.EMFILE, "Too many open files")

ERRORS = [
    (FULL, True),
    (OSError(errno.ENFILE, "Too many open files in system"), True),
    (CannotListenError("", 0, FULL), True),
    (ConnectBindError(errno.EMFILE, "Too many open files"), True),
    (caused_by(FULL), True),
    (caused_by(caused_by(FULL)), True),
    (OSError(errno.EACCES, "Permission denied"), False),
    (CannotListenError("", 0, OSError(errno.EADDRINUSE, "Address already in use")), False),
    (ConnectBindError(errno.EADDRNOTAVAIL, ""), False),
    (OSError(), False),
    (ValueError(), False),
    (caused_by(ValueError()), False),
]


class RunOutTests(TestCase):
    """L{run_out}."""

    def test_which_errors_mean_it(self) -> None:
        """The process's limit and the system's, in whatever form they come, and nothing else."""
        self.assertEqual([run_out(error) for error, _ in ERRORS], [expected for _, expected in ERRORS])


class WaitingTests(TestCase):
    """L{once_there_are_descriptors}, with attempts whose outcomes are the test's."""

    def begin(self, *outcomes: Deferred[str]) -> Deferred[str]:
        """Begin, at second 0."""
        self.clock = Clock()
        self.attempts: list[float] = []
        left: Iterator[Deferred[str]] = iter(outcomes)

        def attempt() -> Deferred[str]:
            self.attempts.append(self.clock.seconds())
            return next(left)

        return Deferred.fromCoroutine(once_there_are_descriptors(self.clock, attempt))

    def test_what_succeeds_is_done_once(self) -> None:
        """It is done at once, and nothing is left in the reactor."""
        self.assertEqual(self.successResultOf(self.begin(succeed("a"))), "a")
        self.assertEqual((self.attempts, self.clock.getDelayedCalls()), ([0], []))

    def test_pauses_double_up_to_a_second(self) -> None:
        """The first is 50 milliseconds; none is longer than a second."""
        waiting = self.begin(*[fail(FULL) for _ in range(7)], succeed("a"))
        while not waiting.called:
            (pause,) = self.clock.getDelayedCalls()
            self.clock.advance(pause.getTime() - self.clock.seconds())
        expected = [0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55, 3.55]
        self.assertEqual(([round(one, 2) for one in self.attempts], self.successResultOf(waiting)), (expected, "a"))

    def test_other_errors_are_not_waited_for(self) -> None:
        """They come through at once."""
        self.failureResultOf(self.begin(fail(ValueError())), ValueError)
        self.assertEqual(self.attempts, [0])

    def test_cancelling_ends_the_waiting(self) -> None:
        """No timer is left, and nothing is tried again."""
        waiting = self.begin(fail(FULL))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual((self.attempts, self.clock.getDelayedCalls()), ([0], []))
