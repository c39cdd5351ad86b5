"""
The head of a request (RFC 9112, section 3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .head import TOKEN_BYTES

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers

_CRLF = b"\r\n"
# RFC 9112, section 3.2; more than RFC 3986 permits, but nothing that ends it.
_TARGET = re.compile(rb"[!-~]+")
# RFC 9110, section 8.6: a Content-Length is sent where the method anticipates content.
_WITH_CONTENT = frozenset({b"PUT", b"POST", b"PATCH"})
# Of one connection, or of how the message is framed: ours to say (RFC 9110, section 7.6.1).
_OURS = frozenset({
    b"Connection",
    b"Content-Length",
    b"Host",
    b"Http2-Settings",
    b"Keep-Alive",
    b"Proxy-Connection",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
})  # fmt: skip


def request_head(
    method: bytes, target: bytes, host: bytes, user_agent: bytes, headers: Headers | None, length: int | str | None
) -> bytes:
    """
    Write the head of a request, the empty line at its end included.

    @param target: path and query (RFC 9112, section 3.2.1).
    @param host: the C{Host} header.
    @param user_agent: sent unless the caller has one.
    @param headers: the caller's; those that say how the message is framed or
        what becomes of the connection are left out.
    @param length: of the body in bytes; C{UNKNOWN_LENGTH}: it is sent in
        chunks; C{None}: there is none.
    @raise ValueError: when something would make another request of it.
    """
    if not method or method.translate(None, TOKEN_BYTES) or _TARGET.fullmatch(target) is None:
        raise ValueError("a method or a target that no request can have")
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: %b" % host]
    theirs = [] if headers is None else [pair for pair in headers.getAllRawHeaders() if pair[0] not in _OURS]
    for name, values in theirs:
        lines += [b"%b: %b" % (name, value) for value in values]
    names = [name for name, _ in theirs]
    if b"User-Agent" not in names:
        lines.append(b"User-Agent: %b" % user_agent)
    lines += _body_lines(method, length)
    head = _CRLF.join((*lines, b"", b""))
    _require_lines(head, len(lines) + 1)
    _require_tokens(names)
    return head


def _body_lines(method: bytes, length: int | str | None) -> list[bytes]:
    """
    Tell where the body ends.
    """
    if length is None:
        return [b"Content-Length: 0"] if method in _WITH_CONTENT else []
    if isinstance(length, int):
        return [b"Content-Length: %d" % length]
    return [b"Transfer-Encoding: chunked"]


def _require_lines(head: bytes, expected: int) -> None:
    """
    Refuse a head in which a value has line ends of its own, or a NUL (RFC
    9110, section 5.5).
    """
    if head.count(b"\n") != expected or head.count(b"\r") != expected or b"\0" in head:
        raise ValueError("a header with a CR, a LF or a NUL")


def _require_tokens(names: list[bytes]) -> None:
    if b"" in names or b"".join(names).translate(None, TOKEN_BYTES):
        raise ValueError("a header whose name is no token")
