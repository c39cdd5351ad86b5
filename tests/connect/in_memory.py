"""
Connections without sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from matrix_federation_agent import ServerName, TrustPolicy
from matrix_federation_agent._connect.handshake import ByteBudget, HandshakeGate, VerifiedTLSFactory
from matrix_federation_agent._connect.open_connections import OpenConnections
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.testing import Certificate, Certificates

EX = ServerName.parse("ex.com")
IDENTITY = Identity(EX, EX)
TARGET = Target(EX, 8448)


@implementer(IHandshakeListener)
class Application(Protocol):
    """
    A protocol that keeps what happens to it.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.data = b""

    def connectionMade(self) -> None:
        """
        Keep it.
        """
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        """
        Keep it.
        """
        self.events.append("handshake")

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep it.
        """
        self.events.append("lost")


class Applications(Factory):
    """
    Builds one kind of protocol, and keeps what it built.
    """

    noisy = False

    def __init__(self, build: Callable[[], Application | None] = Application) -> None:
        """
        @param build: makes a protocol, or declines.
        """
        self.build = build
        self.built: list[Application | None] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Build.
        """
        self.built.append(self.build())
        return self.built[-1]


@attrs.define(eq=False)
class End:
    """
    One end of a connection.
    """

    protocol: IProtocol
    transport: StringTransport = attrs.field(factory=StringTransport)
    lost: bool = False

    @property
    def is_closing(self) -> bool:
        """
        Whether it wants to close, at once or not.
        """
        return self.transport.disconnecting or self.transport.disconnected


class Wire:
    """
    A connection between two protocols, on which bytes move only when it is pumped.
    """

    def __init__(self, client: IProtocol, server: IProtocol) -> None:
        self.client, self.server = End(client), End(server)
        for end in (self.client, self.server):
            end.protocol.makeConnection(end.transport)

    def pump(self) -> None:
        """
        Move all bytes, and then close if either end wants to.
        """
        while self._move(self.client, self.server) or self._move(self.server, self.client):
            pass
        if self.client.is_closing or self.server.is_closing:
            self.close()

    def _move(self, sender: End, receiver: End) -> bool:
        data = sender.transport.value()
        sender.transport.clear()
        if data and not receiver.transport.disconnected:
            receiver.protocol.dataReceived(data)
        return bool(data)

    def close(self) -> None:
        """
        End the connection for both.
        """
        for end in (self.client, self.server):
            if not end.lost:
                end.lost = True
                aborted = end.transport.disconnected
                end.protocol.connectionLost(Failure(ConnectionAborted() if aborted else ConnectionDone()))


def tls_server(certificate: Certificate, factory: Factory, clock: Clock) -> IProtocol:
    """
    Make the server's side of one TLS connection.
    """
    protocol = TLSMemoryBIOFactory(certificate.context_factory(), False, factory, clock).buildProtocol(None)
    assert protocol is not None
    return protocol


class Handshake:
    """
    A verified connection in the making.

    @ivar creator: holds the verdict.
    @ivar opened: fires with the application's protocol.
    """

    def __init__(self, creator: VerifiedConnectionCreator, applications: Applications, server: IProtocol) -> None:
        """
        @param server: the other side.
        """
        self.creator = creator
        self.clock = Clock()
        self.open_connections = OpenConnections()
        self.budget = ByteBudget()
        self.applications = applications
        self.gate = HandshakeGate(creator, applications)
        self.opened: Deferred[IProtocol] = self.gate.opened
        factory = VerifiedTLSFactory(creator, self.gate, self.clock, self.open_connections, self.budget)
        client = factory.buildProtocol(None)
        assert client is not None
        self.wire = Wire(client, server)

    @property
    def protocol(self) -> Application:
        """
        The one protocol that was built.
        """
        (built,) = self.applications.built
        assert built is not None
        return built


def trusting(certificates: Certificates, path: Path) -> TrustGeneration:
    """
    Trust the root of some certificates.

    @param path: a file to write.
    """
    path.write_bytes(certificates.root_pem)
    return TrustGeneration.load(TrustPolicy(ca_files=[str(path)], use_system_roots=False))
