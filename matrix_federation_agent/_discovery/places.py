"""
Room for a bounded number of lookups, in which dead ones do not keep the
living waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._free = places
        self._handing_on = False
        self._limit = limit
        self._share = min(share, limit)
        self._late = late
        # In the order in which they came.
        self._waiting: dict[Deferred[None], None] = {}
        # When each began; in that order.
        self._under_way: dict[Deferred[Any], float] = {}
        self._timer: IDelayedCall | None = None

    async def do(self, work: Callable[[], Deferred[T]]) -> T:
        """
        Do a piece of work when it is its turn.

        @param work: begins it; it is ended by cancelling its Deferred.
        """
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._turn()
        try:
            return await self._in_time(work())
        finally:
            self._leave()

    async def _turn(self) -> None:
        """
        Wait for a place.
        """
        turn: Deferred[None] = Deferred(lambda _: self._waiting.pop(turn))
        self._waiting[turn] = None
        self._end_late()
        try:
            await turn
        finally:
            self._watch()

    def _leave(self) -> None:
        """
        Hand a place on.  Whoever does so already hands this one on as well: if
        the next began within the end of the one before, and ended at once, for
        want of a network perhaps, the stack would have no room for many.
        """
        self._free += 1
        if self._handing_on:
            return
        self._handing_on = True
        while self._free and self._waiting:
            turn = next(iter(self._waiting))
            del self._waiting[turn]
            self._free -= 1
            turn.callback(None)
        self._handing_on = False

    async def _in_time(self, running: Deferred[T]) -> T:
        began = self._clock.seconds()
        self._under_way[running] = began
        self._watch()
        try:
            return await running
        except Exception:
            # Who is no more among those under way was ended; an outcome that
            # it has all the same counts.
            if running in self._under_way:
                raise
            raise self._late(min(self._clock.seconds() - began, self._limit)) from None
        finally:
            self._under_way.pop(running, None)
            self._watch()

    def _end_late(self) -> None:
        """
        End what is over its limit; and what has had its share of time, as many
        as there are who wait.
        """
        now, waiting = self._clock.seconds(), len(self._waiting)
        for number, (running, began) in enumerate(list(self._under_way.items())):
            if now < began + (self._share if number < waiting else self._limit):
                break
            if self._under_way.pop(running, None) is not None:
                running.cancel()
        self._watch()

    def _watch(self) -> None:
        """
        Look again when the oldest will have had its time, or before: one timer
        serves all that begin meanwhile.
        """
        oldest = next(iter(self._under_way.values()), None)
        if oldest is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        due = oldest + (self._share if self._waiting else self._limit)
        if self._timer is None or due < self._timer.getTime():
            delay = max(0.0, due - self._clock.seconds())
            if self._timer is None:
                self._timer = self._clock.callLater(delay, self._look)
            else:
                self._timer.reset(delay)

    def _look(self) -> None:
        self._timer = None
        self._end_late()
