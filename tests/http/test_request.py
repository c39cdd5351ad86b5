"""
Tests of C{matrix_federation_agent._http.request}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from matrix_federation_agent._http.request import request_head
from tests.case import TestCase

BEGIN = b" /a?b HTTP/1.1\r\nHost: ex.com\r\n"
AGENT = b"User-Agent: ours\r\n"

# Method, length, and the line that tells it.
LENGTHS: list[tuple[bytes, int | str | None, bytes]] = [
    (b"GET", None, b""),
    (b"DELETE", None, b""),
    (b"put", None, b""),
    (b"PUT", None, b"Content-Length: 0\r\n"),
    (b"POST", None, b"Content-Length: 0\r\n"),
    (b"PATCH", None, b"Content-Length: 0\r\n"),
    (b"PUT", 0, b"Content-Length: 0\r\n"),
    (b"GET", 0, b"Content-Length: 0\r\n"),
    (b"GET", 12, b"Content-Length: 12\r\n"),
    (b"PUT", UNKNOWN_LENGTH, b"Transfer-Encoding: chunked\r\n"),
]

OURS = [
    b"Connection",
    b"Content-Length",
    b"Host",
    b"HTTP2-Settings",
    b"Keep-Alive",
    b"Proxy-Connection",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
]


class UncheckedHeaders:
    """
    Headers that hold what Twisted's would not let in.
    """

    def __init__(self, name: bytes, value: bytes) -> None:
        self._pair = (name, [value])

    def getAllRawHeaders(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """
        Give it out.
        """
        return iter([self._pair])


class RequestHeadTests(TestCase):
    """
    L{request_head}.
    """

    def head(
        self,
        method: bytes = b"GET",
        target: bytes = b"/a?b",
        *,
        headers: Headers | None = None,
        length: int | str | None = None,
        host: bytes = b"ex.com",
        user_agent: bytes = b"ours",
    ) -> bytes:
        """
        Write one.
        """
        return request_head(method, target, host, user_agent, headers, length)

    def test_lengths(self) -> None:
        """
        RFC 9110, section 8.6: methods that anticipate content tell that there is none.
        """
        for method, length, line in LENGTHS:
            expected = method + BEGIN + AGENT + line + b"\r\n"
            self.assertEqual(self.head(method, length=length), expected, (method, length))

    def test_order(self) -> None:
        """
        C{Host} is first, then what the caller has in its order, then ours; nothing of the caller's changes.
        """
        headers = Headers({b"x-b": [b"1", b"2"], b"accept": [b"*/*"]})
        expected = b"GET" + BEGIN + b"X-B: 1\r\nX-B: 2\r\nAccept: */*\r\n" + AGENT + b"Content-Length: 3\r\n\r\n"
        self.assertEqual(self.head(headers=headers, length=3), expected)
        self.assertEqual(headers, Headers({b"x-b": [b"1", b"2"], b"accept": [b"*/*"]}))

    def test_the_caller_has_a_user_agent(self) -> None:
        """
        Then it is the only one.
        """
        self.assertEqual(self.head(headers=Headers({b"user-agent": [b"x"]})), b"GET" + BEGIN + b"User-Agent: x\r\n\r\n")

    def test_R17_framing_and_connection_are_ours(self) -> None:
        """
        R17: what the caller says of them is left out, whatever its case.
        """
        for name in OURS:
            for spelled in (name, name.lower(), name.upper()):
                headers = Headers({spelled: [b"x"]})
                self.assertEqual(self.head(headers=headers), b"GET" + BEGIN + AGENT + b"\r\n", spelled)

    def test_methods_and_targets(self) -> None:
        """
        A method is a token, a target has no whitespace or anything beyond ASCII.
        """
        for method in (b"", b"G T", b"GET\r\n", b"GET\0", b"G\xe9T", b"GET:"):
            self.assertRaises(ValueError, self.head, method)
        for target in (b"", b"/a b", b"/a\r\nX: y", b"/a\n", b"/\0", b"/\x7f", b"/\xe9", b"/a\t"):
            self.assertRaises(ValueError, self.head, b"GET", target)

    def test_any_token_and_any_target(self) -> None:
        """
        Nothing else is refused; the target is sent as it is.
        """
        target = bytes(range(0x21, 0x7F))
        self.assertEqual(self.head(b"X-!#9", target).split(b" ")[:2], [b"X-!#9", target])

    def test_line_ends_in_values(self) -> None:
        """
        No value of a header has one, or a NUL.
        """
        for value in (b"a\r\nb: c", b"a\rb", b"a\nb", b"a\0b", b"a\r", b"\n"):
            headers = cast("Headers", UncheckedHeaders(b"X", value))
            self.assertRaises(ValueError, self.head, headers=headers)
            self.assertRaises(ValueError, self.head, host=value)
            self.assertRaises(ValueError, self.head, user_agent=value)

    def test_names_are_tokens(self) -> None:
        """
        Whatever Twisted lets in.
        """
        for name in (b"", b"a b", b"a:", b"a\r\nb", b"\xe9", b"a\0"):
            self.assertRaises(ValueError, self.head, headers=cast("Headers", UncheckedHeaders(name, b"x")))
