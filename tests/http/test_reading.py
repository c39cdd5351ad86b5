"""
Tests of C{matrix_federation_agent._http.reading}.
"""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from twisted.web.iweb import UNKNOWN_LENGTH

from matrix_federation_agent._http.head import HeadLimits, MalformedMessage
from matrix_federation_agent._http.reading import MAXIMUM_EMPTY_LINES, ResponseReader
from tests.case import TestCase

LIMITS = HeadLimits(max_bytes=200, max_headers=5, max_informational=2)
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

# Method, what arrives, the status, the length, the body, whether it is finished and may carry another request.
READ: list[tuple[bytes, bytes, tuple[int | None, int | str, bytes, bool, bool]]] = [
    (b"GET", FIVE + b"hello", (200, 5, b"hello", True, True)),
    (b"GET", FIVE + b"hell", (200, 5, b"hell", False, False)),
    (b"GET", FIVE + b"hello!", (200, 5, b"hello", True, False)),
    (b"GET", FIVE.replace(b"\r\n", b"\n") + b"hello", (200, 5, b"hello", True, True)),
    (b"GET", FIVE.replace(b"\r\n\r\n", b"\n\r\n") + b"hello", (200, 5, b"hello", True, True)),
    (b"GET", FIVE.replace(b"\r\n\r\n", b"\r\n\n") + b"\r\n\r\n!", (200, 5, b"\r\n\r\n!", True, True)),
    (b"GET", b"\r\n\n" + FIVE + b"hello", (200, 5, b"hello", True, True)),
    (b"GET", HINT + b"\r\n" + HINT + FIVE + b"hello", (200, 5, b"hello", True, True)),
    (b"GET", HINT, (None, UNKNOWN_LENGTH, b"", False, False)),
    (b"GET", FIVE[:-1], (None, UNKNOWN_LENGTH, b"", False, False)),
    (b"GET", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", (200, UNKNOWN_LENGTH, b"hello", True, True)),
    (b"GET", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n\r\n", (200, UNKNOWN_LENGTH, b"hello", True, False)),
    (b"GET", OK + b"\r\nhello", (200, UNKNOWN_LENGTH, b"hello", False, False)),
    (b"HEAD", FIVE, (200, 0, b"", True, True)),
    (b"HEAD", FIVE + b"hello", (200, 0, b"", True, False)),
    (b"GET", b"HTTP/1.1 204 X\r\n\r\n", (204, 0, b"", True, True)),
    (b"GET", b"HTTP/1.0 200 X\r\nContent-Length: 0\r\n\r\n", (200, 0, b"", True, False)),
    (b"GET", OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", (200, 0, b"", True, False)),
    (b"GET", OK + b"X: " + b"x" * 176 + b"\r\n\r\n", (200, UNKNOWN_LENGTH, b"", False, False)),
    (b"GET", HINT * 2 + OK + b"X: " + b"x" * 102 + b"\r\n\r\n", (200, UNKNOWN_LENGTH, b"", False, False)),
    (b"GET", b"\n" * MAXIMUM_EMPTY_LINES + FIVE + b"hello", (200, 5, b"hello", True, True)),
]

MALFORMED = [
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"x" * 200,
    OK + b"X: " + b"x" * 177 + b"\r\n\r\n",
    HINT + OK + b"X: " + b"x" * (177 - len(HINT)) + b"\r\n\r\n",
    b"\r\n" + OK + b"X: " + b"x" * 175 + b"\r\n\r\n",
    b"\n" * (MAXIMUM_EMPTY_LINES + 1),
    b"\n" * MAXIMUM_EMPTY_LINES + HINT + b"\n",
    HINT * 3,
    HINT * 3 + OK + b"\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    OK + b"X: y\r\n" * 6 + b"\r\n",
    OK + b"Content-Length: x\r\n\r\n",
    CHUNKED + b"x\r\n",
    b"\r" + FIVE,
]

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=300)
parts = st.sampled_from([
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204\n", b"HTTP/1.1 100 C\r\n\r\n", b"\r\n", b"\n", b"\r", b"A: b", b" ", b":"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"3\r\nabc\r\n", b"0\r\n"),
    *(FIVE, CHUNKED, HINT, b"\0", b"x" * 150),
])  # fmt: skip
responses = st.lists(parts | st.binary(max_size=3), max_size=12).map(b"".join)


def outcome(pieces: list[bytes], method: bytes = b"GET") -> tuple[int | None, int | str, bytes, bool, bool] | None:
    """
    Tell what a reader finds in pieces; nothing where it refuses them.
    """
    reader = ResponseReader(method, LIMITS)
    try:
        body = b"".join([reader.feed(piece) for piece in pieces])
    except MalformedMessage:
        return None
    code = None if reader.head is None else reader.head.code
    return code, reader.length, body, reader.finished, reader.persistent


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """
    Cut bytes into pieces, empty ones among them.
    """
    bounds = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[begin:end] for begin, end in pairwise(bounds)]


class ResponseReaderTests(TestCase):
    """
    L{ResponseReader}.
    """

    def test_responses(self) -> None:
        """
        A response is read, whether it arrives whole or byte by byte.
        """
        for method, data, expected in READ:
            for pieces in ([data], cut(data, list(range(len(data))))):
                self.assertEqual(outcome(pieces, method), expected, data)

    def test_malformed(self) -> None:
        """
        What is no response, or beyond the limits, is refused.
        """
        for data in MALFORMED:
            for pieces in ([data], cut(data, list(range(len(data))))):
                self.assertIs(outcome(pieces), None, data)

    def test_refused_ever_after(self) -> None:
        """
        After an error there is no response, whatever arrives.
        """
        reader = ResponseReader(b"GET", LIMITS)
        first = self.assertRaises(MalformedMessage, reader.feed, b"x\r\n\r\n")
        again = self.assertRaises(MalformedMessage, reader.feed, FIVE + b"hello")
        self.assertEqual((str(again), reader.head, reader.end()), (str(first), None, False))

    def test_the_end_of_the_connection(self) -> None:
        """
        It completes a body that has no other end, and breaks off others; nothing is persistent after it.
        """
        found = []
        for data in (b"", FIVE[:9], FIVE + b"hell", CHUNKED + b"5\r\nhello\r\n0\r\n", FIVE + b"hello", OK + b"\r\nhi"):
            reader = ResponseReader(b"GET", LIMITS)
            reader.feed(data)
            found.append((reader.end(), reader.finished, reader.persistent))
        self.assertEqual(found, [(False, False, False)] * 4 + [(True, True, False)] * 2)

    def test_excess_in_a_later_piece(self) -> None:
        """
        It is dropped, and the connection carries no other request.
        """
        reader = ResponseReader(b"GET", LIMITS)
        found = [(reader.feed(data), reader.persistent) for data in (FIVE + b"hello", b"", FIVE)]
        self.assertEqual(found, [(b"hello", True), (b"", True), (b"", False)])

    def test_a_short_head_after_a_long_one(self) -> None:
        """
        Its end is found, though the long one arrived in pieces.
        """
        self.assertEqual(
            outcome([HINT[:-1], b"\n" + OK + b"\r\n", b"hi\n\n"]), (200, UNKNOWN_LENGTH, b"hi\n\n", False, False)
        )

    def test_a_head_that_was_read_is_not_kept(self) -> None:
        """
        What is held of it ends with it.
        """
        reader = ResponseReader(b"GET", HeadLimits(max_bytes=65536, max_headers=9, max_informational=2))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        reader.feed(HINT[:-2])
        reader.feed(b"X: " + b"x" * 60_000)
        reader.feed(b"\r\n\r\n" + FIVE)
        self.assertLess(tracemalloc.get_traced_memory()[0], 10_000)

    def test_a_head_that_trickles_is_bounded(self) -> None:
        """
        It holds no more than the limit, and nothing once it was refused or read.
        """
        limits = HeadLimits(max_bytes=65536, max_headers=9, max_informational=2)
        reader = ResponseReader(b"GET", limits)
        reader.feed(OK)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(1023):
            reader.feed(b"x" * 64)
        self.assertLess(tracemalloc.get_traced_memory()[1], 200_000)
        self.assertRaises(MalformedMessage, reader.feed, b"x" * 64)
        self.assertLess(tracemalloc.get_traced_memory()[0], 10_000)


class HostileInputTests(TestCase):
    """
    No bytes raise anything but L{MalformedMessage}, and pieces make no difference.
    """

    def setUp(self) -> None:
        """
        Keep what hypothesis writes out of the checkout.
        """
        super().setUp()
        set_hypothesis_home_dir(str(Path(self.mktemp()).absolute()))
        self.addCleanup(set_hypothesis_home_dir, None)

    @hostile
    @given(responses, st.lists(st.integers(0, 300), max_size=8), st.sampled_from([b"GET", b"HEAD"]))
    def test_pieces_make_no_difference(self, data: bytes, places: list[int], method: bytes) -> None:
        """
        However the bytes of a response are cut, the outcome is the same.
        """
        self.assertEqual(outcome(cut(data, places), method), outcome([data], method))

    @hostile
    @given(responses)
    def test_beginnings_are_no_errors(self, data: bytes) -> None:
        """
        What is refused stays refused, and what is read was never refused before.
        """
        refused = [outcome([data[:size]]) is None for size in range(len(data) + 1)]
        self.assertEqual(refused, sorted(refused))
