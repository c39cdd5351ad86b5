"""
Tests of C{matrix_federation_agent._gateway.relay} and C{writing}: responses on their way to the client.
"""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from matrix_federation_agent._http.connection import UNDELIMITED
from matrix_federation_agent.errors import TimedOut
from tests.http.kit import Told

from .wire_kit import WireCase, record, request

TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW = TEN.replace(b"200 OK", b"429 \xff Slow")
COOKIES = b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: now\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"

# Method, version of the client, a whole response, and what the client gets.
RESPONSES: list[tuple[bytes, bytes, bytes, bytes]] = [
    (b"GET", b"1.1", TEN + b"0123456789", TEN + b"0123456789"),
    (b"GET", b"1.1", TEN.replace(b"10", b"0"), TEN.replace(b"10", b"0")),
    (b"GET", b"1.1", SLOW + b"0123456789", SLOW + b"0123456789"),
    (b"GET", b"1.1", CHUNKS + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n", CHUNKS + b"3\r\nabc\r\n0\r\n\r\n"),
    (b"GET", b"1.1", CHUNKS + b"0\r\n\r\n", CHUNKS + b"0\r\n\r\n"),
    (b"GET", b"1.0", CHUNKS + b"3\r\nabc\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"),
    (b"HEAD", b"1.1", TEN, TEN),
    (b"HEAD", b"1.1", CHUNKS, b"HTTP/1.1 200 OK\r\n\r\n"),
    (b"HEAD", b"1.1", TEN.replace(b"10", b"x"), b"HTTP/1.1 200 OK\r\n\r\n"),
    (b"GET", b"1.1", TEN.replace(b"200", b"304"), TEN.replace(b"200", b"304")),
    (b"GET", b"1.1", TEN.replace(b"200", b"204"), b"HTTP/1.1 204 OK\r\n\r\n"),
    (b"GET", b"1.1", COOKIES + b"X-Y: z\r\nConnection: x-y\r\n" + EMPTY, COOKIES + EMPTY),
]  # fmt: skip


@implementer(IResponse)
class Foreign(Told):
    """
    A response of another agent, and the transport of its body.
    """

    version = (b"HTTP", 1, 1)
    code = 200
    phrase = b"OK"
    previousResponse = None
    request = None

    def __init__(self, length: object) -> None:
        super().__init__()
        self.length = length
        self.headers = Headers({b"X": [b"y"]})

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Keep the reader.
        """
        self.reader = protocol
        protocol.makeConnection(self)  # type: ignore[arg-type]

    def setPreviousResponse(self, response: IResponse) -> None:
        """
        There is none.
        """

    def end(self, reason: Exception) -> None:
        """
        Let the body end.
        """
        self.reader.connectionLost(Failure(reason))


class ResponseTests(WireCase):
    """
    What the client gets.
    """

    def test_responses(self) -> None:
        """
        Status, phrase and headers are the remote's; the framing is ours.
        """
        for method, version, data, expected in RESPONSES:
            client = self.connect()
            client.send(request(method, version=version))
            self.agent.asked[-1].answer(data)
            self.assertEqual(client.received, expected, (method, data))

    def test_one_write(self) -> None:
        """
        A small response is written in one piece.
        """
        self.send(request())
        self.asked.answer(TEN + b"0123456789")
        self.assertEqual(len(self.line.writes), 1)

    def test_the_head_does_not_wait(self) -> None:
        """
        It is written before there is a body.
        """
        self.send(request())
        body = self.asked.answer(CHUNKS)
        self.assertEqual(self.client.received, CHUNKS)
        body.receive(b"abc")
        self.assertEqual(self.client.received, CHUNKS + b"3\r\nabc\r\n")

    def test_the_end_of_the_connection_is_an_end(self) -> None:
        """
        A body that ends with the remote's connection is complete; the client can tell.
        """
        self.send(request())
        body = self.asked.answer(UNTIL_CLOSE + b"abc")
        body.end(UNDELIMITED)
        self.assertEqual((self.client.received, self.line.done), (CHUNKS + b"3\r\nabc\r\n0\r\n\r\n", []))
        self.assertEqual(self.outcomes, [(200, "ok")])

    def test_until_close_for_an_old_client(self) -> None:
        """
        It can tell the end by ours only.
        """
        self.send(request(more=b"Connection: keep-alive\r\n", version=b"1.0"))
        self.asked.answer(CHUNKS + b"3\r\nabc\r\n0\r\n\r\n")
        self.assertEqual((self.client.received[-5:], self.line.done), (b"\r\nabc", ["close"]))

    def test_account(self) -> None:
        """
        The log has the bytes of both bodies.
        """
        self.send(request(b"PUT", b"Content-Length: 2\r\n", b"ab"))
        self.asked.answer(CHUNKS + b"3\r\nabc\r\n0\r\n\r\n")
        found = record(self.events)
        self.assertEqual((found.code, found.outcome, found.received, found.sent), (200, "ok", 2, 3))


class BrokenTests(WireCase):
    """
    Responses that end too early.
    """

    def test_never_a_clean_end(self) -> None:
        """
        The client's connection is broken off as well, whatever the framing.
        """
        for head in (TEN, CHUNKS, UNTIL_CLOSE):
            client = self.connect()
            client.send(request())
            body = self.agent.asked[-1].answer(head)
            body.receive(b"abc")
            written = client.received
            body.end(Failure(ResponseFailed([Failure(ConnectionLost())])))
            self.assertEqual((client.line.done, client.received), (["abort"], written), head)
        self.assertEqual(self.outcomes, [(200, "broken")] * 3)

    def test_old_client(self) -> None:
        """
        One that takes our end for the body's is not deceived either.
        """
        self.send(request(version=b"1.0"))
        body = self.asked.answer(UNTIL_CLOSE + b"abc")
        body.end(Failure(ResponseFailed([Failure(ConnectionLost())])))
        self.assertEqual(self.line.done, ["abort"])

    def test_why(self) -> None:
        """
        The log says what the agent says.
        """
        self.send(request())
        body = self.asked.answer(TEN)
        late = TimedOut("ex.com", "no byte came or went for 90 s", seconds=90, phase="tcp")
        body.end(Failure(ResponseFailed([Failure(late)])))
        found = record(self.events)
        expected = ("broken", "tcp", "the response was broken off: no byte came or went for 90 s")
        self.assertEqual((found.outcome, found.phase, found.reason), expected)

    def test_the_place_is_free(self) -> None:
        """
        Nothing of the request is left.
        """
        self.send(request())
        self.asked.answer(TEN).end(Failure(ResponseFailed([Failure(ConnectionLost())])))
        self.client.close()
        self.assertEqual((self.forwarder.under_way(), self.timers, len(self.outcomes)), (0, 0, 1))


class ForeignTests(WireCase):
    """
    Responses of other agents than ours.
    """

    def answer(self, length: object) -> Foreign:
        """
        Let one arrive.
        """
        response = Foreign(length)
        self.send(request())
        self.asked.response.callback(response)
        return response

    def test_interfaces(self) -> None:
        """
        The relay is what those take.
        """
        response = self.answer(3)
        self.assertTrue(verifyObject(IProtocol, response.reader))

    def test_too_short(self) -> None:
        """
        What is called done and is not is broken off.
        """
        response = self.answer(3)
        response.reader.dataReceived(b"ab")
        response.end(ResponseDone())
        self.assertEqual((self.line.done, self.outcomes), (["abort"], [(200, "broken")]))

    def test_too_long(self) -> None:
        """
        What is too much would be the next response.
        """
        response = self.answer(3)
        for piece in (b"ab", b"cd", b"ef", b""):
            response.reader.dataReceived(piece)
        response.end(ResponseDone())
        self.assertEqual(self.client.received, b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc")
        self.assertEqual(self.line.done, [])

    def test_an_empty_piece_is_no_end(self) -> None:
        """
        An empty chunk would be the last.
        """
        response = self.answer(UNKNOWN_LENGTH)
        response.reader.dataReceived(b"")
        response.reader.dataReceived(b"a")
        response.end(PotentialDataLoss())
        self.assertEqual(self.client.received.partition(b"\r\n\r\n")[2], b"1\r\na\r\n0\r\n\r\n")

    def test_given_up(self) -> None:
        """
        Where a body cannot be aborted, it is stopped; what comes then is dropped.
        """
        response = self.answer(3)
        self.client.close()
        response.reader.dataReceived(b"ab")
        response.end(ResponseDone())
        self.assertEqual((response.told, self.outcomes), (["stop"], [(200, "gone")]))

    def test_a_response_that_is_there_at_once(self) -> None:
        """
        An agent may have it before it is asked.
        """
        response = Foreign(0)
        self.agent.request = lambda *_: succeed(response)  # type: ignore[method-assign]
        self.send(request())
        response.end(ResponseDone())
        self.assertEqual((self.client.statuses, self.outcomes), ([200], [(200, "ok")]))

    def test_a_response_that_is_none(self) -> None:
        """
        The client is left, and the request ends.
        """
        self.send(request())
        self.asked.response.callback(None)  # type: ignore[arg-type]
        self.assertEqual((self.line.done, self.outcomes), (["abort"], [(None, "internal")]))
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
