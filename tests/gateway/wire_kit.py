"""
Clients of the gateway, and an agent behind it, without sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from matrix_federation_agent._counters import Counters
from matrix_federation_agent._gateway.factory import GatewayFactory
from matrix_federation_agent._gateway.forwarder import Forwarder
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._gateway.wire import GatewayConnection
from matrix_federation_agent._http.connection import Request
from matrix_federation_agent._http.head import HeadLimits
from matrix_federation_agent._http.reading import ResponseReader
from matrix_federation_agent._http.response import Body, Response
from matrix_federation_agent._http.sending import Measured
from matrix_federation_agent._policies import GatewayPolicy
from tests.case import TestCase

SECRET = b"hunter2"
AUTHORISED = b"Proxy-Authorization: Bearer hunter2\r\n"
TARGET = b"matrix-federation://ex.com/_matrix/key/v2/server"
LIMITS = HeadLimits(64 * 1024, 100, 16)


def request(method: bytes = b"GET", more: bytes = b"", body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """
    Write a request that is forwarded.
    """
    return b"%b %b HTTP/%b\r\nHost: ex.com:80\r\n%b%b\r\n%b" % (method, TARGET, version, AUTHORISED, more, body)


def put(body: bytes, more: bytes = b"") -> bytes:
    """
    Write a request with a body.
    """
    return request(b"PUT", b"Content-Length: %d\r\n%b" % (len(body), more), body)


class Source:
    """
    Where the body of a response comes from.

    @ivar told: what it was told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self._paused = False

    def pause(self) -> None:
        """
        Keep it, if it is new.
        """
        if not self._paused:
            self._paused = True
            self.told.append("pause")

    def resume(self) -> None:
        """
        Keep it, if it is new.
        """
        if self._paused:
            self._paused = False
            self.told.append("resume")

    def abort(self) -> None:
        """
        Keep it; the end is told later.
        """
        self.told.append("abort")


class Asked:
    """
    A request that the agent was asked to make.

    @ivar response: the agent's Deferred.
    @ivar taken: what was taken of its body.
    @ivar uploading: takes the body, once that has begun.
    @ivar source: of the body of the response.
    @ivar obstinate: whether it goes on with the body when it is cancelled.
    """

    def __init__(self, method: bytes, uri: bytes, headers: Headers | None, producer: IBodyProducer | None) -> None:
        self.method = method
        self.uri = uri
        self.headers = headers
        self.producer = producer
        self.cancelled = 0
        self.obstinate = False
        self.response: Deferred[IResponse] = Deferred(self._cancel)
        self.taken = b""
        self.source = Source()

    def _cancel(self, _: object) -> None:
        self.cancelled += 1
        if hasattr(self, "uploading") and not self.obstinate:
            self.uploading.stop()

    def take(self) -> None:
        """
        Begin to take the body.
        """
        assert self.producer is not None
        self.uploading = Measured(self.producer, self._take)
        self.ends: list[object] = []
        self.uploading.finished.addBoth(self.ends.append)
        self.uploading.start()

    def _take(self, data: bytes) -> None:
        self.taken += data

    def answer(self, data: bytes) -> Body:
        """
        Let a response arrive, or its beginning.

        @return: its body, of which the rest is to come.
        """
        reader = ResponseReader(self.method, LIMITS)
        content = reader.feed(data)
        assert reader.head is not None
        body = Body(self.source)
        asked = Request("ex.com", self.method, b"", b"", self.uri, None)
        response = Response(asked, reader.head, reader.length, body)
        if reader.finished:
            body.detach(content)
        self.response.callback(response)
        if reader.finished:
            body.complete()
        elif content:
            body.receive(content)
        return body


