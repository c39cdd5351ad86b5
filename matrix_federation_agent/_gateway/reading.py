"""
Requests, from bytes as they arrive: strict, because two readers that find two
requests in the same bytes are what request smuggling is made of (RFC 9112,
section 11.2).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._http.framing import Delimiter, content_length, elements
from .._http.head import TOKEN_BYTES, MalformedMessage, parse_fields
from .head import RequestHead

if TYPE_CHECKING:
    from .._policies import GatewayPolicy

MAXIMUM_EMPTY_LINES = 4
"""
Empty lines before a head; RFC 9112, section 2.2, asks for one.
"""

# RFC 9112, section 3: request-line = method SP request-target SP HTTP-version
# A longer method is nobody's; log lines have to hold it.
_REQUEST_LINE = re.compile(rb"([%b]{1,64}+) ([!-~]++) HTTP/([0-9])\.([0-9])\r\n" % re.escape(TOKEN_BYTES))
# What ends a head, also where its lines are not the strict ones: it is refused then, not waited for.
_HEAD_END = re.compile(rb"\n\r?\n")


class Refused(Exception):
    """
    What was sent is not accepted as a request; the text never repeats it.

    @ivar code: the status of the answer.
    @ivar reason: tells why.
    @ivar limit: of bytes, where there were more; else 0.
    """

    def __init__(self, code: int, reason: str, limit: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.limit = limit


class HeadReader:
    """
    Reads the heads of requests, one after the other.

    @ivar begun: whether a head has begun that is not complete.
    """

    def __init__(self) -> None:
        # What arrived of the next head, and how much of it has no end.
        self._received = bytearray()
        self._searched = 0
        self._empty_lines = 0

    @property
    def begun(self) -> bool:
        """
        Whether a head has begun that is not complete.
        """
        return bool(self._received)

    def feed(self, data: bytes, policy: GatewayPolicy) -> tuple[RequestHead, bytes] | None:
        """
        Take what arrived.

        @return: a head and what follows it, once it is complete.
        @raise Refused: when it is no head, or is beyond the limits.
        """
        # Most heads arrive in one piece, which is not copied.
        text: bytes | bytearray = data
        if self._received:
            self._received += data
            text = self._received
        begin = self._after_empty_lines(text)
        end = text.find(b"\r\n\r\n", max(begin, self._searched))
        size = (end + 4 if end >= 0 else len(text)) - begin
        if size > policy.max_head_bytes:
            raise Refused(431, "its head is too long", policy.max_head_bytes)
        if end < 0:
            self._keep(text, begin)
            return None
        head = parse_request_head(bytes(text[begin : end + 2]), policy.max_headers)
        rest = bytes(text[end + 4 :])
        if text is self._received:
            self._received = bytearray()
        self._searched = self._empty_lines = 0
        return head, rest

    def _after_empty_lines(self, text: bytes | bytearray) -> int:
        """
        Tell where empty lines before a head end.
        """
        begin = 0
        while text.startswith(b"\r\n", begin):
            begin += 2
            self._empty_lines += 1
            if self._empty_lines > MAXIMUM_EMPTY_LINES:
                raise Refused(400, f"more than {MAXIMUM_EMPTY_LINES} empty lines before it")
        return begin

    def _keep(self, text: bytes | bytearray, begin: int) -> None:
        """
        Keep a head that is not complete.
        """
        if _HEAD_END.search(text, max(begin, self._searched)) is not None:
            raise Refused(400, "a line that does not end in CRLF")
        if text is self._received:
            del self._received[:begin]
        else:
            self._received += text[begin:]
        # The last three bytes can be part of an end.
        self._searched = max(0, len(self._received) - 3)


def parse_request_head(head: bytes, max_headers: int) -> RequestHead:
    """
    Read the head of a request.

    @param head: its lines, without the empty one at its end.
    @param max_headers: lines of headers that it may have.
    @raise Refused: when it is none, or has too many lines.
    """
    matched = _REQUEST_LINE.match(head)
    if matched is None:
        raise Refused(400, "its first line is no request line of HTTP/1.1")
    method, target, major, minor = matched.groups()
    if major != b"1":
        raise Refused(505, "the gateway speaks HTTP/1.1")
    lines = head[matched.end() :]
    count = lines.count(b"\n")
    if count > max_headers:
        raise Refused(431, f"more than {max_headers} lines of headers")
    # Section 2.2: a server need not bear a bare LF.  Section 5.2: it refuses folds.
    if lines.count(b"\r\n") != count or b"\n " in lines or b"\n\t" in lines:
        raise Refused(400, "a line that is folded or does not end in CRLF")
    try:
        fields = parse_fields(lines, max_headers)
    except MalformedMessage as error:
        raise Refused(400, str(error)) from None
    found = RequestHead(method, target, min(int(minor), 1), fields)
    _require_host(found)
    return found


def _require_host(head: RequestHead) -> None:
    """
    Require one Host (RFC 9112, section 3.2), whatever it says: the target
    says it all, and that of Twisted's Agent is none (C{ex.com:80}).
    """
    hosts = len(head.fields.get(b"host", ()))
    if hosts > 1 or (hosts == 0 and head.minor):
        raise Refused(400, "no Host header, or several")


def body_end(head: RequestHead) -> int | Delimiter:
    """
    Decide where the body of a request ends (RFC 9112, section 6.3).

    @return: its length in bytes, or that it is in chunks.
    @raise Refused: when that is not certain, or it is coded otherwise.
    """
    fields = head.fields
    lengths, codings = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if codings is not None:
        if not head.minor:
            raise Refused(400, "a Transfer-Encoding in HTTP/1.0")
        if lengths is not None:
            raise Refused(400, "both a Transfer-Encoding and a Content-Length")
        if [coding for coding in elements(codings) if coding] != [b"chunked"]:
            raise Refused(501, "the only transfer coding is chunked")
        return Delimiter.CHUNKS
    if lengths is None:
        return 0
    try:
        return content_length(lengths)
    except MalformedMessage as error:
        raise Refused(400, str(error)) from None


def expects_continue(head: RequestHead) -> bool:
    """
    Tell whether a client waits for leave to send its body (RFC 9110, section
    10.1.1); one of HTTP/1.0 does not.

    @raise Refused: when it expects something else.
    """
    values = head.fields.get(b"expect")
    if values is None or not head.minor:
        return False
    if elements(values) != [b"100-continue"]:
        raise Refused(417, "it expects what nobody knows")
    return True
