"""
CONFORMANCE 6: trust.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from trustme import CA
from twisted.internet.defer import Deferred, succeed
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from matrix_federation_agent import MatrixFederationAgent, TrustPolicy
from matrix_federation_agent._tls.objections import NO_ROOTS
from matrix_federation_agent.errors import (
    CertificateRejected,
    ConfigurationError,
    ConnectionFailed,
    HandshakeFailed,
)
from matrix_federation_agent.testing import Certificate
from tests.conformance.case import FederationCase, RawServer, Unhurried, watched

EX = "192.0.2.1"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ex.com")])


class TrustCase(FederationCase):
    """
    A federation in which C{ex.com} has an address.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.raw = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    def listen(self, certificate: Certificate, address: str = EX, port: int = 8448) -> None:
        """
        Let a server that keeps every byte show a certificate.
        """
        self.federation.listen_tls(address, port, self.raw, certificate)

    async def refused(
        self, certificate: Certificate, name: str = "ex.com", address: str = EX
    ) -> tuple[int | None, int, bytes, int]:
        """
        Send a request to a server that must be refused.

        @return: OpenSSL's code, the depth, the bytes that the server received inside TLS, and its connections.
        """
        self.listen(certificate, address)
        error = await self.fails(self.get(name), CertificateRejected)
        self.assertEqual((error.server_name, error.phase), (name, "tls"))
        return error.code, error.depth, self.raw.received, self.raw.accepted

    def agent(self, **settings: object) -> MatrixFederationAgent:
        """
        Make an agent that trusts the federation's root, with further settings.
        """
        settings.setdefault("ca_files", self.federation.trust.ca_files)
        settings.setdefault("use_system_roots", False)
        return self.federation.agent(trust=TrustPolicy(**settings))  # type: ignore[arg-type]


