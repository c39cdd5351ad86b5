"""
CONFORMANCE T1 and T2: a table of bad certificates and chains, each shown by a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from matrix_federation_agent import MatrixFederationAgent, TrustPolicy
from matrix_federation_agent.errors import CertificateRejected, FederationError
from tests.conformance.bad_certificates import (
    Extension,
    Issued,
    Recipe,
    Shown,
    authority,
    ca,
    common_name,
    dns,
    ip,
    leaf,
    oid,
    purpose,
    raw_san,
    tlv,
    usage,
    utc_time,
)
from tests.conformance.case import FederationCase, RawServer

EX = "192.0.2.1"
SAN = "2.5.29.17"
CONSTRAINTS = "2.5.29.19"
UNKNOWN = Extension("1.2.3.4", b"\x05\x00", critical=True)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

IDENTITY = (None, 0)
"""
The chain is sound, and the server's certificate does not name it.
"""


Reason = tuple[int | None, int]
Chain = tuple[tuple[Issued, ...], Issued]


@attrs.frozen
class Row:
    """
    What a server shows.

    @ivar make: makes the chain, from the server's own certificate on, and the root that the agent trusts.
    @ivar reason: the code and depth by which it is refused.
    @ivar asked: the name of the server.
    """

    make: Callable[[], Chain]
    reason: Reason = IDENTITY
    asked: str = "ex.com"


def naming(names: Extension | None, asked: str = "ex.com", subject: str = "a server") -> Row:
    """
    Show a certificate for certain names under the trusted root.

    @param names: L{None} leaves out the subjectAltName.
    """

    def make() -> Chain:
        root = ca("root")
        extensions = (root.key_identifier, *([names] if names else []))
        return (Recipe(common_name(subject), extensions).signed(root),), root

    return Row(make, asked=asked)


def having(*others: Extension, reason: Reason = IDENTITY, **changes: Any) -> Row:
    """
    Show a certificate for the right name under the trusted root, with something more or something else.
    """

    def make() -> Chain:
        root = ca("root")
        return (leaf(root, None, *others, **changes),), root

    return Row(make, reason)


def below(*others: Extension, reason: Reason, **changes: Any) -> Row:
    """
    Show a certificate for the right name under an intermediate one that has something else.
    """

    def make() -> Chain:
        root = ca("root")
        middle = ca("middle", root, *others, **changes)
        return (leaf(middle), middle), root

    return Row(make, reason)


def constrained(**subtrees: list[x509.GeneralName]) -> Extension:
    """
    Say for which names somebody may issue certificates.
    """
    permitted, excluded = subtrees.get("permitted_subtrees"), subtrees.get("excluded_subtrees")
    return Extension.of(x509.NameConstraints(permitted, excluded), critical=True)


def otherwise(kind: str, text: bytes) -> bytes:
    """
    Make an C{otherName} (RFC 5280, 4.2.1.6).
    """
    return tlv(0xA0, oid(kind), tlv(0xA0, tlv(0x16, text)))


NAMES: Mapping[str, Row] = {
    "another domain": naming(dns("ex.org")),
    "a sibling": naming(dns("b.ex.com"), "a.ex.com"),
    "the parent": naming(dns("ex.com"), "a.ex.com"),
    "a child": naming(dns("a.ex.com")),
    "a longer domain": naming(dns("ex.com.evil.org")),
    "a name that ends alike": naming(dns("notex.com")),
    "a wildcard two levels up": naming(dns("*.ex.com"), "a.b.ex.com"),
    "a wildcard below the name": naming(dns("*.ex.com")),
    "a wildcard of a top-level domain": naming(dns("*.com")),
    "a star alone": naming(dns("*")),
    "a partial wildcard": naming(dns("a*.ex.com"), "ab.ex.com"),
    "a wildcard that is not leftmost": naming(dns("a.*.com"), "a.ex.com"),
    "two stars": naming(dns("*.*.com"), "a.ex.com"),
    "a wildcard for an A-label": naming(dns("*.ex.com"), "xn--bcher-kva.ex.com"),
    "a U-label": naming(dns("bücher.ex.com"), "xn--bcher-kva.ex.com"),
    "Latin-1": naming(dns(b"b\xfccher.ex.com", "ex.com")),
    "commonName only": naming(None, subject="ex.com"),
    "no subjectAltName": naming(None),
    "an empty subjectAltName": naming(raw_san(), subject="ex.com"),
    "an e-mail address only": naming(raw_san(tlv(0x81, b"root@ex.com"))),
    "a URI only": naming(raw_san(tlv(0x86, b"https://ex.com"))),
    "an SRV name only": naming(raw_san(otherwise("1.3.6.1.5.5.7.8.7", b"_matrix-fed.ex.com"))),
    "an XMPP address only": naming(raw_san(otherwise("1.3.6.1.5.5.7.8.5", b"ex.com"))),
    "a directory name only": naming(raw_san(tlv(0xA4, common_name("ex.com")))),
    "an X.400 address beside": naming(raw_san(tlv(0x82, b"ex.com"), tlv(0xA3))),
    "an empty DNS name beside": naming(dns("ex.com", "")),
    "an embedded NUL": naming(dns(b"ex.com\0.evil.org")),
    "control characters": naming(dns(b"\x1b[31mex.com\r\nforged: line")),
    "a trailing dot in the certificate": naming(dns("ex.com.")),
    "a leading dot": naming(dns(".ex.com"), "a.ex.com"),
    "the server name with its port": naming(dns("ex.com:8448")),
    "an address as a DNS name": naming(dns(EX), EX),
    "a wildcard for an address": naming(dns("*.0.2.1"), EX),
    "a DNS name for an address": naming(dns("ex.com"), EX),
    "another address": naming(ip(b"\xc0\x00\x02\x02"), EX),
    "IPv4 mapped into IPv6": naming(ip(bytes(10) + b"\xff\xff\xc0\x00\x02\x01"), EX),
    "an address of three bytes": naming(ip(b"\xc0\x00\x02"), EX),
    "an address with a netmask": naming(ip(b"\xc0\x00\x02\x01\xff\xff\xff\x00"), EX),
    "an address for a name": naming(ip(b"\xc0\x00\x02\x01")),
    "a huge subjectAltName": naming(dns(*(f"{'x' * 40}{number}.example" for number in range(500)))),
    "an address beside, as a DNS name": naming(dns("ex.com", EX)),
    "a malformed URI beside": naming(raw_san(tlv(0x82, b"ex.com"), tlv(0x86, b"https://ex.com:8448/"))),
    "a subjectAltName of many names": naming(dns(*("a.io" for _ in range(4_000)))),
}

FORM: Mapping[str, Row] = {
    # Of what OpenSSL cannot read, it looks for no issuer.
    "a malformed subjectAltName": attrs.evolve(naming(Extension(SAN, b"\x30\x7f\xff")), reason=(20, 0)),
    "a subjectAltName that is none": attrs.evolve(naming(Extension(SAN, b"ex.com")), reason=(20, 0)),
    "two subjectAltNames": having(dns("ex.com"), reason=(20, 0)),
    "malformed basic constraints": having(Extension(CONSTRAINTS, b"\x30\x7f"), reason=(20, 0)),
    "a malformed key usage": having(Extension("2.5.29.15", b"\x30\x7f"), reason=(20, 0)),
    "malformed name constraints above": below(
        authority(), usage(ca=True), Extension("2.5.29.30", b"\x30\x7f", critical=True), reason=(20, 0)
    ),
    # OpenSSL reads no policies unless asked to, but cryptography does.
    "a malformed policy": having(Extension("2.5.29.32", b"\x30\x7f", critical=True)),
    "a path length without authority": having(Extension(CONSTRAINTS, tlv(0x30, tlv(0x02, b"\x00")))),
    "version 1": naming(None),
    "an unknown critical extension": having(UNKNOWN, reason=(34, 0)),
    "an unknown critical extension above": below(authority(), usage(ca=True), UNKNOWN, reason=(34, 1)),
    "a huge issuer": having(issuer=common_name("x" * 20_000), reason=(20, 0)),
    "a huge subject, expired": having(
        subject=common_name("x" * 20_000), begin=utc_time(-9), end=utc_time(-1), reason=(10, 0)
    ),
    "a malformed subject, expired": having(
        subject=tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x13, b"\xff\xfe")))),
        begin=utc_time(-9),
        end=utc_time(-1),
        reason=(10, 0),
    ),
    "a subject of control characters, expired": having(
        subject=common_name("\x1b[2J\r\nforged: line"), begin=utc_time(-9), end=utc_time(-1), reason=(10, 0)
    ),
}

USE: Mapping[str, Row] = {
    "for clients only": having(purpose("CLIENT_AUTH"), reason=(26, 0)),
    "for signing code only": having(purpose("CODE_SIGNING"), reason=(26, 0)),
    "a key that signs revocations only": having(usage(crl_sign=True), reason=(26, 0)),
    "a key that signs certificates only": having(usage(ca=True), reason=(26, 0)),
    "an authority for clients only": below(authority(), usage(ca=True), purpose("CLIENT_AUTH"), reason=(26, 1)),
    "an authority without basic constraints": below(usage(ca=True), reason=(79, 1)),
    "an authority that is marked as none": below(
        Extension.of(x509.BasicConstraints(ca=False, path_length=None)), reason=(79, 1)
    ),
    "an authority whose key may not sign": below(authority(), usage(digital_signature=True), reason=(79, 1)),
    "an authority for other names": below(
        authority(), usage(ca=True), constrained(permitted_subtrees=[x509.DNSName("ex.org")]), reason=(47, 0)
    ),
    "an authority for all names but these": below(
        authority(), usage(ca=True), constrained(excluded_subtrees=[x509.DNSName("com")]), reason=(48, 0)
    ),
}

DATES: Mapping[str, Row] = {
    "expired": having(begin=utc_time(-9), end=utc_time(-0.1), reason=(10, 0)),
    "not yet valid": having(begin=utc_time(0.1), end=utc_time(9), reason=(9, 0)),
    "ends before it begins": having(begin=utc_time(-1), end=utc_time(-2), reason=(10, 0)),
    "a malformed beginning": having(begin=tlv(0x17, b"991399999999Z"), reason=(13, 0)),
    "a malformed end": having(end=tlv(0x17, b"991399999999Z"), reason=(14, 0)),
    "an expired intermediate": below(begin=utc_time(-9), end=utc_time(-0.1), reason=(10, 1)),
    "an intermediate that is not yet valid": below(begin=utc_time(0.1), end=utc_time(9), reason=(9, 1)),
}


def expired_root() -> Chain:
    """
    An authority that is over.
    """
    root = ca("root", begin=utc_time(-9), end=utc_time(-0.1))
    return (leaf(root),), root


def young_root() -> Chain:
    """
    An authority that is not yet.
    """
    root = ca("root", begin=utc_time(0.1), end=utc_time(9))
    return (leaf(root), root), root


def self_signed() -> Chain:
    """
    No authority at all.
    """
    return (Recipe(common_name("a server"), (dns("ex.com"),)).signed(),), ca("root")


def self_signed_for_another() -> Chain:
    """
    No authority, and another name.
    """
    return (Recipe(common_name("a server"), (dns("ex.org"),)).signed(),), ca("root")


def private_root_sent() -> Chain:
    """
    A private root, which is sent.
    """
    private = ca("private")
    return (leaf(private), private), ca("root")


def unknown_issuer() -> Chain:
    """
    A private root, which is not sent.
    """
    return (leaf(ca("private")),), ca("root")


def impostor_root() -> Chain:
    """
    A root that has the name of a trusted one.
    """
    return (leaf(ca("root")),), ca("root")


def impostor_root_sent() -> Chain:
    """
    As before, and the root is sent.
    """
    impostor = ca("root")
    return (leaf(impostor), impostor), ca("root")


def missing_intermediate() -> Chain:
    """
    The intermediate certificate is not sent.
    """
    root = ca("root")
    return (leaf(ca("middle", root)),), root


def wrong_intermediate() -> Chain:
    """
    Another one is sent instead.
    """
    root = ca("root")
    return (leaf(ca("middle", root)), ca("other", root)), root


def intermediate_with_another_key() -> Chain:
    """
    One of the same name is sent instead.
    """
    root = ca("root")
    return (leaf(ca("middle", root)), ca("middle", root)), root


def second_intermediate_missing() -> Chain:
    """
    One of two intermediate certificates is not sent.
    """
    root = ca("root")
    low = ca("low", ca("high", root))
    return (leaf(low), low), root


def only_the_intermediate_is_trusted() -> Chain:
    """
    The trusted file holds an intermediate certificate, and not its root.
    """
    middle = ca("middle", ca("root"))
    return (leaf(middle),), middle


def a_server_as_issuer() -> Chain:
    """
    A server issues for another.
    """
    root = ca("root")
    server = leaf(root, subject=common_name("a server as authority"))
    return (leaf(server), server), root


def path_too_long() -> Chain:
    """
    An authority for servers issues for an authority.
    """
    root = ca("root")
    high = ca("high", root, authority(0), usage(ca=True))
    low = ca("low", high)
    return (leaf(low), low, high), root


def signed_by_another_key() -> Chain:
    """
    The signature is of another key.
    """
    root = ca("root")
    shown = Recipe(common_name("a server"), (root.key_identifier, dns("ex.com"))).signed(root, key=ca("x").key)
    return (shown,), root


def flipped_signature() -> Chain:
    """
    A bit of the signature is wrong.
    """
    root = ca("root")
    shown = leaf(root)
    return (attrs.evolve(shown, der=shown.der[:-1] + bytes([shown.der[-1] ^ 1])),), root


def flipped_body() -> Chain:
    """
    The name was changed after signing.
    """
    root = ca("root")
    shown = leaf(root, dns("ey.com"))
    return (attrs.evolve(shown, der=shown.der.replace(b"ey.com", b"ex.com")),), root


def flipped_intermediate() -> Chain:
    """
    The subject of an intermediate certificate was changed.
    """
    root = ca("root")
    middle = ca("middle", root)
    return (leaf(middle), attrs.evolve(middle, der=middle.der.replace(b"middle", b"middlf"))), root


def weak_key() -> Chain:
    """
    An RSA key of 1024 bits.
    """
    root = ca("root")
    return (leaf(root, key=rsa.generate_private_key(65537, 1024)),), root


def weak_authority() -> Chain:
    """
    As before, above the server.
    """
    root = ca("root")
    middle = ca("middle", root, key=rsa.generate_private_key(65537, 1024))
    return (leaf(middle), middle), root


def sha1() -> Chain:
    """
    A signature over SHA-1.
    """
    root = ca("root")
    return (leaf(root, digest=hashes.SHA1()),), root


def md5() -> Chain:
    """
    A signature over MD5.
    """
    root = ca("root", key=rsa.generate_private_key(65537, 2048))
    return (leaf(root, digest=hashes.MD5()),), root


def sha1_above() -> Chain:
    """
    A signature over SHA-1, above the server.
    """
    root = ca("root")
    middle = ca("middle", root, digest=hashes.SHA1())
    return (leaf(middle), middle), root


def loop() -> Chain:
    """
    Two authorities that issued for each other.
    """
    a, b = ca("a"), ca("b")
    of_a = ca("a", b, key=a.key)
    of_b = ca("b", a, key=b.key)
    return (leaf(of_a), of_a, of_b), ca("root")


def long_chain() -> Chain:
    """
    A hundred authorities in a row, and some more, as small as they can be: Twisted's server sends 32 KiB at once.
    """
    root = ca("root")
    chain = [root]
    for number in range(102):
        recipe = Recipe(common_name(str(number)), (authority(),), serial=b"\x01")
        chain.append(recipe.signed(chain[-1]))
    return (leaf(chain[-1]), *reversed(chain[1:])), root


def issuer_of_another_name() -> Chain:
    """
    The issuer's name is not the signer's.
    """
    root = ca("root")
    return (leaf(root, issuer=common_name("another")),), root


def two_algorithms() -> Chain:
    """
    Two signature algorithms in one certificate.
    """
    root = ca("root")
    return (leaf(root, claimed="1.2.840.10045.4.1"),), root


CHAINS: Mapping[str, Row] = {
    "expired root": Row(expired_root, (10, 1)),
    "young root": Row(young_root, (9, 1)),
    "self signed": Row(self_signed, (18, 0)),
    "self signed for another": Row(self_signed_for_another, (18, 0)),
    "private root sent": Row(private_root_sent, (19, 1)),
    "unknown issuer": Row(unknown_issuer, (20, 0)),
    "impostor root": Row(impostor_root, (7, 0)),
    "impostor root sent": Row(impostor_root_sent, (7, 0)),
    "missing intermediate": Row(missing_intermediate, (20, 0)),
    "wrong intermediate": Row(wrong_intermediate, (20, 0)),
    "intermediate with another key": Row(intermediate_with_another_key, (7, 0)),
    "second intermediate missing": Row(second_intermediate_missing, (20, 1)),
    "only the intermediate is trusted": Row(only_the_intermediate_is_trusted, (2, 1)),
    "a server as issuer": Row(a_server_as_issuer, (79, 1)),
    "path too long": Row(path_too_long, (25, 2)),
    "signed by another key": Row(signed_by_another_key, (7, 0)),
    "flipped signature": Row(flipped_signature, (7, 0)),
    "flipped body": Row(flipped_body, (7, 0)),
    "flipped intermediate": Row(flipped_intermediate, (20, 0)),
    "weak key": Row(weak_key, (66, 0)),
    "weak authority": Row(weak_authority, (67, 1)),
    "sha1": Row(sha1, (68, 0)),
    "md5": Row(md5, (68, 0)),
    "sha1 above": Row(sha1_above, (68, 1)),
    "loop": Row(loop, (20, 2)),
    "long chain": Row(long_chain, (22, 101)),
    "issuer of another name": Row(issuer_of_another_name, (20, 0)),
    "two algorithms": Row(two_algorithms, (7, 0)),
}


def cross_signed() -> Chain:
    """
    A trusted root, for which an unknown one has issued as well.
    """
    root = ca("root")
    return (leaf(root), ca("root", ca("unknown"), key=root.key)), root


def in_wrong_order() -> Chain:
    """
    Two intermediate certificates, the upper one first.
    """
    root = ca("root")
    high = ca("high", root)
    low = ca("low", high)
    return (leaf(low), high, low), root


def with_more_than_needed() -> Chain:
    """
    A chain with its root, and certificates of others, one of them expired.
    """
    root = ca("root")
    middle = ca("middle", root)
    return (leaf(middle), ca("x"), ca("y", begin=utc_time(-9), end=utc_time(-1)), middle, root), root


ACCEPTED: Mapping[str, Row] = {
    "the name": naming(dns("ex.com")),
    "in capitals": naming(dns("EX.Com")),
    "among several": naming(dns("ex.org", "b.ex.com", "ex.com", "*.ex.com")),
    "a wildcard": naming(dns("*.ex.com"), "a.ex.com"),
    "the address": naming(ip(b"\xc0\x00\x02\x01"), EX),
    "beside a URI and an e-mail address": naming(
        raw_san(tlv(0x81, b"root@ex.com"), tlv(0x82, b"ex.com"), tlv(0x86, b"https://ex.com"))
    ),
    "an unknown extension": having(Extension("1.2.3.4", b"\x05\x00")),
    "for servers": having(purpose("SERVER_AUTH"), usage(digital_signature=True)),
    # OpenSSL and browsers let an authority speak for itself.
    "an authority as server": having(authority()),
    "an intermediate": below(reason=IDENTITY),
    # OpenSSL accepts it, and cryptography does not even load it.
    "an intermediate of version 2": below(reason=IDENTITY, version=1),
    "for this name": below(
        authority(0), usage(ca=True), constrained(permitted_subtrees=[x509.DNSName("com")]), reason=IDENTITY
    ),
    "cross signed": Row(cross_signed),
    "in wrong order": Row(in_wrong_order),
    "more than needed": Row(with_more_than_needed),
}


class TableCase(FederationCase):
    """
    A test of rows.
    """

    def roots(self, root: Issued, others: bytes = b"") -> MatrixFederationAgent:
        """
        Make an agent that trusts this root, and others in PEM.
        """
        path = Path(self.mktemp())
        path.write_bytes(root.pem + others)
        return self.federation.agent(trust=TrustPolicy(ca_files=[str(path)], use_system_roots=False))

    def show(self, chain: tuple[Issued, ...], port: int) -> RawServer:
        """
        Start a server that shows a chain.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        server = RawServer(ANSWER)
        self.federation.listen_tls(EX, port, server, Shown.of(chain, directory))
        return server

    async def outcome(self, row: Row, port: int) -> tuple[object, bytes]:
        """
        Send a request to the server of a row.

        @return: the code and depth by which it was refused, another error, or the status; and what the server received.
        """
        chain, root = row.make()
        server = self.show(chain, port)
        if row.asked != EX:
            self.dns.add_address(row.asked, EX)
        try:
            return (await self.get(f"{row.asked}:{port}", self.roots(root))).code, server.received
        except CertificateRejected as error:
            self.assertEqual((error.reason.isprintable(), len(error.reason) < 4000), (True, True), error.reason)
            return (error.code, error.depth), server.received
        except FederationError as error:
            return error, server.received


