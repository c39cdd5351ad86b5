"""
Tests of C{matrix_federation_agent._reading}.
"""

from __future__ import annotations

from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import readBody
from twisted.web.iweb import IResponse
from zope.interface import implementer

from matrix_federation_agent import read_body, read_json
from matrix_federation_agent._reading import pass_on
from matrix_federation_agent.errors import BodyTooLong, FederationError, ResponseFailed

from .http.kit import TEN, UNTIL_CLOSE, HTTPCase

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class ReadingCase(HTTPCase):
    """
    A test with a response that has begun.
    """

    def response(self, data: bytes) -> IResponse:
        """
        Let the beginning of a response arrive.
        """
        sending = self.send()
        self.receive(data)
        return self.successResultOf(sending)

    def failed(self, reading: Deferred[Any]) -> FederationError:
        """
        Find how it failed.
        """
        error = self.failureResultOf(reading, ResponseFailed).value
        assert isinstance(error, ResponseFailed)
        self.assertEqual((error.server_name, error.phase), ("ex.com", "http"))
        return error


class BodyTests(ReadingCase):
    """
    L{read_body}.
    """

    def test_a_body(self) -> None:
        """
        A body within the limit is read, and the connection goes on.
        """
        reading = read_body(self.response(TEN + b"abc"), 10)
        self.receive(b"defghij")
        self.assertEqual((self.successResultOf(reading), self.events[1:]), (b"abcdefghij", ["idle"]))

    def test_until_the_end_of_the_connection(self) -> None:
        """
        A body that ends with its connection is complete.
        """
        reading = read_body(self.response(UNTIL_CLOSE + b"abc"), 10)
        self.close()
        self.assertEqual(self.successResultOf(reading), b"abc")

    def test_too_long(self) -> None:
        """
        One byte more, and the connection is dropped.
        """
        reading = read_body(self.response(CHUNKED), 10)
        self.receive(b"a\r\n" + b"x" * 10 + b"\r\n")
        self.assertNoResult(reading)
        self.receive(b"1\r\nx\r\n")
        error = self.failed(reading)
        assert isinstance(error, BodyTooLong)
        self.assertEqual((error.limit, self.line.done[1:], self.events[1:]), (10, ["abort"], ["lost"]))

    def test_said_to_be_too_long(self) -> None:
        """
        What is announced to be too long is not waited for.
        """
        error = self.failed(read_body(self.response(TEN), 9))
        assert isinstance(error, BodyTooLong)
        self.assertEqual((error.limit, self.line.done[1:], self.events[1:]), (9, ["abort"], ["lost"]))

    def test_too_long_and_complete(self) -> None:
        """
        A body that has arrived leaves its connection alone, whatever becomes of it.
        """
        self.failed(read_body(self.response(TEN + b"x" * 10), 9))
        self.assertEqual((self.line.done[1:], self.events), ([], ["idle", "response"]))

    def test_broken_off(self) -> None:
        """
        A body that breaks off says why.
        """
        reading = read_body(self.response(TEN + b"abc"), 10)
        self.close(ConnectionLost())
        error = self.failed(reading)
        self.assertTrue(error.reason.startswith("the body of the response broke off: Connection to the other side"))
        self.assertIsInstance(error.__cause__, ConnectionLost)

    def test_silence(self) -> None:
        """
        A server that stops is an error of ours already, whose words are used.
        """
        reading = read_body(self.response(TEN + b"abc"), 10)
        self.clock.advance(91)
        error = self.failed(reading)
        self.assertEqual(error.reason, "the body of the response broke off: no byte came or went for 90 s")

    def test_cancelling(self) -> None:
        """
        Who cancels drops the connection.
        """
        reading = read_body(self.response(TEN + b"abc"), 10)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.close(ConnectionLost())
        self.assertEqual((self.line.done[1:], self.events[1:]), (["abort"], ["lost"]))


