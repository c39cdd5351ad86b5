"""
Tests of C{matrix_federation_agent._gateway.wire} and C{turn}: what is left of requests and of connections.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from matrix_federation_agent._gateway.farewell import LINGERING_SECONDS
from matrix_federation_agent.errors import FederationError

from .test_wire import CHUNKED, OK, TEN
from .wire_kit import WireCase, put, request

BEGUN = request(b"PUT", CHUNKED, b"1\r\na\r\n")


class MemoryTests(WireCase):
    """
    What memory holds.
    """

    def uncollected(self) -> None:
        """
        Leave everything to the counts of references.
        """
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()

    def test_nothing_waits_for_the_garbage_collector(self) -> None:
        """
        Requests on one connection leave nothing behind, whatever they are answered.
        """
        responses: list[Deferred[object]] = []
        self.agent.request = lambda *_: responses.append(Deferred()) or responses[-1]  # type: ignore[assignment, func-returns-value]
        self.send(put(b"ab"))
        responses.pop().errback(FederationError("ex.com", "none"))
        self.uncollected()
        for data in (put(b"ab"), request(), put(b"a" * 100_000), BEGUN + b"0\r\n\r\n"):
            self.send(data)
            responses.pop().errback(FederationError("ex.com", "none"))
        self.assertEqual((gc.collect(), self.client.statuses), (0, [502] * 5))

    def test_nothing_is_left_of_a_connection(self) -> None:
        """
        So with the connection, also while the agent still knows of the request and of its body.
        """
        ends: tuple[Callable[[], object], ...] = (
            lambda: self.agent.asked[-1].answer(OK),
            lambda: self.agent.asked[-1].answer(TEN).end(Failure(ResponseFailed([Failure(ConnectionLost())]))),
            lambda: self.agent.asked[-1].response.errback(FederationError("ex.com", "none")),
            lambda: self.agent.asked[-1].uploading.stop(),  # noqa: PLW0108 (it is another one each time)
            lambda: None,
        )
        self.uncollected()
        for number, end in enumerate(ends):
            client = self.connect()
            client.send(BEGUN)
            self.agent.asked[-1].take()
            end()
            client.close()
            left = ref(client.connection)
            del client
            self.assertIsNone(left(), number)


class PlaceTests(WireCase):
    """
    Places of requests, and counts of connections.
    """

    def test_a_request_that_cannot_be_cancelled(self) -> None:
        """
        Its place is free all the same, when its client goes away, and when it is late; the client is told.
        """

        def cancel(_: object) -> None:
            raise ZeroDivisionError

        self.agent.request = lambda *_: Deferred(cancel)  # type: ignore[method-assign]
        self.send(request())
        self.client.close()
        late = self.connect()
        late.send(request())
        self.clock.pump([30] * 4)
        self.assertEqual((self.forwarder.under_way(), late.statuses), (0, [504]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_an_answer_to_a_connection_that_was_dropped(self) -> None:
        """
        It is not idle then.
        """
        self.send(request())
        self.factory.abort()
        self.asked.answer(OK)
        self.assertEqual(self.factory.connections.idle, 0)


class UnreadTests(WireCase):
    """
    Connections that end with requests unread.
    """

    def test_drained_with_others_behind(self) -> None:
        """
        A reset would take the answer away: the connection is read on for a moment.
        """
        self.send(request() * 2)
        self.factory.drain()
        self.asked.answer(OK)
        before = list(self.line.done)
        self.clock.advance(LINGERING_SECONDS)
        self.assertEqual((before, self.line.done[1:], len(self.agent.asked)), (["half-close"], ["close"], 1))

    def test_drained_while_nothing_is_taken(self) -> None:
        """
        So with one whose client takes nothing of the answers before.
        """
        self.client.connection.pauseProducing()
        self.send(request())
        self.factory.drain()
        self.assertEqual((self.line.done, self.agent.asked), (["half-close"], []))

    def test_closed_with_others_behind(self) -> None:
        """
        So with one that the client wanted to end.
        """
        self.send(request(more=b"Connection: close\r\n") + request())
        self.asked.answer(OK)
        self.assertEqual(self.line.done, ["half-close"])

    def test_refused_with_others_behind(self) -> None:
        """
        Nothing is served after an answer that is the last, nor kept.
        """
        self.send(request(more=b"Expect: x\r\n" + b"Connection: close\r\n") + request())
        self.assertEqual((self.client.statuses, self.agent.asked), ([417], []))
        waiting = self.connect()
        waiting.send(request() + b"x" * 9)
        waiting.connection.last = True
        self.asked.answer(OK)
        self.assertEqual(waiting.connection._kept, b"")

    def test_closing_is_not_idle(self) -> None:
        """
        A connection that is about to end is open, and not idle; it is no producer, for which the transport would wait.
        """
        self.factory.drain()
        self.assertEqual((self.factory.connections.open, self.factory.connections.idle), (1, 0))
        self.assertIsNone(self.line.producer)
