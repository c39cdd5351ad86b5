"""
The base of the tests that have a federation.
"""

from __future__ import annotations

from twisted.internet import reactor

from matrix_federation_agent.testing import LoopbackFederation
from tests.case import TestCase


class FederationTestCase(TestCase):
    """
    A test with a federation.
    """

    def setUp(self) -> None:
        """
        Start it, and stop it afterwards.
        """
        super().setUp()
        self.federation = LoopbackFederation.new(reactor)
        self.addCleanup(self.federation.stop)
