"""
Tests of C{matrix_federation_agent._tls.https_policy} and C{matrix_federation_agent._tls.gated}.
"""

from __future__ import annotations

import gc
from pathlib import Path
from time import time
from typing import Any, cast
from weakref import ref

import attrs
from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLContextFactory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer
from zope.interface.verify import verifyObject

from matrix_federation_agent import ServerName, TrustPolicy, https_policy
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._tls.gated import dialled_address
from matrix_federation_agent._tls.https_policy import HTTPSPolicy, host_of
from matrix_federation_agent._tls.trust import Trust, TrustGeneration
from matrix_federation_agent.errors import (
    CertificateRejected,
    ConfigurationError,
    HandshakeFailed,
    InvalidServerName,
)
from matrix_federation_agent.testing import Certificate, Certificates
from tests.case import TestCase
from tests.connect.in_memory import Application, Applications, Wire, tls_server, trusting


class PolicyTests(TestCase):
    """
    L{https_policy}.
    """

    def test_interfaces(self) -> None:
        """
        It is what Twisted takes, for good names and for others.
        """
        policy = https_policy(TrustPolicy())
        creators = [policy.creatorForNetloc(host, 443) for host in (b"ex.com", b"no name")]
        self.assertTrue(verifyObject(IPolicyForHTTPS, policy))
        self.assertEqual([verifyObject(IOpenSSLClientConnectionCreator, one) for one in creators], [True, True])

    def test_unusable_files(self) -> None:
        """
        A file that cannot be used is an error at once.
        """
        error = self.assertRaises(ConfigurationError, https_policy, TrustPolicy(ca_files=[self.mktemp()]))
        self.assertEqual(error.setting, "ca_files")


class HostTests(TestCase):
    """
    L{host_of}.
    """

    def test_hosts(self) -> None:
        """
        Names and addresses, as C{URI} has them and as people write them.
        """
        hosts = [b"ex.com", b"EX.com.", b"192.0.2.1", b"::1", b"[::1]", b"::ffff:192.0.2.1", b"localhost"]
        names = ["ex.com", "EX.com", "192.0.2.1", "[::1]", "[::1]", "[::ffff:192.0.2.1]", "localhost"]
        self.assertEqual([str(host_of(host)) for host in hosts], names)

    def test_no_hosts(self) -> None:
        """
        Everything else is refused, a port in the name among it.
        """
        hosts = [b"", b".", b"a..", b"my_host", b"b\xc3\xbccher.de", b"ex.com:443", b"[::1]:443", b"ex.com:", b"::g"]
        for host in [*hosts, b"u@ex.com", b"127.1", b"0x7f", b"fe80::1%eth0", b"*.ex.com", b"x" * 256, b"a\0b"]:
            self.assertRaises(InvalidServerName, host_of, host)


class DialledTests(TestCase):
    """
    L{dialled_address}.
    """

    def dialled(self, peer: Any, host: str = "ex.com") -> str | None:
        """
        Ask about a connection to port 443 of a host.
        """
        found = dialled_address(peer, Target(ServerName.parse(host), 443))
        return None if found is None else str(found)

    def test_addresses(self) -> None:
        """
        The address of an IP connection, of either family.
        """
        peers = [IPv4Address("TCP", "192.0.2.1", 443), IPv6Address("TCP", "2001:db8:0::1", 443)]
        self.assertEqual([self.dialled(peer) for peer in peers], ["192.0.2.1", "2001:db8::1"])

    def test_no_addresses(self) -> None:
        """
        Other transports, other ports, and texts that are no addresses.
        """
        peers = [
            UNIXAddress(b"/run/x"),
            object(),
            None,
            *(IPv4Address("TCP", "192.0.2.1", port) for port in (80, 3128)),
        ]
        peers += [IPv4Address("TCP", text, 443) for text in ("127.1", "ex.com", "")]
        self.assertEqual([self.dialled(peer) for peer in peers], [None] * 8)

    def test_literals(self) -> None:
        """
        A literal is dialled at its own address, or not at all; a mapped one is its IPv4.
        """
        peer = IPv4Address("TCP", "192.0.2.1", 443)
        hosts = ["192.0.2.1", "[::ffff:192.0.2.1]", "192.0.2.2", "[2001:db8::1]"]
        self.assertEqual([self.dialled(peer, host) for host in hosts], ["192.0.2.1", "192.0.2.1", None, None])


