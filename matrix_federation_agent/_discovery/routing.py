"""
Where does a server listen?

The location rule of the specification ("Resolving server names"), which is
one rule for the name itself (steps 1, 2, 4, 5, 6) and for a delegated name
(steps 3.1 to 3.5).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

import attrs

from .._server_name import ServerName
from ..errors import InvalidServerName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

DEFAULT_PORT = 8448
"""
Where a Matrix server listens when nothing says otherwise (step 6).
"""

SERVICES = ("_matrix-fed._tcp", "_matrix._tcp")
"""
The SRV services, in the order in which they are asked for; the second is
deprecated since v1.8 of the specification.
"""


@attrs.frozen
class Target:
    """
    A host and a port to connect to.

    @ivar host: a DNS name or an IP literal, without a port.
    """

    host: ServerName
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@attrs.frozen
class ServiceRecord:
    """
    The data of one SRV record, as it came from the wire (RFC 2782).

    @ivar target: the target's name; empty is the root.
    """

    priority: int
    weight: int
    port: int
    target: bytes

    def __str__(self) -> str:
        target = self.target.decode("ascii", "backslashreplace") or "."
        return f"{self.priority} {self.weight} {self.port} {target}"


def is_fixed(effective: ServerName) -> bool:
    """
    Tell whether a name says by itself where it leads: an IP literal (steps 1
    and 3.1) or an explicit port (steps 2 and 3.2).
    """
    return effective.literal is not None or effective.port is not None


def fixed_target(effective: ServerName) -> Target | None:
    """
    Tell the target that a name fixes by itself.

    @return: L{None} when SRV records decide.
    """
    if not is_fixed(effective):
        return None
    return Target(effective.without_port, effective.port or DEFAULT_PORT)


def default_target(effective: ServerName) -> Target:
    """
    Tell the target of a name that has no SRV records (steps 3.5 and 6).
    """
    return Target(effective.without_port, DEFAULT_PORT)


def is_decidedly_unavailable(records: list[ServiceRecord]) -> bool:
    """
    Tell whether the records say that there is no such service: a single one
    whose target is the root (RFC 2782, "Target").
    """
    return len(records) == 1 and records[0].target in (b"", b".")


def usable_target(record: ServiceRecord) -> Target | None:
    """
    Read the target of an SRV record.

    @return: L{None} when it names no host: the root among others, an IP
        literal, or a name outside the grammar; and for port 0.
    """
    try:
        host = ServerName.parse(record.target.removesuffix(b"."))
    except InvalidServerName:
        return None
    if host.literal is not None or host.port is not None or record.port == 0:
        return None
    return Target(host, record.port)


def in_order(records: Iterable[ServiceRecord], rng: Random) -> list[Target]:
    """
    Order targets as RFC 2782 ("Usage rules") says: by priority, and within
    one priority by a draw in which each has the chance of its weight.
    """
    usable = [(record, target) for record in records if (target := usable_target(record))]
    by_priority: dict[int, list[tuple[int, Target]]] = {}
    for record, target in sorted(usable, key=lambda pair: pair[0].priority):
        by_priority.setdefault(record.priority, []).append((record.weight, target))
    return [target for group in by_priority.values() for target in _drawn(group, rng)]


def _drawn(group: list[tuple[int, Target]], rng: Random) -> Iterable[Target]:
    """
    Draw the targets of one priority until none is left.
    """
    # "arrange all SRV RRs ... in any order, except that all those with weight
    # 0 are placed at the beginning": shuffled, so that equals share the load.
    rng.shuffle(group)
    group.sort(key=lambda pair: pair[0] > 0)
    while group:
        sums = list(accumulate(weight for weight, _ in group))
        # "the first in the selected order which is greater than or equal to
        # the random number selected"
        yield group.pop(bisect_left(sums, rng.uniform(0, sums[-1])))[1]


_BY_SERVICE = {SERVICES[0]: ("3.3", "4"), SERVICES[1]: ("3.4", "5"), None: ("3.5", "6")}


def step_number(effective: ServerName, *, delegated: bool, service: str | None) -> str:
    """
    Name the step of the specification that decides.

    @param service: the SRV service that was found, or L{None}.
    """
    if effective.literal is not None:
        return "3.1" if delegated else "1"
    if effective.port is not None:
        return "3.2" if delegated else "2"
    inside, outside = _BY_SERVICE[service]
    return inside if delegated else outside
