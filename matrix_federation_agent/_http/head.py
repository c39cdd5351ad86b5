"""
The head of a response: status line and header lines (RFC 9112, sections 2, 4
and 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs
from twisted.web.http_headers import Headers

MAXIMUM_NAME = 256
"""
Bytes of one header's name.  Twisted remembers 10,000 names for as long as the
process runs, so their length has to be bounded.
"""

# RFC 9110, section 5.6.2: token = 1*tchar
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# A line ends in CRLF, or in LF alone (RFC 9112, section 2.2); any other CR is
# refused, and so is NUL (RFC 9110, section 5.5).
# Section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
# Servers leave out the second space where there is no phrase.
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([^\r\n\0]*+))?\r?\n")
# Section 5: field-line = field-name ":" OWS field-value OWS
_FIELD_LINES = re.compile(rb"(?:[%b]{1,%d}+:[^\r\n\0]*+\r?\n)*" % (re.escape(TOKEN_BYTES), MAXIMUM_NAME))
# Section 5.2: obs-fold = OWS CRLF RWS
_FOLD = re.compile(rb"\r?\n[ \t]+")


# What is said of the connection or of the framing (RFC 9110, section 7.6.1).
# As with Twisted's own client it is no header of the response.
_CONTROL = frozenset({
    b"connection",
    b"content-length",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailers",
    b"transfer-encoding",
    b"upgrade",
})  # fmt: skip


class MalformedMessage(ValueError):
    """
    What was sent is no HTTP message; the text never repeats it.
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
    @ivar control: what those say that are for the connection alone, by their
        names in lower case.
    """

    version: tuple[bytes, int, int]
    code: int
    phrase: bytes
    headers: Headers
    control: Mapping[bytes, Sequence[bytes]] = attrs.field(factory=dict)


def parse_head(head: bytes, max_headers: int) -> ResponseHead:
    """
    Read the head of a response.

    @param head: its lines, without the empty one at its end.
    @param max_headers: lines of headers that it may have.
    @raise MalformedMessage: when it is none, or is too long.
    """
    matched = _STATUS_LINE.match(head)
    if matched is None:
        raise MalformedMessage("its first line is no status line of HTTP/1")
    minor, code, phrase = matched.groups(b"")
    headers, control = Headers(), {}
    for name, values in parse_fields(head[matched.end() :], max_headers).items():
        if name in _CONTROL:
            control[name] = values
        else:
            headers.setRawHeaders(name, values)
    return ResponseHead((b"HTTP", 1, int(minor)), int(code), phrase, headers, control)


def parse_fields(lines: bytes, max_headers: int) -> dict[bytes, list[bytes]]:
    """
    Read lines of headers or trailers.

    @param lines: each with its end.
    @param max_headers: lines that there may be.
    @return: the values, by names in lower case.
    @raise MalformedMessage: when one is none, or there are too many.
    """
    if lines.count(b"\n") > max_headers:
        raise MalformedMessage(f"more than {max_headers} lines of headers")
    if b"\n " in lines or b"\n\t" in lines:
        # RFC 9112, section 5.2: a user agent replaces a fold by spaces.
        lines = _FOLD.sub(b" ", lines)
    if _FIELD_LINES.fullmatch(lines) is None:
        raise MalformedMessage("a line that is no header")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines.splitlines():
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return fields
