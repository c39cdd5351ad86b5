"""
Heads of responses, as the client is sent them.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from twisted.web.iweb import UNKNOWN_LENGTH

from .._http.framing import content_length
from .._http.head import MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .answers import Answer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""
The leave to send a body (RFC 9110, section 15.2.1).
"""

_PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}


class Framing(Enum):
    """
    What tells the client where a body ends.
    """

    NOTHING = auto()
    """
    There is no body.
    """
    LENGTH = auto()
    CHUNKS = auto()
    CLOSE = auto()


def framing(method: bytes, minor: int, code: int, length: Any) -> Framing:
    """
    Decide how a response is framed (RFC 9112, section 6).

    @param method: of the request.
    @param minor: the client's minor version of HTTP/1.
    @param length: of the body in bytes, or C{UNKNOWN_LENGTH}.
    """
    if method == b"HEAD" or code in {204, 304}:
        return Framing.NOTHING
    if length is not UNKNOWN_LENGTH:
        return Framing.LENGTH
    return Framing.CHUNKS if minor else Framing.CLOSE


def framing_line(chosen: Framing, code: int, length: Any, control: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """
    Write the header that tells of the body; without one, of the body that
    there would be (RFC 9110, section 8.6).

    @param control: of the remote's response.
    """
    if chosen is Framing.LENGTH:
        return b"Content-Length: %d\r\n" % length
    if chosen is Framing.CHUNKS:
        return b"Transfer-Encoding: chunked\r\n"
    lengths = control.get(b"content-length")
    if chosen is Framing.CLOSE or code == 204 or lengths is None:
        return b""
    try:
        return b"Content-Length: %d\r\n" % content_length(lengths)
    except MalformedMessage:
        # Nothing depends on it.
        return b""


def connection_line(minor: int, *, persistent: bool) -> bytes:
    """
    Write what becomes of the connection (RFC 9112, section 9.3).

    @param minor: the client's minor version of HTTP/1.
    """
    if not persistent:
        return b"Connection: close\r\n"
    return b"" if minor else b"Connection: keep-alive\r\n"


def response_head(code: int, phrase: bytes, headers: Iterable[tuple[bytes, bytes]], last_lines: bytes) -> bytes:
    """
    Write the head of a response.

    @param last_lines: each with its end.
    """
    lines = [b"HTTP/1.1 %d %b\r\n" % (code, phrase)]
    lines += [b"%b: %b\r\n" % pair for pair in headers]
    lines += (last_lines, b"\r\n")
    return b"".join(lines)


def written(answer: Answer, method: bytes, last_line: bytes) -> bytes:
    """
    Write an answer of our own.

    @param method: of the request; HEAD asks for no body.
    @param last_line: what becomes of the connection.
    """
    line = b"Content-Length: %d\r\n" % len(answer.body)
    head = response_head(answer.code, _PHRASES.get(answer.code, b""), answer.headers, line + last_line)
    return head if method == b"HEAD" else head + answer.body
