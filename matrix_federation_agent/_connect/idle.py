"""
Connections that wait for the next request.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

C = TypeVar("C")


class IdleConnections(Generic[C]):
    """
    Idle connections, in the order in which they became so; one timer for all
    of them.
    """

    def __init__(self, clock: IReactorTime, seconds: float, close: Callable[[C], object]) -> None:
        """
        @param seconds: how long a connection may be idle.
        @param close: closes one that was idle for so long.
        """
        self._clock = clock
        self._seconds = seconds
        self._close = close
        self._since: OrderedDict[C, float] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._since)

    def add(self, connection: C) -> None:
        """
        Keep a connection from now on, unless it is kept already.
        """
        self._since.setdefault(connection, self._clock.seconds())
        # It is not stopped when a connection is used again, which would cost
        # each request more than a look every now and then.
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._look)

    def discard(self, connection: C) -> None:
        """
        Keep a connection no longer: it is in use, or gone.
        """
        self._since.pop(connection, None)

    @property
    def oldest(self) -> C | None:
        """
        The connection that has been idle for longest.
        """
        return next(iter(self._since), None)

    def stop(self) -> None:
        """
        End the timer.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """
        Close what was idle for too long, and look again when the next one may
        be.
        """
        self._timer = None
        now = self._clock.seconds()
        while (oldest := self.oldest) is not None and self._since[oldest] + self._seconds <= now:
            self.discard(oldest)
            self._close(oldest)
        # One that became idle meanwhile may have set it.
        if oldest is not None and self._timer is None:
            self._timer = self._clock.callLater(self._since[oldest] + self._seconds - now, self._look)
