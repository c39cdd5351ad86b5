"""
The outcomes of the demo, as text and as JSON.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .._text import escaped
from ..errors import FederationError
from .report import failure_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .console import Console
    from .outcome import Outcome

_HEADINGS = ("server name", "step", "Host", "TLS name", "address", "outcome", "ms")
_GAP = "  "
_INDENT = "    "
_NARROWEST = 60


def table(outcomes: Sequence[Outcome], console: Console) -> Iterator[str]:
    """
    Write a line for each server, and below it what is wrong with it.
    """
    rows = [_cells(outcome) for outcome in outcomes]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    yield console.paint(_line(_HEADINGS, widths), "bold")
    for outcome, row in zip(outcomes, rows, strict=True):
        yield console.paint(_line(row, widths), _colour(outcome))
        yield from _explanation(outcome, console.width)


def footer(outcomes: Sequence[Outcome], seconds: float, console: Console) -> Iterator[str]:
    """
    Sum up.
    """
    differing = sum(1 for outcome in outcomes if outcome.differs)
    told = f"{differing} not as expected" if differing else "each as expected"
    yield ""
    yield console.paint(f"{len(outcomes)} servers in {seconds:.1f} s, {told}", "red" if differing else "green")


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """
    Describe an outcome; L{Demo<matrix_federation_agent._cli.demo.Demo>}
    documents the keys.
    """
    return {
        "server_name": outcome.server_name,
        "fault": outcome.fault or None,
        "step": outcome.route.step,
        "host_header": outcome.route.host_header,
        "tls_name": outcome.route.tls_name,
        "address": outcome.address,
        "outcome": outcome.word,
        "status": outcome.status,
        "failure": _failure_json(outcome.error),
        "milliseconds": round(outcome.milliseconds, 1),
        "differs": outcome.differs or None,
    }


def _failure_json(error: Exception | None) -> dict[str, Any] | None:
    if error is None or isinstance(error, FederationError):
        return None if error is None else failure_json(error)
    return {"type": type(error).__name__, "phase": None, "reason": str(error), "attempts": []}


def _cells(outcome: Outcome) -> list[str]:
    route = outcome.route
    word = outcome.word if outcome.status is None else f"{outcome.word} {outcome.status}"
    named = (outcome.server_name, route.step, route.host_header, route.tls_name, outcome.address or "-", word)
    return [*map(escaped, named), f"{outcome.milliseconds:.0f}"]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # The last column holds numbers.
    texts = [cell.ljust(width) for cell, width in zip(cells[:-1], widths[:-1], strict=True)]
    return _GAP.join([*texts, cells[-1].rjust(widths[-1])])


def _colour(outcome: Outcome) -> str:
    if outcome.differs:
        return "red"
    return "green" if outcome.error is None else "yellow"


def _explanation(outcome: Outcome, width: int) -> Iterator[str]:
    """
    Say what is wrong with a server, why it was refused, and what differs.
    """
    said = [outcome.fault, outcome.reason, f"NOT AS EXPECTED: {outcome.differs}" if outcome.differs else ""]
    text = escaped(" -> ".join(filter(None, said)))
    # A name is not broken at its hyphens.
    columns = max(width, _NARROWEST)
    yield from wrap(text, columns, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
