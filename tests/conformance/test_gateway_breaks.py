"""
What becomes of one side of the gateway when the other breaks off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance.case import until
from tests.conformance.gateway_case import OK, URI, GatewayCase, request
from tests.conformance.raw_peers import OriginConnection, RawClient, answering

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IStreamClientEndpoint

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
IN_A_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhalf"
MEGABYTE = 1024 * 1024


class RemoteTests(GatewayCase):
    """
    A remote that breaks off in the body of a response: so does the gateway, and what is not whole never looks whole.
    """

    async def broken(
        self,
        answer: bytes,
        end: Callable[[OriginConnection], object],
        endpoint: IStreamClientEndpoint | None = None,
        data: bytes = b"",
    ) -> RawClient:
        """
        Let a remote break off once the client has seen the beginning.
        """
        origin = self.origin(answering(answer))
        client = await self.client(data or request(), endpoint)
        await until(lambda: b"half" in client.received)
        end(origin.connections[0])
        await until(lambda: client.end != "")
        await until(lambda: self.forwarder.under_way() == 0)
        return client

    async def test_G6_4_G8_7_a_length(self) -> None:
        """
        Before the length was reached: by an end of TLS, by a reset, or by an end of TCP alone.
        """
        self.gateway()
        ends: list[Callable[[OriginConnection], object]] = [
            lambda one: one.close(),
            lambda one: one.drop(),
            lambda one: one.truncate(),
        ]
        for end in ends:
            client = await self.broken(LENGTH, end)
            self.assertEqual((client.end, client.whole, client.received.endswith(b"\r\n\r\nhalf")), ("reset", [], True))
            await self.federation.close("192.0.2.1", 8448)

    async def test_G6_4_G8_7_chunks(self) -> None:
        """
        Before the last chunk, or in one; the client never sees a last chunk.
        """
        self.gateway()
        for answer in (CHUNKS, IN_A_CHUNK):
            client = await self.broken(answer, lambda one: one.close())
            self.assertEqual((client.end, client.whole, client.responses[0].body), ("reset", [], b"half"))
            self.assertNotIn(b"\r\n0\r\n", client.received)
            await self.federation.close("192.0.2.1", 8448)

    async def test_G6_4_G8_7_no_framing_and_a_reset(self) -> None:
        """
        A body that ends with its connection is not whole after a reset, nor without the end of TLS.
        """
        self.gateway()
        ends: list[Callable[[OriginConnection], object]] = [lambda one: one.drop(), lambda one: one.truncate()]
        for end in ends:
            client = await self.broken(UNTIL_CLOSE, end)
            self.assertEqual((client.end, client.whole), ("reset", []))
            await self.federation.close("192.0.2.1", 8448)

    async def test_G6_4_G8_7_an_older_client(self) -> None:
        """
        To a client of HTTP/1.0, for which the end of the connection is the end of the body.
        """
        self.gateway()
        client = await self.broken(CHUNKS, lambda one: one.close(), data=request(version=b"HTTP/1.0"))
        self.assertEqual((client.end, client.responses[0].body), ("reset", b"half"))

    async def test_G6_4_G8_7_nonsense_between_chunks(self) -> None:
        """
        What is no chunk is a broken body as well.
        """
        self.gateway()
        client = await self.broken(CHUNKS, lambda one: one.send(b"x\r\n"))
        self.assertEqual((client.end, client.whole), ("reset", []))

    async def test_G6_4_G8_7_a_client_with_tls(self) -> None:
        """
        A client with TLS sees no end of TLS.
        """
        endpoint = self.with_tls(self.gateway())
        client = await self.broken(LENGTH, lambda one: one.close(), endpoint)
        self.assertEqual((client.end, client.whole), ("reset", []))

    async def test_G6_4_G8_7_a_client_on_a_unix_socket(self) -> None:
        """
        A Unix socket has no reset: there the length or the missing last chunk tells.
        """
        endpoint = self.on_a_unix_socket(self.gateway())
        for answer in (LENGTH, CHUNKS):
            client = await self.broken(answer, lambda one: one.drop(), endpoint)
            self.assertEqual((client.whole, client.responses[0].body), ([], b"half"))
            await self.federation.close("192.0.2.1", 8448)

    async def test_G6_4_before_anything_was_sent_on(self) -> None:
        """
        Also when the body ends before its first byte.
        """
        self.gateway()
        head = b"HTTP/1.1 200 OK\r\nX-A: half\r\nContent-Length: 10\r\n\r\n"
        client = await self.broken(head, lambda one: one.close())
        self.assertEqual((client.end, client.whole), ("reset", []))

    async def test_G6_4_nothing_follows(self) -> None:
        """
        A request that waits behind it is not answered: its answer would look like a part of the body.
        """
        self.gateway()
        client = await self.broken(LENGTH, lambda one: one.close(), data=request() + request())
        self.assertEqual((client.received.count(b"HTTP/1.1"), client.end), (1, "reset"))

    async def test_G6_3_a_body_that_stalls(self) -> None:
        """
        After the agent's limit of silence; with none of the gateway's own.
        """
        self.origin(answering(LENGTH))
        self.gateway(connections={"silence_timeout": 0.8}, response_timeout=0.4)
        client = await self.client(request())
        await until(lambda: client.end != "")
        self.assertEqual((client.end, client.whole, client.responses[0].body), ("reset", [], b"half"))

    async def test_G6_3_a_slow_body_is_no_late_response(self) -> None:
        """
        The limit for the head of the response does not count for its body.
        """
        origin = self.origin(answering(LENGTH))
        self.gateway(response_timeout=0.4)
        client = await self.client(request())
        await until(lambda: b"half" in client.received)
        await self.pause(0.6)
        origin.connections[0].send(b" a day")
        self.assertEqual((await self.answers(client))[0].body, b"half a day")


class LeavingTests(GatewayCase):
    """
    A client that leaves takes its request with it, at once.
    """

    async def left(self, client: RawClient, by: str = "drop") -> None:
        """
        Let a client leave, and see that nothing remains.
        """
        getattr(client, by)()
        await until(lambda: self.forwarder.under_way() == 0 and self.clients == 0)

    async def test_G6_6_G6_10_G8_16_before_the_head(self) -> None:
        """
        Before the response: the remote's connection is dropped.
        """
        for by in ("drop", "leave"):
            origin = self.origin(lambda _: None)
            self.gateway()
            client = await self.client(request())
            await until(lambda origin=origin: origin.requests != [])  # type: ignore[misc]
            await self.left(client, by)
            await until(lambda origin=origin: origin.open == 0)  # type: ignore[misc]
            await self.federation.close("192.0.2.1", 8448)

    async def test_G6_6_before_there_is_a_connection(self) -> None:
        """
        Before the remote is reached: nobody goes on trying.
        """
        self.federation.black_hole("192.0.2.1", 8448)
        self.gateway()
        client = await self.client(request())
        await until(lambda: self.federation.dialled != [])
        await self.left(client)
        self.assertEqual(self.agent.connections(), [])

    async def test_G6_6_in_its_own_body(self) -> None:
        """
        In the body of its request: the remote never sees an end of it.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway()
        client = await self.client(request(method=b"PUT", body=bytes(300_000))[:-1])
        await until(lambda: origin.requests != [])
        await self.left(client)
        await until(lambda: origin.open == 0)
        self.assertEqual([one.whole for one in origin.requests], [False])

    async def test_G6_6_in_chunks_of_its_own(self) -> None:
        """
        Also in chunks.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway()
        client = await self.client(request(URI, b"Transfer-Encoding: chunked", method=b"PUT") + b"5\r\nhello\r\n")
        await until(lambda: origin.requests != [])
        await self.left(client, "leave")
        await until(lambda: origin.open == 0)
        self.assertEqual([one.whole for one in origin.requests], [False])

    async def test_G6_7_in_both_bodies(self) -> None:
        """
        While it sends its own body, and the remote answers already.
        """
        origin = self.origin(answering(LENGTH), eager=True)
        self.gateway()
        client = await self.client(request(URI, b"Transfer-Encoding: chunked", method=b"PUT") + b"5\r\nhello\r\n")
        await until(lambda: b"half" in client.received)
        await self.left(client)
        await until(lambda: origin.open == 0)
        self.assertEqual([one.whole for one in origin.requests], [False])

    async def test_G6_7_G8_16_in_the_body(self) -> None:
        """
        In the body of the response, although nothing is sent any more by which it would be noticed.
        """
        origin = self.origin(answering(LENGTH))
        self.gateway()
        client = await self.client(request())
        await until(lambda: b"half" in client.received)
        await self.left(client)
        await until(lambda: origin.open == 0)

    async def test_G6_7_in_a_body_that_it_does_not_read(self) -> None:
        """
        Also when it had stopped to read long before.
        """
        body = bytes(32 * MEGABYTE)
        origin = self.origin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
        self.gateway()
        client = await self.client()
        client.connection.pauseProducing()
        client.send(request())
        await until(lambda: self.forwarder.under_way() == 1 and origin.requests != [])
        await self.left(client)
        await until(lambda: origin.open == 0)

    async def test_a_pipelined_request_is_not_sent(self) -> None:
        """
        What waits behind a request is forgotten with it.
        """
        origin = self.origin(lambda _: None)
        self.gateway()
        client = await self.client(request(URI + b"1") + request(URI + b"2", method=b"PUT", body=b"a"))
        await until(lambda: origin.requests != [])
        await self.left(client)
        await until(lambda: origin.open == 0)
        self.assertEqual([one.target for one in origin.requests], [b"/1"])

    async def test_others_do_not_notice(self) -> None:
        """
        Another client's request to the same remote goes on.
        """
        origin = self.origin(lambda _: None)
        self.gateway()
        leaving, staying = await self.client(request(URI + b"1")), await self.client(request(URI + b"2"))
        await until(lambda: len(origin.requests) == 2)
        leaving.drop()
        await until(lambda: self.forwarder.under_way() == 1 and origin.open == 1)
        for one in origin.connections:
            if not one.end:
                one.send(OK)
        self.assertEqual((await self.answers(staying))[0].body, b"hi")


class RemoteHurryTests(GatewayCase):
    """
    A remote that breaks off before there is a response.
    """

    async def test_G6_1_in_the_head(self) -> None:
        """
        In its head: the client has a proper answer, and keeps its connection.
        """
        origin = self.origin(answering(b"HTTP/1.1 200 OK\r\nContent-Le"))
        self.gateway()
        client = await self.client(request(method=b"POST", body=b"a"))
        await until(lambda: origin.requests != [])
        await self.turn()
        origin.connections[0].drop()
        (response,) = await self.answers(client)
        self.assertEqual((response.code, response.json["phase"], client.end), (502, "http", ""))

    async def test_G6_1_while_it_is_sent_a_body(self) -> None:
        """
        In the body of the request: likewise, but the connection ends, since the rest of that body is no request.
        """
        self.origin(lambda one: one.drop(), eager=True)
        self.gateway()
        client = await self.client(request(method=b"PUT", body=bytes(MEGABYTE))[:-1])
        await until(lambda: client.end != "" or client.whole != [])
        await until(lambda: self.forwarder.under_way() == 0)
        self.assertEqual([one.code for one in client.whole], [502])
