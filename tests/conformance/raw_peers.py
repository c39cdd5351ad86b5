"""
Both ends of a gateway, byte for byte: a client, and a server at its far side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone

from tests.conformance.raw_http import Message, read_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

KEPT = 1024 * 1024
"""
Bytes of one connection that a server remembers, and answers.
"""


class RawClient(Protocol):
    """
    Sends the bytes that it is told to, and keeps what comes.

    @ivar received: every byte that came.
    @ivar end: C{""} while the connection is open; C{"clean"} after an end that looks intended, otherwise C{"reset"}.
    @ivar bodiless: whether the responses are those to C{HEAD}.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.end = ""
        self.bodiless = False

    def connectionMade(self) -> None:
        """
        Be there.
        """
        connection: Any = self.transport
        self.connection, self.send, self.leave = connection, connection.write, connection.loseConnection
        self.drop = connection.abortConnection

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.end = "clean" if reason.check(ConnectionDone) else "reset"

    @property
    def responses(self) -> list[Message]:
        """
        The responses so far; the last may be incomplete.
        """
        return read_messages(bytes(self.received), bodiless=self.bodiless, closed=self.end == "clean")

    @property
    def whole(self) -> list[Message]:
        """
        The complete ones.
        """
        return [response for response in self.responses if response.whole]


class OriginConnection(Protocol):
    """
    One connection to an L{Origin}.

    @ivar received: every byte that came, up to L{KEPT}.
    @ivar count: how many bytes came.
    @ivar end: as with L{RawClient}.
    @ivar send: writes bytes.
    @ivar close: ends the connection in order.
    @ivar drop: resets it.
    """

    factory: Origin

    def connectionMade(self) -> None:
        """
        Be there.
        """
        connection: Any = self.transport
        self.connection, self.send = connection, connection.write
        self.close, self.drop = connection.loseConnection, connection.abortConnection
        self.received = b""
        self.count = 0
        self.end = ""
        self._told = 0
        self.factory.connections.append(self)

    def truncate(self) -> None:
        """
        End TCP in order, but not the TLS inside it.
        """
        self.connection.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it, and answer what has arrived.
        """
        self.count += len(data)
        if self.count > KEPT:
            return
        self.received += data
        heard = self.requests if self.factory.eager else [request for request in self.requests if request.whole]
        for _ in heard[self._told :]:
            self._told += 1
            self.factory.script(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.end = "clean" if reason.check(ConnectionDone) else "reset"

    @property
    def requests(self) -> list[Message]:
        """
        The requests so far; the last may be incomplete.
        """
        return read_messages(self.received)


class Origin(Factory):
    """
    A server whose every byte is the test's.

    @ivar script: is called with the connection on which a request has arrived.
    @ivar eager: whether it is called for the head alone already.
    @ivar connections: all that there ever were.
    """

    noisy = False

    def __init__(self, script: Callable[[OriginConnection], object], *, eager: bool = False) -> None:
        self.script = script
        self.eager = eager
        self.connections: list[OriginConnection] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        connection = OriginConnection()
        connection.factory = self
        return connection

    @property
    def open(self) -> int:
        """
        How many connections are open.
        """
        return len([one for one in self.connections if not one.end])

    @property
    def requests(self) -> list[Message]:
        """
        The requests of all connections, each with as much of its body as has arrived.
        """
        return [request for one in self.connections for request in one.requests]

    @property
    def request(self) -> Message:
        """
        The only request.
        """
        (request,) = self.requests
        return request


def answering(*answers: bytes) -> Callable[[OriginConnection], None]:
    """
    Answer the requests in turn, the last answer over and over.
    """
    left = list(answers)
    return lambda connection: connection.send(left.pop(0) if len(left) > 1 else left[0])


def closing(answer: bytes) -> Callable[[OriginConnection], None]:
    """
    Answer, and end the connection in order.
    """

    def script(connection: OriginConnection) -> None:
        connection.send(answer)
        connection.close()

    return script
