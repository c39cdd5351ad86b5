"""
Tests of C{matrix_federation_agent._gateway.reading}.
"""

from __future__ import annotations

from matrix_federation_agent._gateway.head import RequestHead
from matrix_federation_agent._gateway.reading import (
    MAXIMUM_EMPTY_LINES,
    HeadReader,
    Refused,
    body_end,
    expects_continue,
)
from matrix_federation_agent._http.framing import Delimiter
from matrix_federation_agent._policies import GatewayPolicy
from tests.case import TestCase

POLICY = GatewayPolicy(max_head_bytes=200, max_headers=3)
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n"

# First lines, and what they say.
REQUEST_LINES: list[tuple[bytes, tuple[bytes, bytes, int]]] = [
    (b"GET / HTTP/1.1", (b"GET", b"/", 1)),
    (b"GET matrix-federation://ex.com/a?b=%20 HTTP/1.1", (b"GET", b"matrix-federation://ex.com/a?b=%20", 1)),
    (b"OPTIONS * HTTP/1.0", (b"OPTIONS", b"*", 0)),
    (b"GET / HTTP/1.9", (b"GET", b"/", 1)),
    (b"!#$%&'*+-.^_`|~09 " + b'!"<>\\^`{|}~ HTTP/1.1', (b"!#$%&'*+-.^_`|~09", b'!"<>\\^`{|}~', 1)),
    (b"M" * 64 + b" / HTTP/1.1", (b"M" * 64, b"/", 1)),
]

# Heads without the empty line at their end, and the status of the answer.
NO_HEADS: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"GET /\r\nHost: x\r\n", 400),
    (b"GET / HTTP/1.1\nHost: x\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: x\r\n", 400),
    (b" GET / HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET /a b HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET\t/ HTTP/1.1\r\nHost: x\r\n", 400),
    (b"G(T / HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET /\x7f HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET /\0 HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET / http/1.1\r\nHost: x\r\n", 400),
    (b"GET / HTTP/1.10\r\nHost: x\r\n", 400),
    (b"GET / HTTP/1.1\r\r\nHost: x\r\n", 400),
    (b"M" * 65 + b" / HTTP/1.1\r\nHost: x\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: x\r\n", 505),
    (b"GET / HTTP/0.9\r\nHost: x\r\n", 505),
    (b"PRI * HTTP/2.0\r\n", 505),
    (b"GET / HTTP/1.1\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n", 400),
    (b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n", 400),
    (GET + b"A : b\r\n", 400),
    (GET + b" A: b\r\n", 400),
    (GET + b"A: b\r\n c\r\n", 400),
    (GET + b"A: b\r\n\tc\r\n", 400),
    (GET + b"A: b\nC: d\r\n", 400),
    (GET + b"A: b\rC: d\r\n", 400),
    (GET + b"A: \0\r\n", 400),
    (GET + b"A\r\n", 400),
    (GET + b": b\r\n", 400),
    (GET + b"A: b\r\n" * 3, 431),
    (GET + b"A: " + b"b" * 170 + b"\r\n", 431),
]

CHUNKED = b"Transfer-Encoding: chunked\r\n"

