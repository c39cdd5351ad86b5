"""
Bodies of messages, as their framing delimits them (RFC 9112, sections 6.3 and
7.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from .framing import Delimiter
from .head import MalformedMessage, parse_fields

if TYPE_CHECKING:
    from .head import HeadLimits

MAXIMUM_CHUNK_LINE = 1024
"""
Bytes of the line before a chunk, and of the end of the chunk before it
(Twisted: 1024).
"""

# RFC 9112, section 7.1: chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
# Section 7.1.1: chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
# Servers pad sizes with spaces, without any extension.
_SIZE = rb"([0-9A-Fa-f]{1,16})[ \t]*+(?:;[^\r\n\0]*+)?"
_FIRST_LINE = re.compile(_SIZE + rb"\r\n")
_NEXT_LINE = re.compile(rb"\r\n" + _SIZE + rb"\r\n")
# What more bytes can still make such a line of.
_BEGUN_FIRST_LINE = re.compile(rb"(?:" + _SIZE + rb"\r?)?")
_BEGUN_NEXT_LINE = re.compile(rb"\r?|\r\n(?:" + _SIZE + rb"\r?)?")


class BodyDecoder(Protocol):
    """
    Finds the body in what follows a head.

    @ivar finished: whether the end of the body was read.
    @ivar excess: what came after that.
    """

    finished: bool
    excess: bytes

    def decode(self, data: bytes) -> bytes:
        """
        Take what arrived.

        @return: what of the body is in it.
        @raise MalformedMessage: when it is no such body.
        """

    def end(self) -> None:
        """
        Take that the connection was closed.
        """


def body_decoder(end: int | Delimiter, limits: HeadLimits) -> BodyDecoder:
    """
    Make the decoder of a body.

    @param end: its length in bytes, or what ends it.
    @param limits: of the head, which the trailers keep as well.
    """
    if isinstance(end, int):
        return LengthDecoder(end)
    return ChunkedDecoder(limits) if end is Delimiter.CHUNKS else CloseDecoder()


class LengthDecoder:
    """
    A body of known length.
    """

    def __init__(self, length: int) -> None:
        """
        @param length: in bytes.
        """
        self.finished = length == 0
        self.excess = b""
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
            self.excess += data[self._left :]
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
        self.excess = b""

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
    read, bounded and left out.  Nothing but CRLF ends a line: a wrong guess
    here would be one about where the message ends.
    """

    def __init__(self, limits: HeadLimits) -> None:
        """
        @param limits: of bytes and lines that the trailers may have.
        """
        self.finished = False
        self.excess = b""
        self._limits = limits
        # The beginning of a line that is not complete.
        self._held = b""
        # Bytes of the chunk that are still to come.
        self._left = 0
        # Whether a chunk was begun.
        self._begun = False
        # Complete lines of trailers, once the last chunk was read.
        self._trailers: bytearray | None = None

    def decode(self, data: bytes) -> bytes:
        """
        Pass on the data of chunks.
        """
        data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self.finished:
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
                pieces.append(piece)
            elif self._trailers is None:
                position = self._begin_chunk(data, position)
            else:
                position = self._take_trailer(data, position, self._trailers)
        if self.finished:
            self.excess += data[position:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """
        Change nothing: what is missing is missing.
        """

    def _begin_chunk(self, data: bytes, begin: int) -> int:
        """
        Read the line before a chunk, and the end of the chunk before it.

        @return: where in the data to go on.
        """
        line = _NEXT_LINE if self._begun else _FIRST_LINE
        matched = line.match(data, begin, begin + MAXIMUM_CHUNK_LINE)
        if matched is None:
            return self._hold_line(data, begin)
        self._begun = True
        self._left = int(matched[1], 16)
        if not self._left:
            self._trailers = bytearray()
        return matched.end()

    def _hold_line(self, data: bytes, begin: int) -> int:
        """
        Keep the beginning of a line before a chunk.
        """
        self._held = data[begin : begin + MAXIMUM_CHUNK_LINE]
        line = _BEGUN_NEXT_LINE if self._begun else _BEGUN_FIRST_LINE
        if len(self._held) == MAXIMUM_CHUNK_LINE or line.fullmatch(self._held) is None:
            raise MalformedMessage("a chunk without a line that tells its size")
        return len(data)

    def _take_trailer(self, data: bytes, begin: int, trailers: bytearray) -> int:
        """
        Read a line of trailers, or the empty line after them.

        @return: where in the data to go on.
        """
        limit = self._limits.max_bytes - len(trailers)
        end = data.find(b"\n", begin, begin + limit) + 1
        line = data[begin : end or begin + limit]
        if end and not line.endswith(b"\r\n"):
            raise MalformedMessage("a line of trailers that does not end in CRLF")
        if not end:
            return self._hold_trailer(line, limit, len(data))
        trailers += line
        if line == b"\r\n":
            parse_fields(bytes(trailers[:-2]), self._limits.max_headers)
            self.finished = True
        return end

    def _hold_trailer(self, line: bytes, limit: int, end: int) -> int:
        """
        Keep the beginning of a line of trailers.
        """
        if len(line) >= limit:
            raise MalformedMessage(f"trailers of more than {self._limits.max_bytes} bytes")
        self._held = line
        return end