@implementer(IAgent)
class Agent:
    """
    An agent that waits for the test.

    @ivar asked: all requests.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.counters = Counters()
        self.when_asked: Callable[[Asked], object] = lambda _: None

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """
        Keep it.
        """
        asked = Asked(method, uri, headers, bodyProducer)
        self.asked.append(asked)
        self.when_asked(asked)
        return asked.response

    def connections(self) -> list[object]:
        """
        There are none.
        """
        return []


@implementer(IHalfCloseableDescriptor)
class Line:
    """
    A transport that keeps what is done to it.

    @ivar done: what was done, in order.
    @ivar writes: what was written, piece by piece.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.writes: list[bytes] = []
        self.producer: GatewayConnection | None = None
        self.reading = True
        self.descriptor = -1

    @property
    def written(self) -> bytes:
        """
        All of it.
        """
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.writes.append(data)

    def getPeer(self) -> IPv4Address:
        """
        Name the client.
        """
        return IPv4Address("TCP", "127.0.0.1", 4321)

    def fileno(self) -> int:
        """
        Name the socket.
        """
        return self.descriptor

    def registerProducer(self, producer: GatewayConnection, streaming: bool) -> None:
        """
        Keep it.
        """
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        Forget it.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        Read nothing.
        """
        self.reading = False

    def resumeProducing(self) -> None:
        """
        Read on.
        """
        self.reading = True

    def loseConnection(self) -> None:
        """
        Keep it.
        """
        self.done.append("close")

    def loseWriteConnection(self) -> None:
        """
        Keep it.
        """
        self.done.append("half-close")

    def writeConnectionLost(self, reason: Failure) -> None:
        """
        The interface has it.
        """

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The interface has it.
        """

    def abortConnection(self) -> None:
        """
        Keep it.
        """
        self.done.append("abort")


class Client:
    """
    A client of the gateway.
    """

    def __init__(self, factory: GatewayFactory) -> None:
        connection = factory.buildProtocol(None)
        assert isinstance(connection, GatewayConnection)
        self.connection = connection
        self.line = Line()
        connection.makeConnection(self.line)  # type: ignore[no-untyped-call]

    def send(self, data: bytes) -> None:
        """
        Let something arrive.
        """
        self.connection.dataReceived(data)

    def close(self) -> None:
        """
        Go away; transports forget their producer then.
        """
        self.line.producer = None
        self.connection.connectionLost(Failure(ConnectionDone()))

    @property
    def received(self) -> bytes:
        """
        All that it was sent.
        """
        return self.line.written

    @property
    def statuses(self) -> list[int]:
        """
        The status of each response.
        """
        return [int(part[:3]) for part in self.received.split(b"HTTP/1.1 ")[1:]]


class WireCase(TestCase):
    """
    A test with a gateway, an agent that waits for the test, and a client.
    """

    policy = GatewayPolicy()

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        self.events = self.keep_log()
        self.clock = Clock()
        self.clock.advance(1000)
        self.agent = Agent()
        self.start(self.policy)

    def start(self, policy: GatewayPolicy) -> None:
        """
        Begin with another policy, and a new client.
        """
        self.forwarder = Forwarder(self.clock, self.agent, Secret.of(SECRET), policy)  # type: ignore[arg-type]
        self.factory = GatewayFactory(self.clock, self.forwarder)
        self.client = self.connect()
        self.line = self.client.line

    def connect(self) -> Client:
        """
        Connect one more client.
        """
        return Client(self.factory)

    def send(self, data: bytes) -> None:
        """
        Let something of the client's arrive.
        """
        self.client.send(data)

    @property
    def asked(self) -> Asked:
        """
        The one request that the agent was asked to make.
        """
        (asked,) = self.agent.asked
        return asked

    @property
    def outcomes(self) -> list[tuple[int | None, str]]:
        """
        Status and outcome of each request, as the log has them.
        """
        return [(event["code"], event["outcome"]) for event in self.events if "outcome" in event]

    @property
    def timers(self) -> int:
        """
        How many timers there are.
        """
        return len(self.clock.getDelayedCalls())


def record(events: list[dict[str, object]]) -> SimpleNamespace:
    """
    The last request that was logged.
    """
    (*_, event) = (one for one in events if "outcome" in one)
    return SimpleNamespace(**event)
