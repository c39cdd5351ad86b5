"""
Tests of C{matrix_federation_agent._uri}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from matrix_federation_agent import FederationURL, ServerName, federation_url
from matrix_federation_agent._uri import CheckedURI, RequestURI, follow_location, parse_uri
from matrix_federation_agent.errors import FederationError, InvalidServerName, InvalidURI, UnsupportedScheme

from .case import TestCase

# URI, and scheme, authority and request target.
PARSED = [
    (b"matrix-federation://ex.com/a", "matrix-federation", "ex.com", b"/a"),
    (b"matrix://ex.com/a", "matrix", "ex.com", b"/a"),
    (b"https://ex.com/a", "https", "ex.com", b"/a"),
    (b"HTTPS://ex.com/a", "https", "ex.com", b"/a"),
    (b"Matrix-Federation://EX.com:00443/A", "matrix-federation", "EX.com:00443", b"/A"),
    (b"matrix-federation://[2001:DB8::1]:8448/a", "matrix-federation", "[2001:DB8::1]:8448", b"/a"),
    (b"matrix-federation://ex.com", "matrix-federation", "ex.com", b"/"),
    (b"matrix-federation://ex.com?q", "matrix-federation", "ex.com", b"/?q"),
    (b"matrix-federation://ex.com#f", "matrix-federation", "ex.com", b"/"),
    (b"matrix-federation://ex.com/a#f?q", "matrix-federation", "ex.com", b"/a"),
    (b"matrix-federation://ex.com/a?q#f", "matrix-federation", "ex.com", b"/a?q"),
    (b"matrix-federation://ex.com/a?", "matrix-federation", "ex.com", b"/a?"),
    (b"matrix-federation://ex.com//a/../b/./c;p", "matrix-federation", "ex.com", b"//a/../b/./c;p"),
    (b"matrix-federation://ex.com/%40a%3aex.com/%2F%2f?x=%20+&&=", "matrix-federation", "ex.com", None),
    (b"matrix-federation://ex.com/u@h:80?a@b", "matrix-federation", "ex.com", b"/u@h:80?a@b"),
    (b"matrix-federation://ex.com/%zz%", "matrix-federation", "ex.com", b"/%zz%"),
]

# URI, and the class of the error.
REFUSED: list[tuple[bytes, type[FederationError]]] = [
    (b"", InvalidURI),
    (b"/a", InvalidURI),
    (b"//ex.com/a", InvalidURI),
    (b"ex.com/a", InvalidURI),
    (b"?q", InvalidURI),
    (b"#f", InvalidURI),
    (b":", InvalidURI),
    (b"1https://ex.com/", InvalidURI),
    (b"matrix-federation:", InvalidURI),
    (b"matrix-federation:ex.com", InvalidURI),
    (b"matrix-federation:/ex.com/a", InvalidURI),
    (b"matrix-federation://", InvalidURI),
    (b"matrix-federation:///a", InvalidURI),
    (b"matrix-federation://?q", InvalidURI),
    (b"matrix-federation://u@ex.com/", InvalidURI),
    (b"matrix-federation://u:p@ex.com/", InvalidURI),
    (b"matrix-federation://@ex.com/", InvalidURI),
    (b" matrix-federation://ex.com/", InvalidURI),
    (b"matrix-federation://ex.com/a b", InvalidURI),
    (b"matrix-federation://ex.com/\xc3\xa9", InvalidURI),
    (b"matrix-federation://ex.com/\r\nHost: a", InvalidURI),
    (b"matrix-federation://ex.com/\0", InvalidURI),
    (b"matrix-federation://ex.com/\x7f", InvalidURI),
    (b"matrix-federation://ex.com/\n", InvalidURI),
    (b"http://ex.com/", UnsupportedScheme),
    (b"mailto:a@ex.com", UnsupportedScheme),
    (b"ex.com:8448/a", UnsupportedScheme),
    (b"matrix-federations://ex.com/", UnsupportedScheme),
    (b"matrix-federation://ex.com:/", InvalidServerName),
    (b"matrix-federation://ex.com:99999/", InvalidServerName),
    (b"matrix-federation://:8448/", InvalidServerName),
    (b"matrix-federation://ex%2Ecom/", InvalidServerName),
    (b"matrix-federation://ex.com\\a/", InvalidServerName),
    (b"https://[::1/", InvalidServerName),
]

BASE = parse_uri(b"https://ex.com:8443/a/b?q")

# Location, and the URI that it means there.
LOCATIONS = [
    (b"c", "https://ex.com:8443/a/c"),
    (b"/c", "https://ex.com:8443/c"),
    (b"../../../c", "https://ex.com:8443/c"),
    (b"./c/../d", "https://ex.com:8443/a/d"),
    (b"?r", "https://ex.com:8443/a/b?r"),
    (b"//other.example/c", "https://other.example/c"),
    (b"https://other.example:444/c?r", "https://other.example:444/c?r"),
    (b"HTTPS://other.example", "https://other.example/"),
    (b"https://[2001:db8::1]:444/c", "https://[2001:db8::1]:444/c"),
    (b"/c#f", "https://ex.com:8443/c"),
    (b"/%2e%2e/%2F", "https://ex.com:8443/%2e%2e/%2F"),
]

LOCATIONS_REFUSED: list[tuple[bytes, type[FederationError]]] = [
    (b"", InvalidURI),
    (b"/a b", InvalidURI),
    (b"/\xc3\xa9", InvalidURI),
    (b"/\r\n", InvalidURI),
    (b"//[::1", InvalidURI),
    (b"https://u:p@other.example/", InvalidURI),
    (b"//u@other.example/", InvalidURI),
    (b"http://other.example/", UnsupportedScheme),
    (b"matrix-federation://other.example/", UnsupportedScheme),
    (b"javascript:alert(1)", UnsupportedScheme),
    (b"file:///etc/passwd", UnsupportedScheme),
    (b"https://other.example:99999/", InvalidServerName),
    (b"https://oth_er.example/", InvalidServerName),
    (b"https://127.1/", InvalidServerName),
]

# Server name, path, query, and what follows the authority.
WRITTEN: list[tuple[str, str, Mapping[str, str] | Sequence[tuple[str, str]] | str, str]] = [
    ("ex.com", "/", "", "/"),
    ("EXAMPLE.com:00443", "/a", "", "/a"),
    ("[2001:DB8::1]", "/a", "", "/a"),
    ("[2001:DB8::1]:8448", "/a", "", "/a"),
    ("1.2.3.4:1", "/a", "", "/a"),
    ("xn--bcher-kva.com", "/a", "", "/a"),
    ("r3---sn.example", "/a", "", "/a"),
    ("-a.com", "/a", "", "/a"),
    ("ex.com", "/%40a%3aex.com/%2F%2f/%zz", "", "/%40a%3aex.com/%2F%2f/%zz"),
    ("ex.com", "//a/../b/./c;p", "", "//a/../b/./c;p"),
    ("ex.com", "/a", "x=%20+&&=&y", "/a?x=%20+&&=&y"),
    ("ex.com", "/a", {"user id": "@é:ex.com", "b": ""}, "/a?user%20id=%40%C3%A9%3Aex.com&b="),
    ("ex.com", "/a", [("v", "1"), ("v", "2&3")], "/a?v=1&v=2%263"),
    ("ex.com", "/a", {}, "/a"),
]

NOT_WRITTEN: list[tuple[str, str, Mapping[str, str] | str]] = [
    ("ex.com", "", ""),
    ("ex.com", "a", ""),
    ("ex.com", "https://other.example/", ""),
    ("ex.com", "/a b", ""),
    ("ex.com", "/é", ""),
    ("ex.com", "/\r\n", ""),
    ("ex.com", "/a#f", ""),
    ("ex.com", "/a", "b#f"),
    ("ex.com", "/a", "b c"),
    ("ex.com", "/\ud800", ""),
    ("ex.com", "/a", "\ud800"),
    ("ex.com", "/a", {"b": "\ud800"}),
]


def error_of(work: Callable[[], object]) -> type[FederationError] | None:
    """Tell with which error some work fails."""
    try:
        work()
    except FederationError as error:
        return type(error)
    return None


class ParseTests(TestCase):
    """L{parse_uri}."""

    def test_uris_are_taken_apart(self) -> None:
        """Scheme in lower case, authority as given, path and query byte for byte, no fragment."""
        for uri, scheme, authority, target in PARSED:
            verbatim = uri[uri.index(b"/%40") :] if target is None else target
            expected = RequestURI(scheme.encode(), ServerName(authority), verbatim)
            self.assertEqual(parse_uri(uri), expected, repr(uri))

    def test_what_is_no_uri_of_a_server_is_refused(self) -> None:
        """Empty, relative and malformed URIs, userinfo, other schemes and invalid names each have their error."""
        for uri, error in REFUSED:
            self.assertEqual(error_of(lambda uri=uri: parse_uri(uri)), error, repr(uri))  # type: ignore[misc]

    def test_the_error_repeats_no_password(self) -> None:
        """Userinfo is left out of the URI that the error carries."""
        error = self.assertRaises(InvalidURI, parse_uri, b"https://user:secret@ex.com/a")
        self.assertEqual(error.uri, "https://...@ex.com/a")

    def test_the_error_repeats_no_endless_uri(self) -> None:
        """The URI in an error has the length of a log line."""
        error = self.assertRaises(UnsupportedScheme, parse_uri, b"gopher://" + b"a" * 100_000)
        self.assertEqual(len(error.uri), 200)

    def test_an_endless_scheme_is_shortened(self) -> None:
        """The reason has the length of a log line too."""
        error = self.assertRaises(UnsupportedScheme, parse_uri, b"a" * 100_000 + b":")
        self.assertLess(len(error.reason), 300)

    def test_the_text_of_a_uri(self) -> None:
        """What was read can be written again."""
        self.assertEqual(str(parse_uri(b"HTTPS://EX.com:0443/a?b#c")), "https://EX.com:0443/a?b")


class CheckedURITests(TestCase):
    """L{CheckedURI}."""

    def test_it_is_bytes_and_what_they_say(self) -> None:
        """Whoever knows nothing of it has the bytes."""
        for uri, *_ in PARSED:
            checked = CheckedURI.check(uri)
            self.assertEqual((checked, checked.parsed), (uri, parse_uri(uri)))

    def test_what_is_no_uri_of_a_server_is_refused(self) -> None:
        """As it is otherwise."""
        for uri, error in REFUSED:
            self.assertEqual(error_of(lambda uri=uri: CheckedURI.check(uri)), error, repr(uri))  # type: ignore[misc]


class FollowLocationTests(TestCase):
    """L{follow_location} (CONFORMANCE W3)."""

    def test_w3_locations_are_resolved(self) -> None:
        """Relative references count from the URI that was fetched."""
        for location, uri in LOCATIONS:
            self.assertEqual(str(follow_location(BASE, location)), uri, f"W3 {location!r}")

    def test_w3_locations_that_may_not_be_fetched_are_refused(self) -> None:
        """Another scheme than https, userinfo, invalid hosts and malformed references are errors."""
        for location, error in LOCATIONS_REFUSED:
            found = error_of(lambda location=location: follow_location(BASE, location))  # type: ignore[misc]
            self.assertEqual(found, error, f"W3 {location!r}")

    def test_w3_the_base_may_be_an_ipv6_literal(self) -> None:
        """Brackets and port of the base are kept."""
        base = parse_uri(b"https://[2001:db8::1]:444/a")
        self.assertEqual(str(follow_location(base, b"/c")), "https://[2001:db8::1]:444/c")

    def test_w3_the_error_repeats_no_password(self) -> None:
        """Userinfo in a Location is left out of the error."""
        error = self.assertRaises(InvalidURI, follow_location, BASE, b"//user:secret@ex.com/a")
        self.assertEqual("secret" in error.uri, False)


@implementer(IAgent)
class RecordingAgent:
    """An agent that keeps the URIs it is asked for, and never answers."""

    def __init__(self) -> None:
        """Know of no request yet."""
        self.uris: list[bytes] = []

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Keep the URI."""
        self.uris.append(uri)
        return Deferred()