class ConnectionCase(TestCase):
    """
    Connections in memory, in Twisted's own TLS.
    """

    def setUp(self) -> None:
        """
        Trust one root.
        """
        super().setUp()
        self.certificates = Certificates()
        self.generation = trusting(self.certificates, Path(self.mktemp()))
        self.received = Applications()

    def connect(self, certificate: Certificate, peer: object = None, host: bytes = b"ex.com", **settings: Any) -> Lost:
        """
        Connect, and write at once.

        @param peer: what the transport says of its other end.
        """
        self.generation.policy = attrs.evolve(self.generation.policy, max_sessions=0, **settings)
        policy = HTTPSPolicy(Trust(self.generation), time)
        return self.wire(policy.creatorForNetloc(host, 443), certificate, peer)

    def wire(self, creator: Any, certificate: Certificate, peer: object) -> Lost:
        """
        Make the two ends, and let them shake hands.
        """
        clock = Clock()
        application = Lost()
        factory = TLSMemoryBIOFactory(creator, True, Applications(lambda: application), clock)
        # Twisted's buffering one is in a cycle of its own before 26.10.
        factory.protocol = TLSMemoryBIOProtocol
        client = factory.buildProtocol(None)
        assert client is not None
        self.client, self.connection = ref(client), lambda: None
        wire = Wire(client, tls_server(certificate, self.received, clock))
        wire.client.transport.peerAddr = peer
        if client.getHandle() is not None:
            self.connection = ref(client.getHandle())
        client.write(b"hello")
        for _ in range(3):
            wire.pump()
            clock.advance(1)
        client.loseConnection()
        wire.pump()
        wire.close()
        return application

    @property
    def arrived(self) -> bytes:
        """
        What the server received.
        """
        return b"".join(one.data for one in self.received.built if one is not None)


class Lost(Application):
    """
    An application that keeps why its connection ended.
    """

    reason: BaseException | None = None

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Keep it, without the frames that it came through, and let the connection go.
        """
        self.transport = None
        self.reason = None if reason.value is None else reason.value.with_traceback(None)


class GateTests(ConnectionCase):
    """
    L{GatedConnection <matrix_federation_agent._tls.gated.GatedConnection>}.
    """

    def test_accepted(self) -> None:
        """
        What was written before the handshake arrives after it.
        """
        self.connect(self.certificates.issue("ex.com"))
        self.assertEqual(self.arrived, b"hello")

    def test_refused(self) -> None:
        """
        The application learns why, in our own error.
        """
        lost = self.connect(self.certificates.expired("ex.com"))
        assert isinstance(lost.reason, CertificateRejected)
        self.assertEqual((lost.reason.code, lost.reason.server_name, self.arrived), (10, "ex.com", b""))

    def test_an_anonymous_server(self) -> None:
        """
        OpenSSL asks no check where there is no certificate; the handshake is refused all the same.
        """
        self.generation.context.set_cipher_list(b"aNULL:@SECLEVEL=0")
        self.generation.context.set_max_proto_version(SSL.TLS1_2_VERSION)
        lost = self.connect(Anonymous(b"", b""))
        self.assertEqual((type(lost.reason), self.arrived), (HandshakeFailed, b""))

    def test_a_name_that_is_none(self) -> None:
        """
        Nothing at all is sent to what is no name, by any exemption.
        """
        lost = self.connect(
            self.certificates.self_signed("x"),
            IPv4Address("TCP", "192.0.2.1", 443),
            b"no_name",
            exempt_domains=["*"],
            exempt_networks=["0.0.0.0/0"],
        )
        self.assertEqual((type(lost.reason), self.arrived), (InvalidServerName, b""))

    def test_an_unknown_transport(self) -> None:
        """
        Where the other end is no IP address, no network exempts it.
        """
        for peer in (UNIXAddress(b"/run/x"), IPv4Address("TCP", "192.0.2.1", 3128), None):
            lost = self.connect(self.certificates.self_signed("x"), peer, exempt_networks=["0.0.0.0/0", "::/0"])
            self.assertIs(type(lost.reason), CertificateRejected)
        self.assertEqual(self.arrived, b"")

    def test_a_transport_that_fails(self) -> None:
        """
        An error in the search for the address refuses the certificate, a good one too, and is its cause.
        """
        lost = self.connect(
            self.certificates.issue("ex.com"),
            IPv4Address("TCP", "192.0.2.1", Explosive(443)),
            exempt_networks=["0.0.0.0/0"],
        )
        cause = None if lost.reason is None else lost.reason.__cause__
        self.assertEqual((type(lost.reason), type(cause), self.arrived), (CertificateRejected, KeyError, b""))


class HandshakeTests(ConnectionCase):
    """
    What Twisted is told.
    """

    def test_a_refused_handshake_is_not_complete(self) -> None:
        """
        The call that would complete it raises OpenSSL's error, after the application was told why.
        """
        self.generation.retired = True
        protocol = Told()
        creator = HTTPSPolicy(Trust(self.generation), time).creatorForNetloc(b"ex.com", 443)
        client = creator.clientConnectionForTLS(cast("Any", protocol))
        server = SSL.Connection(self.certificates.issue("ex.com").context_factory().getContext(), None)
        client.set_connect_state()
        server.set_accept_state()
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        server.bio_write(client.bio_read(65536))
        self.assertRaises(SSL.WantReadError, server.do_handshake)
        client.bio_write(server.bio_read(65536))
        error = self.assertRaises(SSL.Error, client.do_handshake)
        self.assertEqual((type(error), protocol.told), (SSL.Error, [HandshakeFailed]))


class Told:
    """
    Stands in for Twisted's protocol.
    """

    def __init__(self) -> None:
        self.told: list[type[BaseException] | None] = []

    def failVerification(self, reason: Failure) -> None:
        """
        Keep it.
        """
        self.told.append(reason.type)


class Anonymous(Certificate):
    """
    A server without any certificate.
    """

    def context_factory(self) -> Any:
        """
        Make its settings.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"aNULL:@SECLEVEL=0")
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        return AnonymousFactory(context)


