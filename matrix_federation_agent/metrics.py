"""
What an agent counts, for Prometheus (the extra C{metrics}).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import attrs
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from ._counters import EVENTS, EXEMPT, POOL, POOL_EVENTS, TLS, TLS_EVENTS
from ._discovery.remembering import IPV4, IPV6, SRV, WELL_KNOWN

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ._counters import Counters

# Rates are right from the first event on when zeros are shown before it.
_NAMES = [f"{kind}.{event}" for kind in (WELL_KNOWN, SRV, IPV4, IPV6) for event in EVENTS] + ["store.failures"]


@attrs.frozen(eq=False)
class DiscoveryCollector(Collector):
    """
    Shows what discovery counts in L{Counters
    <matrix_federation_agent.Counters>} to a registry::

        REGISTRY.register(DiscoveryCollector(agent.counters))

    One of them for a registry: agents of one process may count together.
    There are no server names in the labels: their number is a stranger's
    choice.
    """

    _counters: Counters

    def collect(self) -> Iterable[Metric]:
        """
        Tell the numbers of this moment.
        """
        family = CounterMetricFamily(
            "matrix_federation_discovery",
            "What discovery did, by kind of knowledge and by event.",
            labels=["kind", "event"],
        )
        for name, number in {**dict.fromkeys(_NAMES, 0), **self._counters.snapshot()}.items():
            kind, _, event = name.partition(".")
            if kind not in (TLS, EXEMPT, POOL):
                family.add_metric([kind, event], number)
        yield family


@attrs.frozen(eq=False)
class TrustCollector(Collector):
    """
    Shows how TLS handshakes ended, and which rules exempted connections,
    from the same L{Counters <matrix_federation_agent.Counters>}::

        REGISTRY.register(TrustCollector(agent.counters))
    """

    _counters: Counters

    def collect(self) -> Iterable[Metric]:
        """
        Tell the numbers of this moment.
        """
        counted = self._counters.snapshot()
        yield _by_event(counted, TLS, TLS_EVENTS, "How TLS handshakes and reloads of trust ended, by event.")
        exempt = CounterMetricFamily(
            "matrix_federation_exempt", "Connections that were not verified, by the rule that says so.", labels=["rule"]
        )
        for name, number in counted.items():
            kind, _, rule = name.partition(".")
            if kind == EXEMPT:
                exempt.add_metric([rule], number)
        yield exempt


@attrs.frozen(eq=False)
class PoolCollector(Collector):
    """
    Shows what became of connections, from the same L{Counters
    <matrix_federation_agent.Counters>}::

        REGISTRY.register(PoolCollector(agent.counters))
    """

    _counters: Counters

    def collect(self) -> Iterable[Metric]:
        """
        Tell the numbers of this moment.
        """
        text = "What became of connections and of requests for one, by event."
        yield _by_event(self._counters.snapshot(), POOL, POOL_EVENTS, text)


def _by_event(counted: Mapping[str, int], kind: str, events: Iterable[str], text: str) -> Metric:
    """
    Show what is counted of one kind, also where that is nothing so far.
    """
    family = CounterMetricFamily(f"matrix_federation_{kind}", text, labels=["event"])
    for event in events:
        family.add_metric([event], counted.get(f"{kind}.{event}", 0))
    return family
