"""
What an answer tells of a failure; never more than an operator reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._failures import attempts_json, to_json

if TYPE_CHECKING:
    from ..errors import FederationError

MAXIMUM_BODY = 16 * 1024
"""
Bytes of an answer that tells of attempts.
"""

# Of characters; JSON may need six bytes for one, and the text is there twice.
_MAXIMUM_TEXT = 1000


def described(error: FederationError, server_name: str, errcode: str) -> bytes:
    """
    Write what is known of a failure; attempts for which there is no room are
    counted only.
    """
    text = shortened(error.reason)
    document: dict[str, Any] = {"errcode": errcode, "err": text, "error": text}
    document |= {"phase": error.phase, "server_name": server_name, "attempts": []}
    room = MAXIMUM_BODY - len(to_json({**document, "attempts_left_out": len(error.attempts)}, None))
    for attempt in attempts_json(error):
        # Two more for what stands between two of them.
        room -= len(to_json(attempt, None)) + 2
        if room < 0:
            document["attempts_left_out"] = len(error.attempts) - len(document["attempts"])
            break
        document["attempts"].append(attempt)
    return to_json(document, None).encode("ascii")


def shortened(text: str) -> str:
    """
    Bound a text that may tell what a stranger said.
    """
    return text if len(text) <= _MAXIMUM_TEXT else f"{text[:_MAXIMUM_TEXT]}..."
