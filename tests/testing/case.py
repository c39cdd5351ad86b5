"""
The base of the test kit's tests of connections.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol

from matrix_federation_agent.testing import LoopbackFederation
from tests.case import TestCase
from tests.testing.plain_client import Listener


class ReactorCase(TestCase):
    """
    A test with the reactor of a federation.
    """

    def setUp(self) -> None:
        """
        Start it, and stop it afterwards.
        """
        super().setUp()
        self.federation = LoopbackFederation.new(reactor)
        self.addCleanup(self.federation.stop)
        self.reactor = self.federation.reactor

    def connect(self, host: str, port: int, timeout: float = 10) -> Deferred[Listener]:
        """
        Connect by an endpoint.
        """
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        connected: Deferred[Listener] = connectProtocol(kind(self.reactor, host, port, timeout), Listener())
        return connected
