"""
Address lookups: the hosts file, then DNS; no threads.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from twisted.names import dns
from zope.interface import implementer

from .._deadlines import gathered, within
from ..errors import ResolutionFailed
from .answers import Query
from .memory import Memory
from .records import Answer, NoAnswer, RecordsEntry
from .srv import is_onion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IAddress, IHostnameResolver, IReactorTime, IResolver

    from .._policies import Address
    from .._server_name import ServerName
    from ..errors import FederationError
    from .hosts_file import HostsFile

MAXIMUM_ADDRESSES = 64
"""
Addresses of one name and family that are considered; no honest answer has as many.
"""


FamilyLookup = Coroutine[Deferred[Any], Any, "list[Address]"] | list["Address"]
"""
What is to be awaited; or the addresses themselves, where they are known.
"""

RecordsMemory = Memory[RecordsEntry[Any], Answer[Any] | NoAnswer]


def address_queries(resolver: IResolver) -> tuple[Query, Query]:
    """
    Make the questions for IPv6 and IPv4 addresses.
    """
    return Query(resolver.lookupIPV6Address, dns.AAAA, _text), Query(resolver.lookupAddress, dns.A, _text)


def _text(record: dns.Record_A | dns.Record_AAAA) -> str:
    """
    Write the address in a record.
    """
    return str(ip_address(cast("bytes", record.address)))


@attrs.frozen(eq=False)
class HostLookup:
    """
    Finds the addresses of a host.

    @ivar memories: of IPv6 and of IPv4 addresses.
    @ivar hostnames: asked instead of the hosts file and DNS, where given.
    @ivar timeout: of C{hostnames}, in seconds.
    """

    _clock: IReactorTime
    _memories: tuple[RecordsMemory, RecordsMemory]
    _hostnames: IHostnameResolver | None
    _timeout: float
    _hosts_file: HostsFile

    async def addresses(self, host: ServerName) -> list[Address]:
        """
        Find the addresses of a host, without its port; a literal is its own
        address.

        @return: at least one.
        @raise ResolutionFailed: when there is none.
        """
        return await _together(host, self.families(host))

    def families(self, host: ServerName) -> list[FamilyLookup]:
        """
        Look the addresses of a host up by their families, side by side; one
        of them failing does not matter while the other has an answer.

        @return: for IPv6 and then for IPv4; or one for both, where the name
            need not be asked for in DNS.  Each is addresses, or none, or ends
            with them, or fails with L{ResolutionFailed}.
        """
        literal = host.literal
        if literal is not None:
            return [[literal]]
        if self._hostnames is not None:
            return [self._from_hostnames(host, self._hostnames)]
        try:
            local = self._hosts_file.found(host)
        except OSError:
            return [self._once_readable(host)]
        return [local] if local else self._in_dns(host)

    def _in_dns(self, host: ServerName) -> list[FamilyLookup]:
        return [self._family(host, memory) for memory in self._memories]

    def _family(self, host: ServerName, memory: RecordsMemory) -> FamilyLookup:
        """
        Find the addresses of one family in memory, or ask for them.
        """
        entry = memory.at_hand(host.tls_name)
        if entry is None:
            return self._from_dns(host, memory)
        return _failed(host, entry) if entry.records is None else _read(entry.records)

    async def _once_readable(self, host: ServerName) -> list[Address]:
        """
        Wait for a file descriptor to read the hosts file with.
        """
        return await self._hosts_file.addresses(host) or await _together(host, self._in_dns(host))

    async def _from_hostnames(self, host: ServerName, hostnames: IHostnameResolver) -> list[Address]:
        """
        Ask the resolver that the caller wants.
        """
        _check_not_onion(host)
        receiver = _Receiver()
        hostnames.resolveHostName(receiver, host.host)
        found: Deferred[list[str]] = receiver.complete
        if found.called:
            # It knew at once: no timer is needed.
            return _read(await found)
        texts = await within(self._clock, self._timeout, found, lambda limit: _late(host, limit))
        return _read(texts)

    async def _from_dns(self, host: ServerName, memory: RecordsMemory) -> list[Address]:
        """
        Ask for the addresses of one family.
        """
        _check_not_onion(host)
        entry = await memory.entry(host.tls_name)
        return await _failed(host, entry) if entry.records is None else _read(entry.records)


async def _together(host: ServerName, families: list[FamilyLookup]) -> list[Address]:
    """
    Await all families.

    @return: at least one address.
    @raise ResolutionFailed: when there is none.
    """
    found: list[Address] = []
    failures: list[ResolutionFailed] = []

    async def look(family: FamilyLookup) -> None:
        try:
            found.extend(family if isinstance(family, list) else await family)
        except ResolutionFailed as failure:
            failures.append(failure)

    await gathered(list(map(look, families)))
    if not found:
        raise unresolved(host, failures)
    return list(dict.fromkeys(found))


def _check_not_onion(host: ServerName) -> None:
    """
    Keep .onion names out of DNS (RFC 7686, section 2).
    """
    if is_onion(host.host):
        reason = f"{host}: .onion names are not in DNS; a proxy rule must say which proxy leads there"
        raise ResolutionFailed("", reason, name=host.tls_name)


def _read(texts: Iterable[str]) -> list[Address]:
    """
    Read addresses, dropping repetitions, and those that are too many.
    """
    return list(dict.fromkeys(map(ip_address, texts)))[:MAXIMUM_ADDRESSES]


async def _failed(host: ServerName, entry: RecordsEntry[Any]) -> list[Address]:
    """
    Tell that there was no answer.
    """
    raise ResolutionFailed("", f"{host}: {entry.failure}", name=host.tls_name, temporary=True)


def unresolved(host: ServerName, failures: Sequence[FederationError]) -> FederationError:
    """
    Tell that a host has no address.

    @param failures: of the lookups of its families.
    """
    return failures[0] if failures else ResolutionFailed("", f"{host} has no address", name=str(host))


def _late(host: ServerName, limit: float) -> ResolutionFailed:
    reason = f"{host}: no address was found within {limit:g} s"
    return ResolutionFailed("", reason, name=str(host), temporary=True)


@implementer(IResolutionReceiver)
class _Receiver:
    """
    Collects what an C{IHostnameResolver} finds.
    """

    def __init__(self) -> None:
        self._found: list[str] = []
        self._resolution: IHostResolution | None = None
        self.complete: Deferred[list[str]] = Deferred(lambda _: self._cancel())

    def _cancel(self) -> None:
        # Twisted's own threaded resolver cannot be cancelled; what it finds is
        # then ignored.
        if self._resolution is not None:
            with suppress(NotImplementedError):
                self._resolution.cancel()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """
        Remember what to cancel.
        """
        self._resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        """
        Keep an IPv4 or IPv6 address.
        """
        self._found.append(address.host)  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        """
        Hand over what was found, unless nobody waits any more.
        """
        if not self.complete.called:
            self.complete.callback(self._found)
