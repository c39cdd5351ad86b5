"""
One lazy timer for whatever may be late on a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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


class Watched(Protocol):
    """
    What may be late.
    """

    def deadline(self) -> Deadline | None:
        """
        Tell what has to happen next.
        """

    def give_up(self, deadline: Deadline) -> None:
        """
        Learn that it did not.
        """


class Watch:
    """
    Looks whether something is late.

    Its timer is neither moved with every byte nor stopped with every
    response: it looks again when there is something to wait for, and may
    fire once when there is nothing any more.
    """

    def __init__(self, clock: IReactorTime, watched: Watched) -> None:
        self._clock = clock
        self._watched: Watched | None = watched
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """
        Have an eye on it from now on, if there is anything.
        """
        if self._timer is None and self._watched is not None:
            deadline = self._watched.deadline()
            if deadline is not None:
                self._timer = self._clock.callLater(max(0.0, deadline.when - self._clock.seconds()), self._look)

    def hasten(self) -> None:
        """
        Have an eye on it, and look no later than what has to happen next.
        """
        timer = self._timer
        if timer is not None and self._watched is not None:
            deadline = self._watched.deadline()
            if deadline is not None and deadline.when < timer.getTime():
                self.stop()
        self.begin()

    def _look(self) -> None:
        self._timer = None
        assert self._watched is not None  # noqa: S101 (for types: who ends the watch stops its timer)
        deadline = self._watched.deadline()
        if deadline is not None and self._clock.seconds() >= deadline.when:
            self._watched.give_up(deadline)
        else:
            self.begin()

    def stop(self) -> None:
        """
        Leave no timer behind.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def end(self) -> None:
        """
        Stop for good, and leave no cycle for the garbage collector either.
        """
        self.stop()
        self._watched = None
