"""
Bodies of responses, as their framing delimits them (RFC 9112, sections 6.3 and
7.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from .head import MalformedResponse, parse_fields, unified

if TYPE_CHECKING:
    from .framing import Framing
    from .head import HeadLimits

MAXIMUM_CHUNK_LINE = 1024
"""
Bytes of the line before a chunk: its size, extensions and line end (Twisted:
1024).
"""

_CRLF = b"\r\n"
# RFC 9112, section 7.1: chunk = chunk-size [ chunk-ext ] CRLF
# Whitespace without an extension is section 7.1.1's BWS; servers pad sizes.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n\r\0]*)?")


class BodyDecoder(Protocol):
    """
    Finds the body in what follows a head.

    @ivar finished: whether the end of the body was read.
    @ivar excess: whether there was something after it.
    """

    finished: bool
    excess: bool

    def decode(self, data: bytes) -> bytes:
        """
        Take what arrived.

        @return: what of the body is in it.
        @raise MalformedResponse: when it is no such body.
        """

    def end(self) -> None:
        """
        Take that the connection was closed.
        """


def body_decoder(framing: Framing, limits: HeadLimits) -> BodyDecoder:
    """
    Make the decoder of a body.

    @param limits: of the head, which the trailers keep as well.
    """
    if isinstance(framing.length, int):
        return LengthDecoder(framing.length)
    return ChunkedDecoder(limits) if framing.chunked else CloseDecoder()


class LengthDecoder:
    """
    A body of known length.
    """

    def __init__(self, length: int) -> None:
        """
        @param length: in bytes.
        """
        self.finished = length == 0
        self.excess = False
        self._left = length

    def decode(self, data: bytes) -> bytes:
        """
        Pass on what is not too much.
        """
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return data
        self.finished = True
        if left < 0:
            self.excess = True
            data = data[: self._left]
        self._left = 0
        return data

    def end(self) -> None:
        """
        Change nothing: what is missing is missing.
        """


class CloseDecoder:
    """
    A body that ends with the connection.
    """

    def __init__(self) -> None:
        self.finished = False
        self.excess = False

    def decode(self, data: bytes) -> bytes:
        """
        Pass everything on.
        """
        return data

    def end(self) -> None:
        """
        Be finished.
        """
        self.finished = True


class ChunkedDecoder:
    """
    A body in chunks (RFC 9112, section 7.1).  Extensions and trailers are
    read, bounded and left out.  Nothing but CRLF ends a line: here a wrong
    guess would be one about where the response ends.
    """

    def __init__(self, limits: HeadLimits) -> None:
        """
        @param limits: of bytes and lines that the trailers may have.
        """
        self.finished = False
        self.excess = False
        self._limits = limits
        # The beginning of a line that is not complete.
        self._held = b""
        # Bytes of the chunk that are still to come.
        self._left = 0
        # Whether the chunk's line end is still to come.
        self._open = False
        # Complete lines of trailers, once the last chunk was read.
        self._trailers: bytearray | None = None

    def decode(self, data: bytes) -> bytes:
        """
        Pass on the data of chunks.
        """
        data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        position = 0
        while position < len(data):
            if self.finished:
                self.excess = True
                break
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
                pieces.append(piece)
            else:
                position = self._take_line(data, position)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """
        Change nothing: what is missing is missing.
        """

    def _take_line(self, data: bytes, begin: int) -> int:
        """
        Read a line, if it is complete; else hold it.

        @return: where in the data to go on.
        """
        limit = self._line_limit()
        end = data.find(_CRLF, begin, begin + limit)
        if end >= 0:
            self._read_line(data[begin:end])
            return end + 2
        if len(data) - begin >= limit:
            raise MalformedResponse(f"more than {limit} bytes where a line of a chunked body should end")
        self._held = data[begin:]
        return len(data)

    def _line_limit(self) -> int:
        """
        Tell how long the next line may be, its end included.
        """
        if self._open:
            return len(_CRLF)
        if self._trailers is None:
            return MAXIMUM_CHUNK_LINE
        return self._limits.max_bytes - len(self._trailers)

    def _read_line(self, line: bytes) -> None:
        if self._open:
            # Its limit leaves nothing before the line's end.
            self._open = False
        elif self._trailers is None:
            self._read_size(line)
        elif b"\n" in line:
            raise MalformedResponse("a trailer with a LF that ends no line")
        elif line:
            self._trailers += line + _CRLF
        else:
            parse_fields(unified(bytes(self._trailers)), self._limits.max_headers)
            self.finished = True

    def _read_size(self, line: bytes) -> None:
        matched = _CHUNK_LINE.fullmatch(line)
        if matched is None:
            raise MalformedResponse("a chunk without its size")
        self._left = int(matched[1], 16)
        if self._left:
            self._open = True
        else:
            self._trailers = bytearray()
