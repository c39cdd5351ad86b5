"""
The body of a request, on its way through the gateway.
"""

from __future__ import annotations

from tests.conformance.case import until
from tests.conformance.gateway_case import OK, URI, GatewayCase, request

MEGABYTE = 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """
    Write a request with a body in chunks.
    """
    head = request(URI, b"Transfer-Encoding: chunked", method=b"PUT")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


class LengthTests(GatewayCase):
    """
    Bodies whose length is told.
    """

    async def test_G2_7_content_length(self) -> None:
        """
        It reaches the remote with its length and without chunks.
        """
        body = bytes(range(256)) * 40
        seen = await self.forwarded(request(method=b"POST", body=body))
        self.assertEqual((seen.values(b"content-length"), seen.values(b"transfer-encoding")), ([b"10240"], []))
        self.assertEqual(seen.body, body)

    async def test_G2_7_a_body_with_any_method(self) -> None:
        """
        Also with C{GET} and C{DELETE}.
        """
        origin = self.origin()
        self.gateway()
        for method in (b"GET", b"DELETE", b"OPTIONS", b"X"):
            self.assertEqual((await self.reply(request(method=method, body=b"body"))).code, 200)
        self.assertEqual([one.body for one in origin.requests], [b"body"] * 4)

    async def test_G2_7_a_long_body(self) -> None:
        """
        Of 13 MB, which is the most that Synapse sends, every byte arrives.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway()
        size = 13 * MEGABYTE
        client = await self.client(request(method=b"PUT", body=b"a" * size))
        await until(lambda: origin.connections != [] and origin.connections[0].count >= size)
        head = origin.connections[0].received.partition(b"\r\n\r\n")[0]
        self.assertEqual(origin.connections[0].count, len(head) + 4 + size)
        origin.connections[0].send(OK)
        self.assertEqual((await self.answers(client))[0].code, 200)

    async def test_G2_7_a_body_streams(self) -> None:
        """
        A long body begins to arrive before its end was sent.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway()
        client = await self.client(request(method=b"PUT", body=bytes(MEGABYTE))[:-1])
        await until(lambda: origin.connections != [] and origin.connections[0].count > MEGABYTE // 2)
        self.assertEqual(client.end, "")

    async def test_G2_7_equal_lengths(self) -> None:
        """
        A length may be told twice, if it is the same (RFC 9110, section 8.6).
        """
        seen = await self.forwarded(request(URI, b"Content-Length: 4", method=b"PUT", body=b"body"))
        self.assertEqual((seen.values(b"content-length"), seen.body), ([b"4"], b"body"))

    async def test_an_answer_before_the_end(self) -> None:
        """
        A remote that answers without reading to the end is heard.
        """
        refusal = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
        self.origin(lambda one: one.send(refusal), eager=True)
        self.gateway()
        client = await self.client(request(method=b"PUT", body=bytes(MEGABYTE))[:-1])
        (response,) = await self.answers(client)
        self.assertEqual((response.code, response.body), (413, b"big"))


class ChunkTests(GatewayCase):
    """
    Bodies in chunks.
    """

    async def test_G2_7_chunks(self) -> None:
        """
        What was in the chunks reaches the remote, framed once.
        """
        seen = await self.forwarded(chunked(b"hello, ", b"world"))
        self.assertEqual((seen.body, seen.whole), (b"hello, world", True))
        self.assertEqual(len(seen.values(b"content-length") + seen.values(b"transfer-encoding")), 1)

    async def test_G2_7_an_empty_body_in_chunks(self) -> None:
        """
        Also when there is nothing in them.
        """
        seen = await self.forwarded(chunked())
        self.assertEqual((seen.body, seen.whole), (b"", True))

    async def test_G2_7_extensions_and_trailers_end_here(self) -> None:
        """
        Extensions of chunks and trailers are for the gateway alone.
        """
        seen = await self.forwarded(chunked(end=b"2;a=b\r\nhi\r\n0;c\r\nX-Trailer: a\r\n\r\n"))
        self.assertEqual((seen.body, seen.values(b"x-trailer")), (b"hi", []))

    async def test_G2_7_the_next_request(self) -> None:
        """
        What follows the chunks is the next request.
        """
        origin = self.origin()
        self.gateway()
        await self.answers(await self.client(chunked(b"a") + chunked(b"b") + request(URI + b"c")), 3)
        self.assertEqual(
            [(one.target, one.body) for one in origin.requests], [(b"/", b"a"), (b"/", b"b"), (b"/c", b"")]
        )

    async def test_G2_7_streams(self) -> None:
        """
        A chunk arrives before the next was sent.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway()
        client = await self.client(chunked(b"first", end=b""))
        await until(lambda: origin.requests != [] and origin.request.body == b"first")
        self.assertFalse(origin.request.whole)
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        await until(lambda: origin.request.whole)
        self.assertEqual(origin.request.body, b"firstsecond")


class LimitTests(GatewayCase):
    """
    Bodies that are too long.
    """

    async def test_G2_7_G8_22_too_long(self) -> None:
        """
        A length above the limit is answered with 413 at once, and reaches nobody.
        """
        self.gateway(max_body_bytes=1000)
        response = await self.reply(request(URI, b"Content-Length: 1001", method=b"PUT"))
        self.assertEqual((response.code, response.json["errcode"], self.federation.dialled), (413, "M_TOO_LARGE", []))

    async def test_G2_7_G8_22_not_too_long(self) -> None:
        """
        The limit itself is permitted.
        """
        self.origin()
        self.gateway(max_body_bytes=1000)
        self.assertEqual((await self.reply(request(method=b"PUT", body=bytes(1000)))).code, 200)
        self.assertEqual((await self.reply(chunked(bytes(500), bytes(500)))).code, 200)

    async def test_G2_7_G8_22_chunks_that_are_too_long(self) -> None:
        """
        So are chunks above the limit; the remote never sees an end that looks right.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway(max_body_bytes=1000)
        client = await self.client(chunked(bytes(500), end=b""))
        await until(lambda: origin.requests != [])
        client.send(b"1f5\r\n" + bytes(501) + b"\r\n0\r\n\r\n")
        (response,) = await self.answers(client)
        self.assertEqual((response.code, response.json["errcode"]), (413, "M_TOO_LARGE"))
        await until(lambda: origin.open == 0)
        self.assertEqual([one.whole for one in origin.requests], [False])

    async def test_a_refused_body_is_no_request(self) -> None:
        """
        What was refused is not taken for a request, whether it came at once or not.
        """
        origin = self.origin()
        self.gateway(max_body_bytes=10)
        inner = request()
        client = await self.client(
            request(method=b"PUT", body=inner) + request(method=b"PUT", body=inner)[: -len(inner)]
        )
        await until(lambda: client.whole != [])
        client.send(inner)
        await until(lambda: client.end != "")
        self.assertEqual(({one.code for one in client.whole}, origin.requests), ({413}, []))


class ExpectTests(GatewayCase):
    """
    C{Expect: 100-continue}.
    """

    async def test_G2_8_continue(self) -> None:
        """
        A client that waits for it is told to go on; the remote sees nothing of it.
        """
        origin = self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Content-Length: 4", b"Expect: 100-continue", method=b"PUT"))
        await until(lambda: bytes(client.received) == CONTINUE)
        client.send(b"body")
        responses = await self.answers(client, 2)
        self.assertEqual([one.code for one in responses], [100, 200])
        self.assertEqual((origin.request.body, origin.request.values(b"expect")), (b"body", []))

    async def test_G2_8_in_another_case(self) -> None:
        """
        The expectation has no case (RFC 9110, section 10.1.1).
        """
        self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Content-Length: 4", b"expect: 100-Continue", method=b"PUT"))
        await until(lambda: bytes(client.received) == CONTINUE)
        client.send(b"body")
        self.assertEqual([one.code for one in await self.answers(client, 2)], [100, 200])

    async def test_G2_8_not_to_http_1_0(self) -> None:
        """
        An older client would not understand it.
        """
        self.origin()
        self.gateway()
        lines = (b"Content-Length: 4", b"Expect: 100-continue")
        client = await self.client(request(URI, *lines, method=b"PUT", version=b"HTTP/1.0") + b"body")
        self.assertEqual([one.code for one in await self.answers(client)], [200])

    async def test_G2_8_waiting_for_it_is_not_being_late(self) -> None:
        """
        A client that was not told to go on, because the remote is not reached, is not late with its body.
        """
        self.federation.black_hole("192.0.2.1", 8448)
        self.gateway(body_grace=0.1, response_timeout=0.4)
        client = await self.client(request(URI, b"Content-Length: 4", b"Expect: 100-continue", method=b"PUT"))
        self.assertEqual([one.code for one in await self.answers(client)], [504])

    async def test_G2_8_another_expectation(self) -> None:
        """
        What else a client may expect nobody knows: 417 (RFC 9110, section 10.1.1).
        """
        self.gateway()
        response = await self.reply(request(URI, b"Content-Length: 4", b"Expect: 200-ok", method=b"PUT"))
        self.assertEqual((response.code, self.federation.dialled), (417, []))

    async def test_G2_8_nothing_to_wait_for(self) -> None:
        """
        Without a body there is nothing to go on with.
        """
        self.origin()
        self.gateway()
        client = await self.client(request(URI, b"Expect: 100-continue"))
        self.assertEqual([one.code for one in await self.answers(client)], [200])

    async def test_G2_8_who_does_not_wait(self) -> None:
        """
        Who has begun with the body is not told to begin.
        """
        origin = self.origin()
        self.gateway()
        data = request(URI, b"Content-Length: 4", b"Expect: 100-continue", method=b"PUT")
        client = await self.client(data + b"bo")
        await until(lambda: self.forwarder.under_way() == 1)
        client.send(b"dy")
        self.assertEqual([one.code for one in await self.answers(client)], [200])
        self.assertEqual(origin.request.body, b"body")

    async def test_G2_8_a_body_that_is_too_long(self) -> None:
        """
        Nobody is told to go on with what will be refused.
        """
        self.gateway(max_body_bytes=3)
        client = await self.client(request(URI, b"Content-Length: 4", b"Expect: 100-continue", method=b"PUT"))
        self.assertEqual([one.code for one in await self.answers(client)], [413])
