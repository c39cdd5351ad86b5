"""
Tests of C{matrix_federation_agent.testing._attempts}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.error import (
    NotConnectingError,
)
from twisted.internet.interfaces import (
    IConnector,
)
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from matrix_federation_agent.testing._attempts import DoomedAttempt
from tests.case import TestCase


class DoomedAttemptTests(TestCase):
    """
    L{DoomedAttempt}.
    """

    def setUp(self) -> None:
        """
        Prepare an attempt that fails after 3 seconds.
        """
        super().setUp()
        self.clock = Clock()
        self.told: list[str] = []
        destination = IPv4Address("TCP", "192.0.2.1", 443)
        self.attempt = DoomedAttempt(
            self.clock,
            Told(self.told),
            destination,
            3,
            error.TimeoutError(),
            lambda attempt: self.told.append("finished"),
        )

    def test_interface(self) -> None:
        """
        It is a connector that knows its destination.
        """
        self.assertTrue(verifyObject(IConnector, self.attempt))
        self.assertEqual(self.attempt.getDestination(), IPv4Address("TCP", "192.0.2.1", 443))

    def test_the_factory_is_told_in_order(self) -> None:
        """
        The order is that of a connector of the real reactor.
        """
        self.attempt.connect()
        self.assertRaises(RuntimeError, self.attempt.connect)
        self.clock.advance(3)
        self.assertEqual(self.told, ["start", "connecting", "TimeoutError", "finished", "stop"])

    def test_stopping(self) -> None:
        """
        Stopping cancels the timer; there is nothing to stop afterwards.
        """
        self.attempt.connect()
        self.attempt.disconnect()
        self.assertEqual(self.told, ["start", "connecting", "UserError", "finished", "stop"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.attempt.disconnect()
        self.assertRaises(NotConnectingError, self.attempt.stopConnecting)


class Told(ClientFactory):
    """
    Writes down what it is told.
    """

    def __init__(self, told: list[str]) -> None:
        """
        Write to C{told}.
        """
        self.told = told

    def doStart(self) -> None:
        """
        Write it down.
        """
        self.told.append("start")

    def doStop(self) -> None:
        """
        Write it down.
        """
        self.told.append("stop")

    def startedConnecting(self, connector: IConnector) -> None:
        """
        Write it down.
        """
        self.told.append("connecting")

    def clientConnectionFailed(self, connector: IConnector, reason: Any) -> None:
        """
        Write it down.
        """
        self.told.append(type(reason.value).__name__)
