"""
Virtual addresses: how they are spelt, and where they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import chain

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

DOCUMENTATION_RANGES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
"""
Addresses that nobody has (RFC 5737 and RFC 3849).
"""

_PRIVATE_RANGE = "10.0.0.0/24"

Endpoint = tuple[str, int]
"""
An address, as text, and a port.
"""

LOOPBACK = "127.0.0.1"


def canonical(host: str) -> str:
    """
    Spell an address in the one way in which addresses are compared here.

    @param host: an address as text; IPv6 without brackets.
    @return: the compressed spelling, or C{host} itself when it is no address.
    """
    try:
        return ip_address(host).compressed
    except ValueError:
        return host


def virtual_peer(host: str, port: int) -> IAddress:
    """
    Make the address object that a transport connected to a virtual address would show.

    @param host: an address as text.
    @param port: the virtual port.
    @return: an L{IPv6Address} or an L{IPv4Address}.
    """
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


def free_addresses() -> Iterator[str]:
    """
    Give one documentation address after the other.

    @return: addresses outside 192.0.2.0/24, so that a test can choose its own there.
    """
    return chain.from_iterable(_hosts(network) for network in DOCUMENTATION_RANGES[1:])


def private_addresses() -> Iterator[str]:
    """
    Give one private address after the other.

    @return: 10.0.0.1 and so on.
    """
    return _hosts(_PRIVATE_RANGE)


def _hosts(network: str) -> Iterator[str]:
    return (str(address) for address in ip_network(network).hosts())
