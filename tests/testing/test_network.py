"""
Tests of C{matrix_federation_agent.testing._network}.
"""

from __future__ import annotations

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    ConnectingCancelledError,
    UserError,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.wire import Echo

from tests.testing.case import ReactorCase
from tests.testing.plain_client import Answered, Listener, OneClient, tls_options


class ConnectTests(ReactorCase):
    """
    Connections to virtual addresses.
    """

    async def test_virtual_addresses_lead_to_listeners(self) -> None:
        """
        Either family connects, and the peer is the virtual address that was dialled.
        """
        self.federation.listen_tcp("192.0.2.1", 443, Factory.forProtocol(Echo))
        self.federation.listen_tcp("2001:db8::1", 80, Factory.forProtocol(Echo))
        four, six = await self.connect("192.0.2.1", 443), await self.connect("2001:DB8:0::1", 80)
        peers = [connected.transport.getPeer() for connected in (four, six)]  # type: ignore[union-attr]
        self.assertEqual(peers, [IPv4Address("TCP", "192.0.2.1", 443), IPv6Address("TCP", "2001:db8::1", 80)])
        self.assertEqual(self.federation.dialled, [("192.0.2.1", 443), ("2001:db8::1", 80)])

    async def test_everything_else_is_refused(self) -> None:
        """
        Neither another virtual port, nor this machine, nor a name leads anywhere.
        """
        self.federation.listen_tcp("192.0.2.1", 443, Factory.forProtocol(Echo))
        for host, port in (("192.0.2.1", 80), ("127.0.0.1", 443), ("localhost", 443), ("2001:db8::1", 443)):
            await self.assertFailure(self.connect(host, port), error.ConnectionRefusedError)
        self.assertEqual(len(self.federation.dialled), 4)

    async def test_a_closed_place_refuses(self) -> None:
        """
        L{LoopbackFederation.close} aborts what is connected, and the place can be used again.
        """
        self.federation.listen_tcp("192.0.2.1", 443, Factory.forProtocol(Echo))
        connected = await self.connect("192.0.2.1", 443)
        await self.federation.close("192.0.2.1", 443)
        await connected.lost
        await self.assertFailure(self.connect("192.0.2.1", 443), error.ConnectionRefusedError)
        self.federation.listen_tcp("192.0.2.1", 443, Factory.forProtocol(Echo))
        self.assertIsInstance(await self.connect("192.0.2.1", 443), Listener)

    async def test_the_name_server_is_reached_unrecorded(self) -> None:
        """
        A resolver on this reactor may ask by TCP.
        """
        self.assertIsInstance(await self.connect(*self.federation.name_server.address), Listener)
        self.assertEqual(self.federation.dialled, [])

    async def test_refused_protocols(self) -> None:
        """
        A listener whose factory builds no protocol closes the connection, and does not count it.
        """
        factory = Factory.forProtocol(Protocol)
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]
        listening = self.federation.listen_tcp("192.0.2.1", 443, factory)
        await (await self.connect("192.0.2.1", 443)).lost
        self.assertEqual(listening.accepted, 0)

    async def test_tls_connections(self) -> None:
        """
        The reactor's own way to connect with TLS is led to virtual addresses too.
        """
        certificate = self.federation.certificates.issue("ex.example")
        self.federation.listen_tls("192.0.2.1", 443, Factory.forProtocol(Echo), certificate)
        listener = Answered(b"hello")
        self.reactor.connectSSL("192.0.2.1", 443, OneClient(listener), tls_options(self.federation, "ex.example"))
        self.assertEqual(await listener.answered, b"hello")


class BlackHoleTests(ReactorCase):
    """
    L{LoopbackFederation.black_hole}.
    """

    async def test_the_timeout_ends_it(self) -> None:
        """
        Nothing happens until the caller's timeout, in seconds, is over.
        """
        self.federation.black_hole("192.0.2.1", 443)
        self.federation.black_hole("2001:db8::1", 443)
        for host in ("192.0.2.1", "2001:db8::1"):
            began = self.reactor.seconds()
            await self.assertFailure(self.connect(host, 443, timeout=0.05), error.TimeoutError)
            self.assertGreater(self.reactor.seconds() - began, 0.04)

    async def test_cancelling_ends_it(self) -> None:
        """
        Cancelling leaves no delayed call behind, or trial would say so.
        """
        self.federation.black_hole("192.0.2.1", 443)
        attempt = self.connect("192.0.2.1", 443)
        attempt.cancel()
        await self.assertFailure(attempt, ConnectingCancelledError)

    async def test_closing_ends_it(self) -> None:
        """
        A place that was a black hole can refuse, and be used, again.
        """
        self.federation.black_hole("192.0.2.1", 443)
        await self.federation.close("192.0.2.1", 443)
        await self.assertFailure(self.connect("192.0.2.1", 443), error.ConnectionRefusedError)

    async def test_stopping_ends_it(self) -> None:
        """
        An attempt that nobody waits for any more does not outlive the federation.
        """
        self.federation.black_hole("192.0.2.1", 443)
        attempt = self.connect("192.0.2.1", 443)
        await self.federation.stop()
        await self.assertFailure(attempt, UserError)
