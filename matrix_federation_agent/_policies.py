"""
Settings: frozen values that are checked when they are made.

A policy that exists is usable; whatever is wrong with a setting is a
L{ConfigurationError} that names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any, Literal

import attrs

from .errors import ConfigurationError

if TYPE_CHECKING:
    from ._server_name import ServerName

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")
"""
IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2): sockets treat them as
their IPv4 address, and so does every rule here.
"""

_GLOB = re.compile(r"[a-z0-9.*?-]+")
_NUMBER_AT_END = re.compile(r"(?:.*\.)?[0-9]+")


def _listed(setting: str, value: object) -> tuple[Any, ...]:
    """
    Make a tuple of a setting with several values; L{None} is none of them.
    """
    if value is None:
        return ()
    # A network is iterable: it would become the list of its addresses.
    if isinstance(value, (str, bytes, IPv4Network, IPv6Network)) or not isinstance(value, Iterable):
        raise ConfigurationError.of(setting, f"expected a list, not {value!r}")
    return tuple(value)


def _network(setting: str, value: object) -> Network:
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


def _networks(setting: str, value: object) -> tuple[Network, ...]:
    return tuple(_network(setting, item) for item in _listed(setting, value))


def _exempt_networks(value: object) -> tuple[Network, ...]:
    return _networks("exempt_networks", value)


def _allowed(value: object) -> tuple[Network, ...]:
    return _networks("allow", value)


def _denied(value: object) -> tuple[Network, ...]:
    return _networks("deny", value)


def _domain_glob(value: object) -> str:
    """
    Read one pattern of C{exempt_domains}.
    """
    setting = "exempt_domains"
    if not isinstance(value, str):
        raise ConfigurationError.of(setting, f"expected text, not {value!r}")
    if not value.isascii():
        raise ConfigurationError.of(setting, f"{value!r} must be written as {_a_labels(value)!r}")
    glob = value.lower()
    if not _GLOB.fullmatch(glob):
        raise ConfigurationError.of(setting, f"{value!r} is no pattern of domain names")
    if _NUMBER_AT_END.fullmatch(glob):
        raise ConfigurationError.of(setting, f"{value!r} is an address: name it in exempt_networks")
    return glob


def _a_labels(text: str) -> str:
    """
    Write the A-labels of a name (RFC 5890), label by label, because a
    wildcard is none.
    """
    try:
        return ".".join(label if label.isascii() else label.encode("idna").decode() for label in text.split("."))
    except UnicodeError:
        return "an A-label (xn--...)"


def _globs(value: object) -> tuple[str, ...]:
    return tuple(_domain_glob(item) for item in _listed("exempt_domains", value))


def _paths(value: object) -> tuple[str, ...]:
    setting = "ca_files"
    try:
        return tuple(os.fsdecode(item) for item in _listed(setting, value))
    except TypeError as error:
        raise ConfigurationError.of(setting, str(error)) from error


def _positive(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a number is more than nothing.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigurationError.of(attribute.name, f"expected a number above zero, not {value!r}")


def _yes_or_no(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate a switch: any text, "no" among them, would count as yes.
    """
    if not isinstance(value, bool):
        raise ConfigurationError.of(attribute.name, f"expected True or False, not {value!r}")


