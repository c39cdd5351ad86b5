"""
Tests of C{matrix_federation_agent.testing._reactor}.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.protocol import Factory
from twisted.protocols.wire import Echo
from zope.interface.verify import verifyObject

from matrix_federation_agent.testing._hostnames import ZoneHostnameResolver
from matrix_federation_agent.testing._zone import Zone
from tests.testing.case import ReactorCase


class InterfaceTests(ReactorCase):
    """
    What L{LoopbackReactor} provides.
    """

    def test_interfaces(self) -> None:
        """
        It is a reactor, of the kind that it wraps.
        """
        provided = (IReactorTCP, IReactorSSL, IReactorUDP, IReactorTime, IReactorPluggableNameResolver, IReactorCore)
        self.assertEqual([verifyObject(interface, self.reactor) for interface in provided], [True] * 6)

    def test_time_is_the_wrapped_reactors(self) -> None:
        """
        Delayed calls are made there.
        """
        call = self.reactor.callLater(60, self.fail)
        self.assertIn(call, self.reactor.getDelayedCalls())
        call.cancel()
        self.assertFalse(call.active())

    def test_a_name_resolver_can_be_installed(self) -> None:
        """
        It replaces the one of this reactor, not that of the real one.
        """
        before = reactor.nameResolver  # type: ignore[attr-defined]
        mine = ZoneHostnameResolver(Zone())
        previous = self.reactor.installNameResolver(mine)
        self.assertIsInstance(previous, ZoneHostnameResolver)
        self.assertIs(self.reactor.nameResolver, mine)
        self.assertIs(reactor.nameResolver, before)  # type: ignore[attr-defined]

    async def test_it_listens_by_tls_on_the_real_one(self) -> None:
        """
        C{listenSSL} listens as it would on the wrapped reactor.
        """
        context = self.federation.certificates.issue("ex.example").context_factory()
        port = self.reactor.listenSSL(0, Factory.forProtocol(Echo), context, interface="127.0.0.1")
        self.assertEqual(port.getHost().host, "127.0.0.1")  # type: ignore[attr-defined]
        await port.stopListening()  # type: ignore[misc]
