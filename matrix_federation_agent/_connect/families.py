"""
The addresses of one target, as they arrive.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from ..errors import FederationError
from .candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

Lookup = Coroutine[Deferred[Any], Any, Candidates] | Candidates
"""
What is to be awaited, or is known already.
"""


class Families:
    """
    Looks the families of addresses of a target up side by side.

    IPv4 addresses wait a little for IPv6 ones that are not known yet (RFC
    8305, section 3); those that come later join all the same.

    @ivar pending: whether a lookup is under way, or addresses wait.
    @ivar found: whether there was an address, be it a refused one.
    @ivar failures: of the lookups.
    """

    def __init__(
        self, clock: IReactorTime, delay: float, arrived: Callable[[Candidates], object], ended: Callable[[], object]
    ) -> None:
        """
        @param delay: for which IPv4 addresses wait, in seconds.
        @param arrived: is told of addresses.
        @param ended: is called when nothing further will be found.
        """
        self.pending = True
        self.found = False
        self.failures: list[FederationError] = []
        self._clock = clock
        self._delay = delay
        self._arrive = arrived
        self._ended = ended
        self._lookups: list[Deferred[Candidates]] = []
        self._left = 0
        self._held: Candidates | None = None
        self._timer: IDelayedCall | None = None

    def start(self, lookups: Sequence[Lookup], crashed: Callable[[Failure], object]) -> None:
        """
        Begin.

        @param lookups: one for each family, IPv6 first.
        @param crashed: is told of a failure that is no L{FederationError}.
        """
        self._left = len(lookups)
        for number, lookup in enumerate(lookups):
            last = number == len(lookups) - 1
            if isinstance(lookup, Candidates):
                self._add(lookup, last)
                continue
            if not self.pending:
                lookup.close()
                continue
            work = Deferred.fromCoroutine(lookup)
            self._lookups.append(work)
            work.addCallbacks(self._add, self._failed, callbackArgs=(last,)).addErrback(crashed)

    def cancel(self) -> None:
        """
        Give up, at once; nobody is told of anything any more.
        """
        self.pending, self._held = False, None
        self._release_timer()
        for lookup in self._lookups:
            lookup.cancel()

    def _add(self, candidates: Candidates, last: bool) -> None:  # noqa: FBT001 (a Deferred passes it by position)
        if not self.pending:
            return
        self._left -= 1
        if last and self._left and candidates.permitted:
            self._held = candidates
            self._timer = self._clock.callLater(self._delay, self._release)
            return
        self._tell(candidates)
        self._release()

    def _failed(self, failure: Failure) -> None:
        if not self.pending:
            return
        failure.trap(FederationError)
        assert isinstance(failure.value, FederationError)  # noqa: S101 (for types: trapped above)
        self._left -= 1
        self.failures.append(failure.value)
        self._release()

    def _release(self) -> None:
        """
        Let IPv4 addresses wait no longer, and tell if that was all.
        """
        self._release_timer()
        held, self._held = self._held, None
        if held is not None:
            self._tell(held)
        if self._left == 0 and self.pending:
            self.pending = False
            self._ended()

    def _tell(self, candidates: Candidates) -> None:
        if candidates.dialled or candidates.refused:
            self.found = True
            self._arrive(candidates)

    def _release_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
