"""
Tests of C{matrix_federation_agent._gateway.forwarder} and its exchanges.
"""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, formatEventAsClassicLogText
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface.verify import verifyObject

from matrix_federation_agent import Counters, MatrixFederationAgent
from matrix_federation_agent._gateway import answers, refusals
from matrix_federation_agent._gateway.forwarder import Exchange, Forwarder
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.errors import CertificateRejected, ResponseFailed
from tests.case import TestCase
from tests.gateway.fakes import PEER, SECRET, TARGET, FakeAgent, ForwarderCase, head_of

# Absurd or forbidden, with the right secret.
NOT_DIALLED = [
    (b"GET", b"http://169.254.169.254/"),
    (b"GET", b"https://ex.com/"),
    (b"GET", b"file:///etc/passwd"),
    (b"GET", b"matrix-federation://a:b@ex.com/"),
    (b"GET", b"matrix-federation://ex.com/#a"),
    (b"GET", b"matrix-federation://ex.com/a\r\nb"),
    (b"GET", b"ex.com"),
    (b"OPTIONS", b"*"),
    (b"CONNECT", b"ex.com:443"),
    (b"GET", b"/_matrix/federation/v1/version"),
]


class FakeAgentTests(ForwarderCase):
    """
    The fake of these tests.
    """

    def test_it_is_an_agent(self) -> None:
        """
        It has all that the interface has.
        """
        self.assertTrue(verifyObject(IAgent, FakeAgent()))


class ReceiveTests(ForwarderCase):
    """
    L{Forwarder.receive}.
    """

    def test_G2_the_agent_is_asked_for_the_target_byte_for_byte(self) -> None:
        """
        Method and target go on as they came.
        """
        targets = (TARGET, b"MATRIX://Ex.Com:8448//a/../%7e;p?a=%40&a=&b", b"matrix-federation://ex.com?a=b")
        for target in targets:
            self.begun(head_of(b"QUERY", target)).send(None)
        self.assertEqual(
            [(asked.method, asked.uri, asked.body) for asked in self.agent.asked],
            [(b"QUERY", target, None) for target in targets],
        )

    def test_G4_headers(self) -> None:
        """
        Those that are end to end, and that the policy does not withhold.
        """
        headers = {
            b"Authorization": [b"X-Matrix a"],
            b"TraceParent": [b"00-1"],
            b"X-Hop": [b"1"],
            b"Connection": [b"x-hop"],
        }
        self.begun(head_of(headers=headers)).send(None)
        found = self.agent.asked[0].headers
        assert found is not None
        self.assertEqual(list(found.getAllRawHeaders()), [(b"Authorization", [b"X-Matrix a"])])

    def test_the_body_goes_on(self) -> None:
        """
        As the producer that it is.
        """
        body = cast("IBodyProducer", object())
        self.begun().send(body)
        self.assertIs(self.agent.asked[0].body, body)

    def test_cancelling_reaches_the_agent(self) -> None:
        """
        What is sent is the agent's own request.
        """
        sent = self.begun().send(None)
        self.assertIs(sent, self.agent.asked[0].response)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)

    def test_G3_secrets(self) -> None:
        """
        Missing, wrong, twice, and not even ASCII.
        """
        twice = head_of(secret=None, headers={b"Proxy-Authorization": [b"Bearer s3cret"] * 2})
        heads = [head_of(secret=None), head_of(secret=b"wrong"), twice, head_of(secret=b"\xe9")]
        found = [self.answered(head) for head in heads]
        texts = [f"{one} Proxy-Authorization header" for one in ("Missing", "Invalid", "Too many", "Invalid")]
        self.assertEqual([answer.reason.rstrip("s.") for answer in found], texts)
        self.assertEqual({answer.code for answer in found}, {401})

    def test_G3_the_secret_comes_before_everything(self) -> None:
        """
        What else is wrong with a request is nobody's business who does not know it.
        """
        self.forwarder.drain()
        proxied = [(method, target) for method, target in NOT_DIALLED if not target.startswith(b"/")]
        found = {self.answered(head_of(*one, secret=b"wrong")).code for one in [*proxied, (b"GET", TARGET)]}
        self.assertEqual(found, {401})

    def test_a_new_secret_counts_at_once(self) -> None:
        """
        And the old one no more.
        """
        self.forwarder.secret = Secret.of(b"new")
        self.assertEqual(self.answered(head_of()).code, 401)
        self.assertIsInstance(self.forwarder.receive(head_of(secret=b"new"), PEER), Exchange)

    def test_G6_nothing_absurd_is_dialled(self) -> None:
        """
        It is answered, and neither asked for nor given a place.
        """
        codes = [self.answered(head_of(*one)).code for one in NOT_DIALLED]
        self.assertEqual(codes, [400, 403, 400, 400, 400, 400, 400, 400, 405, 404])
        self.assertEqual((self.agent.asked, self.forwarder.under_way()), ([], 0))

    def test_faults_of_our_own_are_answers(self) -> None:
        """
        Whatever is raised; it is logged.
        """
        events = self.keep_log()
        self.patch(self.agent, "known", lambda _: 1 // 0)
        head = head_of(b"GET", b"/known", {b"Authorization": [b"Bearer s3cret"]})
        self.assertEqual(self.answered(head), answers.internal())
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), len(events)), (1, 2))

    def test_a_new_policy_counts_for_requests_from_then_on(self) -> None:
        """
        Its limits, and what it withholds.
        """
        headers = {b"X-Inside": [b"1"], b"TraceParent": [b"2"]}
        old = self.begun(head_of(headers=headers))
        self.forwarder.policy = GatewayPolicy(allow_https=True, withheld_headers=["X-Inside"])
        for exchange in (old, self.begun(head_of(target=b"https://ex.com/", headers=headers))):
            exchange.send(None)
        found = [list((asked.headers or {}).getAllRawHeaders()) for asked in self.agent.asked]  # type: ignore[union-attr]
        self.assertEqual(found, [[(b"X-Inside", [b"1"])], [(b"Traceparent", [b"2"])]])


