"""
What is due when, of many things that wait, with one timer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

W = TypeVar("W")

AT_ONCE = 16
PAUSE = 0.005
"""
How many are called in a row, and the seconds until the next: hundreds that are
due together are neither one long turn of the reactor nor one burst.
"""


class Timetable(Generic[W]):
    """
    Calls what waits when its time has come.

    Those that wait equally long are kept together, in the order in which they
    came, which is the order in which they are due: there are few delays, and
    neither to wait nor to wait no more takes longer for there being many.
    """

    def __init__(self, clock: IReactorTime, due: Callable[[W], object]) -> None:
        """
        @param due: called with what waits no more.
        """
        self._clock = clock
        self._due = due
        self._rows: dict[float, dict[W, float]] = {}
        self._delays: dict[W, float] = {}
        self._timer: IDelayedCall | None = None

    def put(self, item: W, delay: float) -> None:
        """
        Have something wait; it must not be waiting already.

        @param delay: in seconds.
        """
        when = self._clock.seconds() + delay
        self._delays[item] = delay
        self._rows.setdefault(delay, {})[item] = when
        self._set(when)

    def drop(self, item: W) -> None:
        """
        Have something wait no more, if it does.
        """
        delay = self._delays.pop(item, None)
        if delay is None:
            return
        del self._rows[delay][item]
        if not self._rows[delay]:
            del self._rows[delay]
        if not self._delays and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, when: float) -> None:
        """
        Have the timer run at some time, or before.
        """
        now = self._clock.seconds()
        if self._timer is None:
            self._timer = self._clock.callLater(max(0.0, when - now), self._run)
        elif when < self._timer.getTime():
            self._timer.reset(max(0.0, when - now))

    def _run(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for _ in range(AT_ONCE):
            when, item = self._first()
            if item is None or when > now:
                break
            self.drop(item)
            self._due(item)
        when, item = self._first()
        if item is not None:
            self._set(max(when, now + PAUSE))

    def _first(self) -> tuple[float, W | None]:
        """
        Find what is due first.
        """
        firsts = (next(iter(row.items())) for row in self._rows.values())
        item, when = min(firsts, key=lambda first: first[1], default=(None, 0.0))
        return when, item
