"""
Networks in settings, and addresses in networks.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from ..errors import ConfigurationError
from .validation import listed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")
"""
IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2): sockets treat them as
their IPv4 address, and so does every rule here.
"""


def read_network(setting: str, value: object) -> Network:
    """
    Read one network; a mapped one becomes its IPv4.
    """
    # Of an integer or packed bytes C{ipaddress} makes an address as well.
    if not isinstance(value, (str, IPv4Address, IPv6Address, IPv4Network, IPv6Network)):
        raise ConfigurationError.of(setting, f"expected a network, not {value!r}")
    try:
        network = ip_network(value)
    except ValueError as error:
        raise ConfigurationError.of(setting, str(error)) from error
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        inner = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((inner, network.prefixlen - MAPPED.prefixlen))
    return network


def read_networks(setting: str, value: object) -> tuple[Network, ...]:
    """
    Read a list of networks.
    """
    return tuple(read_network(setting, item) for item in listed(setting, value))


def unmapped(address: Address) -> Address:
    """
    Replace an IPv4-mapped IPv6 address by its IPv4 address.
    """
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if inner is None else inner
