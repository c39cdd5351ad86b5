"""
Certificates, the good and the bad ones, made when they are asked for and never written to disk.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID
from OpenSSL import SSL, crypto
from trustme import CA
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

_DAY = timedelta(days=1)
_LIFETIME = 30 * _DAY


@implementer(IOpenSSLContextFactory)
class _ServerContextFactory:
    """
    The TLS settings of a server.

    Twisted's own C{CertificateOptions} hands pyOpenSSL objects that newer versions of it warn of, and a test suite
    may treat warnings as failures.
    """

    def __init__(self, certificate: bytes, private_key: bytes, *, old_tls: bool) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        if old_tls:
            # OpenSSL 3 signs TLS 1.1 handshakes with SHA-1 only below its default security level of 1.
            self._context.set_cipher_list(b"ALL:@SECLEVEL=0")
            self._context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self._context.set_min_proto_version(SSL.TLS1_1_VERSION if old_tls else SSL.TLS1_2_VERSION)
        self._show(x509.load_pem_x509_certificate(certificate), serialization.load_pem_private_key(private_key, None))

    def _show(self, certificate: x509.Certificate, private_key: Any) -> None:
        try:
            self._context.use_certificate(certificate)
            self._context.use_privatekey(private_key)
        except TypeError:
            # pyOpenSSL before 24.3 takes its own classes only.
            self._context.use_certificate(crypto.X509.from_cryptography(certificate))
            self._context.use_privatekey(crypto.PKey.from_cryptography_key(private_key))

    def getContext(self) -> SSL.Context:
        """
        Give the one context.
        """
        return self._context


@attrs.frozen
class Certificate:
    """
    A certificate with its private key, for L{LoopbackFederation.listen_tls}.

    @ivar certificate_pem: the certificate, PEM.
    @ivar private_key_pem: its key, PEM.
    @ivar old_tls: whether a server with this certificate shall offer TLS 1.1 and nothing newer.
    """

    certificate_pem: bytes
    private_key_pem: bytes = attrs.field(repr=False)
    old_tls: bool = False

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Make the TLS settings of a server that shows this certificate.

        @return: what C{listenSSL} and L{TLSMemoryBIOFactory} take.
        """
        return _ServerContextFactory(self.certificate_pem, self.private_key_pem, old_tls=self.old_tls)


@attrs.frozen
class _Issuer:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    identifier: x509.AuthorityKeyIdentifier

    @classmethod
    def from_authority(cls, authority: CA) -> _Issuer:
        certificate = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
        key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"trustme made a {type(key).__name__}")
        return cls(certificate.subject, key, _identifier(certificate.public_key()))


class Certificates:
    """
    Issues certificates for any names.

    A name is a DNS name, or an IP address without brackets. Every method returns a new L{Certificate}.

    @ivar root_pem: the root that the federation trusts, PEM.
    """

    def __init__(self) -> None:
        """
        Make a root that is trusted, and one that is not.
        """
        root = CA()
        self.root_pem: bytes = root.cert_pem.bytes()
        self._trusted = _Issuer.from_authority(root)
        self._unknown = _Issuer.from_authority(CA())

    def issue(self, *names: str, not_before: datetime | None = None, not_after: datetime | None = None) -> Certificate:
        """
        Issue a certificate under the trusted root.

        @param names: its subjectAltName.
        @param not_before: when its validity begins; L{None} for yesterday.
        @param not_after: when its validity ends; L{None} for a month after it began.
        """
        begin = not_before or datetime.now(UTC) - _DAY
        return _sign(names, _alternative_names(names), self._trusted, begin, not_after)

    def expired(self, *names: str) -> Certificate:
        """
        Issue a certificate that was valid until yesterday.

        @param names: its subjectAltName.
        """
        now = datetime.now(UTC)
        return self.issue(*names, not_before=now - _LIFETIME, not_after=now - _DAY)

    def not_yet_valid(self, *names: str) -> Certificate:
        """
        Issue a certificate that will be valid tomorrow.

        @param names: its subjectAltName.
        """
        return self.issue(*names, not_before=datetime.now(UTC) + _DAY)

    def unknown_root(self, *names: str) -> Certificate:
        """
        Issue a certificate under a root that nobody trusts.

        @param names: its subjectAltName.
        """
        return _sign(names, _alternative_names(names), self._unknown)

    def self_signed(self, *names: str) -> Certificate:
        """
        Issue a certificate that is its own root.

        @param names: its subjectAltName.
        """
        return _sign(names, _alternative_names(names), None)

    def without_san(self, *names: str) -> Certificate:
        """
        Issue a certificate that carries a name only as its commonName (RFC 9525, 2: no longer an identity).

        @param names: the first becomes the commonName.
        """
        return _sign(names, None, self._trusted)

    def malformed_san(self, *names: str) -> Certificate:
        """
        Issue a certificate whose subjectAltName is not DER.

        @param names: the first becomes the commonName.
        """
        garbage = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x7f\xff")
        return _sign(names, garbage, self._trusted)

    def old_tls(self, *names: str) -> Certificate:
        """
        Issue a good certificate for a server that offers TLS 1.1 and nothing newer.

        @param names: its subjectAltName.
        """
        return attrs.evolve(self.issue(*names), old_tls=True)


def _alternative_names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _identifier(key: object) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]


def _sign(
    names: tuple[str, ...],
    alternative_names: x509.ExtensionType | None,
    issuer: _Issuer | None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 5280, upper bound ub-common-name: 64 characters.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    signer = issuer or _Issuer(subject, key, _identifier(key.public_key()))
    begin = not_before or datetime.now(UTC) - _DAY
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=signer.name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(not_after or begin + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(signer.identifier, critical=False)
    )
    if alternative_names is not None:
        builder = builder.add_extension(alternative_names, critical=False)
    certificate = builder.sign(signer.key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM), private)
