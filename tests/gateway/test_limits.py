"""
Tests of C{matrix_federation_agent._gateway.wire} and C{turn}: what takes too long.
"""

from __future__ import annotations

from matrix_federation_agent._policies import GatewayPolicy

from .test_wire import CHUNKED, OK, TEN
from .wire_kit import WireCase, put, request


class LateTests(WireCase):
    """
    Limits of time.
    """

    policy = GatewayPolicy(
        head_timeout=10,
        idle_timeout=60,
        body_grace=30,
        minimum_rate=100,
        response_timeout=90,
        write_timeout=40,
    )

    def pass_by(self, seconds: float) -> list[str]:
        """
        Let time pass.

        @return: what was done to the connection just before, and then.
        """
        self.clock.advance(seconds - 0.5)
        before = [*self.line.done, *map(str, self.client.statuses)]
        self.clock.advance(1)
        return [*before, "then", *self.line.done, *map(str, self.client.statuses)]

    def test_no_request(self) -> None:
        """
        A client that says nothing is left, without a word.
        """
        self.assertEqual(self.pass_by(10), ["then", "close"])

    def test_a_slow_head(self) -> None:
        """
        The whole head has its time, however much of it arrives; then the client is told.
        """
        self.clock.advance(6)
        self.send(b"GET /")
        self.assertEqual(self.pass_by(4), ["then", "half-close", "408"])
        self.assertEqual(self.outcomes, [(408, "late")])

    def test_idle(self) -> None:
        """
        Between requests there is more time.
        """
        self.send(request())
        self.asked.answer(OK)
        self.assertEqual(self.pass_by(60), ["200", "then", "close", "200"])

    def test_a_slow_head_after_another_request(self) -> None:
        """
        Its time begins with its first byte.
        """
        self.send(request())
        self.asked.answer(OK)
        self.clock.advance(45)
        self.send(b"G")
        self.clock.advance(4)
        self.send(b"E")
        self.assertEqual(self.pass_by(6), ["200", "then", "half-close", "200", "408"])

    def test_a_slow_body(self) -> None:
        """
        There is some time at first, and then a rate that counts.
        """
        self.send(put(b"x" * 10000)[:-8000])
        self.clock.advance(45)
        self.assertEqual(self.pass_by(5), ["then", "half-close", "408"])
        self.assertEqual((self.outcomes, self.agent.asked), ([(408, "late")], []))

    def test_a_slow_body_that_is_sent_on(self) -> None:
        """
        The outgoing request is cancelled.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.assertEqual(self.pass_by(30.01), ["then", "half-close", "408"])
        self.assertEqual(self.asked.cancelled, 1)

    def test_a_slow_body_after_the_answer(self) -> None:
        """
        There is nothing more to be said.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.asked.answer(TEN)
        self.assertEqual(self.pass_by(30.01), ["200", "then", "abort", "200"])
        self.assertEqual(self.outcomes, [(200, "late")])

    def test_a_client_that_was_made_to_wait(self) -> None:
        """
        Time in which nobody took its body does not count.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.asked.take()
        self.asked.uploading.pause()
        self.clock.pump([10] * 4)
        self.assertEqual(self.client.statuses, [])
        self.asked.uploading.resume()
        self.assertEqual(self.pass_by(30.01), ["then", "half-close", "408"])

    def test_a_body_that_nobody_wants(self) -> None:
        """
        It may be slow.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.asked.take()
        self.asked.uploading.stop()
        self.asked.answer(TEN)
        self.clock.pump([10] * 8)
        self.assertEqual((self.line.done, self.client.statuses), ([], [200]))

    def test_no_response(self) -> None:
        """
        The outgoing request is cancelled, the client told; the connection goes on.
        """
        self.send(request())
        self.assertEqual(self.pass_by(90), ["then", "504"])
        self.assertEqual((self.asked.cancelled, self.outcomes), (1, [(504, "late")]))
        self.send(request())
        self.assertEqual(len(self.agent.asked), 2)

    def test_no_response_after_a_slow_body(self) -> None:
        """
        The time for the response begins with the last byte of the request.
        """
        data = put(b"ab")
        self.send(data[:-1])
        self.clock.advance(25)
        self.send(data[-1:])
        self.assertEqual(self.pass_by(90), ["then", "504"])

    def test_a_response_that_stalls(self) -> None:
        """
        Its body has no limit of ours: the agent has one.
        """
        self.send(request())
        self.asked.answer(TEN)
        self.clock.advance(1000)
        self.assertEqual((self.line.done, self.client.statuses), ([], [200]))

    def test_a_client_that_takes_nothing(self) -> None:
        """
        It is dropped, and the response given up.
        """
        self.send(request())
        self.asked.answer(TEN)
        self.client.connection.pauseProducing()
        self.assertEqual(self.pass_by(40), ["200", "then", "abort", "200"])
        self.assertEqual((self.outcomes, self.asked.source.told[-1]), ([(200, "gone")], "abort"))

    def test_a_client_that_takes_something(self) -> None:
        """
        Its time begins anew.
        """
        self.send(request())
        self.asked.answer(TEN)
        for _ in range(3):
            self.client.connection.pauseProducing()
            self.clock.advance(30)
            self.client.connection.resumeProducing()
            self.clock.advance(30)
        self.assertEqual(self.line.done, [])

    def test_a_client_that_does_not_take_the_last(self) -> None:
        """
        What is to be closed is dropped in the end.
        """
        self.send(request(more=b"Connection: close\r\n"))
        self.asked.answer(OK)
        self.assertEqual(self.pass_by(40), ["close", "200", "then", "close", "abort", "200"])

    def test_a_nearer_limit(self) -> None:
        """
        A limit that is nearer than the one before is looked at in time.
        """
        self.start(GatewayPolicy(head_timeout=50, response_timeout=5))
        self.send(request())
        self.assertEqual(self.pass_by(5), ["then", "504"])

    def test_a_nearer_limit_between_requests(self) -> None:
        """
        So with one that begins with the end of a response.
        """
        self.start(GatewayPolicy(head_timeout=50, idle_timeout=5))
        self.send(request())
        self.asked.answer(OK)
        self.assertEqual(self.pass_by(5), ["200", "then", "close", "200"])

    def test_a_nearer_limit_after_a_body(self) -> None:
        """
        So with one that begins with the end of a body.
        """
        self.start(GatewayPolicy(head_timeout=50, body_grace=50, response_timeout=5))
        self.send(put(b"ab")[:-1])
        self.send(b"b")
        self.assertEqual(self.pass_by(5), ["then", "504"])

    def test_a_body_that_waits_to_be_taken(self) -> None:
        """
        The time for the response begins with the last byte of it, whether it is taken or not, or not any more.
        """
        for what in ("resume", "stop"):
            client = self.connect()
            client.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
            self.agent.asked[-1].take()
            self.agent.asked[-1].uploading.pause()
            client.send(b"1\r\nx\r\n0\r\n\r\n")
            self.clock.advance(60)
            getattr(self.agent.asked[-1].uploading, what)()
            self.clock.advance(29)
            before = client.statuses
            self.clock.advance(1)
            self.assertEqual((before, client.statuses), ([], [504]))

    def test_a_limit_that_was_hidden(self) -> None:
        """
        A response that is late although the client took nothing is late when it does.
        """
        self.start(GatewayPolicy(write_timeout=100, response_timeout=30))
        self.send(request())
        self.client.connection.pauseProducing()
        self.clock.pump([10] * 4)
        self.client.connection.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.client.statuses, [504])

    def test_no_response_to_a_body_that_is_not_taken(self) -> None:
        """
        The rest of it is read and dropped, so that the client sees the answer.
        """
        self.send(request(b"PUT", CHUNKED, b"1\r\nx\r\n"))
        self.asked.take()
        self.asked.uploading.pause()
        self.assertEqual(self.pass_by(90), ["then", "half-close", "504"])
        self.assertTrue(self.line.reading)

    def test_a_client_that_does_not_go(self) -> None:
        """
        After it was lingered for, it is dropped in the end.
        """
        self.clock.advance(5)
        self.send(b"x\r\n\r\n")
        self.clock.advance(2)
        self.assertEqual(
            self.pass_by(40), ["half-close", "close", "400", "then", "half-close", "close", "abort", "400"]
        )

    def test_no_timer_is_left(self) -> None:
        """
        A connection that has ended leaves nothing in the reactor.
        """
        self.send(request())
        self.client.close()
        client = self.connect()
        client.connection.abort()
        self.assertEqual(self.timers, 0)