# Minor version, headers, and where the body ends, or the status of the answer.
ENDS: list[tuple[bytes, bytes, int | Delimiter]] = [
    (b"1", b"", 0),
    (b"1", b"Content-Length: 5\r\n", 5),
    (b"0", b"Content-Length: 5\r\n", 5),
    (b"1", b"Content-Length: 5, 5\r\n", 5),
    (b"1", CHUNKED, Delimiter.CHUNKS),
    (b"1", b"Transfer-Encoding: Chunked\r\n", Delimiter.CHUNKS),
]
UNCERTAIN: list[tuple[bytes, bytes, int]] = [
    (b"1", b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    (b"1", b"Content-Length: +5\r\n", 400),
    (b"1", b"Content-Length:\r\n", 400),
    (b"1", b"Content-Length: 5\r\n" + CHUNKED, 400),
    (b"0", CHUNKED, 400),
    (b"1", b"Transfer-Encoding: gzip, chunked\r\n", 501),
    (b"1", b"Transfer-Encoding: chunked, identity\r\n", 501),
    (b"1", b"Transfer-Encoding: xchunked\r\n", 501),
    (b"1", CHUNKED + CHUNKED, 501),
]

# Minor version, headers, and whether leave is waited for.
EXPECTATIONS: list[tuple[bytes, bytes, bool]] = [
    (b"1", b"", False),
    (b"1", b"Expect: 100-continue\r\n", True),
    (b"1", b"Expect: 100-Continue\r\n", True),
    (b"0", b"Expect: 100-continue\r\n", False),
    (b"0", b"Expect: x\r\n", False),
]


class HeadReaderTests(TestCase):
    """
    L{HeadReader}.
    """

    def read(self, *pieces: bytes) -> tuple[RequestHead, bytes]:
        """
        Read a head; it must not be complete before the last piece.
        """
        reader = HeadReader()
        *before, found = [reader.feed(piece, POLICY) for piece in pieces]
        self.assertEqual(before, [None] * len(before))
        assert found is not None
        return found

    def refused(self, data: bytes) -> int:
        """
        Read what is no head, byte by byte.

        @return: the status of the answer.
        """
        reader = HeadReader()
        with self.assertRaises(Refused, msg=data) as caught:
            for index in range(len(data)):
                reader.feed(data[index : index + 1], POLICY)
        code: int = caught.exception.code
        return code

    def test_request_lines(self) -> None:
        """
        Method, target and version are read, byte for byte.
        """
        for line, expected in REQUEST_LINES:
            head, _ = self.read(line + b"\r\nHost: x\r\n\r\n")
            self.assertEqual((head.method, head.target, head.minor), expected)

    def test_headers(self) -> None:
        """
        By their names, which have no case.
        """
        head, _ = self.read(GET + b"A: b\r\na:  c \r\n\r\n")
        self.assertEqual(head.fields, {b"host": [b"x"], b"a": [b"b", b"c"]})

    def test_what_follows_is_handed_back(self) -> None:
        """
        Whether the head comes at once or in pieces.
        """
        for pieces in ([GET + b"\r\nrest"], [GET[:9], GET[9:] + b"\r\nrest"], [GET + b"\r", b"\nrest"]):
            self.assertEqual(self.read(*pieces)[1], b"rest", pieces)

    def test_byte_by_byte(self) -> None:
        """
        A head that trickles is the same head, and it is known that it has begun.
        """
        data = b"\r\n" + GET + b"\r\n"
        reader = HeadReader()
        begun = []
        for index in range(len(data) - 1):
            self.assertIsNone(reader.feed(data[index : index + 1], POLICY))
            begun.append(reader.begun)
        found = reader.feed(b"\n", POLICY)
        assert found is not None
        self.assertEqual((found[0].target, reader.begun, begun[2:]), (b"/a", False, [True] * (len(data) - 3)))

    def test_one_after_the_other(self) -> None:
        """
        A reader reads many heads, each with empty lines of its own; one of HTTP/1.0 may have no Host.
        """
        reader = HeadReader()
        lines = b"\r\n" * MAXIMUM_EMPTY_LINES
        for _ in range(2):
            self.assertIsNone(reader.feed(lines + GET, POLICY))
            self.assertIsNotNone(reader.feed(b"\r\n", POLICY))
        self.assertIsNotNone(reader.feed(b"GET / HTTP/1.0\r\n\r\n", POLICY))

    def test_too_many_empty_lines(self) -> None:
        """
        A few are borne before a head, also in pieces.
        """
        self.assertEqual(self.refused(b"\r\n" * (MAXIMUM_EMPTY_LINES + 1)), 400)
        self.assertRaises(Refused, self.read, b"\r\n" * (MAXIMUM_EMPTY_LINES + 1) + GET + b"\r\n")

    def test_no_heads(self) -> None:
        """
        What two readers could read in two ways is refused, whether it comes at once or byte by byte.
        """
        for data, code in NO_HEADS[1:]:
            with self.assertRaises(Refused, msg=data) as caught:
                self.read(data + b"\r\n")
            self.assertEqual((caught.exception.code, self.refused(data + b"\r\n")), (code, code), data)

    def test_a_head_of_bare_line_feeds_is_refused_at_once(self) -> None:
        """
        It is not waited for until it is late.
        """
        for data in (b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost: x\n\r\n"):
            self.assertEqual((self.refused(data), self.assertRaises(Refused, self.read, data).code), (400, 400))

    def test_limit_of_bytes(self) -> None:
        """
        So many are read, the empty line included, and not one more; whether there is an end or not.
        """
        filled = GET + b"A: " + b"b" * (200 - len(GET) - 3 - 4) + b"\r\n\r\n"
        self.assertEqual((len(filled), self.read(b"\r\n" + filled)[0].target), (200, b"/a"))
        longer = GET + b"A: b" + filled[len(GET) + 3 :]
        for data in (longer, longer[:-4] + b"bbbb", b"x" * 201):
            self.assertEqual(self.assertRaises(Refused, self.read, data).code, 431)

    def test_a_long_head_in_small_pieces_is_searched_once(self) -> None:
        """
        What was searched is not searched again, but for what may be part of an end.
        """
        reader = HeadReader()
        for _ in range(3):
            reader.feed(GET[:20], POLICY)
        self.assertEqual((reader._searched, len(reader._received)), (57, 60))

    def test_refusals_repeat_nothing(self) -> None:
        """
        What a client sent is in no answer.
        """
        for data in (b"GARBAGE\r\n\r\n", GET + b"GAR BAGE: x\r\n\r\n"):
            self.assertNotIn("GAR", self.assertRaises(Refused, self.read, data).reason)


class FramingTests(TestCase):
    """
    L{body_end} and L{expects_continue}.
    """

    def head(self, minor: bytes, fields: bytes) -> RequestHead:
        """
        Read a head.
        """
        found = HeadReader().feed(b"PUT / HTTP/1.%b\r\nHost: x\r\n%b\r\n" % (minor, fields), POLICY)
        assert found is not None
        return found[0]

    def test_ends(self) -> None:
        """
        RFC 9112, section 6.3.
        """
        for minor, fields, expected in ENDS:
            self.assertEqual(body_end(self.head(minor, fields)), expected, fields)

    def test_uncertain(self) -> None:
        """
        Where two readers could find two ends, there is no request.
        """
        for minor, fields, expected in UNCERTAIN:
            with self.assertRaises(Refused, msg=fields) as caught:
                body_end(self.head(minor, fields))
            self.assertEqual(caught.exception.code, expected, fields)

    def test_expectations(self) -> None:
        """
        RFC 9110, section 10.1.1: a client of HTTP/1.0 waits for nothing.
        """
        for minor, fields, expected in EXPECTATIONS:
            self.assertIs(expects_continue(self.head(minor, fields)), expected, fields)

    def test_other_expectations(self) -> None:
        """
        What nobody knows cannot be met.
        """
        for value in (b"x", b"100-continue, x", b""):
            refused = self.assertRaises(Refused, expects_continue, self.head(b"1", b"Expect: %b\r\n" % value))
            self.assertEqual(refused.code, 417)
