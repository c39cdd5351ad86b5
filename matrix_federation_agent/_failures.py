"""
Failures as JSON for programs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import Attempt, FederationError


def to_json(document: object, indent: int | None = 2) -> str:
    """
    Write JSON, in visible ASCII.

    @param indent: L{None} for a single line.
    """
    return json.dumps(document, indent=indent).replace("\x7f", "\\u007f")


def failure_json(error: FederationError) -> dict[str, Any]:
    """
    Describe a failure: C{type} (the name of the class), C{phase},
    C{reason}, and C{attempts}: a list of objects with C{target}, C{address},
    C{type}, C{phase} and C{reason}.
    """
    return {**error_json(error), "attempts": attempts_json(error)}


def attempts_json(error: FederationError) -> list[dict[str, Any]]:
    """
    Describe every attempt that preceded an error.
    """
    return [{"target": attempt.target, **attempt_json(attempt)} for attempt in error.attempts]


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """
    Describe an attempt at a known target: C{address} (or null), C{type},
    C{phase} and C{reason}.
    """
    return {"address": attempt.address, **error_json(attempt.error)}


def error_json(error: FederationError) -> dict[str, Any]:
    """
    Describe an error alone: C{type}, C{phase} and C{reason}.
    """
    return {"type": type(error).__name__, "phase": error.phase, "reason": error.reason}
