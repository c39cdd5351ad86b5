"""
Tests of C{matrix_federation_agent._connect.inspection} and of C{MatrixFederationAgent.check}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.python.failure import Failure

from matrix_federation_agent import ConnectionPolicy, Inspection, LocatedTarget, TrustPolicy
from matrix_federation_agent._connect.handshake import BoundedTLSTransport
from matrix_federation_agent._connect.inspection import AT_ONCE, _first_end, _seen, inspected, shown
from matrix_federation_agent.errors import CertificateRejected, ConnectionFailed, InvalidServerName, TimedOut
from matrix_federation_agent.testing import Certificate, Certificates, Fault
from tests.case import TestCase
from tests.conformance.case import FederationCase, RawServer, WatchedCertificate, until, watched
from tests.connect.in_memory import IDENTITY, trusting
from tests.connect.test_dialer import DialerCase, target
from tests.connect.test_handshake import HandshakeCase

EX = "192.0.2.1"
NOW = datetime(2026, 5, 6, tzinfo=UTC)


@attrs.frozen
class OneServer(WatchedCertificate):
    """
    A certificate whose server has one memory of sessions, at however many addresses it listens.
    """

    made: list[IOpenSSLContextFactory] = attrs.field(factory=list)

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Make the TLS settings of the server, once.
        """
        if not self.made:
            self.made.append(super().context_factory())
        return self.made[0]


def parsed(certificate: Certificate) -> x509.Certificate:
    """
    Read a certificate as any client would.
    """
    return x509.load_pem_x509_certificate(certificate.certificate_pem)


def made(common_name: str, names: list[str], days: int = 9) -> crypto.X509:
    """
    Make a certificate that nobody trusts.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=days))
    if names:
        general = x509.SubjectAlternativeName(map(x509.DNSName, names))
        builder = builder.add_extension(general, critical=False)
    return crypto.X509.from_cryptography(builder.sign(key, hashes.SHA256()))


class CheckCase(FederationCase):
    """
    A federation in which C{ex.com} has an address.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.raw = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", closes=False)
        self.agent = self.federation.agent()

    def listen(self, certificate: Certificate, address: str = EX, port: int = 8448) -> None:
        """
        Let a server that keeps every byte show a certificate.
        """
        self.federation.listen_tls(address, port, self.raw, certificate)

    async def inspections(self, name: str = "ex.com", **settings: Any) -> list[Inspection]:
        """
        Check a server, by an agent with other settings where there are any.
        """
        agent = self.federation.agent(**settings) if settings else self.agent
        route = await agent.check(name)
        return [one for located in route.targets for one in located.inspections]


