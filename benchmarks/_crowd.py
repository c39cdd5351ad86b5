"""
A thousand servers that are one: their names, and what C{.well-known} and DNS say of them.

The first letter of a name says how its server is found, and the number which one it is: C{n12.crowd.example} has
neither C{.well-known} nor SRV records, C{d12} delegates to C{m12}, port 443, C{s12} has an SRV record that leads to
C{t12}, port 8443, and C{b12} delegates to C{s12}. All of them are at 127.0.0.1, where their ports lead to one nginx.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CROWD: Final = "crowd.example"
WILDCARD = f"*.{CROWD}"
PORTS = (443, 8443, 8448)
"""
Where the servers listen.
"""

SERVICE = "_matrix-fed._tcp."
_EFFECTIVE = {"n": ("n", 8448), "d": ("m", 443), "s": ("t", 8443), "b": ("t", 8443)}


def crowd(number: int) -> list[str]:
    """
    Name so many servers, a third of each kind.
    """
    return [f"{'nds'[each % 3]}{each}.{CROWD}" for each in range(number)]


def direct(name: str) -> str:
    """
    Tell which host and port a server's name leads to, for contenders that discover nothing.
    """
    letter, port = _EFFECTIVE[name[0]]
    return f"{letter}{name[1:]}:{port}"


def addresses(names: Iterable[str]) -> dict[str, str]:
    """
    Make the table of addresses for contenders that resolve by their reactor.
    """
    hosts = (host for name in names for host in (name, direct(name).partition(":")[0]))
    return dict.fromkeys(hosts, "127.0.0.1")


def service_target(owner: str) -> str | None:
    """
    Tell where the SRV record of a service leads, in lower case and without port.

    @return: nothing, where there is none.
    """
    host = owner.removeprefix(SERVICE)
    if host == owner or not is_host(host) or not host.startswith("s"):
        return None
    return f"t{host[1:]}"


def is_host(name: str) -> bool:
    """
    Tell whether there is such a host.
    """
    label, _, domain = name.partition(".")
    return domain == CROWD and label[:1] in set("bdmnst") and label[1:].isdecimal()
