"""
Tests of C{matrix_federation_agent._tls.client_certificate}.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from OpenSSL import SSL

from matrix_federation_agent import TrustPolicy
from matrix_federation_agent._tls.client_certificate import ClientCertificate
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent.errors import ConfigurationError
from tests.tls.files import NOW, Authority, FilesCase, root

TOP = root("top")
MIDDLE = TOP.below("middle")
OURS = MIDDLE.below("us.example", authority=False)
OTHER = root("other")


def encrypted(one: Authority, form: PrivateFormat) -> bytes:
    """
    Write a key with a password.
    """
    return one.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))


class ReadingTests(FilesCase):
    """
    L{ClientCertificate.read}.
    """

    def read(self, certificate: str, key: str | None = None) -> list[str]:
        """
        Read files.

        @return: the names in the chain.
        """
        policy = TrustPolicy(client_certificate=certificate, client_key=key, use_system_roots=False)
        found = ClientCertificate.read(policy)
        assert found is not None
        return [one.subject.rfc4514_string() for one in found.chain]

    def refused(self, certificate: str, key: str | None = None) -> str:
        """
        Tell which setting is wrong and why, with letters for the paths.
        """
        error = self.assertRaises(ConfigurationError, self.read, certificate, key)
        words = str(error.reason).replace(certificate, "C").replace(key or "\0", "K")
        self.assertTrue(words.startswith(f"{error.setting}: "), words)
        return words

    def test_none(self) -> None:
        """
        A policy without one has none.
        """
        self.assertIsNone(ClientCertificate.read(TrustPolicy()))

    def test_one_file(self) -> None:
        """
        The key may stand after the certificates, before them or between them.
        """
        orders = [(OURS.pem, MIDDLE.pem, OURS.key_pem), (OURS.key_pem, OURS.pem, MIDDLE.pem)]
        found = [self.read(self.file(*order)) for order in orders]
        self.assertEqual(found, [["CN=us.example", "CN=middle"]] * 2)

    def test_two_files(self) -> None:
        """
        The key may have a file of its own, in which other things do not matter.
        """
        key = self.file(OURS.pem, OURS.key_pem)
        self.assertEqual(self.read(self.file(OURS.pem), key), ["CN=us.example"])

    def test_no_key(self) -> None:
        """
        Where there is no key, the file in which it was to be is named.
        """
        certificate = self.file(OURS.pem)
        found = [self.refused(certificate), self.refused(certificate, self.file(b"hello"))]
        words = "holds no private key in PEM"
        self.assertEqual(found, [f"client_certificate: C {words}", f"client_key: K {words}"])

    def test_several_keys(self) -> None:
        """
        There is one key, in one place.
        """
        both = self.file(OURS.pem, OURS.key_pem)
        found = [
            self.refused(self.file(OURS.pem, OURS.key_pem, OTHER.key_pem)),
            self.refused(both, self.file(OURS.key_pem)),
            self.refused(self.file(OURS.pem), self.file(OURS.key_pem, OURS.key_pem)),
        ]
        expected = ["client_certificate: C holds 2 private keys", "client_key: C holds a private key as well"]
        self.assertEqual(found, [*expected, "client_key: K holds 2 private keys"])

    def test_encrypted_keys(self) -> None:
        """
        A key with a password is refused, in either form that PEM has for one.
        """
        forms = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
        found = [self.refused(self.file(OURS.pem, encrypted(OURS, form))) for form in forms]
        line = len(OURS.pem.splitlines()) + 1
        words = f"C, line {line}: the private key is encrypted; there is nobody to ask for its password"
        self.assertEqual(found, [f"client_certificate: {words}"] * 2)

    def test_a_broken_key(self) -> None:
        """
        A broken key is named by its place; nothing of it is in the error, nor in what caused it.
        """
        broken = OURS.key_pem.splitlines(keepends=True)
        path = self.file(broken[0], broken[1][:-9], b"\n", broken[2], broken[-1])
        error = self.assertRaises(ConfigurationError, self.read, self.file(OURS.pem), path)
        self.assertEqual(error.reason, f"client_key: {path}, line 1: the private key is malformed")
        self.assertEqual((error.__cause__, error.__suppress_context__), (None, True))

    def test_another_key(self) -> None:
        """
        A key that is not the certificate's is refused, under the name of the setting that it came by.
        """
        words = "the private key does not belong to the certificate in C"
        found = [
            self.refused(self.file(OURS.pem, OTHER.key_pem)),
            self.refused(self.file(OURS.pem), self.file(OTHER.key_pem)),
        ]
        self.assertEqual(found, [f"client_certificate: {words}", f"client_key: {words}"])

    def test_the_wrong_order(self) -> None:
        """
        Our certificate comes first.
        """
        found = self.refused(self.file(MIDDLE.pem, OURS.pem, OURS.key_pem))
        words = "certificate 2 of C is the one of the private key, and must be the first"
        self.assertEqual(found, f"client_certificate: {words}")

    def test_no_certificate(self) -> None:
        """
        Files without a certificate, binary ones, broken ones and missing ones are told apart.
        """
        contents = (OURS.key_pem, OURS.certificate.public_bytes(Encoding.DER), OURS.pem[:-30])
        found = [self.refused(path) for path in (*map(self.file, contents), self.mktemp())]
        self.assertEqual(
            found,
            [
                "client_certificate: C holds no PEM certificate",
                "client_certificate: C is a certificate in DER; it must be PEM",
                "client_certificate: C, line 1: the CERTIFICATE that begins here has no END line",
                "client_certificate: C cannot be read: No such file or directory",
            ],
        )

    def test_the_key_is_not_shown(self) -> None:
        """
        The C{repr} says where the certificate came from.
        """
        path = self.file(OURS.pem, OURS.key_pem)
        found = ClientCertificate.read(TrustPolicy(client_certificate=path))
        self.assertNotIn("key", repr(found).replace(path, ""))

    def test_dates(self) -> None:
        """
        One that has expired is read, and said to be of no use.
        """
        old = TOP.below("us.example", days=-3)
        path = self.file(old.pem, old.key_pem)
        found = ClientCertificate.read(TrustPolicy(client_certificate=path))
        assert found is not None
        expired = f"{path} expired on {old.certificate.not_valid_after_utc:%Y-%m-%d}"
        self.assertEqual((found.doubt(NOW.timestamp()), found.doubt(NOW.timestamp() - 3.5 * 86400)), (expired, None))


class ShowingTests(FilesCase):
    """
    L{ClientCertificate.show_in}.
    """

    def test_what_openssl_refuses(self) -> None:
        """
        A key that is too weak for OpenSSL is a configuration error.
        """
        weak = rsa.generate_private_key(65537, 1024)
        signed = TOP.below("us.example", key=weak)
        policy = TrustPolicy(client_certificate=self.file(signed.pem, signed.key_pem), use_system_roots=False)
        error = self.assertRaises(ConfigurationError, TrustGeneration.load, policy)
        self.assertEqual(error.setting, "client_certificate")
        self.assertIn("is refused by OpenSSL: ee key too small", error.reason)

    def test_a_context_without(self) -> None:
        """
        A generation without a client certificate has no private key.
        """
        context = TrustGeneration.load(TrustPolicy(use_system_roots=False)).context
        self.assertRaises(SSL.Error, context.check_privatekey)