def _at_least_one(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a count is of something.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError.of(attribute.name, f"expected a whole number above zero, not {value!r}")


def _fraction(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a number is a part of one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigurationError.of(attribute.name, f"expected a number from 0 to 1, not {value!r}")


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """
    Validate that a count is a count.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError.of(attribute.name, f"expected a whole number, not {value!r}")


def _one_of(*choices: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    """
    Make the validator of a setting with few values, compared as text.
    """

    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in choices:
            raise ConfigurationError.of(attribute.name, f"expected one of {', '.join(choices)}, not {value!r}")

    return validate


def _pattern(globs: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    """
    Compile domain globs: C{*} is any text, dots included, C{?} one character.
    """
    return [(glob, re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."))) for glob in globs]


@attrs.frozen
class TrustPolicy:
    """
    Whose certificates are believed, and who needs none.

    @ivar ca_files: paths of PEM files; every certificate in them is a root.
    @ivar use_system_roots: whether OpenSSL's default roots count as well.
    @ivar exempt_domains: globs (C{*}, C{?}) of host names whose certificates
        are not checked.  IP literals are not names: see C{exempt_networks}.
    @ivar exempt_networks: networks; a connection is not checked when the
        address that is dialled lies in one of them.
    @ivar minimum_tls: the oldest TLS version that is spoken (RFC 8996 says
        1.2).
    @raise ConfigurationError: when a setting is not usable.
    """

    ca_files: tuple[str, ...] = attrs.field(default=(), converter=_paths)
    use_system_roots: bool = attrs.field(default=True, validator=_yes_or_no)
    exempt_domains: tuple[str, ...] = attrs.field(default=(), converter=_globs)
    exempt_networks: tuple[Network, ...] = attrs.field(default=(), converter=_exempt_networks)
    minimum_tls: Literal["1.2", "1.3"] = attrs.field(default="1.2", validator=_one_of("1.2", "1.3"))
    _patterns: list[tuple[str, re.Pattern[str]]] = attrs.field(init=False, repr=False, eq=False)

    @_patterns.default
    def _compile(self) -> list[tuple[str, re.Pattern[str]]]:
        return _pattern(self.exempt_domains)

    def exemption(self, identity: ServerName, address: Address | None) -> str | None:
        """
        Decide whether one connection may go unverified.

        @param identity: who is meant to answer.
        @param address: the address that this very connection dials, or
            L{None} where it is not known.
        @return: the rule that exempts it, or L{None} when the certificate
            must be verified.
        """
        if identity.literal is None:
            for glob, pattern in self._patterns:
                if pattern.fullmatch(identity.tls_name):
                    return f"domain {glob}"
        if address is not None:
            real = unmapped(address)
            for network in self.exempt_networks:
                if real in network:
                    return f"network {network}"
        return None


def unmapped(address: Address) -> Address:
    """
    Replace an IPv4-mapped IPv6 address by its IPv4 address.
    """
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if inner is None else inner


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


def _seconds(default: float) -> float:
    """
    Declare a setting of some seconds.
    """
    return attrs.field(default=default, validator=_positive)


def _positive_count(default: int) -> int:
    """
    Declare a setting that counts, and of which there must be one.
    """
    return attrs.field(default=default, validator=_at_least_one)


def _count(default: int) -> int:
    """
    Declare a setting that counts.
    """
    return attrs.field(default=default, validator=_not_negative)


@attrs.frozen(kw_only=True)
class DiscoveryPolicy:
    """
    How a server is found.  Lengths of time are in seconds.

    @ivar well_known_timeout: for the whole fetch, redirects included.
    @ivar well_known_max_bytes: of a C{.well-known} body (Synapse: 50 KiB).
    @ivar well_known_max_redirects: hops that are followed.
    @ivar delegation_default: how long a delegation is remembered that says
        nothing of it (specification: 24 hours).
    @ivar delegation_minimum: and at least (Synapse: 5 minutes).
    @ivar delegation_maximum: and at most (specification: 48 hours).
    @ivar refresh_after: the part of its lifetime after which a delegation is
        fetched again, behind the requests.
    @ivar failure_lifetime: how long a host is left alone after a fetch that
        brought no delegation; doubles with each further one.
    @ivar failure_maximum: and at most (specification: an hour).
    @ivar jitter: the part by which defaults and back-off are spread.
    @ivar dns_timeout: for one lookup, retries included.
    @ivar dns_queries: that are under way at the same time; others wait in
        order.
    @ivar dns_minimum: an answer is remembered by its TTL, and at least this
        long.
    @ivar dns_maximum: and at most this long.
    @ivar dns_negative_maximum: the absence of records is remembered by the
        SOA record, and at most this long (RFC 2308, section 5).
    @ivar dns_failure_lifetime: how long name servers are left alone after
        they had no answer for a name; doubles with each further time.
    @ivar dns_failure_maximum: and at most (RFC 2308, section 7: 5 minutes).
    @ivar dns_stale_maximum: how old an answer may be that is used while name
        servers have none (RFC 8767, section 5: 1 to 3 days).
    @ivar store_timeout: what a discovery store takes longer for is not waited
        for.
    @ivar guess_default_port: whether port 8448 is tried when the lookup of
        SRV records failed, instead of failing the request.
    @ivar max_remembered: names of each kind: delegations, SRV records, IPv4
        and IPv6 addresses.
    @raise ConfigurationError: when a setting is not usable.
    """

    well_known_timeout: float = _seconds(15.0)
    well_known_max_bytes: int = _count(50 * 1024)
    well_known_max_redirects: int = _count(5)
    delegation_default: float = _seconds(24 * 3600.0)
    delegation_minimum: float = _seconds(300.0)
    delegation_maximum: float = _seconds(48 * 3600.0)
    refresh_after: float = attrs.field(default=0.8, validator=_fraction)
    failure_lifetime: float = _seconds(60.0)
    failure_maximum: float = _seconds(3600.0)
    jitter: float = attrs.field(default=0.1, validator=_fraction)
    dns_timeout: float = _seconds(10.0)
    dns_queries: int = _positive_count(100)
    dns_minimum: float = _seconds(30.0)
    dns_maximum: float = _seconds(24 * 3600.0)
    dns_negative_maximum: float = _seconds(3600.0)
    dns_failure_lifetime: float = _seconds(30.0)
    dns_failure_maximum: float = _seconds(300.0)
    dns_stale_maximum: float = _seconds(24 * 3600.0)
    store_timeout: float = _seconds(0.1)
    guess_default_port: bool = attrs.field(default=False, validator=_yes_or_no)
    max_remembered: int = _count(20_000)


@attrs.frozen(kw_only=True)
class ConnectionPolicy:
    """
    How connections are made and kept.  Lengths of time are in seconds.

    @ivar tcp_timeout: for one TCP connection to be accepted.
    @ivar tls_timeout: for one TLS handshake.
    @ivar connect_timeout: for all attempts of one connection.
    @ivar response_timeout: for the head of a response, once connected.
    @ivar max_targets: SRV targets that are tried.
    @ivar max_addresses: addresses that are tried, over all targets.
    @ivar max_head_bytes: of the heads of all responses in one C{.well-known}
        fetch, redirects included.
    @ivar idle_connections: kept to one destination (Synapse: 5).
    @ivar idle_timeout: after which an idle connection is closed (Synapse: 120
        seconds).
    @raise ConfigurationError: when a setting is not usable.
    """

    tcp_timeout: float = _seconds(10.0)
    tls_timeout: float = _seconds(10.0)
    connect_timeout: float = _seconds(30.0)
    response_timeout: float = _seconds(90.0)
    max_targets: int = _positive_count(8)
    max_addresses: int = _positive_count(10)
    max_head_bytes: int = _positive_count(64 * 1024)
    idle_connections: int = _count(5)
    idle_timeout: float = _seconds(120.0)
