"""
Tests of C{matrix_federation_agent.metrics}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from matrix_federation_agent import Counters
from matrix_federation_agent._counters import EVENTS, POOL_EVENTS, TLS_EVENTS
from matrix_federation_agent.metrics import DiscoveryCollector, PoolCollector, TrustCollector
from tests.case import TestCase

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
