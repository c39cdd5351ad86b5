"""
Tests of C{matrix_federation_agent._http.connection}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.client import ResponseFailed as BodyFailed

from matrix_federation_agent.errors import ResponseFailed, TimedOut

from .kit import HEAD, OK, TEN, HTTPCase, Producer, Reading


class RequestTests(HTTPCase):
    """
    Requests, one after the other.
    """

    def test_head_and_body_are_one_write(self) -> None:
        """
        A body in memory travels with its head, at once.
        """
        self.send(b"body")
        self.assertEqual((self.line.writes, self.line.done), ([HEAD + b"body"], ["write at once"]))

    def test_idle_before_the_response_is_told(self) -> None:
        """
        Whoever gets a whole response finds the connection free already.
        """
        self.send()
        self.receive(OK)
        self.assertEqual(self.events, ["idle", "response"])

    def test_one_after_the_other(self) -> None:
        """
        A connection carries many requests, and is told to be idle after each.
        """
        for _ in range(3):
            self.send()
            self.receive(OK)
        self.assertEqual((self.connection.requests, self.events), (3, ["idle", "response"] * 3))

    def test_the_next_request_from_the_idle_callback(self) -> None:
        """
        Who is told that the connection is idle may send at once.
        """
        first, more = self.send(), []
        self.connection._idle = lambda _: more.append(self.send())
        self.receive(OK)
        self.connection._idle = lambda _: None
        self.receive(OK.replace(b"200", b"201"))
        self.assertEqual([self.successResultOf(one).code for one in (first, *more)], [200, 201])

    def test_only_one_at_a_time(self) -> None:
        """
        A request while another is under way is a mistake of the caller's.
        """
        self.send()
        self.assertRaises(RuntimeError, self.send)

    def test_none_after_the_end(self) -> None:
        """
        A lost connection takes no request.
        """
        self.close()
        self.assertRaises(RuntimeError, self.send)

    def test_heard(self) -> None:
        """
        That a byte has arrived counts for the request under way alone.
        """
        heard = []
        for data in (b"H", OK[1:]):
            if self.connection._request is None:
                self.send()
            heard.append(self.connection.heard)
            self.receive(data)
            heard.append(self.connection.heard)
        self.send()
        self.assertEqual([*heard, self.connection.heard], [False, True, True, True, False])

    def test_when_and_where(self) -> None:
        """
        A connection knows when it was made, and where it leads.
        """
        self.clock.advance(5)
        self.assertEqual((self.connection.born, self.connection.target), (1000, "there"))

    def test_an_informational_response(self) -> None:
        """
        What comes before the response is passed over.
        """
        sending = self.send()
        self.receive(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        self.assertNoResult(sending)
        self.receive(OK)
        self.assertEqual(self.successResultOf(sending).code, 200)


class EndTests(HTTPCase):
    """
    Connections that carry no further request.
    """

    def test_not_persistent(self) -> None:
        """
        Where the server says that it closes, so do we, with a farewell.
        """
        self.send()
        self.receive(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertEqual((self.events, self.line.done[1:]), (["lost", "response"], ["leave"]))

    def test_more_than_a_response(self) -> None:
        """
        A response that is followed by something counts; the connection does not.
        """
        sending = self.send()
        self.receive(OK + b"HTTP/1.1 200 OK\r\n")
        self.assertEqual((self.events, self.line.done[1:]), (["lost", "response"], ["leave"]))
        reading = Reading()
        self.successResultOf(sending).deliverBody(reading)
        self.assertEqual((reading.data, reading.end), (b"hi", ResponseDone))

    def test_bytes_that_nobody_asked_for(self) -> None:
        """
        Whatever arrives on an idle connection ends it, and answers no later request.
        """
        self.receive(OK)
        self.assertEqual((self.events, self.line.done), (["lost"], ["abort"]))

    def test_closed_while_idle(self) -> None:
        """
        The end of an idle connection is told once.
        """
        self.close()
        self.connection.abort()
        self.assertEqual(self.events, ["lost"])

    def test_lost_once(self) -> None:
        """
        However a connection is ended, and however often, it is told once.
        """
        self.connection.leave()
        self.connection.abort()
        self.receive(b"late")
        self.close()
        self.assertEqual((self.events, self.line.done), (["lost"], ["leave", "abort"]))

    def test_nothing_is_read_after_the_end(self) -> None:
        """
        What still arrives on a dropped connection is no response.
        """
        sending = self.send()
        self.connection.abort()
        self.receive(OK)
        self.assertNoResult(sending)
        self.close(ConnectionAborted())
        self.failureResultOf(sending, ResponseFailed)


class FailureTests(HTTPCase):
    """
    Responses that do not come.
    """

    def failed(self) -> ResponseFailed:
        """
        Let the connection end, and find the error.
        """
        sending = self.send()
        self.close(ConnectionLost())
        error = self.failureResultOf(sending, ResponseFailed).value
        assert isinstance(error, ResponseFailed)
        return error

    def test_no_response(self) -> None:
        """
        The error names the server, the phase and the reason, and has the cause.
        """
        error = self.failed()
        self.assertEqual((error.server_name, error.phase), ("ex.com", "http"))
        self.assertEqual(error.reason, f"no usable response: {ConnectionLost()}".rstrip("."))
        self.assertIsInstance(error.__cause__, ConnectionLost)

    def test_lost_before_the_error_is_told(self) -> None:
        """
        Who sends again upon the error does not find the dead connection.
        """
        self.send().addErrback(lambda _: self.events.append("error"))
        self.close()
        self.assertEqual(self.events, ["lost", "error"])

    def test_half_a_head(self) -> None:
        """
        A head that breaks off is no response; but something was heard.
        """
        sending = self.send()
        self.receive(b"HTTP/1.1 200 OK\r\nContent-Le")
        self.close()
        self.failureResultOf(sending, ResponseFailed)
        self.assertTrue(self.connection.heard)

    def test_no_http(self) -> None:
        """
        What is no HTTP ends the connection at once, and is not repeated.
        """
        sending = self.send()
        self.receive(b"220 secret\r\n\r\n")
        error = self.failureResultOf(sending, ResponseFailed).value
        self.assertTrue(str(error).startswith("ex.com: no usable response: "), str(error))
        self.assertNotIn("secret", str(error))
        self.assertIsNone(error.__cause__.__traceback__)
        self.assertEqual((self.events, self.line.done[1:], self.timers), (["lost"], ["abort"], 0))

    def test_too_long_a_head(self) -> None:
        """
        The limits of the policy hold.
        """
        sending = self.send()
        self.receive(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 64 * 1024)
        self.failureResultOf(sending, ResponseFailed)
        self.assertEqual(self.line.done[1:], ["abort"])

    def test_a_broken_body(self) -> None:
        """
        A body that is malformed ends with its error for whoever reads it.
        """
        _, reading = self.answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        self.receive(b"what?\r\n")
        self.assertEqual((reading.data, reading.end), (b"hi", BodyFailed))
        self.assertEqual((self.events, self.line.done[1:]), (["response", "lost"], ["abort"]))


class CancellingTests(HTTPCase):
    """
    Giving up before there is a response.
    """

    def test_while_waiting(self) -> None:
        """
        The connection is dropped at once, and nothing remains.
        """
        sending = self.send()
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        self.assertEqual((self.events, self.line.done[1:], self.timers), (["lost"], ["abort"], 0))

    def test_what_happens_afterwards(self) -> None:
        """
        The end of the connection, later, is news to nobody.
        """
        sending = self.send()
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        self.receive(OK)
        self.close(ConnectionAborted())
        self.assertEqual((self.events, self.timers), (["lost"], 0))

    def test_while_sending(self) -> None:
        """
        Whoever produces the body is stopped.
        """
        producer = Producer()
        sending = self.send(producer)
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        self.assertEqual((producer.told, self.line.done[-1], self.line.producer), (["start", "stop"], "abort", None))


class DeadlineTests(HTTPCase):
    """
    Servers that let us wait.
    """

    def late(self, seconds: float) -> TimedOut:
        """
        Wait for too long, but not a moment before the limit.
        """
        sending = self.send()
        self.clock.advance(seconds - 0.01)
        self.assertNoResult(sending)
        self.clock.advance(0.02)
        error = self.failureResultOf(sending, TimedOut).value
        assert isinstance(error, TimedOut)
        return error

    def test_silence(self) -> None:
        """
        A server that says nothing is given up.
        """
        error = self.late(90)
        self.assertEqual((error.server_name, error.phase, error.seconds), ("ex.com", "http", 90))
        self.assertEqual((self.events, self.line.done[1:], self.timers), (["lost"], ["abort"], 0))

    def test_trickle(self) -> None:
        """
        A head that comes in little pieces is late all the same.
        """
        sending = self.send()
        for piece in (b"H", b"T", b"T", b"P", b"/"):
            self.clock.advance(59)
            self.receive(piece)
        self.assertNoResult(sending)
        self.clock.advance(6)
        self.assertEqual(self.failureResultOf(sending, TimedOut).value.seconds, 300)

    def test_every_byte_counts(self) -> None:
        """
        A body may take for ever, as long as something comes.
        """
        _, reading = self.answered(TEN)
        for _ in range(9):
            self.clock.advance(89)
            self.receive(b"x")
        self.assertEqual((reading.data, reading.ends), (b"x" * 9, []))

    def test_silence_in_a_body(self) -> None:
        """
        A body that stops ends with the reason.
        """
        _, reading = self.answered(TEN + b"x")
        self.clock.advance(91)
        (end,) = reading.ends
        (reason,) = end.value.reasons  # type: ignore[union-attr]
        self.assertEqual((end.type, reason.type, reason.value.seconds), (BodyFailed, TimedOut, 90))
        self.assertEqual((self.events[1:], self.line.done[1:], self.timers), (["lost"], ["abort"], 0))

    def test_a_body_that_nobody_reads(self) -> None:
        """
        What is too long to be read ahead keeps its connection for a limited time; a reader who comes later gets what
        had arrived, and the reason.
        """
        sending = self.send()
        self.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 20001\r\n\r\n" + 20_000 * b"x")
        response = self.successResultOf(sending)
        self.clock.advance(91)
        reading = Reading()
        response.deliverBody(reading)
        (end,) = reading.ends
        self.assertIn("nobody read the body for 90 s", str(end.value.reasons[0].value))  # type: ignore[union-attr]
        self.assertEqual((len(reading.data), self.timers), (20_000, 0))
        self.assertEqual((self.events, self.line.done[-1]), (["response", "lost"], "abort"))

    def test_a_reader_that_pauses(self) -> None:
        """
        What a reader holds up is no silence of the server's; afterwards time begins anew.
        """
        _, reading = self.answered(TEN + b"x")
        reading.transport.pauseProducing()
        self.clock.advance(1000)
        reading.transport.resumeProducing()
        self.clock.advance(89)
        self.assertEqual((reading.ends, self.timers), ([], 1))
        self.clock.advance(2)
        self.assertEqual(reading.end, BodyFailed)

    def test_a_reader_that_pauses_for_a_moment(self) -> None:
        """
        Time begins anew also where the pause was shorter than the limit.
        """
        _, reading = self.answered(TEN + b"x")
        self.clock.advance(60)
        reading.transport.pauseProducing()
        self.clock.advance(20)
        reading.transport.resumeProducing()
        self.clock.advance(89)
        self.assertEqual(reading.ends, [])

    def test_the_end_of_a_long_pause(self) -> None:
        """
        Where a response ends in a pause, nothing is waited for.
        """
        _, reading = self.answered(TEN)
        reading.transport.pauseProducing()
        self.clock.advance(1000)
        self.receive(b"x" * 10)
        self.assertEqual((self.events, self.timers), (["response", "idle"], 0))

    def test_one_timer(self) -> None:
        """
        Requests that are answered in time make no timers, and the last one fires once.
        """
        for _ in range(5):
            self.send()
            self.receive(OK)
        self.assertEqual(self.timers, 1)
        self.clock.advance(91)
        self.assertEqual((self.timers, self.events[-2:]), (0, ["idle", "response"]))

    def test_the_timer_of_an_earlier_request(self) -> None:
        """
        What was set for one request does not end the next one before its time.
        """
        self.send()
        self.receive(OK)
        self.clock.advance(60)
        self.late(90)

    def test_no_timer_after_the_end(self) -> None:
        """
        The end of a connection is the end of its timer.
        """
        self.send().addErrback(lambda _: None)
        self.close()
        self.assertEqual(self.timers, 0)

    def test_a_farewell_that_is_not_taken(self) -> None:
        """
        A peer that reads nothing keeps us no longer than any silent one.
        """
        self.connection.leave()
        self.clock.advance(91)
        self.assertEqual((self.line.done, self.timers), (["leave", "abort"], 0))

    def test_a_farewell(self) -> None:
        """
        Once the connection is closed, nothing remains.
        """
        self.connection.leave()
        self.close()
        self.assertEqual((self.line.done, self.timers), (["leave"], 0))


class UploadTests(HTTPCase):
    """
    Bodies that are sent as they are produced.
    """

    def upload(self, length: object = 6) -> Producer:
        """
        Begin to send a body.
        """
        self.producer = Producer(length)
        self.sending = self.send(self.producer)
        return self.producer

    def words(self) -> str:
        """
        Find how the request failed.
        """
        error = self.failureResultOf(self.sending, ResponseFailed).value
        self.assertEqual((self.events, self.line.done[-1], self.line.producer), (["lost"], "abort", None))
        return str(error)

    def test_with_a_length(self) -> None:
        """
        A body whose length is known is sent as it is.
        """
        producer = self.upload()
        producer.write(b"abc")
        producer.write(b"def")
        producer.finished.callback(None)
        self.assertEqual((self.line.writes, self.line.producer), ([HEAD, b"abc", b"def"], None))
        self.receive(OK)
        self.assertEqual(self.events, ["idle", "response"])

    def test_in_chunks(self) -> None:
        """
        A body whose length is unknown is sent in chunks, of which none but the last is empty.
        """
        producer = self.upload(Producer().length)
        for data in (b"abc", b"", b"x" * 16):
            producer.write(data)
        producer.finished.callback(None)
        chunks = [b"3\r\nabc\r\n", b"10\r\n" + b"x" * 16 + b"\r\n", b"0\r\n\r\n"]
        self.assertEqual(self.line.writes, [HEAD, *chunks])

    def test_the_transport_sets_the_pace(self) -> None:
        """
        The producer pauses and goes on as the transport wants.
        """
        producer = self.upload()
        self.line.producer.pauseProducing()  # type: ignore[union-attr]
        self.line.producer.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual((producer.told, self.line.streaming), (["start", "pause", "resume"], True))

    def test_a_refusal_before_the_end(self) -> None:
        """
        A server that answers with an error has heard enough; its response counts, and is the last.
        """
        producer = self.upload()
        producer.write(b"abc")
        self.receive(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n")
        producer.write(b"def")
        self.assertEqual((producer.told[-1], self.line.writes, self.events), ("stop", [HEAD, b"abc"], ["response"]))
        self.receive(b"hi")
        self.assertEqual((self.successResultOf(self.sending).code, self.events[1:]), (413, ["lost"]))
        self.assertEqual(self.line.done[-1], "abort")

    def test_a_response_before_the_end(self) -> None:
        """
        While a response is under way the body is; afterwards it is not, and the connection ends.
        """
        producer = self.upload()
        self.receive(TEN)
        producer.write(b"abc")
        self.receive(b"x" * 10)
        producer.write(b"def")
        self.assertEqual((producer.told[-1], self.line.writes), ("stop", [HEAD, b"abc"]))
        self.assertEqual(self.events, ["response", "lost"])

    def test_the_body_ends_while_the_response_comes(self) -> None:
        """
        A body that was sent before the response was complete spoils nothing.
        """
        producer = self.upload(0)
        self.receive(TEN)
        producer.finished.callback(None)
        self.receive(b"x" * 10)
        self.assertEqual(self.events, ["response", "idle"])

    def test_the_next_request_does_not_overtake(self) -> None:
        """
        After a body in pieces, which the transport may hold back, nothing is written past it.
        """
        self.upload(0).finished.callback(None)
        self.receive(OK)
        self.send(b"body")
        self.assertEqual(self.line.done, ["write", "write"])

    def test_a_producer_that_fails(self) -> None:
        """
        The request fails with words that are not the producer's, and with its error as the cause.
        """
        self.upload().finished.errback(OSError("the disk is gone"))
        text = self.words()
        self.assertEqual(text, "ex.com: the body of the request could not be produced: OSError")

    def test_a_producer_that_does_not_start(self) -> None:
        """
        What the producer raises at once is told by the Deferred.
        """
        self.patch(Producer, "startProducing", lambda *_: 1 / 0)
        self.upload()
        self.assertIn("ZeroDivisionError", self.words())

    def test_too_much(self) -> None:
        """
        More than was announced would be the next request: it is not sent.
        """
        producer = self.upload()
        producer.write(b"abcdefg")
        self.assertIn("could not be produced: WrongLength", self.words())
        self.assertEqual((producer.told[-1], self.line.writes), ("stop", [HEAD]))

    def test_too_little(self) -> None:
        """
        Less than was announced would leave the server waiting.
        """
        producer = self.upload()
        producer.write(b"abc")
        producer.finished.callback(None)
        self.assertIn("could not be produced: WrongLength", self.words())

    def test_a_producer_that_does_not_pause(self) -> None:
        """
        A producer that fails when it is told something fails the request.
        """
        self.patch(Producer, "pauseProducing", lambda _: 1 / 0)
        self.upload()
        self.line.producer.pauseProducing()  # type: ignore[union-attr]
        self.assertIn("ZeroDivisionError", self.words())

    def test_a_producer_that_does_not_stop(self) -> None:
        """
        An error in stopping is logged, and changes nothing.
        """
        self.patch(Producer, "stopProducing", lambda _: 1 / 0)
        self.upload()
        self.sending.cancel()
        self.failureResultOf(self.sending, CancelledError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_producer_that_goes_on(self) -> None:
        """
        What a producer does after its end is of no consequence.
        """
        producer = self.upload()
        self.sending.cancel()
        self.failureResultOf(self.sending, CancelledError)
        producer.write(b"abc")
        producer.finished.errback(OSError())
        self.assertEqual(self.line.writes, [HEAD])

    def test_a_producer_that_never_ends(self) -> None:
        """
        Nothing moves: that is silence.
        """
        producer = self.upload()
        self.clock.advance(60)
        producer.write(b"abc")
        self.clock.advance(89)
        self.assertNoResult(self.sending)
        self.clock.advance(2)
        self.failureResultOf(self.sending, TimedOut)
        self.assertEqual((producer.told, self.timers), (["start", "stop"], 0))

    def test_a_server_that_does_not_take_it(self) -> None:
        """
        What is written to a transport that wants no more does not count as movement.
        """
        producer = self.upload()
        self.line.producer.pauseProducing()  # type: ignore[union-attr]
        self.clock.advance(60)
        producer.write(b"abc")
        self.clock.advance(31)
        self.failureResultOf(self.sending, TimedOut)

    def test_movement(self) -> None:
        """
        A transport that takes more, a part that is written and the end of the body all end a silence.
        """
        producer = self.upload()
        transport = self.line.producer
        assert transport is not None
        transport.pauseProducing()
        steps = (transport.resumeProducing, lambda: producer.write(b"abcdef"), lambda: producer.finished.callback(None))
        for step in steps:
            self.clock.advance(60)
            step()
        self.clock.advance(89)
        self.assertNoResult(self.sending)

    def test_the_connection_is_lost(self) -> None:
        """
        The producer is stopped, once, also where the transport tells it first.
        """
        for told_first in (True, False):
            self.setUp()
            producer = self.upload()
            if told_first:
                self.line.producer.stopProducing()  # type: ignore[union-attr]
            self.close()
            self.failureResultOf(self.sending, ResponseFailed)
            self.assertEqual(producer.told, ["start", "stop"])

    def test_the_connection_was_lost_already(self) -> None:
        """
        A producer that cannot be used is not started.
        """
        self.patch(StringTransport, "registerProducer", lambda _, producer, streaming: producer.stopProducing())
        self.assertEqual(self.upload().told, [])
        self.close()
        self.failureResultOf(self.sending, ResponseFailed)

    def test_the_producer_fails_after_the_head(self) -> None:
        """
        Whoever reads the response is told that it breaks off, and why.
        """
        producer = self.upload()
        self.receive(TEN)
        reading = Reading()
        self.successResultOf(self.sending).deliverBody(reading)
        producer.finished.errback(OSError())
        reason: Failure = reading.ends[0].value.reasons[0]  # type: ignore[union-attr]
        self.assertEqual((reading.end, reason.type), (BodyFailed, ResponseFailed))
