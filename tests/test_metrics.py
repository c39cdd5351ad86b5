"""
Tests of C{matrix_federation_agent.metrics}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from matrix_federation_agent import Connections, Counters, ServerName
from matrix_federation_agent._counters import EVENTS, POOL_EVENTS, TLS_EVENTS
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.errors import CertificateRejected
from matrix_federation_agent.metrics import DiscoveryCollector, GatewayCollector, PoolCollector, TrustCollector
from tests.case import TestCase
from tests.gateway.fakes import ForwarderCase, head_of

NAME = "matrix_federation_discovery_total"


class DiscoveryCollectorTests(TestCase):
    """
    L{DiscoveryCollector}.
    """

    def setUp(self) -> None:
        """
        Register one.
        """
        super().setUp()
        self.counters = Counters()
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(DiscoveryCollector(self.counters))

    def sample(self, kind: str, event: str) -> float | None:
        """
        Read one number.
        """
        return self.registry.get_sample_value(NAME, {"kind": kind, "event": event})

    def test_what_was_counted_is_shown(self) -> None:
        """
        A number stands under its kind and its event.
        """
        self.counters.add("well_known.hits", 3)
        self.counters.add("store.failures")
        self.assertEqual([self.sample("well_known", "hits"), self.sample("store", "failures")], [3, 1])

    def test_it_is_of_the_moment(self) -> None:
        """
        A later look shows later numbers.
        """
        self.counters.add("srv.lookups")
        before = self.sample("srv", "lookups")
        self.counters.add("srv.lookups")
        self.assertEqual((before, self.sample("srv", "lookups")), (1, 2))

    def test_what_did_not_happen_is_zero(self) -> None:
        """
        A rate needs the number from before the first event.
        """
        kinds = ("well_known", "srv", "a", "aaaa")
        self.assertEqual([self.sample(kind, "failures") for kind in kinds], [0] * 4)

    def test_the_labels_are_few(self) -> None:
        """
        Each is shown once, whatever was counted.
        """
        self.counters.add("a.hits")
        self.counters.add("tls.verified")
        self.counters.add("pool.opened")
        self.counters.add("gateway.ok")
        self.counters.add("gateway_status.2xx")
        (family,) = self.registry.collect()
        labels = [(sample.labels["kind"], sample.labels["event"]) for sample in family.samples]
        self.assertEqual((len(labels), len(set(labels))), (4 * len(EVENTS) + 1,) * 2)

    def test_it_is_a_counter(self) -> None:
        """
        Prometheus is told so in its own format.
        """
        self.assertIn(f"# TYPE {NAME} counter\n", generate_latest(self.registry).decode("utf-8"))

    def test_one_for_a_registry(self) -> None:
        """
        Agents that count apart are not mixed up by accident.
        """
        self.assertRaises(ValueError, self.registry.register, DiscoveryCollector(Counters()))


class TrustCollectorTests(TestCase):
    """
    L{TrustCollector}.
    """

    def setUp(self) -> None:
        """
        Register one, beside the other.
        """
        super().setUp()
        self.counters = Counters()
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(DiscoveryCollector(self.counters))
        self.registry.register(TrustCollector(self.counters))

    def samples(self) -> dict[str, float]:
        """
        Read the numbers of TLS.
        """
        (family,) = [one for one in self.registry.collect() if one.name == "matrix_federation_tls"]
        return {one.labels["event"]: one.value for one in family.samples}

    def test_what_was_counted_is_shown(self) -> None:
        """
        A number stands under its event, and what discovery counted does not.
        """
        self.counters.add("tls.exempt", 3)
        self.counters.add("a.failures")
        self.assertEqual(self.samples(), {**dict.fromkeys(TLS_EVENTS, 0), "exempt": 3})

    def test_they_stand_apart(self) -> None:
        """
        What TLS counts is not shown as something that discovery did.
        """
        for name in ("tls.exempt", "exempt.domain *.onion"):
            self.counters.add(name)
        kinds = {sample.labels.get("kind") for family in self.registry.collect() for sample in family.samples}
        self.assertFalse(kinds & {"tls", "exempt"})

    def test_rules(self) -> None:
        """
        A rule stands in a label as it stands in the log.
        """
        self.counters.add("exempt.domain *.onion", 2)
        found = self.registry.get_sample_value("matrix_federation_exempt_total", {"rule": "domain *.onion"})
        self.assertEqual(found, 2)

    def test_it_is_a_counter(self) -> None:
        """
        Prometheus is told so in its own format.
        """
        text = generate_latest(self.registry).decode("utf-8")
        self.assertIn(
            '# TYPE matrix_federation_tls_total counter\nmatrix_federation_tls_total{event="verified"} 0.0\n', text
        )


class PoolCollectorTests(TestCase):
    """
    L{PoolCollector}.
    """

    def test_what_was_counted_is_shown(self) -> None:
        """
        A number stands under its event, and what is still zero as well.
        """
        counters, registry = Counters(), CollectorRegistry(auto_describe=True)
        registry.register(PoolCollector(counters))
        counters.add("pool.reused", 3)
        counters.add("tls.verified")
        (family,) = registry.collect()
        shown = {sample.labels["event"]: sample.value for sample in family.samples}
        self.assertEqual(
            (family.name, shown), ("matrix_federation_pool", {**dict.fromkeys(POOL_EVENTS, 0), "reused": 3})
        )


class GatewayCollectorTests(ForwarderCase):
    """
    L{GatewayCollector}.
    """

    def setUp(self) -> None:
        """
        Register one.
        """
        super().setUp()
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(GatewayCollector(self.forwarder))
        self.agent.listed = [
            Connections("matrix-federation", ServerName("a.example"), 1, 2, 3, 4),
            Connections("https", ServerName("b.example"), 10, 20, 30, 40),
        ]

    def sample(self, name: str, **labels: str) -> float | None:
        """
        Read one number.
        """
        return self.registry.get_sample_value(f"matrix_federation_gateway_{name}", labels)

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """
        Read the numbers of a family, by their labels.
        """
        families = [one for one in self.registry.collect() if one.name == f"matrix_federation_gateway_{name}"]
        return {(*one.labels.values(),): one.value for family in families for one in family.samples}

    def test_requests(self) -> None:
        """
        By outcome and phase, whether they were forwarded or not.
        """
        self.answered(head_of(secret=None))
        exchange = self.begun()
        answer = exchange.answer(CertificateRejected("ex.com", "expired"))
        exchange.end(answer.code, 0, 0, answer.outcome)
        counted = {labels: number for labels, number in self.samples("requests").items() if number}
        self.assertEqual(counted, {("unauthorised", ""): 1, ("failed", "tls"): 1})

    def test_what_did_not_happen_is_zero(self) -> None:
        """
        A rate needs the number from before the first event.
        """
        ends = (("ok", ""), ("gone", ""), ("late", ""), ("failed", "dns"), ("late", "http"))
        found = [self.sample("requests_total", outcome=outcome, phase=phase) for outcome, phase in ends]
        self.assertEqual(found, [0] * len(ends))

    def test_statuses(self) -> None:
        """
        By their class; those that remotes make up are shown when there are any.
        """
        for code in (200, 204, 404, 700, None):
            self.begun().end(code, 0, 0, "ok")
        expected = {("2xx",): 2, ("3xx",): 0, ("4xx",): 1, ("5xx",): 0, ("7xx",): 1}
        self.assertEqual(self.samples("responses"), expected)

    def test_what_is_under_way(self) -> None:
        """
        Requests, and the connections of clients.
        """
        self.begun(), self.begun()
        self.forwarder.clients.open, self.forwarder.clients.idle = 7, 3
        self.assertEqual((self.sample("under_way"), self.samples("clients")), (2, {("idle",): 3, ("busy",): 4}))

    def test_connections_to_servers(self) -> None:
        """
        All destinations together, and the queue.
        """
        expected = {("idle",): 11, ("busy",): 22, ("connecting",): 33, ("waiting",): 44}
        self.assertEqual(self.samples("connections"), expected)

    def test_no_server_names(self) -> None:
        """
        Nobody asked for them.
        """
        self.begun()
        text = generate_latest(self.registry)
        self.assertEqual([name in text for name in (b"ex.com", b"a.example", b"server_name")], [False] * 3)

    def test_server_names(self) -> None:
        """
        Where the policy says so: of what is under way, and no longer.
        """
        self.forwarder.policy = GatewayPolicy(show_server_names=True)
        self.begun().end(200, 0, 0, "ok")
        self.begun(head_of(target=b"matrix-federation://A.example"))
        self.assertEqual(self.samples("under_way_by_server"), {("a.example",): 1})
        found = self.samples("connections_by_server")
        self.assertEqual((len(found), found["https", "b.example", "connecting"]), (8, 30))
