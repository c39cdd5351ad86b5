"""
Certificate chains of the sizes that are met in the federation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

_URL = "http://e7.i.lencr.example/"
# As long as two timestamps, in an extension that nobody knows: random bytes in the right one would be malformed.
_SCT_BYTES = 2 * 121
_SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")


@attrs.frozen
class _Signer:
    key: Any
    certificate: x509.Certificate


@attrs.frozen
class Chain:
    """
    What a server shows, and the root that it leads to; all PEM.

    @ivar shown: the server's certificate and the intermediate ones.
    """

    key: str
    shown: Sequence[str]
    root: str

    @property
    def der_bytes(self) -> int:
        """
        How long what is shown is.
        """
        loaded = x509.load_pem_x509_certificates("".join(self.shown).encode())
        return sum(len(one.public_bytes(Encoding.DER)) for one in loaded)

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Chain:
        """
        Read what C{attrs.asdict} wrote.
        """
        return cls(**described)


def new_key(kind: str) -> Any:
    """
    Make a private key.

    @param kind: C{EC} for P-256, or the bits of an RSA key.
    """
    if kind == "EC":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind))


def make_chain(kind: str, length: int, *names: str, superfluous: int = 0) -> Chain:
    """
    Make a chain as a public authority does: URLs, policies and two timestamps of Certificate Transparency in the
    server's certificate.

    @param kind: of the server's key and of those above it.
    @param length: how many certificates are shown.
    @param names: in the server's certificate; addresses are written as such.
    @param superfluous: bytes of certificates that belong to nothing, and are made of many small parts.
    """
    above = new_key(kind)
    signer = _Signer(above, _issue("Root X", above, None, ca=True))
    root, shown = signer.certificate, list[x509.Certificate]()
    for number in range(length - 1):
        key = new_key(kind)
        signer = _Signer(key, _issue(f"Intermediate {number}", key, signer, ca=True))
        shown.insert(0, signer.certificate)
    key = new_key(kind)
    shown.insert(0, _issue(names[0], key, signer, names=names))
    size = 0
    while size < superfluous:
        # Before the real issuer, so that OpenSSL looks into each.
        shown.insert(1, _crumbs(min(superfluous - size, 16_000), signer))
        size += len(shown[1].public_bytes(Encoding.DER))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Chain(private, [_pem(one) for one in shown], _pem(root))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    parts = ((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, "Example Trust"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def _begin(subject: x509.Name, key: Any, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=60))


def _issue(
    common: str, key: Any, issuer: _Signer | None, *, ca: bool = False, names: Sequence[str] = ()
) -> x509.Certificate:
    subject = _name(common)
    builder = _begin(subject, key, subject if issuer is None else issuer.certificate.subject)
    above = key if issuer is None else issuer.key
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False),
        (x509.CRLDistributionPoints([_point(_URL + "1.crl")]), False),
        (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]), False),
        (_access(), False),
        *_leaf_extensions(names),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(above, hashes.SHA256())


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _access() -> x509.AuthorityInformationAccess:
    where = x509.UniformResourceIdentifier(_URL)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)])


def _leaf_extensions(names: Sequence[str]) -> list[tuple[x509.ExtensionType, bool]]:
    if not names:
        return []
    return [
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
        (x509.UnrecognizedExtension(_SCTS, os.urandom(_SCT_BYTES)), False),
    ]


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _crumbs(size: int, signer: _Signer) -> x509.Certificate:
    """
    Make a certificate that has the issuer's name, but not its key's identifier.
    """
    key = new_key("EC")
    subject = signer.certificate.subject
    names = x509.SubjectAlternativeName([x509.DNSName("a")] * (size // 3))
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _begin(subject, key, subject).add_extension(names, critical=False).add_extension(identifier, critical=False)
    )
    return builder.sign(key, hashes.SHA256())