class LimitTests(ForwarderCase):
    """
    How many requests are taken.
    """

    policy = GatewayPolicy(max_requests=3, max_requests_per_destination=2, retry_after=9)

    def to(self, name: bytes) -> Any:
        """
        Send a request to a server.
        """
        return self.forwarder.receive(head_of(target=b"matrix-federation://" + name), PEER)

    def test_a_destination_is_full(self) -> None:
        """
        Whatever the case of its name; others are not.
        """
        full = [self.to(b"ex.com"), self.to(b"EX.com"), self.to(b"Ex.Com")][2]
        self.assertEqual((full.code, full.outcome, full.headers[1:]), (503, "busy", ((b"Retry-After", b"9"),)))
        self.assertIsInstance(self.to(b"ex.com:8448"), Exchange)

    def test_all_is_full(self) -> None:
        """
        For every destination.
        """
        self.assertEqual(
            [self.to(b"a"), self.to(b"b"), self.to(b"c"), self.to(b"d")][3].reason, "3 requests are under way"
        )

    def test_an_end_makes_room(self) -> None:
        """
        Once, however often it is told.
        """
        exchanges = [self.to(b"EX.com"), self.to(b"ex.com"), self.to(b"b")]
        for _ in range(2):
            exchanges[0].end(200, 0, 0, "ok")
        self.assertEqual((self.forwarder.under_way(), self.forwarder.destinations()), (2, {"ex.com": 1, "b": 1}))
        self.assertIsInstance(self.to(b"ex.com"), Exchange)

    def test_what_is_refused_is_not_dialled(self) -> None:
        """
        And holds no place.
        """
        for _ in range(20):
            self.to(b"ex.com")
        self.assertEqual((self.agent.asked, self.forwarder.under_way()), ([], 2))


class DrainTests(ForwarderCase):
    """
    L{Forwarder.drain}.
    """

    def test_nothing_further_is_forwarded(self) -> None:
        """
        Clients are told when to come again.
        """
        self.forwarder.drain()
        answer = self.answered(head_of())
        self.assertEqual(
            (answer.code, answer.outcome, answer.headers[1:]), (503, "draining", ((b"Retry-After", b"5"),))
        )

    def test_it_waits_for_what_is_under_way(self) -> None:
        """
        For all of it, and all who wait are told.
        """
        exchanges = [self.begun(), self.begun()]
        drained = [self.forwarder.drain(), self.forwarder.drain()]
        exchanges[0].end(200, 0, 0, "ok")
        self.assertNoResult(drained[0])
        exchanges[1].end(200, 0, 0, "ok")
        self.assertEqual([self.successResultOf(one) for one in drained], [None, None])

    def test_nothing_is_under_way(self) -> None:
        """
        It is over at once.
        """
        self.begun().end(200, 0, 0, "ok")
        self.assertIsNone(self.successResultOf(self.forwarder.drain()))

    def test_it_may_begin_again(self) -> None:
        """
        A service that is stopped may be started, and stopped once more.
        """
        for _ in range(2):
            self.forwarder.draining = False
            exchange = self.begun()
            drained = self.forwarder.drain()
            exchange.end(200, 0, 0, "ok")
            self.assertIsNone(self.successResultOf(drained))

    def test_waiting_can_be_given_up(self) -> None:
        """
        What is under way goes on, and its end is no error.
        """
        exchange = self.begun()
        drained = self.forwarder.drain()
        drained.cancel()
        self.failureResultOf(drained, CancelledError)
        exchange.end(200, 0, 0, "ok")
        self.assertEqual(self.forwarder.under_way(), 0)


