"""
What an agent counts, and a gateway before it, for Prometheus (the extra C{metrics}).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, get_args

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ._counters import EVENTS, EXEMPT, GATEWAY, GATEWAY_STATUS, POOL, POOL_EVENTS, TLS, TLS_EVENTS
from ._discovery.remembering import IPV4, IPV6, SRV, WELL_KNOWN
from ._gateway.answers import OUTCOMES
from .errors import Phase

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from ._connect.lane import Connections
    from ._counters import Counters
    from ._gateway.forwarder import Clients, Forwarder

# Rates are right from the first event on when zeros are shown before it.
_NAMES = [f"{kind}.{event}" for kind in (WELL_KNOWN, SRV, IPV4, IPV6) for event in EVENTS] + ["store.failures"]
_ENDS = [f"{GATEWAY}.{outcome}" for outcome in OUTCOMES if outcome != "failed"]
_ENDS += [f"{GATEWAY}.{outcome}.{phase}" for outcome in ("failed", "late") for phase in get_args(Phase)]
_STATUSES = [f"{GATEWAY_STATUS}.{first}xx" for first in range(2, 6)]
_STATES = ("idle", "busy", "connecting", "waiting")


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
            if kind not in (TLS, EXEMPT, POOL, GATEWAY, GATEWAY_STATUS):
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


@attrs.frozen(eq=False)
class GatewayCollector(Collector):
    """
    Shows what became of a gateway's requests, and what is under way there::

        REGISTRY.register(GatewayCollector(forwarder))

    Server names stand in labels only where the gateway's policy says so, and
    then only those to which something is under way.
    """

    _forwarder: Forwarder

    def collect(self) -> Iterable[Metric]:
        """
        Tell the numbers of this moment.
        """
        counted = self._forwarder.counters.snapshot()
        yield _requests(counted)
        yield _statuses(counted)
        yield GaugeMetricFamily(
            "matrix_federation_gateway_under_way", "Requests that are under way.", self._forwarder.under_way()
        )
        yield _clients(self._forwarder.clients)
        connections = self._forwarder.connections()
        yield _connections(connections)
        if self._forwarder.policy.show_server_names:
            yield _by_server(self._forwarder.destinations())
            yield _connections_by_server(connections)


def _requests(counted: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        f"matrix_federation_{GATEWAY}_requests",
        "How requests ended, by outcome and, where it is known, by phase.",
        labels=["outcome", "phase"],
    )
    for name, number in {**dict.fromkeys(_ENDS, 0), **counted}.items():
        kind, _, end = name.partition(".")
        if kind == GATEWAY:
            outcome, _, phase = end.partition(".")
            family.add_metric([outcome, phase], number)
    return family


def _statuses(counted: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        f"matrix_federation_{GATEWAY}_responses", "Responses to clients, by class of status.", labels=["status"]
    )
    for name, number in {**dict.fromkeys(_STATUSES, 0), **counted}.items():
        kind, _, status = name.partition(".")
        if kind == GATEWAY_STATUS:
            family.add_metric([status], number)
    return family


def _clients(clients: Clients) -> Metric:
    family = GaugeMetricFamily(
        f"matrix_federation_{GATEWAY}_clients", "Connections of clients, by what they do.", labels=["state"]
    )
    family.add_metric(["idle"], clients.idle)
    family.add_metric(["busy"], clients.open - clients.idle)
    return family


def _connections(connections: list[Connections]) -> Metric:
    family = GaugeMetricFamily(
        f"matrix_federation_{GATEWAY}_connections",
        "Connections to other servers, and requests that wait for one, by state.",
        labels=["state"],
    )
    for state in _STATES:
        family.add_metric([state], sum(getattr(one, state) for one in connections))
    return family


def _by_server(destinations: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(
        f"matrix_federation_{GATEWAY}_under_way_by_server",
        "Requests that are under way, by the server that they ask.",
        labels=["server_name"],
    )
    for server_name, number in destinations.items():
        family.add_metric([server_name], number)
    return family


def _connections_by_server(connections: list[Connections]) -> Metric:
    family = GaugeMetricFamily(
        f"matrix_federation_{GATEWAY}_connections_by_server",
        "Connections to each server, and requests that wait for one, by state.",
        labels=["scheme", "server_name", "state"],
    )
    for one in connections:
        for state in _STATES:
            family.add_metric([one.scheme, str(one.effective), state], getattr(one, state))
    return family


def _by_event(counted: Mapping[str, int], kind: str, events: Iterable[str], text: str) -> Metric:
    """
    Show what is counted of one kind, also where that is nothing so far.
    """
    family = CounterMetricFamily(f"matrix_federation_{kind}", text, labels=["event"])
    for event in events:
        family.add_metric([event], counted.get(f"{kind}.{event}", 0))
    return family
