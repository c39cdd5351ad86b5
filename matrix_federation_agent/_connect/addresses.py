"""
May we connect to this address?

One rule for names and literals alike, asked at the moment of dialling.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from .._policies import unmapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._policies import Address, AddressPolicy, Network

# Each holds an IPv4 address in its last 32 bits.
_TRAILING_IPV4 = (
    IPv6Network("::/96"),  # IPv4-compatible (RFC 4291, section 2.5.5.1)
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765, section 2.1)
    IPv6Network("64:ff9b::/96"),  # NAT64 (RFC 6052, section 2.1)
)


def denied_by(policy: AddressPolicy, address: Address) -> Network | None:
    """
    Decide whether an address may be connected to.

    An IPv6 address that leads to an IPv4 address is judged by that one as
    well: a translator on the way would otherwise reach what is denied.

    @return: the network that denies it, or L{None} when it is permitted.
    """
    real = unmapped(address)
    if _network_of(real, policy.allow):
        return None
    for candidate in (real, *_embedded(real)):
        denied = _network_of(candidate, policy.deny)
        if denied and not _network_of(candidate, policy.allow):
            return denied
    return None


def _network_of(address: Address, networks: tuple[Network, ...]) -> Network | None:
    """
    Find the first network that holds an address.
    """
    return next((network for network in networks if address in network), None)


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """
    Find the IPv4 addresses inside an IPv6 address.
    """
    if isinstance(address, IPv4Address):
        return
    if any(address in network for network in _TRAILING_IPV4):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:  # RFC 3056, section 2
        yield address.sixtofour
    if address.teredo is not None:  # RFC 4380, section 4: the server, the client
        yield from address.teredo


def interleaved(addresses: list[Address]) -> list[Address]:
    """
    Order addresses so that the families alternate, IPv6 first, each in the
    order in which it was given (RFC 8305, section 4).
    """
    six = [address for address in addresses if isinstance(address, IPv6Address)]
    four = [address for address in addresses if isinstance(address, IPv4Address)]
    paired = [address for pair in zip(six, four, strict=False) for address in pair]
    return paired + six[len(four) :] + four[len(six) :]
