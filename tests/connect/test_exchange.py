"""
Tests of C{matrix_federation_agent._connect.exchange}.
"""

from __future__ import annotations

import treq
from twisted.internet.defer import Deferred

from matrix_federation_agent import ConnectionPolicy, ServerName
from matrix_federation_agent._connect.destination import Destination, https_host_header
from matrix_federation_agent._connect.exchange import Exchange
from matrix_federation_agent._connect.slots import Slots
from matrix_federation_agent._uri import parse_uri
from matrix_federation_agent.errors import ConnectionFailed, ResponseFailed
from tests.conformance.case import FederationCase, RawServer, until

EX = "192.0.2.1"
KEEP_ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class AddressingTests(FederationCase):
    """
    Where an https URI leads.
    """

    def test_host_headers(self) -> None:
        """
        Port 443 is left out, however it is written, and no other.
        """
        names = ("ex.com", "ex.com:443", "ex.com:00443", "ex.com:8443", "[::1]", "[::1]:443", "1.2.3.4:443")
        headers = [https_host_header(ServerName.parse(name)) for name in names]
        expected = [b"ex.com", b"ex.com", b"ex.com", b"ex.com:8443", b"[::1]", b"[::1]", b"1.2.3.4"]
        self.assertEqual(headers, expected)

    async def test_targets(self) -> None:
        """
        Without a port it is 443.
        """
        names = ("ex.com", "ex.com:80", "[2001:db8::1]", "[2001:db8::1]:80")
        destinations = [Destination.of_https(ServerName.parse(name)) for name in names]
        targets = [str(target) for destination in destinations for target in await destination.targets()]
        self.assertEqual(targets, ["ex.com:443", "ex.com:80", "[2001:db8::1]:443", "[2001:db8::1]:80"])


class ExchangeTests(FederationCase):
    """
    L{Exchange}.
    """

    def setUp(self) -> None:
        """
        Give C{ex.com} its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.slots = Slots(10, lambda: False)

    def exchange(self, limit: int = 10**6) -> Exchange:
        """
        Make an exchange, which is aborted at the end.
        """
        dialer = self.federation.agent()._dialer
        exchange = Exchange(self.federation.reactor, dialer, ConnectionPolicy(), b"Construct/2", limit, self.slots)
        self.addCleanup(exchange.abort)
        return exchange

    def raw(self, answer: bytes) -> RawServer:
        """
        Let C{ex.com} answer with bytes.
        """
        server = RawServer(answer, closes=False)
        self.federation.listen_tls(EX, 443, server, self.certificates.issue("ex.com"))
        return server

    async def test_the_request(self) -> None:
        """
        A GET with Host and User-Agent.
        """
        server = self.raw(KEEP_ALIVE)
        response = await self.exchange().get(parse_uri(b"https://ex.com/a?b"))
        self.assertEqual(await treq.content(response), b"hi")
        head, *fields = server.received.rstrip().split(b"\r\n")
        self.assertEqual(head, b"GET /a?b HTTP/1.1")
        self.assertEqual(set(fields), {b"Host: ex.com", b"User-Agent: Construct/2"})

    async def test_no_connection_is_kept(self) -> None:
        """
        A connection is closed once its response was read.
        """
        server = self.raw(KEEP_ALIVE)
        await self.exchange().get(parse_uri(b"https://ex.com/"))
        await until(lambda: server.connected == 0)
        self.assertEqual(server.accepted, 1)

    async def test_one_connection_at_a_time(self) -> None:
        """
        The response before, of which nobody has read the rest, is given up.
        """
        server, exchange = self.raw(b"HTTP/1.1 302 Found\r\nContent-Length: 99\r\n\r\nhi"), self.exchange()
        for _ in range(2):
            await exchange.get(parse_uri(b"https://ex.com/"))
        await until(lambda: server.connected < 2)
        self.assertEqual((server.accepted, server.connected), (2, 1))

    async def test_it_counts(self) -> None:
        """
        It has one slot from its first request to its end, be there one free or not.
        """
        self.raw(KEEP_ALIVE)
        self.slots = Slots(1, lambda: False)
        first, second, taken = self.exchange(), self.exchange(), [self.slots.taken]
        for exchange in (first, first, second):
            await exchange.get(parse_uri(b"https://ex.com/"))
            taken.append(self.slots.taken)
        for exchange in (first, first, second):
            exchange.abort()
            taken.append(self.slots.taken)
        self.assertEqual(taken, [0, 1, 1, 2, 1, 1, 0])

    async def test_abort(self) -> None:
        """
        Aborting drops the connection of a response that nobody has read.
        """
        server = self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi")
        exchange = self.exchange()
        await exchange.get(parse_uri(b"https://ex.com/"))
        self.assertEqual(server.connected, 1)
        exchange.abort()
        await until(lambda: server.connected == 0)

    async def test_abort_leaves_others_alone(self) -> None:
        """
        Aborting ends the connections of this exchange only.
        """
        server = self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi")
        first, second = self.exchange(), self.exchange()
        for exchange in (first, second):
            await exchange.get(parse_uri(b"https://ex.com/"))
        first.abort()
        await until(lambda: server.connected < 2)
        self.assertEqual(server.connected, 1)

    async def test_the_limit(self) -> None:
        """
        A head that is longer than the limit, beyond what TLS needs, is cut off.
        """
        server = self.raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)
        getting = Deferred.fromCoroutine(self.exchange(1000).get(parse_uri(b"https://ex.com/")))
        await self.fails(getting, ResponseFailed)
        await until(lambda: server.connected == 0)

    async def test_failures_are_ours(self) -> None:
        """
        A refused connection is a typed error that names the host.
        """
        getting = Deferred.fromCoroutine(self.exchange().get(parse_uri(b"https://ex.com:444/")))
        error = await self.fails(getting, ConnectionFailed)
        self.assertEqual((error.server_name, error.phase), ("ex.com:444", "tcp"))
