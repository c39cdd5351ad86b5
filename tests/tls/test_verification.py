"""
Tests of C{matrix_federation_agent._tls.verification}.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import time
from typing import Any, TypeVar, cast
from weakref import ref

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface.verify import verifyObject

from matrix_federation_agent import ServerName, TrustPolicy
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.errors import CertificateRejected
from matrix_federation_agent.testing import Certificate, Certificates
from tests.case import TestCase

C = TypeVar("C", bound=VerifiedConnectionCreator)


class NoCertificate:
    """
    Stands in for a certificate that cannot be read.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def to_cryptography(self) -> object:
        """
        Fail.
        """
        raise self._error


def loaded(certificate: Certificate) -> crypto.X509:
    """
    Make what OpenSSL hands to the check.
    """
    return crypto.load_certificate(crypto.FILETYPE_PEM, certificate.certificate_pem)


class VerificationCase(TestCase):
    """
    A test of the check alone.
    """

    def setUp(self) -> None:
        """
        Make one good certificate.
        """
        super().setUp()
        self.generation = TrustGeneration.load(TrustPolicy(use_system_roots=False))
        self.certificates = Certificates()
        self.good = loaded(self.certificates.issue("ex.com", "192.0.2.1", "2001:db8::1"))

    def creator(self, name: str = "ex.com", exemption: str | None = None) -> VerifiedConnectionCreator:
        """
        Make a creator for a server.
        """
        server_name = ServerName.parse(name)
        return self.make(VerifiedConnectionCreator, server_name, exemption)

    def make(self, kind: type[C], name: ServerName, exemption: str | None) -> C:
        """
        Make a creator of a kind.
        """
        target = Target(name.without_port, name.port or 8448)
        return kind(self.generation, Identity(name, name), target, exemption, time)

    def check(
        self, creator: VerifiedConnectionCreator, certificate: object, code: int = 0, depth: int = 0, ok: int = 1
    ) -> bool:
        """
        Call the check as OpenSSL does.
        """
        return creator.check(SSL.Connection(self.generation.context, None), cast("Any", certificate), code, depth, ok)


