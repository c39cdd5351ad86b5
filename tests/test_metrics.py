"""
Tests of C{matrix_federation_agent.metrics}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from matrix_federation_agent import Counters
from matrix_federation_agent._counters import EVENTS
from matrix_federation_agent.metrics import DiscoveryCollector
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
