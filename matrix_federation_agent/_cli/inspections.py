"""
What C{check} found, as text for people and as JSON for programs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs

from .._failures import error_json
from .._text import escaped
from ..errors import Attempt
from .report import failure_lines, refused_lines, route_head_lines, route_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .._route import Inspection, Route, ShownCertificate
    from .console import Console

SOON = timedelta(days=14)
"""
Within which a certificate that expires is worth a warning.
"""


def failed_attempts(route: Route) -> list[Attempt]:
    """
    List what did not lead to a connection: what was refused or not found, and
    what failed.
    """
    found: list[Attempt] = []
    for target in route.targets:
        found += target.refused
        found += [
            Attempt(str(target.target), one.address, one.error) for one in target.inspections if one.error is not None
        ]
    return found


def trouble_lines(route: Route, attempts: list[Attempt]) -> Iterator[str]:
    """
    Say what failed, and below it every failed attempt.
    """
    if route.failure is not None:
        yield from failure_lines(route.failure)
        return
    passed = sum(one.error is None for target in route.targets for one in target.inspections)
    yield escaped(f"{route.server_name}: {len(attempts)} failed, {passed} passed")
    for attempt in attempts:
        yield f"  {escaped(str(attempt))}"


def check_lines(route: Route, now: datetime, console: Console) -> Iterator[str]:
    """
    Tell what was found, line by line.
    """
    yield from route_head_lines(route, console)
    for target in route.targets:
        through = "" if target.proxy is None else f" through {escaped(target.proxy)}"
        yield f"  target {escaped(str(target.target))}{through}"
        for inspection in target.inspections:
            yield from _inspection_lines(inspection, now, console)
        for address in target.addresses[len(target.inspections) :]:
            yield f"    address {escaped(address)}: not looked at, as a request would not try so many"
        yield from refused_lines(target, console)


def _inspection_lines(inspection: Inspection, now: datetime, console: Console) -> Iterator[str]:
    address = "by the proxy" if inspection.address is None else f"address {escaped(inspection.address)}"
    if inspection.error is not None:
        reason = escaped(f"[{inspection.error.phase}] {inspection.error.reason}")
        yield f"    {console.paint(address, 'red')}: {reason}"
        return
    spoken = escaped(f"{inspection.tls_version} {inspection.cipher}")
    yield f"    {console.paint(address, 'green')}: {spoken}"
    yield from (f"      {escaped(line)}" for line in _certificate_lines(inspection))
    yield from (f"      {console.paint(escaped(line), 'yellow')}" for line in _warnings(inspection, now))


def _certificate_lines(inspection: Inspection) -> Iterator[str]:
    shown = inspection.certificate
    if shown is None:
        yield "the certificate cannot be read"
    else:
        more = f" and {shown.more_names} more" if shown.more_names else ""
        yield f"certificate names: {', '.join(shown.names) or 'none'}{more}"
        yield f"subject: {shown.subject or 'empty'}"
        yield f"issuer: {shown.issuer or 'empty'}"
        yield f"valid: {shown.not_before:%Y-%m-%d %H:%M} to {shown.not_after:%Y-%m-%d %H:%M} UTC"
    yield f"certificates sent: {inspection.chain_length}"
    if inspection.transparency is not None:
        yield f"transparency: {inspection.transparency}"


def _warnings(inspection: Inspection, now: datetime) -> Iterator[str]:
    """
    Say what is not wrong yet, or what nobody checks.
    """
    if inspection.exempt is not None:
        yield f"certificate not checked: {inspection.exempt}"
    end = inspection.valid_until
    if end is not None and end - now < SOON:
        when = f"{end:%Y-%m-%d %H:%M} UTC (days left: {(end - now).days})"
        yield f"warning: a certificate of the chain expires on {when}"


def checked_json(route: Route) -> dict[str, Any]:
    """
    Describe a route and what was found; L{Check
    <matrix_federation_agent._cli.check.Check>} documents the keys.
    """
    described = route_json(route)
    for target, one in zip(described["targets"], route.targets, strict=True):
        target["inspections"] = [_inspection_json(inspection) for inspection in one.inspections]
    return described


def _inspection_json(inspection: Inspection) -> dict[str, Any]:
    return {
        "address": inspection.address,
        "failure": None if inspection.error is None else error_json(inspection.error),
        "tls_version": inspection.tls_version or None,
        "cipher": inspection.cipher or None,
        "certificate": None if inspection.certificate is None else _certificate_json(inspection.certificate),
        "chain_length": inspection.chain_length,
        "valid_until": None if inspection.valid_until is None else inspection.valid_until.isoformat(),
        "exempt": inspection.exempt,
        "transparency": inspection.transparency,
    }


def _certificate_json(shown: ShownCertificate) -> dict[str, Any]:
    times = {"not_before": shown.not_before.isoformat(), "not_after": shown.not_after.isoformat()}
    return {**attrs.asdict(shown), **times}