class CheckTests(VerificationCase):
    """
    L{VerifiedConnectionCreator.check}.
    """

    def test_good_certificate(self) -> None:
        """
        A certificate which OpenSSL accepts and that names the server is accepted.
        """
        creator = self.creator()
        self.assertEqual((self.check(creator, self.good), creator.accepted, creator.rejection), (True, True, None))

    def test_names(self) -> None:
        """
        DNS names compare without case, and addresses by value.
        """
        names = ("ex.com", "EX.COM", "ex.com:1", "192.0.2.1", "[2001:DB8:0::1]", "[2001:db8::1]:443")
        self.assertEqual([name for name in names if not self.check(self.creator(name), self.good)], [])

    def test_other_names(self) -> None:
        """
        Whatever it does not name is refused, without a code of OpenSSL's.
        """
        for name in ("ex.org", "x.ex.com", "com", "192.0.2.2", "[2001:db8::2]", "[::ffff:192.0.2.1]"):
            creator = self.creator(name)
            accepted = self.check(creator, self.good)
            assert creator.rejection is not None
            self.assertEqual((accepted, creator.accepted, creator.rejection.code), (False, False, None), name)

    def test_nothing_is_accepted_before_the_check(self) -> None:
        """
        Until the check has seen the server's own certificate there is no proof.
        """
        creator = self.creator()
        self.assertFalse(creator.accepted)
        self.assertEqual((self.check(creator, self.good, depth=1), creator.accepted), (True, False))

    def test_never_true_when_openssl_said_no(self) -> None:
        """
        With every code that there is, known or not, a refusal of OpenSSL's stays one, at every depth.
        """
        codes = [0, *range(1, 100), 2**31 - 1, -1]
        verdicts = {self.check(self.creator(), self.good, code, depth, 0) for code in codes for depth in (0, 1, 5)}
        self.assertEqual(verdicts, {False})

    def test_the_code_and_the_depth_are_kept(self) -> None:
        """
        The error has OpenSSL's code and the place in the chain.
        """
        creator = self.creator()
        self.check(creator, self.good, 10, 2, 0)
        assert creator.rejection is not None
        self.assertEqual((creator.rejection.code, creator.rejection.depth, creator.rejection.phase), (10, 2, "tls"))

    def test_every_code_can_be_worded(self) -> None:
        """
        Whatever OpenSSL's number is, the words are made, and the certificate's contents are kept.
        """
        for code in [*range(1, 110), -1]:
            creator = self.creator()
            self.check(creator, self.good, code, 0, 0)
            assert creator.rejection is not None
            found = creator.rejection
            self.assertEqual((found.__cause__, found.code, found.names[0]), (None, code, "ex.com"))

    def test_the_time_here_is_told(self) -> None:
        """
        The clock that we were given says when it is.
        """
        target = Target(ServerName("ex.com"), 8448)
        identity = Identity(target.host, target.host)
        creator = VerifiedConnectionCreator(self.generation, identity, target, None, lambda: 86400.0)
        self.check(creator, self.good, 9, 0, 0)
        assert creator.rejection is not None
        self.assertIn("here it is 1970-01-02 00:00 UTC", creator.rejection.reason)

    def test_what_cannot_be_read_is_still_refused_for_its_reason(self) -> None:
        """
        That a certificate cannot be read does not hide what OpenSSL found.
        """
        creator = self.creator()
        self.check(creator, NoCertificate(ValueError("x")), 10, 2, 0)
        assert creator.rejection is not None
        self.assertEqual((creator.rejection.code, creator.rejection.depth, creator.rejection.names), (10, 2, ()))

    def test_any_exception_about_the_names_is_one_about_the_names(self) -> None:
        """
        What cryptography raises while the names are read is told as such.
        """
        creator = self.creator()
        self.check(creator, NoCertificate(TypeError("no \n name")))
        assert creator.rejection is not None
        self.assertIn(r"its names cannot be used: TypeError: no \n name", creator.rejection.reason)

    def test_once_refused_always_refused(self) -> None:
        """
        No later certificate makes good for an earlier one.
        """
        creator = self.creator()
        self.check(creator, self.good, 19, 1, 0)
        first = creator.rejection
        self.assertFalse(self.check(creator, self.good))
        self.assertEqual((creator.accepted, creator.rejection), (False, first))

    def test_refused_after_it_was_accepted(self) -> None:
        """
        An objection after the proof withdraws it.
        """
        creator = self.creator()
        self.check(creator, self.good)
        self.assertFalse(self.check(creator, self.good, 10, 0, 0))
        self.assertFalse(creator.accepted)

    def test_any_exception_refuses(self) -> None:
        """
        Whatever is raised inside the check refuses the certificate, and is kept as the cause.
        """
        for error in (ValueError("x"), KeyError(), RecursionError(), MemoryError(), SystemExit(0), KeyboardInterrupt()):
            creator = self.creator()
            accepted = self.check(creator, NoCertificate(error))
            assert creator.rejection is not None
            self.assertEqual((accepted, creator.accepted, creator.rejection.__cause__), (False, False, error))

    def test_an_exception_of_ones_own_class_refuses(self) -> None:
        """
        So does one that inherits from L{BaseException} alone, and that OpenSSL had objected does not matter.
        """

        class OutOfTheBlue(BaseException):
            pass

        creator = self.creator()
        self.assertFalse(self.check(creator, NoCertificate(OutOfTheBlue()), 10, 0, 0))
        assert creator.rejection is not None
        self.assertIsInstance(creator.rejection.__cause__, OutOfTheBlue)

    def test_an_exception_cannot_be_overcome(self) -> None:
        """
        After an exception the good certificate is refused as well.
        """
        creator = self.creator()
        self.check(creator, NoCertificate(ValueError()), depth=0)
        self.assertEqual((self.check(creator, self.good), creator.accepted), (False, False))

    def test_an_exception_after_it_was_accepted(self) -> None:
        """
        An exception after the proof withdraws it, in the check and at the end of the handshake.
        """
        creator = self.creator()
        before = self.check(creator, self.good), creator.accepted
        self.assertFalse(self.check(creator, NoCertificate(KeyboardInterrupt())))
        self.assertEqual((before, creator.accepted), ((True, True), False))
        creator = self.creator()
        self.check(creator, self.good)
        refusal = creator.conclude(cast("Any", object()))
        self.assertEqual((type(refusal), creator.accepted), (CertificateRejected, False))

    def test_hostile_subject_alternative_names(self) -> None:
        """
        Certificates without a usable name are refused.
        """
        for make in (self.certificates.without_san, self.certificates.malformed_san):
            self.assertFalse(self.check(self.creator(), loaded(make("ex.com"))), make.__name__)

    def test_many_names(self) -> None:
        """
        The error stays short, however many and long the names are.
        """
        names = [f"{'x' * 60}.{'y' * 60}.{'z' * 60}.n{number}.example" for number in range(1000)]
        creator = self.creator()
        self.check(creator, loaded(self.certificates.issue(*names)))
        assert creator.rejection is not None
        self.assertLess(len(creator.rejection.reason), 4000)


