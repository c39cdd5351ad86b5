"""
Routes and failures, as text for people and as JSON for programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .. import _failures
from .._failures import attempt_json
from .._text import escaped
from ..errors import summarised
from .settings import CommandTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._discovery.remembering import Known
    from .._route import LocatedTarget, Route
    from .._server_name import ServerName
    from ..errors import FederationError
    from .console import Console


def why_unreachable(route: Route) -> FederationError | None:
    """
    Tell why a route leads nowhere: its own failure, or that there is no
    address to which the agent may connect, nor a proxy that might find one.
    """
    if route.failure is not None or any(target.is_dialled for target in route.targets):
        return route.failure
    return summarised(str(route.server_name), [attempt for target in route.targets for attempt in target.refused])


def route_lines(route: Route, console: Console) -> Iterator[str]:
    """
    Explain a route, line by line.
    """
    yield from route_head_lines(route, console)
    for target in route.targets:
        yield f"  target {escaped(str(target.target))}"
        yield from _target_lines(target, console)


def route_head_lines(route: Route, console: Console) -> Iterator[str]:
    """
    Explain who must answer.
    """
    yield console.paint(escaped(str(route.server_name)), "bold")
    for step in route.steps:
        yield f"  {console.paint(f'step {escaped(step.number)}', 'cyan')}: {escaped(step.found)}"
    yield f"  Host: {escaped(route.host_header)}"
    yield f"  TLS name: {escaped(route.tls_name)}"


def _target_lines(target: LocatedTarget, console: Console) -> Iterator[str]:
    rules = dict(target.exempt)
    places: list[tuple[str | None, str, str]] = [(one, "address", one) for one in target.addresses]
    if target.proxy is not None and target.is_dialled:
        places.insert(0, (None, "through", target.proxy))
    for address, word, shown in places:
        note = f" (certificate not checked: {escaped(rules[address])})" if address in rules else ""
        yield f"    {word} {console.paint(escaped(shown), 'green')}{console.paint(note, 'yellow') if note else ''}"
    yield from refused_lines(target, console)


def refused_lines(target: LocatedTarget, console: Console) -> Iterator[str]:
    """
    Say what of a target may not be connected to, or was not found.
    """
    for attempt in target.refused:
        yield f"    {console.paint('refused', 'red')}: {escaped(attempt.error.reason)}"


def known_lines(known: list[Known] | None, console: Console) -> Iterator[str]:
    """
    Tell what is remembered, a line each, if that was asked for.
    """
    for one in known or ():
        yield f"  {console.paint('known', 'cyan')} {escaped(str(one))}"


def known_json(known: list[Known] | None) -> dict[str, Any]:
    """
    Describe what is remembered, if that was asked for.
    """
    return {} if known is None else {"known": [attrs.asdict(one) for one in known]}


def failure_lines(error: FederationError) -> Iterator[str]:
    """
    Say what failed, and below it every attempt that was made.
    """
    subject = f"{error.server_name}: " if error.server_name else ""
    yield escaped(subject + _headline(error))
    for attempt in error.attempts:
        yield f"  {escaped(str(attempt))}"


def _headline(error: FederationError) -> str:
    """
    Leave out of a reason the list of the attempts, which have lines of their
    own.
    """
    listing = "; ".join(map(str, error.attempts))
    return error.reason.removesuffix(listing).rstrip(":; ") or error.reason


def failure_json(error: FederationError) -> dict[str, Any]:
    """
    Describe a failure, as L{matrix_federation_agent._failures.failure_json}
    does; C{phase} is null where it is not known.
    """
    described = _failures.failure_json(error)
    return {**described, "phase": None} if isinstance(error, CommandTimedOut) else described


def route_json(route: Route) -> dict[str, Any]:
    """
    Describe a route; L{Resolve<matrix_federation_agent._cli.resolve.Resolve>}
    documents the keys.
    """
    failure = why_unreachable(route)
    return {
        "server_name": str(route.server_name),
        "effective": str(route.effective),
        "delegated": route.step.startswith("3."),
        "step": route.step,
        "steps": [{"number": step.number, "found": step.found} for step in route.steps],
        "host_header": route.host_header,
        "tls_name": route.tls_name,
        "targets": [_target_json(target) for target in route.targets],
        "failure": None if failure is None else failure_json(failure),
    }


def no_route_json(name: ServerName, error: FederationError) -> dict[str, Any]:
    """
    Describe that no route is known, with the same keys.
    """
    keys = ("server_name", "effective", "delegated", "step", "steps", "host_header", "tls_name", "targets")
    known = {"server_name": str(name), "steps": [], "targets": []}
    return {**dict.fromkeys(keys), **known, "failure": failure_json(error)}


def _target_json(target: LocatedTarget) -> dict[str, Any]:
    return {
        "host": target.target.host.host,
        "port": target.target.port,
        "addresses": list(target.addresses),
        "refused": [attempt_json(attempt) for attempt in target.refused],
        "exempt": [{"address": address, "rule": rule} for address, rule in target.exempt],
        "proxy": target.proxy,
    }