class RefusedTests(TableCase):
    """
    Each row is refused by its reason, before any byte of HTTP.
    """

    async def refused(self, rows: Mapping[str, Row]) -> None:
        """
        Look at every row, and tell of all that went wrong.
        """
        found = {name: await self.outcome(row, 10_000 + n) for n, (name, row) in enumerate(rows.items())}
        self.assertEqual(found, {name: (row.reason, b"") for name, row in rows.items()})

    async def test_T1_T2_names(self) -> None:
        """
        A certificate that does not name the server, or in no way that counts.
        """
        await self.refused(NAMES)

    async def test_T2_form(self) -> None:
        """
        A certificate that is malformed, or of another form than it should be.
        """
        await self.refused(FORM)

    async def test_T1_use(self) -> None:
        """
        A certificate, or an authority, for something else.
        """
        await self.refused(USE)

    async def test_T1_dates(self) -> None:
        """
        A certificate before or after its time.
        """
        await self.refused(DATES)

    async def test_T1_chains(self) -> None:
        """
        A chain that does not lead to a trusted root, or not by sound signatures.
        """
        await self.refused(CHAINS)


class AcceptedTests(TableCase):
    """
    The same servers and agents, with chains that are good.
    """

    async def test_good_chains(self) -> None:
        """
        Each is accepted.
        """
        found = {name: await self.outcome(row, 10_000 + n) for n, (name, row) in enumerate(ACCEPTED.items())}
        self.assertEqual({name: status for name, (status, _) in found.items()}, dict.fromkeys(ACCEPTED, 200))


