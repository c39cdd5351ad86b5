"""
One response, from bytes as they arrive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twisted.web.iweb import UNKNOWN_LENGTH

from .decoding import body_decoder
from .framing import body_end, is_persistent
from .head import MalformedMessage, parse_head

if TYPE_CHECKING:
    from .decoding import BodyDecoder
    from .head import HeadLimits, ResponseHead

MAXIMUM_EMPTY_LINES = 4
"""
Empty lines before the heads of one response.  A server has to bear one before
a request (RFC 9112, section 2.2); so do we, from servers that end a body with
one.
"""

_EMPTY_LINE = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\n\r?\n")


class ResponseReader:
    """
    Reads one response from bytes as they arrive.

    @ivar head: the final (not informational) head, once it is complete.
    @ivar length: bytes of the body or C{UNKNOWN_LENGTH}, as C{IResponse} has
        it; valid with C{head}.
    @ivar finished: whether all of the response was read.
    @ivar persistent: whether the connection may carry another request; only
        once the response is finished, and not after excess bytes.
    """

    def __init__(self, method: bytes, limits: HeadLimits) -> None:
        """
        @param method: of the request.
        @param limits: of the head, of informational ones before it, and of
            trailers.
        """
        self.head: ResponseHead | None = None
        self.length: int | str = UNKNOWN_LENGTH
        self.finished = False
        self.persistent = False
        self._method = method
        self._limits = limits
        self._heads = HeadReader(limits)
        self._may_persist = False
        self._decoder: BodyDecoder | None = None

    def feed(self, data: bytes) -> bytes:
        """
        Take what arrived.  What arrives after the response is finished is
        excess, and dropped.

        @return: what of the body is in it, decoded.
        @raise MalformedMessage: when it is no response, or is beyond the
            limits; then and ever after.
        """
        try:
            return self._read(data)
        except MalformedMessage as error:
            self._decoder = _Broken(str(error))
            raise

    def _read(self, data: bytes) -> bytes:
        decoder = self._decoder
        if decoder is None:
            found = self._heads.feed(data)
            if found is None:
                return b""
            head, data = found
            decoder = self._begin(head)
        body = decoder.decode(data)
        if decoder.finished:
            self.finished = True
            self.persistent = self._may_persist and not decoder.excess
        return body

    def _begin(self, head: ResponseHead) -> BodyDecoder:
        """
        Begin with the body.
        """
        end = body_end(self._method, head)
        self.head = head
        if isinstance(end, int):
            self.length = end
        self._may_persist = is_persistent(head)
        self._decoder = decoder = body_decoder(end, self._limits)
        return decoder

    def end(self) -> bool:
        """
        Take that the connection was closed.

        @return: whether the response is complete; else it was broken off.
        """
        if self._decoder is not None:
            self._decoder.end()
            self.finished = self._decoder.finished
        self.persistent = False
        return self.finished


class HeadReader:
    """
    Reads heads until the final one.
    """

    def __init__(self, limits: HeadLimits) -> None:
        """
        @param limits: of all of them.
        """
        self._limits = limits
        self._left = limits.max_bytes
        self._informational = 0
        self._empty_lines = 0
        # What arrived of the next head, and how much of it has no end.
        self._received = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """
        Take what arrived.

        @return: the final head and what follows it, once it is complete.
        @raise MalformedMessage: when it is no head, or is beyond the limits.
        """
        # Most heads arrive in one piece, which is not copied.
        text: bytes | bytearray = data
        if self._received:
            self._received += data
            text = self._received
        begin = 0
        while True:
            begin = self._after_empty_lines(text, begin)
            found = _HEAD_END.search(text, begin + self._searched, begin + self._left)
            if found is None:
                self._keep(text, begin)
                return None
            # The last line keeps its end.
            head = parse_head(bytes(text[begin : found.start() + 1]), self._limits.max_headers)
            self._searched = 0
            self._left -= found.end() - begin
            begin = found.end()
            if head.code >= 200:
                rest = bytes(text[begin:])
                self._received.clear()
                return head, rest
            self._pass_over(head)

    def _after_empty_lines(self, text: bytes | bytearray, begin: int) -> int:
        """
        Tell where empty lines before a head end.
        """
        while (found := _EMPTY_LINE.match(text, begin)) is not None:
            self._empty_lines += 1
            if self._empty_lines > MAXIMUM_EMPTY_LINES:
                raise MalformedMessage(f"more than {MAXIMUM_EMPTY_LINES} empty lines before its head")
            self._left -= found.end() - begin
            begin = found.end()
        return begin

    def _pass_over(self, head: ResponseHead) -> None:
        """
        Count an informational response (RFC 9110, section 15.2); 101 is none,
        for it leaves HTTP, and nobody asked for that.
        """
        if head.code == 101:
            raise MalformedMessage("it switches protocols, which nobody asked for")
        self._informational += 1
        if self._informational > self._limits.max_informational:
            raise MalformedMessage(f"more than {self._limits.max_informational} informational responses")

    def _keep(self, text: bytes | bytearray, begin: int) -> None:
        """
        Keep a head that is not complete.
        """
        if len(text) - begin >= self._left:
            self._received.clear()
            raise MalformedMessage(f"its head is longer than {self._limits.max_bytes} bytes")
        if text is self._received:
            del self._received[:begin]
        else:
            self._received += text[begin:]
        # The last two bytes can be part of an end.
        self._searched = max(0, len(self._received) - 2)


class _Broken:
    """
    What follows a malformed response.
    """

    def __init__(self, reason: str) -> None:
        self.finished = False
        self.excess = b""
        self._reason = reason

    def decode(self, data: bytes) -> bytes:
        """
        Refuse it.
        """
        raise MalformedMessage(self._reason)

    def end(self) -> None:
        """
        Change nothing: it never ends well.
        """
