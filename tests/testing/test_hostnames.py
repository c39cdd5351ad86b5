"""
Tests of C{matrix_federation_agent.testing._hostnames}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import (
    DNSLookupError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
)
from twisted.internet.protocol import Factory
from twisted.protocols.wire import Echo
from zope.interface.verify import verifyObject

from matrix_federation_agent.testing._hostnames import ZoneHostnameResolver
from matrix_federation_agent.testing._zone import Zone
from tests.testing.case import ReactorCase
from tests.testing.plain_client import Listener


class HostnameTests(ReactorCase):
    """
    Names that are resolved by the reactor.
    """

    def test_interface(self) -> None:
        """
        L{ZoneHostnameResolver} is a host name resolver.
        """
        self.assertTrue(verifyObject(IHostnameResolver, ZoneHostnameResolver(Zone())))

    async def test_names_of_the_federation(self) -> None:
        """
        A host name endpoint finds a server by its name in the federation's DNS.
        """
        self.federation.listen_tcp("2001:db8::1", 80, Factory.forProtocol(Echo))
        self.federation.name_server.add_address("ex.example", "2001:db8::1")
        await connectProtocol(HostnameEndpoint(self.reactor, "ex.example", 80), Listener())
        self.assertEqual(self.federation.dialled, [("2001:db8::1", 80)])

    async def test_other_names(self) -> None:
        """
        Any other name, one of the real world included, has no address.
        """
        endpoint = HostnameEndpoint(self.reactor, "localhost", 80)
        await self.assertFailure(connectProtocol(endpoint, Listener()), DNSLookupError)

    async def test_silenced_names(self) -> None:
        """
        A silenced name is never resolved; waiting for it can be cancelled.
        """
        self.federation.name_server.silence("ex.example")
        attempt = connectProtocol(HostnameEndpoint(self.reactor, "ex.example", 80), Listener())
        self.assertNoResult(attempt)
        attempt.cancel()
        await self.assertFailure(attempt, CancelledError, DNSLookupError)
