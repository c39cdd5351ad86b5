"""
Host names for code that resolves them by its reactor: answered from the federation's own records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.names import dns
from zope.interface import implementer

from ._placement import is_literal
from ._zone import Zone, address_text


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        """
        Deliver nothing: only a silenced name is still unanswered by now, and it stays so.
        """
        self.cancelled = True


@implementer(IHostnameResolver)
class ZoneHostnameResolver:
    """
    Resolves names from a L{Zone}, without a query.

    The system's resolver would ask the real DNS for invented names.
    """

    def __init__(self, zone: Zone) -> None:
        """
        Resolve from a zone.

        @param zone: the records.
        """
        self._zone = zone

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        Resolve at once; the addresses of a silenced name never arrive.
        """
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        found = self._addresses(hostName)
        if found is None:
            return resolution
        for text in found:
            kind = IPv6Address if ":" in text else IPv4Address
            if addressTypes is None or kind in addressTypes:
                resolutionReceiver.addressResolved(kind(_semantics(transportSemantics), text, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def _addresses(self, name: str) -> list[str] | None:
        if is_literal(name):
            return [name]
        replies = [self._zone.reply(name, record_type) for record_type in (dns.A, dns.AAAA)]
        if None in replies:
            return None
        texts = (address_text(header.payload) for reply in replies if reply is not None for header in reply.answers)
        return [text for text in texts if text is not None]


def _semantics(text: str) -> Literal["TCP", "UDP"]:
    return "UDP" if text == "UDP" else "TCP"
