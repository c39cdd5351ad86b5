"""
CONFORMANCE 6, trust, by C{https_policy}: for those who connect without the agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import treq
from cryptography import x509
from OpenSSL import SSL
from treq.client import HTTPClient
from trustme import CA
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.web.client import Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseNeverReceived

from matrix_federation_agent import TrustPolicy, https_policy
from matrix_federation_agent.errors import CertificateRejected, HandshakeFailed, InvalidServerName
from tests.conformance.case import FederationCase, RawServer, until, watched
from tests.conformance.test_trust import special_certificate

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from matrix_federation_agent._tls.https_policy import HTTPSPolicy
    from matrix_federation_agent.testing import Certificate

EX = "192.0.2.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class PolicyCase(FederationCase):
    """
    A federation in which C{ex.com} has an address, and whoever asks has a plain C{Agent}.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.raw = RawServer(OK)

    def listen(self, certificate: Certificate, address: str = EX, port: int = 8448) -> None:
        """
        Let a server that keeps every byte show a certificate.
        """
        self.federation.listen_tls(address, port, self.raw, certificate)

    def policy(self, **settings: Any) -> HTTPSPolicy:
        """
        Trust the federation's root, with further settings.
        """
        settings.setdefault("ca_files", self.federation.trust.ca_files)
        return https_policy(TrustPolicy(use_system_roots=False, **settings))

    async def get(self, host: str = "ex.com", policy: Any = None, path: str = ":8448/") -> Any:
        """
        Send a GET request by a plain C{Agent}.

        @return: the status.
        """
        agent = Agent(self.federation.reactor, contextFactory=policy or self.policy())
        response = await agent.request(b"GET", f"https://{host}{path}".encode("ascii"))
        await treq.content(response)
        return response.code

    async def refusal(self, host: str = "ex.com", policy: Any = None) -> BaseException | None:
        """
        Send a request that must fail before a byte of it is sent.

        @return: the one reason that the C{Agent} has.
        """
        with self.assertRaises(ResponseNeverReceived) as caught:
            await self.get(host, policy)
        ((reason,), received) = caught.exception.reasons, self.raw.received
        self.assertEqual(received, b"")
        error: BaseException | None = reason.value
        return error

    async def rejected(self, host: str = "ex.com", policy: Any = None) -> tuple[int | None, int]:
        """
        Send a request to a server whose certificate must be refused.

        @return: OpenSSL's code, and the depth.
        """
        error = await self.refusal(host, policy)
        assert isinstance(error, CertificateRejected), repr(error)
        return error.code, error.depth


