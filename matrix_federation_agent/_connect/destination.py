"""
Where requests go together: the key of the connection pool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from .._discovery.routing import Target
from .._identity import Identity
from .._server_name import ServerName

FEDERATION = b"matrix-federation"
HTTPS_PORT = 443


@attrs.frozen
class Destination:
    """
    A server that must answer, in one scheme.

    Two destinations are equal when the same server must answer in the same
    scheme: requests to them share connections, and nothing that DNS says is
    part of that.

    @ivar scheme: keeps C{https://h} and C{matrix-federation://h} apart, whose
        ports differ.
    @ivar effective: the name that must answer.
    """

    scheme: bytes
    effective: ServerName
    identity: Identity = attrs.field(eq=False, repr=False)
    _where: Callable[[Identity], Awaitable[Sequence[Target]]] = attrs.field(eq=False, repr=False)

    @classmethod
    def of(
        cls, scheme: bytes, identity: Identity, where: Callable[[Identity], Awaitable[Sequence[Target]]]
    ) -> Destination:
        """
        Make the destination of a request.

        @param where: tells where the server listens; asked only when a
            connection is made.
        """
        return cls(scheme, identity.effective, identity, where)

    @classmethod
    def of_https(cls, authority: ServerName) -> Destination:
        """
        Make the destination of an https URI: no discovery, port 443 unless
        another is given.
        """
        return cls(b"https", authority, Identity(authority, authority), _https_targets)

    @property
    def asked(self) -> str:
        """
        The server that errors name.
        """
        return self.identity.asked

    def targets(self) -> Awaitable[Sequence[Target]]:
        """
        Find out where the server listens.

        @raise FederationError: (when it is awaited) when that is not known.
        """
        return self._where(self.identity)


async def _https_targets(identity: Identity) -> Sequence[Target]:
    authority = identity.effective
    return [Target(authority.without_port, authority.port or HTTPS_PORT)]


def https_host_header(authority: ServerName) -> bytes:
    """
    Write the C{Host} header of an https request: the default port is left out
    (RFC 9110, section 4.2.2).
    """
    shown = authority.without_port if authority.port == HTTPS_PORT else authority
    return shown.host_header