class RefusalTests(TrustCase):
    """
    T1: each is refused before any byte of HTTP is written.
    """

    async def test_T1_wrong_name(self) -> None:
        """
        A sound certificate for somebody else.
        """
        self.assertEqual(await self.refused(self.certificates.issue("ex.org", "com", "x.ex.com")), (None, 0, b"", 1))

    async def test_T1_expired(self) -> None:
        """
        OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
        """
        self.assertEqual(await self.refused(self.certificates.expired("ex.com")), (10, 0, b"", 1))

    async def test_T1_not_yet_valid(self) -> None:
        """
        OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID.
        """
        self.assertEqual(await self.refused(self.certificates.not_yet_valid("ex.com")), (9, 0, b"", 1))

    async def test_T1_unknown_root(self) -> None:
        """
        OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY.
        """
        self.assertEqual(await self.refused(self.certificates.unknown_root("ex.com")), (20, 0, b"", 1))

    async def test_T1_self_signed(self) -> None:
        """
        OpenSSL's X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT.
        """
        self.assertEqual(await self.refused(self.certificates.self_signed("ex.com")), (18, 0, b"", 1))

    async def test_T1_address_not_in_the_san(self) -> None:
        """
        An IP literal needs its own address in the certificate.
        """
        certificate = self.certificates.issue("192.0.2.2", "ex.com")
        self.assertEqual(await self.refused(certificate, EX), (None, 0, b"", 1))

    async def test_T1_address_as_a_name(self) -> None:
        """
        An address that is written in a DNS name proves nothing.
        """
        names = x509.SubjectAlternativeName([x509.DNSName(EX)])
        self.assertEqual(await self.refused(self.special(names), EX), (None, 0, b"", 1))

    async def test_T1_wildcards_have_one_label(self) -> None:
        """
        A wildcard stands for one label.
        """
        self.dns.add_address("a.b.ex.com", EX)
        self.assertEqual(await self.refused(self.certificates.issue("*.ex.com"), "a.b.ex.com"), (None, 0, b"", 1))

    async def test_a_wildcard_is_accepted(self) -> None:
        """
        A wildcard for the leftmost label is good.
        """
        self.dns.add_address("a.ex.com", EX)
        self.listen(self.certificates.issue("*.ex.com"))
        self.assertEqual((await self.get("a.ex.com")).code, 200)

    async def test_T1_not_for_servers(self) -> None:
        """
        OpenSSL's X509_V_ERR_INVALID_PURPOSE: a certificate of a client.
        """
        usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([x509.DNSName("ex.com")])
        self.assertEqual(await self.refused(self.special(names, usage)), (26, 0, b"", 1))

    async def test_T2_no_san(self) -> None:
        """
        A commonName is no identity.
        """
        self.assertEqual(await self.refused(self.certificates.without_san("ex.com")), (None, 0, b"", 1))

    async def test_T2_email_only_san(self) -> None:
        """
        A subjectAltName without a DNS name or address is none.
        """
        names = x509.SubjectAlternativeName([x509.RFC822Name("root@ex.com")])
        self.assertEqual(await self.refused(self.special(names)), (None, 0, b"", 1))

    async def test_T2_empty_san(self) -> None:
        """
        Neither is an empty one.
        """
        empty = x509.UnrecognizedExtension(x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x00")
        self.assertEqual((await self.refused(self.special(empty)))[2:], (b"", 1))

    async def test_T2_malformed_san(self) -> None:
        """
        One that is no DER is refused, by OpenSSL or by us, and never an untyped error.
        """
        self.assertEqual((await self.refused(self.certificates.malformed_san("ex.com")))[2:], (b"", 1))

    async def test_T2_san_of_garbage_names(self) -> None:
        """
        Names that are no names do not match, and the listing of them in the error does not fail.
        """
        garbage = b"\x30\x0e" + b"\x82\x05\xff\xfe\x00\x01\x02" + b"\x87\x03\x01\x02\x03" + b"\x88\x00"
        extension = x509.UnrecognizedExtension(x509.oid.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, garbage)
        self.assertEqual((await self.refused(self.special(extension)))[2:], (b"", 1))

    def special(self, *extensions: x509.ExtensionType) -> Certificate:
        """
        Issue a certificate that the kit does not make, under a root that the federation's agents trust.
        """
        return special_certificate(Path(self.federation.trust.ca_files[0]), *extensions)


def special_certificate(trusted: Path, *extensions: x509.ExtensionType) -> Certificate:
    """
    Issue a certificate with any extensions.

    @param trusted: a file of roots, to which its new root is added.
    """
    now = datetime.now(UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root {key.private_numbers().private_value}"[:60])])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    signed = []
    for subject, public, found in (
        (root_name, root_key.public_key(), [authority]),
        (NAME, key.public_key(), extensions),
    ):
        builder = x509.CertificateBuilder(root_name, subject, public, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in found:
            builder = builder.add_extension(extension, critical=extension is authority)
        signed.append(builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    trusted.write_bytes(trusted.read_bytes() + signed[0])
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return Certificate(signed[1], key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


class ExemptionTests(TrustCase):
    """
    T3 and T4: who needs no certificate.
    """

    async def test_T3_an_exempt_domain(self) -> None:
        """
        An exempt name connects unverified, with TLS and with SNI.
        """
        certificate = watched(self.certificates.self_signed("nobody"))
        self.listen(certificate)
        response = await self.get("ex.com", self.agent(exempt_domains=["ex.com"]))
        self.assertEqual((response.code, certificate.sni), (200, [b"ex.com"]))

    async def test_T3_globs_and_case(self) -> None:
        """
        Patterns and names compare without case, and a star stands for any text.
        """
        for name in ("EX.com", "a.b.LON.example"):
            self.dns.add_address(name, EX)
        self.listen(self.certificates.expired("nobody"))
        agent = self.agent(exempt_domains=["ex.COM", "*.lon.Example"])
        self.assertEqual([(await self.get(name, agent)).code for name in ("EX.com", "a.b.LON.example")], [200, 200])

    async def test_T3_no_other_name(self) -> None:
        """
        A glob covers neither the domain above it nor a name that merely ends alike.
        """
        self.dns.add_address("notex.com", EX)
        self.listen(self.certificates.self_signed("nobody"))
        for name in ("ex.com", "notex.com"):
            await self.fails(self.get(name, self.agent(exempt_domains=["*.ex.com"])), CertificateRejected)
        self.assertEqual(self.raw.received, b"")

    async def test_T3_an_exempt_srv_target_exempts_nobody(self) -> None:
        """
        What DNS says decides no exemption.
        """
        self.dns.add_address("t.net", "192.0.2.5")
        self.dns.add_service("_matrix-fed._tcp.ex.com", "t.net", 8443)
        self.listen(self.certificates.issue("t.net"), "192.0.2.5", 8443)
        await self.fails(self.get("ex.com", self.agent(exempt_domains=["t.net"])), CertificateRejected)
        self.assertEqual(self.raw.received, b"")

    async def test_T3_an_exempt_name_may_delegate(self) -> None:
        """
        The document of an exempt host counts unverified, but the delegate must prove itself.
        """
        self.federation.serve_well_known(
            "ex.com", {"m.server": f"{EX}:4242"}, certificate=self.certificates.self_signed("nobody")
        )
        self.listen(self.certificates.issue("ex.com"), EX, 4242)
        await self.fails(self.get("ex.com", self.agent(exempt_domains=["ex.com"])), CertificateRejected)
        self.assertEqual(self.federation.dialled, [(EX, 443), (EX, 4242)])

    def test_T3_settings(self) -> None:
        """
        A U-label, an address and a text instead of a list are configuration errors.
        """
        for setting in (["bücher.example"], ["10.0.0.1"], "ex.com", [b"ex.com"], [""]):
            error = self.assertRaises(ConfigurationError, TrustPolicy, exempt_domains=setting)
            self.assertEqual(error.setting, "exempt_domains")

    def test_T3_none_is_empty(self) -> None:
        """
        L{None} in a setting with several values is none of them.
        """
        nothing = TrustPolicy(ca_files=None, exempt_domains=None, exempt_networks=None)
        self.assertEqual(nothing, TrustPolicy())

    async def test_T4_an_exempt_network(self) -> None:
        """
        A connection to an address in an exempt network is not verified.
        """
        self.listen(self.certificates.self_signed("nobody"))
        self.assertEqual((await self.get("ex.com", self.agent(exempt_networks=["192.0.2.0/31"]))).code, 200)

    async def test_T4_the_address_that_is_dialled_decides(self) -> None:
        """
        Of two targets with bad certificates only the one inside the network is used.
        """
        for number, address in enumerate(["198.51.100.9", EX]):
            self.dns.add_address(f"t{number}.net", address)
            self.dns.add_service("_matrix-fed._tcp.ex.com", f"t{number}.net", 8448, priority=number)
        outside = self.federation.serve_homeserver("x", "198.51.100.9", 8448)
        inside = self.federation.serve_homeserver("y", EX, 8448)
        await self.get("ex.com", self.agent(exempt_networks=["192.0.2.0/24"]))
        self.assertEqual((outside.connections, len(outside.requests), len(inside.requests)), (1, 0, 1))

    async def test_T4_another_address_of_the_same_name(self) -> None:
        """
        A name with an address in the network is verified at its other address.
        """
        self.dns.add_address("ex.com", "2001:db8::7")
        self.listen(self.certificates.self_signed("nobody"), "2001:db8::7")
        agent = self.agent(exempt_networks=["192.0.2.0/24"])
        error = await self.fails(self.get("ex.com", agent), ConnectionFailed)
        self.assertEqual([type(attempt.error) for attempt in error.attempts], [CertificateRejected, ConnectionFailed])

    async def test_T4_mapped_ipv6(self) -> None:
        """
        A mapped IPv6 address lies where its IPv4 does, in the address and in the setting.
        """
        self.dns.add_address("mapped.example", "::ffff:192.0.2.9")
        self.listen(self.certificates.self_signed("nobody"), "::ffff:192.0.2.9")
        self.listen(self.certificates.self_signed("nobody"))
        mapped = await self.get("mapped.example", self.agent(exempt_networks=["192.0.2.9/32"]))
        plain = await self.get("ex.com", self.agent(exempt_networks=["::ffff:192.0.2.0/120"]))
        self.assertEqual((mapped.code, plain.code), (200, 200))

    async def test_T4_literals(self) -> None:
        """
        A literal in the network needs no certificate, and one outside needs one.
        """
        agent = self.agent(exempt_networks=["192.0.2.0/31"])
        self.listen(self.certificates.self_signed("nobody"))
        self.listen(self.certificates.self_signed("nobody"), "192.0.2.2")
        self.assertEqual((await self.get(EX, agent)).code, 200)
        await self.fails(self.get("192.0.2.2", agent), CertificateRejected)

    async def test_T4_well_known_hosts(self) -> None:
        """
        The network holds for the host of a document as well.
        """
        certificate = self.certificates.self_signed("nobody")
        self.federation.serve_well_known("ex.com", {"m.server": f"{EX}:4242"}, certificate=certificate)
        self.listen(self.certificates.issue(EX), EX, 4242)
        agent = self.agent(exempt_networks=["192.0.2.0/24"])
        self.assertEqual((await self.get("ex.com", agent)).code, 200)
        self.assertEqual(self.federation.dialled, [(EX, 443), (EX, 4242)])


class RootsTests(TrustCase):
    """
    T6: which roots count.
    """

    def file(self, content: bytes) -> str:
        """
        Write a file.
        """
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def set_environment(self, name: str, value: str) -> None:
        """
        Change the environment, OpenSSL's view of it included.
        """
        before = os.environ.get(name)
        self.addCleanup(os.environ.pop, name)
        if before is not None:
            self.addCleanup(os.environ.__setitem__, name, before)
        os.environ[name] = value

    async def trusted(self, **settings: object) -> int:
        """
        Send a request under some settings.
        """
        self.listen(self.certificates.issue("ex.com"))
        response = await self.get("ex.com", self.agent(**settings))
        return int(response.code)

    async def distrusted(self, **settings: object) -> CertificateRejected:
        """
        Send a request that must be refused under some settings.
        """
        self.listen(self.certificates.issue("ex.com"))
        return await self.fails(self.get("ex.com", self.agent(**settings)), CertificateRejected)

    async def test_T6_several_certificates_in_a_file(self) -> None:
        """
        Every certificate in a file is a root, the last one too.
        """
        others = [CA().cert_pem.bytes() for _ in range(2)]
        path = self.file(b"# a comment\n" + others[0] + b"\n" + others[1] + self.certificates.root_pem)
        self.assertEqual(await self.trusted(ca_files=[path]), 200)

    async def test_T6_several_files(self) -> None:
        """
        Every file counts, paths of either kind.
        """
        first, second = self.file(CA().cert_pem.bytes()), Path(self.file(self.certificates.root_pem))
        self.assertEqual(await self.trusted(ca_files=[first, second]), 200)

    async def test_T6_beside_the_system_roots(self) -> None:
        """
        Files and the system's roots count together.
        """
        self.set_environment("SSL_CERT_FILE", self.file(CA().cert_pem.bytes()))
        self.assertEqual(await self.trusted(use_system_roots=True), 200)

    async def test_T6_the_system_roots(self) -> None:
        """
        The system's roots are OpenSSL's defaults, which its environment variable replaces.
        """
        self.set_environment("SSL_CERT_FILE", self.file(self.certificates.root_pem))
        self.assertEqual(await self.trusted(ca_files=[], use_system_roots=True), 200)

    async def test_T6_instead_of_the_system_roots(self) -> None:
        """
        The system's roots do not count where they are not wanted.
        """
        self.set_environment("SSL_CERT_FILE", self.file(self.certificates.root_pem))
        other = self.file(CA().cert_pem.bytes())
        self.assertEqual((await self.distrusted(ca_files=[other], use_system_roots=False)).code, 20)

    async def test_T6_no_roots_at_all(self) -> None:
        """
        When the system has no roots the error says so.
        """
        self.set_environment("SSL_CERT_FILE", self.file(b""))
        self.set_environment("SSL_CERT_DIR", self.mktemp())
        error = await self.distrusted(ca_files=[], use_system_roots=True)
        self.assertIn(NO_ROOTS, error.reason)

    async def test_T6_roots_that_do_not_help(self) -> None:
        """
        When there are roots the error does not say otherwise.
        """
        error = await self.distrusted(ca_files=[self.file(CA().cert_pem.bytes())])
        self.assertNotIn(NO_ROOTS, error.reason)

    def test_T6_unusable_files(self) -> None:
        """
        An empty, missing, malformed or foreign file is a configuration error when the agent is made.
        """
        pem = self.certificates.root_pem
        make: Callable[..., object] = self.agent
        files = [self.file(content) for content in (b"", b"garbage", pem[:-40], pem + pem[:200] + b"\n" + pem[-28:])]
        files.append(self.file(self.certificates.issue("x").private_key_pem))
        for path in (*files, self.mktemp(), str(Path(files[0]).parent)):
            error = self.assertRaises(ConfigurationError, make, ca_files=[path])
            self.assertEqual(error.setting, "ca_files", path)

    def test_T6_one_bad_file_among_good_ones(self) -> None:
        """
        One unusable file is enough.
        """
        good = self.file(self.certificates.root_pem)
        error = self.assertRaises(ConfigurationError, self.agent, ca_files=[good, self.file(b"")])
        self.assertEqual((error.setting, error.phase), ("ca_files", "configuration"))


class VersionTests(TrustCase):
    """
    T8: which TLS is spoken.
    """

    async def handshake_fails(self, agent: MatrixFederationAgent | None = None) -> HandshakeFailed:
        """
        Send a request that must fail in the handshake, before any byte of HTTP.
        """
        error = await self.fails(self.get("ex.com", agent), HandshakeFailed)
        self.assertEqual(self.raw.received, b"")
        return error

    async def test_T8_only_tls_1_1(self) -> None:
        """
        A server that offers only TLS 1.1 is refused.
        """
        self.listen(self.certificates.old_tls("ex.com"))
        self.assertEqual((await self.handshake_fails()).phase, "tls")

    async def test_T8_minimum_1_3(self) -> None:
        """
        With a minimum of 1.3 a server that offers TLS 1.2 is refused.
        """
        self.listen(watched(self.certificates.issue("ex.com"), SSL.TLS1_2_VERSION))
        error = await self.handshake_fails(self.agent(minimum_tls="1.3"))
        self.assertEqual(error.server_name, "ex.com")
        self.assertIn("protocol version", error.reason)

    async def test_T8_tls_1_2_by_default(self) -> None:
        """
        With the default minimum that server is good.
        """
        self.listen(watched(self.certificates.issue("ex.com"), SSL.TLS1_2_VERSION))
        self.assertEqual((await self.get("ex.com")).code, 200)

    async def test_T1_with_tls_1_2(self) -> None:
        """
        Over TLS 1.2 a bad certificate is refused before any byte of HTTP as well.
        """
        self.listen(watched(self.certificates.expired("ex.com"), SSL.TLS1_2_VERSION))
        error = await self.fails(self.get("ex.com"), CertificateRejected)
        self.assertEqual((error.code, self.raw.received), (10, b""))

    def test_T8_minimum_versions(self) -> None:
        """
        Nothing older than TLS 1.2 can be set.
        """
        for version in ("1.0", "1.1", "", None, 1.2, "2"):
            error = self.assertRaises(ConfigurationError, TrustPolicy, minimum_tls=version)
            self.assertEqual(error.setting, "minimum_tls")


@implementer(IBodyProducer)
class UnstartedProducer(Unhurried):
    """
    A body that notes whether anybody wanted it.
    """

    length = 5
    started = False

    def startProducing(self, consumer: object) -> Deferred[None]:
        """
        Note it.
        """
        self.started = True
        return succeed(None)


class BodyTests(TrustCase):
    """
    What a refused server sees of a request.
    """

    async def test_nothing_of_a_body_is_produced(self) -> None:
        """
        The producer of a request's body is not even started.
        """
        self.listen(self.certificates.expired("ex.com"))
        producer = UnstartedProducer()
        uri = b"matrix-federation://ex.com/_matrix/federation/v1/send/1"
        sending = self.federation.agent().request(b"PUT", uri, None, producer)
        await self.fails(sending, CertificateRejected)
        self.assertEqual((producer.started, self.raw.received), (False, b""))
