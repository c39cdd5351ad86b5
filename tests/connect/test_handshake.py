"""
Tests of C{matrix_federation_agent._connect.handshake}.
"""

from __future__ import annotations

from pathlib import Path
from time import time

from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface.verify import verifyObject

from matrix_federation_agent._connect.handshake import ByteBudget
from matrix_federation_agent._connect.open_connections import OpenConnections
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator
from matrix_federation_agent.errors import CertificateRejected, ConnectionFailed, HandshakeFailed
from matrix_federation_agent.testing import Certificate, Certificates
from tests.case import TestCase
from tests.connect.in_memory import IDENTITY, TARGET, Application, Applications, Handshake, tls_server, trusting


class Unchecking(VerifiedConnectionCreator):
    """
    Makes connections on which OpenSSL never calls the check.
    """

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Leave the check out.
        """
        connection = SSL.Connection(self.generation.context, None)
        connection.set_verify(SSL.VERIFY_NONE)
        return connection


class Failing(Application):
    """
    Cannot be connected.
    """

    def connectionMade(self) -> None:
        """
        Fail.
        """
        raise KeyError("mine")


class HandshakeCase(TestCase):
    """
    Handshakes in memory.
    """

    def setUp(self) -> None:
        """
        Make the certificates.
        """
        super().setUp()
        self.certificates = Certificates()
        self.trust = trusting(self.certificates, Path(self.mktemp()))
        self.peers = Applications()
        self.server_clock = Clock()

    def shake(
        self,
        certificate: Certificate,
        applications: Applications | None = None,
        make: type[VerifiedConnectionCreator] = VerifiedConnectionCreator,
        exemption: str | None = None,
    ) -> Handshake:
        """
        Begin a handshake with a server.
        """
        creator = make(self.trust, IDENTITY, TARGET, exemption, time)
        server = tls_server(certificate, self.peers, self.server_clock)
        return Handshake(creator, applications or Applications(), server)

    def good(self, applications: Applications | None = None) -> Handshake:
        """
        Begin a handshake with the right server.
        """
        return self.shake(self.certificates.issue("ex.com"), applications)


class GateTests(HandshakeCase):
    """
    L{HandshakeGate}.
    """

    def test_interface(self) -> None:
        """
        It is told by Twisted when the handshake is complete.
        """
        self.assertTrue(verifyObject(IHandshakeListener, self.good().gate))

    def test_the_application_is_built_after_verification(self) -> None:
        """
        The caller's factory is not asked for a protocol before the certificate was accepted.
        """
        verdicts: list[bool] = []

        def build() -> Application:
            verdicts.append(handshake.creator.accepted)
            return Application()

        handshake = self.good(Applications(build))
        self.assertEqual(verdicts, [])
        handshake.wire.pump()
        self.assertEqual(verdicts, [True])

    def test_the_application_gets_a_whole_life(self) -> None:
        """
        The protocol is connected once, told of the handshake once, and of the end.
        """
        handshake = self.good()
        handshake.wire.pump()
        self.assertIs(self.successResultOf(handshake.opened), handshake.protocol)
        handshake.wire.close()
        self.assertEqual(handshake.protocol.events, ["made", "handshake", "lost"])

    def test_bytes_reach_the_application(self) -> None:
        """
        What the server sends after the handshake is the application's.
        """
        handshake = self.good()
        handshake.wire.pump()
        (peer,) = self.peers.built
        assert peer is not None
        assert peer.transport is not None
        peer.transport.write(b"hello")
        self.server_clock.advance(0)
        handshake.wire.pump()
        self.assertEqual(handshake.protocol.data, b"hello")

    def test_a_bad_certificate_builds_nothing(self) -> None:
        """
        After a refused certificate there is no protocol, and the server has received nothing.
        """
        handshake = self.shake(self.certificates.issue("ex.org"))
        handshake.wire.pump()
        error = self.failureResultOf(handshake.opened, CertificateRejected).value
        self.assertEqual((error.code, handshake.applications.built), (None, []))
        self.assertEqual([peer.data for peer in self.peers.built if peer], [b""])

    def test_nobody_waits_any_more(self) -> None:
        """
        A handshake that is complete after it was given up builds nothing.
        """
        handshake = self.good()
        handshake.opened.cancel()
        handshake.gate.handshakeCompleted()
        self.failureResultOf(handshake.opened, CancelledError)
        self.assertEqual((handshake.applications.built, handshake.wire.client.transport.disconnected), ([], True))

    def test_an_exempt_connection(self) -> None:
        """
        An exempt connection is handed over with any certificate.
        """
        handshake = self.shake(self.certificates.self_signed("x"), exemption="domain ex.com")
        handshake.wire.pump()
        self.assertIsInstance(self.successResultOf(handshake.opened), Application)

    def test_a_handshake_without_the_check_is_refused(self) -> None:
        """
        A handshake that completes although the check never ran is no proof: the connection is dropped.
        """
        handshake = self.shake(self.certificates.issue("ex.com"), make=Unchecking)
        handshake.wire.pump()
        error = self.failureResultOf(handshake.opened, HandshakeFailed).value
        self.assertIs(type(error), HandshakeFailed)
        self.assertEqual((handshake.applications.built, handshake.wire.client.transport.disconnected), ([], True))

    def test_a_factory_may_decline(self) -> None:
        """
        A factory that builds no protocol has the connection dropped.
        """
        handshake = self.good(Applications(lambda: None))
        handshake.wire.pump()
        error = self.failureResultOf(handshake.opened, ConnectionFailed).value
        self.assertIs(type(error), ConnectionFailed)
        self.assertTrue(handshake.wire.client.transport.disconnected)

    def test_a_factory_that_fails(self) -> None:
        """
        What a factory raises reaches the caller at once, and the connection is dropped.
        """

        def build() -> Application:
            raise KeyError("mine")

        handshake = self.good(Applications(build))
        handshake.wire.pump()
        self.failureResultOf(handshake.opened, KeyError)
        self.assertTrue(handshake.wire.client.transport.disconnected)

    def test_an_application_that_fails(self) -> None:
        """
        What an application raises when it is connected reaches the caller at once, and the application is told of
        the end.
        """
        handshake = self.good(Applications(Failing))
        handshake.wire.pump()
        self.failureResultOf(handshake.opened, KeyError)
        self.assertEqual((handshake.wire.client.transport.disconnected, handshake.protocol.events), (True, ["lost"]))

    def test_cancelling_while_the_application_is_built(self) -> None:
        """
        A factory that cancels has its protocol neither connected nor handed over.
        """

        def build() -> Application:
            handshake.opened.cancel()
            return Application()

        handshake = self.good(Applications(build))
        handshake.wire.pump()
        self.failureResultOf(handshake.opened, CancelledError)
        self.assertEqual((handshake.protocol.events, len(handshake.open_connections)), ([], 0))

    def test_cancelling_while_the_application_is_connected(self) -> None:
        """
        An application that cancels is not handed over, and is told of the end.
        """

        def build() -> Application:
            application = Application()
            application.connectionMade = handshake.opened.cancel  # type: ignore[method-assign]
            return application

        handshake = self.good(Applications(build))
        handshake.wire.pump()
        self.failureResultOf(handshake.opened, CancelledError)
        self.assertEqual((handshake.protocol.events[-1], len(handshake.open_connections)), ("lost", 0))

    def test_closed_during_the_handshake(self) -> None:
        """
        A server that hangs up leaves a failed handshake, with Twisted's reason as its cause.
        """
        handshake = self.good()
        handshake.wire.close()
        error = self.failureResultOf(handshake.opened, HandshakeFailed).value
        self.assertEqual((error.server_name, type(error.__cause__)), ("ex.com", ConnectionLost))

    def test_no_tls(self) -> None:
        """
        A server that speaks something else leaves a failed handshake, with OpenSSL's reason as its cause.
        """
        handshake = self.good()
        handshake.wire.client.protocol.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        handshake.wire.close()
        error = self.failureResultOf(handshake.opened, HandshakeFailed).value
        assert isinstance(error.__cause__, SSL.Error)
        words = ", ".join(entry[-1] for entry in error.__cause__.args[0])
        self.assertEqual(error.reason, f"the TLS handshake failed: {words}")

    def test_cancelling_aborts(self) -> None:
        """
        Who cancels drops the connection at once, without a farewell that the server could delay.
        """
        handshake = self.good()
        handshake.opened.cancel()
        self.failureResultOf(handshake.opened, CancelledError)
        self.assertTrue(handshake.wire.client.transport.disconnected)

    def test_a_handshake_that_goes_on_after_cancelling(self) -> None:
        """
        What arrives after cancelling builds no protocol.
        """
        handshake = self.good()
        handshake.opened.cancel()
        self.failureResultOf(handshake.opened, CancelledError)
        wire = handshake.wire
        wire.server.protocol.dataReceived(wire.client.transport.value())
        wire.client.protocol.dataReceived(wire.server.transport.value())
        wire.close()
        self.assertEqual(handshake.applications.built, [])

    def test_cancelling_when_the_transport_is_lost_at_once(self) -> None:
        """
        Cancelling is C{CancelledError} also on a transport that tells of its end inside C{abortConnection}.
        """
        handshake = self.good()
        self.patch(handshake.wire.client.transport, "abortConnection", handshake.wire.close)
        handshake.opened.cancel()
        self.failureResultOf(handshake.opened, CancelledError)


class OpenConnectionsTests(HandshakeCase):
    """
    L{OpenConnections}.
    """

    def test_connections_are_counted(self) -> None:
        """
        A connection counts from the moment at which TCP is connected to its end.
        """
        handshake = self.good()
        before = len(handshake.open_connections)
        handshake.wire.close()
        self.failureResultOf(handshake.opened, HandshakeFailed)
        self.assertEqual((before, len(handshake.open_connections)), (1, 0))

    def test_abort_fires_when_the_last_is_gone(self) -> None:
        """
        Aborting is done when the connections have ended, for everybody who waits.
        """
        handshake = self.good()
        waiting = [handshake.open_connections.abort() for _ in range(2)]
        for one in waiting:
            self.assertNoResult(one)
        self.assertTrue(handshake.wire.client.transport.disconnected)
        handshake.wire.close()
        self.failureResultOf(handshake.opened, HandshakeFailed)
        self.assertEqual([self.successResultOf(one) for one in waiting], [None, None])

    def test_abort_without_connections(self) -> None:
        """
        Without a connection there is nothing to wait for.
        """
        self.assertIsNone(self.successResultOf(OpenConnections().abort()))

    def test_abort_of_a_verified_connection(self) -> None:
        """
        A connection that was handed over is aborted like any other.
        """
        handshake = self.good()
        handshake.wire.pump()
        done = handshake.open_connections.abort()
        handshake.wire.pump()
        self.successResultOf(done)
        self.assertEqual(handshake.protocol.events[-1], "lost")


class BudgetTests(HandshakeCase):
    """
    L{ByteBudget}.
    """

    def test_no_limit_by_default(self) -> None:
        """
        Without a limit nothing is ever too much.
        """
        budget = ByteBudget()
        budget.left -= 10**12
        self.assertFalse(budget.exceeded)

    def test_within_the_budget(self) -> None:
        """
        A peer may send exactly as much as there is left.
        """
        budget = ByteBudget(5)
        budget.left -= 5
        self.assertFalse(budget.exceeded)

    def test_a_peer_that_sends_too_much(self) -> None:
        """
        One byte more, in the handshake already, drops the connection.
        """
        handshake = self.good()
        handshake.budget.left = 100
        handshake.wire.pump()
        self.failureResultOf(handshake.opened, HandshakeFailed)
        self.assertEqual((handshake.budget.exceeded, handshake.wire.client.transport.disconnected), (True, True))
