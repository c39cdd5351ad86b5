"""
C{matrix:example.org} in C{clientFromString}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._agent import MatrixFederationAgent
from ._policies import AddressPolicy, TrustPolicy
from .errors import ConfigurationError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

_LISTS = ("caFile", "exemptDomain", "exemptNetwork", "allowNetwork")
_OPTIONS = frozenset({*_LISTS, "systemRoots", "minimumTLS", "clientCertificate", "clientKey"})


def parse_endpoint(reactor: Any, server_name: str, *more: str, **options: str) -> IStreamClientEndpoint:
    r"""
    Make the endpoint that a description such as
    C{matrix:example.org:exemptNetwork=fc00\:\:/8} stands for.

    A colon inside a value is written C{\:}, as in every endpoint string.
    C{caFile}, C{exemptDomain}, C{exemptNetwork} and C{allowNetwork} take
    several values, separated by commas; C{systemRoots} is C{yes} or C{no};
    C{minimumTLS} is C{1.2} or C{1.3}; C{clientCertificate} and C{clientKey}
    are files.

    @raise InvalidServerName: when the name is none.
    @raise ConfigurationError: when an option is unknown or not usable.
    """
    if more:
        reason = r"a colon inside a name or a value is written \:"
        raise ConfigurationError.of(f"matrix:{server_name}:{':'.join(more)}", reason)
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ConfigurationError.of(unknown[0], f"unknown option; there are {', '.join(sorted(_OPTIONS))}")
    ca_files, exempt_domains, exempt_networks, allow = (_values(options.get(name, "")) for name in _LISTS)
    trust = TrustPolicy(
        ca_files=ca_files,
        use_system_roots=_yes_or_no("systemRoots", options.get("systemRoots", "yes")),
        exempt_domains=exempt_domains,
        exempt_networks=exempt_networks,
        minimum_tls=options.get("minimumTLS", "1.2"),  # type: ignore[arg-type]
        client_certificate=options.get("clientCertificate"),
        client_key=options.get("clientKey"),
    )
    agent = MatrixFederationAgent.new(reactor, trust=trust, addresses=AddressPolicy(allow=allow))
    return agent.endpoint(server_name)


def _values(text: str) -> list[str]:
    """
    Split a comma-separated list.
    """
    return [value for value in text.split(",") if value]


def _yes_or_no(option: str, text: str) -> bool:
    """
    Read a switch.
    """
    if text not in ("yes", "no"):
        raise ConfigurationError.of(option, f"expected yes or no, not {text!r}")
    return text == "yes"
