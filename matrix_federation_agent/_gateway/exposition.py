"""
The page for Prometheus (the extra C{metrics}).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ..metrics import DiscoveryCollector, GatewayCollector, PoolCollector, TrustCollector

if TYPE_CHECKING:
    from .._agent import MatrixFederationAgent
    from .forwarder import Forwarder

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode("ascii")
"""
What L{Exposition.text} is.
"""


class Exposition:
    """
    All numbers of an agent and of the gateway before it, in a registry of
    their own.
    """

    def __init__(self, agent: MatrixFederationAgent, forwarder: Forwarder) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        for collector in (DiscoveryCollector, TrustCollector, PoolCollector):
            self._registry.register(collector(agent.counters))
        self._registry.register(GatewayCollector(forwarder))

    def text(self) -> bytes:
        """
        Write the numbers of this moment.
        """
        return generate_latest(self._registry)
