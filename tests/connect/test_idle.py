"""
Tests of C{matrix_federation_agent._connect.idle}.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from matrix_federation_agent._connect.idle import IdleConnections
from tests.case import TestCase


class IdleConnectionsTests(TestCase):
    """
    L{IdleConnections}.
    """

    def setUp(self) -> None:
        """
        Keep connections for ten seconds.
        """
        super().setUp()
        self.clock = Clock()
        self.closed: list[str] = []
        self.idle: IdleConnections[str] = IdleConnections(self.clock, 10, self.closed.append)

    def add(self, *names: str) -> None:
        """
        Add connections, a second after each other.
        """
        for name in names:
            self.idle.add(name)
            self.clock.advance(1)

    def test_each_in_its_time(self) -> None:
        """
        Each is closed ten seconds after it became idle, by one timer.
        """
        self.add("a", "b", "c")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        seen = []
        for _ in range(4):
            seen.append(list(self.closed))
            self.clock.advance(1)
        self.clock.pump([1] * 5)
        self.assertEqual((seen, self.closed), ([[]] * 4, ["a", "b", "c"]))

    def test_used_and_idle_again(self) -> None:
        """
        Its time begins anew, and the order is that of becoming idle.
        """
        self.add("a", "b")
        self.idle.discard("a")
        self.add("a")
        self.assertEqual((self.idle.oldest, len(self.idle)), ("b", 2))
        self.clock.advance(8)
        self.assertEqual(self.closed, ["b"])

    def test_nothing_is_idle(self) -> None:
        """
        The timer ends by itself.
        """
        self.add("a")
        self.idle.discard("a")
        self.clock.advance(10)
        self.assertEqual((self.closed, self.clock.getDelayedCalls(), self.idle.oldest), ([], [], None))

    def test_stopped(self) -> None:
        """
        Nothing remains in the clock.
        """
        self.add("a")
        self.idle.stop()
        self.idle.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
