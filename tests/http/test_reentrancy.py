"""
Tests of C{matrix_federation_agent._http}: callers whose code calls back in the middle of something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.web.client import ResponseFailed as BodyFailed
from twisted.web.iweb import IResponse

from matrix_federation_agent._http.connection import HTTPConnection
from matrix_federation_agent._http.sending import collected

from .kit import OK, POLICY, TEN, HTTPCase, Line, Producer, Reading


class ReentrancyTests(HTTPCase):
    """
    Requests that are cancelled while their outcome is on its way to them.
    """

    request: Deferred[Any]

    def connect(self, *, idle: Callable[[], object] = list, lost: Callable[[], object] = list) -> None:
        """
        Make a connection whose owner does something when it is told.
        """
        self.line = Line()
        self.connection = HTTPConnection(self.clock, POLICY, lambda _: idle(), lambda _: lost())
        self.connection.makeConnection(self.line)  # type: ignore[no-untyped-call]

    def cancel(self) -> None:
        """
        Cancel the request.
        """
        self.request.cancel()

    def test_cancelled_when_the_connection_is_free(self) -> None:
        """
        The connection is the next request's then, and stays so.
        """
        requests: list[Deferred[IResponse]] = []

        def idle() -> None:
            if len(requests) == 1:
                requests.append(self.send())
                requests[0].cancel()

        self.connect(idle=idle)
        requests.append(self.send())
        self.receive(OK)
        self.failureResultOf(requests[0], CancelledError)
        self.assertEqual(self.line.done, ["write at once"] * 2)
        self.receive(OK)
        self.assertEqual(self.successResultOf(requests[1]).code, 200)

    def test_cancelled_when_the_connection_is_lost(self) -> None:
        """
        Whoever learns that the connection is gone may cancel its request, whatever it ended with.
        """
        last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        endings: list[Callable[[], object]] = [
            lambda: self.receive(last),
            lambda: self.receive(b"nonsense\r\n\r\n"),
            lambda: self.close(ConnectionLost()),
            lambda: self.clock.advance(90),
        ]
        for end in endings:
            self.connect(lost=self.cancel)
            self.request = self.send()
            end()
            self.failureResultOf(self.request, CancelledError)

    def test_cancelled_by_the_producer(self) -> None:
        """
        So may a producer that is stopped, because of an answer that is none, or that wants no more.
        """
        for answer in (b"nonsense\r\n\r\n", b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", b""):
            self.connect(lost=lambda: self.events.append("lost"))
            producer = Producer(9)
            producer.stopProducing = self.cancel  # type: ignore[method-assign]
            self.request = self.send(producer)
            self.receive(answer) if answer else producer.write(b"too much, indeed")
            self.failureResultOf(self.request, CancelledError)
            self.assertEqual((self.events, self.line.done[-1]), (["lost"], "abort"))
            self.events.clear()

    def test_cancelled_while_it_is_produced(self) -> None:
        """
        And one whose body is collected first.
        """
        producer = Producer(2)
        producer.stopProducing = self.cancel  # type: ignore[method-assign]
        self.request = collecting = Deferred.fromCoroutine(collected(producer, "ex.com", self.clock, 10))
        producer.write(b"abc")
        self.failureResultOf(collecting, CancelledError)
        self.assertEqual(self.timers, 0)

    def test_nothing_is_read_after_giving_up(self) -> None:
        """
        Who drops a body when the response is told gets nothing of what arrived with it.
        """
        reading = Reading()

        def give_up(response: IResponse) -> None:
            response.deliverBody(reading)
            reading.transport.abortConnection()

        self.send().addCallback(give_up)
        self.receive(TEN + b"abc")
        self.assertEqual((reading.pieces, self.line.done[1:]), ([], ["abort"]))
        self.close(ConnectionLost())
        self.assertEqual(reading.end, BodyFailed)

    def test_going_on_when_the_connection_is_lost(self) -> None:
        """
        A reader that goes on when everything is over has no timer set.
        """
        reading = Reading()
        self.connect(lost=lambda: None if reading.ends else reading.transport.resumeProducing())
        request = self.send()
        self.receive(TEN)
        self.successResultOf(request).deliverBody(reading)
        reading.transport.pauseProducing()
        self.close(ConnectionLost())
        self.assertEqual((reading.end, self.timers), (BodyFailed, 0))
