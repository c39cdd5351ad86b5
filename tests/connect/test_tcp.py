"""
Tests of C{matrix_federation_agent._connect.tcp}.
"""

from __future__ import annotations

import errno
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectBindError
from twisted.internet.error import ConnectionRefusedError as TwistedConnectionRefusedError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from matrix_federation_agent._connect.tcp import SHORTAGES, Patience, Room, connect_tcp
from matrix_federation_agent.errors import ConnectionFailed, TimedOut
from tests.case import TestCase


class Failing(Factory):
    """
    Builds nothing.
    """

    def buildProtocol(self, addr: object) -> None:
        """
        Fail.
        """
        raise LookupError("no protocol today")


class ConnectTests(TestCase):
    """
    L{connect_tcp}.
    """

    def setUp(self) -> None:
        """
        Make a reactor that connects when the test says so.
        """
        super().setUp()
        self.reactor = MemoryReactorClock()
        self.protocol = Protocol()
        self.asked_for_room: list[float] = []

    def make_room(self) -> None:
        """
        Note when it is called.
        """
        self.asked_for_room.append(self.reactor.seconds())

    def connect(self, factory: IProtocolFactory | None = None, address: str = "192.0.2.1") -> Deferred[None]:
        """
        Begin to connect.
        """
        chosen = factory or Factory.forProtocol(lambda: self.protocol)
        place = (ip_address(address), 8448)
        patience = Patience(Room(self.make_room), 10)
        return Deferred.fromCoroutine(connect_tcp(self.reactor, "ex.com", place, chosen, 3, patience))

    @property
    def attempt(self) -> Any:
        """
        What the reactor asks for a protocol.
        """
        return self.reactor.tcpClients[-1][2]

    def refuse(self, reason: Exception) -> None:
        """
        Let the attempt fail.
        """
        self.attempt.clientConnectionFailed(self.reactor.connectors[-1], Failure(reason))

    def test_the_reactor_is_asked(self) -> None:
        """
        For the address, the port and the limit, of either family.
        """
        waiting = [self.connect(address=address) for address in ("192.0.2.1", "2001:db8::1")]
        asked = [(host, port, timeout) for host, port, _, timeout, _ in self.reactor.tcpClients]
        self.assertEqual(asked, [("192.0.2.1", 8448, 3), ("2001:db8::1", 8448, 3)])
        self.assertEqual([one.called for one in waiting], [False, False])

    def test_nothing_stands_in_between(self) -> None:
        """
        The connection gets the very protocol that the factory built.
        """
        connecting = self.connect()
        self.assertIs(self.attempt.buildProtocol(None), self.protocol)
        self.assertIsNone(self.successResultOf(connecting))

    def test_refused(self) -> None:
        """
        What the system says is the reason.
        """
        connecting = self.connect()
        self.refuse(TwistedConnectionRefusedError())
        self.assertEqual(self.failureResultOf(connecting).type, ConnectionFailed)

    def test_late(self) -> None:
        """
        The reactor's own time limit is told with its length.
        """
        connecting = self.connect()
        self.refuse(TwistedTimeoutError())
        error = self.failureResultOf(connecting, TimedOut).value
        assert isinstance(error, TimedOut)
        self.assertEqual((error.seconds, error.phase), (3, "tcp"))

    def test_a_factory_that_fails(self) -> None:
        """
        Whoever waits is told, and the connection gets no protocol.
        """
        connecting = self.connect(Failing())
        self.assertIsNone(self.attempt.buildProtocol(None))
        error = self.failureResultOf(connecting, ConnectionFailed).value
        assert error is not None
        self.assertIsInstance(error.__cause__, LookupError)

    def test_cancelled(self) -> None:
        """
        The attempt is given up, and what the reactor says of that is not heard.
        """
        connecting = self.connect()
        connecting.cancel()
        self.refuse(TwistedConnectionRefusedError())
        self.assertEqual(self.failureResultOf(connecting).type, CancelledError)
        self.assertTrue(self.reactor.connectors[-1].stoppedConnecting)

    def test_no_socket(self) -> None:
        """
        When the system has no socket, it is asked again, each time later, after something was done for room.
        """
        connecting = self.connect()
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
            self.refuse(ConnectBindError(errno.EMFILE, "Too many open files"))
            self.reactor.advance(pause)
        self.assertIs(self.attempt.buildProtocol(None), self.protocol)
        self.successResultOf(connecting)
        self.assertEqual([round(when, 2) for when in self.asked_for_room], [0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55])
        self.assertEqual((len(self.reactor.tcpClients), self.reactor.getDelayedCalls()), (8, []))

    def test_every_shortage(self) -> None:
        """
        No shortage is a failure; what says something about the other side is one, with its words.
        """
        for number in (*SHORTAGES, errno.EADDRNOTAVAIL, errno.EHOSTUNREACH):
            connecting = self.connect()
            self.refuse(ConnectBindError(number, "words"))
            if number in SHORTAGES:
                self.assertNoResult(connecting)
                connecting.cancel()
            self.failureResultOf(connecting, CancelledError if number in SHORTAGES else ConnectionFailed)

    def test_no_socket_in_time(self) -> None:
        """
        At the end it is an error, which says what was missing.
        """
        connecting = self.connect()
        for _ in range(20):
            self.refuse(ConnectBindError(errno.EMFILE, "Too many open files"))
            self.reactor.advance(1)
        error = self.failureResultOf(connecting, ConnectionFailed).value
        assert isinstance(error, ConnectionFailed)
        self.assertEqual((type(error), type(error.__cause__)), (ConnectionFailed, ConnectBindError))
        self.assertEqual(error.reason, "there is no socket to connect with: too many open files")
        self.assertEqual((len(self.reactor.tcpClients), self.reactor.getDelayedCalls()), (10, []))

    def test_cancelled_without_a_socket(self) -> None:
        """
        Who leaves leaves no timer.
        """
        connecting = self.connect()
        self.refuse(ConnectBindError(errno.ENFILE, "words"))
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
