"""
What the options of the command line and of the gateway have in common.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

import attrs

from ._policies import SPECIAL_PURPOSE, AddressPolicy, ProxyPolicy
from ._server_name import ServerName
from .errors import ConfigurationError, InvalidServerName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._discovery.resolv_conf import NameServer

DNS_PORT = 53

# int() alone takes digits of every script, signs and underscores.
_DIGITS = re.compile(r"[0-9]{1,15}")

OPTIONS = {
    "ca_files": "--ca-file",
    "use_system_roots": "--system-roots",
    "exempt_domains": "--exempt-domain",
    "exempt_networks": "--exempt-network",
    "allow": "--allow-network",
    "deny": "--deny-network",
    "minimum_tls": "--minimum-tls",
    "client_certificate": "--client-certificate",
    "client_key": "--client-key",
    "ct_log_list": "--ct-log-list",
    "required_scts": "--required-scts",
    "rules": "--proxy",
    "resolve_here": "--proxy-resolve-here",
}
"""
Options that are not named as the field of the policy is.
"""


def whole_number(text: str) -> int:
    """
    Read a whole number.

    @raise ArgumentTypeError: when it is none, or longer than anybody needs.
    """
    if not _DIGITS.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def name_server(setting: str, text: str) -> NameServer:
    """
    Read the address and port of a name server; without a port it is 53.

    @raise ConfigurationError: when it is none.
    """
    try:
        name = ServerName.parse(text)
    except InvalidServerName as error:
        raise ConfigurationError.of(setting, f"{text!r} is no address and port: {error.reason}") from error
    if name.literal is None:
        # Whoever is asked for addresses cannot be found by asking for one.
        raise ConfigurationError.of(setting, f"{text!r} is no IP address")
    return str(name.literal), name.port or DNS_PORT


def address_policy(allow: Iterable[object], deny: Iterable[object]) -> AddressPolicy:
    """
    Make the address policy of an operator: a denied network of the operator's
    own makes the rule stricter, and the usual ones stay.

    @raise ConfigurationError: when a network is none.
    """
    return AddressPolicy(allow=allow, deny=[*SPECIAL_PURPOSE, *deny])


def proxy_rule(text: str) -> tuple[str, str]:
    """
    Split C{PATTERN=URL}; a URL alone is for every host.
    """
    pattern, equals, url = text.partition("=")
    return (pattern, url) if equals and "://" not in pattern else ("*", text)


def with_environment(given: ProxyPolicy, environ: Mapping[str, str]) -> ProxyPolicy:
    """
    Add the rules of the environment after those that were given.

    @raise ConfigurationError: when a variable is not usable.
    """
    return attrs.evolve(given, rules=(*given.rules, *ProxyPolicy.from_environment(environ).rules))


def bare_reason(error: ConfigurationError) -> str:
    """
    Tell what is wrong with a setting, without its name.
    """
    return error.reason.removeprefix(f"{error.setting}: ")
