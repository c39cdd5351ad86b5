"""
Certificates of any shape, written byte by byte: no library makes most of the bad ones.
"""

from __future__ import annotations

from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

from matrix_federation_agent.testing import Certificate

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# RFC 5758, 3.2; RFC 3279, 2.2.1 and 2.2.3; RFC 4055, 5.
_ALGORITHMS = {
    (True, "sha256"): "1.2.840.10045.4.3.2",
    (True, "sha1"): "1.2.840.10045.4.1",
    (False, "sha256"): "1.2.840.113549.1.1.11",
    (False, "sha1"): "1.2.840.113549.1.1.5",
    (False, "md5"): "1.2.840.113549.1.1.4",
}


def tlv(tag: int, *contents: bytes) -> bytes:
    """
    Encode a value in DER (X.690, 8.1).
    """
    value = b"".join(contents)
    if len(value) < 128:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + value


def oid(dotted: str) -> bytes:
    """
    Encode an object identifier in DER (X.690, 8.19).
    """
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, *map(_base_128, (40 * first + second, *rest)))


def _base_128(number: int) -> bytes:
    septets = [number & 0x7F]
    while number := number >> 7:
        septets.append(0x80 | number & 0x7F)
    return bytes(reversed(septets))


@attrs.frozen
class Extension:
    """
    An extension of a certificate.

    @ivar dotted: its object identifier.
    @ivar value: its DER, or what is there instead.
    """

    dotted: str
    value: bytes
    critical: bool = False

    @classmethod
    def of(cls, value: x509.ExtensionType, *, critical: bool = False) -> Extension:
        """
        Take what cryptography can make.
        """
        return cls(value.oid.dotted_string, value.public_bytes(), critical)

    @property
    def der(self) -> bytes:
        """
        RFC 5280, 4.1.
        """
        critical = tlv(0x01, b"\xff") if self.critical else b""
        return tlv(0x30, oid(self.dotted), critical, tlv(0x04, self.value))


def authority(path_length: int | None = None) -> Extension:
    """
    Say that somebody may issue certificates.
    """
    return Extension.of(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)


def usage(*, ca: bool = False, **used: bool) -> Extension:
    """
    Say for what a key may be used: for nothing but what is named.
    """
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    granted = {name: used.get(name, False) for name in (*names, "crl_sign", "encipher_only", "decipher_only")}
    return Extension.of(x509.KeyUsage(key_cert_sign=ca, **granted), critical=True)


def purpose(name: str) -> Extension:
    """
    Say for what a certificate may be used.
    """
    return Extension.of(x509.ExtendedKeyUsage([getattr(x509.oid.ExtendedKeyUsageOID, name)]))


def raw_san(*names: bytes) -> Extension:
    """
    Make a subjectAltName of names in DER.
    """
    return Extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string, tlv(0x30, *names))


def dns(*names: bytes | str) -> Extension:
    """
    Make a subjectAltName of DNS names, whatever is in them.
    """
    return raw_san(*(tlv(0x82, name.encode() if isinstance(name, str) else name) for name in names))


def ip(*packed: bytes) -> Extension:
    """
    Make a subjectAltName of addresses, of any length.
    """
    return raw_san(*(tlv(0x87, one) for one in packed))


def common_name(text: str) -> bytes:
    """
    Make a name in DER, of any length.
    """
    return tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(0x0C, text.encode()))))


def utc_time(days: float) -> bytes:
    """
    Write a time (RFC 5280, 4.1.2.5.1).

    @param days: from now.
    """
    return tlv(0x17, f"{datetime.now(UTC) + timedelta(days=days):%y%m%d%H%M%SZ}".encode())


def ec_key() -> Key:
    """
    Make a key.
    """
    return ec.generate_private_key(ec.SECP256R1())


@attrs.frozen
class Issued:
    """
    A certificate with its key.

    @ivar subject: in DER.
    """

    der: bytes
    key: Key
    subject: bytes

    @property
    def pem(self) -> bytes:
        """
        The certificate, PEM.
        """
        return b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % encodebytes(self.der)

    @property
    def key_identifier(self) -> Extension:
        """
        What certificates say to name this key as their issuer's.
        """
        return Extension.of(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()))


