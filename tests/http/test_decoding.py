"""
Tests of C{matrix_federation_agent._http.decoding}.
"""

from __future__ import annotations

from matrix_federation_agent._http.decoding import MAXIMUM_CHUNK_LINE, BodyDecoder, body_decoder
from matrix_federation_agent._http.framing import Delimiter
from matrix_federation_agent._http.head import HeadLimits, MalformedMessage
from tests.case import TestCase

LIMITS = HeadLimits(max_bytes=40, max_headers=3, max_informational=0)

# What ends a body, what arrives, the body, whether it is finished, and what follows.
DECODED: list[tuple[int | Delimiter, bytes, tuple[bytes, bool, bytes]]] = [
    (0, b"", (b"", True, b"")),
    (0, b"x", (b"", True, b"x")),
    (3, b"", (b"", False, b"")),
    (3, b"ab", (b"ab", False, b"")),
    (3, b"abc", (b"abc", True, b"")),
    (3, b"abcd", (b"abc", True, b"d")),
    (Delimiter.CLOSE, b"abcd", (b"abcd", False, b"")),
    (Delimiter.CHUNKS, b"0\r\n\r\n", (b"", True, b"")),
    (Delimiter.CHUNKS, b"000\r\n\r\nx", (b"", True, b"x")),
    (Delimiter.CHUNKS, b"3\r\nabc\r\n0\r\n\r\n", (b"abc", True, b"")),
    (Delimiter.CHUNKS, b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", (b"abc0123456789", True, b"")),
    (Delimiter.CHUNKS, b"a\r\n0123456789", (b"0123456789", False, b"")),
    (Delimiter.CHUNKS, b'3;a=b;c="d"\r\nabc\r\n0 ; x\r\n\r\n', (b"abc", True, b"")),
    (Delimiter.CHUNKS, b"3 \t \r\nabc\r\n0  \r\n\r\n", (b"abc", True, b"")),
    (Delimiter.CHUNKS, b"3;\xff\r\nabc\r\n", (b"abc", False, b"")),
    (Delimiter.CHUNKS, b"2\r\n\r\n\r\n0\r\n\r\n", (b"\r\n", True, b"")),
    (Delimiter.CHUNKS, b"1\r\na\r\n0\r\nX: y\r\nZ: 1\r\n\r\n", (b"a", True, b"")),
    (Delimiter.CHUNKS, b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", (b"a", True, b"HTTP/1.1 200 OK\r\n\r\n")),
    (Delimiter.CHUNKS, b"f" * 16 + b"\r\nab", (b"ab", False, b"")),
    (Delimiter.CHUNKS, b"0\r\n" + b"a:" + b"b" * 34 + b"\r\n\r\n", (b"", True, b"")),
    (Delimiter.CHUNKS, b"1" + b";" * (MAXIMUM_CHUNK_LINE - 3) + b"\r\na", (b"a", False, b"")),
]

NO_CHUNKS = [
    b"\r\n",
    b"\n",
    b"g\r\n",
    b"-1\r\n",
    b"+1\r\n",
    b" 1\r\n",
    b"0x1\r\n",
    b"1_0\r\n",
    b"1 2\r\n",
    b"1\n",
    b"1\rx",
    b"1;\0\r\n",
    b"1;a\nb\r\n",
    b";a\r\n",
    b"\xb2\r\n",
    b"0" * 17,
    b"f" * 17,
    b"1;" + b"a" * (MAXIMUM_CHUNK_LINE - 2),
    b"1;" + b"a" * (MAXIMUM_CHUNK_LINE - 2) + b"\r\n",
    b"1" + b" " * MAXIMUM_CHUNK_LINE,
    b"1\r\nab",
    b"1\r\na\n",
    b"1\r\na\rb",
    b"1\r\na0\r\n\r\n",
    b"1\r\na\r\n\r\n",
    b"0\r\n\n",
    b"0\r\nX: y\n",
    b"0\r\nX\r\n\r\n",
    b"0\r\nX : y\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
    b"0\r\nX: \0\r\n\r\n",
    b"0\r\nX: \r \r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * 4 + b"\r\n",
    b"0\r\n" + b"a:" + b"b" * 35 + b"\r\n\r\n",
    b"0\r\n" + b"a" * 40,
]


def decoded(decoder: BodyDecoder, pieces: list[bytes]) -> tuple[bytes, bool, bytes]:
    """
    Decode all pieces of a body.
    """
    body = b"".join([decoder.decode(piece) for piece in pieces])
    return body, decoder.finished, decoder.excess


def single(data: bytes) -> list[bytes]:
    """
    Make a piece of every byte.
    """
    return [bytes([byte]) for byte in data]


class BodyDecoderTests(TestCase):
    """
    L{body_decoder} and what it makes.
    """

    def test_bodies(self) -> None:
        """
        The body is found, whether it arrives whole or byte by byte.
        """
        for end, data, expected in DECODED:
            for pieces in ([data], single(data)):
                self.assertEqual(decoded(body_decoder(end, LIMITS), pieces), expected, data)

    def test_no_chunks(self) -> None:
        """
        What is not certainly a chunk is refused at once.
        """
        for data in NO_CHUNKS:
            for pieces in ([data], single(data)):
                with self.assertRaises(MalformedMessage, msg=data):
                    decoded(body_decoder(Delimiter.CHUNKS, LIMITS), pieces)

    def test_only_a_body_until_close_ends_with_the_connection(self) -> None:
        """
        Others are broken off.
        """
        found = []
        for end in (0, 1, Delimiter.CHUNKS, Delimiter.CLOSE):
            decoder = body_decoder(end, LIMITS)
            decoder.end()
            found.append(decoder.finished)
        self.assertEqual(found, [True, False, False, True])

    def test_excess_is_not_forgotten(self) -> None:
        """
        Nothing that arrives later makes it good.
        """
        for end, data in ((1, b"ax"), (Delimiter.CHUNKS, b"1\r\na\r\n0\r\n\r\nx")):
            self.assertEqual(decoded(body_decoder(end, LIMITS), [data, b""]), (b"a", True, b"x"))

    def test_large_pieces_are_not_copied(self) -> None:
        """
        A piece that is nothing but body is passed on itself.
        """
        piece = b"x" * 65536
        found = []
        for end in (10**6, Delimiter.CHUNKS, Delimiter.CLOSE):
            decoder = body_decoder(end, LIMITS)
            decoder.decode(b"fffff\r\n")
            found.append(decoder.decode(piece) is piece)
        self.assertEqual(found, [True, True, True])

    def test_errors_repeat_nothing(self) -> None:
        """
        What a server sent is in no error's text.
        """
        for data in (b"GARBAGE\r\n", b"0\r\nGARBAGE\r\n\r\n", b"0\r\nGARBAGE\n"):
            error = self.assertRaises(MalformedMessage, body_decoder(Delimiter.CHUNKS, LIMITS).decode, data)
            self.assertNotIn("GARBAGE", str(error))
