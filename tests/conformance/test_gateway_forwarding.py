"""
What the gateway adds to a request, and what it leaves out.
"""

from __future__ import annotations

from tests.conformance.gateway_case import NAME, OK, URI, GatewayCase, request

HOP_BY_HOP = (
    b"Connection: X-Named, keep-alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Authentication-Info: a",
    b"TE: trailers",
    b"Trailer: X-Checksum",
    b"Upgrade: websocket",
    b"HTTP2-Settings: AAAA",
    b"Max-Forwards: 5",
    b"X-Named: a",
)


class HeaderTests(GatewayCase):
    """
    The headers of a request.
    """

    async def test_G4_1_end_to_end_headers(self) -> None:
        """
        Those for the remote reach it, byte for byte; their names as Twisted spells them.
        """
        auth = b'X-Matrix origin="a",key="ed25519:1",sig="A+/=",destination="ex.com"'
        lines = (
            b"User-Agent: Synapse/1",
            b"Authorization: " + auth,
            b"Content-Type: application/json; a=b",
            b"x-fOO:  a, b \t",
        )
        seen = await self.forwarded(request(URI, *lines))
        expected = {
            b"User-Agent": b"Synapse/1",
            b"Authorization": auth,
            b"Content-Type": b"application/json; a=b",
            b"X-Foo": b"a, b",
        }
        self.assertEqual(dict(seen.fields), {b"Host": NAME, **expected})

    async def test_G4_1_repeated_headers(self) -> None:
        """
        Repeated headers stay repeated and in order, C{Authorization} too: there is a signature for each key.
        """
        lines = (b"X-A: 2", b"Authorization: X-Matrix b", b"x-a: 1", b"Authorization: X-Matrix a", b"X-A: 2")
        seen = await self.forwarded(request(URI, *lines))
        self.assertEqual(seen.values(b"authorization"), [b"X-Matrix b", b"X-Matrix a"])
        self.assertEqual(seen.values(b"x-a"), [b"2", b"1", b"2"])

    async def test_G4_1_bytes_that_are_not_ascii(self) -> None:
        """
        A value may have any byte that does not end it.
        """
        seen = await self.forwarded(request(URI, b"X-A: \x80\xff\xc3\xa9"))
        self.assertEqual(seen.values(b"x-a"), [b"\x80\xff\xc3\xa9"])

    async def test_G4_1_an_empty_header(self) -> None:
        """
        An empty value is a value.
        """
        self.assertEqual((await self.forwarded(request(URI, b"X-A:"))).values(b"x-a"), [b""])

    async def test_G4_1_hop_by_hop_headers(self) -> None:
        """
        What is for the gateway alone stays here, also what C{Connection} names.
        """
        seen = await self.forwarded(request(URI, b"X-Other: a", *HOP_BY_HOP))
        self.assertEqual(seen.names, [b"host", b"user-agent", b"x-other"])

    async def test_G4_1_connection_names_what_matters(self) -> None:
        """
        C{Connection} takes from the request what it names, but it can neither take nor unframe its body.
        """
        lines = (b"Connection: Content-Length, Host, Authorization", b"Authorization: X-Matrix a")
        seen = await self.forwarded(request(URI, *lines, method=b"PUT", body=b"body"))
        self.assertEqual((seen.values(b"authorization"), seen.values(b"host"), seen.body), ([], [NAME], b"body"))

    async def test_G4_1_no_user_agent(self) -> None:
        """
        Without a C{User-Agent} there is the gateway's own.
        """
        (agent,) = (await self.forwarded(request())).values(b"user-agent")
        self.assertTrue(agent.startswith(b"matrix_federation_agent/"))

    async def test_G4_1_nothing_of_the_client(self) -> None:
        """
        Nothing is added that tells of the client or of the gateway.
        """
        self.assertEqual((await self.forwarded(request())).names, [b"host", b"user-agent"])

    async def test_G4_3_get_without_a_body(self) -> None:
        """
        C{GET} without a body has none at the remote: no length and no coding.
        """
        seen = await self.forwarded(request())
        self.assertEqual((seen.values(b"content-length"), seen.values(b"transfer-encoding")), ([], []))

    async def test_G4_3_put_without_a_body(self) -> None:
        """
        C{PUT} without a body says so (RFC 9110, section 8.6).
        """
        self.assertEqual((await self.forwarded(request(method=b"PUT", body=b""))).values(b"content-length"), [b"0"])


class PlaceTests(GatewayCase):
    """
    Where a request goes.
    """

    def delegate(self) -> None:
        """
        Let C{ex.com} be served by C{m.ex.com}, which an SRV record leads to C{t.net}.
        """
        self.dns.add_address("t.net", "192.0.2.3")
        self.dns.add_service("_matrix-fed._tcp.m.ex.com", "t.net", 8448)
        self.federation.serve_well_known("ex.com", {"m.server": "m.ex.com"})

    async def test_G4_2_the_host_of_a_delegation(self) -> None:
        """
        C{Host} is the name that was delegated to.
        """
        self.delegate()
        origin = self.origin(OK, "m.ex.com", "192.0.2.3")
        self.gateway()
        self.assertEqual((await self.reply(request(b"matrix-federation://ex.com/a"))).code, 200)
        self.assertEqual((origin.request.values(b"host"), origin.request.target), ([b"m.ex.com"], b"/a"))

    async def test_G4_4_the_name_in_tls(self) -> None:
        """
        The remote proves the delegated name, and never that of the SRV target.
        """
        self.delegate()
        origin = self.origin(OK, "t.net", "192.0.2.3")
        self.gateway()
        response = await self.reply(request(b"matrix-federation://ex.com/a"))
        self.assertEqual((response.code, response.json["phase"], origin.requests), (502, "tls", []))

    async def test_G4_5_redirects_are_not_followed(self) -> None:
        """
        A redirect is an answer like any other: its client decides.
        """
        location = b"https://cdn.test/media"
        origin = self.origin(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)
        self.gateway()
        response = await self.reply(request())
        self.assertEqual((response.code, response.values(b"location"), len(origin.requests)), (307, [location], 1))
        self.assertEqual(len(self.federation.dialled), 1)
