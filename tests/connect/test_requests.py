"""
Tests of C{matrix_federation_agent._connect.requests}.
"""

from __future__ import annotations

from typing import Any

from twisted.web.iweb import UNKNOWN_LENGTH

from matrix_federation_agent._connect.requests import RequestWriter, require_method
from matrix_federation_agent._http.sending import WholeBody
from matrix_federation_agent.errors import InvalidRequest
from tests.case import TestCase
from tests.http.kit import Producer


class RequestWriterTests(TestCase):
    """
    L{RequestWriter}.
    """

    def written(self, length: Any) -> bytes:
        """
        Write the head of a request with a body, and find the line that tells its end.
        """
        request = RequestWriter(b"agent").written(
            "ex.com", b"ex.com", b"PUT", b"matrix-federation://ex.com/", b"/", None, Producer(length)
        )
        return request.head.split(b"\r\n")[-3]

    def test_lengths(self) -> None:
        """
        Known or unknown.
        """
        ends = [self.written(length) for length in (0, 5, UNKNOWN_LENGTH)]
        self.assertEqual(ends, [b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked"])

    def test_lengths_that_are_none(self) -> None:
        """
        A producer with another idea of a length is refused: head and body would differ, and one request be two.
        """
        for length in (-1, None, 5.0, "5", b"5"):
            with self.assertRaisesRegex(InvalidRequest, "neither known nor unknown"):
                self.written(length)

    def test_a_body_that_is_there(self) -> None:
        """
        It is not produced first.
        """
        written = RequestWriter(b"agent").written(
            "ex.com", b"ex.com", b"PUT", b"matrix-federation://ex.com/", b"/", None, WholeBody(b"abc")
        )
        self.assertEqual((written.body, b"\r\nContent-Length: 3\r\n" in written.head), (b"abc", True))


class MethodTests(TestCase):
    """
    L{require_method}.
    """

    def test_connect(self) -> None:
        """
        CONNECT would leave HTTP, and what follows the response be anything.
        """
        with self.assertRaisesRegex(InvalidRequest, "proxies"):
            require_method(b"CONNECT", "ex.com")
