"""
SRV records.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
from twisted.names import dns

from ..errors import ResolutionFailed
from .answers import Query
from .routing import SERVICES, ServiceRecord

if TYPE_CHECKING:
    from twisted.internet.interfaces import IResolver

    from .memory import Memory
    from .records import Answer, NoAnswer, RecordsEntry


def is_onion(host: str) -> bool:
    """
    Tell whether a name must not reach DNS (RFC 7686, section 2).
    """
    return host.lower().rpartition(".")[2] == "onion"


def service_query(resolver: IResolver) -> Query:
    """
    Make the question for SRV records.
    """
    return Query(resolver.lookupService, dns.SRV, _record, attrgetter("priority"))


def _record(payload: dns.Record_SRV) -> ServiceRecord:
    return ServiceRecord(payload.priority, payload.weight, payload.port, payload.target.name)


@attrs.frozen
class Services:
    """
    The SRV records of one service.

    @ivar query: the name that was asked for.
    """

    query: str
    records: tuple[ServiceRecord, ...]


@attrs.frozen(eq=False)
class ServiceLookup:
    """
    Finds the SRV records of services.
    """

    _memory: Memory[RecordsEntry[Any], Answer[Any] | NoAnswer]

    async def services(self, service: str, host: str) -> Services:
        """
        Find the SRV records of a service on a host.

        @param service: as C{_matrix-fed._tcp}.
        @raise ResolutionFailed: when there is no answer, nor an older one.
        """
        query = _query_name(service, host)
        if is_onion(host):
            return Services(query, ())
        entry = await self._memory.entry(query)
        if entry.records is None:
            raise ResolutionFailed("", f"{query}: {entry.failure}", name=query, temporary=True)
        return Services(query, entry.records)

    def remembered_targets(self, host: str) -> set[str]:
        """
        List the targets of a host's SRV records, in lower case, without asking
        anybody.
        """
        known = [self._memory.remembered(name) for name in service_names(host)]
        records = [record for entry in known if entry is not None for record in entry.records or ()]
        return {record.target.decode("latin-1").lower() for record in records}


def _query_name(service: str, host: str) -> str:
    return f"{service}.{host.lower()}"


def service_names(host: str) -> list[str]:
    """
    List the names under which a host's SRV records are asked for.
    """
    return [_query_name(service, host) for service in SERVICES]
