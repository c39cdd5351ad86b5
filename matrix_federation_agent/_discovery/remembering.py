"""
The memories of one agent, which share a policy, counters and a store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import attrs

from .delegation import advance
from .memory import Memory
from .records import advance_records
from .serial import (
    dump_addresses,
    dump_delegation,
    dump_services,
    load_addresses,
    load_delegation,
    load_services,
)
from .shelf import StoreAccess, StoreShelf
from .srv import service_names

if TYPE_CHECKING:
    from random import Random

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from .._counters import Counters
    from .._policies import DiscoveryPolicy
    from .answers import NameService, Query
    from .delegation import Delegation, DelegationEntry, NoDelegation
    from .hosts import RecordsMemory
    from .memory import Entry, Shelf

WELL_KNOWN, SRV, IPV4, IPV6 = "well_known", "srv", "a", "aaaa"


@attrs.frozen
class Known:
    """
    One thing that is remembered.  Lengths of time are in seconds from now.

    @ivar kind: C{"well_known"}, C{"srv"}, C{"a"} or C{"aaaa"}.
    @ivar name: the DNS name that was asked about.
    @ivar found: what was found, and what decided how long it is remembered.
    @ivar age: since it was found.
    @ivar expires_in: until a request has to wait for a lookup.
    @ivar next_try_in: until it is looked up again when it is asked for.
    @ivar failures: lookups in a row that brought nothing.
    """

    kind: str
    name: str
    found: str
    age: float
    expires_in: float
    next_try_in: float
    failures: int

    @classmethod
    def of(cls, kind: str, name: str, entry: Entry, now: float) -> Known:
        """
        Describe an entry.
        """
        return cls(
            kind,
            name,
            entry.summary,
            age=now - entry.fetched,
            expires_in=entry.expires - now,
            next_try_in=entry.next_try - now,
            failures=entry.failures,
        )

    def __str__(self) -> str:
        times = f"{self.age:.0f} s old, expires in {self.expires_in:.0f} s, next try in {self.next_try_in:.0f} s"
        failed = f", {self.failures} failures" if self.failures else ""
        return f"{self.kind} {self.name}: {self.found} ({times}{failed})"


@attrs.define(eq=False)
class Remembering:
    """
    Makes memories, and knows them all.
    """

    _clock: IReactorTime
    _policy: DiscoveryPolicy
    _rng: Random
    _store: Any
    _counters: Counters
    _access: StoreAccess | None = attrs.field(init=False)
    memories: dict[str, Memory[Any, Any]] = attrs.field(init=False, factory=dict)

    @_access.default
    def _access_store(self) -> StoreAccess | None:
        if self._store is None:
            return None
        return StoreAccess(self._clock, self._store, self._policy.store_timeout, self._counters)

    def delegations(
        self, fetch: Callable[[str], Coroutine[Deferred[Any], Any, Delegation | NoDelegation]]
    ) -> Memory[DelegationEntry, Delegation | NoDelegation]:
        """
        Make the memory of what C{.well-known} said.
        """

        def reduce(entry: DelegationEntry | None, outcome: Delegation | NoDelegation, now: float) -> DelegationEntry:
            return advance(entry, outcome, now, self._policy, self._rng)

        return self._memory(WELL_KNOWN, fetch, reduce, dump_delegation, load_delegation)

    def services(self, names: NameService, query: Query) -> RecordsMemory:
        """
        Make the memory of SRV records.
        """
        return self._records(SRV, names, query, dump_services, load_services)

    def addresses(self, kind: str, names: NameService, query: Query) -> RecordsMemory:
        """
        Make the memory of IPv4 or IPv6 addresses.
        """
        return self._records(kind, names, query, dump_addresses, load_addresses)

    def _records(
        self, kind: str, names: NameService, query: Query, dump: Callable[[Any], str], load: Callable[[str], Any]
    ) -> RecordsMemory:
        return self._memory(
            kind,
            lambda name: names.ask(query, name),
            lambda entry, outcome, now: advance_records(entry, outcome, now, self._policy),
            dump,
            load,
        )

    def _memory(
        self,
        kind: str,
        look_up: Callable[[str], Coroutine[Deferred[Any], Any, Any]],
        reduce: Callable[[Any, Any, float], Any],
        dump: Callable[[Any], str],
        load: Callable[[str], Any],
    ) -> Memory[Any, Any]:
        shelf: Shelf[Any] | None = None
        if self._access is not None:
            beyond = self._policy.delegation_maximum if kind == WELL_KNOWN else self._policy.dns_stale_maximum
            shelf = StoreShelf(self._access, self._clock, kind, dump, load, beyond)
        memory: Memory[Any, Any] = Memory(
            kind, self._clock, look_up, reduce, self._policy.max_remembered, self._counters, shelf
        )
        self.memories[kind] = memory
        return memory

    def known(self, hosts: Collection[str] | None) -> list[Known]:
        """
        List what is remembered, of some hosts or of all.

        @param hosts: DNS names in lower case.
        """
        now = self._clock.seconds()
        return [
            Known.of(kind, name, entry, now)
            for kind, memory in self.memories.items()
            for name, entry in (memory.items() if hosts is None else _of(memory, _names(kind, hosts)))
        ]

    def forget(self, hosts: Collection[str] | None) -> None:
        """
        Drop what is remembered, of some hosts or of all.

        @param hosts: DNS names in lower case.
        """
        for kind, memory in self.memories.items():
            for name in [None] if hosts is None else _names(kind, hosts):
                memory.forget(name)

    def end_lookups(self) -> None:
        """
        End every lookup, those in the background too.
        """
        for memory in self.memories.values():
            memory.close()

    async def close(self) -> None:
        """
        Let go of the store.
        """
        if self._access is not None:
            await self._access.close()


def _names(kind: str, hosts: Collection[str]) -> list[str]:
    """
    List the names under which one kind of knowledge has some hosts.
    """
    return [name for host in hosts for name in (service_names(host) if kind == SRV else [host])]


def _of(memory: Memory[Any, Any], names: list[str]) -> Iterator[tuple[str, Entry]]:
    """
    List what is known of some names.
    """
    return ((name, entry) for name in names if (entry := memory.remembered(name)) is not None)