class PassingOnTests(ReadingCase):
    """
    L{pass_on}.
    """

    def test_who_takes_the_body_fails(self) -> None:
        """
        Its error is told as it is, once, and the connection is dropped.
        """
        passing = pass_on(self.response(TEN), "ex.com", lambda _: 1 // 0)
        self.receive(b"abc")
        self.receive(b"def")
        self.failureResultOf(passing, ZeroDivisionError)
        self.assertEqual(self.line.done[1:], ["abort"])


class JSONTests(ReadingCase):
    """
    L{read_json}.
    """

    def read(self, body: bytes, limit: int = 10**6) -> Deferred[Any]:
        """
        Read a body.
        """
        return read_json(self.response(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body), limit)

    def test_json(self) -> None:
        """
        What the JSON says, is returned.
        """
        cases = [
            (b'{"a": [1, -2.5, true, null, "\\u00e9"]}', {"a": [1, -2.5, True, None, "\xe9"]}),
            (b' "\xc3\xa9" ', "\xe9"),
            (b"\xef\xbb\xbf{}", {}),
            (b"1e3", 1000.0),
        ]
        self.assertEqual([self.successResultOf(self.read(body)) for body, _ in cases], [said for _, said in cases])

    def test_no_json(self) -> None:
        """
        Whatever is none, is an error of ours that repeats nothing.
        """
        cases = [
            (b"", "Expecting value (at character 0)"),
            (b"<secret>", "Expecting value (at character 0)"),
            (b'{"secret": 1} x', "Extra data (at character 14)"),
            (b'"\xff"', "it is not UTF-8 (at byte 1)"),
            ("{}".encode("utf-16"), "it is not UTF-8 (at byte 0)"),
            (b"[NaN]", "a number is none, or has no end"),
            (b"[-Infinity]", "a number is none, or has no end"),
            (b"[1e999]", "a number is none, or has no end"),
            (b"1" * 5000, "a number is none, or has no end"),
            (b"[" * 200_000, "it is nested too deeply"),
        ]
        told = [self.failed(self.read(body)).reason for body, _ in cases]
        self.assertEqual(told, [f"the body of the response is no JSON: {reason}" for _, reason in cases])

    def test_the_error_keeps_no_body(self) -> None:
        """
        What Python raises holds all of the body; ours does not hold that.
        """
        error = self.failed(self.read(b'{"secret"'))
        self.assertEqual((error.__cause__, error.__context__), (None, None))

    def test_too_long(self) -> None:
        """
        The limit holds here as well.
        """
        self.assertIsInstance(self.failed(self.read(b"[1, 2]", 5)), BodyTooLong)


@implementer(IResponse)
class Plain:
    """
    A response of another agent, which can be stopped only.
    """

    version, code, phrase, headers = (b"HTTP", 1, 1), 200, b"OK", None
    length = 20
    request = previousResponse = None

    def __init__(self) -> None:
        self.transport = Stoppable()

    def deliverBody(self, protocol: Any) -> None:
        """
        Deliver a little.
        """
        self.reader = protocol
        protocol.makeConnection(self.transport)
        protocol.dataReceived(b"abc")

    def setPreviousResponse(self, response: IResponse) -> None:
        """
        Do nothing.
        """


class Stoppable:
    """
    What Twisted's own responses give to their readers.
    """

    stopped = 0

    def stopProducing(self) -> None:
        """
        Count.
        """
        self.stopped += 1


class OtherAgentsTests(ReadingCase):
    """
    Responses that are not ours.
    """

    def test_treq(self) -> None:
        """
        A body that treq keeps can be read more than once, too long or not.
        """
        response = treq.client._BufferedResponse(self.response(TEN + b"x" * 10))
        self.assertEqual(self.successResultOf(read_body(response, 10)), b"x" * 10)
        self.assertEqual(self.successResultOf(readBody(response)), b"x" * 10)
        self.failed(read_body(response, 9))

    def test_what_can_only_be_stopped(self) -> None:
        """
        A transport that cannot be aborted is stopped; the error then names nobody.
        """
        for limit in (2, 19):
            response = Plain()
            error = self.failureResultOf(read_body(response, limit), BodyTooLong).value
            self.assertEqual((error.server_name, response.transport.stopped), ("", 1))
            response.reader.dataReceived(b"what was on the way")
            response.reader.connectionLost(Failure(ConnectionLost()))
            self.assertEqual(response.transport.stopped, 1)

    def test_cancelling(self) -> None:
        """
        So it is when the caller cancels.
        """
        response = Plain()
        reading = read_body(response, 20)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertEqual(response.transport.stopped, 1)
