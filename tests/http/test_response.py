"""
Tests of C{matrix_federation_agent._http.response}, with the connection that brings the body.
"""

from __future__ import annotations

from typing import cast

import treq
from twisted.internet.defer import AlreadyCalledError, CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.protocols.basic import LineOnlyReceiver
from twisted.web.client import ResponseDone, ResponseFailed, readBody
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface.verify import verifyObject

from matrix_federation_agent._http.response import Body, control_of

from .kit import OK, TEN, UNTIL_CLOSE, HTTPCase, Reading


class InterfaceTests(HTTPCase):
    """
    What a response says.
    """

    def test_the_head(self) -> None:
        """
        Version, status, phrase, headers and length are the server's.
        """
        response, _ = self.answered(TEN.replace(b"200 OK", b"404 Not here"))
        self.assertTrue(verifyObject(IResponse, response))
        self.assertEqual((response.version, response.code, response.phrase), ((b"HTTP", 1, 1), 404, b"Not here"))
        self.assertEqual((response.length, response.headers.getRawHeaders(b"content-length")), (10, None))

    def test_no_length(self) -> None:
        """
        A body whose length is not known beforehand says so.
        """
        self.assertIs(self.answered(UNTIL_CLOSE)[0].length, UNKNOWN_LENGTH)

    def test_what_is_for_the_connection(self) -> None:
        """
        A response keeps what its head says of connection and framing; a foreign one tells nothing of it.
        """
        response, _ = self.answered(TEN.replace(b"\r\n\r\n", b"\r\nConnection: x-hop, Keep-Alive\r\n\r\n"))
        self.assertEqual(control_of(response), {b"content-length": [b"10"], b"connection": [b"x-hop, Keep-Alive"]})
        self.assertEqual(control_of(cast("IResponse", object())), {})

    def test_the_request(self) -> None:
        """
        A response knows what was asked.
        """
        request = self.answered(OK)[0].request
        self.assertTrue(verifyObject(IClientRequest, request))
        self.assertEqual((request.method, request.absoluteURI), (b"PUT", b"matrix-federation://ex.com/a"))
        self.assertEqual(request.headers.getRawHeaders(b"x"), [b"y"])

    def test_the_previous_response(self) -> None:
        """
        Who follows redirects notes what led to a response.
        """
        (first, _), (second, _) = self.answered(OK), self.answered(OK)
        second.setPreviousResponse(first)
        self.assertEqual((first.previousResponse, second.previousResponse), (None, first))


class BodyTests(HTTPCase):
    """
    Bodies, for those who read them.
    """

    def test_known_readers(self) -> None:
        """
        Twisted's and treq's readers are content.
        """
        for read in (readBody, treq.content):
            sending = self.send()
            self.receive(OK)
            self.assertEqual(self.successResultOf(read(self.successResultOf(sending))), b"hi")

    def test_in_pieces(self) -> None:
        """
        A body is handed over as it comes.
        """
        _, reading = self.answered(TEN + b"abc")
        for piece in (b"def", b"ghij"):
            self.receive(piece)
        self.assertEqual((reading.pieces, reading.end), ([b"abc", b"def", b"ghij"], ResponseDone))

    def test_the_connection_is_free_first(self) -> None:
        """
        Who has read a body to its end finds the connection free already.
        """
        _, reading = self.answered(TEN)
        reading.connectionLost = lambda reason: self.events.append("end")  # type: ignore[method-assign,assignment,misc]
        self.receive(b"x" * 10)
        self.assertEqual(self.events, ["response", "idle", "end"])

    def test_giving_up_when_the_connection_is_free(self) -> None:
        """
        A body that has arrived does not end the connection, which may carry the next request already.
        """
        _, reading = self.answered(TEN)
        self.connection._idle = lambda _: reading.transport.abortConnection()
        self.receive(b"x" * 10)
        self.assertEqual((reading.pieces, reading.end, self.line.done[1:]), ([], ResponseFailed, []))

    def test_nothing(self) -> None:
        """
        An empty body has an end, and no piece.
        """
        _, reading = self.answered(TEN.replace(b"10", b"0"))
        self.assertEqual((reading.pieces, reading.end), ([], ResponseDone))

    def test_one_reader(self) -> None:
        """
        A body is read once, whether it has ended or not.
        """
        for head in (OK, TEN):
            response, _ = self.answered(head)
            self.assertRaises(RuntimeError, response.deliverBody, Reading())

    def test_after_the_end(self) -> None:
        """
        What arrived before the connection was lost can still be read.
        """
        sending = self.send()
        self.receive(TEN + b"abc")
        self.close(ConnectionLost())
        reading = Reading()
        self.successResultOf(sending).deliverBody(reading)
        self.assertEqual((reading.data, reading.end), (b"abc", ResponseFailed))

    def test_broken_off(self) -> None:
        """
        The reader is told of the end, with the reason as Twisted tells it.
        """
        _, reading = self.answered(TEN + b"abc")
        self.close(ConnectionLost())
        (reason,) = reading.ends[0].value.reasons  # type: ignore[union-attr]
        self.assertEqual((reading.end, reason.type), (ResponseFailed, ConnectionLost))

    def test_until_the_end_of_the_connection(self) -> None:
        """
        Whether such a body is complete cannot be told, but its end was announced.
        """
        _, reading = self.answered(UNTIL_CLOSE + b"abc")
        self.close()
        self.assertEqual((reading.data, reading.end, self.events[1:]), (b"abc", PotentialDataLoss, ["lost"]))

    def test_until_a_connection_breaks(self) -> None:
        """
        RFC 9112, section 9.8: without TLS's farewell, anybody may have cut it off.
        """
        for reason in (ConnectionLost(), ConnectionAborted()):
            self.setUp()
            _, reading = self.answered(UNTIL_CLOSE + b"abc")
            self.close(reason)
            self.assertEqual(reading.end, ResponseFailed)

    def test_a_reader_of_lines(self) -> None:
        """
        Twisted's line receivers ask their transport whether it is disconnecting.
        """
        lines: list[bytes] = []
        reader = LineOnlyReceiver()
        reader.lineReceived = lines.append  # type: ignore[method-assign]
        sending = self.send()
        self.receive(TEN + b"abcd\r\nef\r\n")
        self.successResultOf(sending).deliverBody(reader)
        self.assertEqual(lines, [b"abcd", b"ef"])


