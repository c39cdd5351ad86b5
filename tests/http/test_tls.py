"""
Tests of L{HTTPConnection} over real sockets and real TLS, and of what it relies on there.
"""

from __future__ import annotations

import gc
from pathlib import Path
from weakref import ref

import treq
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress, IConsumer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.tcp import Client
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss
from zope.interface import implementedBy
from zope.interface.declarations import Provides

from matrix_federation_agent import read_body
from matrix_federation_agent._connect.handshake import BoundedTLSTransport
from matrix_federation_agent._http.connection import HTTPConnection, Request
from matrix_federation_agent._http.response import READ_AHEAD
from tests.conformance.case import FederationCase, RawPeer, RawServer, until
from tests.tls import ticket_server
from tests.tls.ticket_server import TicketPeer, TicketServer, server_context

from .kit import HEAD, OK, POLICY, Producer, Reading

EX = "192.0.2.1"
MEGABYTE = 1024 * 1024


class Clinging(TicketPeer):
    """
    Answers, hears the farewell, and does not think of leaving.
    """

    factory: ClingingServer

    def _advance(self) -> None:
        if not self._head:
            super()._advance()
        elif not self._tls.read(1):
            self.factory.farewells += 1

    def _end(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note that the other side has closed.
        """
        self.factory.closed += 1


class ClingingServer(TicketServer):
    """
    A server that never answers a farewell.
    """

    farewells = 0
    closed = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = Clinging()
        peer.factory = self
        return peer


class Deaf(RawPeer):
    """
    Reads the beginning of a request, and then nothing.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Stop.
        """
        self.factory.received += data
        assert self.transport is not None
        self.transport.pauseProducing()  # type: ignore[attr-defined]


class DeafServer(RawServer):
    """
    A server whose connections fill.
    """

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = Deaf()
        peer.factory = self
        return peer


class Endless(Producer):
    """
    Writes for as long as it may.
    """

    written = 0
    running = True

    def startProducing(self, consumer: IConsumer) -> object:  # type: ignore[override]
        """
        Begin.
        """
        finished = super().startProducing(consumer)
        self.go_on()
        return finished

    def go_on(self) -> None:
        """
        Write some more.
        """
        if self.running:
            self.written += 65536
            self.write(bytes(65536))
            reactor.callLater(0, self.go_on)

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        super().pauseProducing()
        self.running = False

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        super().resumeProducing()
        self.running = True
        self.go_on()

    def stopProducing(self) -> None:
        """
        End.
        """
        super().stopProducing()
        self.running = False


class TLSCase(FederationCase):
    """
    A test with a server for C{ex.com}.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.agent = self.federation.agent()
        self.events: list[str] = []

    def answering(self, answer: bytes, kind: type[RawServer] = RawServer) -> RawServer:
        """
        Let a server answer with bytes.
        """
        server = kind(answer, closes=False)
        self.federation.listen_tls(EX, 8448, server, self.certificates.issue("ex.com"))
        return server

    def place(self, server: type[TicketServer], *, farewell: bool = True) -> TicketServer:
        """
        Let a server of Python's own TLS listen.
        """
        context = server_context(self.certificates.issue("ex.com"), Path(self.mktemp()))
        placed = server(context, farewell=farewell)
        self.federation.listen_tcp(EX, 8448, placed)
        return placed

    async def connect(self) -> HTTPConnection:
        """
        Connect to it.
        """
        factory = Factory.forProtocol(
            lambda: HTTPConnection(
                reactor,
                POLICY,
                lambda _: self.events.append("idle"),
                lambda _: self.events.append("lost"),
            )
        )
        connection = await self.agent.connect("ex.com:8448", factory)
        assert isinstance(connection, HTTPConnection)
        return connection

    @property
    def open(self) -> int:
        """
        How many connections the agent has.
        """
        return len(self.agent._dialer.open_connections)


def request(body: bytes | Producer = b"") -> Request:
    """
    Make a request.
    """
    return Request("ex.com", b"PUT", HEAD, body, b"matrix-federation://ex.com/a", None)


class FarewellTests(TLSCase):
    """
    L{HTTPConnection.leave}.
    """

    async def test_a_server_that_never_answers_it(self) -> None:
        """
        The farewell arrives, the socket is closed at once, nothing is left open, and the session can be resumed.
        """
        server = self.place(ClingingServer)
        assert isinstance(server, ClingingServer)
        for number in (1, 2):
            connection = await self.connect()
            response = await connection.send(request())
            self.assertEqual(await treq.content(response), b"hi")
            connection.leave()
            await until(lambda number=number: (server.closed, self.open) == (number, 0))  # type: ignore[misc]
        self.assertEqual((server.farewells, server.resumed), (2, [False, True]))

    async def test_many_requests(self) -> None:
        """
        Bodies of every size travel with their heads, one request after the other.
        """
        server = self.answering(OK)
        connection = await self.connect()
        for size in (0, 1, 16384, 100_000):
            server.received = b""
            await treq.content(await connection.send(request(bytes(size))))
            await until(lambda size=size: len(server.received) == len(HEAD) + size)  # type: ignore[misc]
        self.assertEqual((server.accepted, self.events), (1, ["idle"] * 4))
        self.assertTrue(connection.transport.getTcpNoDelay())

    async def test_nothing_waits_for_the_garbage_collector(self) -> None:
        """
        Of a connection that both sides have closed nothing is left.
        """
        self.place(TicketServer)
        self.addCleanup(gc.enable)
        gc.disable()
        connection = await self.connect()
        await treq.content(await connection.send(request()))
        await until(lambda: self.open == 0)
        left = ref(connection)
        del connection
        self.assertIsNone(left())

    def test_declarations_stay(self) -> None:
        """
        What Twisted declares of every connection is not made anew for each.
        """
        declared = [ref(Provides(BoundedTLSTransport, interface)) for interface in implementedBy(Client)]
        gc.collect()
        self.assertNotIn(None, [one() for one in declared])

    async def ending(self, *, farewell: bool) -> Reading:
        """
        Read a body without a length.
        """
        self.patch(ticket_server, "ANSWER", b"HTTP/1.1 200 OK\r\n\r\nhi")
        self.place(TicketServer, farewell=farewell)
        reading = Reading()
        (await (await self.connect()).send(request())).deliverBody(reading)
        await until(lambda: bool(reading.ends))
        return reading

    async def test_a_body_that_ends_with_a_farewell(self) -> None:
        """
        The server's farewell completes a body without a length.
        """
        reading = await self.ending(farewell=True)
        self.assertEqual((reading.data, reading.end), (b"hi", PotentialDataLoss))

    async def test_a_body_that_ends_without(self) -> None:
        """
        RFC 9112, section 9.8: a connection that ends without one may have been cut.
        """
        reading = await self.ending(farewell=False)
        self.assertEqual((reading.data, reading.end), (b"hi", ResponseFailed))


class PaceTests(TLSCase):
    """
    Back-pressure, both ways.
    """

    async def test_a_body_that_nobody_reads(self) -> None:
        """
        Of a large body no more is kept than what was on the way; the rest comes when it is wanted.
        """
        size = 10 * MEGABYTE
        self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        connection = await self.connect()
        response = await connection.send(request())
        await until(lambda: connection._paused)
        body = connection._body
        assert body is not None
        for _ in range(20):
            await deferLater(reactor, 0)
        self.assertLessEqual(sum(map(len, body._kept)), READ_AHEAD + 64 * 1024)
        self.assertEqual(len(await read_body(response, size)), size)
        self.assertEqual(self.events, ["idle"])

    async def test_a_server_that_does_not_read(self) -> None:
        """
        A body is produced no faster than it is taken, and cancelling frees everything.
        """
        server = self.answering(b"", DeafServer)
        producer = Endless()
        connection = await self.connect()
        sending = connection.send(request(producer))
        seen: list[int] = []
        await until(lambda: seen.append(producer.written) or seen[-20:].count(producer.written) == 20)  # type: ignore[func-returns-value]
        self.assertEqual((producer.told[-1], producer.written < 32 * MEGABYTE), ("pause", True))
        sending.cancel()
        await self.assertFailure(sending, CancelledError)
        await until(lambda: self.open == 0)
        self.assertEqual((producer.told[-1], self.events, server.accepted), ("stop", ["lost"], 1))

    async def test_a_server_that_refuses_a_body(self) -> None:
        """
        The response counts, the rest of the body is not sent, and the connection ends.
        """
        server = self.answering(OK.replace(b"200 OK", b"413 Too Large"))
        producer = Endless()
        response = await (await self.connect()).send(request(producer))
        self.assertEqual((response.code, await read_body(response, 2)), (413, b"hi"))
        await until(lambda: (self.open, server.connected) == (0, 0))
        self.assertEqual((producer.told[-1], self.events), ("stop", ["lost"]))
