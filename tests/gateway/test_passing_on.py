"""
L{ReceivedBody} and L{PassingOn}: no faster than the other side takes it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from matrix_federation_agent._gateway.passing_on import PassingOn
from matrix_federation_agent._gateway.received import ReceivedBody
from tests.case import TestCase

PIECE = 64 * 1024


class Taker:
    """
    A consumer that keeps what it is given, and may do something at each piece.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.at_each: Any = lambda: None

    def write(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.pieces.append(data)
        self.at_each()


class ReceivedBodyTests(TestCase):
    """
    L{ReceivedBody}.
    """

    def setUp(self) -> None:
        """
        Make one of three pieces, from a file that was read to its end.
        """
        super().setUp()
        self.clock, self.taker = Clock(), Taker()
        content = BytesIO(b"x" * (2 * PIECE + 1))
        content.read()
        self.body = ReceivedBody(self.clock, content)

    def begin(self) -> Any:
        """
        Start it.
        """
        return self.body.startProducing(self.taker)  # type: ignore[arg-type]

    def test_interface(self) -> None:
        """
        It is a producer, and knows its length.
        """
        self.assertTrue(verifyObject(IBodyProducer, self.body))
        self.assertEqual(self.body.length, 2 * PIECE + 1)

    def test_in_pieces(self) -> None:
        """
        Other things may happen between two pieces.
        """
        later: list[int] = []
        self.taker.at_each = lambda: later.append(len(self.clock.getDelayedCalls()))
        finished = self.begin()
        self.clock.advance(0)
        self.assertEqual(([len(piece) for piece in self.taker.pieces], later), ([PIECE, PIECE, 1], [1, 1, 1]))
        self.assertIs(self.successResultOf(finished), None)

    def test_paused(self) -> None:
        """
        A consumer that has enough after a piece gets the next when it asks for it.
        """
        self.taker.at_each = self.body.pauseProducing
        finished = self.begin()
        self.clock.pump([0, 0, 0])
        before = len(self.taker.pieces)
        self.body.resumeProducing()
        self.clock.pump([0, 0, 0])
        self.assertEqual((before, len(self.taker.pieces), self.clock.getDelayedCalls()), (1, 2, []))
        self.assertNoResult(finished)

    def test_resumed_twice(self) -> None:
        """
        Who resumes what is not paused gets no more for it.
        """
        self.begin()
        self.body.resumeProducing()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_stopped(self) -> None:
        """
        Who stops it gets nothing more, whatever else is asked for.
        """
        finished = self.begin()
        self.taker.at_each = self.body.stopProducing
        self.clock.advance(0)
        self.body.resumeProducing()
        self.assertEqual((len(self.taker.pieces), self.clock.getDelayedCalls()), (1, []))
        self.assertNoResult(finished)


class Recorder:
    """
    Stands for a request, its channel and the transport of that; and for that of a response's body. Notes what it is
    told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.channel = self.transport = self

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.told.append(name)


class PassingOnTests(TestCase):
    """
    L{PassingOn}.
    """

    def setUp(self) -> None:
        """
        Begin with one, and forget how that went.
        """
        super().setUp()
        self.clock, self.request, self.source = Clock(), Recorder(), Recorder()
        request: Any = self.request
        self.passing = PassingOn(self.clock, 60, request)
        source: Any = self.source
        self.passing.makeConnection(source)  # type: ignore[no-untyped-call]
        self.began, self.request.told = self.request.told, []

    def test_begin(self) -> None:
        """
        The head is on its way before anything can pause.
        """
        self.assertTrue(verifyObject(IPushProducer, self.passing))
        self.assertEqual(self.began, ["write", "registerProducer"])

    def test_back_pressure(self) -> None:
        """
        The remote is paused with the client, and goes on with it.
        """
        self.passing.pauseProducing()
        self.passing.resumeProducing()
        self.assertEqual(self.source.told, ["pauseProducing", "resumeProducing"])

    def test_unmoved(self) -> None:
        """
        A client that takes nothing for too long loses its connection.
        """
        self.passing.pauseProducing()
        self.clock.advance(59.9)
        before = list(self.request.told)
        self.clock.advance(0.2)
        self.assertEqual((before, self.request.told), ([], ["abortConnection"]))

    def test_moved(self) -> None:
        """
        One that takes something begins anew.
        """
        self.passing.pauseProducing()
        self.clock.advance(59)
        self.passing.resumeProducing()
        self.passing.pauseProducing()
        self.clock.advance(59)
        self.assertEqual(self.request.told, [])

    def test_whole(self) -> None:
        """
        At the end of the body the request is told, and nothing is left.
        """
        self.passing.dataReceived(b"abc")
        self.passing.pauseProducing()
        self.passing.connectionLost(Failure(ResponseDone()))
        self.assertEqual((self.request.told, self.clock.getDelayedCalls()), (["write", "unregisterProducer"], []))
        self.assertEqual((self.successResultOf(self.passing.ended), self.passing.sent), (True, 3))

    def test_broken_off(self) -> None:
        """
        It is told too when that was not all.
        """
        self.passing.connectionLost(Failure(ConnectionLost()))
        self.assertIs(self.successResultOf(self.passing.ended), False)

    def test_client_gone(self) -> None:
        """
        Without a client the remote is stopped, once, and the request is left alone.
        """
        self.passing.pauseProducing()
        self.passing.stopProducing()
        self.passing.stopProducing()
        self.passing.dataReceived(b"abc")
        self.passing.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.source.told, self.request.told), (["pauseProducing", "stopProducing"], []))
        self.assertEqual((self.passing.sent, self.clock.getDelayedCalls()), (0, []))
