"""
The head of a response: status line and header lines (RFC 9112, sections 2, 4
and 5).
"""

from __future__ import annotations

import re

import attrs
from twisted.web.http_headers import Headers

MAXIMUM_NAME = 256
"""
Bytes of one header's name.  Twisted remembers 10,000 names for as long as the
process runs, so their length has to be bounded.
"""

# RFC 9110, section 5.6.2: token = 1*tchar
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# RFC 9112, section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
# Servers leave out the second space where there is no phrase.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: (.*))?")
# RFC 9112, section 5.2: obs-fold = OWS CRLF RWS
_FOLD = re.compile(rb"\n[ \t]+")


class MalformedResponse(ValueError):
    """
    What a server sent is no HTTP response; the text never repeats what it
    sent.
    """


@attrs.frozen
class HeadLimits:
    """
    What the head of a response may have.

    @ivar max_bytes: of the head and of all informational ones before it.
    @ivar max_headers: lines of headers in one head.
    @ivar max_informational: responses with a status of 1xx before the
        response.
    """

    max_bytes: int
    max_headers: int
    max_informational: int


@attrs.frozen
class ResponseHead:
    """
    The head of one response.

    @ivar version: the protocol's name, its major and its minor version.
    @ivar code: the status, from 100 to 999.
    @ivar phrase: the server's words for it; may be empty.
    @ivar headers: what the header lines say.
    """

    version: tuple[bytes, int, int]
    code: int
    phrase: bytes
    headers: Headers


def parse_head(head: bytes, max_headers: int) -> ResponseHead:
    """
    Read the head of a response.

    @param head: without the empty line at its end.
    @param max_headers: lines of headers that it may have.
    @raise MalformedResponse: when it is none, or is too long.
    """
    status_line, _, fields = unified(head).partition(b"\n")
    matched = _STATUS_LINE.fullmatch(status_line)
    if matched is None:
        raise MalformedResponse("no status line of HTTP/1")
    minor, code, phrase = matched.groups(b"")
    return ResponseHead((b"HTTP", 1, int(minor)), int(code), phrase, Headers(parse_fields(fields, max_headers)))


def unified(text: bytes) -> bytes:
    """
    Make every line of a head end in LF alone, which may end one as well (RFC
    9112, section 2.2).

    @raise MalformedResponse: when it has another CR, or a NUL (RFC 9110,
        section 5.5).
    """
    text = text.replace(b"\r\n", b"\n")
    if b"\r" in text or b"\0" in text:
        raise MalformedResponse("a CR that ends no line, or a NUL")
    return text


def parse_fields(text: bytes, max_headers: int) -> dict[bytes, list[bytes]]:
    """
    Read lines of headers.

    @param text: the lines, each of which ends in LF alone; the last need not
        end.
    @param max_headers: lines that there may be.
    @return: the values of each name, which is in lower case.
    @raise MalformedResponse: when a line is none, or there are too many.
    """
    if not text:
        return {}
    if text.count(b"\n") - text.endswith(b"\n") >= max_headers:
        raise MalformedResponse(f"more than {max_headers} lines of headers")
    if b"\n " in text or b"\n\t" in text:
        # RFC 9112, section 5.2: a user agent replaces a fold by spaces.
        text = _FOLD.sub(b" ", text)
    fields: dict[bytes, list[bytes]] = {}
    for line in text.removesuffix(b"\n").split(b"\n"):
        name, colon, value = line.partition(b":")
        if not colon:
            raise MalformedResponse("a line of headers without a colon")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    _require_names(fields)
    return fields


def _require_names(fields: dict[bytes, list[bytes]]) -> None:
    """
    Refuse names that are no tokens: with whitespace before the colon (RFC
    9112, section 5.1), or a line that begins with it after the status line
    (section 2.2).
    """
    if b"" in fields or b"".join(fields).translate(None, TOKEN):
        raise MalformedResponse("a header's name is no token")
    if max(map(len, fields)) > MAXIMUM_NAME:
        raise MalformedResponse(f"a header's name is longer than {MAXIMUM_NAME} bytes")
