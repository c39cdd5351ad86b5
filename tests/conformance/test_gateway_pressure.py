"""
Back-pressure through the gateway: nothing is read that nobody takes.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from tests.conformance.case import until
from tests.conformance.gateway_case import OK, URI, GatewayCase, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.raw_peers import OriginConnection, RawClient

MEGABYTE = 1024 * 1024
SIZE = 48 * MEGABYTE
UNDER_WAY = 12 * MEGABYTE
"""
Bytes that may be in the buffers of four sockets, of TLS and of the gateway.
"""
GRACE = 0.6
RATE = 8.0 * MEGABYTE


@implementer(IPushProducer)
class Pouring:
    """
    Writes a body as fast as a transport takes it.

    @ivar written: how many bytes of it.
    """

    def __init__(self, transport: Any, size: int, framed: Callable[[bytes], bytes] = bytes) -> None:
        self.written = 0
        self._transport, self._size, self._framed = transport, size, framed
        self._runs = False
        transport.registerProducer(self, streaming=True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """
        Write until there is enough.
        """
        self._runs = True
        while self._runs and self.written < self._size:
            self.written += 65536
            self._transport.write(self._framed(bytes(65536)))
        if self.written >= self._size:
            self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self._runs = False

    def stopProducing(self) -> None:
        """
        Stop for good.
        """
        self._runs = False


def chunk(data: bytes) -> bytes:
    """
    Write a chunk.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


class PressureTests(GatewayCase):
    """
    One side that is slow, and one that is not.
    """

    timeout = 60

    async def steady(self, count: Callable[[], int]) -> int:
        """
        Wait until a number does not change any more.
        """
        seen: list[int] = []
        await until(lambda: seen.append(count()) or (len(seen) > 40 and len(set(seen[-40:])) == 1))  # type: ignore[func-returns-value]
        return seen[-1]

    def pouring(self, head: bytes, framed: Callable[[bytes], bytes] = bytes) -> list[Pouring]:
        """
        Let a server answer with more than anybody has room for.
        """
        pouring: list[Pouring] = []

        def pour(connection: OriginConnection) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head)
            pouring.append(Pouring(connection.connection, SIZE, framed))

        self.origin(pour)
        return pouring

    async def idle_client(self) -> RawClient:
        """
        Connect, and read nothing.
        """
        client = await self.client()
        client.connection.pauseProducing()
        client.connection.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        return client

    async def test_G5_7_G8_15_a_client_that_does_not_read(self) -> None:
        """
        Of a response no more is taken from the remote than fits into buffers, until the client goes on.
        """
        pouring = self.pouring(b"Content-Length: %d" % SIZE)
        self.gateway()
        client = await self.idle_client()
        client.send(request(URI, b"Connection: close"))
        await until(lambda: pouring != [])
        self.assertLess(await self.steady(lambda: pouring[0].written), UNDER_WAY)
        client.connection.resumeProducing()
        await until(lambda: client.end != "")
        self.assertEqual((client.end, len(client.whole[0].body)), ("clean", SIZE))

    async def test_G5_7_chunks_that_nobody_reads(self) -> None:
        """
        So it is with chunks.
        """
        pouring = self.pouring(b"Transfer-Encoding: chunked", chunk)
        self.gateway()
        client = await self.idle_client()
        client.send(request(URI, b"Connection: close"))
        await until(lambda: pouring != [])
        self.assertLess(await self.steady(lambda: pouring[0].written), UNDER_WAY)

    async def test_G5_7_a_client_that_reads_nothing_for_long(self) -> None:
        """
        A client that takes nothing within its limit loses its connection, and the remote its own.
        """
        pouring = self.pouring(b"Content-Length: %d" % SIZE)
        self.gateway(write_timeout=0.3)
        client = await self.idle_client()
        client.send(request())
        await until(lambda: pouring != [])
        await until(lambda: self.forwarder.under_way() == 0 and self.clients == 0)
        client.connection.resumeProducing()
        await until(lambda: client.end != "")
        self.assertEqual((client.end, client.whole), ("reset", []))

    async def upload(self, head: bytes, framed: Callable[[bytes], bytes] = bytes) -> tuple[RawClient, Pouring]:
        """
        Send more than anybody has room for to a server that does not read.
        """
        self.far = self.origin(lambda one: one.connection.pauseProducing(), eager=True)
        self.gateway(body_grace=GRACE, minimum_rate=RATE)
        client = await self.client(request(URI, head, method=b"PUT"))
        pouring = Pouring(client.connection, SIZE, framed)
        await until(lambda: self.far.connections != [] and self.far.connections[0].count > 0)
        return client, pouring

    async def test_G2_7_G8_15_a_remote_that_does_not_read(self) -> None:
        """
        Of a request no more is taken from the client than fits into buffers, until the remote goes on; the time for
        which the client was made to wait is not held against it.
        """
        client, pouring = await self.upload(b"Content-Length: %d" % SIZE)
        self.assertLess(taken := await self.steady(lambda: pouring.written), UNDER_WAY)
        await self.pause(GRACE + taken / RATE)
        self.far.connections[0].connection.resumeProducing()
        await until(lambda: self.far.connections[0].count > SIZE or client.end != "")
        self.far.connections[0].send(OK)
        self.assertEqual([one.code for one in await self.answers(client)], [200])

    async def test_G2_7_chunks_to_a_remote_that_does_not_read(self) -> None:
        """
        So it is with chunks.
        """
        _, pouring = await self.upload(b"Transfer-Encoding: chunked", chunk)
        self.assertLess(await self.steady(lambda: pouring.written), UNDER_WAY)

    async def test_G2_7_a_remote_that_is_not_reached(self) -> None:
        """
        So it is while there is no connection yet.
        """
        self.federation.black_hole("192.0.2.1", 8448)
        self.gateway()
        client = await self.client(request(URI, b"Content-Length: %d" % SIZE, method=b"PUT"))
        pouring = Pouring(client.connection, SIZE)
        self.assertLess(await self.steady(lambda: pouring.written), UNDER_WAY)
        self.assertEqual((client.end, self.forwarder.under_way()), ("", 1))

    async def test_G6_6_a_client_that_leaves_while_it_is_made_to_wait(self) -> None:
        """
        That a client has left is noticed although nothing is read from it.
        """
        client, pouring = await self.upload(b"Content-Length: %d" % SIZE)
        await self.steady(lambda: pouring.written)
        client.drop()
        await until(lambda: self.forwarder.under_way() == 0 and self.clients == 0)
        self.far.connections[0].connection.resumeProducing()
        await until(lambda: self.far.open == 0)

    async def test_G2_2_requests_that_nobody_asked_for_yet(self) -> None:
        """
        What a client sends behind a request that is not answered waits outside.
        """
        origin = self.origin(lambda _: None)
        self.gateway()
        client = await self.client(request())
        await until(lambda: origin.requests != [])
        pouring = Pouring(client.connection, SIZE)
        self.assertLess(await self.steady(lambda: pouring.written), UNDER_WAY)
        self.assertEqual((client.end, self.forwarder.under_way()), ("", 1))
