"""
The connections that are open, so that every one of them can be aborted and waited for.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, ITransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure


class OpenConnections:
    """
    The TCP connections of one owner that are open at the moment.

    @ivar open: the connections, outside any TLS, in the order in which they were made.
    """

    def __init__(self) -> None:
        """
        Begin with none.
        """
        self.open: dict[ProtocolWrapper, None] = {}
        self._waiting: list[Deferred[None]] = []

    def opened(self, connection: ProtocolWrapper) -> None:
        """
        Remember a connection.

        @param connection: a connection that was just made.
        """
        self.open[connection] = None

    def closed(self, connection: ProtocolWrapper) -> None:
        """
        Forget a connection, and tell who waits for the last one.

        @param connection: a connection that was just lost.
        """
        self.open.pop(connection, None)
        if not self.open:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def abort_all(self) -> Deferred[None]:
        """
        Abort every connection: a TLS peer that never answers could hold an orderly close for ever.

        @return: a L{Deferred} that fires when none is open.
        """
        done: Deferred[None] = Deferred()
        if not self.open:
            done.callback(None)
            return done
        self._waiting.append(done)
        for connection in list(self.open):
            connection.abortConnection()
        return done


class TrackedConnection(ProtocolWrapper):
    """
    One connection, which enters itself in L{OpenConnections} and may show another peer than 127.0.0.1.
    """

    def __init__(
        self,
        factory: TrackedFactory,
        wrapped: IProtocol,
        connections: OpenConnections,
        peer: IAddress | None = None,
    ) -> None:
        """
        Wrap a protocol.

        @param factory: the factory that made this wrapper.
        @param wrapped: the protocol that is to see the connection.
        @param connections: where to enter the connection.
        @param peer: the virtual address of the other side; L{None} leaves the real one.
        """
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self._connections = connections
        self._peer = peer

    def makeConnection(self, transport: ITransport) -> None:
        """
        Enter the connection before the wrapped protocol can use it.
        """
        self._connections.opened(self)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Leave the register last, so that who waits for it finds the wrapped protocol already told.
        """
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._connections.closed(self)

    def getPeer(self) -> IAddress:
        """
        Give the virtual address that was dialled, for code that decides by the peer.
        """
        real: IAddress = super().getPeer()  # type: ignore[no-untyped-call]
        return real if self._peer is None else self._peer


class TrackedFactory(WrappingFactory):
    """
    A factory whose connections can be counted and aborted.

    @ivar accepted: how many connections were made in all.
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, connections: OpenConnections, peer: IAddress | None = None) -> None:
        """
        Wrap a factory.

        @param wrapped: the factory of the protocols that see the connections.
        @param connections: where the connections are entered.
        @param peer: the virtual address of the other side; L{None} leaves the real one.
        """
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._connections = connections
        self._peer = peer
        self.accepted = 0

    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        """
        Wrap what the wrapped factory builds, or refuse as it does.
        """
        wrapped = self.wrappedFactory.buildProtocol(self._peer or addr)
        if wrapped is None:
            return None
        self.accepted += 1
        return TrackedConnection(self, wrapped, self._connections, self._peer)
