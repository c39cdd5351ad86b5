"""
Files of certificates, good and bad, and what is logged about them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from matrix_federation_agent.testing import Certificate
from tests.case import TestCase

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@attrs.frozen
class Authority:
    """
    A certificate that issues others, and its key.
    """

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """
        The certificate.
        """
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """
        The key.
        """
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def below(self, name: str, *, authority: bool = True, days: int = 30, key: Key | None = None) -> Authority:
        """
        Issue a certificate.

        @param days: for how long it is valid; below zero it has expired.
        """
        return _issue(name, self, authority=authority, days=days, key=key)

    def server(self, name: str) -> Certificate:
        """
        Issue the certificate of a server.
        """
        made = self.below(name, authority=False)
        return Certificate(made.pem, made.key_pem)


def root(name: str, *, authority: bool = True, days: int = 30) -> Authority:
    """
    Make a root.
    """
    return _issue(name, None, authority=authority, days=days)


def _issue(name: str, issuer: Authority | None, *, authority: bool, days: int, key: Key | None = None) -> Authority:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = subject if issuer is None else issuer.certificate.subject
    begin = NOW - DAY if days > 0 else NOW + (days - 1) * DAY
    builder = x509.CertificateBuilder(above, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(NOW + days * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return Authority(builder.sign(key if issuer is None else issuer.key, SHA256()), key)


class FilesCase(TestCase):
    """
    A test that writes files.
    """

    def file(self, *contents: bytes) -> str:
        """
        Write a file.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"".join(contents))
        return str(path)

    def directory(self, **contents: bytes) -> Path:
        """
        Write files into a directory; C{__} in a name stands for a dot.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        for name, content in contents.items():
            (directory / name.replace("__", ".")).write_bytes(content)
        return directory


@implementer(ILogObserver)
class TrustObserver:
    """
    Keeps what is logged about trust.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        """
        Keep it as text.
        """
        if event["log_namespace"] == "matrix_federation_agent._tls.trust":
            self.events.append(f"{event['log_level'].name}: {formatEvent(event)}")
