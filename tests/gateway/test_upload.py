"""
Tests of C{matrix_federation_agent._gateway.upload}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from matrix_federation_agent._gateway.upload import MAXIMUM_HELD, ClientBody
from tests.case import TestCase


class Uploading:
    """
    A client that keeps what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def body_wanted(self) -> None:
        """
        Keep it.
        """
        self.told.append("wanted")

    def body_unwanted(self) -> None:
        """
        Keep it.
        """
        self.told.append("unwanted")

    def hold(self) -> None:
        """
        Keep it.
        """
        self.told.append("hold")

    def release(self) -> None:
        """
        Keep it.
        """
        self.told.append("release")


class Consumer:
    """
    A consumer that keeps what it takes.
    """

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.body: ClientBody | None = None
        self.then = ""

    def write(self, data: bytes) -> None:
        """
        Keep it, and pause or stop the producer, if it is to.
        """
        self.taken.append(data)
        if self.then and self.body is not None:
            getattr(self.body, self.then)()


class ClientBodyTests(TestCase):
    """
    L{ClientBody}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.uploader, self.consumer = Uploading(), Consumer()
        self.body = ClientBody(self.uploader, UNKNOWN_LENGTH)
        self.consumer.body = self.body

    def start(self) -> None:
        """
        Begin.
        """
        self.finished = self.body.startProducing(self.consumer)  # type: ignore[arg-type]

    def test_interface(self) -> None:
        """
        It is what agents take.
        """
        self.assertEqual((verifyObject(IBodyProducer, self.body), self.body.length), (True, UNKNOWN_LENGTH))

    def test_pieces_are_handed_on(self) -> None:
        """
        What came before the beginning as well, and then the end.
        """
        self.body.receive(b"a")
        self.start()
        self.body.receive(b"b")
        self.body.receive(b"")
        self.assertNoResult(self.finished)
        self.body.complete()
        self.successResultOf(self.finished)
        self.assertEqual((self.consumer.taken, "hold" in self.uploader.told), ([b"a", b"b"], False))

    def test_wanted_before_anything_is_taken(self) -> None:
        """
        The client is told when the body is about to be taken, and not before.
        """
        self.body.receive(b"a")
        self.assertEqual(self.uploader.told, ["release"])
        self.start()
        self.assertEqual(self.uploader.told[1], "wanted")

    def test_complete_before_the_beginning(self) -> None:
        """
        A body that is there already is produced at once.
        """
        self.body.receive(b"a")
        self.body.complete()
        self.start()
        self.successResultOf(self.finished)
        self.assertEqual(self.consumer.taken, [b"a"])

    def test_held_before_the_beginning(self) -> None:
        """
        The client is held once there is too much.
        """
        self.body.receive(b"x" * MAXIMUM_HELD)
        self.assertEqual(self.uploader.told[-1], "release")
        self.body.receive(b"x")
        self.assertEqual(self.uploader.told[-1], "hold")
        self.start()
        self.assertEqual(self.uploader.told[-1], "release")

    def test_pause(self) -> None:
        """
        While the consumer pauses, it gets nothing, and the client is held.
        """
        self.start()
        self.body.pauseProducing()
        self.body.receive(b"a")
        self.body.complete()
        self.assertNoResult(self.finished)
        self.assertEqual((self.consumer.taken, self.uploader.told[-1]), ([], "hold"))
        self.body.resumeProducing()
        self.successResultOf(self.finished)
        self.assertEqual(self.consumer.taken, [b"a"])

    def test_paused_in_the_middle(self) -> None:
        """
        A consumer that pauses with a piece gets no further one.
        """
        for piece in (b"a", b"b"):
            self.body.receive(piece)
        self.consumer.then = "pauseProducing"
        self.start()
        self.assertEqual((self.consumer.taken, self.uploader.told[-1]), ([b"a"], "hold"))
        self.body.resumeProducing()
        self.assertEqual(self.consumer.taken, [b"a", b"b"])

    def test_a_consumer_that_asks_for_more_with_every_piece(self) -> None:
        """
        It gets one piece after the other, without recursion.
        """
        for _ in range(3000):
            self.body.receive(b"a")
        self.consumer.then = "resumeProducing"
        self.start()
        self.assertEqual(len(self.consumer.taken), 3000)

    def test_the_end_comes_last(self) -> None:
        """
        A consumer that asks for more before it has taken a piece is not told of the end before.
        """
        taken = self.consumer.taken

        def write(data: bytes) -> None:
            self.body.resumeProducing()
            taken.append(data)

        self.patch(self.consumer, "write", write)
        self.body.receive(b"a")
        self.body.complete()
        self.body._finished.addCallback(lambda _: taken.append(b"end"))
        self.start()
        self.assertEqual(taken, [b"a", b"end"])

    def test_stopped(self) -> None:
        """
        A consumer that stops gets nothing any more, not even an end; the client is told once.
        """
        for piece in (b"a", b"b"):
            self.body.receive(piece)
        self.consumer.then = "stopProducing"
        self.start()
        self.body.stopProducing()
        self.body.receive(b"c")
        self.body.complete()
        self.body.fail(Failure(ConnectionLost()))
        self.assertNoResult(self.finished)
        self.assertEqual((self.consumer.taken, self.uploader.told.count("unwanted")), ([b"a"], 1))

    def test_failed(self) -> None:
        """
        A client that breaks off is what the producer fails with, once.
        """
        self.start()
        self.body.fail(Failure(ConnectionLost()))
        self.body.fail(Failure(ConnectionLost()))
        self.body.complete()
        self.failureResultOf(self.finished, ConnectionLost)

    def test_failed_before_the_beginning(self) -> None:
        """
        Nobody is told then, and nothing begins.
        """
        self.body.fail(Failure(ConnectionLost()))
        self.start()
        self.assertNoResult(self.finished)
        self.assertEqual((self.uploader.told, self.consumer.taken), ([], []))
