"""
Tests of C{matrix_federation_agent._connect.pool}: callers whose code calls back in the middle of something.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from matrix_federation_agent._connect.idle import IdleConnections
from matrix_federation_agent.errors import ConnectionFailed
from tests.case import TestCase

from .pooling import Pooling


class ReentrancyTests(TestCase):
    """
    What callers do while the pool is at something else.
    """

    def test_cancelled_while_its_attempt_fails(self) -> None:
        """
        The slot that comes free may lead to another's failure, who cancels this request: both have ended then.
        """
        pooling = Pooling(total_open_connections=1)
        request = pooling.send("/a")
        pooling.send("/b", "b.example").addCallback(lambda _: request.cancel())
        pooling.dialer.at_once = ConnectionFailed("b.example", "nobody listens")
        pooling.dialer.under_way[0].fail()
        self.assertEqual(pooling.told, ["/b ConnectionFailed", "/a CancelledError"])
        self.assertEqual((pooling.status, pooling.pool.slots.taken), ([], 0))

    def test_cancelled_when_it_has_waited_too_long(self) -> None:
        """
        So may a request whose time is over, by which its own attempt is given up.
        """
        pooling = Pooling(total_open_connections=1, queue_timeout=30, connect_timeout=20)
        request = pooling.send("/a")
        pooling.clock.advance(30)
        pooling.send("/b", "b.example").addCallback(lambda _: request.cancel())
        pooling.dialer.at_once = ConnectionFailed("b.example", "nobody listens")
        pooling.clock.advance(20)
        self.assertEqual(pooling.told, ["/b ConnectionFailed", "/a CancelledError"])
        self.assertEqual(pooling.clock.getDelayedCalls(), [])

    def test_one_timer(self) -> None:
        """
        A connection that becomes idle while another one is closed has no timer of its own.
        """
        clock = Clock()
        idle: IdleConnections[str] = IdleConnections(clock, 10, lambda name: idle.add(name + "!"))
        idle.add("a")
        clock.advance(10)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        idle.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
