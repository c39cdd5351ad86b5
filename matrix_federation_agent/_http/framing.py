"""
Where the body of a response ends, and whether its connection goes on (RFC
9112, sections 6.3 and 9.3).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from .head import MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .head import ResponseHead

MAXIMUM_DIGITS = 18
"""
Digits of a C{Content-Length}: what is longer does not fit into 64 bits.
"""

_BODILESS = frozenset({204, 304})


class Delimiter(Enum):
    """
    What ends a body whose length was not told.
    """

    CHUNKS = auto()
    CLOSE = auto()


def body_end(method: bytes, head: ResponseHead) -> int | Delimiter:
    """
    Decide where the body of a response ends (RFC 9112, section 6.3).

    @param method: of the request.
    @param head: of the final response.
    @return: its length in bytes, or what ends it.
    @raise MalformedMessage: when that is not certain.
    """
    # Rule 1.
    if method == b"HEAD" or head.code in _BODILESS:
        return 0
    lengths = head.control.get(b"content-length")
    codings = head.control.get(b"transfer-encoding")
    # Rules 3 and 4.
    if codings is not None:
        _require_chunked(head, codings, lengths)
        return Delimiter.CHUNKS
    # Rules 5, 6 and 8.
    return Delimiter.CLOSE if lengths is None else content_length(lengths)


def is_persistent(head: ResponseHead) -> bool:
    """
    Tell whether a connection persists after a response that does not end with
    it.
    """
    return persists(head.version[2], head.control)


def persists(minor: int, control: Mapping[bytes, Sequence[bytes]]) -> bool:
    """
    Tell whether a connection persists after a message (RFC 9112, section
    9.3).

    @param minor: the minor version of HTTP/1.
    @param control: as of the message's head.
    """
    since_1_1 = minor >= 1
    values = control.get(b"connection")
    if values is None:
        return since_1_1
    options = elements(values)
    return b"close" not in options and (since_1_1 or b"keep-alive" in options)


def _require_chunked(head: ResponseHead, codings: Sequence[bytes], lengths: Sequence[bytes] | None) -> None:
    """
    Permit one transfer coding only, the chunked one: no other was asked for.
    """
    # Section 6.1: such framing is faulty, even with a Content-Length.
    if head.version[2] < 1:
        raise MalformedMessage("a Transfer-Encoding in HTTP/1.0")
    # Section 6.3, rule 3: "ought to be handled as an error".
    if lengths is not None:
        raise MalformedMessage("both a Transfer-Encoding and a Content-Length")
    if [coding for coding in elements(codings) if coding] != [b"chunked"]:
        raise MalformedMessage("a Transfer-Encoding other than chunked")


def content_length(values: Sequence[bytes]) -> int:
    """
    Read the length of a body; where it is repeated, each has to be the same
    (RFC 9110, section 8.6).

    @raise MalformedMessage: when it is none.
    """
    first, *others = elements(values)
    # Digits of ASCII alone: those are all that bytes know.
    if not first.isdigit() or len(first) > MAXIMUM_DIGITS:
        raise MalformedMessage("a Content-Length that is no number of bytes")
    if any(other != first for other in others):
        raise MalformedMessage("several lengths in Content-Length")
    return int(first)


def elements(values: Sequence[bytes]) -> list[bytes]:
    """
    Read a list (RFC 9110, section 5.6.1) whose elements have no case.
    """
    return [element.strip(b" \t") for element in b",".join(values).lower().split(b",")]
