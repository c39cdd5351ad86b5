"""
Tests of C{matrix_federation_agent._gateway.wire} and C{turn}: requests and their answers.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import alsoProvides

from matrix_federation_agent._gateway.farewell import LINGERING_BYTES, LINGERING_SECONDS
from matrix_federation_agent._gateway.intake import GATHERED
from matrix_federation_agent._gateway.upload import MAXIMUM_HELD
from matrix_federation_agent._gateway.wire import MAXIMUM_KEPT
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.errors import ResponseFailed

from .wire_kit import TARGET, WireCase, put, record, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
UNAUTHORISED = b"GET %b HTTP/1.1\r\nHost: x\r\n%%b\r\n" % TARGET


class RequestTests(WireCase):
    """
    Requests, one after the other.
    """

    def test_a_request_and_its_response(self) -> None:
        """
        The common case: head and body in one piece, one write, and the end.
        """
        self.send(put(b"{}", b"Connection: close\r\n"))
        self.asked.take()
        self.asked.answer(OK)
        written = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"]
        self.assertEqual((self.asked.taken, self.line.writes, self.line.done), (b"{}", written, ["close"]))

    def test_what_the_agent_is_asked(self) -> None:
        """
        Method, target and headers are the client's.
        """
        self.send(put(b"{}", b"X: y\r\n"))
        asked = self.asked
        assert asked.headers is not None
        found = (asked.method, asked.uri, list(asked.headers.getAllRawHeaders()))
        self.assertEqual(found, (b"PUT", TARGET, [(b"X", [b"y"])]))

    def test_no_body(self) -> None:
        """
        Without a body there is no producer, and a length of 0 is no body.
        """
        for data in (request(), put(b"")):
            self.connect().send(data)
        self.assertEqual([asked.producer for asked in self.agent.asked], [None, None])

    def test_one_after_the_other(self) -> None:
        """
        A connection carries many requests.
        """
        for _ in range(3):
            self.send(put(b"ab"))
            self.agent.asked[-1].answer(OK)
        self.assertEqual((self.client.statuses, self.line.done), ([200] * 3, []))
        self.assertEqual(self.outcomes, [(200, "ok")] * 3)

    def test_pipelined(self) -> None:
        """
        Requests that arrive together are served one at a time, in order.
        """
        self.send(put(b"ab") + request(b"GET") + request(b"DELETE"))
        methods = []
        for _ in range(3):
            methods.append([asked.method for asked in self.agent.asked])
            self.agent.asked[-1].answer(OK)
        self.assertEqual(methods, [[b"PUT"], [b"PUT", b"GET"], [b"PUT", b"GET", b"DELETE"]])
        self.assertEqual(self.client.statuses, [200, 200, 200])

    def test_byte_by_byte(self) -> None:
        """
        Requests that trickle, head, body and chunks, are the same requests.
        """
        data = put(b"ab") + request(b"PUT", CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")
        self.agent.when_asked = lambda asked: asked.take()
        for index in range(len(data)):
            self.send(data[index : index + 1])
            if self.agent.asked and not self.agent.asked[-1].response.called and self.agent.asked[-1].ends:
                self.agent.asked[-1].answer(OK)
        self.assertEqual([asked.taken for asked in self.agent.asked], [b"ab", b"abc"])

    def test_many_refusals_in_one_piece(self) -> None:
        """
        As many requests as fit into a read are answered without recursion.
        """
        self.send(UNAUTHORISED % b"" * 1200)
        self.assertEqual(self.client.statuses, [401] * 1200)

    def test_persistence(self) -> None:
        """
        RFC 9112, section 9.3.
        """
        cases = [(b"1.1", b"", b"", []), (b"1.1", b"close", b"close", ["close"]), (b"1.0", b"", b"close", ["close"])]
        cases.append((b"1.0", b"keep-alive", b"keep-alive", []))
        for version, said, answered, done in cases:
            client = self.connect()
            client.send(request(more=b"Connection: %b\r\n" % said if said else b"", version=version))
            self.agent.asked[-1].answer(OK)
            found = client.received.partition(b"Connection: ")[2].partition(b"\r\n")[0]
            self.assertEqual((found, client.line.done), (answered, done), (version, said))

    def test_nothing_is_served_after_close(self) -> None:
        """
        What follows a request that is the last is dropped.
        """
        self.send(request(more=b"Connection: close\r\n") + request())
        self.asked.answer(OK)
        self.send(request())
        self.assertEqual((len(self.agent.asked), self.line.done), (1, ["half-close"]))

    def test_an_agent_that_raises(self) -> None:
        """
        The client gets an answer, and the request ends.
        """

        def fail(_: object) -> None:
            raise ZeroDivisionError

        self.agent.when_asked = fail
        self.send(request())
        self.assertEqual((self.client.statuses, self.forwarder.under_way()), ([500], 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_failure(self) -> None:
        """
        What the agent fails with is answered, and the connection goes on.
        """
        self.send(request())
        self.asked.response.errback(ResponseFailed("ex.com", "it was closed"))
        self.send(request())
        self.assertEqual((self.client.statuses, len(self.agent.asked), self.line.done), ([502], 2, []))
        self.assertEqual(self.outcomes, [(502, "failed")])
        self.assertEqual(record(self.events).sent, len(self.client.received.partition(b"\r\n\r\n")[2]))

    def test_a_mistake_of_our_own(self) -> None:
        """
        Whatever is raised here ends this connection, and its request.
        """
        self.send(request())
        self.client.connection._kept = 7  # type: ignore[assignment]
        self.send(b"x")
        self.assertEqual((self.line.done, self.outcomes, self.asked.cancelled), (["abort"], [(None, "internal")], 1))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class BodyTests(WireCase):
    """
    Bodies of requests.
    """

    def test_gathered(self) -> None:
        """
        A small body that arrives in pieces is sent on when it is complete.
        """
        data = put(b"ab")
        self.send(data[:-1])
        self.assertEqual(self.agent.asked, [])
        self.send(data[-1:])
        self.asked.take()
        assert self.asked.producer is not None
        self.assertEqual((self.asked.taken, self.asked.producer.length), (b"ab", 2))

    def test_streamed(self) -> None:
        """
        A large one is sent on while it arrives.
        """
        data = put(b"x" * (GATHERED + 1))
        self.send(data[:-9])
        self.asked.take()
        found = [len(self.asked.taken)]
        self.send(data[-9:])
        assert self.asked.producer is not None
        self.assertEqual(
            ([*found, len(self.asked.taken)], self.asked.producer.length), ([GATHERED - 8, GATHERED + 1], GATHERED + 1)
        )
        self.assertEqual(self.asked.ends, [None])

    def test_chunks_that_are_there(self) -> None:
        """
        Chunks that arrived with the head are a body whose length is known.
        """
        self.send(request(b"PUT", CHUNKED, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") + request())
        self.asked.take()
        assert self.asked.producer is not None
        self.assertEqual((self.asked.taken, self.asked.producer.length), (b"abc", 3))
        self.asked.answer(OK)
        self.assertEqual(len(self.agent.asked), 2)

    def test_chunks_to_come(self) -> None:
        """
        Others are sent on while they arrive.
        """
        self.send(request(b"PUT", CHUNKED, b"2\r\nab\r\n"))
        self.asked.take()
        self.send(b"1\r\nc\r\n")
        assert self.asked.producer is not None
        self.assertEqual((self.asked.taken, self.asked.ends, self.asked.producer.length), (b"abc", [], UNKNOWN_LENGTH))
        self.send(b"0\r\n\r\n")
        self.assertEqual(self.asked.ends, [None])

    def test_no_faster_than_it_is_taken(self) -> None:
        """
        A client is not read from while nobody takes its body.
        """
        self.send(put(b"x" * 10**6)[: 2 * MAXIMUM_HELD])
        self.assertFalse(self.line.reading)
        self.asked.take()
        self.assertTrue(self.line.reading)
        self.asked.uploading.pause()
        self.assertFalse(self.line.reading)
        self.asked.uploading.resume()
        self.assertTrue(self.line.reading)

    def test_malformed_chunks(self) -> None:
        """
        The client is told, and the request is cancelled.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\na\r\n"))
        self.send(b"x")
        self.assertEqual((self.client.statuses, self.asked.cancelled, self.outcomes), ([400], 1, [(400, "refused")]))
        self.assertEqual(self.line.done, ["half-close"])

    def test_early_response(self) -> None:
        """
        A server that answers before the end of the body is heard; the rest is dropped, and the connection ends.
        """
        self.send(put(b"x" * 10**6)[:100000])
        self.asked.take()
        self.asked.uploading.stop()
        self.asked.answer(OK.replace(b"200 OK", b"413 No"))
        self.assertEqual((self.client.statuses, self.line.done, self.line.reading), ([413], ["half-close"], True))
        self.assertIn(b"\r\nConnection: close\r\n", self.client.received)

    def test_stopped_while_held(self) -> None:
        """
        A client that was held until the server gave up is read from again.
        """
        self.send(put(b"x" * 10**6)[:100000])
        self.asked.take()
        self.asked.uploading.pause()
        self.asked.uploading.stop()
        self.assertTrue(self.line.reading)
        self.send(b"x" * 1000)
        self.assertEqual(len(self.asked.taken) < 100000, True)