class SightTests(CheckCase):
    """
    What an inspection tells.
    """

    async def test_a_verified_server(self) -> None:
        """
        What TLS agreed on, and what the certificate says.
        """
        certificate = self.certificates.issue("ex.com", "192.0.2.9")
        self.listen(certificate)
        (seen,) = await self.inspections()
        expected = parsed(certificate)
        assert seen.certificate is not None
        self.assertEqual(
            (seen.address, seen.error, seen.tls_version, seen.chain_length, seen.exempt, seen.transparency),
            (EX, None, "TLSv1.3", 1, None, None),
        )
        self.assertEqual(seen.certificate.names, ("ex.com", "192.0.2.9"))
        self.assertEqual(
            (seen.certificate.subject, seen.certificate.issuer, seen.certificate.not_before, seen.valid_until),
            (
                "CN=ex.com",
                expected.issuer.rfc4514_string(),
                expected.not_valid_before_utc,
                expected.not_valid_after_utc,
            ),
        )
        self.assertEqual(seen.certificate.not_after, expected.not_valid_after_utc)

    async def test_a_root_that_expires_before_the_certificate(self) -> None:
        """
        Trust ends with the first of the chain, whichever that is.
        """
        self.listen(self.certificates.issue("ex.com", not_after=datetime(9000, 1, 1, tzinfo=UTC)))
        (seen,) = await self.inspections()
        root = x509.load_pem_x509_certificate(self.certificates.root_pem)
        self.assertEqual(seen.valid_until, root.not_valid_after_utc)

    async def test_what_was_agreed_on(self) -> None:
        """
        An older server speaks the older version, with one of its ciphers.
        """
        self.listen(watched(self.certificates.issue("ex.com"), SSL.TLS1_2_VERSION))
        (seen,) = await self.inspections()
        self.assertEqual((seen.tls_version, seen.cipher), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))

    async def test_a_refused_certificate(self) -> None:
        """
        The error is the one that a request would have met.
        """
        self.listen(self.certificates.expired("ex.com"))
        (seen,) = await self.inspections()
        assert isinstance(seen.error, CertificateRejected)
        self.assertEqual((seen.address, seen.error.code, seen.certificate, seen.tls_version), (EX, 10, None, ""))

    async def test_no_connection(self) -> None:
        """
        Who refuses TCP, or is silent in TLS, is a failed inspection, within the usual limits.
        """
        self.federation.add_server("a.test", fault=Fault.REFUSED_PORT)
        self.federation.add_server("b.test", fault=Fault.SILENT_TLS)
        hasty = ConnectionPolicy(tls_timeout=0.2)
        found = [(await self.inspections(name, connections=hasty))[0].error for name in ("a.test", "b.test")]
        self.assertEqual(
            [(type(one), one and one.phase) for one in found], [(ConnectionFailed, "tcp"), (TimedOut, "tls")]
        )

    async def test_T4_exempt(self) -> None:
        """
        An unchecked certificate is shown with the rule, and says nothing of when trust ends.
        """
        self.listen(self.certificates.expired("nobody"))
        trust = TrustPolicy(use_system_roots=False, exempt_networks=["192.0.2.0/24"])
        (seen,) = await self.inspections(trust=trust)
        assert seen.certificate is not None
        self.assertEqual(
            (seen.error, seen.exempt, seen.certificate.names, seen.valid_until),
            (None, "network 192.0.2.0/24", ("nobody",), None),
        )

    async def test_an_exempt_certificate_that_cannot_be_read(self) -> None:
        """
        Nothing is shown of it, and nothing fails.
        """
        self.listen(self.certificates.malformed_san("ex.com"))
        (seen,) = await self.inspections(trust=TrustPolicy(use_system_roots=False, exempt_domains=["ex.com"]))
        self.assertEqual((seen.error, seen.certificate, seen.chain_length), (None, None, 1))

    async def test_the_delegated_name_must_answer(self) -> None:
        """
        A check goes the way of requests, SNI included.
        """
        self.federation.serve_well_known("ex.com", {"m.server": "m.test"})
        self.serve("m.test", "192.0.2.2")
        self.dns.add_address("m.test", "192.0.2.2")
        (seen,) = await self.inspections()
        self.assertEqual((seen.address, seen.error, self.sni), ("192.0.2.2", None, [b"m.test"]))