class RemedyTests(TableCase):
    """
    The classic mistakes are told with their remedy.
    """

    async def told(self, name: str, port: int, shown: Extension, others: tuple[Issued, ...] = ()) -> str:
        """
        Send a request to a server that is refused.

        @param others: further certificates that the server shows.
        @return: the words of the error.
        """
        root = ca("root")
        server = self.show((leaf(root, shown), *others), port)
        error = await self.fails(self.get(name, self.roots(root)), CertificateRejected)
        self.assertEqual(server.received, b"")
        return error.reason

    async def test_R16_the_srv_target(self) -> None:
        """
        The certificate of the SRV target: the error says whom it must name, and how the target may serve.
        """
        self.dns.add_address("ex.com", "192.0.2.77")
        self.dns.add_address("t.net", EX)
        self.dns.add_service("_matrix-fed._tcp.ex.com", "t.net", 8443)
        words = await self.told("ex.com", 8443, dns("t.net"))
        for expected in ("must name ex.com", "SRV", 'ex.com/.well-known/matrix/server with {"m.server": "t.net:8443"}'):
            self.assertIn(expected, words)

    async def test_R15_the_original_name(self) -> None:
        """
        The certificate of the name that delegates: the error says whom it must name.
        """
        self.federation.serve_well_known("ex.com", {"m.server": "m.ex.com:4242"})
        self.dns.add_address("m.ex.com", EX)
        root = ca("root")
        agent = self.roots(root, self.federation.certificates.root_pem)
        server = self.show((leaf(root),), 4242)
        error = await self.fails(self.get("ex.com", agent), CertificateRejected)
        for expected in ("must name m.ex.com", "ex.com delegates to m.ex.com:4242 by .well-known"):
            self.assertIn(expected, error.reason)
        self.assertEqual((server.received, error.names), (b"", ("ex.com",)))

    async def test_a_name_below(self) -> None:
        """
        The certificate of another name of the same domain.
        """
        self.dns.add_address("ex.com", EX)
        words = await self.told("ex.com", 8448, dns("www.example", "matrix.ex.com"))
        self.assertIn('https://ex.com/.well-known/matrix/server with {"m.server": "matrix.ex.com:8448"}', words)

    async def test_a_name_with_a_port_is_not_delegated(self) -> None:
        """
        Where .well-known is not asked it is not recommended.
        """
        self.dns.add_address("ex.com", EX)
        self.assertNotIn("well-known", await self.told("ex.com:8448", 8448, dns("matrix.ex.com")))


