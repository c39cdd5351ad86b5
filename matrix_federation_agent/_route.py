"""
The explained route: which way a name leads, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ._discovery.routing import Target
    from ._server_name import ServerName
    from .errors import Attempt, FederationError


@attrs.frozen
class Step:
    """
    One step of the specification ("Resolving server names"), and what it
    found.

    @ivar number: as the specification counts, C{"3.3"} for instance.
    """

    number: str
    found: str

    def __str__(self) -> str:
        return f"step {self.number}: {self.found}"


@attrs.frozen
class LocatedTarget:
    """
    A target, and the addresses behind it.

    @ivar addresses: those that may be dialled, in that order.
    @ivar refused: why others may not, or why there is none.
    @ivar exempt: for addresses at which the certificate is not checked, the
        rule that says so.
    """

    target: Target
    addresses: tuple[str, ...] = ()
    refused: tuple[Attempt, ...] = ()
    exempt: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        rules = dict(self.exempt)
        dialled = [f"{one} (certificate not checked: {rules[one]})" if one in rules else one for one in self.addresses]
        found = [*dialled, *(attempt.error.reason for attempt in self.refused)]
        return f"{self.target}: {', '.join(found)}"


@attrs.frozen
class Route:
    """
    Where requests to a server go.

    @ivar server_name: the name that was asked for.
    @ivar effective: the name that must answer: the delegated one, or the name
        itself.
    @ivar steps: what each step found, in order; the last one decided.
    @ivar targets: where connections go, in order.
    @ivar failure: why there are no targets, or L{None}.
    """

    server_name: ServerName
    effective: ServerName
    steps: tuple[Step, ...]
    targets: tuple[LocatedTarget, ...] = ()
    failure: FederationError | None = None

    @property
    def step(self) -> str:
        """
        The number of the step that decided.
        """
        return self.steps[-1].number

    @property
    def host_header(self) -> str:
        """
        What the C{Host} header says.
        """
        return str(self.effective)

    @property
    def tls_name(self) -> str:
        """
        What the certificate must name.
        """
        return self.effective.tls_name

    def __str__(self) -> str:
        lines = [str(self.server_name), *(f"  {step}" for step in self.steps)]
        lines += [f"  Host: {self.host_header}", f"  certificate must name: {self.tls_name}"]
        lines += [f"  connect to {target}" for target in self.targets]
        if self.failure is not None:
            lines.append(f"  failed: {self.failure}")
        return "\n".join(lines)
