"""
The settings of the gateway: one table, made of the fields of the policies and
of what their documentation says.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import attrs

from .._options import OPTIONS
from .._policies import (
    AddressPolicy,
    ConnectionPolicy,
    DiscoveryPolicy,
    GatewayPolicy,
    ProxyPolicy,
    TrustPolicy,
)
from .._policies.validation import fraction
from .kinds import Kind, kind_of
from .surroundings import Entrance, NameServers, ProxyVariables, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TABLES: Mapping[str, tuple[type, ...]] = {
    "gateway": (Entrance, GatewayPolicy),
    "trust": (TrustPolicy,),
    "addresses": (AddressPolicy,),
    "discovery": (DiscoveryPolicy, NameServers),
    "connections": (ConnectionPolicy,),
    "proxies": (ProxyPolicy, ProxyVariables),
    "store": (StoreSettings,),
}
"""
The tables of a file, and whose fields their keys are.
"""

PATHS = frozenset(
    {"secret_file", "ca_files", "client_certificate", "client_key", "ct_log_list", "sqlite", "redis_password_file"}
)
"""
Settings that are paths.
"""

_METAVARS = {
    "listen": "ENDPOINT",
    "withheld_headers": "NAME",
    "minimum_rate": "BYTES",
    "exempt_domains": "GLOB",
    "dns": "HOST:PORT",
    "redis": "ENDPOINT",
}
# What is denied besides: the text of the policy is about all of it.
_SUMMARIES = {"deny": "networks that are refused, besides those that are not globally reachable"}
_SINGULAR = {"withheld_headers": "--withheld-header"}


@attrs.frozen
class Setting:
    """
    One setting.

    @ivar table: of the file.
    @ivar key: in that table; the name of the field.
    @ivar owner: the class of which it is a field.
    @ivar option: of the command line.
    @ivar choices: the texts that it may be, or nothing.
    @ivar default: its value where nobody says anything.
    @ivar summary: one sentence.
    """

    table: str
    key: str
    owner: type
    option: str
    kind: Kind
    choices: tuple[str, ...]
    default: object
    summary: str

    def __str__(self) -> str:
        return f"[{self.table}] {self.key}"


def settings() -> tuple[Setting, ...]:
    """
    List the settings, table by table.
    """
    fields = [(table, owner, field) for table, owners in TABLES.items() for owner in owners for field in _fields(owner)]
    names = Counter(field.name for _, _, field in fields)
    return tuple(_setting(table, owner, field, shared=names[field.name] > 1) for table, owner, field in fields)


def _fields(owner: Any) -> Iterable[attrs.Attribute[Any]]:
    return [field for field in attrs.fields(owner) if field.init]


def _setting(table: str, owner: type, field: attrs.Attribute[Any], *, shared: bool) -> Setting:
    annotation = get_type_hints(owner)[field.name]
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    summary = _SUMMARIES.get(field.name) or summaries(owner).get(field.name, "")
    kind = attrs.evolve(kind_of(annotation), metavar=_metavar(field, annotation, choices))
    return Setting(
        table, field.name, owner, option_of(table, field.name, shared=shared), kind, choices, field.default, summary
    )


def option_of(table: str, key: str, *, shared: bool) -> str:
    """
    Name the option of a setting.

    @param shared: whether another table has the same key: the option then
        says of which it is.
    """
    if key in OPTIONS or key in _SINGULAR:
        return OPTIONS.get(key) or _SINGULAR[key]
    return "--" + f"{table}_{key}".removeprefix("" if shared else f"{table}_").replace("_", "-")


def _metavar(field: attrs.Attribute[Any], annotation: object, choices: tuple[str, ...]) -> str:
    if choices:
        return "|".join(choices)
    if field.name in PATHS:
        return "FILE"
    if field.validator is fraction:
        return "PART"
    if any(part is IPv4Network or IPv4Network in get_args(part) for part in get_args(annotation)):
        return "CIDR"
    return _METAVARS.get(field.name) or kind_of(annotation).metavar


def summaries(owner: type) -> dict[str, str]:
    """
    Read what the docstring of a class says of its fields, without markup.
    """
    text = inspect.cleandoc(owner.__doc__ or "")
    found = re.findall(r"^@ivar (\w+): (.*(?:\n[ ]+.*)*)", text, re.MULTILINE)
    return {name: _plain(" ".join(said.split())) for name, said in found}


def _plain(said: str) -> str:
    r"""
    Take the markup of epytext away: C{C{...}} and its like.
    """
    return re.sub(r"\b[A-Z]\{([^{}]*)\}", r"\1", said).removesuffix(".")
