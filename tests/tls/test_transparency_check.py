"""
Tests of what L{VerifiedConnectionCreator} makes of Certificate Transparency.
"""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Any, cast

import attrs
from OpenSSL import SSL, crypto
from twisted.internet.task import Clock

from matrix_federation_agent import ServerName, TrustPolicy
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.sessions import SCT_BYTES, Proof
from matrix_federation_agent._tls.transparency import SCTOutcome, TransparencyOutcome
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.errors import CertificateRejected, ConfigurationError, HandshakeFailed
from tests.case import TestCase

from .logs import LOGGED, Authority, SigningLog, write_log_list
from .test_sessions import ResumedCase
from .test_verification import NoCertificate

loaded = crypto.X509.from_cryptography


class TransparencyCase(TestCase):
    """
    A test with an authority and two logs.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.authority = Authority()
        self.alpha, self.beta = SigningLog("Alpha"), SigningLog("Beta")
        self.path = write_log_list(self.mktemp(), self.alpha.entry(), self.beta.entry())

    def trusting(self, required: int, ct_log_list: str | None = None) -> TrustGeneration:
        """
        Read the two logs, and the root.

        @param required: SCTs of so many.
        """
        root = Path(self.mktemp())
        root.write_bytes(self.authority.root_pem)
        settings: dict[str, Any] = {"ct_log_list": ct_log_list or self.path, "required_scts": required}
        return TrustGeneration.load(TrustPolicy(ca_files=[str(root)], use_system_roots=False, **settings))

    def valid(self, *logs: SigningLog) -> TransparencyOutcome:
        """
        Make the outcome for valid SCTs of logs.
        """
        scts = [SCTOutcome(log.log_id, log.name, log.operator, LOGGED, "valid") for log in logs]
        return TransparencyOutcome(tuple(scts))


class LoadingTests(TransparencyCase):
    """
    L{TrustGeneration.load}.
    """

    def test_the_list_is_read(self) -> None:
        """
        A generation has the logs of the list.
        """
        logs = self.trusting(0).logs
        assert logs is not None
        self.assertEqual([log.description for log in logs.logs], ["Alpha", "Beta"])

    def test_no_list(self) -> None:
        """
        Without a list there are no logs.
        """
        self.assertIsNone(TrustGeneration.load(TrustPolicy(use_system_roots=False)).logs)

    def test_a_broken_list(self) -> None:
        """
        A list that cannot be used is a fault of the settings.
        """
        Path(self.path).write_bytes(b"{}")
        self.assertRaises(ConfigurationError, self.trusting, 0)


class CheckTests(TransparencyCase):
    """
    L{VerifiedConnectionCreator.check}.
    """

    def checked(
        self, generation: TrustGeneration, *chain: object, name: str = "ex.com"
    ) -> tuple[bool, VerifiedConnectionCreator]:
        """
        Call the check as OpenSSL does, with nothing to object.

        @param chain: from the server's certificate to the root.
        @return: whether it was accepted, by whom.
        """
        server_name = ServerName.parse(name)
        identity, target = Identity(server_name, server_name), Target(server_name, 8448)
        creator = VerifiedConnectionCreator(generation, identity, target, None, time)
        connection = SSL.Connection(generation.context, None)
        for depth, certificate in reversed(list(enumerate(chain))):
            accepted = creator.check(connection, cast("Any", certificate), 0, depth, 1)
        self.assertEqual(accepted, creator.accepted)
        return accepted, creator

    def good(self, *logs: SigningLog) -> tuple[crypto.X509, crypto.X509]:
        """
        Make a chain for C{ex.com}.
        """
        certificate = self.authority.issue(*[log.promise for log in logs])
        return loaded(certificate), loaded(self.authority.certificate)

    def test_enough(self) -> None:
        """
        With as many logs as are required, or more, the certificate is accepted, and the outcome kept.
        """
        found = [self.checked(self.trusting(required), *self.good(self.alpha, self.beta)) for required in (1, 2)]
        outcome = self.valid(self.alpha, self.beta)
        self.assertEqual([(accepted, creator.transparency) for accepted, creator in found], [(True, outcome)] * 2)

    def test_too_few(self) -> None:
        """
        With fewer it is refused, and the error says what was there.
        """
        accepted, creator = self.checked(self.trusting(2), *self.good(self.alpha))
        assert creator.rejection is not None
        self.assertEqual((accepted, creator.rejection.depth, creator.rejection.code), (False, 0, None))
        self.assertEqual(
            creator.rejection.reason,
            "certificate rejected: it needs valid SCTs of 2 logs, but has valid SCTs of 1 log; "
            "Alpha (Example): valid (issued by CN=Authority)",
        )

    def test_the_error_says_what_is_in_the_certificate(self) -> None:
        """
        The error has the fields of any other.
        """
        _, creator = self.checked(self.trusting(1), *self.good())
        assert creator.rejection is not None
        self.assertEqual((creator.rejection.names, creator.rejection.issuer), (("ex.com",), "CN=Authority"))

    def test_none_required(self) -> None:
        """
        Where none is required nothing is refused, and the outcome is kept all the same.
        """
        accepted, creator = self.checked(self.trusting(0), *self.good())
        outcome = TransparencyOutcome((), "the certificate's list of SCTs is empty")
        self.assertEqual((accepted, creator.transparency), (True, outcome))

    def test_malformed(self) -> None:
        """
        A certificate with a list of SCTs that is not one is refused as any that cannot be read, before it is judged.
        """
        certificate = self.authority.issue_with(b"broken")
        accepted, creator = self.checked(self.trusting(0), loaded(certificate), loaded(self.authority.certificate))
        self.assertEqual((accepted, creator.transparency), (False, None))

    def test_without_a_list(self) -> None:
        """
        Where there is no list nothing is looked at.
        """
        generation = TrustGeneration.load(TrustPolicy(use_system_roots=False))
        accepted, creator = self.checked(generation, *self.good(self.alpha))
        self.assertEqual((accepted, creator.transparency), (True, None))

    def test_an_issuer_that_cannot_be_read(self) -> None:
        """
        Whatever is raised, nothing counts: the certificate is refused where logs are required, and only there.
        """
        for error in (ValueError("x"), KeyboardInterrupt(), MemoryError()):
            certificate, _ = self.good(self.alpha)
            found = [self.checked(self.trusting(required), certificate, NoCertificate(error))[0] for required in (0, 1)]
            self.assertEqual(found, [True, False], type(error).__name__)

    def test_no_issuer(self) -> None:
        """
        A certificate that is its own root is vouched for by nobody.
        """
        certificate, _ = self.good(self.alpha)
        accepted, creator = self.checked(self.trusting(1), certificate)
        problem = TransparencyOutcome((), "the certificate's issuer is not known")
        self.assertEqual((accepted, creator.transparency), (False, problem))

    def test_the_issuer_is_the_next_of_the_chain(self) -> None:
        """
        The issuer is what signed the certificate, not the root.
        """
        accepted, _ = self.checked(self.trusting(1), *self.good(self.alpha), loaded(Authority().certificate))
        self.assertTrue(accepted)

    def test_the_name_comes_first(self) -> None:
        """
        A certificate for somebody else is refused as that; its SCTs are not looked at.
        """
        _, creator = self.checked(self.trusting(2), *self.good(), name="ex.org")
        assert creator.rejection is not None
        self.assertTrue(creator.rejection.reason.startswith("certificate rejected: it must name ex.org"))
        self.assertIsNone(creator.transparency)

    def test_nothing_is_kept_of_the_chain(self) -> None:
        """
        The issuer is not kept after the check.
        """
        _, creator = self.checked(self.trusting(0), *self.good(self.alpha))
        self.assertEqual([one for one in vars(creator).values() if isinstance(one, crypto.X509)], [])

    def test_a_long_story(self) -> None:
        """
        The error stays short, whatever the SCTs are.
        """
        logs = [SigningLog("n" * 5000, "o" * 5000) for _ in range(16)]
        path = write_log_list(self.mktemp(), *[log.entry(state="pending") for log in logs])
        _, creator = self.checked(self.trusting(1, path), *self.good(*logs))
        assert creator.rejection is not None
        self.assertLess(len(creator.rejection.reason), 2000)


class ConnectionTests(ResumedCase, TransparencyCase):
    """
    Connections in memory.
    """

    def setUp(self) -> None:
        """
        Require both logs.
        """
        TransparencyCase.setUp(self)
        self.open = []
        self.now = time()
        self.clock = Clock()
        self.generation = self.trusting(2)
        self.show(self.alpha, self.beta)

    def show(self, *logs: SigningLog) -> None:
        """
        Let the server show a certificate with SCTs of some logs.
        """
        certificate = self.authority.issue(*[log.promise for log in logs])
        self.server = self.server_of(self.authority.shown(certificate))

    def test_a_resumed_connection(self) -> None:
        """
        A resumed connection has the outcome of the full handshake, however often.
        """
        creators = [self.creator() for _ in range(3)]
        resumed = [self.resumed(creator) for creator in creators]
        self.assertEqual(resumed, [False, True, True])
        self.assertEqual([one.transparency for one in creators], [self.valid(self.alpha, self.beta)] * 3)

    def test_a_session_that_does_not_stand(self) -> None:
        """
        A connection that is refused has no outcome of another certificate.
        """
        self.resumed()
        creator = self.creator()

        def change() -> None:
            offered = creator._offered
            assert offered is not None
            creator._offered = attrs.evolve(offered, proof=attrs.evolve(offered.proof, leaf=b"another"))

        self.failureResultOf(self.connect(creator, change).opened, HandshakeFailed)
        self.assertEqual((creator.accepted, creator.transparency), (False, None))

    def test_refused(self) -> None:
        """
        With one log the handshake fails, nothing is built and nothing remembered.
        """
        self.show(self.alpha)
        handshake = self.connect()
        self.failureResultOf(handshake.opened, CertificateRejected)
        self.assertEqual((handshake.applications.built, len(self.generation.sessions)), ([], 0))

    def test_exempt(self) -> None:
        """
        What is exempt is not judged.
        """
        self.show()
        creator = self.creator(exemption="domain ex.com")
        self.successResultOf(self.connect(creator).opened)
        self.assertIsNone(creator.transparency)


class ProofTests(TransparencyCase):
    """
    L{Proof}.
    """

    def test_the_outcome_has_a_weight(self) -> None:
        """
        What is known of SCTs is remembered with the session, and counted.
        """
        chain = [crypto.dump_certificate(crypto.FILETYPE_ASN1, loaded(self.authority.certificate))]
        outcome = self.valid(self.alpha, self.beta)
        with_it, without = (Proof.of(chain, chain, time(), 60.0, one) for one in (outcome, None))
        self.assertEqual((with_it.weight - without.weight, with_it.transparency), (2 * SCT_BYTES, outcome))
