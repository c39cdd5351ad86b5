"""
Tests of C{matrix_federation_agent._gateway.forwarding}.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.web.http_headers import Headers

from matrix_federation_agent._gateway.forwarding import request_headers, response_headers
from matrix_federation_agent._gateway.head import RequestHead
from tests.case import TestCase

# Never forwarded, whatever Connection says.
NOT_OF_REQUESTS = [
    b"Connection",
    b"Content-Length",
    b"Expect",
    b"HTTP2-Settings",
    b"Host",
    b"Keep-Alive",
    b"Max-Forwards",
    b"Proxy-Authenticate",
    b"Proxy-Authorization",
    b"Proxy-Connection",
    b"Proxy-Whatever",
    b"TE",
    b"Trailer",
    b"Trailers",
    b"Transfer-Encoding",
    b"Upgrade",
]
NOT_OF_RESPONSES = [name for name in NOT_OF_REQUESTS if name not in {b"Expect", b"Host", b"Max-Forwards"}]


def chosen(
    headers: dict[bytes, list[bytes]], *connection: bytes, withheld: tuple[bytes, ...] = ()
) -> dict[bytes, list[bytes]]:
    """
    Choose among the headers of a request.

    @param connection: the lines of its C{Connection}.
    """
    fields: dict[bytes, Sequence[bytes]] = {name.lower(): values for name, values in headers.items()}
    if connection:
        fields[b"connection"] = connection
    head = RequestHead(b"GET", b"/", 1, fields)
    return {name: list(values) for name, values in request_headers(head, withheld).getAllRawHeaders()}


class RequestTests(TestCase):
    """
    L{request_headers}.
    """

    def test_G4_end_to_end_headers_are_forwarded(self) -> None:
        """
        Byte for byte, repeated and empty ones included, in their order.
        """
        headers = {
            b"Authorization": [b'X-Matrix origin="a",sig="x"', b"X-Matrix 2"],
            b"Content-Type": [b"application/json;  charset=UTF-8"],
            b"X-Empty": [b""],
            b"X-Bytes": [b"\xff\x80 \tx"],
            b"Proxied": [b"yes"],
        }
        self.assertEqual(list(chosen(headers).items()), list(headers.items()))

    def test_hop_by_hop_headers_are_not(self) -> None:
        """
        Nor what is for the gateway alone.
        """
        for name in NOT_OF_REQUESTS:
            self.assertEqual(chosen({name: [b"x"], b"Accept": [b"*/*"]}), {b"Accept": [b"*/*"]}, name)

    def test_what_Connection_names_is_not(self) -> None:
        """
        In any case and on any line (RFC 9110, section 7.6.1).
        """
        headers = {b"X-A": [b"1"], b"X-B": [b"2"], b"X-C": [b"3"], b"X-D": [b"4"]}
        self.assertEqual(chosen(headers, b"close ,x-A,\tX-b", b"", b"X-C"), {b"X-D": [b"4"]})

    def test_withheld_headers_are_not(self) -> None:
        """
        Whatever their case in the request.
        """
        headers = {b"TraceParent": [b"00-1-2-01"], b"Accept": [b"*/*"]}
        self.assertEqual(chosen(headers, withheld=(b"traceparent",)), {b"Accept": [b"*/*"]})

    def test_the_head_stays_as_it_was(self) -> None:
        """
        The values that were chosen are copies.
        """
        fields = {b"accept": [b"*/*"]}
        request_headers(RequestHead(b"GET", b"/", 1, fields), ()).addRawHeader(b"Accept", b"text/plain")
        self.assertEqual(fields, {b"accept": [b"*/*"]})


class ResponseTests(TestCase):
    """
    L{response_headers}.
    """

    def test_G5_end_to_end_headers_are_forwarded(self) -> None:
        """
        Those of the remote, repeated ones kept.
        """
        headers = Headers({b"server": [b"remote"], b"set-cookie": [b"a=1", b"b=2"], b"etag": [b'"x"'], b"Via": [b"x"]})
        expected = [
            (b"Server", b"remote"),
            (b"Set-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=2"),
            (b"ETag", b'"x"'),
            (b"Via", b"x"),
        ]
        self.assertEqual(response_headers(headers, {}), expected)

    def test_hop_by_hop_headers_are_not(self) -> None:
        """
        C{Trailer} is one of them, for there are no trailers behind the gateway.
        """
        for name in NOT_OF_RESPONSES:
            self.assertEqual(response_headers(Headers({name: [b"x"]}), {}), [], name)

    def test_G5_what_Connection_names_is_not(self) -> None:
        """
        The remote meant it for the gateway.
        """
        headers = Headers({b"X-A": [b"1"], b"X-B": [b"2"]})
        self.assertEqual(response_headers(headers, {b"connection": [b"close, X-a"]}), [(b"X-B", b"2")])

    def test_what_is_only_of_requests_is_forwarded(self) -> None:
        """
        It means nothing in a response.
        """
        self.assertEqual(response_headers(Headers({b"Host": [b"x"]}), {}), [(b"Host", b"x")])
