"""
One piece of work for many callers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

T = TypeVar("T")


@attrs.define(eq=False)
class _Work(Generic[T]):
    """
    Work under way, and who waits for it, in the order in which they came.
    """

    running: Deferred[Any] | None = None
    waiting: dict[Deferred[T], None] = attrs.field(factory=dict)
    background: bool = False

    @property
    def abandoned(self) -> bool:
        """
        Whether nobody wants the result any more.
        """
        return not self.waiting and not self.background


class SharedWork(Generic[T]):
    """
    Runs at most one coroutine for a key at a time.

    Cancelling one caller, the first too, leaves the others served; when all
    have gone, the work is cancelled, unless it was started in the background.
    """

    def __init__(self, start: Callable[[str], Coroutine[Deferred[Any], Any, T]]) -> None:
        """
        @param start: makes the coroutine that does the work for a key.
        """
        self._start = start
        self._works: dict[str, _Work[T]] = {}

    def is_under_way(self, key: str) -> bool:
        """
        Whether a caller would join work of somebody else.
        """
        return key in self._works

    def join(self, key: str) -> Deferred[T]:
        """
        Wait for the work on a key, which begins if it is not under way.
        """
        work: _Work[T] = self._works.get(key) or _Work()
        mine: Deferred[T] = Deferred(lambda _: self._leave(key, work, mine))
        # Registered before the work begins, because it may end at once.
        work.waiting[mine] = None
        if key not in self._works:
            self._begin(key, work)
        return mine

    def kick(self, key: str) -> None:
        """
        Have the work on a key done in the background.
        """
        work = self._works.get(key)
        if work is not None:
            work.background = True
        else:
            self._begin(key, _Work(background=True))

    def cancel(self) -> None:
        """
        End all work; who waits for it is cancelled.
        """
        for work in list(self._works.values()):
            if work.running is not None:
                work.running.cancel()

    def _begin(self, key: str, work: _Work[T]) -> None:
        """
        Start the work.
        """
        self._works[key] = work
        work.running = Deferred.fromCoroutine(self._start(key))
        work.running.addBoth(lambda result: self._end(key, work, result))

    def _end(self, key: str, work: _Work[T], result: T | Failure) -> None:
        """
        Hand the outcome to everybody who still waits.
        """
        if self._works.get(key) is work:
            del self._works[key]
        waiting, work.waiting = work.waiting, {}
        for one in waiting:
            # Whoever was told before may have cancelled this one.
            if not one.called:
                one.callback(result)  # A Failure makes it fail.
        if isinstance(result, Failure) and not waiting and not result.check(CancelledError):
            _log.failure("work in the background failed", failure=result)

    def _leave(self, key: str, work: _Work[T], mine: Deferred[T]) -> None:
        """
        A caller gave up.  Work that nobody wants any more is stopped; whoever
        asks from now on begins anew.
        """
        work.waiting.pop(mine, None)
        if work.abandoned and self._works.get(key) is work:
            del self._works[key]
            if work.running is not None:
                work.running.cancel()
