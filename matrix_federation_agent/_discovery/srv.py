"""
SRV lookups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.names import dns

from .._deadlines import within
from ..errors import ResolutionFailed
from .answers import answer_of
from .cache import ExpiringMap
from .routing import SERVICES, ServiceRecord

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IResolver

    from .._policies import DiscoveryPolicy
    from .answers import Answer


def is_onion(host: str) -> bool:
    """
    Tell whether a name must not reach DNS (RFC 7686, section 2).
    """
    return host.lower().rpartition(".")[2] == "onion"


@attrs.frozen
class Services:
    """
    The SRV records of one service.

    @ivar query: the name that was asked for.
    """

    query: str
    records: tuple[ServiceRecord, ...]


class ServiceLookup:
    """
    Looks SRV records up and remembers them, or their absence, by their TTL.
    """

    def __init__(self, clock: IReactorTime, resolver: IResolver, policy: DiscoveryPolicy) -> None:
        self._clock = clock
        self._resolver = resolver
        self._policy = policy
        self._known: ExpiringMap[str, Services] = ExpiringMap(policy.max_remembered)

    async def services(self, service: str, host: str) -> Services:
        """
        Find the SRV records of a service on a host.

        @param service: as C{_matrix-fed._tcp}.
        @raise ResolutionFailed: when there is no answer.
        """
        query = f"{service}.{host.lower()}"
        if is_onion(host):
            return Services(query, ())
        known = self._known.get(query, self._clock.seconds())
        if known is not None:
            return known.value
        answer = await self._ask(query)
        services = Services(query, tuple(map(_record, answer.records)))
        self._known.put(query, services, self._clock.seconds() + self._lifetime(answer))
        return services

    async def _ask(self, query: str) -> Answer:
        """
        Send the query, within the time limit.
        """

        def late(seconds: float) -> ResolutionFailed:
            return ResolutionFailed("", f"{query}: no answer within {seconds:g} s", name=query, temporary=True)

        asking = answer_of(self._resolver.lookupService, query, dns.SRV)
        return await within(self._clock, self._policy.dns_timeout, asking, late)

    def _lifetime(self, answer: Answer) -> float:
        """
        Tell for how many seconds an answer is remembered.
        """
        if answer.records:
            return min(max(answer.ttl or 0, self._policy.srv_minimum), self._policy.srv_maximum)
        return min(answer.ttl or 0, self._policy.srv_negative_maximum)

    def forget(self, host: str | None) -> None:
        """
        Drop what is known about one host, or about all.
        """
        queries = [] if host is None else [f"{service}.{host.lower()}" for service in SERVICES]
        self._known.forget(lambda query: host is None or query in queries)


def _record(payload: dns.Record_SRV) -> ServiceRecord:
    return ServiceRecord(payload.priority, payload.weight, payload.port, payload.target.name)
