"""
Whose certificates are believed, and who needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ..errors import ConfigurationError
from .domains import DomainGlobs, read_glob
from .networks import Network, read_networks, unmapped
from .validation import (
    count,
    listed,
    one_of,
    optional_path,
    optional_seconds,
    path,
    paths,
    seconds,
    yes_or_no,
)

if TYPE_CHECKING:
    from .._server_name import ServerName
    from .networks import Address


def _globs(value: object) -> tuple[str, ...]:
    setting = "exempt_domains"
    return tuple(read_glob(setting, item) for item in listed(setting, value))


def _exempt_networks(value: object) -> tuple[Network, ...]:
    return read_networks("exempt_networks", value)


def _ca_files(value: object) -> tuple[str, ...]:
    return paths("ca_files", value)


def _client_certificate(value: object) -> str | None:
    return None if value is None else path("client_certificate", value)


def _client_key(value: object) -> str | None:
    return None if value is None else path("client_key", value)


@attrs.frozen
class TrustPolicy:
    """
    Whose certificates are believed, and who needs none.

    @ivar ca_files: paths of PEM files, or of directories of such files; every
        certificate in them is a root.
    @ivar use_system_roots: whether OpenSSL's default roots count as well.
    @ivar exempt_domains: globs (C{*}, C{?}) of host names whose certificates
        are not checked.  IP literals are not names: see C{exempt_networks}.
    @ivar exempt_networks: networks; a connection is not checked when the
        address that is dialled lies in one of them.
    @ivar minimum_tls: the oldest TLS version that is spoken (RFC 8996 says
        1.2).
    @ivar client_certificate: the path of a PEM file with the certificate that
        is shown to servers which ask for one, those that lead from it to its
        root, and its private key.
    @ivar client_key: the path of the private key, where it has a file of its
        own.
    @ivar watch_interval: how often, in seconds, the files are looked at, and
        read again when they have changed; L{None} is never.
    @ivar max_sessions: TLS sessions that are remembered, one for a name and
        port; 0 is no resumption.
    @ivar max_session_bytes: that they hold, all together.
    @ivar session_lifetime: how long, in seconds, a server may go on from the
        session in which it last proved its key; at most a day by default (RFC
        8446, section 4.6.1 permits a week).
    @ivar ct_log_list: the path of a list of Certificate Transparency logs
        (JSON, version 3).
    @ivar required_scts: valid timestamps of different logs without which a
        certificate is refused.
    @raise ConfigurationError: when a setting is not usable.
    """

    ca_files: tuple[str, ...] = attrs.field(default=(), converter=_ca_files)
    use_system_roots: bool = attrs.field(default=True, validator=yes_or_no)
    exempt_domains: tuple[str, ...] = attrs.field(default=(), converter=_globs)
    exempt_networks: tuple[Network, ...] = attrs.field(default=(), converter=_exempt_networks)
    minimum_tls: Literal["1.2", "1.3"] = attrs.field(default="1.2", validator=one_of("1.2", "1.3"))
    client_certificate: str | None = attrs.field(default=None, converter=_client_certificate)
    client_key: str | None = attrs.field(default=None, converter=_client_key)
    watch_interval: float | None = optional_seconds()
    max_sessions: int = count(5000)
    max_session_bytes: int = count(80 * 1024 * 1024)
    session_lifetime: float = seconds(24 * 3600.0)
    ct_log_list: str | None = optional_path("ct_log_list")
    required_scts: int = count(0)
    _domains: DomainGlobs = attrs.field(init=False, repr=False, eq=False)

    @_domains.default
    def _compile(self) -> DomainGlobs:
        return DomainGlobs.compiled(self.exempt_domains)

    def __attrs_post_init__(self) -> None:
        """
        Refuse settings that mean nothing without another.
        """
        if self.client_key is not None and self.client_certificate is None:
            raise ConfigurationError.of("client_key", "there is no client_certificate")
        if self.required_scts and self.ct_log_list is None:
            raise ConfigurationError.of("required_scts", "there is no ct_log_list")

    def exemption(self, identity: ServerName, address: Address | None) -> str | None:
        """
        Decide whether one connection may go unverified.

        An IPv4-mapped IPv6 address counts as its IPv4, because for a socket
        it is that address.  An address that merely leads to an IPv4 address
        by way of a translator or a tunnel (NAT64, 6to4, Teredo) does not:
        whoever runs that is somebody else, and where L{AddressPolicy} must
        take such an address for both in order to refuse more, this would
        exempt more.  Who means one names its own network.

        @param identity: who is meant to answer.
        @param address: the address that this very connection dials, or
            L{None} where it is not known, as through a proxy.
        @return: the rule that exempts it, or L{None} when the certificate
            must be verified.
        """
        glob = None if identity.literal is not None else self._domains.matching(identity.tls_name)
        if glob is not None:
            return f"domain {glob}"
        if address is not None:
            real = unmapped(address)
            for network in self.exempt_networks:
                if real in network:
                    return f"network {network}"
        return None
