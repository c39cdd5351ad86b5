"""
Which addresses may be connected to.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

import attrs

from .networks import Network, read_networks


def _without(network: Network, exceptions: Iterable[Network]) -> Iterable[Network]:
    """
    Cut exceptions out of a network.
    """
    pieces = [network]
    for hole in exceptions:
        pieces = [part for piece in pieces for part in _cut(piece, hole)]
    return sorted(pieces)


def _cut(piece: Network, hole: Network) -> Iterable[Network]:
    if piece.version != hole.version or not hole.subnet_of(piece):  # type: ignore[arg-type]
        return [piece]
    return piece.address_exclude(hole)  # type: ignore[arg-type]


_SPECIAL_IPV4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
_SPECIAL_IPV6 = """
    ::/128 ::1/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7
    fe80::/10 fec0::/10 ff00::/8
"""
# Blocks inside those above that the registries call globally reachable.
# Teredo (2001::/32) is among them: what it may reach is decided by the IPv4
# addresses inside it.
_REACHABLE = """
    192.0.0.9/32 192.0.0.10/32 2001::/32 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48
    2001:20::/28 2001:30::/28
"""


def _special_purpose() -> tuple[Network, ...]:
    """
    Every block that is not globally reachable by IANA's special-purpose
    address registries for IPv4 and IPv6 (RFC 6890, as of 2025-10), the former
    6to4 relays, the former site-local addresses (RFC 3879), and multicast.
    """
    reachable = [ip_network(text) for text in _REACHABLE.split()]
    blocks = [ip_network(text) for text in (_SPECIAL_IPV4 + _SPECIAL_IPV6).split()]
    return tuple(piece for block in blocks for piece in _without(block, reachable))


SPECIAL_PURPOSE = _special_purpose()
"""
The default of L{AddressPolicy.deny}.
"""


def _allowed(value: object) -> tuple[Network, ...]:
    return read_networks("allow", value)


def _denied(value: object) -> tuple[Network, ...]:
    return read_networks("deny", value)


@attrs.frozen
class AddressPolicy:
    """
    Which addresses may be connected to, by whatever name they were reached.

    @ivar allow: networks that are permitted in any case.
    @ivar deny: networks that are refused unless allowed.
    @raise ConfigurationError: when a setting is not usable.
    """

    allow: tuple[Network, ...] = attrs.field(default=(), converter=_allowed)
    deny: tuple[Network, ...] = attrs.field(default=SPECIAL_PURPOSE, converter=_denied, repr=False)
