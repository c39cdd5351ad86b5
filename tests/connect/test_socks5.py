"""
Tests of C{matrix_federation_agent._connect.socks5}.
"""

from __future__ import annotations

from matrix_federation_agent import ServerName
from matrix_federation_agent._connect.negotiation import Refused
from matrix_federation_agent._connect.socks5 import REPLIES, Socks5, connect_request
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._policies.proxy_urls import read_proxy
from tests.case import TestCase

PLAIN = "socks5h://127.0.0.1:9050"
WITH_PASSWORD = "socks5h://user:p%C3%BC@127.0.0.1:9050"
NAMED = Target(ServerName("Ex.com"), 8448)
REQUEST = b"\x05\x01\x00\x03\x06Ex.com\x21\x00"
DONE = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
DONE_IPV6 = b"\x05\x00\x00\x04" + b"\x00" * 16 + b"\x00\x50"
DONE_NAMED = b"\x05\x00\x00\x03\x03abc\x00\x50"
AUTHENTICATION = b"\x01\x04user\x03p\xc3\xbc"

# The URL of the proxy, what it says, and what it is told in answer to each byte or piece.
CONVERSATIONS: list[tuple[str, list[tuple[bytes, bytes]], bytes | None]] = [
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE, b"")], b""),
    (PLAIN, [(b"\x05", b""), (b"\x00", REQUEST), (DONE[:-1], b""), (DONE[-1:], b"")], b""),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE_IPV6, b"")], b""),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE_IPV6[:-1], b"")], None),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE[:-1], b"")], None),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE + b"rest", b"")], b"rest"),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE_NAMED + b"rest", b"")], b"rest"),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE_NAMED[:-1], b"")], None),
    (PLAIN, [(b"\x05\x00", REQUEST), (DONE_NAMED[:4], b"")], None),
    (PLAIN, [(b"\x05\x00" + DONE + b"rest", REQUEST)], b"rest"),
    (WITH_PASSWORD, [(b"\x05\x00", REQUEST), (DONE, b"")], b""),
    (WITH_PASSWORD, [(b"\x05\x02", AUTHENTICATION), (b"\x01\x00", REQUEST), (DONE, b"")], b""),
    (WITH_PASSWORD, [(b"\x05\x02", AUTHENTICATION), (b"\x01", b""), (b"\x00", REQUEST), (DONE, b"")], b""),
    (WITH_PASSWORD, [(b"\x05\x02", AUTHENTICATION), (b"\x01\x00", REQUEST)], None),
]

# The URL of the proxy, what it says, and the reply code of its refusal.
REFUSALS: list[tuple[str, list[bytes], int | None, str]] = [
    (PLAIN, [b"\x04\x00"], None, "does not speak SOCKS5"),
    (PLAIN, [b"HTTP/1.1 400 Bad Request\r\n"], None, "does not speak SOCKS5"),
    (PLAIN, [b"\x05\xff"], None, "wants credentials"),
    (WITH_PASSWORD, [b"\x05\xff"], None, "does not accept a user and password"),
    (PLAIN, [b"\x05\x02"], None, "not offered"),
    (PLAIN, [b"\x05\x01"], None, "not offered"),
    (WITH_PASSWORD, [b"\x05\x01"], None, "not offered"),
    (WITH_PASSWORD, [b"\x05\x02", b"\x01\x01"], None, "does not accept the credentials"),
    (WITH_PASSWORD, [b"\x05\x02", b"\x05\x00"], None, "does not speak SOCKS5"),
    (PLAIN, [b"\x05\x00", b"\x04\x00\x00\x01"], None, "does not speak SOCKS5"),
    (PLAIN, [b"\x05\x00", b"\x05\x00\x00\x02\x00"], None, "holds no address"),
    (PLAIN, [b"\x05\x00", b"\x05\x09"], 9, "unknown reply 9"),
    (PLAIN, [b"\x05\x00", b"\x05\xff" + DONE[2:]], 255, "unknown reply 255"),
    *((PLAIN, [b"\x05\x00", bytes([5, code]) + DONE[2:]], code, words) for code, words in REPLIES.items()),
]


class Socks5Tests(TestCase):
    """
    L{Socks5}.
    """

    def negotiation(self, url: str) -> Socks5:
        """
        Begin.
        """
        return Socks5(read_proxy("rules", url), NAMED)

    def test_offers(self) -> None:
        """
        A password is offered where there is one.
        """
        found = [self.negotiation(url).begin() for url in (PLAIN, WITH_PASSWORD)]
        self.assertEqual(found, [b"\x05\x01\x00", b"\x05\x02\x00\x02"])

    def test_conversations(self) -> None:
        """
        Each piece has its answer, and what follows the last reply is left for the server.
        """
        for url, pieces, remainder in CONVERSATIONS:
            negotiation = self.negotiation(url)
            answers = [negotiation.receive(piece) for piece, _ in pieces]
            self.assertEqual((answers, negotiation.remainder), ([answer for _, answer in pieces], remainder))

    def test_byte_by_byte(self) -> None:
        """
        Wherever the pieces end, the same is said.
        """
        negotiation = self.negotiation(WITH_PASSWORD)
        said = b"".join(negotiation.receive(bytes([one])) for one in b"\x05\x02\x01\x00" + DONE)
        self.assertEqual((said, negotiation.remainder), (AUTHENTICATION + REQUEST, b""))

    def test_refusals(self) -> None:
        """
        Whatever is no success is refused, in words and with the code of the reply.
        """
        for url, pieces, status, words in REFUSALS:
            negotiation = self.negotiation(url)
            *before, last = pieces
            for piece in before:
                negotiation.receive(piece)
            refused = self.assertRaises(Refused, negotiation.receive, last)
            self.assertEqual((refused.status, words in refused.reason), (status, True), (pieces, refused.reason))
            self.assertIs(negotiation.remainder, None)

    def test_every_reply_code_has_words(self) -> None:
        """
        The codes of RFC 1928, section 6, in its order.
        """
        self.assertEqual(list(REPLIES), [1, 2, 3, 4, 5, 6, 7, 8])

    def test_nothing_is_asked_of_who_does_not_accept_the_password(self) -> None:
        """
        No request follows a refused password.
        """
        negotiation = self.negotiation(WITH_PASSWORD)
        negotiation.receive(b"\x05\x02")
        self.assertRaises(Refused, negotiation.receive, b"\x01\x01" + DONE)

    def test_P2_requests(self) -> None:
        """
        P2: names are sent as names, up to the longest, and literals as addresses.
        """
        longest = ".".join(["a" * 62] * 4)
        cases = {
            "192.0.2.1": b"\x01\xc0\x00\x02\x01",
            "[2001:db8::1]": b"\x04\x20\x01\x0d\xb8" + b"\x00" * 11 + b"\x01",
            "abc.onion": b"\x03\x09abc.onion",
            longest: b"\x03\xfb" + longest.encode(),
        }
        found = {name: connect_request(Target(ServerName(name), 443)) for name in cases}
        self.assertEqual(found, {name: b"\x05\x01\x00" + cases[name] + b"\x01\xbb" for name in cases})
