"""
Answers to requests that failed: what they mean to a homeserver, and no more
of their story than an operator reads.
"""

from __future__ import annotations

from typing import Any

from .._failures import attempts_json, to_json
from ..errors import AddressDenied, AgentClosed, FederationError, InvalidRequest, TimedOut
from .answers import JSON, Answer, come_again, error_answer, internal

MAXIMUM_BODY = 16 * 1024
"""
Bytes of an answer that tells of attempts.
"""

# Of characters; JSON may need six bytes for one, and the text is there twice.
_MAXIMUM_TEXT = 1000


def deadline(server_name: str, seconds: float) -> Answer:
    """
    Answer when a remote had no response in time.

    @param seconds: for which it was waited.
    """
    reason = f"no response within {seconds:g} seconds"
    return failed(TimedOut(server_name, reason, phase="http", seconds=seconds), server_name, 0)


def cancelled(retry_after: int) -> Answer:
    """
    Answer a request that was cancelled: because the client went away, or
    because the agent was closed, and then the client is there.

    @param retry_after: in seconds.
    """
    return error_answer(503, "M_UNKNOWN", "the request was cancelled", "gone", come_again(retry_after))


def failed(error: BaseException, server_name: str, retry_after: int) -> Answer:
    """
    Answer a request that could not be carried out.

    @param server_name: whom it asked.
    @param retry_after: in seconds; named where the gateway has no room.
    """
    if not isinstance(error, FederationError):
        return internal()
    code, errcode, outcome = _meaning(error)
    headers = (JSON, come_again(retry_after)) if code == 503 else (JSON,)
    body = _described(error, server_name, errcode)
    return Answer(code, body, headers, outcome, error.phase, _shortened(error.reason))


def _meaning(error: FederationError) -> tuple[int, str, str]:
    """
    Find status, C{errcode} and outcome of a failure.
    """
    if isinstance(error, AddressDenied):
        return 403, "M_FORBIDDEN", "refused"
    if isinstance(error, InvalidRequest):
        return 400, "M_INVALID_PARAM", "refused"
    if isinstance(error, TimedOut):
        return (503, "M_UNKNOWN", "busy") if error.phase == "pool" else (504, "M_UNKNOWN", "late")
    if isinstance(error, AgentClosed):
        return 503, "M_UNKNOWN", "draining"
    return 502, "M_UNKNOWN", "failed"


def _described(error: FederationError, server_name: str, errcode: str) -> bytes:
    """
    Write what is known of a failure; attempts for which there is no room are
    counted only.
    """
    text = _shortened(error.reason)
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


def _shortened(text: str) -> str:
    """
    Bound a text that may tell what a stranger said.
    """
    return text if len(text) <= _MAXIMUM_TEXT else f"{text[:_MAXIMUM_TEXT]}..."
