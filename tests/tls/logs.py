"""
Certificate Transparency logs that sign whatever a test asks for, and certificates in which it is embedded.

What a log signs is encoded here by hand from RFC 6962, section 3.2, apart from the code that is tested.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from matrix_federation_agent.testing import Certificate

BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
END = BEGIN + timedelta(days=90)
LOGGED = BEGIN + timedelta(hours=1, milliseconds=345)

Promise = Callable[[bytes], bytes]


def encoded(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    """
    Encode the public part of a key.
    """
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def generated() -> ec.EllipticCurvePrivateKey:
    """
    Make a key of the usual kind.
    """
    return ec.generate_private_key(ec.SECP256R1())


@attrs.frozen
class SigningLog:
    """
    A log.

    @ivar kind: the number of its signatures' algorithm (RFC 5246, section 7.4.1.4.1), or L{None} for that of its key.
    @ivar extensions: what it adds to each SCT.
    """

    name: str = "Alpha"
    operator: str = "Example"
    key: CertificateIssuerPrivateKeyTypes = attrs.field(factory=generated)
    kind: int | None = None
    hash_kind: int = 4
    extensions: bytes = b""

    @property
    def log_id(self) -> bytes:
        """
        Tell its ID.
        """
        return sha256(encoded(self.key)).digest()

    def entry(self, state: str | None = "usable", since: datetime = BEGIN, **members: object) -> dict[str, object]:
        """
        Describe it as log lists do.

        @param since: when its state began.
        """
        entry = {"log_id": b64encode(self.log_id).decode(), "key": b64encode(encoded(self.key)).decode()}
        states = {} if state is None else {"state": {state: {"timestamp": since.isoformat()}}}
        return {**entry, "description": self.name, **states, **members}

    def promise(self, precertificate: bytes, moment: datetime | int = LOGGED) -> bytes:
        """
        Sign an SCT.

        @param precertificate: the hash of the issuer's key, and then the certificate's TBS.
        @param moment: when; or in milliseconds since the epoch.
        """
        time = moment if isinstance(moment, int) else round(moment.timestamp() * 1000)
        issuer, tbs = precertificate[:32], precertificate[32:]
        extensions = struct.pack(">H", len(self.extensions)) + self.extensions
        signed = struct.pack(">BBQH", 0, 0, time, 1) + issuer + struct.pack(">I", len(tbs))[1:] + tbs + extensions
        signature = self._sign(signed)
        kind = (1 if isinstance(self.key, rsa.RSAPrivateKey) else 3) if self.kind is None else self.kind
        head = struct.pack(">B32sQ", 0, self.log_id, time) + extensions
        return head + struct.pack(">BBH", self.hash_kind, kind, len(signature)) + signature

    def _sign(self, signed: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(signed, PKCS1v15(), hashes.SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return b"signed"


def log_list(*entries: Mapping[str, object], operator: str = "Example", kind: str = "logs") -> bytes:
    """
    Make the content of a log list.
    """
    return json.dumps({"version": "1", "operators": [{"name": operator, kind: entries}]}).encode()


def write_log_list(folder: str, *entries: Mapping[str, object]) -> str:
    """
    Write a log list.

    @return: its path.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    (path / "log_list.json").write_bytes(log_list(*entries))
    return str(path / "log_list.json")


def sct_list(scts: Sequence[bytes]) -> bytes:
    """
    Encode a C{SignedCertificateTimestampList} (RFC 6962, section 3.3).
    """
    content = b"".join(struct.pack(">H", len(sct)) + sct for sct in scts)
    return octet_string(struct.pack(">H", len(content)) + content)


def octet_string(content: bytes) -> bytes:
    """
    Encode bytes in DER.
    """
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8 or 1)
    return b"\x04" + (length if size < 0x80 else bytes([0x80 + len(length)]) + length) + content


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """
    Issues certificates that logs were shown before.

    @ivar certificate: its root.
    """

    def __init__(self) -> None:
        self.key = generated()
        name = _name("Authority")
        self.certificate = self._sign(
            x509.CertificateBuilder(name, name, self.key.public_key(), 1, BEGIN, END).add_extension(
                x509.BasicConstraints(ca=True, path_length=None), critical=True
            )
        )
        self._leaf = generated()

    @property
    def root_pem(self) -> bytes:
        """
        Encode its root.
        """
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, *promises: Promise) -> x509.Certificate:
        """
        Issue a certificate for C{ex.com} with SCTs.

        @param promises: make an SCT, given the hash of the issuer's key and then the TBS.
        """
        precertificate = self.precertificate()
        return self.issue_with(sct_list([promise(precertificate) for promise in promises]))

    def precertificate(self) -> bytes:
        """
        Tell what logs are shown: the hash of the issuer's key, and the TBS without SCTs.
        """
        return sha256(encoded(self.key)).digest() + self._sign(self._builder()).tbs_certificate_bytes

    def issue_with(self, extension: bytes | None) -> x509.Certificate:
        """
        Issue a certificate for C{ex.com} with anything for its list of SCTs, or without.
        """
        builder = self._builder()
        if extension is None:
            return self._sign(builder)
        kind = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        return self._sign(builder.add_extension(x509.UnrecognizedExtension(kind, extension), critical=False))

    def shown(self, certificate: x509.Certificate) -> Certificate:
        """
        Make what a server shows of a certificate.
        """
        private = self._leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Certificate(certificate.public_bytes(Encoding.PEM), private)

    def _builder(self) -> x509.CertificateBuilder:
        names = x509.SubjectAlternativeName([x509.DNSName("ex.com")])
        builder = x509.CertificateBuilder(
            self.certificate.subject, _name("ex.com"), self._leaf.public_key(), 2, BEGIN, END
        )
        return builder.add_extension(names, critical=False)

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, hashes.SHA256())
