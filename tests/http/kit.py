"""
Connections that carry requests, without sockets and without TLS.
"""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IResponse
from zope.interface import implementer

from matrix_federation_agent import ConnectionPolicy
from matrix_federation_agent._http.connection import HTTPConnection, Request
from matrix_federation_agent._http.response import Body
from tests.case import TestCase

HEAD = b"PUT /a HTTP/1.1\r\nHost: ex.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
POLICY = ConnectionPolicy(response_timeout=300, silence_timeout=90)


class Line(StringTransport):
    """
    A transport that keeps what is done to it.

    @ivar done: what was done, in order.
    @ivar writes: what was written, piece by piece.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.done: list[str] = []
        self.writes: list[bytes] = []
        self.factory = SimpleNamespace(creator=SimpleNamespace(target="there"))

    def write(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.done.append("write")
        self.writes.append(data)

    def write_at_once(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.done.append("write at once")
        self.writes.append(data)

    def abortConnection(self) -> None:
        """
        Keep it; the end is told later.
        """
        self.done.append("abort")

    def leave(self) -> None:
        """
        Keep it; the end is told later.
        """
        self.done.append("leave")


class Reading(Protocol):
    """
    The reader of a body, which keeps what it is told.
    """

    transport: Body  # type: ignore[assignment]

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[Failure] = []

    @property
    def data(self) -> bytes:
        """
        All that it was told.
        """
        return b"".join(self.pieces)

    @property
    def end(self) -> type[BaseException] | None:
        """
        How the body ended.
        """
        (end,) = self.ends
        return end.type

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep it.
        """
        self.ends.append(reason)


class Told:
    """
    Keeps what a producer is told.

    @ivar told: all of it, in order.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Keep it.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Keep it.
        """
        self.told.append("resume")

    def stopProducing(self) -> None:
        """
        Keep it.
        """
        self.told.append("stop")


@implementer(IBodyProducer)
class Producer(Told):
    """
    A body that is produced by hand.

    @ivar finished: the producer's own Deferred.
    """

    def __init__(self, length: object = UNKNOWN_LENGTH) -> None:
        super().__init__()
        self.length = length
        self.finished: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Begin.
        """
        self.told.append("start")
        self.write = consumer.write
        return self.finished


class HTTPCase(TestCase):
    """
    A test with a connection in memory.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        self.events: list[str] = []
        self.clock = Clock()
        self.clock.advance(1000)
        self.line = Line()
        self.connection = HTTPConnection(
            self.clock, POLICY, lambda _: self.events.append("idle"), lambda _: self.events.append("lost")
        )
        self.connection.makeConnection(self.line)  # type: ignore[no-untyped-call]

    def send(self, body: bytes | IBodyProducer = b"", method: bytes = b"PUT") -> Deferred[IResponse]:
        """
        Send a request.
        """
        headers = Headers({b"X": [b"y"]})
        uri = b"matrix-federation://ex.com/a"
        sending = self.connection.send(Request("ex.com", method, HEAD, body, uri, headers))
        return sending.addCallback(self._note)

    def _note(self, response: IResponse) -> IResponse:
        self.events.append("response")
        return response

    def receive(self, data: bytes) -> None:
        """
        Let something arrive.
        """
        self.connection.dataReceived(data)

    def close(self, reason: Exception | None = None) -> None:
        """
        End the connection.
        """
        self.connection.connectionLost(Failure(reason or ConnectionDone()))

    def answered(self, data: bytes) -> tuple[IResponse, Reading]:
        """
        Send a request, let the beginning of an answer arrive, and read its body.
        """
        sending = self.send()
        self.receive(data)
        response = self.successResultOf(sending)
        reading = Reading()
        response.deliverBody(reading)
        return response, reading

    @property
    def timers(self) -> int:
        """
        How many timers there are.
        """
        return len(self.clock.getDelayedCalls())
