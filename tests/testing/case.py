"""
The base of the test kit's tests of connections.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol

from tests.federation import FederationTestCase
from tests.testing.plain_client import Listener


class ReactorCase(FederationTestCase):
    """
    A test with the reactor of a federation.
    """

    def setUp(self) -> None:
        """
        Start it, and stop it afterwards.
        """
        super().setUp()
        self.reactor = self.federation.reactor

    def connect(self, host: str, port: int, timeout: float = 10) -> Deferred[Listener]:
        """
        Connect by an endpoint.
        """
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        connected: Deferred[Listener] = connectProtocol(kind(self.reactor, host, port, timeout), Listener())
        return connected
