"""
A real discovery whose world is in this process: no sockets, so that only discovery itself is measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError

from matrix_federation_agent import DiscoveryPolicy, ServerName
from matrix_federation_agent._counters import Counters
from matrix_federation_agent._discovery.answers import NameService
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.hosts import HostLookup, address_queries
from matrix_federation_agent._discovery.hosts_file import HostsFile
from matrix_federation_agent._discovery.remembering import IPV4, IPV6, Remembering
from matrix_federation_agent._discovery.resolution import Discovery
from matrix_federation_agent._discovery.srv import ServiceLookup, service_query
from matrix_federation_agent.errors import ResolutionFailed

Fetch = Callable[[str], Delegation | NoDelegation]
Records = Callable[[str, int], Sequence[Any]]


@attrs.define
class World:
    """
    What C{.well-known} and DNS say, and after how many seconds.

    @ivar fetch: answers for C{.well-known}, by host.
    @ivar records: answers for DNS, by name and type of record.
    @ivar asked: how often each kind of question arrived.
    """

    fetch: Fetch
    records: Records = lambda *_: ()
    fetch_seconds: float = 0.0
    dns_seconds: float = 0.0
    asked: Counter[str] = attrs.field(factory=Counter)


class WorldResolver(ResolverBase):
    """
    An C{IResolver} that asks a L{World}.
    """

    def __init__(self, reactor: Any, world: World) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._world = world

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None) -> Deferred[Any]:
        """
        Answer, at once or later.
        """
        self._world.asked[dns.QUERY_TYPES[type]] += 1
        if not self._world.dns_seconds:
            return succeed(self._answer(name, type))
        return deferLater(self._reactor, self._world.dns_seconds, self._answer, name, type)

    def _answer(self, name: bytes, type: int) -> Any:
        records = self._world.records(name.decode("ascii"), type)
        if not records:
            raise DNSNameError(dns.Message())
        return [dns.RRHeader(name, type, ttl=record.ttl, payload=record) for record in records], [], []


@attrs.frozen
class Wired:
    """
    A discovery and its parts.
    """

    discovery: Discovery
    hosts: HostLookup
    services: ServiceLookup
    remembering: Remembering
    counters: Counters

    async def route(self, name: ServerName) -> None:
        """
        Find a server as a request does that needs a connection; it may lead nowhere.
        """
        identity = await self.discovery.who(name)
        with suppress(ResolutionFailed):
            for target in (await self.discovery.where(identity, []))[:1]:
                await self.hosts.addresses(target.host)


def wire(reactor: Any, world: World, store: Any = None, policy: DiscoveryPolicy | None = None) -> Wired:
    """
    Join the parts as C{MatrixFederationAgent.new} does.
    """
    policy = policy or DiscoveryPolicy()
    rng = Random(1)
    counters = Counters()
    remembering = Remembering(reactor, policy, rng, store, counters)
    names = NameService(reactor, policy)
    resolver = WorldResolver(reactor, world)
    ipv6, ipv4 = address_queries(resolver)
    known = (remembering.addresses(IPV6, names, ipv6), remembering.addresses(IPV4, names, ipv4))
    hosts = HostLookup(reactor, known, None, policy.dns_timeout, HostsFile(reactor, policy.dns_timeout))

    async def fetch(host: str) -> Delegation | NoDelegation:
        world.asked["fetch"] += 1
        if world.fetch_seconds:
            await deferLater(reactor, world.fetch_seconds, lambda: None)
        return world.fetch(host)

    services = ServiceLookup(remembering.services(names, service_query(resolver)))
    discovery = Discovery(remembering.delegations(fetch), services, policy, rng)
    return Wired(discovery, hosts, services, remembering, counters)
