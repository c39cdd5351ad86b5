"""
Tests of C{matrix_federation_agent._tls.sessions}, and of what L{VerifiedConnectionCreator} makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import time
from typing import Any, cast
from weakref import WeakSet

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory

from matrix_federation_agent import ServerName, TrustPolicy
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.sessions import (
    CERTIFICATE_BYTES,
    CERTIFICATE_FACTOR,
    FIXED_BYTES,
    FREED_AT_A_TIME,
    UNVERIFIED_FACTOR,
    Proof,
    RememberedSession,
    SessionCache,
)
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.errors import CertificateRejected, HandshakeFailed
from matrix_federation_agent.testing import Certificate, Certificates
from tests.case import TestCase
from tests.connect.in_memory import Application, Applications, Handshake

DAY = 24 * 3600.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGIN.timestamp() + 100
SESSION = cast("SSL.Session", None)


def der(certificate: Certificate) -> bytes:
    """
    Encode a certificate as a server sends it.
    """
    return x509.load_pem_x509_certificate(certificate.certificate_pem).public_bytes(Encoding.DER)


class ProofTests(TestCase):
    """
    L{Proof}.
    """

    def setUp(self) -> None:
        """
        Make a chain of two whose validity overlaps in part.
        """
        super().setUp()
        issue = Certificates().issue
        self.begin = NOW - 50
        later = datetime.fromtimestamp(self.begin, UTC)
        self.leaf = der(issue("ex.com", not_before=BEGIN, not_after=datetime(2026, 3, 1, tzinfo=UTC)))
        self.above = der(issue("root", not_before=later, not_after=datetime(2026, 2, 1, tzinfo=UTC)))
        self.chain = [self.leaf, self.above]

    def test_it_ends_with_the_first_certificate(self) -> None:
        """
        It stands until any certificate of the chain expires, to the second.
        """
        end = datetime(2026, 2, 1, tzinfo=UTC).timestamp()
        for chain in (self.chain, self.chain[::-1]):
            proof = Proof.of(chain, chain, NOW, 365 * DAY)
            self.assertEqual([proof.stands(when) for when in (NOW, end - 1, end)], [True, True, False])

    def test_it_begins_with_the_last_certificate(self) -> None:
        """
        It does not stand before all certificates are valid.
        """
        for chain in (self.chain, self.chain[::-1]):
            proof = Proof.of(chain, chain, self.begin - 60, 365 * DAY)
            self.assertEqual([proof.stands(when) for when in (self.begin - 1, self.begin)], [False, True])

    def test_a_clock_that_is_set_back(self) -> None:
        """
        It does not stand before it was made, so that nothing prolongs its lifetime.
        """
        self.assertFalse(Proof.of(self.chain, self.chain, NOW, DAY).stands(NOW - 1))

    def test_lifetime(self) -> None:
        """
        It stands no longer than sessions may live.
        """
        proof = Proof.of(self.chain, self.chain, NOW, 60)
        self.assertEqual([proof.stands(NOW + 59), proof.stands(NOW + 60)], [True, False])

    def test_the_certificate(self) -> None:
        """
        It is of the server's own certificate, and of no other in its chain.
        """
        proof = Proof.of(self.chain, self.chain, NOW, DAY)
        self.assertEqual([proof.is_of(self.leaf), proof.is_of(self.above)], [True, False])

    def test_the_weight_is_of_what_was_sent(self) -> None:
        """
        Certificates count that were sent, not the roots; those outside the verified chain for much more.
        """
        stranger = der(Certificates().issue("a"))
        weight = Proof.of(self.chain, [self.leaf, stranger], NOW, DAY).weight
        expected = CERTIFICATE_BYTES + CERTIFICATE_FACTOR * len(self.leaf) + UNVERIFIED_FACTOR * len(stranger)
        self.assertEqual(weight, expected)

    def test_a_certificate_that_cannot_be_read(self) -> None:
        """
        There is no proof of a chain with one.
        """
        self.assertRaises(ValueError, Proof.of, [self.leaf, b"x"], [self.leaf], NOW, DAY)


def remembered(weight: int = 1, until: float = DAY) -> RememberedSession:
    """
    Make a session that stands from 0.
    """
    return RememberedSession(SESSION, Proof(b"", 0.0, until, 0), weight)


class RememberedSessionTests(TestCase):
    """
    L{RememberedSession}.
    """

    def test_everything_received_counts(self) -> None:
        """
        A ticket may be as long as all that was received.
        """
        session = RememberedSession.of(SESSION, Proof(b"", 0.0, 1.0, 7), 1000, None)
        self.assertEqual(session.weight, FIXED_BYTES + 7 + 1000)

    def test_a_resumed_session_may_have_kept_its_ticket(self) -> None:
        """
        After a resumption nothing weighs less than before.
        """
        proof = Proof(b"", 0.0, 1.0, 0)
        weights = [RememberedSession.of(SESSION, proof, 10, remembered(weight)).weight for weight in (5, 10**6)]
        self.assertEqual(weights, [FIXED_BYTES + 10, 10**6])


class SessionCacheTests(TestCase):
    """
    L{SessionCache}.
    """

    def test_a_session_is_taken_once(self) -> None:
        """
        Who takes it has it alone.
        """
        cache, session = SessionCache(2, 2), remembered()
        cache.keep("a", session)
        self.assertEqual([cache.take("b", 1.0), cache.take("a", 1.0), cache.take("a", 1.0)], [None, session, None])

    def test_a_session_that_stands_no_longer(self) -> None:
        """
        It is not given out, and is dropped.
        """
        cache = SessionCache(2, 2)
        cache.keep("a", remembered(until=10.0))
        self.assertEqual((cache.take("a", 10.0), len(cache)), (None, 0))

    def test_bounded_in_number(self) -> None:
        """
        The oldest leaves.
        """
        cache = SessionCache(2, 100)
        evicted = [cache.keep(key, remembered()) for key in "abc"]
        self.assertEqual(
            (evicted, [cache.take(key, 1.0) is not None for key in "abc"]), ([0, 0, 1], [False, True, True])
        )

    def test_bounded_in_bytes(self) -> None:
        """
        As many leave as it takes.
        """
        cache = SessionCache(100, 10)
        evicted = [cache.keep(key, remembered(weight)) for key, weight in (("a", 4), ("b", 4), ("c", 8))]
        self.assertEqual((evicted, len(cache), cache.weight), ([0, 0, 2], 1, 8))

    def test_one_that_is_too_heavy(self) -> None:
        """
        It displaces nobody, but what was there of the same name and port is gone.
        """
        cache = SessionCache(100, 10)
        for key, weight in (("a", 4), ("b", 4), ("a", 11)):
            cache.keep(key, remembered(weight))
        self.assertEqual((cache.take("a", 1.0), len(cache)), (None, 1))

    def test_succession(self) -> None:
        """
        The sessions of former caches are of no use to anybody, and are freed little by little.
        """
        first, second, third = (SessionCache(100, 100) for _ in range(3))
        kept = WeakSet[RememberedSession]()
        for cache, other in ((first, second), (second, third)):
            for number in range(FREED_AT_A_TIME + 5):
                session = remembered()
                kept.add(session)
                cache.keep(str(number), session)
            other.succeed(cache)
        del session
        left = [(len(kept), third.take("1", 1.0)) for _ in range(4)]
        self.assertEqual(left, [(50, None), (30, None), (10, None), (0, None)])
        self.assertEqual((len(first), len(second), len(third)), (0, 0, 0))

    def test_none(self) -> None:
        """
        With no room nothing is remembered.
        """
        for cache in (SessionCache(0, 10), SessionCache(10, 0)):
            cache.keep("a", remembered())
            self.assertEqual(len(cache), 0)


class ResumedCase(TestCase):
    """
    Connections in memory, to one server.
    """

    def setUp(self) -> None:
        """
        Make the server.
        """
        super().setUp()
        # OpenSSL spoils the session of a connection that is freed before it
        # was closed.
        self.open: list[Handshake] = []
        self.certificates = Certificates()
        path = Path(self.mktemp())
        path.write_bytes(self.certificates.root_pem)
        self.generation = TrustGeneration.load(TrustPolicy(ca_files=[str(path)], use_system_roots=False))
        self.now = time()
        self.clock = Clock()
        self.server = self.server_of(self.certificates.issue("ex.com", "ex.org"))

    def server_of(self, certificate: Certificate) -> TLSMemoryBIOFactory:
        """
        Make a server that remembers its sessions, and says hello.
        """

        def greet() -> Application:
            application = Application()
            application.handshakeCompleted = lambda: application.transport.write(b"hello")  # type: ignore[method-assign,union-attr]
            return application

        return TLSMemoryBIOFactory(certificate.context_factory(), False, Applications(greet), self.clock)

    def creator(
        self, name: str = "ex.com", port: int = 8448, exemption: str | None = None
    ) -> VerifiedConnectionCreator:
        """
        Make what makes a connection.
        """
        server_name = ServerName.parse(name)
        identity, target = Identity(server_name, server_name), Target(server_name, port)
        return VerifiedConnectionCreator(self.generation, identity, target, exemption, lambda: self.now)

    def connect(self, creator: VerifiedConnectionCreator | None = None, during: Callable[[], None] = bool) -> Handshake:  # type: ignore[assignment]
        """
        Connect.

        @param during: is called after the session was offered.
        """
        protocol = self.server.buildProtocol(None)
        assert protocol is not None
        handshake = Handshake(creator or self.creator(), Applications(), protocol)
        self.open.append(handshake)
        during()
        handshake.wire.pump()
        self.clock.advance(0)
        handshake.wire.pump()
        return handshake

    def resumed(self, creator: VerifiedConnectionCreator | None = None) -> bool:
        """
        Connect, which must succeed.

        @return: whether an earlier session was resumed.
        """
        handshake = self.connect(creator)
        self.successResultOf(handshake.opened)
        return handshake.creator.resumed


class OfferTests(ResumedCase):
    """
    What is offered.
    """

    def test_the_same_name_and_port(self) -> None:
        """
        A session is resumed where it was made.
        """
        self.assertEqual([self.resumed() for _ in range(3)], [False, True, True])

    def test_another_name_or_port(self) -> None:
        """
        It is offered nowhere else.
        """
        self.resumed()
        others = (self.creator("ex.org"), self.creator(port=443))
        self.assertEqual([self.resumed(other) for other in others], [False, False])

    def test_T5_exempt(self) -> None:
        """
        An exempt connection neither takes nor leaves a session.
        """
        self.resumed()
        exempt = self.creator(exemption="domain ex.com")
        self.assertEqual((self.resumed(exempt), len(self.generation.sessions), self.resumed()), (False, 1, True))

    def test_time(self) -> None:
        """
        Outside its time it is not offered, and the handshake is a full one.
        """
        for seconds in (DAY, -1.0, 40 * DAY):
            self.resumed()
            self.now += seconds
            self.assertFalse(self.resumed(), str(seconds))

    def test_the_lifetime_counts_from_the_full_handshake(self) -> None:
        """
        Resuming does not prolong it.
        """
        self.resumed()
        self.now += DAY - 1
        before = self.resumed()
        self.now += 1
        self.assertEqual((before, self.resumed()), (True, False))

    def test_refused_connections_leave_none(self) -> None:
        """
        A connection whose certificate was refused leaves no session.
        """
        self.failureResultOf(self.connect(self.creator("ex.net")).opened, CertificateRejected)
        self.assertEqual(len(self.generation.sessions), 0)

    def test_a_retired_generation_remembers_nothing(self) -> None:
        """
        What arrives after a reload leaves no session with the old roots.
        """

        def retire() -> Application:
            self.generation.retired = True
            return Application()

        protocol = self.server.buildProtocol(None)
        assert protocol is not None
        handshake = Handshake(self.creator(), Applications(retire), protocol)
        handshake.wire.pump()
        self.successResultOf(handshake.opened)
        self.assertEqual(len(self.generation.sessions), 0)


class ConcludeTests(ResumedCase):
    """
    What is accepted, of that which was offered.
    """

    def refused(self, during: Callable[[], None], creator: VerifiedConnectionCreator | None = None) -> type[Exception]:
        """
        Resume a session, after something has changed.

        @return: why the connection was refused.
        """
        self.resumed()
        handshake = self.connect(creator, during)
        error = self.failureResultOf(handshake.opened).value
        self.assertEqual((handshake.applications.built, len(self.generation.sessions)), ([], 0))
        return type(error)

    def test_expired_meanwhile(self) -> None:
        """
        A session that was offered in time, and resumed too late, is refused.
        """

        def wait() -> None:
            self.now += DAY

        self.assertIs(self.refused(wait), HandshakeFailed)

    def test_a_session_of_another_certificate(self) -> None:
        """
        A session whose certificate is not the one that was checked is refused.
        """
        creator = self.creator()

        def change() -> None:
            offered = creator._offered
            assert offered is not None
            creator._offered = attrs.evolve(offered, proof=attrs.evolve(offered.proof, leaf=b"another"))

        self.assertIs(self.refused(change, creator), HandshakeFailed)

    def test_a_session_that_was_not_offered(self) -> None:
        """
        A handshake without the check, and without a session of ours, is refused.
        """
        creator = self.creator()
        self.assertIs(self.refused(lambda: setattr(creator, "_offered", None), creator), HandshakeFailed)

    def test_any_exception_refuses(self) -> None:
        """
        Whatever is raised refuses the connection.
        """
        for error in (ValueError("x"), KeyboardInterrupt(), MemoryError()):
            creator = self.creator()
            self.assertIs(self.refused(partial(setattr, creator, "_now", Raising(error)), creator), CertificateRejected)

    def test_a_session_that_was_not_resumed_weighs_nothing(self) -> None:
        """
        After a full handshake in reply, the session that is remembered has its own weight only.
        """
        self.resumed()
        key, heavy = "ex.com:8448", 10**6
        found = self.generation.sessions.take(key, self.now)
        assert found is not None
        self.generation.sessions.keep(key, attrs.evolve(found, weight=heavy))
        self.server = self.server_of(self.certificates.issue("ex.com"))
        self.assertFalse(self.resumed())
        self.assertLess(self.generation.sessions.weight, heavy)

    def test_a_full_handshake_in_reply(self) -> None:
        """
        A server that was offered a session and shows a certificate instead has it checked.
        """
        self.resumed()
        self.server = self.server_of(self.certificates.issue("ex.net"))
        self.failureResultOf(self.connect().opened, CertificateRejected)
        self.assertEqual(len(self.generation.sessions), 0)


class Raising:
    """
    A clock that fails.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self) -> Any:
        """
        Fail.
        """
        raise self._error