class ConnectionTests(CheckCase):
    """
    What a check does to the server, and to the agent.
    """

    async def test_not_a_byte_of_http(self) -> None:
        """
        The connection is made, verified and ended at once.
        """
        self.listen(self.certificates.issue("ex.com"))
        await self.inspections()
        await until(lambda: self.raw.connected == 0)
        self.assertEqual((self.raw.accepted, self.raw.received), (1, b""))

    async def test_every_address_of_every_target(self) -> None:
        """
        A sound address hides none that is not; the order is that of the route.
        """
        for host, port, address in (("a.test", 1, "192.0.2.3"), ("a.test", 1, "192.0.2.4"), ("b.test", 2, "192.0.2.5")):
            self.dns.add_address(host, address)
            self.listen(self.certificates.issue("ex.com" if address != "192.0.2.4" else "no.test"), address, port)
        self.dns.add_service("_matrix-fed._tcp.ex.com", "a.test", 1, priority=1)
        self.dns.add_service("_matrix-fed._tcp.ex.com", "b.test", 2, priority=2)
        route = await self.agent.check("ex.com")
        found = [[(one.address, one.error is None) for one in located.inspections] for located in route.targets]
        self.assertEqual(
            [sorted(one) for one in found], [[("192.0.2.3", True), ("192.0.2.4", False)], [("192.0.2.5", True)]]
        )
        self.assertEqual(
            [tuple(address for address, _ in one) for one in found], [one.addresses for one in route.targets]
        )

    async def test_T5_no_session_is_offered(self) -> None:
        """
        A check after a request makes a full handshake, and leaves the session to the next request.
        """
        self.listen(self.certificates.issue("ex.com"))
        for _ in range(2):
            await self.get("ex.com", self.agent)
            self.agent._pool.retire()
            await self.inspections()
        counted = self.agent.counters.snapshot()
        self.assertEqual((counted["tls.verified"], counted["tls.resumed"]), (3, 1))

    async def test_T5_no_session_is_kept(self) -> None:
        """
        A request after a check makes a full handshake.
        """
        self.listen(self.certificates.issue("ex.com"))
        await self.inspections()
        await self.get("ex.com", self.agent)
        self.assertEqual(self.agent.counters.snapshot()["tls.verified"], 2)

    async def test_T5_no_session_within_a_check(self) -> None:
        """
        Each address proves itself, also where the ones before it left a session (in TLS 1.2, at once).
        """
        issued = self.certificates.issue("a.test")
        certificate = OneServer(issued.certificate_pem, issued.private_key_pem, newest=SSL.TLS1_2_VERSION)
        for number in range(2, 2 + 2 * AT_ONCE):
            self.dns.add_address("a.test", f"192.0.2.{number}")
            self.listen(certificate, f"192.0.2.{number}")
        await self.inspections("a.test:8448")
        counted = {name: number for name, number in self.agent.counters.snapshot().items() if name.startswith("tls.")}
        self.assertEqual(counted, {"tls.verified": 2 * AT_ONCE})

    async def test_denied_addresses_are_not_dialled(self) -> None:
        """
        The address policy holds, and its refusal stands in the route.
        """
        self.federation.add_server("a.test", fault=Fault.PRIVATE_ADDRESS)
        route = await self.agent.check("a.test")
        (located,) = route.targets
        self.assertEqual((located.inspections, len(located.refused), self.federation.dialled), ((), 1, []))

    async def test_a_server_that_is_nowhere(self) -> None:
        """
        A route that leads nowhere is the answer; a name that is none is an error.
        """
        self.federation.add_server("a.test", "4", Fault.NO_SERVICE)
        route = await self.agent.check("a.test")
        self.assertEqual((route.targets, route.failure is None), ((), False))
        await self.fails(self.agent.check("a/b"), InvalidServerName)

    async def test_closing_the_agent_ends_it(self) -> None:
        """
        Nothing is left of a check that waits for a silent server.
        """
        for address in ("192.0.2.1", "192.0.2.2"):
            self.federation.black_hole(address, 8448)
        self.dns.add_address("ex.com", "192.0.2.2")
        checking = self.agent.check("ex.com:8448")
        await until(lambda: len(self.federation.dialled) == 2)
        await self.agent.close()
        await self.assertFailure(checking, CancelledError)