class Pausing(Reading):
    """
    A reader that pauses after each piece.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        super().dataReceived(data)
        self.transport.pauseProducing()


class PaceTests(HTTPCase):
    """
    Bodies that come faster than they are read.
    """

    def test_a_small_body_frees_the_connection(self) -> None:
        """
        A body in a second piece is read also when nobody wants it.
        """
        self.send()
        self.receive(TEN + b"x")
        self.assertEqual(self.line.producerState, "producing")
        self.receive(b"x" * 9)
        self.assertEqual(self.events, ["response", "idle"])

    def unread(self) -> Reading:
        """
        Let much of a body arrive before anybody reads.
        """
        self.sending = self.send()
        self.receive(TEN.replace(b"10", b"20000") + b"x" * 17000)
        return Reading()

    def test_a_large_body_waits(self) -> None:
        """
        Until somebody reads a large body, nothing more of it is received.
        """
        self.unread()
        self.assertEqual(self.line.producerState, "paused")

    def test_a_large_body_in_many_pieces(self) -> None:
        """
        It waits as well, and its pieces are looked at only once.
        """

        class Piece(bytes):
            __slots__ = ()
            looks = 0

            def __len__(self) -> int:
                Piece.looks += 1
                return 1

        body = Body(self.connection)
        for _ in range(16 * 1024 + 1):
            self.assertEqual(self.line.producerState, "producing")
            body.receive(Piece(b"x"))
        self.assertEqual((self.line.producerState, Piece.looks), ("paused", 16 * 1024 + 1))

    def test_what_is_read_counts_no_more(self) -> None:
        """
        A reader that keeps up is never made to wait.
        """
        _, reading = self.answered(TEN.replace(b"10", b"40000"))
        for _ in range(3):
            self.receive(b"x" * 10000)
            reading.transport.pauseProducing()
            self.receive(b"x")
            reading.transport.resumeProducing()
        reading.transport.pauseProducing()
        self.assertEqual(len(reading.data), 30003)
        reading.transport.resumeProducing()
        self.receive(b"x")
        self.assertEqual(self.line.producerState, "producing")

    def test_a_large_body_that_is_wanted(self) -> None:
        """
        The reader gets what has arrived, and then the rest.
        """
        reading = self.unread()
        self.successResultOf(self.sending).deliverBody(reading)
        self.assertEqual((len(reading.data), self.line.producerState), (17000, "producing"))
        self.receive(b"x" * 3000)
        self.assertEqual((len(reading.data), reading.end, self.events[1:]), (20000, ResponseDone, ["idle"]))

    def paused(self) -> Reading:
        """
        Let a reader pause.
        """
        _, reading = self.answered(TEN)
        reading.transport.pauseProducing()
        return reading

    def test_a_reader_pauses(self) -> None:
        """
        Nothing is received, and what is on the way already is kept.
        """
        reading = self.paused()
        self.receive(b"abc")
        self.assertEqual((reading.pieces, self.line.producerState), ([], "paused"))
        reading.transport.resumeProducing()
        self.assertEqual((reading.pieces, self.line.producerState), ([b"abc"], "producing"))

    def test_the_end_while_a_reader_pauses(self) -> None:
        """
        The connection is free, and the reader has the rest when it likes.
        """
        reading = self.paused()
        self.receive(b"x" * 10)
        self.assertEqual((self.line.producerState, self.events[1:], reading.ends), ("producing", ["idle"], []))
        reading.transport.resumeProducing()
        self.assertEqual((reading.data, reading.end), (b"x" * 10, ResponseDone))

    def test_a_loss_while_a_reader_pauses(self) -> None:
        """
        A reader that may never go on learns of a failure at once.
        """
        reading = self.paused()
        self.receive(b"abc")
        self.close(ConnectionLost())
        self.assertEqual((reading.pieces, reading.end), ([], ResponseFailed))

    def test_pausing_within(self) -> None:
        """
        A reader may pause while it is handed something, and is handed nothing more.
        """
        sending = self.send()
        self.receive(TEN + b"a")
        self.receive(b"b")
        reading = Pausing()
        self.successResultOf(sending).deliverBody(reading)
        self.assertEqual(reading.pieces, [b"a"])
        reading.transport.resumeProducing()
        self.assertEqual(reading.pieces, [b"a", b"b"])


class GivingUpTests(HTTPCase):
    """
    Readers that have had enough.
    """

    def test_every_way(self) -> None:
        """
        The connection is dropped at once; the reader hears nothing more but the end.
        """
        for way in ("abortConnection", "loseConnection", "stopProducing"):
            self.setUp()
            _, reading = self.answered(TEN + b"abc")
            getattr(reading.transport, way)()
            self.receive(b"def")
            self.assertEqual((self.line.done[1:], self.events[1:], reading.ends), (["abort"], ["lost"], []))
            self.close(ConnectionAborted())
            self.assertEqual((reading.data, reading.end, self.timers), (b"abc", ResponseFailed, 0))

    def test_more_than_once(self) -> None:
        """
        Giving up twice is giving up.
        """
        _, reading = self.answered(TEN)
        for _ in range(2):
            reading.transport.abortConnection()
        self.assertEqual((self.line.done[1:], reading.ends), (["abort"], []))

    def test_going_on_afterwards(self) -> None:
        """
        Nothing is received again for a reader that has given up.
        """
        _, reading = self.answered(TEN)
        reading.transport.pauseProducing()
        reading.transport.abortConnection()
        reading.transport.resumeProducing()
        self.assertEqual(self.line.producerState, "paused")

    def test_what_was_kept(self) -> None:
        """
        What has arrived and was not handed over is dropped, also after the end of the response.
        """
        _, reading = self.answered(TEN)
        reading.transport.pauseProducing()
        self.receive(b"x" * 10)
        reading.transport.abortConnection()
        self.assertEqual((reading.pieces, reading.end), ([], ResponseFailed))
        self.assertEqual((self.line.done[1:], self.events[1:]), ([], ["idle"]))

    def test_after_the_end(self) -> None:
        """
        Who gives up a body that has ended leaves the connection to its next request.
        """
        _, reading = self.answered(OK)
        reading.transport.abortConnection()
        self.assertEqual((self.line.done[1:], reading.end), ([], ResponseDone))

    def test_cancelling_read_body(self) -> None:
        """
        Cancelling Twisted's reader drops the connection.
        """
        sending = self.send()
        self.receive(TEN + b"abc")
        reading = readBody(self.successResultOf(sending))
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertEqual((self.line.done[1:], self.events[1:]), (["abort"], ["lost"]))
        self.close(ConnectionAborted())

    def broken(self, data: bytes) -> Reading:
        """
        Let a reader raise an error.
        """
        reading = Reading()
        reading.dataReceived = lambda data: 1 // 0  # type: ignore[method-assign,assignment]
        sending = self.send()
        self.receive(data)
        self.successResultOf(sending).deliverBody(reading)
        return reading

    def test_a_reader_that_fails(self) -> None:
        """
        As with Twisted, the reader is told of its own error, and the connection is dropped.
        """
        reading = self.broken(TEN)
        self.receive(b"abc")
        (reason,) = reading.ends[0].value.reasons  # type: ignore[union-attr]
        self.assertEqual((reading.end, reason.type), (ResponseFailed, ZeroDivisionError))
        self.assertEqual((self.line.done[1:], self.events[1:]), (["abort"], ["lost"]))
        self.close(ConnectionAborted())
        self.assertEqual(len(reading.ends), 1)

    def test_a_reader_that_fails_with_a_whole_body(self) -> None:
        """
        A response that is complete leaves the connection free, whatever its reader does.
        """
        reading = self.broken(OK)
        self.assertEqual((reading.end, self.line.done[1:], self.events), (ResponseFailed, [], ["idle", "response"]))

    def test_a_reader_that_fires_twice(self) -> None:
        """
        Only of one that gave up, as readBody does when it is cancelled, is that passed over.
        """
        fired: Deferred[None] = Deferred()
        fired.callback(None)
        reading = Reading()
        reading.connectionLost = lambda reason: fired.callback(None)  # type: ignore[method-assign,assignment,misc]
        sending = self.send()
        self.receive(OK)
        self.successResultOf(sending).deliverBody(reading)
        self.assertEqual(len(self.flushLoggedErrors(AlreadyCalledError)), 1)

    def test_a_reader_that_fails_at_the_end(self) -> None:
        """
        An error in being told of the end is logged, and nothing else.
        """
        reading = Reading()
        reading.connectionLost = lambda reason: 1 // 0  # type: ignore[method-assign,assignment,misc]
        sending = self.send()
        self.receive(TEN)
        self.successResultOf(sending).deliverBody(reading)
        self.receive(b"x" * 10)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.events[1:]), (1, ["idle"]))
