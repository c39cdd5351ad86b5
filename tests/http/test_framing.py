"""
Tests of C{matrix_federation_agent._http.framing}.
"""

from __future__ import annotations

from matrix_federation_agent._http.framing import Delimiter, body_end, is_persistent
from matrix_federation_agent._http.head import MalformedMessage, parse_head
from tests.case import TestCase

CHUNKED = b"Transfer-Encoding: chunked\r\n"

# Method, version and status, headers, and where the body ends.
ENDS: list[tuple[bytes, bytes, bytes, int | Delimiter]] = [
    (b"GET", b"1.1 200", b"", Delimiter.CLOSE),
    (b"GET", b"1.0 200", b"", Delimiter.CLOSE),
    (b"GET", b"1.1 200", b"Content-Length: 5\r\n", 5),
    (b"GET", b"1.0 200", b"Content-Length: 5\r\n", 5),
    (b"GET", b"1.1 200", b"Content-Length: 0\r\n", 0),
    (b"GET", b"1.1 200", b"Content-Length: 007\r\n", 7),
    (b"GET", b"1.1 200", b"Content-Length: 5\r\ncontent-length: 5\r\n", 5),
    (b"GET", b"1.1 200", b"Content-Length: 5 ,\t5,5\r\n", 5),
    (b"GET", b"1.1 200", b"Content-Length: " + b"9" * 18 + b"\r\n", 10**18 - 1),
    (b"GET", b"1.1 200", CHUNKED, Delimiter.CHUNKS),
    (b"GET", b"1.2 200", CHUNKED, Delimiter.CHUNKS),
    (b"GET", b"1.1 200", b"Transfer-Encoding: , CHUNKED ,\r\n", Delimiter.CHUNKS),
    (b"HEAD", b"1.1 200", b"Content-Length: 5\r\n", 0),
    (b"HEAD", b"1.1 200", CHUNKED, 0),
    (b"HEAD", b"1.1 200", b"", 0),
    (b"head", b"1.1 200", b"Content-Length: 5\r\n", 5),
    (b"GET", b"1.1 204", b"Content-Length: 5\r\n", 0),
    (b"GET", b"1.1 304", b"Content-Length: 5\r\n", 0),
    (b"GET", b"1.1 304", CHUNKED, 0),
    (b"GET", b"1.1 205", b"Content-Length: 5\r\n", 5),
]

UNCERTAIN: list[tuple[bytes, bytes]] = [
    (b"1.1 200", b"Content-Length: 5\r\nContent-Length: 6\r\n"),
    (b"1.1 200", b"Content-Length: 5, 6\r\n"),
    (b"1.1 200", b"Content-Length: 5,\r\n"),
    (b"1.1 200", b"Content-Length: 5, 05\r\n"),
    (b"1.1 200", b"Content-Length:\r\n"),
    (b"1.1 200", b"Content-Length: -5\r\n"),
    (b"1.1 200", b"Content-Length: +5\r\n"),
    (b"1.1 200", b"Content-Length: 0x5\r\n"),
    (b"1.1 200", b"Content-Length: 5_0\r\n"),
    (b"1.1 200", b"Content-Length: 5 0\r\n"),
    (b"1.1 200", b"Content-Length: \xb2\r\n"),
    (b"1.1 200", b"Content-Length: " + b"9" * 19 + b"\r\n"),
    (b"1.1 200", CHUNKED + b"Content-Length: 5\r\n"),
    (b"1.0 200", CHUNKED),
    (b"1.0 200", CHUNKED + b"Content-Length: 5\r\n"),
    (b"1.1 200", CHUNKED + CHUNKED),
    (b"1.1 200", b"Transfer-Encoding: gzip, chunked\r\n"),
    (b"1.1 200", b"Transfer-Encoding: chunked, gzip\r\n"),
    (b"1.1 200", b"Transfer-Encoding: gzip\r\n"),
    (b"1.1 200", b"Transfer-Encoding: identity\r\n"),
    (b"1.1 200", b"Transfer-Encoding: xchunked\r\n"),
    (b"1.1 200", b"Transfer-Encoding: chunked;a=b\r\n"),
    (b"1.1 200", b"Transfer-Encoding:\r\n"),
]

# Version, headers, and whether the connection persists.
PERSISTENCE: list[tuple[bytes, bytes, bool]] = [
    (b"1.1", b"", True),
    (b"1.2", b"", True),
    (b"1.0", b"", False),
    (b"1.1", b"Connection: close\r\n", False),
    (b"1.1", b"Connection: x, CLOSE ,y\r\n", False),
    (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
    (b"1.1", b"Connection: keep-alive\r\n", True),
    (b"1.1", b"Connection: closed\r\n", True),
    (b"1.0", b"Connection: Keep-Alive\r\n", True),
    (b"1.0", b"Connection: keep-alive, close\r\n", False),
    (b"1.0", b"Proxy-Connection: keep-alive\r\n", False),
    (b"1.0", b"Connection: x\r\n", False),
]


class BodyEndTests(TestCase):
    """
    L{body_end}.
    """

    def test_ends(self) -> None:
        """
        RFC 9112, section 6.3: its rules in their order.
        """
        for method, begin, fields, expected in ENDS:
            head = parse_head(b"HTTP/" + begin + b" X\r\n" + fields, 9)
            self.assertEqual(body_end(method, head), expected, (method, begin, fields))

    def test_uncertain(self) -> None:
        """
        Where two readers could find two ends, there is none.
        """
        for begin, fields in UNCERTAIN:
            head = parse_head(b"HTTP/" + begin + b" X\r\n" + fields, 9)
            with self.assertRaises(MalformedMessage, msg=fields):
                body_end(b"GET", head)


class IsPersistentTests(TestCase):
    """
    L{is_persistent}.
    """

    def test_versions_and_options(self) -> None:
        """
        RFC 9112, section 9.3.
        """
        for version, fields, expected in PERSISTENCE:
            head = parse_head(b"HTTP/" + version + b" 200 X\r\n" + fields, 9)
            self.assertIs(is_persistent(head), expected, (version, fields))