class BoundTests(DialerCase):
    """
    How much is looked at.
    """

    def inspect(self, policy: ConnectionPolicy, *targets: LocatedTarget) -> Deferred[tuple[LocatedTarget, ...]]:
        """
        Begin to look.
        """
        return Deferred.fromCoroutine(inspected(self.dialer(policy), IDENTITY, targets))

    def located(self, name: str, *last: int) -> LocatedTarget:
        """
        Make a target with some addresses.
        """
        return LocatedTarget(target(name), tuple(f"192.0.2.{number}" for number in last))

    def test_a_few_side_by_side(self) -> None:
        """
        The next is dialled when one has ended.
        """
        self.inspect(ConnectionPolicy(), self.located("a.test", 1, 2), self.located("b.test", 3, 4, 5, 6))
        first = [one.split()[0][-1] for one in self.dialled]
        self.refuse()
        self.assertEqual((first, len(first), len(self.dialled)), (["1", "2", "3", "4"], AT_ONCE, AT_ONCE + 1))

    def test_as_many_as_a_request_would_try(self) -> None:
        """
        So many targets, and so many addresses of them all.
        """
        targets = [self.located("a.test", 1, 2), self.located("b.test", 3, 4), self.located("c.test", 5)]
        looking = self.inspect(ConnectionPolicy(max_targets=2, max_addresses=3), *targets)
        for connector in range(3):
            factory: Any = self.reactor.tcpClients[connector][2]
            factory.clientConnectionFailed(self.reactor.connectors[connector], Failure(ConnectError()))
        found = self.successResultOf(looking)
        self.assertEqual([len(one.inspections) for one in found], [2, 1, 0])
        self.assertEqual(([one.addresses for one in found], len(self.dialled)), ([one.addresses for one in targets], 3))

    def test_targets_beyond_the_limit(self) -> None:
        """
        They are left as they are, also when addresses could still be looked at.
        """
        targets = [self.located("a.test", 1), self.located("b.test", 3)]
        self.inspect(ConnectionPolicy(max_targets=1), *targets)
        self.assertEqual(self.dialled, ["192.0.2.1 8448"])

    def test_T7_roots_that_are_replaced_meanwhile(self) -> None:
        """
        What is looked at is looked at by the roots of now.
        """
        dialer = self.dialer()
        looking = Deferred.fromCoroutine(inspected(dialer, IDENTITY, [self.located("a.test", 1)]))
        wire = self.accept("ex.com")
        dialer._trust.succeed(trusting(Certificates(), Path(self.mktemp())))
        wire.pump()
        self.accept("ex.com").pump()
        (located,) = self.successResultOf(looking)
        self.assertEqual(len(self.dialled), 2)
        self.assertIsInstance(located.inspections[0].error, CertificateRejected)

    def test_cancelling(self) -> None:
        """
        What is pending is stopped, and what waits is never dialled.
        """
        looking = self.inspect(ConnectionPolicy(), self.located("a.test", 1, 2, 3, 4, 5))
        looking.cancel()
        self.failureResultOf(looking, CancelledError)
        self.assertEqual((len(self.dialled), {one.stoppedConnecting for one in self.reactor.connectors}), (4, {True}))
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class CertificateTests(TestCase):
    """
    L{shown}: what a stranger's certificate may do.
    """

    def test_many_names(self) -> None:
        """
        Twenty are kept, and the number of the others.
        """
        found = shown(made("a", [f"n{number}.test" for number in range(23)]))
        assert found is not None
        self.assertEqual((len(found.names), found.names[-1], found.more_names), (20, "n19.test", 3))

    def test_no_names(self) -> None:
        """
        A certificate without a subjectAltName names nobody.
        """
        found = shown(made("a", []))
        assert found is not None
        self.assertEqual((found.names, found.more_names, found.subject), ((), 0, "CN=a"))

    def test_control_characters(self) -> None:
        """
        They are escaped, and other scripts are not.
        """
        found = shown(made("\x1b[2J\N{SNOWMAN}\u202e", ["a\n.test"]))
        assert found is not None
        name = "CN=\\x1b[2J\N{SNOWMAN}\\u202e"
        self.assertEqual((found.subject, found.issuer, found.names), (name, name, ("a\\n.test",)))

    def test_long_texts(self) -> None:
        """
        They are cut.
        """
        found = shown(made("a", ["x" * 1000]))
        assert found is not None
        self.assertEqual([len(name) for name in found.names], [255])

    def test_the_first_end(self) -> None:
        """
        Of a chain, the certificate that expires first counts.
        """
        chain = [made("a", [], days=days) for days in (9, 3, 7)]
        self.assertEqual((_first_end(chain), _first_end([])), (NOW + timedelta(days=3), None))

    def test_a_chain_that_cannot_be_read(self) -> None:
        """
        Its end is not known.
        """

        for error in (ValueError("x"), x509.InvalidVersion("x", 1)):

            class Unreadable:
                def to_cryptography(self, error: Exception = error) -> x509.Certificate:
                    raise error

            self.assertIsNone(_first_end([made("a", []), cast("crypto.X509", Unreadable())]))


class TransparencyTests(HandshakeCase):
    """
    What the check knows of Certificate Transparency.
    """

    def test_it_is_told_in_words(self) -> None:
        """
        Whatever stands for it, its text is kept.
        """
        handshake = self.good()
        handshake.wire.pump()
        vars(handshake.creator)["transparency"] = 5
        transport = cast("BoundedTLSTransport", handshake.protocol.transport)
        self.assertEqual(_seen(EX, transport).transparency, "5")