class ExchangeTests(ForwarderCase):
    """
    L{Exchange}.
    """

    def test_what_it_tells(self) -> None:
        """
        Whoever sends the response needs to know them.
        """
        exchange = self.begun(head_of(b"PUT", b"matrix://Ex.Com:8448/a?b"))
        found = (exchange.method, exchange.uri, exchange.server_name)
        self.assertEqual(found, (b"PUT", b"matrix://Ex.Com:8448/a?b", "Ex.Com:8448"))

    def test_G6_a_failure_is_an_answer(self) -> None:
        """
        With the server that was asked for, whatever others it led to.
        """
        answer = self.begun().answer(CertificateRejected("other.ex.com", "expired"))
        told = json.loads(answer.body)
        self.assertEqual((answer.code, told["phase"], told["server_name"]), (502, "tls", "ex.com"))

    def test_a_fault_of_our_own_is_logged(self) -> None:
        """
        And not told.
        """
        answer = self.begun().answer(ZeroDivisionError("inside"))
        self.assertEqual((answer, len(self.flushLoggedErrors(ZeroDivisionError))), (answers.internal(), 1))

    def test_a_cancelled_request_is_no_fault(self) -> None:
        """
        The client is gone.
        """
        answer = self.begun().answer(CancelledError())
        self.assertEqual((answer.outcome, self.flushLoggedErrors()), ("gone", []))

    def test_when_to_come_again_is_the_policy(self) -> None:
        """
        Of the request.
        """
        self.forwarder.policy = GatewayPolicy(retry_after=42)
        self.assertIn((b"Retry-After", b"42"), self.begun().answer(CancelledError()).headers)


class RealAgentTests(TestCase):
    """
    What the agent itself says.
    """

    def setUp(self) -> None:
        """
        Make a forwarder before an agent in memory.
        """
        super().setUp()
        reactor = MemoryReactorClock()
        self.agent = MatrixFederationAgent.new(cast("Any", reactor))
        self.addCleanup(self.agent.close)
        self.forwarder = Forwarder(reactor, self.agent, Secret.of(SECRET), GatewayPolicy(allow_https=True))

    def failed(self, target: bytes) -> tuple[int, str, str]:
        """
        Forward a request that fails at once.
        """
        exchange = self.forwarder.receive(head_of(target=target), PEER)
        assert isinstance(exchange, Exchange), exchange
        failure = self.failureResultOf(exchange.send(None))
        answer = exchange.answer(failure.value)
        exchange.end(answer.code, 0, 0, answer.outcome)
        return answer.code, answer.outcome, answer.phase

    def test_G1_the_address_policy(self) -> None:
        """
        What it refuses is forbidden, and not a failure of the remote.
        """
        targets = (b"matrix-federation://10.0.0.1/x", b"matrix://[::1]:8448/x", b"https://169.254.169.254/")
        self.assertEqual([self.failed(one) for one in targets], [(403, "refused", "policy")] * 3)

    def test_a_closed_agent(self) -> None:
        """
        The gateway is about to stop, which is no fault of the remote.
        """
        self.successResultOf(self.agent.close())
        self.assertEqual(self.failed(TARGET)[:2], (503, "draining"))