class RefusalTests(PolicyCase):
    """
    T1 and T2: each is refused before any byte of HTTP is written.
    """

    async def test_T1_good(self) -> None:
        """
        A certificate that proves the name is accepted.
        """
        self.listen(self.certificates.issue("ex.com"))
        self.assertEqual((await self.get(), self.raw.accepted), (200, 1))

    async def test_T1_wrong_name(self) -> None:
        """
        A sound certificate for somebody else.
        """
        self.listen(self.certificates.issue("ex.org", "com", "x.ex.com"))
        self.assertEqual(await self.rejected(), (None, 0))

    async def test_T1_expired(self) -> None:
        """
        OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
        """
        self.listen(self.certificates.expired("ex.com"))
        self.assertEqual(await self.rejected(), (10, 0))

    async def test_T1_not_yet_valid(self) -> None:
        """
        OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID.
        """
        self.listen(self.certificates.not_yet_valid("ex.com"))
        self.assertEqual(await self.rejected(), (9, 0))

    async def test_T1_unknown_root(self) -> None:
        """
        OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY.
        """
        self.listen(self.certificates.unknown_root("ex.com"))
        self.assertEqual(await self.rejected(), (20, 0))

    async def test_T1_self_signed(self) -> None:
        """
        OpenSSL's X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT.
        """
        self.listen(self.certificates.self_signed("ex.com"))
        self.assertEqual(await self.rejected(), (18, 0))

    async def test_T1_address_not_in_the_san(self) -> None:
        """
        An IP literal needs its own address in the certificate.
        """
        self.listen(self.certificates.issue("192.0.2.2", "ex.com"))
        self.assertEqual(await self.rejected(EX), (None, 0))

    async def test_T1_not_for_servers(self) -> None:
        """
        OpenSSL's X509_V_ERR_INVALID_PURPOSE: a certificate of a client.
        """
        usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
        trusted = Path(self.federation.trust.ca_files[0])
        self.listen(special_certificate(trusted, x509.SubjectAlternativeName([x509.DNSName("ex.com")]), usage))
        self.assertEqual(await self.rejected(), (26, 0))

    async def test_T1_with_tls_1_2(self) -> None:
        """
        Over TLS 1.2 as well.
        """
        self.listen(watched(self.certificates.expired("ex.com"), SSL.TLS1_2_VERSION))
        self.assertEqual(await self.rejected(), (10, 0))

    async def test_T1_nothing_of_a_body_is_sent(self) -> None:
        """
        Twisted begins to produce a body before the handshake; none of it leaves.
        """
        self.listen(self.certificates.expired("ex.com"))
        client = HTTPClient(Agent(self.federation.reactor, contextFactory=self.policy()))
        with self.assertRaises(RequestTransmissionFailed) as caught:
            await client.put("https://ex.com:8448/", data=b"x" * 100_000)
        await until(lambda: self.raw.connected == 0)
        reasons = [reason.type for reason in caught.exception.reasons]
        self.assertEqual((reasons, self.raw.accepted, self.raw.received), ([CertificateRejected], 1, b""))

    async def test_T2_no_san(self) -> None:
        """
        A commonName is no identity.
        """
        self.listen(self.certificates.without_san("ex.com"))
        self.assertEqual(await self.rejected(), (None, 0))

    async def test_T2_malformed_san(self) -> None:
        """
        One that is no DER is refused, by OpenSSL or by us, and never an untyped error.
        """
        self.listen(self.certificates.malformed_san("ex.com"))
        self.assertIs(type(await self.refusal()), CertificateRejected)

    async def test_the_words(self) -> None:
        """
        The reason is the error that the agent would have, in the same words.
        """
        self.listen(self.certificates.unknown_root("ex.com"))
        plain = await self.refusal()
        own = await self.fails(self.ask("ex.com"), CertificateRejected)
        self.assertEqual(str(plain), str(own))

    async def test_T8_only_tls_1_1(self) -> None:
        """
        What OpenSSL ends without having seen a certificate has OpenSSL's own error.
        """
        self.listen(self.certificates.old_tls("ex.com"))
        self.assertIs(type(await self.refusal()), SSL.Error)

    async def test_T8_minimum_1_3(self) -> None:
        """
        With a minimum of 1.3 a server that offers TLS 1.2 is refused.
        """
        self.listen(watched(self.certificates.issue("ex.com"), SSL.TLS1_2_VERSION))
        self.assertIs(type(await self.refusal(policy=self.policy(minimum_tls="1.3"))), SSL.Error)


