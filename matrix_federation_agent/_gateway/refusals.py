"""
Answers to what is not accepted as a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .answers import Answer, error_answer, refusal

if TYPE_CHECKING:
    from .reading import Refused


def malformed(reason: str) -> Answer:
    """
    Answer what is no request.
    """
    return refusal(400, "M_UNKNOWN", f"malformed request: {reason}")


def too_large(limit: int) -> Answer:
    """
    Answer a body that is too long.

    @param limit: in bytes.
    """
    return refusal(413, "M_TOO_LARGE", f"the body of the request is longer than {limit} bytes")


def head_too_large(limit: int) -> Answer:
    """
    Answer a head that is too long (RFC 6585, section 5).

    @param limit: in bytes.
    """
    return refusal(431, "M_TOO_LARGE", f"the head of the request is longer than {limit} bytes")


def late_head() -> Answer:
    """
    Answer a client that does not finish the head of its request.
    """
    return error_answer(408, "M_UNKNOWN", "the head of the request took too long", "late")


def late_body() -> Answer:
    """
    Answer a client that does not go on with the body of its request.
    """
    return error_answer(408, "M_UNKNOWN", "the body of the request took too long", "late")


def unsupported_version() -> Answer:
    """
    Answer another version of HTTP than 1.
    """
    return refusal(505, "M_UNKNOWN", "the gateway speaks HTTP/1.1")


def unsupported_coding() -> Answer:
    """
    Answer another transfer coding than chunked (RFC 9112, section 6.1).
    """
    return refusal(501, "M_UNKNOWN", "the only transfer coding is chunked")


def answer_to(refused: Refused) -> Answer:
    """
    Make the answer that tells why.
    """
    if refused.code == 501:
        return unsupported_coding()
    if refused.code == 505:
        return unsupported_version()
    if refused.limit:
        return head_too_large(refused.limit)
    return attrs.evolve(malformed(refused.reason), code=refused.code)
