"""
Tests of C{matrix_federation_agent._discovery.tcp_queries}.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.names import dns
from twisted.names.error import DNSQueryTimeoutError, ResolverError
from twisted.python.failure import Failure

from matrix_federation_agent._discovery.questions import Question
from matrix_federation_agent._discovery.tcp_queries import SECONDS, ask_by_tcp
from tests.case import TestCase

QUESTION = Question.of(b"ex.com", dns.A, dns.IN)


class AskingTests(TestCase):
    """
    L{ask_by_tcp}.
    """

    def setUp(self) -> None:
        """
        Ask, and have the connection made.
        """
        super().setUp()
        self.reactor: Any = MemoryReactorClock()
        self.asking = Deferred.fromCoroutine(ask_by_tcp(self.reactor, ("192.0.2.1", 53), QUESTION, 7))
        factory: Any = self.reactor.tcpClients[0][2]
        self.connection = factory.buildProtocol(None)
        self.transport: Any = StringTransport()
        self.connection.makeConnection(self.transport)

    def answer(self, **changed: Any) -> bytes:
        """
        Write an answer with its length.
        """
        message: Any = dns.Message()
        message.fromStr(QUESTION.sent_as(7))
        message.answer = 1
        for key, value in changed.items():
            setattr(message, key, value)
        written: bytes = message.toStr()
        return struct.pack("!H", len(written)) + written

    @property
    def closed(self) -> tuple[bool, int]:
        """
        Whether the connection was, and how many timers are left.
        """
        return self.transport.disconnected, len(self.reactor.getDelayedCalls())

    def test_the_answer(self) -> None:
        """
        The query goes to the name server, and its answer comes back, in pieces.
        """
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 53))
        self.assertEqual(self.transport.value()[2:], QUESTION.sent_as(7))
        for octet in self.answer(rCode=5):
            self.connection.dataReceived(bytes([octet]))
        self.assertEqual((self.successResultOf(self.asking).rCode, self.closed), (5, (True, 0)))

    def test_what_is_no_answer(self) -> None:
        """
        Another message, and one that is truncated even here, ends it.
        """
        wrongs: list[dict[str, Any]] = [{"id": 8}, {"answer": 0}, {"trunc": 1}, {"queries": []}]
        for wrong in wrongs:
            self.setUp()
            self.connection.dataReceived(self.answer(**wrong))
            self.failureResultOf(self.asking, ResolverError)
            self.assertEqual(self.closed, (True, 0))

    def test_silence(self) -> None:
        """
        It takes so many seconds and no more.
        """
        self.reactor.advance(SECONDS - 0.1)
        self.assertNoResult(self.asking)
        self.reactor.advance(0.1)
        self.failureResultOf(self.asking, DNSQueryTimeoutError)
        self.assertEqual(self.closed, (True, 0))

    def test_lost(self) -> None:
        """
        A connection that is lost is an error.
        """
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.asking, ConnectionDone)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 0)

    def test_cancelled(self) -> None:
        """
        The connection is dropped.
        """
        self.asking.cancel()
        self.failureResultOf(self.asking, CancelledError)
        self.assertEqual(self.closed, (True, 0))