class ExemptionTests(PolicyCase):
    """
    T3 and T4: who needs no certificate.
    """

    async def test_T3_an_exempt_domain(self) -> None:
        """
        An exempt name connects unverified, with TLS and with SNI, and without regard to case.
        """
        certificate = watched(self.certificates.self_signed("nobody"))
        self.listen(certificate)
        code = await self.get("EX.com", self.policy(exempt_domains=["*.com"]))
        self.assertEqual((code, certificate.sni), (200, [b"ex.com"]))

    async def test_T3_no_other_name(self) -> None:
        """
        Other names must prove themselves.
        """
        self.listen(self.certificates.self_signed("nobody"))
        self.assertEqual(await self.rejected(policy=self.policy(exempt_domains=["*.ex.com"])), (18, 0))

    async def test_T4_an_exempt_network(self) -> None:
        """
        Whatever the certificate is, a connection to an address in an exempt network stands.
        """
        policy = self.policy(exempt_networks=["192.0.2.0/24"])
        issue = self.certificates
        makers = (issue.expired, issue.unknown_root, issue.self_signed, issue.without_san, issue.malformed_san)
        for port, make in enumerate(makers, 8000):
            self.listen(make("nobody"), port=port)
        codes = [await self.get(policy=policy, path=f":{port}/") for port, _ in enumerate(makers, 8000)]
        self.assertEqual(codes, [200] * 5)

    async def test_T4_each_connection_is_decided_anew(self) -> None:
        """
        A name that moves out of the network must prove itself, also where the same creator connects.
        """
        policy = self.policy(exempt_networks=["192.0.2.0/31"])
        creator = policy.creatorForNetloc(b"ex.com", 8448)
        for address in (EX, "192.0.2.2"):
            self.listen(self.certificates.self_signed("nobody"), address)
        ends = [await self.ended(creator, address, 8448) for address in (EX, "192.0.2.2", EX)]
        self.assertEqual(ends, [None, CertificateRejected, None])

    async def ended(self, creator: Any, address: str, port: int) -> type[BaseException] | None:
        """
        Connect, and write at once, as twisted.web does.

        @return: why the connection ended, or L{None} where an answer came.
        """
        lines = Lines()
        await wrapClientTLS(creator, HostnameEndpoint(self.federation.reactor, address, port)).connect(lines)
        await until(lambda: bool(lines.heard) or lines.lost is not None)
        return None if lines.heard else lines.lost

    async def test_T4_never_through_a_proxy(self) -> None:
        """
        The other end of a tunnel is the proxy: at another port, or at another address than the literal.
        """
        policy = self.policy(exempt_networks=["192.0.2.0/24"])
        self.listen(self.certificates.self_signed("nobody"), EX, 3128)
        for host, port in ((b"ex.com", 443), (b"192.0.2.9", 3128), (b"::1", 3128)):
            lost = await self.ended(policy.creatorForNetloc(host, port), EX, 3128)
            self.assertIs(lost, CertificateRejected, host)
        self.assertEqual(self.raw.received, b"")

    async def test_T4_literals(self) -> None:
        """
        A literal in the network needs no certificate, and one outside needs one; a mapped address is its IPv4.
        """
        policy = self.policy(exempt_networks=["192.0.2.0/31", "2001:db8::/64"])
        for address in (EX, "192.0.2.2", "2001:db8::1", "::ffff:192.0.2.1"):
            self.listen(self.certificates.self_signed("nobody"), address)
        hosts = (EX, "[2001:db8::1]", "[::ffff:192.0.2.1]")
        self.assertEqual([await self.get(host, policy) for host in hosts], [200, 200, 200])
        self.raw.received = b""
        self.assertEqual(await self.rejected("192.0.2.2", policy), (18, 0))

    async def test_T5_no_session(self) -> None:
        """
        No session is offered to a server that gave one, and each connection is a full handshake.
        """
        creator = self.policy().creatorForNetloc(b"ex.com", 8448)
        self.listen(self.certificates.issue("ex.com"))
        ends = [await self.ended(creator, EX, 8448) for _ in range(2)]
        offered = creator.clientConnectionForTLS(cast("Any", Lines())).get_session()
        self.assertEqual((ends, offered), ([None, None], None))

    async def test_T5_exempt_and_verified(self) -> None:
        """
        An exempt connection leaves nothing behind by which another would be accepted.
        """
        policy = self.policy(exempt_networks=["192.0.2.0/31"])
        self.dns.add_address("other.com", "192.0.2.2")
        for address in (EX, "192.0.2.2"):
            self.listen(self.certificates.self_signed("other.com"), address)
        self.assertEqual(await self.get(policy=policy), 200)
        self.raw.received = b""
        self.assertEqual(await self.rejected("other.com", policy), (18, 0))


