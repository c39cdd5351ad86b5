"""
Address lookups: the hosts file, then DNS; no threads.
"""

from __future__ import annotations

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
    from twisted.internet.interfaces import IAddress, IHostnameResolver, IReactorTime, IResolver

    from .._policies import Address
    from .._server_name import ServerName
    from .hosts_file import HostsFile

MAXIMUM_ADDRESSES = 64
"""
Addresses of one name that are considered; no honest answer has as many.
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
        if host.literal is not None:
            return [host.literal]
        found = await (self._from_dns(host) if self._hostnames is None else self._from_hostnames(host, self._hostnames))
        if not found:
            raise ResolutionFailed("", f"{host} has no address", name=str(host))
        return found[:MAXIMUM_ADDRESSES]

    async def _from_hostnames(self, host: ServerName, hostnames: IHostnameResolver) -> list[Address]:
        """
        Ask the resolver that the caller wants.
        """
        _check_not_onion(host)
        receiver = _Receiver()
        hostnames.resolveHostName(receiver, host.host)
        return _read(await within(self._clock, self._timeout, receiver.complete, lambda limit: _late(host, limit)))

    async def _from_dns(self, host: ServerName) -> list[Address]:
        """
        Look into the hosts file, and then ask for A and AAAA side by side; one
        of them failing does not matter while the other has an answer.
        """
        local = await self._hosts_file.addresses(host)
        if local:
            return local
        _check_not_onion(host)
        name = host.tls_name
        entries = await gathered([memory.entry(name) for memory in self._memories])
        found = _read([text for entry in entries for text in entry.records or ()])
        failures = [entry.failure for entry in entries if entry.records is None]
        if failures and not found:
            raise ResolutionFailed("", f"{host}: {failures[0]}", name=name, temporary=True)
        return found


def _check_not_onion(host: ServerName) -> None:
    """
    Keep .onion names out of DNS (RFC 7686, section 2).
    """
    if is_onion(host.host):
        reason = f"{host}: .onion names are not in DNS; a proxy rule must say which proxy leads there"
        raise ResolutionFailed("", reason, name=host.tls_name)


def _read(texts: list[str]) -> list[Address]:
    """
    Read addresses, dropping repetitions.
    """
    return list(dict.fromkeys(map(ip_address, texts)))


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