class IncompleteTests(TableCase):
    """
    What is said of a chain that leads nowhere.
    """

    async def told(self, *chain: Issued) -> str:
        """
        Show a chain to an agent that trusts another root.

        @return: the words of the error.
        """
        self.dns.add_address("ex.com", EX)
        self.show(chain, 8448)
        return (await self.fails(self.get("ex.com", self.roots(ca("root"))), CertificateRejected)).reason

    async def test_a_published_issuer_was_not_sent(self) -> None:
        """
        A certificate says where its issuer's can be had: then that is an intermediate one.
        """
        location = x509.UniformResourceIdentifier("http://ca.example/middle.crt")
        access = x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.CA_ISSUERS, location)
        issued = leaf(ca("middle"), None, Extension.of(x509.AuthorityInformationAccess([access])))
        words = await self.told(issued)
        self.assertIn("CN=middle, was not sent", words)
        self.assertIn("did not send this intermediate certificate, which is published at http://ca.example", words)

    async def test_a_private_root_was_sent(self) -> None:
        """
        The whole chain is there: nothing is missing but trust.
        """
        private = ca("private")
        self.assertIn(
            "its whole chain, which ends in a root that is not trusted: CN=private",
            await self.told(leaf(private), private),
        )

    async def test_another_issuer_of_that_name_was_sent(self) -> None:
        """
        What the server sent is looked at.
        """
        spoilt = ca("middle", ca("other"), authority(), Extension("2.5.29.30", b"\x30\x7f", critical=True))
        self.assertIn(
            "the server sent a certificate of its issuer, CN=middle, but", await self.told(leaf(ca("middle")), spoilt)
        )
