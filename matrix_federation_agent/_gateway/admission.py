"""
How many requests may be under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._policies import GatewayPolicy


class Admission:
    """
    The places of requests that are under way, in all and by destination.
    Nothing is kept of a destination that has none.
    """

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self.total = 0

    def enter(self, destination: str, policy: GatewayPolicy) -> str | None:
        """
        Take a place.

        @param destination: a server name, in lower case: DNS names are
            compared without case, and otherwise one server would have many
            limits.
        @return: which limit stands against it, or L{None}; then L{leave} has
            to be called.
        """
        here = self._taken.get(destination, 0)
        if self.total >= policy.max_requests:
            return f"{policy.max_requests} requests are under way"
        if here >= policy.max_requests_per_destination:
            return f"{policy.max_requests_per_destination} requests to {destination} are under way"
        self._taken[destination] = here + 1
        self.total += 1
        return None

    def leave(self, destination: str) -> None:
        """
        Free a place.
        """
        self.total -= 1
        here = self._taken.pop(destination) - 1
        if here:
            self._taken[destination] = here

    def by_destination(self) -> Mapping[str, int]:
        """
        Tell how many places each destination has taken.
        """
        return MappingProxyType(dict(self._taken))
