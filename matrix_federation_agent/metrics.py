"""
What discovery counts, for Prometheus (the extra C{metrics}).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ._counters import Counters


@attrs.frozen(eq=False)
class DiscoveryCollector(Collector):
    """
    Shows L{Counters <matrix_federation_agent.Counters>} to a registry::

        REGISTRY.register(DiscoveryCollector(agent.counters))

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
        for name, number in sorted(self._counters.snapshot().items()):
            kind, _, event = name.partition(".")
            family.add_metric([kind, event], number)
        yield family
