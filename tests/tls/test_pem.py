"""
Tests of C{matrix_federation_agent._tls.pem}.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from matrix_federation_agent._tls.pem import MalformedPEM, blocks, certificates, is_der_certificate
from tests.case import TestCase
from tests.tls.files import root

ONE, TWO = root("one"), root("two")
LINES = len(ONE.pem.splitlines())


class BlocksTests(TestCase):
    """
    L{blocks}.
    """

    def found(self, content: bytes) -> list[tuple[str, int]]:
        """
        Tell the labels and the lines.
        """
        return [(block.label, block.line) for block in blocks(content)]

    def malformed(self, content: bytes) -> tuple[int, str]:
        """
        Tell what is wrong, and where.
        """
        error = self.assertRaises(MalformedPEM, blocks, content)
        return error.line, error.words

    def test_kinds_and_places(self) -> None:
        """
        Every object is found, with the line on which it begins, and comments between them are passed over.
        """
        content = b"a comment\n" + ONE.pem + b"\n=====\n" + ONE.key_pem
        self.assertEqual(self.found(content), [("CERTIFICATE", 2), ("PRIVATE KEY", LINES + 4)])

    def test_nothing(self) -> None:
        """
        A text without an object is no error here.
        """
        self.assertEqual([self.found(text) for text in (b"", b"\n\n", b"hello", b"\xff\x00")], [[]] * 4)

    def test_line_endings(self) -> None:
        """
        Windows' line endings, its byte order mark, and spaces round a line change nothing.
        """
        windows = b"\xef\xbb\xbf" + ONE.pem.replace(b"\n", b" \r\n")
        self.assertEqual(certificates(blocks(windows)), [ONE.certificate])

    def test_no_end(self) -> None:
        """
        An object that does not end is named by the line on which it begins.
        """
        words = "the CERTIFICATE that begins here has no END line"
        cut = ONE.pem.rpartition(b"-----END")[0]
        self.assertEqual(
            [self.malformed(ONE.pem + cut), self.malformed(cut + ONE.pem)], [(LINES + 1, words), (1, words)]
        )

    def test_no_beginning(self) -> None:
        """
        An object that ends without having begun, or under another label, is an error: the file was cut.
        """
        cut = ONE.pem.partition(b"\n")[2]
        other = ONE.pem.replace(b"END CERTIFICATE", b"END X509 CRL")
        self.assertEqual([self.malformed(text)[0] for text in (cut, other)], [LINES - 1, LINES])

    def test_almost_a_boundary(self) -> None:
        """
        A BEGIN line with a slip of the pen is an error; it would hide a certificate otherwise.
        """
        for slip in (b"-----BEGIN CERTIFICATE----", b"-----BEGIN certificate-----", b"----- BEGIN CERTIFICATE-----"):
            self.assertEqual(self.malformed(ONE.pem + b"\n" + slip + b"\n")[0], LINES + 2, slip)

    def test_keys_are_not_shown(self) -> None:
        """
        What an object holds is not in its C{repr}.
        """
        self.assertEqual(repr(blocks(ONE.key_pem)), "[Block(label='PRIVATE KEY', line=1)]")


class CertificatesTests(TestCase):
    """
    L{certificates}.
    """

    def malformed(self, content: bytes) -> str:
        """
        Tell what is wrong, and where.
        """
        return str(self.assertRaises(MalformedPEM, certificates, blocks(content)))

    def test_only_certificates(self) -> None:
        """
        Keys and others between certificates are left alone, and the older label is one as well.
        """
        old = TWO.pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE")
        read = certificates(blocks(ONE.pem + ONE.key_pem + old))
        self.assertEqual(read, [ONE.certificate, TWO.certificate])

    def test_not_base64(self) -> None:
        """
        Of several certificates the one that is broken is named.
        """
        broken = ONE.pem.replace(b"M", b"?", 1)
        self.assertEqual(
            self.malformed(TWO.pem + broken),
            f"line {len(TWO.pem.splitlines()) + 1}: certificate 2 is malformed: not base64",
        )

    def test_not_der(self) -> None:
        """
        Base64 of something else, or of a certificate that is cut or has a tail, is told from what is no base64.
        """
        cut = ONE.pem.splitlines(keepends=True)
        texts = [b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"".join(cut[:2] + cut[3:])]
        words = "line 1: certificate 1 is malformed: base64, but not the DER of a certificate"
        self.assertEqual([self.malformed(text) for text in texts], [words, words])

    def test_trusted_certificates(self) -> None:
        """
        OpenSSL's own form is refused: what it says about trust would be lost.
        """
        text = ONE.pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")
        self.assertIn("line 1: a TRUSTED CERTIFICATE (OpenSSL's own form) is not read", self.malformed(text))

    def test_der(self) -> None:
        """
        A certificate in binary form is recognised.
        """
        der = ONE.certificate.public_bytes(Encoding.DER)
        self.assertEqual(
            [is_der_certificate(content) for content in (der, b"", b"0\x82", ONE.pem)], [True, False, False, False]
        )
