"""
The explained route: which way a name leads, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from datetime import datetime

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
class ShownCertificate:
    """
    What a server's certificate says; whatever is not printable in it is
    escaped, and long texts are cut.

    @ivar subject: the distinguished name of its owner (RFC 4514).
    @ivar issuer: that of whoever signed it.
    @ivar not_before: when it becomes valid.
    @ivar not_after: when it expires.
    @ivar names: the first of the DNS names and addresses that it is for.
    @ivar more_names: how many it has beside them.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...] = ()
    more_names: int = 0

    def __str__(self) -> str:
        more = f" and {self.more_names} more" if self.more_names else ""
        named = ", ".join(self.names) or "nobody"
        validity = f"valid from {self.not_before:%Y-%m-%d %H:%M} to {self.not_after:%Y-%m-%d %H:%M} UTC"
        return f"certificate for {named}{more}, issued by {self.issuer}, {validity}"


@attrs.frozen
class Inspection:
    """
    What one address of a target showed of its TLS.

    @ivar address: L{None} is what a proxy found.
    @ivar error: why no connection came about, or L{None}; then nothing else
        is known.
    @ivar tls_version: as OpenSSL calls it, C{"TLSv1.3"} for instance.
    @ivar certificate: the server's own; L{None} where it is not checked and
        cannot be read.
    @ivar chain_length: how many certificates the server sent.
    @ivar valid_until: when the first certificate of the verified chain
        expires; L{None} where none was verified.
    @ivar exempt: the rule by which the certificate is not checked.
    @ivar transparency: what is known of its Certificate Transparency, in
        words.
    """

    address: str | None
    error: FederationError | None = None
    tls_version: str = ""
    cipher: str = ""
    certificate: ShownCertificate | None = None
    chain_length: int = 0
    valid_until: datetime | None = None
    exempt: str | None = None
    transparency: str | None = None

    def __str__(self) -> str:
        place = self.address or "by the proxy"
        if self.error is not None:
            return f"{place} [{self.error.phase}]: {self.error.reason}"
        unchecked = None if self.exempt is None else f"certificate not checked: {self.exempt}"
        said = (self.certificate, unchecked, self.transparency)
        return "; ".join([f"{place}: {self.tls_version} {self.cipher}", *(str(one) for one in said if one)])


@attrs.frozen
class LocatedTarget:
    """
    A target, and the addresses behind it.

    @ivar addresses: those that may be dialled, in that order.
    @ivar refused: why others may not, or why there is none.
    @ivar exempt: for addresses at which the certificate is not checked, the
        rule that says so; L{None} is the address that a proxy finds.
    @ivar inspections: what was found at these addresses, where they were
        connected to in order to look at their TLS.
    @ivar proxy: the URL of the proxy that leads there, without credentials,
        or L{None}.
    """

    target: Target
    addresses: tuple[str, ...] = ()
    refused: tuple[Attempt, ...] = ()
    exempt: tuple[tuple[str | None, str], ...] = ()
    inspections: tuple[Inspection, ...] = ()
    proxy: str | None = None

    @property
    def dialled(self) -> tuple[str | None, ...]:
        """
        What is connected to, in order; L{None} is the target itself, for a
        proxy to find.
        """
        found_by_proxy = self.proxy is not None and not self.addresses and not self.refused
        return (None,) if found_by_proxy else self.addresses

    @property
    def is_dialled(self) -> bool:
        """
        Whether there is anything to connect to.
        """
        return bool(self.dialled)

    def __str__(self) -> str:
        rules = dict(self.exempt)
        places: list[tuple[str | None, str]] = [(one, one) for one in self.addresses]
        if self.proxy is not None and self.is_dialled:
            places.insert(0, (None, f"through {self.proxy}"))
        dialled = [f"{text} (certificate not checked: {rules[one]})" if one in rules else text for one, text in places]
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
        for target in self.targets:
            lines += [f"  connect to {target}", *(f"    {inspection}" for inspection in target.inspections)]
        if self.failure is not None:
            lines.append(f"  failed: {self.failure}")
        return "\n".join(lines)
