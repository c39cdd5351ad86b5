"""
What was begun to reach a server, and how it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..errors import Attempt, TimedOut

if TYPE_CHECKING:
    from .._discovery.routing import Target
    from .._policies import Address
    from ..errors import FederationError, Phase


@attrs.define(eq=False)
class Begun:
    """
    Something that was begun: an attempt to connect, or the lookup of a
    target's addresses.

    @ivar phase: how far it is.
    @ivar until: when all attempts must have ended; in seconds.
    @ivar under_way: whether it has not ended.
    @ivar error: why it failed; L{None} also where it led to something.
    """

    target: Target
    address: Address | None
    phase: Phase
    until: float
    under_way: bool = True
    error: FederationError | None = None

    @property
    def place(self) -> tuple[Target, Address | None]:
        """
        What is dialled.
        """
        return self.target, self.address

    def fail(self, error: FederationError) -> None:
        """
        Keep why it failed.
        """
        self.under_way = False
        self.error = error


def told(asked: str, begun: list[Begun | Attempt], seconds: float) -> list[Attempt]:
    """
    Tell what became of all that was begun, in that order.

    @param asked: the server that errors name.
    @param seconds: the limit that ended what is still under way.
    """
    return [attempt for one in begun if (attempt := _attempt(asked, one, seconds)) is not None]


def _attempt(asked: str, begun: Begun | Attempt, seconds: float) -> Attempt | None:
    """
    Tell what became of one; L{None} where it was no failure.
    """
    if isinstance(begun, Attempt):
        return begun
    error = begun.error
    if begun.under_way:
        error = TimedOut(asked, f"not finished within {seconds:g} s", seconds=seconds, phase=begun.phase)
    address = None if begun.address is None else str(begun.address)
    return None if error is None else Attempt(str(begun.target), address, error)
