"""
What the client of the gateway sees of a response.
"""

from __future__ import annotations

from tests.conformance.case import until
from tests.conformance.gateway_case import URI, GatewayCase, request
from tests.conformance.raw_peers import answering, closing

MEGABYTE = 1024 * 1024
HOP_BY_HOP = (
    b"Connection: X-Named, keep-alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Authorization: a",
    b"TE: trailers",
    b"Trailer: X-Checksum",
    b"Upgrade: h2c",
    b"X-Named: a",
)


def response(*lines: bytes, status: bytes = b"200 OK", body: bytes = b"hi") -> bytes:
    """
    Write a response with its length.
    """
    return b"\r\n".join((b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines, b"", body))


class HeadTests(GatewayCase):
    """
    Status and headers.
    """

    async def test_G5_1_statuses(self) -> None:
        """
        Every status passes, also those that nobody knows, and its words with it.
        """
        codes = [200, 201, 299, 300, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503, 599, 600, 999]
        self.origin(answering(*[response(status=b"%d Words" % code) for code in codes]))
        self.gateway()
        starts = [(await self.reply(request())).start for _ in codes]
        self.assertEqual(starts, [b"HTTP/1.1 %d Words" % code for code in codes])

    async def test_G5_1_no_phrase(self) -> None:
        """
        A status without words is one.
        """
        seen = await self.received(response(status=b"404 "))
        self.assertTrue(seen.start.startswith(b"HTTP/1.1 404"))

    async def test_G5_2_end_to_end_headers(self) -> None:
        """
        They are those of the remote, byte for byte, repeated ones in order; nothing is added.
        """
        lines = (
            b"Server: Synapse/1",
            b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
            b"X-A: 2",
            b"X-B: \xc3\xa9 ,b",
            b"x-a: 1",
        )
        seen = await self.received(response(*lines))
        self.assertEqual((seen.values(b"x-a"), seen.values(b"x-b")), ([b"2", b"1"], [b"\xc3\xa9 ,b"]))
        self.assertEqual(
            seen.values(b"server") + seen.values(b"date"), [b"Synapse/1", b"Mon, 01 Jan 2024 00:00:00 GMT"]
        )
        self.assertEqual(seen.names, [b"content-length", b"date", b"server", b"x-a", b"x-a", b"x-b"])

    async def test_G5_3_G8_18_hop_by_hop_headers(self) -> None:
        """
        What is for the gateway alone stays here, also what C{Connection} names, and C{Trailer}.
        """
        seen = await self.received(response(b"X-Other: a", *HOP_BY_HOP))
        self.assertEqual(seen.names, [b"content-length", b"x-other"])

    async def test_G5_3_connection_close_is_between_the_gateway_and_the_remote(self) -> None:
        """
        A remote that closes does not close the client's connection.
        """
        self.origin(closing(response(b"Connection: close, X-Named", b"X-Named: a")))
        self.gateway()
        client = await self.client(request())
        (first,) = await self.answers(client)
        client.send(request())
        self.assertEqual((first.names, len(await self.answers(client, 2)), client.end), ([b"content-length"], 2, ""))

    async def test_G5_5_no_content_type(self) -> None:
        """
        None is made up.
        """
        self.assertEqual((await self.received(response())).values(b"content-type"), [])

    async def test_informational_responses(self) -> None:
        """
        They end here: they are no answer.
        """
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        self.assertEqual((await self.received(b"HTTP/1.1 100 Continue\r\n\r\n" + early + response())).code, 200)

    async def test_another_protocol(self) -> None:
        """
        A remote cannot switch to another protocol, for which nobody asked.
        """
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        self.assertEqual((await self.received(switch)).code, 502)