class LimitTests(WireCase):
    """
    Too much of something.
    """

    policy = GatewayPolicy(max_body_bytes=100, max_head_bytes=1000, max_headers=10)

    def test_a_length_beyond_the_limit(self) -> None:
        """
        It is refused before the body, and nothing is sent on.
        """
        self.send(put(b"x" * 101)[:-101])
        self.assertEqual((self.client.statuses, self.agent.asked, self.outcomes), ([413], [], [(413, "refused")]))
        self.assertEqual(self.line.done, ["half-close"])

    def test_the_longest_body(self) -> None:
        """
        So much is permitted.
        """
        self.send(put(b"x" * 100))
        self.assertEqual((len(self.agent.asked), self.client.received), (1, b""))

    def test_chunks_beyond_the_limit(self) -> None:
        """
        They are refused once there are too many.
        """
        self.send(request(b"PUT", CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n"))
        self.assertEqual(self.client.statuses, [])
        self.send(b"1\r\nx\r\n")
        self.assertEqual((self.client.statuses, self.asked.cancelled, self.line.done), ([413], 1, ["half-close"]))

    def test_chunks_beyond_the_limit_after_the_answer(self) -> None:
        """
        There is one response to a request only: it is broken off.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.asked.take()
        self.asked.answer(TEN)
        self.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        self.assertEqual((self.client.statuses, self.line.done, self.asked.source.told), ([200], ["abort"], ["abort"]))

    def test_the_secret_comes_first(self) -> None:
        """
        A stranger learns nothing of the limits.
        """
        self.send(UNAUTHORISED % b"Content-Length: 101\r\nExpect: x\r\n")
        self.assertEqual(self.client.statuses, [401])

    def test_a_long_head(self) -> None:
        """
        It is refused while it arrives.
        """
        self.send(b"G" * 600)
        self.send(b"E" * 600)
        self.assertEqual((self.client.statuses, self.line.done), ([431], ["half-close"]))
        self.assertIn(b"M_TOO_LARGE", self.client.received)

    def test_what_is_no_request(self) -> None:
        """
        It is answered, logged, and the end of the connection.
        """
        for data, code in [(b"x\r\n\r\n", 400), (b"PRI * HTTP/2.0\r\n\r\n", 505)]:
            client = self.connect()
            client.send(data + request())
            self.assertEqual((client.statuses, client.line.done), ([code], ["half-close"]))
        self.assertEqual((self.outcomes, self.agent.asked), ([(400, "refused"), (505, "refused")], []))

    def test_uncertain_framing(self) -> None:
        """
        Where the end of a body is not certain, nothing is sent on.
        """
        for more, code in [(CHUNKED + b"Content-Length: 1\r\n", 400), (b"Transfer-Encoding: gzip\r\n", 501)]:
            client = self.connect()
            client.send(request(b"PUT", more))
            self.assertEqual((client.statuses, client.line.done, self.agent.asked), ([code], ["half-close"], []))


class AnswerTests(WireCase):
    """
    Answers that are made before the request is read.
    """

    def test_the_connection_goes_on(self) -> None:
        """
        A request that is refused, and was read to its end, is not the last.
        """
        for body in (b"Content-Length: 2\r\n\r\nab", CHUNKED + b"\r\n2\r\nab\r\n0\r\n\r\n", b"\r\n"):
            client = self.connect()
            client.send((UNAUTHORISED % b"")[:-2] + body + request())
            self.assertEqual((client.statuses, client.line.done), ([401], []))
        self.assertEqual(len(self.agent.asked), 3)

    def test_in_the_middle_of_a_request(self) -> None:
        """
        The answer does not wait for the body; the connection ends once the client may have seen it.
        """
        self.send(UNAUTHORISED % b"Content-Length: 9\r\n" + b"abc")
        self.assertEqual((self.client.statuses, self.line.done), ([401], ["half-close"]))
        self.assertIn(b"\r\nConnection: close\r\n", self.client.received)

    def test_malformed_chunks(self) -> None:
        """
        There is one answer all the same.
        """
        self.send(UNAUTHORISED % CHUNKED + b"x" + request())
        self.assertEqual((self.client.statuses, self.line.done), ([401], ["half-close"]))

    def test_head(self) -> None:
        """
        RFC 9110, section 9.3.2: an answer to HEAD has no body, and its length.
        """
        self.send(UNAUTHORISED % b"")
        head, end, _ = self.client.received.partition(b"\r\n\r\n")
        client = self.connect()
        client.send(UNAUTHORISED.replace(b"GET", b"HEAD") % b"")
        self.assertEqual(client.received, head + end)

    def test_with_tls(self) -> None:
        """
        Half of such a connection cannot be closed; the client sees the answer, and after a while the end.
        """
        alsoProvides(self.line, ISSLTransport)
        self.send(b"x\r\n\r\n")
        self.assertEqual((self.client.statuses, self.line.done), ([400], []))
        self.clock.advance(LINGERING_SECONDS)
        self.assertEqual(self.line.done, ["close"])

    def test_lingering_ends(self) -> None:
        """
        What arrives is dropped: for so long, or until it is too much.
        """
        for seconds, size in ((LINGERING_SECONDS, 1), (0, LINGERING_BYTES)):
            client = self.connect()
            client.send(UNAUTHORISED % b"Content-Length: 9999999\r\n")
            client.send(b"x" * size)
            self.assertEqual(client.line.done, ["half-close"])
            self.clock.advance(seconds)
            client.send(b"x")
            self.assertEqual(client.line.done, ["half-close", "close"])
            client.close()


class ContinueTests(WireCase):
    """
    Clients that wait for leave to send their body (RFC 9110, section 10.1.1).
    """

    more = b"Content-Length: 2\r\nExpect: 100-continue\r\n"

    def test_when_the_body_is_taken(self) -> None:
        """
        They are told once the outgoing request takes the body.
        """
        self.send(request(b"PUT", self.more))
        self.assertEqual(self.client.received, b"")
        self.asked.take()
        self.assertEqual(self.client.received, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.send(b"ab")
        self.asked.answer(OK)
        self.assertEqual((self.asked.taken, self.client.statuses, self.line.done), (b"ab", [100, 200], []))

    def test_not_when_it_is_refused(self) -> None:
        """
        They get the answer only.
        """
        self.send(UNAUTHORISED % self.more)
        self.assertEqual(self.client.statuses, [401])

    def test_not_when_it_is_sent(self) -> None:
        """
        A client that does not wait is told nothing; nor is one of HTTP/1.0.
        """
        for data in (request(b"PUT", self.more, b"ab"), request(b"PUT", self.more, b"a")):
            client = self.connect()
            client.send(data)
            self.agent.asked[-1].take()
            self.assertEqual(client.received, b"")
        client = self.connect()
        client.send(request(b"PUT", CHUNKED + b"Expect: 100-continue\r\n"))
        client.send(b"0\r\n\r\n")
        self.agent.asked[-1].take()
        self.assertEqual(client.received, b"")
        client = self.connect()
        client.send(request(b"PUT", self.more, version=b"1.0"))
        client.send(b"ab")
        self.agent.asked[-1].take()
        self.assertEqual(client.received, b"")

    def test_not_after_the_response(self) -> None:
        """
        It would be taken for a part of that.
        """
        self.send(request(b"PUT", self.more))
        self.asked.answer(TEN)
        self.asked.take()
        self.assertEqual(self.client.statuses, [200])

    def test_other_expectations(self) -> None:
        """
        What nobody knows is refused.
        """
        self.send(request(more=b"Expect: x\r\n"))
        self.assertEqual((self.client.statuses, self.agent.asked, self.outcomes), ([417], [], [(417, "refused")]))


class GoneTests(WireCase):
    """
    Clients that go away.
    """

    def test_before_the_response(self) -> None:
        """
        The outgoing request is cancelled at once.
        """
        self.send(request())
        self.client.close()
        self.assertEqual((self.asked.cancelled, self.outcomes, self.forwarder.under_way()), (1, [(None, "gone")], 0))
        self.assertEqual(self.timers, 0)

    def test_in_the_middle_of_its_request(self) -> None:
        """
        The body fails, and the outgoing request is cancelled.
        """
        self.send(put(b"x" * 100000)[:-1])
        self.asked.obstinate = True
        self.asked.take()
        self.client.close()
        (end,) = self.asked.ends
        assert isinstance(end, Failure)
        self.assertEqual((end.type, self.outcomes), (ConnectionLost, [(None, "gone")]))

    def test_while_its_body_is_gathered(self) -> None:
        """
        Nothing is sent on, and the place is free.
        """
        self.send(put(b"ab")[:-1])
        self.client.close()
        self.assertEqual((self.agent.asked, self.outcomes, self.forwarder.under_way()), ([], [(None, "gone")], 0))

    def test_in_the_middle_of_the_response(self) -> None:
        """
        The response is given up.
        """
        self.send(request())
        self.asked.answer(TEN + b"abc")
        self.client.close()
        self.assertEqual((self.asked.source.told, self.outcomes), (["abort"], [(200, "gone")]))

    def test_an_agent_that_does_not_know_when_to_stop(self) -> None:
        """
        A response that comes nevertheless is given up, and nobody is told.
        """
        self.send(request())
        asked = self.asked
        self.client.connection._turn._over = True  # type: ignore[union-attr]
        asked.answer(TEN)
        self.assertEqual((asked.source.told, self.client.received), (["abort"], b""))

    def test_reading_goes_on_while_a_response_is_awaited(self) -> None:
        """
        What arrives meanwhile is kept, up to a limit; then it waits in the socket.
        """
        self.send(request())
        self.send(b"x" * MAXIMUM_KEPT)
        self.assertTrue(self.line.reading)
        self.send(b"x")
        self.assertFalse(self.line.reading)
        self.asked.answer(OK)
        self.assertTrue(self.line.reading)

    def test_reading_goes_on_when_everything_was_served(self) -> None:
        """
        Nothing that was kept is left then.
        """
        self.send(request() + UNAUTHORISED % b"" * 1200)
        self.assertFalse(self.line.reading)
        self.asked.answer(OK)
        self.assertEqual((len(self.client.statuses), self.line.reading), (1201, True))

    def test_reading_goes_on_once_the_body_is_there(self) -> None:
        """
        A client whose body is still to be taken can go away as well.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\na\r\n"))
        self.asked.take()
        self.asked.uploading.pause()
        self.assertFalse(self.line.reading)
        self.send(b"0\r\n\r\n")
        self.assertTrue(self.line.reading)


class BackPressureTests(WireCase):
    """
    Clients that take their time.
    """

    def test_the_body_waits(self) -> None:
        """
        While the client takes nothing, nothing is taken from the server.
        """
        self.send(request())
        body = self.asked.answer(TEN)
        self.client.connection.pauseProducing()
        body.receive(b"abc")
        found = [self.client.received.endswith(b"abc")]
        self.client.connection.resumeProducing()
        found.append(self.client.received.endswith(b"abc"))
        self.assertEqual((found, self.asked.source.told), ([False, True], ["pause", "resume"]))

    def test_a_response_to_a_client_that_takes_nothing(self) -> None:
        """
        Its body waits from the beginning.
        """
        self.send(request())
        self.client.connection.pauseProducing()
        self.asked.answer(TEN)
        self.assertEqual(self.asked.source.told, ["pause"])

    def test_no_further_request_is_served(self) -> None:
        """
        Answers are not piled up for a client that takes none.
        """
        self.client.connection.pauseProducing()
        self.send(UNAUTHORISED % b"" * 2)
        self.assertEqual(self.client.received, b"")
        self.client.connection.resumeProducing()
        self.assertEqual(self.client.statuses, [401, 401])

    def test_it_is_not_read_for_ever(self) -> None:
        """
        What it sends meanwhile is kept up to a limit.
        """
        self.client.connection.pauseProducing()
        self.send(b"x" * (MAXIMUM_KEPT + 1))
        self.assertFalse(self.line.reading)
