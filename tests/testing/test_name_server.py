"""
Tests of C{matrix_federation_agent.testing._name_server}.
"""

from __future__ import annotations

from twisted.internet import defer, reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DNSServerError

from matrix_federation_agent.testing import NameServer
from tests.case import TestCase
from tests.testing.plain_client import Listener

SERVICE = "_matrix-fed._tcp.ex.example"


class Datagrams(DatagramProtocol):
    """
    Keeps the first datagram that arrives.
    """

    def __init__(self) -> None:
        """
        Wait.
        """
        self.first: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        """
        Keep it.
        """
        self.first.callback(datagram)


class NameServerTests(TestCase):
    """
    L{NameServer}, asked by C{twisted.names}.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.server = NameServer.new(reactor, negative_ttl=17)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))
        self.client = client.Resolver(servers=[self.server.address], reactor=reactor, timeout=(0.05,))

    async def raw(self, name: str) -> bytes:
        """
        Ask for SRV records by UDP, and give the whole answer.
        """
        question = dns.Message(id=7, recDes=1)
        question.addQuery(name.encode(), dns.SRV)
        protocol = Datagrams()
        port: IListeningPort = reactor.listenUDP(0, protocol, interface="127.0.0.1")  # type: ignore[attr-defined]
        protocol.transport.write(question.toStr(), self.server.address)  # type: ignore[union-attr]
        try:
            return await protocol.first
        finally:
            await port.stopListening()  # type: ignore[misc]

    async def test_addresses_of_both_families(self) -> None:
        """
        A and AAAA records are answered, and the queries are recorded in lower case.
        """
        self.server.add_address("host.example", "192.0.2.1")
        self.server.add_address("host.example", "2001:db8::1")
        answers, _, _ = await self.client.lookupAddress("Host.example")
        self.assertEqual([answer.payload.dottedQuad() for answer in answers], ["192.0.2.1"])
        answers, _, _ = await self.client.lookupIPV6Address("host.example")
        self.assertEqual(answers[0].payload.address, bytes.fromhex("20010db8000000000000000000000001"))
        self.assertEqual(self.server.queries, [("host.example", "A"), ("host.example", "AAAA")])

    async def test_services(self) -> None:
        """
        Every field of an SRV record arrives.
        """
        self.server.add_service(SERVICE, "host.example", 8443, priority=10, weight=5, ttl=60)
        answers, _, _ = await self.client.lookupService(SERVICE)
        self.assertEqual([a.payload for a in answers], [dns.Record_SRV(10, 5, 8443, b"host.example", ttl=60)])

    async def test_the_root_target_is_the_root_on_the_wire(self) -> None:
        """
        The target C{.} is one zero byte, not a label that contains a dot.
        """
        self.server.add_service(SERVICE, ".", 0)
        answer = await self.raw(SERVICE)
        self.assertEqual(answer[-9:], bytes((0, 7)) + bytes(7))

    async def test_unknown_names(self) -> None:
        """
        NXDOMAIN carries an SOA record with the negative TTL.
        """
        failure = await self.assertFailure(self.client.lookupAddress("gone.example"), DNSNameError)
        (authority,) = failure.args[0].authority
        self.assertEqual((authority.type, authority.ttl, authority.payload.minimum), (dns.SOA, 17, 17))

    async def test_failures(self) -> None:
        """
        A scripted failure arrives as such.
        """
        self.server.fail("host.example")
        await self.assertFailure(self.client.lookupAddress("host.example"), DNSServerError)

    async def test_silence(self) -> None:
        """
        A silenced name is asked for, and never answered.
        """
        self.server.silence("host.example")
        await self.assertFailure(self.client.lookupAddress("host.example"), defer.TimeoutError)
        self.assertEqual(self.server.queries, [("host.example", "A")])

    async def test_long_answers_are_truncated(self) -> None:
        """
        By UDP an answer over 512 bytes is empty and says that it was truncated.
        """
        for number in range(30):
            self.server.add_service(SERVICE, f"host-{number}.example", 8443)
        answer = dns.Message()
        answer.fromStr(await self.raw(SERVICE))
        self.assertEqual((answer.trunc, answer.answers), (1, []))

    async def test_long_answers_are_whole_by_tcp(self) -> None:
        """
        By TCP every record arrives, and L{NameServer.stop} ends the connection.
        """
        for number in range(30):
            self.server.add_service(SERVICE, f"host-{number}.example", 8443)
        tcp = dns.DNSProtocol(Quiet(), reactor)
        await connectProtocol(TCP4ClientEndpoint(reactor, *self.server.address), tcp)
        message = await tcp.query([dns.Query(SERVICE.encode(), dns.SRV)])
        self.assertEqual(len(message.answers), 30)
        assert tcp.transport is not None
        tcp.transport.loseConnection()

    async def test_stop_aborts_connections(self) -> None:
        """
        Who is connected by TCP is cut off.
        """
        listener = Listener()
        await connectProtocol(TCP4ClientEndpoint(reactor, *self.server.address), listener)
        await self.server.stop()
        await listener.lost

    async def test_nonsense_is_ignored(self) -> None:
        """
        An answer instead of a question is not answered, so that two servers cannot talk for ever.
        """
        message = dns.Message(id=7, answer=1)
        message.addQuery(b"host.example")
        self.server.messageReceived(message, dns.DNSDatagramProtocol(self.server, reactor))
        self.assertEqual(self.server.queries, [])


class Quiet:
    """
    A controller that does nothing.
    """

    def connectionMade(self, protocol: object) -> None:
        """
        Do nothing.
        """

    def connectionLost(self, protocol: object) -> None:
        """
        Do nothing.
        """
