"""
Address lookups: the hosts file, then DNS; no threads.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from twisted.names import dns
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath
from zope.interface import implementer

from .._deadlines import within
from ..errors import ResolutionFailed
from .answers import answer_of
from .srv import is_onion

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IHostnameResolver, IReactorTime, IResolver
    from twisted.python.failure import Failure

    from .._policies import Address
    from .._server_name import ServerName
    from .answers import Answer

HOSTS_FILE = "/etc/hosts"

MAXIMUM_ADDRESSES = 64
"""
Addresses of one name that are considered; no honest answer has as many.
"""


class HostLookup:
    """
    Finds the addresses of a host.
    """

    def __init__(
        self,
        clock: IReactorTime,
        resolver: IResolver,
        hostnames: IHostnameResolver | None,
        timeout: float,
        hosts_file: str = HOSTS_FILE,
    ) -> None:
        """
        @param resolver: asked for A and AAAA records.
        @param hostnames: asked instead of the hosts file and C{resolver},
            where given.
        @param timeout: for one lookup, in seconds.
        """
        self._clock = clock
        self._resolver = resolver
        self._hostnames = hostnames
        self._timeout = timeout
        self._hosts_file = FilePath(hosts_file)

    async def addresses(self, host: ServerName) -> list[Address]:
        """
        Find the addresses of a host, without its port; a literal is its own
        address.

        @return: at least one.
        @raise ResolutionFailed: when there is none.
        """
        if host.literal is not None:
            return [host.literal]
        local = [] if self._hostnames else _read(searchFileForAll(self._hosts_file, host.host.encode("ascii")))
        if local:
            return local
        if is_onion(host.host):
            # RFC 7686, section 2: such a name is never looked up in DNS.
            raise ResolutionFailed("", f"{host}: .onion names are not in DNS", name=str(host))
        found = await within(self._clock, self._timeout, self._look_up(host.host), lambda limit: _late(host, limit))
        if not found:
            raise ResolutionFailed("", f"{host} has no address in DNS", name=str(host))
        return found[:MAXIMUM_ADDRESSES]

    async def _look_up(self, name: str) -> list[Address]:
        if self._hostnames is not None:
            receiver = _Receiver()
            self._hostnames.resolveHostName(receiver, name)
            return _read(await receiver.complete)
        return await self._ask(name)

    async def _ask(self, name: str) -> list[Address]:
        """
        Ask for A and AAAA side by side; one of them failing does not matter
        while the other has an answer.
        """
        asked = [
            Deferred.fromCoroutine(answer_of(self._resolver.lookupIPV6Address, name, dns.AAAA)),
            Deferred.fromCoroutine(answer_of(self._resolver.lookupAddress, name, dns.A)),
        ]
        results = await DeferredList(asked, consumeErrors=True)
        found = _read([_text(record) for ok, answer in results if ok for record in _records(answer)])
        failures: list[Failure] = [failure for ok, failure in results if not ok]  # type: ignore[misc]
        if failures and not found:
            failures[0].raiseException()
        return found


def _records(answer: Answer) -> tuple[Any, ...]:
    return answer.records


def _text(record: dns.Record_A | dns.Record_AAAA) -> str:
    """
    Write the address in a record.
    """
    return str(ip_address(cast("bytes", record.address)))


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