class LengthTests(GatewayCase):
    """
    Where a body ends.
    """

    async def test_G5_4_G8_13_content_length(self) -> None:
        """
        The length passes, and there are no chunks.
        """
        seen = await self.received(response(body=bytes(range(256))))
        self.assertEqual((seen.values(b"content-length"), seen.values(b"transfer-encoding")), ([b"256"], []))
        self.assertEqual(seen.body, bytes(range(256)))

    async def test_G5_4_no_body(self) -> None:
        """
        A length of nothing is a length.
        """
        self.assertEqual((await self.received(response(body=b""))).values(b"content-length"), [b"0"])

    async def test_G5_4_chunks(self) -> None:
        """
        What comes in chunks goes in chunks; extensions and trailers stay here.
        """
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
        data = head + b"2;a=b\r\nhi\r\n4\r\nyou!\r\n0\r\nX-T: a\r\n\r\n"
        seen = await self.received(data)
        self.assertEqual((seen.values(b"transfer-encoding"), seen.values(b"content-length")), ([b"chunked"], []))
        self.assertEqual((seen.body, seen.whole, seen.names), (b"hiyou!", True, [b"transfer-encoding"]))

    async def test_G5_6_head(self) -> None:
        """
        A response to C{HEAD} keeps its length, and the connection goes on.
        """
        self.origin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
        self.gateway()
        client = await self.client(request(method=b"HEAD"))
        client.bodiless = True
        await self.answers(client)
        client.send(request(method=b"HEAD"))
        responses = await self.answers(client, 2)
        self.assertEqual([one.values(b"content-length") for one in responses], [[b"5000"], [b"5000"]])
        self.assertEqual((client.received.count(b"HTTP/1.1 200"), client.received.endswith(b"\r\n\r\n")), (2, True))

    async def test_G5_6_head_without_a_length(self) -> None:
        """
        Nor does one without a length get a body: no chunks, not even the last.
        """
        self.gateway()
        for lines in (b"", b"Transfer-Encoding: chunked\r\n"):
            origin = self.origin(answering(b"HTTP/1.1 200 OK\r\n" + lines + b"X-A: a\r\n\r\n"))
            client = await self.client(request(method=b"HEAD") + request(method=b"HEAD"))
            client.bodiless = True
            await until(lambda origin=origin: len(origin.requests) == 2)  # type: ignore[misc]
            self.assertEqual(len(await self.answers(client, 2)), 2)
            self.assertNotIn(b"0\r\n\r\n", bytes(client.received))
            await self.federation.close("192.0.2.1", 8448)

    async def test_G5_6_204_and_304(self) -> None:
        """
        Responses that have no body get none, no length and no chunks; the connection goes on.
        """
        statuses = (b"204 No Content", b"304 Not Modified")
        self.origin(answering(*[b"HTTP/1.1 %b\r\nX-A: a\r\n\r\n" % status for status in statuses]))
        self.gateway()
        client = await self.client(request() + request())
        responses = await self.answers(client, 2)
        self.assertEqual([(one.code, one.names) for one in responses], [(204, [b"x-a"]), (304, [b"x-a"])])
        self.assertEqual(client.received.count(b"\r\n\r\n"), 2)

    async def test_G6_5_G8_17_a_body_that_ends_with_its_connection(self) -> None:
        """
        It is complete, and the client's ends in order and goes on.
        """
        self.origin(closing(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"))
        self.gateway()
        client = await self.client(request())
        (seen,) = await self.answers(client)
        self.assertEqual((seen.body, seen.whole, client.end), (b"until the end", True, ""))

    async def test_G6_5_http_1_0(self) -> None:
        """
        So it is from an older server.
        """
        self.origin(closing(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"))
        self.gateway()
        self.assertEqual((await self.reply(request())).body, b"until the end")

    async def test_G5_9_a_long_body(self) -> None:
        """
        There is no limit: of 20 MB every byte arrives, in chunks or with a length.
        """
        size = 20 * MEGABYTE
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size))
        self.origin(answering(response(body=bytes(size)), chunked))
        self.gateway()
        for _ in range(2):
            client = await self.client(request(URI, b"Connection: close"))
            await until(lambda client=client: client.end != "")  # type: ignore[misc]
            (seen,) = client.whole
            self.assertEqual((client.end, seen.body.count(0), len(seen.body)), ("clean", size, size))


class AtOnceTests(GatewayCase):
    """
    Nothing is held back.
    """

    async def test_G5_8_G8_14_the_head_comes_before_the_body(self) -> None:
        """
        A client sees the head while the remote has not begun with the body.
        """
        self.gateway()
        for framing in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-Neither: a"):
            self.origin(answering(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"))
            client = await self.client(request())
            await until(lambda client=client: client.responses != [])  # type: ignore[misc]
            self.assertEqual((client.responses[0].code, client.whole), (200, []))
            await self.federation.close("192.0.2.1", 8448)

    async def test_G5_7_the_body_comes_as_it_comes(self) -> None:
        """
        And the first bytes of the body while there are no more.
        """
        origin = self.origin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"))
        self.gateway()
        client = await self.client(request())
        await until(lambda: client.received.endswith(b"\r\n\r\nhe"))
        origin.connections[0].send(b"l")
        await until(lambda: client.received.endswith(b"\r\n\r\nhel"))
        origin.connections[0].send(b"lo")
        self.assertEqual((await self.answers(client))[0].body, b"hello")