class ConnectionTests(VerificationCase):
    """
    L{VerifiedConnectionCreator.clientConnectionForTLS}.
    """

    def test_interface(self) -> None:
        """
        It is what Twisted takes for a client.
        """
        self.assertTrue(verifyObject(IOpenSSLClientConnectionCreator, self.creator()))

    def verdict(self, creator: VerifiedConnectionCreator, certificate: Certificate) -> str:
        """
        Shake hands in memory.
        """
        server = SSL.Connection(certificate.context_factory().getContext(), None)
        client = creator.clientConnectionForTLS(cast("Any", None))
        server.set_accept_state()
        client.set_connect_state()
        for _ in range(4):
            for one, other in ((client, server), (server, client)):
                if (error := _step(one.do_handshake)) is not None:
                    return error
                if data := _read(one):
                    other.bio_write(data)
        return "complete"

    def test_an_untrusted_handshake_fails(self) -> None:
        """
        OpenSSL itself stops when the check says no.
        """
        creator = self.creator()
        self.assertEqual(self.verdict(creator, self.certificates.issue("ex.com")), "certificate verify failed")
        self.assertFalse(creator.accepted)

    def test_an_exempt_handshake_completes(self) -> None:
        """
        An exempt connection is accepted as it is.
        """
        creator = self.creator(exemption="domain ex.com")
        self.assertEqual(self.verdict(creator, self.certificates.self_signed("x")), "complete")
        self.assertTrue(creator.accepted)

    def test_an_exempt_handshake_asks_no_check(self) -> None:
        """
        Nothing is held against a certificate that nobody verifies.
        """
        creator = self.creator(exemption="domain ex.com")
        self.verdict(creator, self.certificates.self_signed("x"))
        self.assertIsNone(creator.rejection)

    def test_nothing_waits_for_the_garbage_collector(self) -> None:
        """
        What made a connection goes with it.
        """
        self.addCleanup(gc.enable)
        gc.disable()
        creator = self.creator()
        self.verdict(creator, self.certificates.issue("ex.com"))
        left = ref(creator)
        del creator
        self.assertIsNone(left())

    def test_an_exemption_is_not_shared(self) -> None:
        """
        An exempt connection leaves the next one from the same context verified.
        """
        self.verdict(self.creator(exemption="domain ex.com"), self.certificates.self_signed("x"))
        failed = self.verdict(self.creator(), self.certificates.self_signed("ex.com"))
        self.assertEqual(failed, "certificate verify failed")

    def test_a_connection_without_its_check_is_refused(self) -> None:
        """
        The context itself verifies, should the connection's own check ever be forgotten.
        """
        forgetful = self.make(Forgetful, ServerName.parse("ex.com"), None)
        failed = self.verdict(forgetful, self.certificates.issue("ex.com"))
        self.assertEqual((failed, forgetful.accepted), ("certificate verify failed", False))


class Forgetful(VerifiedConnectionCreator):
    """
    Makes connections without the check.
    """

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """
        Forget it.
        """
        return SSL.Connection(self.generation.context, None)


def _step(shake: Callable[[], object]) -> str | None:
    try:
        shake()
    except SSL.WantReadError:
        return None
    except SSL.Error as error:
        return str(error.args[0][0][2])
    return None


def _read(connection: SSL.Connection) -> bytes:
    try:
        return connection.bio_read(65536)
    except SSL.WantReadError:
        return b""