@implementer(IOpenSSLContextFactory)
@attrs.frozen
class AnonymousFactory:
    """
    The settings of such a server.
    """

    context: SSL.Context

    def getContext(self) -> SSL.Context:
        """
        Give the one context.
        """
        return self.context


class Explosive(int):
    """
    A port that cannot be looked at.
    """

    __hash__ = int.__hash__

    def __ne__(self, other: object) -> bool:
        """
        Fail.
        """
        raise KeyError(other)


class FreedTests(ConnectionCase):
    """
    What stays of a connection.
    """

    def setUp(self) -> None:
        """
        Let nothing be collected.
        """
        super().setUp()
        self.addCleanup(gc.enable)
        gc.disable()

    def test_freed(self) -> None:
        """
        Neither the protocol nor OpenSSL's connection waits for the garbage collector, however it went.
        """
        exempt = IPv4Address("TCP", "192.0.2.1", 443)
        for certificate, peer in (
            (self.certificates.issue("ex.com"), None),
            (self.certificates.expired("ex.com"), None),
            (self.certificates.issue("ex.org"), None),
            (self.certificates.expired("ex.com"), exempt),
        ):
            self.connect(certificate, peer, exempt_networks=["192.0.2.0/24"])
            self.assertEqual((self.client(), self.connection()), (None, None))


class LogTests(ConnectionCase):
    """
    What the log has of exempt connections.
    """

    def setUp(self) -> None:
        """
        Listen to the log.
        """
        super().setUp()
        self.told = self.keep_log()

    @property
    def exemptions(self) -> list[Any]:
        """
        What was told of them.
        """
        return [(one["effective"], one["rule"], one["address"]) for one in self.told if "rule" in one]

    def test_exempt_connections_are_told_of(self) -> None:
        """
        The name, the rule and the address, once.
        """
        self.generation.policy = attrs.evolve(self.generation.policy, exempt_networks=["192.0.2.0/24"])
        policy = HTTPSPolicy(Trust(self.generation), time)
        for _ in range(2):
            creator = policy.creatorForNetloc(b"ex.com", 443)
            self.wire(creator, self.certificates.expired("x"), IPv4Address("TCP", "192.0.2.1", 443))
        self.assertEqual(self.exemptions, [("ex.com", "network 192.0.2.0/24", "192.0.2.1")])

    def test_no_others_are_told_of(self) -> None:
        """
        Neither verified connections nor refused ones.
        """
        self.connect(self.certificates.issue("ex.com"))
        self.assertEqual(self.arrived, b"hello")
        self.connect(self.certificates.expired("ex.com"))
        self.assertEqual(self.exemptions, [])


class ReloadTests(ConnectionCase):
    """
    L{HTTPSPolicy.reload_trust}.
    """

    def test_a_replaced_generation(self) -> None:
        """
        A handshake is refused at its end, an exempt one too, when its roots have been replaced.
        """
        self.generation.retired = True
        for domains in ([], ["*"]):
            lost = self.connect(self.certificates.issue("ex.com"), exempt_domains=domains)
            self.assertIs(type(lost.reason), HandshakeFailed)
        self.assertEqual(self.arrived, b"")

    def test_the_newest_generation(self) -> None:
        """
        A creator uses the roots of the moment at which it connects.
        """
        trust = Trust(self.generation)
        creator = HTTPSPolicy(trust, time).creatorForNetloc(b"ex.com", 443)
        trust.succeed(TrustGeneration.load(TrustPolicy(use_system_roots=False)))
        connection = creator.clientConnectionForTLS(cast("Any", Application()))
        self.assertIs(connection.get_context(), trust.generation.context)
