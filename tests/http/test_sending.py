"""
Tests of C{matrix_federation_agent._http.sending}: bodies that are collected; C{test_connection} has the others.
"""

from __future__ import annotations

from io import BytesIO

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock, Cooperator
from twisted.web.client import FileBodyProducer
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from matrix_federation_agent._http.sending import Measured, WholeBody, collected
from matrix_federation_agent.errors import ResponseFailed, TimedOut
from tests.case import TestCase

from .kit import Producer


class WholeBodyTests(TestCase):
    """
    L{WholeBody}.
    """

    def test_produced(self) -> None:
        """
        It is handed over at once, and its length is known.
        """
        body, taken = WholeBody(b"abc"), list[bytes]()
        verifyObject(IBodyProducer, body)
        for ask in (body.pauseProducing, body.resumeProducing, body.stopProducing):
            ask()
        measured = Measured(body, taken.append)
        measured.start()
        self.successResultOf(measured.finished)
        self.assertEqual((taken, body.length), ([b"abc"], 3))


class CollectingTests(TestCase):
    """
    L{collected}.
    """

    def setUp(self) -> None:
        """
        Have a body of six bytes.
        """
        super().setUp()
        self.clock = Clock()
        self.producer = Producer(6)

    def collect(self, producer: IBodyProducer | None = None) -> Deferred[bytes]:
        """
        Begin.
        """
        return Deferred.fromCoroutine(collected(producer or self.producer, "ex.com", self.clock, 30))

    def words(self, collecting: Deferred[bytes]) -> str:
        """
        Find how it failed, with nothing left behind.
        """
        error = self.failureResultOf(collecting, ResponseFailed).value
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return str(error)

    def test_a_body(self) -> None:
        """
        The pieces are joined once all of them are there.
        """
        collecting = self.collect()
        for data in (b"abc", bytearray(b"def")):
            self.producer.write(data)  # type: ignore[arg-type]
        self.assertNoResult(collecting)
        self.producer.finished.callback(None)
        self.assertEqual((self.successResultOf(collecting), self.clock.getDelayedCalls()), (b"abcdef", []))

    def test_twisted_s_own(self) -> None:
        """
        The usual producer reads a file in steps.
        """
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        collecting = self.collect(FileBodyProducer(BytesIO(b"x" * 100_000), cooperator))
        self.clock.pump([0.01] * 5)
        self.assertEqual(self.successResultOf(collecting), b"x" * 100_000)

    def test_at_once(self) -> None:
        """
        A producer that is done at once needs no timer.
        """
        self.patch(self.clock, "callLater", lambda *_: self.fail("a timer"))
        self.producer.finished.callback(None)
        self.producer.length = 0
        self.assertEqual(self.successResultOf(self.collect()), b"")

    def test_too_much(self) -> None:
        """
        More than was announced stops the producer.
        """
        collecting = self.collect()
        self.producer.write(b"abcdefg")
        self.assertEqual(self.words(collecting), "ex.com: the body of the request could not be produced: WrongLength")
        self.assertEqual(self.producer.told, ["start", "stop"])

    def test_too_little(self) -> None:
        """
        Less than was announced is no body.
        """
        collecting = self.collect()
        self.producer.write(b"abc")
        self.producer.finished.callback(None)
        self.assertIn("WrongLength", self.words(collecting))

    def test_a_failure(self) -> None:
        """
        What a producer fails with is the cause.
        """
        collecting = self.collect()
        cause = OSError("the disk is gone")
        self.producer.finished.errback(cause)
        error = self.failureResultOf(collecting, ResponseFailed).value
        self.assertIs(error.__cause__, cause)

    def test_it_does_not_start(self) -> None:
        """
        What a producer raises at once is told alike.
        """
        self.patch(Producer, "startProducing", lambda *_: 1 / 0)
        self.assertIn("ZeroDivisionError", self.words(self.collect()))

    def test_it_is_no_bytes(self) -> None:
        """
        Text is no body, and the producer hears of it.
        """
        self.collect().addErrback(lambda _: None)
        self.assertRaises(TypeError, self.producer.write, "abc")

    def test_it_never_ends(self) -> None:
        """
        A producer has so much time, and is stopped.
        """
        collecting = self.collect()
        self.clock.advance(31)
        error = self.failureResultOf(collecting, TimedOut).value
        self.assertEqual((error.server_name, error.phase, error.seconds), ("ex.com", "http", 30))
        self.assertEqual((self.producer.told, self.clock.getDelayedCalls()), (["start", "stop"], []))

    def test_cancelling(self) -> None:
        """
        Who cancels stops the producer; what it does then is nobody's.
        """
        collecting = self.collect()
        collecting.cancel()
        self.failureResultOf(collecting, CancelledError)
        self.producer.write(b"abc")
        self.producer.finished.errback(OSError())
        self.assertEqual((self.producer.told, self.clock.getDelayedCalls()), (["start", "stop"], []))


class MeasuredTests(TestCase):
    """
    L{Measured}, as its producer sees it.
    """

    def test_it_is_a_consumer(self) -> None:
        """
        It has what Twisted's interface has, but wants no second producer.
        """
        measured = Measured(Producer(6), len)
        self.assertTrue(verifyObject(IConsumer, measured))
        measured.unregisterProducer()
        self.assertRaises(RuntimeError, measured.registerProducer, Producer(6), True)

    def test_nothing_is_told_to_what_has_not_begun(self) -> None:
        """
        A transport may speak before the producer has begun, or after its end.
        """
        producer = Producer(0)
        measured = Measured(producer, len)
        measured.pause()
        measured.start()
        producer.finished.callback(None)
        measured.resume()
        measured.stop()
        self.assertEqual(producer.told, ["start"])