@attrs.frozen
class Recipe:
    """
    How a certificate is made; each field can be wrong.

    @ivar extensions: in order, repeated or not.
    @ivar begin: of its validity, in DER.
    @ivar version: 2 means version 3; L{None} leaves it out, which means version 1.
    @ivar claimed: the signature algorithm that it names inside, where that differs.
    """

    subject: bytes
    extensions: tuple[Extension, ...] = ()
    key: Key = attrs.field(factory=ec_key)
    begin: bytes = attrs.field(factory=lambda: utc_time(-1))
    end: bytes = attrs.field(factory=lambda: utc_time(1))
    version: int | None = 2
    serial: bytes = attrs.field(factory=lambda: b"\x01" + x509.random_serial_number().to_bytes(20)[1:])
    digest: hashes.HashAlgorithm = attrs.field(factory=hashes.SHA256)
    claimed: str = ""
    issuer: bytes | None = None

    def signed(self, issuer: Issued | None = None, key: Key | None = None) -> Issued:
        """
        Have an authority sign it.

        @param issuer: L{None} for itself.
        @param key: what signs it, where that is not the issuer's.
        """
        signer = key or (issuer.key if issuer else self.key)
        name = self.issuer if self.issuer is not None else (issuer.subject if issuer else self.subject)
        algorithm = _algorithm(_ALGORITHMS[isinstance(signer, ec.EllipticCurvePrivateKey), self.digest.name])
        body = self._body(name, _algorithm(self.claimed) if self.claimed else algorithm)
        signature = tlv(0x03, b"\x00", _sign(signer, body, self.digest))
        return Issued(tlv(0x30, body, algorithm, signature), self.key, self.subject)

    def _body(self, issuer: bytes, algorithm: bytes) -> bytes:
        version = b"" if self.version is None else tlv(0xA0, tlv(0x02, bytes([self.version])))
        extensions = tlv(0xA3, tlv(0x30, *(one.der for one in self.extensions))) if self.extensions else b""
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        validity = tlv(0x30, self.begin, self.end)
        serial = tlv(0x02, self.serial)
        return tlv(0x30, version, serial, algorithm, issuer, validity, self.subject, public, extensions)


def _algorithm(dotted: str) -> bytes:
    # RSA's have the parameter NULL, those of elliptic curves none.
    return tlv(0x30, oid(dotted), tlv(0x05) if dotted.startswith("1.2.840.113549") else b"")


def _sign(key: Key, body: bytes, digest: hashes.HashAlgorithm) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(body, ec.ECDSA(digest))
    return key.sign(body, padding.PKCS1v15(), digest)


def leaf(issuer: Issued, names: Extension | None = None, /, *others: Extension, **changes: Any) -> Issued:
    """
    Issue a certificate of a server, C{ex.com} unless it has other names.

    @param changes: fields of the L{Recipe}.
    """
    extensions = (issuer.key_identifier, names or dns("ex.com"), *others)
    return attrs.evolve(Recipe(common_name("a server"), extensions), **changes).signed(issuer)


def ca(name: str, issuer: Issued | None = None, /, *others: Extension, **changes: Any) -> Issued:
    """
    Make an authority: a root, or below an issuer.

    @param others: instead of what makes it an authority.
    @param changes: fields of the L{Recipe}.
    """
    extensions = others or (authority(), usage(ca=True))
    if issuer is not None:
        extensions = (issuer.key_identifier, *extensions)
    return attrs.evolve(Recipe(common_name(name), extensions), **changes).signed(issuer)


@implementer(IOpenSSLContextFactory)
@attrs.frozen
class _Context:
    context: SSL.Context

    def getContext(self) -> SSL.Context:
        """
        Give it.
        """
        return self.context


@attrs.frozen
class Shown(Certificate):
    """
    A chain as a server shows it, certificates of any quality, in that order.

    @ivar directory: where it may write files: OpenSSL reads what pyOpenSSL would not take.
    """

    directory: Path = attrs.field(kw_only=True)

    @classmethod
    def of(cls, chain: tuple[Issued, ...], directory: Path) -> Shown:
        """
        Show this chain.
        """
        key = chain[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(b"".join(one.pem for one in chain), key, directory=directory)

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Make the TLS settings of a server that has no standards.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        chain, key = self.directory / "chain.pem", self.directory / "key.pem"
        chain.write_bytes(self.certificate_pem)
        key.write_bytes(self.private_key_pem)
        if self.certificate_pem.count(b"BEGIN") > 1:
            context.use_certificate_chain_file(str(chain))
        else:
            # OpenSSL 3.2 takes some malformed certificates by this door only.
            context.use_certificate_file(str(chain))
        context.use_privatekey_file(str(key))
        return _Context(context)
