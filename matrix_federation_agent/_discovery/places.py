"""
Room for a bounded number of lookups, in which dead ones do not keep the
living waiting.
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from .._deadlines import within

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")


class Places:
    """
    Lets a bounded number of pieces of work be under way, each for a limited
    time; others wait in order, and their time begins with their turn.

    While somebody waits, the work that has been under way for longest has to
    end as soon as it has had its share of time.  What will never end would
    otherwise hold up everything that ends in a moment (Unbound does so by its
    C{jostle-timeout}).
    """

    def __init__(
        self, clock: IReactorTime, places: int, limit: float, share: float, late: Callable[[float], Exception]
    ) -> None:
        """
        @param limit: seconds after which a piece of work is ended.
        @param share: seconds after which it is ended while others wait.
        @param late: makes the error to raise, of how many seconds it took.
        """
        self._clock = clock
        self._places = DeferredSemaphore(places)
        self._limit = limit
        self._share = share
        self._late = late
        self._waiting = 0
        # When each began; in that order.
        self._under_way: dict[Deferred[Any], float] = {}
        self._look_again: IDelayedCall | None = None

    async def do(self, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
        """
        Do a piece of work when it is its turn.

        @param work: begins it.
        """
        await self._turn()
        try:
            return await within(self._clock, self._limit, self._begin(work()), self._late)
        finally:
            self._places.release()

    async def _turn(self) -> None:
        """
        Wait for a place.
        """
        turn = self._places.acquire()
        if turn.called:
            return
        self._waiting += 1
        try:
            self._make_room()
            await turn
        finally:
            self._waiting -= 1
            self._rest()

    def _begin(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        began = self._clock.seconds()
        running = Deferred.fromCoroutine(work)
        self._under_way[running] = began

        def ended(result: T | Failure) -> T | Failure:
            # Who is no more among those under way was ended for others' sake;
            # an outcome that it has all the same counts.
            if self._under_way.pop(running, None) is None and isinstance(result, Failure):
                raise self._late(self._clock.seconds() - began)
            return result

        return running.addBoth(ended)

    def _make_room(self) -> None:
        """
        End what has had its share of time, as many as there are who wait.
        """
        now = self._clock.seconds()
        had = takewhile(lambda work: now >= work[1] + self._share, list(self._under_way.items()))
        for running, _ in islice(had, self._waiting):
            if self._under_way.pop(running, None) is not None:
                running.cancel()
        self._rest()

    def _rest(self) -> None:
        """
        While somebody waits, look again when the next will have had its share;
        else no more.
        """
        if self._waiting and self._under_way:
            if self._look_again is None:
                due = next(iter(self._under_way.values())) + self._share - self._clock.seconds()
                self._look_again = self._clock.callLater(max(0.0, due), self._look)
        elif self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None

    def _look(self) -> None:
        self._look_again = None
        self._make_room()
