"""
What a race is about: connections to one server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._discovery.hosts import unresolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IProtocol, IProtocolFactory

    from .._discovery.routing import Target
    from .._identity import Identity
    from ..errors import FederationError
    from .attempts import Begun
    from .dialer import Dialer
    from .families import Lookup


@attrs.frozen(eq=False)
class ConnectionCourse:
    """
    The attempts to connect to one server.
    """

    _dialer: Dialer
    _identity: Identity
    _factory: IProtocolFactory

    @property
    def asked(self) -> str:
        """
        The server that errors name.
        """
        return self._identity.asked

    def look_up(self, target: Target) -> list[Lookup]:
        """
        Find the addresses of a target.
        """
        return self._dialer.lookups(self._identity, target)

    def nowhere(self, target: Target, failures: Sequence[FederationError]) -> FederationError:
        """
        Tell that a target has no address.
        """
        return unresolved(target.host, failures)

    async def attempt(self, begun: Begun) -> IProtocol:
        """
        Make one attempt.
        """
        return await self._dialer.attempt(self._identity, begun, self._factory)

    def drop(self, result: IProtocol) -> None:
        """
        Abort a connection that came when there was one already.
        """
        transport = getattr(result, "transport", None)
        if transport is not None:
            transport.abortConnection()
