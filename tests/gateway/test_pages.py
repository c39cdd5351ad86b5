"""
Tests of C{matrix_federation_agent._gateway.pages}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import attrs
from prometheus_client.parser import text_string_to_metric_families

from matrix_federation_agent import Known, ServerName
from matrix_federation_agent._gateway import exposition, pages
from matrix_federation_agent._gateway.answers import OUTCOMES, Answer
from matrix_federation_agent._gateway.secret import Secret
from tests.gateway.fakes import SECRET, ForwarderCase, head_of

KNOWN = Known("srv", "ex.com", "nothing", 1.0, 2.0, 3.0, 0)

# Queries that are not usable.
BAD_QUERIES = [
    b"server_name=",
    b"server_name",
    b"server_name=a&server_name=b",
    b"servername=a",
    b"server_name=a&b=c",
    b"server_name=a&b",
    b"server_name=a+b",
    b"server_name=%ff",
    b"server_name=http%3A//a",
    b"a=b&c=d&e=f",
]


class PagesCase(ForwarderCase):
    """
    Asks for pages.
    """

    def ask(self, target: bytes, method: bytes = b"GET", authorization: bytes | None = b"Bearer " + SECRET) -> Answer:
        """
        Ask for a page, with the secret if need be.
        """
        headers = {} if authorization is None else {b"Authorization": [authorization]}
        return self.answered(head_of(method, target, headers, secret=None))

    def read(self, target: bytes, method: bytes = b"GET") -> tuple[int, Any]:
        """
        Ask for a page of JSON.
        """
        answer = self.ask(target, method)
        return answer.code, json.loads(answer.body)


class HealthTests(PagesCase):
    """
    C{/health}.
    """

    def test_ready(self) -> None:
        """
        Requests are forwarded, and some are under way.
        """
        self.begun()
        self.assertEqual(self.read(b"/health"), (200, {"status": "ready", "under_way": 1}))

    def test_draining(self) -> None:
        """
        A load balancer goes by the status.
        """
        self.begun()
        self.forwarder.drain()
        self.assertEqual(self.read(b"/health"), (503, {"status": "draining", "under_way": 1}))

    def test_it_needs_no_secret(self) -> None:
        """
        Nor does it look at one.
        """
        found = [self.ask(b"/health", authorization=value).code for value in (None, b"Bearer wrong")]
        self.assertEqual(found, [200, 200])

    def test_a_query_does_no_harm(self) -> None:
        """
        Some add one to avoid caches.
        """
        self.assertEqual(self.ask(b"/health?x").code, 200)


class MetricsTests(PagesCase):
    """
    C{/metrics}.
    """

    def test_every_collector_is_there(self) -> None:
        """
        Those of the agent and that of the gateway.
        """
        self.agent.counters.add("pool.opened", 3)
        answer = self.ask(b"/metrics", authorization=None)
        text = answer.body.decode("utf-8")
        found = [line for line in text.splitlines() if line.endswith(" 3.0")]
        families = [text.count(f"# TYPE matrix_federation_{one} ") for one in ("gateway_under_way", "exempt_total")]
        self.assertEqual((found, families), (['matrix_federation_pool_total{event="opened"} 3.0'], [1, 1]))
        self.assertIn("matrix_federation_discovery_total{", text)

    def test_it_can_be_read(self) -> None:
        """
        By Prometheus: each family has one name, a type, and a sentence about it.
        """
        families = list(text_string_to_metric_families(self.ask(b"/metrics").body.decode("utf-8")))
        names = [family.name for family in families]
        self.assertEqual((len(names), len(set(names))), (9, 9))
        self.assertEqual([family.name for family in families if not family.documentation.endswith(".")], [])
        gauges = {family.name.rpartition("gateway_")[2] for family in families if family.type == "gauge"}
        self.assertEqual(gauges, {"under_way", "clients", "connections"})
        self.assertEqual({family.type for family in families}, {"gauge", "counter"})

    def test_every_kind_is_there_before_it_happens(self) -> None:
        """
        Rates are right from the first event on.
        """
        families = text_string_to_metric_families(self.ask(b"/metrics").body.decode("utf-8"))
        found = {(sample.name, *sample.labels.values()) for family in families for sample in family.samples}
        begin = "matrix_federation_gateway_"
        wanted: set[tuple[str, ...]] = {
            (f"{begin}requests_total", outcome, "") for outcome in OUTCOMES if outcome != "failed"
        }
        wanted |= {(f"{begin}requests_total", "failed", phase) for phase in ("dns", "policy", "tcp", "tls", "http")}
        wanted |= {(f"{begin}connections", state) for state in ("idle", "busy", "connecting", "waiting")}
        wanted |= {("matrix_federation_tls_total", event) for event in ("verified", "resumed")}
        self.assertEqual(wanted - found, set())

    def test_it_is_text(self) -> None:
        """
        Prometheus goes by the type.
        """
        ((name, value),) = self.ask(b"/metrics").headers
        self.assertEqual((name, value.partition(b";")[0]), (b"Content-Type", b"text/plain"))

    def test_numbers_are_of_the_moment(self) -> None:
        """
        Also when it is asked for again.
        """
        self.ask(b"/metrics")
        self.begun()
        self.assertIn(b"\nmatrix_federation_gateway_under_way 1.0\n", self.ask(b"/metrics").body)

    def test_the_registry_is_built_once(self) -> None:
        """
        For the first who asks.
        """
        built: list[object] = []

        class Counted(exposition.Exposition):
            def __init__(self, *collaborators: Any) -> None:
                built.append(self)
                super().__init__(*collaborators)

        self.patch(exposition, "Exposition", Counted)
        found = [len(built), *(self.ask(b"/metrics").code for _ in range(3)), len(built)]
        self.assertEqual(found, [0, 200, 200, 200, 1])

    def test_without_the_extra(self) -> None:
        """
        It says what to install.
        """
        self.addCleanup(sys.modules.__setitem__, exposition.__name__, exposition)
        sys.modules[exposition.__name__] = None  # type: ignore[assignment]
        code, told = self.read(b"/metrics")
        self.assertEqual((code, "matrix_federation_agent[metrics]" in told["error"]), (501, True))


class KnownTests(PagesCase):
    """
    C{/known}.
    """

    def test_all(self) -> None:
        """
        As C{matrix-federation resolve --json} tells it.
        """
        self.agent.remembered = [KNOWN]
        found = self.read(b"/known")
        self.assertEqual((found, self.agent.known_of), ((200, {"known": [attrs.asdict(KNOWN)]}), [None]))

    def test_of_one_server(self) -> None:
        """
        Its name is percent-decoded.
        """
        self.read(b"/known?server_name=%5B%3A%3A1%5D:8448")
        self.assertEqual(self.agent.known_of, [ServerName("[::1]:8448")])

    def test_it_is_bounded(self) -> None:
        """
        What is left out is counted.
        """
        self.patch(pages, "MAXIMUM_KNOWN", 2)
        self.agent.remembered = [KNOWN] * 5
        _, told = self.read(b"/known")
        self.assertEqual((len(told["known"]), told["left_out"]), (2, 3))

    def test_bad_queries(self) -> None:
        """
        The agent is not asked then.
        """
        found = {query: self.ask(b"/known?" + query).code for query in BAD_QUERIES}
        self.assertEqual((found, self.agent.known_of), (dict.fromkeys(BAD_QUERIES, 400), []))


class ForgetTests(PagesCase):
    """
    C{/forget}.
    """

    def test_all(self) -> None:
        """
        Without a name.
        """
        found = self.read(b"/forget", b"POST")
        self.assertEqual((found, self.agent.forgotten), ((200, {"forgotten": "all"}), [None]))

    def test_one_server(self) -> None:
        """
        With one.
        """
        found = self.read(b"/forget?server_name=ex.com%3A8448", b"POST")
        self.assertEqual(
            (found, self.agent.forgotten), ((200, {"forgotten": "ex.com:8448"}), [ServerName("ex.com:8448")])
        )

    def test_bad_queries(self) -> None:
        """
        A misspelt name must not mean all of them.
        """
        found = {query: self.ask(b"/forget?" + query, b"POST").code for query in BAD_QUERIES}
        self.assertEqual((found, self.agent.forgotten), (dict.fromkeys(BAD_QUERIES, 400), []))


class ProtectionTests(PagesCase):
    """
    Who may see what.
    """

    def test_the_secret_is_needed(self) -> None:
        """
        Before anything happens.
        """
        for authorization in (None, b"Bearer wrong", b"Basic " + SECRET):
            for target, method in ((b"/known", b"GET"), (b"/forget", b"POST"), (b"/forget", b"GET")):
                self.assertEqual(self.ask(target, method, authorization).code, 401, (target, authorization))
        self.assertEqual((self.agent.known_of, self.agent.forgotten), ([], []))

    def test_that_of_proxy_requests_does_not_count(self) -> None:
        """
        It stands in another header.
        """
        self.assertEqual(self.answered(head_of(b"GET", b"/known")).code, 401)

    def test_a_new_secret_counts_at_once(self) -> None:
        """
        And the old one no more.
        """
        self.forwarder.secret = Secret.of(b"new")
        found = [self.ask(b"/known", authorization=b"Bearer " + one).code for one in (SECRET, b"new")]
        self.assertEqual(found, [401, 200])

    def test_methods(self) -> None:
        """
        The wrong ones are told which are right.
        """
        for target, methods in ((b"/health", b"GET, HEAD"), (b"/known", b"GET, HEAD"), (b"/forget", b"POST")):
            answer = self.ask(target, b"DELETE")
            self.assertEqual((answer.code, answer.headers[1:]), (405, ((b"Allow", methods),)), target)

    def test_HEAD(self) -> None:
        """
        Is answered as GET is; whoever sends the answer leaves the body out.
        """
        self.assertEqual([self.ask(one, b"HEAD").code for one in (b"/health", b"/metrics", b"/known")], [200] * 3)

    def test_what_is_not_there(self) -> None:
        """
        Not even beside what is.
        """
        targets = (b"/", b"//health", b"/health/", b"/Health", b"/%68ealth", b"/_matrix/federation/v1/version")
        self.assertEqual([self.read(one)[1]["errcode"] for one in targets], ["M_UNRECOGNIZED"] * len(targets))
        self.assertEqual([self.ask(one).code for one in targets], [404] * len(targets))