class CountingTests(ForwarderCase):
    """
    What is counted and logged.
    """

    def test_an_end_is_counted_once(self) -> None:
        """
        Outcome and class of status.
        """
        exchange = self.begun()
        for code in (204, 502):
            exchange.end(code, 0, 0, "ok")
        self.assertEqual(self.agent.counters.snapshot(), {"gateway.ok": 1, "gateway_status.2xx": 1})

    def test_a_failure_is_counted_by_its_phase(self) -> None:
        """
        Also where the caller of C{end} does not repeat it.
        """
        exchange = self.begun()
        answer = exchange.answer(CertificateRejected("ex.com", "expired"))
        exchange.end(answer.code, 0, 0, answer.outcome)
        self.assertEqual(self.agent.counters.snapshot(), {"gateway.failed.tls": 1, "gateway_status.5xx": 1})

    def test_who_is_gone_was_sent_no_status(self) -> None:
        """
        So none is counted.
        """
        self.begun().end(None, 0, 0, "gone")
        self.assertEqual(self.agent.counters.snapshot(), {"gateway.gone": 1})

    def test_answers_are_counted_at_once(self) -> None:
        """
        Those of C{receive} and those of C{refuse}.
        """
        self.answered(head_of(secret=None))
        self.answered(head_of(target=b"/health"))
        self.forwarder.refuse(refusals.late_head(), PEER)
        expected = {"unauthorised": 1, "page": 1, "late": 1}
        found = self.agent.counters.snapshot()
        self.assertEqual({name: found.get(f"gateway.{name}") for name in expected}, expected)
        self.assertEqual((found["gateway_status.4xx"], found["gateway_status.2xx"]), (2, 1))

    def test_counters_of_ones_own(self) -> None:
        """
        The agent's stay as they are.
        """
        counters = Counters()
        forwarder = Forwarder(self.clock, cast("Any", self.agent), Secret.of(b"x"), None, counters)
        forwarder.receive(head_of(), PEER)
        found = (counters.snapshot().get("gateway.unauthorised"), self.agent.counters.snapshot())
        self.assertEqual(found, (1, {}))

    def test_the_line_of_a_request(self) -> None:
        """
        One, when it ends.
        """
        events = self.keep_log()
        self.clock.advance(100)
        exchange = self.begun(head_of(b"PUT", TARGET + b"?access_token=x"))
        self.clock.advance(1.5)
        exchange.end(200, 802, 2, "ok")
        exchange.end(200, 802, 2, "ok")
        expected = (
            f"peer={PEER} method=PUT server_name=ex.com path=/_matrix/federation/v1/version code=200 outcome=ok"
            " received=802 sent=2 seconds=1.500"
        )
        self.assertEqual([formatEvent(event) for event in events], [expected])

    def test_the_line_of_a_failure(self) -> None:
        """
        Says what failed, and where; what C{end} itself is told comes first.
        """
        events = self.keep_log()
        for arguments in ({}, {"phase": "http", "reason": "cut off"}):
            exchange = self.begun()
            exchange.answer(CertificateRejected("ex.com", "expired"))
            exchange.end(502, 0, 0, "failed", **arguments)
        found = [(event["phase"], event["reason"]) for event in events]
        self.assertEqual(found, [("tls", "expired"), ("http", "cut off")])

    def test_the_lines_of_answers(self) -> None:
        """
        What was asked for, as far as it may be shown, and why it was refused.
        """
        events = self.keep_log()
        self.answered(head_of(b"GET", b"http://a:b@10.0.0.1/x?y"))
        self.answered(head_of(b"GET", b"/nothing?y"))
        self.forwarder.refuse(refusals.malformed("why"), PEER)
        self.assertEqual(events[1]["sent"], len(answers.no_page().body))
        found = [(event["method"], event["path"], event["code"], event["reason"]) for event in events]
        self.assertEqual(
            found,
            [
                ("GET", "...@10.0.0.1/x", 400, "the scheme 'http' is not supported"),
                ("GET", "/nothing", 404, "there is no such page"),
                ("", "", 400, "malformed request: why"),
            ],
        )


class SilenceTests(ForwarderCase):
    """
    What is never told: neither in a log nor in an answer.
    """

    def told(self, *heads: Any) -> str:
        """
        Send requests, fail those that are forwarded, and read everything that comes out.
        """
        events = self.keep_log()
        told: list[object] = []
        for head in heads:
            taken = self.forwarder.receive(head, PEER)
            if isinstance(taken, Exchange):
                taken.send(None).addErrback(lambda _: cast("IResponse", None))
                told += [taken, taken.answer(ResponseFailed("ex.com", "closed early"))]
                taken.end(502, 0, 0, "failed")
            told += [head, taken]
        assert len(events) == len(heads), events
        return f"{told!r} {events!r} {[formatEventAsClassicLogText(event) for event in events]!r}"

    def test_the_secret(self) -> None:
        """
        Right or wrong, and wherever it stands.
        """
        headers = {b"Authorization": [b"Bearer s3cret"]}
        page = head_of(b"GET", b"/known", headers)
        told = self.told(head_of(), head_of(secret=b"s3cretX"), page, head_of(b"GET", b"http://ex.com/", headers))
        self.assertNotIn("s3cret", told)

    def test_authorization(self) -> None:
        """
        It holds a signature.
        """
        headers = {b"Authorization": [b'X-Matrix sig="sesame"']}
        targets = (TARGET, b"http://ex.com/", b"/known")
        self.assertNotIn("sesame", self.told(*(head_of(b"GET", one, headers) for one in targets)))

    def test_queries(self) -> None:
        """
        C{/openid/userinfo} has an access token there.
        """
        targets = (TARGET, b"http://ex.com/", b"/known", b"/forget", b"*", b"matrix-federation://ex.com/#x")
        heads = [head_of(b"GET", one + b"?access_token=sesame") for one in targets]
        right = head_of(b"GET", b"/known?x=sesame", {b"Authorization": [b"Bearer s3cret"]})
        self.assertNotIn("sesame", self.told(*heads, right))

    def test_passwords(self) -> None:
        """
        In a target that is refused for having one.
        """
        targets = (b"matrix-federation://user:sesame@ex.com/", b"sesame@ex.com:443", b"file:sesame@x")
        self.assertNotIn("sesame", self.told(*(head_of(b"GET", one) for one in targets)))
