"""
One thread, and what waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from .._deadlines import shielded
from .._reactor import IReactor

T = TypeVar("T")

_AT_ONCE = 1000


@attrs.frozen(eq=False)
class _Task:
    """
    Something to do in the thread.

    @ivar waiting: who wants the result; nobody, once it was cancelled.
    """

    work: Callable[[], Any]
    waiting: Deferred[Any] = attrs.field(factory=Deferred)

    def attempt(self) -> Any:
        """
        Do it, in the thread, if it is still wanted.
        """
        if self.waiting.called:
            return None
        try:
            return self.work()
        except Exception:  # noqa: BLE001 (handed to who waits)
            return Failure()

    def tell(self, outcome: Any) -> None:
        """
        Hand over the outcome.
        """
        if not self.waiting.called:
            self.waiting.callback(outcome)  # A Failure makes it fail.


@attrs.define(eq=False)
class WorkThread:
    """
    Does work in a thread, in order.  Changing between threads costs more than
    most of the work: whatever came meanwhile goes there together.
    """

    _reactor: IReactor
    _name: str
    _pool: ThreadPool | None = None
    _tasks: deque[_Task] = attrs.field(factory=deque)
    _working: Deferred[None] | None = None

    def do(self, work: Callable[[], T]) -> Deferred[T]:
        """
        Do something in the thread.  What is cancelled before its turn is not
        done.
        """
        task = _Task(work)
        self._tasks.append(task)
        if self._working is None:
            working = self._working = Deferred.fromCoroutine(self._work())
            working.addBoth(self._rest)
        return task.waiting

    async def _work(self) -> None:
        if self._pool is None:
            self._pool = ThreadPool(0, 1, name=self._name)
            self._pool.start()
        while self._tasks:
            batch = [self._tasks.popleft() for _ in range(min(len(self._tasks), _AT_ONCE))]
            outcomes = await deferToThreadPool(self._reactor, self._pool, _attempt_all, batch)
            for task, outcome in zip(batch, outcomes, strict=True):
                task.tell(outcome)

    def _rest(self, result: None) -> None:
        self._working = None

    async def stop(self) -> None:
        """
        Finish what is under way and end the thread.
        """
        if self._working is not None:
            await shielded(self._working)
        pool, self._pool = self._pool, None
        if pool is not None:
            # It is idle, so that this does not block.
            pool.stop()


def _attempt_all(batch: list[_Task]) -> list[Any]:
    return [task.attempt() for task in batch]
