"""
CONFORMANCE 3: C{.well-known}, over the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from matrix_federation_agent import DiscoveryPolicy, __version__
from matrix_federation_agent.testing import Fault, VirtualServer
from tests.conformance.case import IMPATIENT, FederationCase, RawServer, until, watched

PATH = "/.well-known/matrix/server"
DOCUMENT = {"m.server": "m.example:4242"}
BODY = json.dumps(DOCUMENT).encode("ascii")
HEAD = b"HTTP/1.1 200 OK\r\n"


@attrs.define(eq=False)
class Page:
    """
    A response of L{Pages}.
    """

    status: int = 200
    location: str = ""
    body: bytes = BODY


class Pages(Resource):
    """
    A web site of a few paths; the others are 404.
    """

    isLeaf = True

    def __init__(self, pages: Mapping[str, Page]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pages = pages

    def render(self, request: Request) -> bytes:
        """
        Answer.
        """
        page = self.pages.get(request.uri.decode("ascii"), Page(404))
        request.setResponseCode(page.status)
        if page.location:
            request.setHeader(b"location", page.location.encode("ascii"))
        return page.body


class WellKnownCase(FederationCase):
    """
    A federation in which C{m.example:4242} can be delegated to.
    """

    def setUp(self) -> None:
        """
        Place the delegate.
        """
        super().setUp()
        self.delegate = self.federation.add_server("m.example:4242", "2")
        self.numbers = count()
        self.asking = self.federation.agent()

    def undelegated(self) -> VirtualServer:
        """
        Place a server that is found by step 6 as long as it does not delegate.
        """
        return self.federation.add_server(f"s{next(self.numbers)}.example")

    async def reached(self, server: VirtualServer) -> str:
        """
        Send a request to a server.

        @return: who received it: C{"itself"} or C{"the delegate"}.
        """
        before = len(server.requests), len(self.delegate.requests)
        await self.get(server.server_name, self.asking)
        after = len(server.requests), len(self.delegate.requests)
        return {(1, 0): "itself", (0, 1): "the delegate"}[after[0] - before[0], after[1] - before[1]]

    async def reached_with(self, body: object, **settings: Any) -> str:
        """
        Let a server have a document, and send a request to it.
        """
        server = self.undelegated()
        self.federation.serve_well_known(server.server_name, body, **settings)
        return await self.reached(server)

    def be_impatient(self) -> None:
        """
        Ask with short limits from now on.
        """
        self.asking = self.federation.agent(discovery=IMPATIENT)

    def web(self, host: str, pages: Mapping[str, Page], port: int = 443) -> None:
        """
        Place a web site.
        """
        address = self.dns.address_of(host)
        if address is None:
            self.dns.add_address(host, address := f"192.0.2.{100 + next(self.numbers)}")
        site = Site(Pages(pages), reactor=self.federation.reactor)
        site.noisy = False
        self.federation.listen_tls(address, port, site, self.certificates.issue(host))


class RequestTests(WellKnownCase):
    """
    W1: what the C{.well-known} host receives.
    """

    async def test_W1_the_request(self) -> None:
        """
        One GET of the path, with a Host without a port, our User-Agent, and nothing to be told apart by.
        """
        document = self.federation.serve_well_known("ex.example", DOCUMENT)
        await self.get("ex.example")
        (request,) = document.requests
        headers = {name: value for name, value in request.headers if name != "connection"}
        agent = f"matrix_federation_agent/{__version__}"
        expected = ("GET", PATH.encode(), {"host": "ex.example", "user-agent": agent}, b"")
        self.assertEqual((request.method, request.target, headers, request.body), expected)

    async def test_W1_the_port_and_sni(self) -> None:
        """
        It goes to port 443, by TLS with the host as SNI.
        """
        certificate = watched(self.certificates.issue("ex.example"))
        document = self.federation.serve_well_known("ex.example", DOCUMENT, certificate=certificate)
        await self.get("ex.example")
        self.assertEqual((self.federation.dialled[0], certificate.sni), ((document.address, 443), [b"ex.example"]))

    async def test_W1_own_user_agent(self) -> None:
        """
        The User-Agent that the agent was made with is sent.
        """
        document = self.federation.serve_well_known("ex.example", DOCUMENT)
        await self.get("ex.example", self.federation.agent(user_agent=b"Construct/2"))
        self.assertIn(("user-agent", "Construct/2"), document.requests[0].headers)

    async def test_W1_no_connection_is_kept(self) -> None:
        """
        After the fetch the connection is closed.
        """
        raw = RawServer(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY, closes=False)
        self.dns.add_address("ex.example", "192.0.2.9")
        self.federation.listen_tls("192.0.2.9", 443, raw, self.certificates.issue("ex.example"))
        await self.get("ex.example")
        await until(lambda: raw.connected == 0)
        self.assertEqual(raw.received.count(b"GET "), 1)


class FailureTests(WellKnownCase):
    """
    W2: whatever fails is no delegation.
    """

    async def test_W2_bad_certificates(self) -> None:
        """
        A document behind a certificate that proves nothing is never even asked for.
        """
        issue = self.certificates
        for make in (issue.unknown_root, issue.expired, issue.not_yet_valid, issue.self_signed, issue.without_san):
            server, raw = self.undelegated(), RawServer(HEAD + b"\r\n" + BODY)
            self.federation.listen_tls(server.address, 443, raw, make(server.server_name))
            self.assertEqual((await self.reached(server), raw.received), ("itself", b""), make.__name__)

    async def test_W2_wrong_name(self) -> None:
        """
        A certificate for another name, be it the delegate's, is no delegation.
        """
        certificate = self.certificates.issue("m.example")
        self.assertEqual(await self.reached_with(DOCUMENT, certificate=certificate), "itself")

    async def test_W2_refused(self) -> None:
        """
        Nothing listening on port 443 is no delegation.
        """
        self.assertEqual(await self.reached(self.undelegated()), "itself")

    async def test_W2_no_address(self) -> None:
        """
        A name that does not exist in DNS may still have SRV records.
        """
        server = self.federation.add_server("ex.example", "4")
        self.dns.remove("ex.example")
        self.assertEqual(await self.reached(server), "itself")

    async def test_W2_dns_fails(self) -> None:
        """
        Nor does it matter that the name server fails for the addresses of the name.
        """
        server = self.federation.add_server("ex.example", "4")
        self.dns.fail("ex.example")
        self.assertEqual(await self.reached(server), "itself")

    async def test_W2_silence(self) -> None:
        """
        A host that never answers the request is no delegation.
        """
        self.be_impatient()
        server = self.federation.add_server("ex.example", "6", Fault.WELL_KNOWN_SILENT)
        self.assertEqual(await self.reached(server), "itself")

    async def test_W2_black_hole(self) -> None:
        """
        A port 443 that is never connected is no delegation.
        """
        server = self.undelegated()
        self.be_impatient()
        self.federation.black_hole(server.address, 443)
        self.assertEqual(await self.reached(server), "itself")

    async def test_W2_silent_handshake(self) -> None:
        """
        A port 443 that never speaks TLS is no delegation.
        """
        server = self.undelegated()
        self.be_impatient()
        self.federation.listen_tcp(server.address, 443, Factory.forProtocol(Protocol))
        self.assertEqual(await self.reached(server), "itself")

    async def test_W2_plain_http(self) -> None:
        """
        A port 443 that speaks HTTP without TLS is no delegation.
        """
        server = self.undelegated()
        self.federation.listen_tcp(server.address, 443, RawServer(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        self.assertEqual(await self.reached(server), "itself")


class RedirectTests(WellKnownCase):
    """
    W3: redirects.
    """

    async def redirected(self, location: str, status: int = 302) -> str:
        """
        Let a document be a redirect.
        """
        return await self.reached_with(b"", status=status, headers={"location": location})

    async def test_W3_every_redirect_code(self) -> None:
        """
        All five redirects to another host are followed, and no other code is.
        """
        self.federation.serve_well_known("other.example", DOCUMENT)
        codes = (300, 301, 302, 303, 304, 305, 307, 308)
        reached = {code: await self.redirected(f"https://other.example{PATH}", code) for code in codes}
        followed = {code for code, who in reached.items() if who == "the delegate"}
        self.assertEqual(followed, {301, 302, 303, 307, 308})

    async def test_W3_relative_locations(self) -> None:
        """
        Each relative Location is resolved against the URL that it came from.
        """
        server = self.undelegated()
        self.web(server.server_name, {PATH: Page(302, "//other.example:8443/a/b/c?q=1")})
        pages = {
            "/a/b/c?q=1": Page(301, "../d"),
            "/a/d": Page(307, "?x"),
            "/a/d?x": Page(308, "e#fragment"),
            "/a/e": Page(),
        }
        self.web("other.example", pages, 8443)
        self.assertEqual(await self.reached(server), "the delegate")

    async def test_W3_absolute_path(self) -> None:
        """
        A Location that is a path leads to the same host, which the Host header names without a port.
        """
        server = self.undelegated()
        pages = {PATH: Page(302, "/matrix"), "/matrix": Page()}
        self.web(server.server_name, pages)
        self.assertEqual(await self.reached(server), "the delegate")

    async def test_W3_http_is_refused(self) -> None:
        """
        A redirect to http is not followed, not even to the next port.
        """
        self.federation.serve_well_known("other.example", DOCUMENT)
        dialled_before = list(self.federation.dialled)
        self.assertEqual(await self.redirected(f"http://other.example{PATH}"), "itself")
        ports = [port for _, port in self.federation.dialled[len(dialled_before) :]]
        self.assertEqual(ports, [443, 8448])

    async def test_W3_federation_urls_are_refused(self) -> None:
        """
        A redirect to a scheme that the agent itself takes is not followed: only https is.
        """
        self.federation.serve_well_known("other.example", DOCUMENT)
        reached = [
            await self.redirected(f"{scheme}://other.example{PATH}") for scheme in ("matrix-federation", "matrix")
        ]
        self.assertEqual(reached, ["itself", "itself"])

    async def test_W3_http_in_the_middle_is_refused(self) -> None:
        """
        Neither is a redirect to http at a later hop.
        """
        headers = {"location": f"http://third.example{PATH}"}
        self.federation.serve_well_known("other.example", b"", status=302, headers=headers)
        self.federation.serve_well_known("third.example", DOCUMENT)
        self.assertEqual(await self.redirected(f"https://other.example{PATH}"), "itself")

    async def hops(self, number: int) -> str:
        """
        Let a document be found after a number of redirects.
        """
        server = self.undelegated()
        pages = {f"/{hop}": Page(302, f"/{hop + 1}") for hop in range(number)}
        pages[PATH] = pages.pop("/0")
        self.web(server.server_name, {**pages, f"/{number}": Page()})
        return await self.reached(server)

    async def test_W3_five_redirects(self) -> None:
        """
        Five redirects are followed.
        """
        self.assertEqual(await self.hops(5), "the delegate")

    async def test_W3_six_redirects(self) -> None:
        """
        The sixth is not.
        """
        self.assertEqual(await self.hops(6), "itself")

    async def test_W3_loop(self) -> None:
        """
        A loop ends after the first request and five redirects.
        """
        document = self.federation.serve_well_known("ex.example", b"", status=302, headers={"location": PATH})
        self.federation.serve_homeserver("ex.example", document.address, 8448)
        await self.get("ex.example")
        self.assertEqual(len(document.requests), 6)

    async def test_W3_hop_to_a_denied_address(self) -> None:
        """
        A host behind a redirect stands under the address policy: it is not even dialled.
        """
        self.dns.add_address("inner.example", "10.0.0.1")
        self.federation.serve_well_known("inner.example", DOCUMENT)
        self.assertEqual(await self.redirected(f"https://inner.example{PATH}"), "itself")
        self.assertNotIn(("10.0.0.1", 443), self.federation.dialled)

    async def test_W3_hop_to_a_denied_literal(self) -> None:
        """
        A Location may name an address, under the same policy.
        """
        dialled = len(self.federation.dialled)
        for literal in ("127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"):
            self.assertEqual(await self.redirected(f"https://{literal}{PATH}"), "itself", literal)
        self.assertEqual({port for _, port in self.federation.dialled[dialled:]}, {443, 8448})
        self.assertNotIn("127.0.0.1", [host for host, _ in self.federation.dialled])

    async def test_W3_hop_to_a_permitted_literal(self) -> None:
        """
        A Location that names a permitted address is fetched from there, under its certificate.
        """
        self.federation.listen_tls(
            "192.0.2.77",
            443,
            RawServer(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY),
            self.certificates.issue("192.0.2.77"),
        )
        self.assertEqual(await self.redirected(f"https://192.0.2.77{PATH}"), "the delegate")

    async def test_W3_hop_with_a_bad_certificate(self) -> None:
        """
        A host behind a redirect must prove its own name.
        """
        certificate = self.certificates.issue("else.example")
        self.federation.serve_well_known("other.example", DOCUMENT, certificate=certificate)
        self.assertEqual(await self.redirected(f"https://other.example{PATH}"), "itself")

    async def test_W3_hostile_locations(self) -> None:
        """
        A Location that is no https URL of a host is no delegation, whatever it is.
        """
        locations = """
            ftp://other.example/ //user@other.example/ https://user:secret@other.example/ https:/// https://
            https://a:99999/ https://[::1/ //[ file:///etc/passwd javascript:alert(1) https://oth%65r.example/
            https://exa_mple.example/ https://a..b/ https://[fe80::1%25eth0]/ data:, https://-:-/ ::: https://127.1/
        """
        await gatherResults([Deferred.fromCoroutine(self._ignored(location)) for location in locations.split()])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def _ignored(self, location: str) -> None:
        server = self.undelegated()
        self.federation.serve_well_known(server.server_name, b"", status=302, headers={"location": location})
        await self.get(server.server_name, self.asking)
        self.assertEqual([request.host for request in server.requests], [server.server_name], location)

    async def test_W3_no_location(self) -> None:
        """
        A redirect without a Location, or with an empty one, is no delegation.
        """
        reached = [await self.reached_with(BODY, status=302), await self.redirected("")]
        self.assertEqual(reached, ["itself", "itself"])


class AnswerTests(WellKnownCase):
    """
    W4 to W9: what the document says.
    """

    async def test_W4_any_content_type(self) -> None:
        """
        The content type does not matter.
        """
        for kind in ("application/json", "text/plain", "application/octet-stream", "text/html; charset=x", "nonsense"):
            reached = await self.reached_with(DOCUMENT, headers={"content-type": kind})
            self.assertEqual(reached, "the delegate", kind)

    async def test_W5_other_statuses(self) -> None:
        """
        A good document with another status than 200 is no delegation.
        """
        statuses = (201, 204, 206, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504, 599)
        reached = {status: await self.reached_with(DOCUMENT, status=status) for status in statuses}
        self.assertEqual(reached, dict.fromkeys(statuses, "itself"))

    async def test_W6_no_delegation_in_it(self) -> None:
        """
        What is not a JSON object with a text in m.server is no delegation.
        """
        bodies = [b"", b"{", b"<html></html>", b"null", b"[]", b'"m.example:4242"', b"{}", b'{"M.Server": "m.example"}']
        values: list[object] = ["", 1, None, [], {}, True, ["m.example"]]
        bodies += [json.dumps({"m.server": value}).encode() for value in values]
        for body in bodies:
            self.assertEqual(await self.reached_with(body), "itself", repr(body))

    async def test_W7_outside_the_grammar(self) -> None:
        """
        An m.server that is no server name is no delegation, and never becomes part of a request.
        """
        values = [
            "a b",
            "a/b",
            "u@a",
            "https://a",
            "a:99999",
            "a#",
            "é.com",
            "a\r\nX: y",
            "a?b",
            "m.example:4242\n",
            " a",
        ]
        for value in values:
            self.assertEqual(await self.reached_with({"m.server": value}), "itself", value)

    async def test_W8_other_properties(self) -> None:
        """
        Further properties are ignored.
        """
        more = {"m.client": {"base_url": "https://x"}, "m.homeserver": 3, **DOCUMENT}
        self.assertEqual(await self.reached_with(more), "the delegate")

    async def test_W9_byte_order_mark(self) -> None:
        """
        A byte order mark before the document is tolerated.
        """
        self.assertEqual(await self.reached_with(b"\xef\xbb\xbf" + BODY), "the delegate")


class LimitTests(WellKnownCase):
    """
    W10: a document that is too slow or too long.
    """

    async def test_W10_huge_body(self) -> None:
        """
        A megabyte is not read, however good it is.
        """
        server = self.federation.add_server("ex.example", "6", Fault.WELL_KNOWN_HUGE)
        self.assertEqual(await self.reached(server), "itself")

    async def test_W10_the_byte_limit_is_exact(self) -> None:
        """
        A body of exactly the limit is read, and one byte more is too much.
        """
        self.asking = self.federation.agent(discovery=DiscoveryPolicy(well_known_max_bytes=100))
        reached = [await self.reached_with(BODY.ljust(length)) for length in (100, 101)]
        self.assertEqual(reached, ["the delegate", "itself"])

    async def test_W10_endless_body(self) -> None:
        """
        A body without a length that never ends is cut off at the limit, and its connection with it.
        """
        flood = Flood(HEAD + b"\r\n", b" " * 1000)
        server = self.undelegated()
        self.federation.listen_tls(server.address, 443, flood, self.certificates.issue(server.server_name))
        self.asking = self.federation.agent(discovery=DiscoveryPolicy(well_known_max_bytes=5000))
        self.assertEqual(await self.reached(server), "itself")
        await until(lambda: flood.connected == 0)

    async def test_W10_trickle(self) -> None:
        """
        The limit of time holds for the whole fetch, and not for each byte of it.
        """
        self.be_impatient()
        flood = Flood(HEAD + b"Content-Length: 100000\r\n\r\n", b" ", every=0.01)
        server = self.undelegated()
        self.federation.listen_tls(server.address, 443, flood, self.certificates.issue(server.server_name))
        self.assertEqual(await self.reached(server), "itself")
        await until(lambda: flood.connected == 0)

    async def test_W10_slow_redirects(self) -> None:
        """
        Nor does it begin anew with each redirect.
        """
        flood = Flood(b"", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /\r\n\r\n", every=0.2, first=True)
        server = self.undelegated()
        self.federation.listen_tls(server.address, 443, flood, self.certificates.issue(server.server_name))
        self.asking = self.federation.agent(discovery=attrs.evolve(IMPATIENT, well_known_max_redirects=1000))
        self.assertEqual(await self.reached(server), "itself")
        await until(lambda: flood.connected == 0)


class FloodingPeer(Protocol):
    """
    Writes for ever, once it was spoken to.
    """

    factory: Flood

    def connectionMade(self) -> None:
        """
        Count the connection.
        """
        self.factory.connected += 1
        self._loop = LoopingCall(self._write)

    def _write(self) -> None:
        assert self.transport is not None
        self.transport.write(self.factory.drop)

    def dataReceived(self, data: bytes) -> None:
        """
        Begin.
        """
        assert self.transport is not None
        if not self._loop.running:
            self.transport.write(self.factory.head)
            self._loop.start(self.factory.every, now=not self.factory.first)

    def connectionLost(self, reason: object = None) -> None:
        """
        End.
        """
        self.factory.connected -= 1
        if self._loop.running:
            self._loop.stop()


class Flood(Factory):
    """
    A server that never stops answering.
    """

    noisy = False

    def __init__(self, head: bytes, drop: bytes, every: float = 0.0, *, first: bool = False) -> None:
        """
        @param head: is sent once.
        @param drop: is sent again and again.
        @param every: in seconds.
        @param first: whether that time passes before the first drop.
        """
        self.head = head
        self.drop = drop
        self.every = every
        self.first = first
        self.connected = 0

    def buildProtocol(self, addr: object) -> Protocol:
        """
        Make the protocol of one connection.
        """
        peer = FloodingPeer()
        peer.factory = self
        return peer


def _ok(headers: bytes, body: bytes = BODY) -> bytes:
    return HEAD + headers + b"\r\n\r\n" + body


_LENGTH = b"Content-Length: %d" % len(BODY)
_CHUNKED = b"Transfer-Encoding: chunked"

HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "only line ends": b"\r\n" * 10,
    "no status line": b"220 mail.example ESMTP ready\r\n\r\n",
    "half a status line": b"HTTP/1.1 20",
    "status without number": b"HTTP/1.1 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "status is a word": b"HTTP/1.1 twohundred OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "negative status": b"HTTP/1.1 -200 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "huge status": b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "no version number": b"HTTP/ 200 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "other protocol": b"ICY 200 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "version of words": b"HTTP/a.b 200 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "status line of bytes": b"\xff\xfe\x00\x01\r\n\r\n",
    "NUL in the status": b"HTTP/1.1 2\x0000 OK\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "NULs": b"\x00" * 1000,
    "status line of 100,000 bytes": b"H" * 100_000,
    "first header line is a continuation": _ok(b" folded: yes\r\n" + _LENGTH),
    "first header line is a tab": _ok(b"\t\r\n" + _LENGTH),
    "header without colon": _ok(b"nonsense\r\n" + _LENGTH),
    "header line of 70,000 bytes": _ok(b"X: " + b"x" * 70_000 + b"\r\n" + _LENGTH),
    "header name of 20,000 bytes": _ok(b"x" * 20_000 + b": x\r\n" + _LENGTH),
    "header line that never ends": HEAD + b"X: " + b"x" * 200_000,
    "negative length": _ok(b"Content-Length: -5"),
    "length of words": _ok(b"Content-Length: five"),
    "length with a sign": _ok(b"Content-Length: +%d" % len(BODY)),
    "length with an underscore": _ok(b"Content-Length: 1_0"),
    "empty length": _ok(b"Content-Length:"),
    "huge length": _ok(b"Content-Length: " + b"9" * 5000),
    "conflicting lengths": _ok(b"Content-Length: 5\r\n" + _LENGTH),
    "two lengths in one line": _ok(b"Content-Length: 5, %d" % len(BODY)),
    "length too long": _ok(b"Content-Length: %d" % (len(BODY) + 1)),
    "length too short": _ok(b"Content-Length: 5"),
    "chunk size is a word": _ok(_CHUNKED, b"xyz\r\n" + BODY),
    "negative chunk": _ok(_CHUNKED, b"-1\r\n" + BODY),
    "chunk without end": _ok(_CHUNKED, b"%x\r\n" % len(BODY) + BODY),
    "chunk too short": _ok(_CHUNKED, b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size of 5,000 digits": _ok(_CHUNKED, b"f" * 5000 + b"\r\n" + BODY),
    "chunk extension without end": _ok(_CHUNKED, b"5;" + b"x" * 200_000),
    "unknown transfer encoding": _ok(b"Transfer-Encoding: gzip, x-nonsense\r\n" + _LENGTH, b"\x1f\x8b nonsense"),
    "half a head": HEAD + _LENGTH,
    "half a body": _ok(_LENGTH, BODY[:-3]),
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + BODY,
    "1,000 informational responses": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "informational with body": b"HTTP/1.1 103 Early\r\n" + _LENGTH + b"\r\n\r\n" + BODY,
    "NUL in the body": _ok(b"Content-Length: %d" % (len(BODY) + 1), BODY + b"\x00"),
    "body that is no UTF-8": _ok(b"Content-Length: 20", b'{"m.server": "\xff\xfe" }'),
}


class HostileTests(WellKnownCase):
    """
    W2 and W6: hosts that speak no HTTP, or break off.
    """

    async def survives(self, label: str, factory: IProtocolFactory) -> None:
        """
        Let a hostile server stand in for the C{.well-known} host.
        """
        server = self.undelegated()
        self.federation.listen_tls(server.address, 443, factory, self.certificates.issue(server.server_name))
        await self.get(server.server_name, self.asking)
        self.assertEqual([request.host for request in server.requests], [server.server_name], label)

    async def survives_all(self, factories: Mapping[str, IProtocolFactory]) -> None:
        """
        Let hostile servers stand in side by side.
        """
        work = [Deferred.fromCoroutine(self.survives(label, factory)) for label, factory in factories.items()]
        await gatherResults(work, consumeErrors=True)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_W2_hostile_bytes_and_then_the_end(self) -> None:
        """
        A host that sends bytes of any kind and closes is no delegation, and nothing is logged as an error.
        """
        await self.survives_all({label: RawServer(answer) for label, answer in HOSTILE.items()})

    async def test_W2_hostile_bytes_and_then_silence(self) -> None:
        """
        Neither is one that leaves the connection open.
        """
        self.be_impatient()
        await self.survives_all({label: RawServer(answer, closes=False) for label, answer in HOSTILE.items()})

    async def test_W2_answers_before_the_question(self) -> None:
        """
        A host that answers before it was asked anything is no delegation.
        """
        answers = {"bad": b"\x00\r\n\r\n", "half": HEAD, "empty": b""}
        await self.survives_all({label: RawServer(greeting=answer) for label, answer in answers.items()})

    async def test_W2_endless_answers(self) -> None:
        """
        A host that never stops sending is cut off, wherever in the response it is.
        """
        floods = {
            "informational": Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
            "headers": Flood(HEAD, b"X: y\r\n" * 100),
            "folded header": Flood(HEAD + b"X: y\r\n", b" y\r\n" * 100),
            "one header line": Flood(HEAD + b"X: ", b"y" * 1000),
            "status line": Flood(b"HTTP/1.1 200 ", b"y" * 1000),
            "empty lines": Flood(b"", b"\r\n" * 100),
            "chunks": Flood(HEAD + _CHUNKED + b"\r\n\r\n", b"1\r\n \r\n" * 100),
            "chunk extension": Flood(HEAD + _CHUNKED + b"\r\n\r\n1;", b"x" * 1000),
            "trailers": Flood(HEAD + _CHUNKED + b"\r\n\r\n0\r\n", b"X: y\r\n" * 100),
        }
        self.be_impatient()
        await self.survives_all(floods)
        await until(lambda: sum(flood.connected for flood in floods.values()) == 0)

    async def test_W2_no_tls_worth_the_name(self) -> None:
        """
        A host that breaks off at any stage before or inside the handshake is no delegation.
        """
        alert = b"\x15\x03\x03\x00\x02\x02\x28"
        for greeting in (b"", b"\x16", b"\x16\x03\x03\x00\x7a\x02", alert, b"\x00" * 300, b"HTTP/1.1 200 OK\r\n\r\n"):
            server = self.undelegated()
            self.federation.listen_tcp(server.address, 443, RawServer(greeting=greeting))
            self.assertEqual(await self.reached(server), "itself", repr(greeting))
        self.assertEqual(self.flushLoggedErrors(), [])
