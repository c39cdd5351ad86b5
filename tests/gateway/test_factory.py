"""
Tests of C{matrix_federation_agent._gateway.factory}, also over real sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol, serverFromString
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from matrix_federation_agent._gateway.factory import MAXIMUM_REFUSED, GatewayFactory
from matrix_federation_agent._gateway.forwarder import Forwarder
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.testing import Certificates
from tests.conformance.case import FederationCase, SocketCase, until

from .wire_kit import SECRET, TARGET, Agent, WireCase, put, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


class CountTests(WireCase):
    """
    Connections of clients.
    """

    policy = GatewayPolicy(max_connections=2, retry_after=7)

    @property
    def counted(self) -> tuple[int, int]:
        """
        Those that are open, and of those the idle ones.
        """
        return self.factory.connections.open, self.factory.connections.idle

    def test_counts(self) -> None:
        """
        A connection is idle but for requests.
        """
        found = [self.counted]
        self.send(request())
        found.append(self.counted)
        self.asked.answer(OK)
        found.append(self.counted)
        self.send(b"G")
        found.append(self.counted)
        self.client.close()
        self.assertEqual([*found, self.counted], [(1, 1), (1, 0), (1, 1), (1, 0), (0, 0)])

    def test_too_many(self) -> None:
        """
        A connection beyond the limit is told so at once, and closed.
        """
        self.connect()
        refused = self.connect()
        refused.send(request())
        self.assertEqual((refused.statuses, refused.line.done, self.agent.asked), ([503], ["half-close"], []))
        self.assertIn(b"\r\nRetry-After: 7\r\n", refused.received)
        self.assertEqual(self.outcomes, [(503, "busy")])
        self.client.close()
        self.assertEqual(self.connect().received, b"")

    def test_far_too_many(self) -> None:
        """
        Those who are being told are not too many either, and in nobody's way.
        """
        self.connect()
        refused = [self.connect() for _ in range(MAXIMUM_REFUSED)]
        self.assertIsNone(self.factory.buildProtocol(None))
        refused[0].close()
        self.assertEqual(self.connect().statuses, [503])
        self.client.close()
        self.assertEqual((self.connect().statuses, MAXIMUM_REFUSED), ([], 100))

    def test_drain(self) -> None:
        """
        What is idle is closed; what is under way is answered first, and then closed.
        """
        idle = self.connect()
        self.send(request())
        self.factory.drain()
        self.assertEqual((idle.line.done, self.line.done), (["close"], []))
        self.asked.answer(OK)
        self.assertEqual(self.line.done, ["close"])
        self.assertIn(b"\r\nConnection: close\r\n", self.client.received)

    def test_drain_in_the_middle(self) -> None:
        """
        A head that has begun is read; a response that has begun is finished.
        """
        head = self.connect()
        head.send(b"G")
        self.send(request())
        body = self.asked.answer(TEN)
        self.factory.drain()
        self.assertEqual((head.line.done, self.line.done), ([], []))
        body.detach(b"0123456789")
        body.complete()
        head.send(request()[1:])
        self.agent.asked[1].answer(OK)
        self.assertEqual((head.line.done, self.line.done), (["close"], ["close"]))

    def test_connections_that_come_meanwhile(self) -> None:
        """
        They carry one request.
        """
        self.factory.drain()
        client = self.connect()
        client.send(request() * 2)
        self.asked.answer(OK)
        self.assertEqual((len(self.agent.asked), client.line.done), (1, ["half-close"]))

    def test_abort(self) -> None:
        """
        Everything is dropped, once.
        """
        self.connect()
        refused = self.connect()
        for _ in range(2):
            self.factory.abort()
        self.assertEqual((self.line.done, refused.line.done), (["abort"], ["half-close", "abort"]))


class RawClient(Protocol):
    """
    A client that keeps what it is sent.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost: Deferred[list[Failure]] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep it.
        """
        self.lost.callback([reason])


class LoopbackTests(SocketCase):
    """
    Over real sockets.
    """

    def setUp(self) -> None:
        """
        Make a factory.
        """
        super().setUp()
        self.agent = Agent()
        forwarder = Forwarder(reactor, self.agent, Secret.of(SECRET), GatewayPolicy())  # type: ignore[arg-type]
        self.forwarder = forwarder
        self.factory = GatewayFactory(reactor, forwarder)

    async def listen(self, description: str = "tcp:0:interface=127.0.0.1", factory: Any = None) -> IListeningPort:
        """
        Listen.
        """
        port: IListeningPort = await serverFromString(reactor, description).listen(factory or self.factory)
        self.addCleanup(self.close, port)
        return port

    async def close(self, port: IListeningPort) -> None:
        """
        Stop listening, and leave nothing.
        """
        self.factory.abort()
        await until(lambda: self.factory.connections.open == 0)
        await maybeDeferred(port.stopListening)

    async def connect(self) -> RawClient:
        """
        Connect by TCP.
        """
        port = await self.listen()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", _number(port))
        client: RawClient = await connectProtocol(endpoint, RawClient())
        return client

    async def exchanged(self, client: RawClient) -> None:
        """
        Send a request, and answer it.
        """
        client.transport.write(put(b"ab", b"Connection: close\r\n"))
        await until(lambda: bool(self.agent.asked))
        self.agent.asked[0].answer(OK)
        (reason,) = await client.lost
        self.assertEqual((client.received[-2:], reason.type), (b"hi", ConnectionDone))

    async def test_tcp(self) -> None:
        """
        A request and its response, of which small pieces do not wait for one another.
        """
        client = await self.connect()
        await until(lambda: bool(self.factory._connections))
        (connection,) = self.factory._connections
        self.assertTrue(connection.transport.getTcpNoDelay())
        await self.exchanged(client)

    async def test_unix(self) -> None:
        """
        So with a socket in the file system; Twisted compares its path with bytes.
        """
        self.addCleanup(self.flushWarnings)
        path = self.mktemp()
        await self.listen(f"unix:{path}")
        await self.exchanged(await connectProtocol(UNIXClientEndpoint(reactor, path), RawClient()))

    async def test_tls(self) -> None:
        """
        So with TLS.
        """
        context = Certificates().issue("localhost").context_factory()
        port = await self.listen(factory=TLSMemoryBIOFactory(context, False, self.factory))
        made = RawClient()
        wrapped = TLSMemoryBIOFactory(CertificateOptions(), True, Factory.forProtocol(lambda: made))
        await TCP4ClientEndpoint(reactor, "127.0.0.1", _number(port)).connect(wrapped)
        await self.exchanged(made)

    async def test_a_refusal_is_seen(self) -> None:
        """
        A client that sends far more than is read sees the answer, and no reset before it.
        """
        client = await self.connect()
        client.transport.write(request(b"PUT", b"Content-Length: 999999999\r\n") + b"x" * 500000)
        (reason,) = await client.lost
        self.assertEqual((client.received[:12], reason.type), (b"HTTP/1.1 413", ConnectionDone))

    async def test_broken_off(self) -> None:
        """
        A response that is broken off ends with a reset.
        """
        client = await self.connect()
        client.transport.write(request())
        await until(lambda: bool(self.agent.asked))
        body = self.agent.asked[0].answer(TEN + b"abc")
        await until(lambda: client.received.endswith(b"abc"))
        body.end(Failure(ConnectionLost()))
        (reason,) = await client.lost
        self.assertEqual(reason.type, ConnectionLost)

    async def test_a_client_that_goes_away(self) -> None:
        """
        The outgoing request is cancelled.
        """
        client = await self.connect()
        client.transport.write(request())
        await until(lambda: bool(self.agent.asked))
        client.transport.loseConnection()
        await until(lambda: self.agent.asked[0].cancelled == 1)
        await client.lost

    async def test_a_client_that_does_not_read(self) -> None:
        """
        The body waits at the remote, until the client reads.
        """
        client = await self.connect()
        client.transport.write(request())
        await until(lambda: bool(self.agent.asked))
        body = self.agent.asked[0].answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
        client.transport.pauseProducing()
        sent = await self.poured(lambda: body.receive(b"x" * 65536))
        await until(lambda: "pause" in self.agent.asked[0].source.told)
        client.transport.resumeProducing()
        await until(lambda: self.agent.asked[0].source.told[-1] == "resume")
        self.assertLess(sent, 9999999)
        client.transport.abortConnection()
        await client.lost

    async def poured(self, pour: Callable[[], None]) -> int:
        """
        Have the remote send until it is to pause.
        """
        sent = 0
        while "pause" not in self.agent.asked[0].source.told:
            pour()
            sent += 65536
        return sent


def _number(port: IListeningPort) -> int:
    """
    Tell where it listens.
    """
    number: int = port.getHost().port  # type: ignore[attr-defined]
    return number


class FederationTests(FederationCase):
    """
    With a real agent, and a homeserver behind it.
    """

    async def connect(self, name: str) -> RawClient:
        """
        Start a homeserver and a gateway, and connect to that.
        """
        self.federation.add_server(name)
        forwarder = Forwarder(reactor, self.federation.agent(), Secret.of(SECRET))
        self.factory = GatewayFactory(reactor, forwarder)
        port: IListeningPort = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(self.factory)
        self.addCleanup(port.stopListening)
        client: RawClient = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", _number(port)), RawClient())
        return client

    async def test_many_requests_on_one_connection(self) -> None:
        """
        They reach the homeserver, and its answers come back.
        """
        client = await self.connect("hs.test")
        line = b"matrix-federation://hs.test/_matrix/federation/v1/version"
        for number in (1, 2):
            client.transport.write(request().replace(TARGET, line))
            await until(lambda: client.received.count(b'"version"') == number)  # noqa: B023 (it is awaited)
        client.transport.loseConnection()
        await client.lost
        await until(lambda: self.factory.connections.open == 0)
        self.assertEqual(client.received.count(b"HTTP/1.1 200 OK\r\n"), 2)
