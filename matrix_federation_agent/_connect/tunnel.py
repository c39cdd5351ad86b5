"""
A connection that a proxy leads to a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone

from .negotiation import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProtocol, IProtocolFactory, ITCPTransport
    from twisted.python.failure import Failure

    from ..errors import ProxyError
    from .negotiation import Negotiation
    from .open_connections import OpenConnections


class Tunnel(Protocol):
    """
    Negotiates with a proxy, and then stands between it and TLS.

    @ivar established: fires when TLS has begun, or fails with a
        L{ProxyError}.  Cancelling it aborts the connection.
    """

    transport: ITCPTransport

    def __init__(
        self,
        negotiation: Negotiation,
        tls: IProtocolFactory,
        open_connections: OpenConnections,
        objection: Callable[[str, int | None], ProxyError],
    ) -> None:
        """
        @param tls: builds the protocol that talks with the server.
        @param objection: makes an error of words and a status.
        """
        self.established: Deferred[None] = Deferred(self._cancel)
        self._negotiation = negotiation
        self._tls = tls
        self._inside: IProtocol | None = None
        self._open_connections = open_connections
        self._objection = objection

    def connectionMade(self) -> None:
        """
        Speak first.
        """
        self._open_connections.add(self)
        self.transport.write(self._negotiation.begin())

    def dataReceived(self, data: bytes) -> None:
        """
        Go on with the negotiation, or pass on what the server sent.
        """
        if self._inside is not None:
            self._inside.dataReceived(data)
        elif not self.established.called:
            self._negotiate(data)

    def _negotiate(self, data: bytes) -> None:
        try:
            self.transport.write(self._negotiation.receive(data))
        except Refused as refusal:
            self.established.errback(self._objection(refusal.reason, refusal.status))
            self.abortConnection()
            return
        if self._negotiation.remainder is not None:
            self._hand_over(self._negotiation.remainder)

    def _hand_over(self, rest: bytes) -> None:
        """
        Let TLS have the connection, which is accounted for at every moment.

        @param rest: what the server sent already.
        """
        inside = self._inside = self._tls.buildProtocol(self.transport.getPeer())
        assert inside is not None  # noqa: S101 (for types: a TLS factory declines nothing)
        inside.makeConnection(self.transport)
        self._open_connections.discard(self)
        self.established.callback(None)
        if rest:
            inside.dataReceived(rest)

    def _cancel(self, established: Deferred[None]) -> None:
        established.errback(CancelledError())
        self.abortConnection()

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        if self.connected:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection to the proxy ended.
        """
        # Also where TLS could not begin: who closes the agent waits for it.
        self._open_connections.discard(self)
        if self._inside is not None:
            self._inside.connectionLost(reason)
            return
        if not self.established.called:
            self.established.errback(self._objection("it closed the connection", None))
