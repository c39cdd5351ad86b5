"""
Servers that put an agent under pressure, and an agent that is patient but for one limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy, MatrixFederationAgent
from tests.conformance.case import FederationCase

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

EX = "192.0.2.1"
NAME = "ex.com:8448"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CONNECTIONS: dict[str, Any] = dict.fromkeys(
    (
        "tcp_timeout",
        "tls_timeout",
        "connect_timeout",
        "queue_timeout",
        "response_timeout",
        "silence_timeout",
        "idle_timeout",
    ),
    60,
)
DISCOVERY: dict[str, Any] = {"dns_timeout": 60, "well_known_timeout": 60}


class Peer(Protocol):
    """
    One connection to a server that answers what it is told to, when it is told to.

    @ivar connection: its transport.
    @ivar send: writes bytes.
    @ivar drop: resets the connection.
    """

    factory: PressingServer

    def connectionMade(self) -> None:
        """
        Be there.
        """
        connection: Any = self.transport
        self.connection, self.send, self.drop = connection, connection.write, connection.abortConnection
        self._heard = b""
        self.factory.peers.append(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Note the heads of requests; bodies of these tests have no empty line.
        """
        self.factory.received += len(data)
        self._heard += data
        head, end, _ = self._heard.partition(b"\r\n\r\n")
        if end:
            self._heard = b""
            self.factory.requests.append(head.split(b" HTTP/")[0].decode("ascii"))
            self.factory.answer(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be gone.
        """
        self.factory.peers.remove(self)


class PressingServer(Factory):
    """
    A server whose answers are the test's.

    @ivar answer: is called with the connection on which a request has arrived.
    @ivar peers: the connections that are open.
    @ivar requests: method and path of each, in order.
    @ivar received: how many bytes of requests arrived.
    """

    noisy = False

    def __init__(self, answer: Callable[[Peer], object]) -> None:
        self.answer = answer
        self.peers: list[Peer] = []
        self.requests: list[str] = []
        self.received = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = Peer()
        peer.factory = self
        return peer


@implementer(IPushProducer)
class Flood:
    """
    A long body, which is written as fast as the transport takes it.

    @ivar written: how many bytes.
    """

    def __init__(self, peer: Peer, size: int) -> None:
        self.written = 0
        self._size = size
        self._transport = peer.connection
        self._runs = True
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        self._transport.registerProducer(self, streaming=True)
        self.go_on()

    def go_on(self) -> None:
        """
        Write a little more.
        """
        if self._runs and self.written < self._size:
            self.written += 16384
            self._transport.write(bytes(16384))
            reactor.callLater(0, self.go_on)
        elif self._runs:
            self._runs = False
            self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self._runs = False

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        if not self._runs:
            self._runs = True
            self.go_on()

    def stopProducing(self) -> None:
        """
        Stop for good.
        """
        self._runs = False


def answering(answer: bytes) -> Callable[[Peer], None]:
    """
    Answer every request alike.
    """
    return lambda peer: peer.send(answer)


def silent(_: Peer) -> None:
    """
    Never answer.
    """


class PressureCase(FederationCase):
    """
    A federation in which C{ex.com} has an address.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)

    def patient(self, discovery: dict[str, Any] | None = None, **settings: Any) -> MatrixFederationAgent:
        """
        Make the agent, all of whose limits are long, but for those that are given.
        """
        self.agent = self.federation.agent(
            connections=ConnectionPolicy(**{**CONNECTIONS, **settings}),
            discovery=DiscoveryPolicy(**{**DISCOVERY, **(discovery or {})}),
        )
        return self.agent

    def pressing(self, answer: Callable[[Peer], object], name: str = "ex.com", address: str = EX) -> PressingServer:
        """
        Let a server listen.
        """
        server = PressingServer(answer)
        self.federation.listen_tls(address, 8448, server, self.certificates.issue(name))
        return server

    @property
    def limits(self) -> list[str]:
        """
        What will be called after a while: limits that have not come, which all are long.
        """
        late = reactor.seconds() + 30
        calls: Any = reactor.getDelayedCalls()
        return sorted(str(one.func) for one in calls if one.getTime() > late)

    @property
    def open(self) -> int:
        """
        How many connections of the agent are open.
        """
        return len(self.agent._dialer.open_connections)
