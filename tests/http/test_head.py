"""
Tests of C{matrix_federation_agent._http.head}.
"""

from __future__ import annotations

from twisted.web.http_headers import Headers

from matrix_federation_agent._http.head import MAXIMUM_NAME, MalformedMessage, ResponseHead, parse_fields, parse_head
from tests.case import TestCase

# First lines, and what they say.
STATUS_LINES: list[tuple[bytes, tuple[int, int, bytes]]] = [
    (b"HTTP/1.1 200 OK", (1, 200, b"OK")),
    (b"HTTP/1.1 200 ", (1, 200, b"")),
    (b"HTTP/1.1 200", (1, 200, b"")),
    (b"HTTP/1.1 404 Not \xff Found", (1, 404, b"Not \xff Found")),
    (b"HTTP/1.0 503  ", (0, 503, b" ")),
    (b"HTTP/1.2 100 Continue", (2, 100, b"Continue")),
    (b"HTTP/1.1 999 X", (1, 999, b"X")),
]

NO_STATUS_LINES = [
    b"",
    b"200 OK",
    b"HTTP/2.0 200 OK",
    b"HTTP/2 200 OK",
    b"HTTP/0.9 200 OK",
    b"HTTP/1.10 200 OK",
    b"http/1.1 200 OK",
    b" HTTP/1.1 200 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 099 OK",
    b"HTTP/1.1 +20 OK",
    b"HTTP/1.1 200OK",
    b"HTTP/1.1 200 O\0K",
    b"HTTP/1.1 200 O\rK",
    b"HTTP/1.1 200 OK\r",
    b"ICY 200 OK",
]

# Lines of headers, and what they say.
FIELDS: list[tuple[bytes, dict[bytes, list[bytes]]]] = [
    (b"", {}),
    (b"a: b\r\n", {b"a": [b"b"]}),
    (b"a: b\nc:d\n", {b"a": [b"b"], b"c": [b"d"]}),
    (b"a:\r\n", {b"a": [b""]}),
    (b"a: \t \r\n", {b"a": [b""]}),
    (b"a:\t b c \t\r\n", {b"a": [b"b c"]}),
    (b"a: b:c\r\n", {b"a": [b"b:c"]}),
    (b"a: \xff\x01\x7f\r\n", {b"a": [b"\xff\x01\x7f"]}),
    (b"Set-Cookie: a\r\nX: y\r\nset-cookie: b\r\n", {b"set-cookie": [b"a", b"b"], b"x": [b"y"]}),
    (b"a: b\r\n c\r\n", {b"a": [b"b c"]}),
    (b"a: b\n\tc\n \t d\nE: f\n", {b"a": [b"b c d"], b"e": [b"f"]}),
    (b"a: b\r\n\tc\r\n", {b"a": [b"b c"]}),
    (b"a:\r\n b\r\n", {b"a": [b"b"]}),
    (b"a: b\r\n \r\n", {b"a": [b"b"]}),
    (b"!#$%&'*+-.^_`|~09: b\r\n", {b"!#$%&'*+-.^_`|~09": [b"b"]}),
]

NO_FIELDS = [
    b"a\r\n",
    b": b\r\n",
    b"a : b\r\n",
    b"a\t: b\r\n",
    b" a: b\r\n",
    b"\ta: b\r\n",
    b"\r\n",
    b"a: b\r\n\r\nc: d\r\n",
    b"a: b\rc: d\r\n",
    b"a: b\r\r\n",
    b"a: \0\r\n",
    b"a\0: b\r\n",
    b"a(: b\r\n",
    b"\xe9: b\r\n",
    b"a: b\r\nc d: e\r\n",
    b"a: b",
]


class ParseHeadTests(TestCase):
    """
    L{parse_head}.
    """

    def test_status_lines(self) -> None:
        """
        Version, status and phrase are read; the phrase may be missing.
        """
        for line, (minor, code, phrase) in STATUS_LINES:
            for end in (b"\r\n", b"\n"):
                expected = ResponseHead((b"HTTP", 1, minor), code, phrase, Headers({b"A": [b"b"]}))
                self.assertEqual(parse_head(line + end + b"a: b" + end, 1), expected, line)

    def test_no_status_lines(self) -> None:
        """
        Whatever else begins a response is refused.
        """
        for line in NO_STATUS_LINES:
            with self.assertRaises(MalformedMessage, msg=line):
                parse_head(line + b"\r\na: b\r\n", 1)

    def test_a_line_that_continues_the_status_line_is_refused(self) -> None:
        """
        RFC 9112, section 2.2: whitespace after the start line begins no header.
        """
        self.assertRaises(MalformedMessage, parse_head, b"HTTP/1.1 200 OK\r\n a: b\r\n", 9)

    def test_control(self) -> None:
        """
        What is said of the connection or of the framing is kept apart, as by Twisted's own client.
        """
        lines = b"KEEP-Alive: 1\r\nX: y\r\nContent-Length: 2\r\nkeep-alive:2\r\nx: z\r\n"
        head = parse_head(b"HTTP/1.1 200 OK\r\n" + lines, 9)
        self.assertEqual(list(head.headers.getAllRawHeaders()), [(b"X", [b"y", b"z"])])
        self.assertEqual(head.control, {b"keep-alive": [b"1", b"2"], b"content-length": [b"2"]})

    def test_errors_repeat_nothing(self) -> None:
        """
        What a server sent is in no error's text, nor in that of its cause.
        """
        for head in (b"GARBAGE\r\n", b"HTTP/1.1 200 OK\r\nGAR BAGE: x\r\n", b"HTTP/1.1 200 OK\r\nGARBAGE\r\n"):
            error = self.assertRaises(MalformedMessage, parse_head, head, 9)
            self.assertEqual(("GAR" in str(error), error.__context__), (False, None))


class ParseFieldsTests(TestCase):
    """
    L{parse_fields}.
    """

    def test_fields(self) -> None:
        """
        Names have no case, values no whitespace round them, and folds are unfolded.
        """
        for lines, expected in FIELDS:
            self.assertEqual(parse_fields(lines, 9), expected, lines)

    def test_no_fields(self) -> None:
        """
        A line that two readers could read in two ways is refused.
        """
        for lines in NO_FIELDS:
            with self.assertRaises(MalformedMessage, msg=lines):
                parse_fields(lines, 9)

    def test_lines_are_counted(self) -> None:
        """
        So many are read, and not one more; folded ones count.
        """
        self.assertEqual(parse_fields(b"a: b\r\n" * 3, 3), {b"a": [b"b"] * 3})
        for lines in (b"a: b\r\n" * 4, b"a: b\n" * 4, b"a: b\r\n c\r\n d\r\n e\r\n"):
            self.assertRaises(MalformedMessage, parse_fields, lines, 3)

    def test_names_are_bounded(self) -> None:
        """
        A name of that length is read, and not one that is longer.
        """
        name = b"A" + b"a" * (MAXIMUM_NAME - 1)
        self.assertEqual(parse_fields(name + b": b\r\n", 1), {name.lower(): [b"b"]})
        self.assertRaises(MalformedMessage, parse_fields, name + b"a: b\r\n", 1)