class Lines(Protocol, Factory):
    """
    Writes a request as soon as Twisted says that it is connected, and keeps what comes.
    """

    noisy = False

    def __init__(self, creator: Any = None) -> None:
        """
        @param creator: with which to start TLS on the connection.
        """
        self.creator = creator
        self.heard = b""
        self.lost: type[BaseException] | None = None

    def buildProtocol(self, addr: object) -> Protocol:
        """
        One connection only.
        """
        return self

    def connectionMade(self) -> None:
        """
        Write.
        """
        assert self.transport is not None
        if self.creator is not None:
            self.transport.startTLS(self.creator)  # type: ignore[attr-defined]
        self.transport.write(b"GET / HTTP/1.1\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Keep why.
        """
        self.lost = reason.type


class NameTests(PolicyCase):
    """
    How an C{Agent} spells hosts.
    """

    async def test_ipv6(self) -> None:
        """
        A literal is proven as an address.
        """
        self.listen(self.certificates.issue("2001:db8::7"), "2001:db8::7")
        self.assertEqual(await self.get("[2001:DB8::7]"), 200)

    async def test_final_dot(self) -> None:
        """
        A name with its final dot is the same name; SNI has none.
        """
        certificate = watched(self.certificates.issue("ex.com"))
        self.listen(certificate)
        self.dns.add_address("ex.com.", EX)
        self.assertEqual((await self.get("EX.com."), certificate.sni), (200, [b"ex.com"]))

    async def test_no_name(self) -> None:
        """
        What is no name fails in the Deferred, before the handshake begins.
        """
        self.dns.add_address("ex.0x7f", EX)
        certificate = watched(self.certificates.issue("ex.0x7f"))
        self.listen(certificate)
        error = await self.refusal("ex.0x7f", self.policy(exempt_domains=["*"], exempt_networks=["0.0.0.0/0"]))
        self.assertEqual((type(error), certificate.sni), (InvalidServerName, []))


class DoorTests(PolicyCase):
    """
    Other ways in than a plain C{Agent}.
    """

    async def test_treq(self) -> None:
        """
        treq takes the C{Agent}, with a pool of connections.
        """
        self.listen(self.certificates.issue("ex.com"))
        self.raw.closes = False
        pool = HTTPConnectionPool(self.federation.reactor)
        client = HTTPClient(Agent(self.federation.reactor, contextFactory=self.policy(), pool=pool))
        bodies = [await (await client.get("https://ex.com:8448/")).content() for _ in range(2)]
        await pool.closeCachedConnections()
        self.assertEqual((bodies, self.raw.accepted), ([b"hi", b"hi"], 1))

    async def test_start_tls(self) -> None:
        """
        A connection that becomes TLS later is verified too.
        """
        self.listen(self.certificates.issue("ex.com"))
        self.listen(self.certificates.expired("ex.com"), "192.0.2.2")
        creator = self.policy().creatorForNetloc(b"ex.com", 8448)
        ends = [await self.started(creator, f"192.0.2.{number}") for number in (1, 2)]
        self.assertEqual(ends, [None, CertificateRejected])

    async def started(self, creator: Any, address: str) -> type[BaseException] | None:
        """
        Connect TCP, and only then start TLS.

        @return: why the connection ended, or L{None} where an answer came.
        """
        lines = Lines(creator)
        await HostnameEndpoint(self.federation.reactor, address, 8448).connect(lines)
        await until(lambda: bool(lines.heard) or lines.lost is not None)
        return None if lines.heard else lines.lost


class ReloadTests(PolicyCase):
    """
    T7: the roots change.
    """

    def setUp(self) -> None:
        """
        Trust a file that can be written.
        """
        super().setUp()
        self.file = Path(self.mktemp())
        self.file.write_bytes(self.certificates.root_pem)
        self.trusting = self.policy(ca_files=[self.file])
        self.listen(self.certificates.issue("ex.com"))

    async def test_T7_new_connections(self) -> None:
        """
        New connections are verified by the new roots.
        """
        self.file.write_bytes(CA().cert_pem.bytes())
        self.assertEqual(await self.get(policy=self.trusting), 200)
        self.trusting.reload_trust()
        self.raw.received = b""
        self.assertEqual(await self.rejected(policy=self.trusting), (20, 0))

    async def test_T7_a_creator_of_before(self) -> None:
        """
        So are those of a creator that was made before.
        """
        creator = self.trusting.creatorForNetloc(b"ex.com", 8448)
        self.file.write_bytes(CA().cert_pem.bytes())
        self.trusting.reload_trust()
        lines = Lines()
        await wrapClientTLS(creator, HostnameEndpoint(self.federation.reactor, EX, 8448)).connect(lines)
        await until(lambda: lines.lost is not None)
        self.assertEqual((lines.lost, self.raw.received), (CertificateRejected, b""))

    async def test_T7_a_broken_file(self) -> None:
        """
        A broken file leaves everything as it is, and says so.
        """
        self.file.write_bytes(b"")
        self.assertRaises(ValueError, self.trusting.reload_trust)
        self.assertEqual(await self.get(policy=self.trusting), 200)

    async def test_T7_a_handshake_under_way(self) -> None:
        """
        A handshake that began under the old roots is refused, though they were the same.
        """
        lines = Lines()
        endpoint = HostnameEndpoint(self.federation.reactor, EX, 8448)
        await wrapClientTLS(self.trusting.creatorForNetloc(b"ex.com", 8448), endpoint).connect(lines)
        self.trusting.reload_trust()
        await until(lambda: lines.lost is not None)
        self.assertEqual((lines.lost, self.raw.received), (HandshakeFailed, b""))
