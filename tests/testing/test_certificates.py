"""
Tests of C{matrix_federation_agent.testing._certificates}.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL.crypto import FILETYPE_PEM, X509Store, X509StoreContext, X509StoreContextError, load_certificate
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface.verify import verifyObject

from matrix_federation_agent.testing import Certificate, Certificates
from tests.case import TestCase

NAMES = ("r3---sn.example", "-a.example", "UPPER.example", "192.0.2.1", "2001:db8::1")


class CertificatesTests(TestCase):
    """
    L{Certificates}.
    """

    def setUp(self) -> None:
        """
        Make an issuer.
        """
        super().setUp()
        self.certificates = Certificates()

    def verdict(self, certificate: Certificate) -> str:
        """
        Let OpenSSL judge the chain, without the names.
        """
        store = X509Store()
        store.add_cert(load_certificate(FILETYPE_PEM, self.certificates.root_pem))
        try:
            X509StoreContext(store, load_certificate(FILETYPE_PEM, certificate.certificate_pem)).verify_certificate()
        except X509StoreContextError as error:
            return str(error)
        return "good"

    def test_good_ones_carry_every_name(self) -> None:
        """
        Names that careful libraries refuse are carried too: Matrix server names allow them.
        """
        issued = self.certificates.issue(*NAMES)
        extensions = load_pem_x509_certificate(issued.certificate_pem).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(tuple(str(name.value) for name in names), NAMES)
        self.assertEqual(self.verdict(issued), "good")

    def test_validity_may_be_chosen(self) -> None:
        """
        The dates are those that were asked for.
        """
        begin = datetime(2020, 1, 1, tzinfo=UTC)
        issued = self.certificates.issue("a.example", not_before=begin, not_after=begin + timedelta(days=2))
        certificate = load_pem_x509_certificate(issued.certificate_pem)
        dates = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        self.assertEqual(dates, (begin, begin + timedelta(days=2)))

    def test_bad_ones_are_bad_in_one_way(self) -> None:
        """
        OpenSSL rejects each for its own reason.
        """
        made = self.certificates
        kinds = (made.expired, made.not_yet_valid, made.unknown_root, made.self_signed)
        reasons = ("certificate has expired", "not yet valid", "unable to get local issuer", "self.signed certificate")
        for kind, reason in zip(kinds, reasons, strict=True):
            self.assertRegex(self.verdict(kind("a.example")), reason)

    def test_without_san(self) -> None:
        """
        The chain is good; the name stands in the commonName alone.
        """
        issued = self.certificates.without_san("a.example")
        certificate = load_pem_x509_certificate(issued.certificate_pem)
        self.assertEqual(certificate.subject.rfc4514_string(), "CN=a.example")
        oids = [extension.oid for extension in certificate.extensions]
        self.assertNotIn(x509.SubjectAlternativeName.oid, oids)
        self.assertEqual(self.verdict(issued), "good")

    def test_malformed_san(self) -> None:
        """
        The extension is there, and cannot be read.
        """
        certificate = load_pem_x509_certificate(self.certificates.malformed_san("a.example").certificate_pem)
        self.assertRaises(ValueError, lambda: certificate.extensions)
        self.assertIn(b"\x30\x7f\xff", certificate.tbs_certificate_bytes)

    def test_context_factories(self) -> None:
        """
        Both kinds give Twisted what it needs.
        """
        for issued in (self.certificates.issue("a.example"), self.certificates.old_tls("a.example")):
            factory = issued.context_factory()
            self.assertTrue(verifyObject(IOpenSSLContextFactory, factory))
            self.assertIs(factory.getContext(), factory.getContext())

    def test_keys_are_not_shown(self) -> None:
        """
        A certificate can be logged.
        """
        self.assertNotIn("PRIVATE KEY", repr(self.certificates.issue("a.example")))
