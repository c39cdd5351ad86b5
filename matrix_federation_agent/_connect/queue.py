"""
Requests that wait for a connection, in order.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from ..errors import FederationError, TimedOut
from .lane import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from .._http.connection import HTTPConnection
    from .._policies import ConnectionPolicy
    from .destination import Destination
    from .lane import Lane
    from .slots import Slots


class Queue:
    """
    The requests that wait, each in the lane of its destination.
    """

    def __init__(self, clock: IReactorTime, policy: ConnectionPolicy, slots: Slots, late: Callable[[], object]) -> None:
        """
        @param late: is called when a request has waited for too long.
        """
        self._clock = clock
        self._policy = policy
        self._slots = slots
        self._late = late
        self._numbers = count()

    def join(
        self, lane: Lane, destination: Destination, left: Callable[[Lane], object], *, fresh: bool
    ) -> Deferred[HTTPConnection]:
        """
        Wait for a connection.

        @param left: is called when the request waits no longer and has none.
        @param fresh: whether it must be a connection without any request yet.
        @return: fires with the connection; fails with a C{FederationError}.
        """
        given: Deferred[HTTPConnection] = Deferred(lambda _: self._give_up(lane, waiting, left))
        waiting = Waiting(destination, next(self._numbers), fresh, given)
        lane.enqueue(waiting)
        self._limit(lane, waiting, left, self._policy.queue_timeout)
        return given

    def _limit(self, lane: Lane, waiting: Waiting, left: Callable[[Lane], object], seconds: float) -> None:
        waiting.timer = self._clock.callLater(seconds, self._end, lane, waiting, left)

    def _end(self, lane: Lane, waiting: Waiting, left: Callable[[Lane], object]) -> None:
        """
        A request has waited for long enough, unless what it waits for is being
        connected, which has a limit of its own.
        """
        if not (waiting.extended or lane.is_held):
            waiting.extended = True
            self._limit(lane, waiting, left, self._policy.connect_timeout)
            return
        self._late()
        error = self._timed_out(lane, waiting)
        self._give_up(lane, waiting, left)
        # Whoever learned of what was given up may have cancelled this request.
        if not waiting.given.called:
            waiting.given.errback(error)

    def _timed_out(self, lane: Lane, waiting: Waiting) -> TimedOut:
        seconds = self._policy.queue_timeout
        numbers = f"{len(lane.open)} are open to it, and {self._slots.taken} in all"
        reason = f"no connection was free within {seconds:g} s ({numbers}){lane.objection}"
        return TimedOut(waiting.destination.asked, reason, seconds=seconds, phase="pool")

    def _give_up(self, lane: Lane, waiting: Waiting, left: Callable[[Lane], object]) -> None:
        lane.waiting.pop(waiting, None)
        waiting.stop()
        left(lane)

    def serve(self, lane: Lane, connection: HTTPConnection) -> bool:
        """
        Let the first that may have a connection have it; but not one that was
        used before while another destination has none, and waited longer.

        @return: whether somebody has it now.
        """
        waiting = lane.first_for(connection)
        if waiting is None or (connection.requests and self._slots.is_owed_before(waiting.number)):
            return False
        del lane.waiting[waiting]
        waiting.stop()
        waiting.given.callback(connection)
        return True

    def fail(self, lane: Lane, error: BaseException) -> None:
        """
        Tell those for whom no connection will come, each in its own words.
        """
        for waiting in lane.hopeless():
            # Whoever was told before may have cancelled this one.
            if waiting in lane.waiting:
                del lane.waiting[waiting]
                waiting.stop()
                waiting.given.errback(_own(error, waiting.destination.asked))


def _own(error: BaseException, asked: str) -> BaseException:
    """
    Copy an error for one of those that share it.
    """
    return error.concerning(asked, attempts=error.attempts) if isinstance(error, FederationError) else error
