"""
Hostile input: whatever a stranger sends ends in the named outcome.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation, read_delegation
from matrix_federation_agent._uri import HTTPS, follow_location, parse_uri
from matrix_federation_agent.errors import FederationError, InvalidServerName, InvalidURI, UnsupportedScheme

from .case import TestCase

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=300)


def pieces(*parts: bytes) -> st.SearchStrategy[bytes]:
    """Make bytes that are nearly right: known parts, between anything."""
    return st.lists(st.sampled_from(parts) | st.binary(max_size=3), max_size=12).map(b"".join)


name_bytes = pieces(
    *(b"a", b"A.b", b"xn--", b"-", b".", b":", b"[", b"]", b"::", b"::1", b"ffff", b"1.2.3.4", b"%25", b"_", b"0x7f"),
    *(b":80", b":99999", b":0", b"a" * 63, b"a" * 255, b"\n", b"\0", b"\xc3\xa9", b"\xd9\xa1"),
)

uri_bytes = pieces(
    *(b"https:", b"http:", b"matrix-federation:", b"MATRIX:", b"//", b"/", b"\\", b"@", b":", b"?", b"#", b"[", b"]"),
    *(
        b"..",
        b".",
        b";",
        b"%",
        b"%2f",
        b"ex.com",
        b"::1",
        b"[v1.a]",
        b"1.2.3.4",
        b":443",
        b" ",
        b"\r\n",
        b"\xe2\x84\x80",
    ),
)

body_bytes = pieces(
    *(b"{", b"}", b"[", b"]", b'"', b'"m.server"', b":", b",", b"\\u", b"d800", b"\xef\xbb\xbf", b"null", b"1e999"),
    *(b"NaN", b"9" * 5000, b'{"m.server":"ex.com"}', b"ex.com", b"[" * 20_000, b"\xff", b"\0"),
)


class HostileInputTests(TestCase):
    """No bytes raise anything but what is documented."""

    def setUp(self) -> None:
        """Keep what hypothesis writes out of the checkout."""
        super().setUp()
        set_hypothesis_home_dir(str(Path(self.mktemp()).absolute()))
        self.addCleanup(set_hypothesis_home_dir, None)

    @hostile
    @given(st.binary(max_size=300) | name_bytes)
    def test_server_names(self, text: bytes) -> None:
        """Bytes are a name, which repeats them, or an C{InvalidServerName} that points into them."""
        try:
            found = ServerName.parse(text).text.encode("ascii") == text
        except InvalidServerName as error:
            found = 0 <= error.position <= len(text)
        self.assertTrue(found)

    @hostile
    @given(st.text(max_size=300))
    def test_server_names_in_text(self, text: str) -> None:
        """So is text, whatever the script."""
        try:
            found = ServerName.parse(text).text == text
        except InvalidServerName as error:
            found = 0 <= error.position <= len(text)
        self.assertTrue(found)

    @hostile
    @given(st.integers(), st.binary() | body_bytes)
    @example(200, b"[" * 50_000)
    @example(200, b'{"m.server":' * 4_000)
    @example(200, b'{"m.server": "\\ud800"}')
    def test_well_known_bodies(self, status: int, body: bytes) -> None:
        """Any status and any body delegate, or do not; the text of either can be logged."""
        for code in (status, 200):
            outcome = read_delegation(code, body)
            self.assertIsInstance(outcome, Delegation | NoDelegation)
            str(outcome).encode("utf-8")

    @hostile
    @given(st.binary() | uri_bytes)
    def test_locations(self, location: bytes) -> None:
        """A C{Location} leads to an https URI that can be requested, or is a L{FederationError}."""
        try:
            uri = follow_location(parse_uri(b"https://[2001:db8::1]:8443/a/b?c"), location)
        except (InvalidURI, UnsupportedScheme, InvalidServerName):
            return
        self.assertEqual((uri.scheme, parse_uri(str(uri).encode("ascii"))), (HTTPS, uri))

    @hostile
    @given(st.binary() | uri_bytes | uri_bytes.map(b"matrix-federation://ex.com".__add__))
    def test_uris(self, uri: bytes) -> None:
        """A URI is taken apart so that it can be written again, or is a L{FederationError}."""
        try:
            parsed = parse_uri(uri)
        except FederationError as error:
            self.assertIsInstance(error, InvalidURI | InvalidServerName)
            return
        self.assertEqual(parse_uri(str(parsed).encode("ascii")), parsed)

    def test_the_nearly_right_is_right_at_times(self) -> None:
        """The parts above make names, delegations and URIs: the tests do not see errors alone."""
        found = (ServerName.parse(b"A.b:80").port, read_delegation(200, b'{"m.server":"ex.com"}'))
        self.assertEqual(found, (80, Delegation(ServerName("ex.com"))))