class FederationURLTests(TestCase):
    """L{federation_url}."""

    def setUp(self) -> None:
        """Make a treq client on an agent that records."""
        super().setUp()
        self.agent = RecordingAgent()
        self.client = HTTPClient(self.agent)

    def through_treq(self, url: FederationURL, **options: Any) -> str:
        """Tell what an agent under treq is asked for."""
        self.client.get(url, **options)
        return self.agent.uris.pop().decode("ascii")

    def test_the_recording_agent_is_an_agent(self) -> None:
        """The fake has what the interface asks for."""
        self.assertTrue(verifyObject(IAgent, self.agent))

    def test_names_paths_and_queries_are_written(self) -> None:
        """The name stands as it was given, and only pairs are percent-encoded."""
        for name, path, query, rest in WRITTEN:
            found = federation_url(name, path, query).to_text()
            self.assertEqual(found, f"matrix-federation://{name}{rest}", f"{name} {path} {query}")

    def test_treq_takes_it_verbatim(self) -> None:
        """Brackets, ports, case, user ids and odd escapes pass through treq untouched."""
        for name, path, query, rest in WRITTEN:
            found = self.through_treq(federation_url(name, path, query))
            self.assertEqual(found, f"matrix-federation://{name}{rest}", f"{name} {path} {query}")

    def test_treq_may_add_params(self) -> None:
        """C{params} are added to the query, and the server name stays as it was given."""
        for name, path, query, rest in WRITTEN:
            found = self.through_treq(federation_url(name, path, query), params={"since": "1 é"})
            mark = "&" if query else "?"
            self.assertEqual(found, f"matrix-federation://{name}{rest}{mark}since=1+%C3%A9", f"{name} {path} {query}")

    def test_treq_may_add_cookies(self) -> None:
        """A cookie for an IPv6 literal does not disturb the URL."""
        found = self.through_treq(federation_url("[::1]:4", "/a"), cookies={"a": "b"})
        self.assertEqual(found, "matrix-federation://[::1]:4/a")

    def test_the_agent_takes_it_verbatim(self) -> None:
        """Text, bytes and what the agent reads are the same."""
        url = federation_url(b"EX.com:00443", "/%40a", "b")
        text = "matrix-federation://EX.com:00443/%40a?b"
        self.assertEqual((str(url), bytes(url), str(parse_uri(bytes(url)))), (text, text.encode(), text))

    def test_names_may_be_parsed_already(self) -> None:
        """A L{ServerName}, bytes and text are the same to it."""
        found = {federation_url(name, "/a") for name in (ServerName("ex.com"), b"ex.com", "ex.com")}
        self.assertEqual(len(found), 1)

    def test_another_host_has_its_own_name(self) -> None:
        """Replacing host or port leaves nothing of the old name."""
        url = federation_url("EX.com:00443", "/a")
        found = [url.replace(host="b.example").to_text(), url.replace(port=80).to_text()]
        self.assertEqual(found, ["matrix-federation://b.example:443/a", "matrix-federation://EX.com:80/a"])

    def test_what_must_be_percent_encoded_is_refused(self) -> None:
        """Nothing is encoded behind the caller's back, and nothing can leave the path."""
        for name, path, query in NOT_WRITTEN:
            found = error_of(lambda url=(name, path, query): federation_url(*url))  # type: ignore[misc]
            self.assertEqual(found, InvalidURI, repr((path, query)))

    def test_invalid_names_are_refused(self) -> None:
        """The name goes through the only door."""
        found = [error_of(lambda name=name: federation_url(name, "/")) for name in ("a/b", "", "u@ex.com")]  # type: ignore[misc]
        self.assertEqual(found, [InvalidServerName] * 3)
