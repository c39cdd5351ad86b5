"""
Time limits on what is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")


async def within(
    clock: IReactorTime,
    seconds: float,
    work: Coroutine[Deferred[Any], Any, T] | Deferred[T],
    error: Callable[[float], Exception],
) -> T:
    """
    Await some work, but not for longer than a limit; work that is late is
    cancelled.

    @param error: makes the error to raise, of the limit in seconds.
    """
    deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)

    def late(result: Failure | T, limit: float) -> Failure | T:
        # Work that was finished all the same counts; whatever it fails with
        # comes from being cancelled.
        if isinstance(result, Failure):
            raise error(limit)
        return result

    return await deferred.addTimeout(seconds, clock, late)


async def gathered(work: list[Coroutine[Deferred[Any], Any, T]]) -> list[T]:
    """
    Await several pieces of work side by side.  When one fails, or the caller
    is cancelled, all are cancelled.
    """
    running = [Deferred.fromCoroutine(one) for one in work]
    together = gatherResults(running, consumeErrors=True)
    try:
        return await together
    except FirstError as error:
        for one in running:
            one.cancel()
        error.subFailure.raiseException()
        raise


def shielded(work: Deferred[T]) -> Deferred[T]:
    """
    Wait for work that goes on when the waiting is cancelled.
    """
    waiting: Deferred[T] = Deferred()

    def ended(result: T | Failure) -> None:
        if not waiting.called:
            waiting.callback(result)  # A Failure makes it fail.

    work.addBoth(ended)
    return waiting
