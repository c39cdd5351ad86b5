"""
A server as a stream endpoint: verified when it is connected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocol, IProtocolFactory

    from .._discovery.routing import Target
    from .._identity import Identity
    from .._server_name import ServerName
    from .dialer import Dialer


class Progress(Protocol):
    """
    Is told when a connection is being made, and when it has been made.
    """

    def __call__(self, *, connected: bool) -> object:
        """
        Be told.
        """


def _unnoticed(*, connected: bool) -> None:
    """
    Nobody wants to know.
    """


@implementer(IStreamClientEndpoint)
@attrs.frozen
class VerifiedEndpoint:
    """
    Connects to wherever a server listens.

    Two endpoints are equal when the same server must answer in the same
    scheme: this makes an endpoint the key of the connection pool, and nothing
    that DNS says is part of it.

    @ivar scheme: keeps C{https://h} and C{matrix-federation://h} apart, whose
        ports differ.
    @ivar effective: the name that must answer.
    """

    scheme: bytes
    effective: ServerName
    identity: Identity = attrs.field(eq=False, repr=False)
    _locate: Callable[[], Awaitable[Sequence[Target]]] = attrs.field(eq=False, repr=False)
    _dialer: Dialer = attrs.field(eq=False, repr=False)
    _progress: Progress = attrs.field(eq=False, repr=False, default=_unnoticed)

    def telling(self, progress: Progress) -> VerifiedEndpoint:
        """
        Make an equal endpoint that tells when it begins to connect, and when
        it has connected.
        """
        return attrs.evolve(self, progress=progress)

    @classmethod
    def of(
        cls, scheme: bytes, identity: Identity, locate: Callable[[], Awaitable[Sequence[Target]]], dialer: Dialer
    ) -> VerifiedEndpoint:
        """
        Make the endpoint of a server.

        @param locate: tells where the server listens; asked only when a
            connection is made.
        """
        return cls(scheme, identity.effective, identity, locate, dialer)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Find the server and connect to it.

        @return: fires with the protocol once the server's certificate was
            verified; fails with a C{FederationError}.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        self._progress(connected=False)
        protocol = await self._dialer.connect(self.identity, await self._locate(), factory)
        self._progress(connected=True)
        return protocol
