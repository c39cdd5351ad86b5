"""
How many connections may be open in all, and who waits for one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define(eq=False)
class Claim:
    """
    A connection that is to be made when there is a slot for it.

    @ivar number: of the request for which it is made, in order of arrival.
    @ivar granted: fires when there is a slot.  Cancelling it withdraws the
        claim.
    """

    number: int
    granted: Deferred[None] = attrs.field(factory=Deferred)


class Slots:
    """
    One slot for each connection that is open or being made.

    Slots that come free go to destinations without any connection first, and
    then to those that want a further one; each in order of arrival.
    """

    def __init__(self, limit: int, make_room: Callable[[], bool]) -> None:
        """
        @param limit: how many there are.
        @param make_room: closes a connection that can be spared, which
            releases its slot, and tells whether there was one.
        """
        self.taken = 0
        self._limit = limit
        self._make_room = make_room
        self._granting = False
        self._first: OrderedDict[Claim, None] = OrderedDict()
        self._further: OrderedDict[Claim, None] = OrderedDict()

    @property
    def wanted(self) -> bool:
        """
        Whether somebody waits.
        """
        return bool(self._first or self._further)

    def is_owed_before(self, number: int) -> bool:
        """
        Tell whether a destination without any connection has waited for
        longer than a request.

        @param number: of the request.
        """
        return bool(self._first) and next(iter(self._first)).number < number

    def take(self) -> None:
        """
        Take a slot at once, whether there is one or not.
        """
        if self.taken >= self._limit:
            self._make_room()
        self.taken += 1

    def claim(self, number: int, *, first: bool) -> Claim:
        """
        Ask for a slot.

        @param number: of the request that it is for.
        @param first: whether the destination has no connection yet.
        """
        claim = Claim(number, Deferred(lambda _: self._withdraw(claim)))
        (self._first if first else self._further)[claim] = None
        self._grant()
        return claim

    def promote(self, claim: Claim) -> None:
        """
        Note that the destination of a claim has no connection any more.
        """
        if claim in self._further:
            del self._further[claim]
            self._first[claim] = None

    def release(self) -> None:
        """
        Give a slot back.
        """
        self.taken -= 1
        self._grant()

    def _withdraw(self, claim: Claim) -> None:
        self._first.pop(claim, None)
        self._further.pop(claim, None)

    def _grant(self) -> None:
        """
        Let those begin for whom there is a slot.
        """
        if self._granting:
            # What fails as soon as it begins releases its slot in here: the
            # stack has no room for many of them inside each other.
            return
        self._granting = True
        try:
            while self.wanted and (self.taken < self._limit or self._make_room()):
                # To make room may have been the end of who wanted it.
                if self.taken < self._limit and self.wanted:
                    claim, _ = (self._first or self._further).popitem(last=False)
                    self.taken += 1
                    claim.granted.callback(None)
        finally:
            self._granting = False
