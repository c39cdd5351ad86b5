"""
One lazy timer for whatever may be late on a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


@attrs.frozen
class Deadline:
    """
    Until when something has to happen.

    @ivar when: in the clock's seconds.
    @ivar seconds: the limit.
    @ivar reason: what is wrong otherwise; the limit follows it.
    """

    when: float
    seconds: float
    reason: str


class Watch:
    """
    Looks whether something is late.

    Its timer is neither moved with every byte nor stopped with every
    response: it looks again when there is something to wait for, and may
    fire once when there is nothing any more.
    """

    def __init__(
        self, clock: IReactorTime, deadline: Callable[[], Deadline | None], late: Callable[[Deadline], object]
    ) -> None:
        """
        @param deadline: tells what has to happen next, or L{None}.
        @param late: is told that it did not.
        """
        self._clock = clock
        self._deadline = deadline
        self._late = late
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """
        Have an eye on it from now on, if there is anything.
        """
        if self._timer is None:
            deadline = self._deadline()
            if deadline is not None:
                self._timer = self._clock.callLater(max(0.0, deadline.when - self._clock.seconds()), self._look)

    def _look(self) -> None:
        self._timer = None
        deadline = self._deadline()
        if deadline is not None and self._clock.seconds() >= deadline.when:
            self._late(deadline)
        else:
            self.begin()

    def stop(self) -> None:
        """
        Leave no timer behind.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
