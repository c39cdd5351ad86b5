"""
Tests of C{matrix_federation_agent._connect.http_connect}.
"""

from __future__ import annotations

from matrix_federation_agent import ServerName
from matrix_federation_agent._connect.http_connect import MAXIMUM_INTERIM, HTTPConnect
from matrix_federation_agent._connect.negotiation import Refused
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._policies.proxy_urls import read_proxy
from tests.case import TestCase

URL = "http://web.example:3128"
LIMIT = 200
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"

# What the proxy answers, and what of it is for the server.
ACCEPTED: list[tuple[bytes, bytes | None]] = [
    (b"HTTP/1.1 200 Connection established\r\n\r\n", b""),
    (b"HTTP/1.0 200 OK\r\n\r\n", b""),
    (b"HTTP/1.1 200\r\n\r\n", b""),
    (b"HTTP/1.1 200 \r\n\r\n", b""),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 299 What\r\nX: y\r\n\r\nrest", b"rest"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nrest\r\n\r\n", b"rest\r\n\r\n"),
    (b"HTTP/1.1 200 \xff\xfe\r\n\r\n", b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest", b"rest"),
    (INTERIM * 3 + b"HTTP/1.1 200 OK\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * (LIMIT - 24) + b"\r\n\r\n" + b"z" * LIMIT, b"z" * LIMIT),
    (b"HTTP/1.1 200 OK\r\n", None),
    (b"HTTP/1.1 200 OK\n\n", None),
    (INTERIM, None),
    (b"", None),
    (b"x" * LIMIT, None),
]

# What the proxy answers, the status that is told, and a word of the reason.
REFUSED: list[tuple[bytes, int | None, str]] = [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 407, "wants credentials"),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", 403, "status 403: it does not permit"),
    (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 502, "status 502: it could not connect"),
    (b"HTTP/1.1 503 Unavailable\r\n\r\n", 503, "status 503: it could not connect"),
    (b"HTTP/1.1 504 Timeout\r\n\r\n", 504, "status 504: the server did not answer"),
    (b"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n", 301, "status 301"),
    (b"HTTP/1.1 300 Choices\r\n\r\n", 300, "status 300"),
    (b"HTTP/1.1 999 X\r\n\r\n", 999, "status 999"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "interim"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 X\r\n\r\n", 500, "status 500"),
    (b"HTTP/2 200 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"HTTP/1.1 20 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"HTTP/1.1 2000 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"HTTP/1.1 000 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"HTTP/1.1  200 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"200 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"\x05\x00\r\n\r\n", None, "HTTP/1.1"),
    (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", None, "HTTP/1.1"),
    (b"x" * (LIMIT + 1), None, "longer than 200 bytes"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * (LIMIT - 23) + b"\r\n\r\n", None, "longer than 200 bytes"),
    (INTERIM * 7 + b"HTTP/1.1 200 OK\r\n\r\n", None, "longer than 200 bytes"),
]


class HTTPConnectTests(TestCase):
    """
    L{HTTPConnect}.
    """

    def connect(self, url: str = URL, target: str = "ex.com", limit: int = LIMIT) -> HTTPConnect:
        """
        Make one.
        """
        return HTTPConnect(read_proxy("rules", url), Target(ServerName(target), 8448), limit)

    def test_P1_requests(self) -> None:
        """
        P1: names and literals with their port; IPv6 in brackets.
        """
        for target in ("ex.com", "192.0.2.1", "[2001:db8::1]"):
            expected = f"CONNECT {target}:8448 HTTP/1.1\r\nHost: {target}:8448\r\n\r\n"
            self.assertEqual(self.connect(target=target).begin(), expected.encode())

    def test_P1_credentials(self) -> None:
        """
        P1: user and password go to the proxy, in UTF-8.
        """
        begun = self.connect("http://%C3%BC:pass@web.example:3128").begin()
        expected = (
            b"CONNECT ex.com:8448 HTTP/1.1\r\nHost: ex.com:8448\r\nProxy-Authorization: Basic w7w6cGFzcw==\r\n\r\n"
        )
        self.assertEqual(begun, expected)

    def test_P1_any_2xx_is_success(self) -> None:
        """
        P1: what follows the head is the server's, whatever the head says of a length.
        """
        for answer, remainder in ACCEPTED:
            negotiation = self.connect()
            self.assertEqual((negotiation.receive(answer), negotiation.remainder), (b"", remainder), answer)

    def test_byte_by_byte(self) -> None:
        """
        Wherever the pieces end, the outcome is the same.
        """
        negotiation = self.connect()
        for one in INTERIM + b"HTTP/1.1 200 OK\r\n\r\n":
            self.assertIs(negotiation.remainder, None)
            negotiation.receive(bytes([one]))
        self.assertEqual(negotiation.remainder, b"")

    def test_P1_anything_else_is_refused(self) -> None:
        """
        P1: with its status, where there is one.
        """
        for answer, status, words in REFUSED:
            negotiation = self.connect()
            refused = self.assertRaises(Refused, negotiation.receive, answer)
            self.assertEqual((refused.status, words in refused.reason), (status, True), (answer, refused.reason))
            self.assertIs(negotiation.remainder, None)

    def test_407_tells_what_is_wrong(self) -> None:
        """
        Whether there were no credentials, or wrong ones.
        """
        answer = b"HTTP/1.1 407 X\r\n\r\n"
        refused = self.assertRaises(Refused, self.connect("http://u:pass@web.example").receive, answer)
        self.assertIn("does not accept the credentials", refused.reason)

    def test_interim_responses_are_counted(self) -> None:
        """
        So many are passed over, and not one more.
        """
        final = b"HTTP/1.1 200 OK\r\n\r\n"
        permitted = self.connect(limit=10_000)
        permitted.receive(INTERIM * MAXIMUM_INTERIM + final)
        self.assertEqual(permitted.remainder, b"")
        self.assertRaises(Refused, self.connect(limit=10_000).receive, INTERIM * (MAXIMUM_INTERIM + 1) + final)
