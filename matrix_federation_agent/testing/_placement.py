"""
Where everything must stand so that a server is found by one given step of the specification.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import attrs

STEPS = ("1", "2", "3.1", "3.2", "3.3", "3.4", "3.5", "4", "5", "6")
"""
The cases of "Resolving server names", Server-Server API.
"""

FED_SERVICE = "_matrix-fed._tcp."
DEPRECATED_SERVICE = "_matrix._tcp."

_DEFAULT_PORT = 8448
_GENERATED_PORT = 8443
_SERVICES = {"3.3": FED_SERVICE, "3.4": DEPRECATED_SERVICE, "4": FED_SERVICE, "5": DEPRECATED_SERVICE}
_LITERAL_STEPS = ("1", "3.1")
_PORT_STEPS = ("2", "3.2")
_PORT_CHOICE = ("3.1", "3.2", *_SERVICES)


@attrs.frozen
class Service:
    """
    An SRV record.

    @ivar owner: its name, such as C{_matrix-fed._tcp.example.org}.
    @ivar target: the host that it points to; C{.} for none.
    @ivar port: the port that it points to.
    """

    owner: str
    target: str
    port: int


@attrs.frozen
class Placement:
    """
    Where one server stands.

    @ivar server_name: its Matrix name.
    @ivar step: the step of the specification by which it is found.
    @ivar delegation: the C{m.server} of its C{.well-known}; L{None} when there is none.
    @ivar host: the C{Host} header that its requests must carry: the effective server name.
    @ivar identity: the name or address, without brackets, that its certificate must carry.
    @ivar well_known_host: the name whose C{.well-known} is asked for; L{None} when none is.
    @ivar dial_name: the name whose addresses lead to it; L{None} when it is dialled by address.
    @ivar address: the virtual address at which it listens.
    @ivar port: the virtual port at which it listens.
    @ivar names: (name, address) pairs for the DNS.
    @ivar services: SRV records for the DNS.
    @ivar service_names: the names for which an agent may ask for SRV records.
    """

    server_name: str
    step: str
    delegation: str | None
    host: str
    identity: str
    well_known_host: str | None
    dial_name: str | None
    address: str
    port: int
    names: tuple[tuple[str, str], ...]
    services: tuple[Service, ...]
    service_names: tuple[str, ...]

    @property
    def location_names(self) -> tuple[str, ...]:
        """
        Every name that must be resolved to reach the server, once it is known who must answer.
        """
        hosts = () if self.dial_name is None else (self.identity, self.dial_name)
        return (*self.service_names, *hosts)

    def address_of(self, name: str) -> str | None:
        """
        Look a name up among those of this placement.

        @param name: a DNS name.
        @return: its virtual address, or L{None}.
        """
        return dict(self.names).get(name)


def split_name(name: str) -> tuple[str, int | None]:
    """
    Split a server name.

    @param name: a valid server name.
    @return: its host without brackets, and its port or L{None}.
    """
    host, separator, port = name.rpartition(":")
    if not separator or name.endswith("]"):
        return name.strip("[]"), None
    return host.strip("[]"), int(port)


def is_literal(host: str) -> bool:
    """
    Say whether a host is an IP address.

    @param host: a host without brackets.
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def place(
    server_name: str,
    step: str,
    allocate: Callable[[], str],
    *,
    delegated_to: str | None = None,
    port: int | None = None,
    address: str | None = None,
) -> Placement:
    """
    Decide where a server stands.

    @param server_name: its Matrix name.
    @param step: one of L{STEPS}.
    @param allocate: gives a fresh virtual address each time.
    @param delegated_to: the C{m.server} to use, for the steps that have one.
    @param port: the port of the delegation or of the SRV record, for the steps that have one.
    @param address: the virtual address of the homeserver, unless a name settles it.
    @raise ValueError: when the name, the step and the options do not fit together.
    """
    _check(server_name, step, delegated_to, port)
    delegation = None
    if step.startswith("3."):
        delegation = delegated_to or _delegation(server_name, step, port, lambda: address or allocate())
    effective = delegation or server_name
    host, explicit_port = split_name(effective)
    _check_effective(effective, step)
    literal = is_literal(host)
    services = _services(host, step, port or _GENERATED_PORT)
    service_names = () if literal or explicit_port else (FED_SERVICE + host, DEPRECATED_SERVICE + host)
    dial_name = None if literal else services[0].target if services else host
    dial_address = host if literal else address or allocate()
    names = {} if dial_name is None else {dial_name: dial_address}
    if step not in ("1", "2"):
        names.setdefault(server_name, allocate())
    return Placement(
        server_name=server_name,
        step=step,
        delegation=delegation,
        host=effective,
        identity=host,
        well_known_host=None if step in ("1", "2") else server_name,
        dial_name=dial_name,
        address=dial_address,
        port=services[0].port if services else explicit_port or _DEFAULT_PORT,
        names=tuple(names.items()),
        services=services,
        service_names=service_names,
    )


def _services(host: str, step: str, port: int) -> tuple[Service, ...]:
    return (Service(_SERVICES[step] + host, f"fed.{host}", port),) if step in _SERVICES else ()


def _delegation(server_name: str, step: str, port: int | None, choose_address: Callable[[], str]) -> str:
    if step == "3.1":
        address = choose_address()
        literal = f"[{address}]" if ":" in address else address
        return literal if port is None else f"{literal}:{port}"
    if step == "3.2":
        return f"matrix.{server_name}:{port or _GENERATED_PORT}"
    return f"matrix.{server_name}"


def _check(server_name: str, step: str, delegated_to: str | None, port: int | None) -> None:
    if step not in STEPS:
        raise ValueError(f"no step {step!r}; the steps are {', '.join(STEPS)}")
    if delegated_to is not None and not step.startswith("3."):
        raise ValueError(f"step {step} has no delegation")
    if port is not None and (step not in _PORT_CHOICE or (delegated_to and step not in _SERVICES)):
        raise ValueError(f"the port is settled by step {step} or by a name")
    host, explicit_port = split_name(server_name)
    if step not in ("1", "2") and (is_literal(host) or explicit_port):
        raise ValueError(f"step {step} needs a DNS name without a port, not {server_name!r}")


def _check_effective(effective: str, step: str) -> None:
    host, port = split_name(effective)
    if is_literal(host) != (step in _LITERAL_STEPS) and step != "2":
        raise ValueError(f"step {step} does not fit {effective!r}")
    # Step 3.1 is an address "with or without port"; everywhere else the step says whether there is one.
    if step != "3.1" and (port is not None) != (step in _PORT_STEPS):
        raise ValueError(f"step {step} does not fit {effective!r}")
