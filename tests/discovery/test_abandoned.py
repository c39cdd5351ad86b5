"""
Tests of C{matrix_federation_agent._discovery.remembering}: who is told of a delegation that has changed.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from matrix_federation_agent import Counters, DiscoveryPolicy, ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.remembering import Remembering
from tests.case import TestCase

FIRST, SECOND = ServerName("m1.example"), ServerName("m2.example")
LATER = 50 * 3600.0


class AbandonedTests(TestCase):
    """
    L{Remembering.delegations}.
    """

    def told(self, *outcomes: Delegation | NoDelegation) -> list[str]:
        """
        Fetch again and again, much later each time.

        @return: the servers that were told to be abandoned.
        """
        clock, left, told = Clock(), list(outcomes), list[str]()

        async def fetch(host: str) -> Delegation | NoDelegation:
            return left.pop(0)

        remembering = Remembering(clock, DiscoveryPolicy(), Random(1), None, Counters())
        memory = remembering.delegations(fetch, lambda server: told.append(str(server)))
        for _ in outcomes:
            self.successResultOf(Deferred.fromCoroutine(memory.entry("ex.com")))
            clock.advance(LATER)
        return told

    def test_another_delegation(self) -> None:
        """
        The server that was delegated to before is abandoned.
        """
        self.assertEqual(self.told(Delegation(FIRST), Delegation(SECOND)), ["m1.example"])

    def test_the_same_delegation(self) -> None:
        """
        One that is confirmed is not, nor is one that was never there.
        """
        self.assertEqual(self.told(Delegation(FIRST), Delegation(FIRST)), [])
        self.assertEqual(self.told(NoDelegation("404", temporary=False), Delegation(FIRST)), [])

    def test_no_delegation_any_more(self) -> None:
        """
        A delegation that has gone is one that has changed.
        """
        gone = NoDelegation("404", temporary=False)
        self.assertEqual(self.told(Delegation(FIRST), gone), ["m1.example"])
