"""
Attempts that run against each other until the first succeeds (RFC 8305).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred

from .._discovery.routing import Target
from ..errors import FederationError, TimedOut, summarised
from .attempts import Begun, told
from .families import Families

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from typing import Any

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from .._policies import ConnectionPolicy
    from ..errors import Attempt
    from .candidates import Candidates
    from .families import Lookup
    from .order import Order

T = TypeVar("T")


class Course(Protocol[T]):
    """
    What there is to run.
    """

    @property
    def asked(self) -> str:
        """
        The server that errors name.
        """

    def look_up(self, target: Target) -> Sequence[Lookup]:
        """
        Look the addresses of a target up: one lookup for each family, IPv6
        first.
        """

    def nowhere(self, target: Target, failures: Sequence[FederationError]) -> FederationError:
        """
        Tell that a target has no address.
        """

    def attempt(self, begun: Begun) -> Coroutine[Deferred[Any], Any, T]:
        """
        Make one attempt.
        """

    def drop(self, result: T) -> None:
        """
        Give up what a second attempt led to.
        """


class Turn(Enum):
    """
    What the turn is spent on: a lookup, an attempt, or nothing, because
    nothing is left to be begun for now.
    """

    LOOKUP = auto()
    ATTEMPT = auto()
    NOTHING = auto()


class Race(Generic[T]):
    """
    Begins one attempt after the other, without waiting for long, until the
    first succeeds; then the others are cancelled.

    A turn begins a while after the one before it, and at once when an attempt
    has failed.  It goes to the next address, or to the lookup of the next
    target's: whose first answer is dialled at once, and which takes no longer
    than an attempt until it is the next one's turn.

    @ivar begun: everything that was begun, and every address that was
        refused, in order.
    @ivar winner: what led to the result, or L{None}.
    """

    def __init__(self, clock: IReactorTime, policy: ConnectionPolicy, order: Order, course: Course[T]) -> None:
        self.begun: list[Begun | Attempt] = []
        self.winner: Begun | None = None
        self._clock = clock
        self._policy = policy
        self._order = order
        self._course = course
        self._result: Deferred[T] = Deferred(lambda _: self._finish())
        self._running: dict[Begun, Deferred[T]] = {}
        self._lookups: dict[Target, Families] = {}
        self._turn = Turn.NOTHING
        self._looking: Target | None = None
        self._opening = False
        self._finished = False
        self._next_turn = self._deadline = self._armed = 0.0
        self._timer: IDelayedCall | None = None

    def run(self) -> Deferred[T]:
        """
        Begin.

        @return: fires with the result of the first attempt that succeeds;
            fails with a L{FederationError} that holds them all.
        """
        now = self._clock.seconds()
        self._deadline = now + self._policy.connect_timeout
        self._go(now)
        return self._result

    def _go(self, now: float) -> None:
        """
        Begin the next turn.
        """
        while not self._finished:
            step = self._order.next()
            if step is None:
                self._turn = Turn.NOTHING
                self._check_lost()
                return
            self._next_turn = now + self._policy.attempt_delay
            if not isinstance(step, Target):
                self._turn = Turn.ATTEMPT
                self._begin(Begun(*step, "tcp", self._deadline))
                self._arm(now)
                return
            self._turn, self._looking = Turn.LOOKUP, step
            self._open(step)
            if step in self._lookups and not self._order.waits(step):
                self._arm(now)
                return

    def _open(self, target: Target) -> None:
        """
        Look the addresses of a target up; what is known arrives at once.
        """
        begun = Begun(target, None, "dns", self._deadline)
        self.begun.append(begun)
        lookup = self._lookups[target] = Families(
            self._clock,
            self._policy.resolution_delay,
            lambda candidates: self._found(target, candidates),
            lambda: self._looked_up(begun),
        )
        self._opening = True
        try:
            lookup.start(self._course.look_up(target), self._crashed)
        finally:
            self._opening = False

    def _found(self, target: Target, candidates: Candidates) -> None:
        """
        Let the addresses of a target join.
        """
        self.begun.extend(candidates.refused)
        self._order.add(target, candidates.dialled)
        if self._opening:
            return
        now = self._clock.seconds()
        if self._turn is Turn.ATTEMPT and now < self._next_turn:
            self._arm(now)
        elif candidates.dialled:
            self._go(now)

    def _looked_up(self, begun: Begun) -> None:
        """
        All addresses of a target are known.
        """
        begun.under_way = False
        lookup = self._lookups.pop(begun.target)
        if not lookup.found:
            begun.fail(self._course.nowhere(begun.target, lookup.failures))
        if self._opening:
            return
        if self._turn is Turn.NOTHING:
            self._check_lost()
        elif self._turn is Turn.LOOKUP and self._looking == begun.target:
            self._go(self._clock.seconds())

    def _begin(self, begun: Begun) -> None:
        """
        Begin an attempt.
        """
        self.begun.append(begun)
        work = self._running[begun] = Deferred.fromCoroutine(self._course.attempt(begun))
        ended = work.addCallbacks(self._won, self._failed, callbackArgs=(begun,), errbackArgs=(begun,))
        ended.addErrback(self._crashed)
        if self._finished:
            # Who waited has left while it began.
            work.cancel()

    def _won(self, result: T, begun: Begun) -> None:
        """
        The first that succeeds ends the others.
        """
        if self._finished:
            self._course.drop(result)
            return
        begun.under_way = False
        self.winner = begun
        self._finish()
        self._result.callback(result)

    def _failed(self, failure: Failure, begun: Begun) -> None:
        """
        One that fails lets the next begin at once.
        """
        if self._finished:
            return
        failure.trap(FederationError)
        assert isinstance(failure.value, FederationError)  # noqa: S101 (for types: trapped above)
        begun.fail(failure.value)
        self._running.pop(begun, None)
        if self._turn is not Turn.LOOKUP:
            self._go(self._clock.seconds())

    def _crashed(self, failure: Failure) -> None:
        """
        What is no failed attempt, such as what the caller's own code raised,
        ends them all.
        """
        if not self._finished:
            self._finish()
            self._result.errback(failure)

    def _check_lost(self) -> None:
        """
        Fail when nothing is under way any more.
        """
        if self._running or (self._lookups and not self._order.exhausted) or self._finished:
            return
        self._finish()
        self._result.errback(summarised(self._course.asked, self._attempts()))

    def _attempts(self) -> list[Attempt]:
        return told(self._course.asked, self.begun, self._policy.connect_timeout)

    def _arm(self, now: float) -> None:
        """
        Have the next turn begin in time.  There is one timer, which is never
        put off: where it comes too early, it is set again.
        """
        if self._finished:
            return
        wanted = min(self._next_turn, self._deadline) if self._order.has_more else self._deadline
        if self._timer is None:
            self._armed = wanted
            self._timer = self._clock.callLater(max(0.0, wanted - now), self._tick)
        elif wanted < self._armed:
            self._armed = wanted
            self._timer.reset(max(0.0, wanted - now))

    def _tick(self) -> None:
        """
        Give up, or begin the next turn.
        """
        self._timer = None
        # What a timer waited for has come, whatever floating point says.
        now = max(self._clock.seconds(), self._armed)
        if now >= self._deadline:
            self._late()
            return
        if now >= self._next_turn and self._order.has_more:
            self._go(now)
        self._arm(now)

    def _late(self) -> None:
        """
        The time for all attempts is over.
        """
        seconds, attempts = self._policy.connect_timeout, self._attempts()
        reason = "; ".join([f"no connection within {seconds:g} s", *map(str, attempts)])
        self._finish()
        self._result.errback(TimedOut(self._course.asked, reason, seconds=seconds, attempts=tuple(attempts)))

    def _finish(self) -> None:
        """
        Cancel everything that is under way.
        """
        self._finished = True
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        lookups, self._lookups = self._lookups, {}
        running, self._running = self._running, {}
        for lookup in lookups.values():
            lookup.cancel()
        for work in running.values():
            work.cancel()
