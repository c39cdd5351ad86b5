"""
How much the gateway does at once, for how long it waits, and how it stops.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.case import until
from tests.conformance.gateway_case import BEARER, OK, URI, GatewayCase, request


class BusyTests(GatewayCase):
    """
    Limits of number: what is above them is refused at once, with 503 and C{Retry-After}.
    """

    async def full(self, target: bytes, **policy: Any) -> tuple[int, list[bytes], str]:
        """
        Let one request be under way, and send another.

        @return: status, C{Retry-After} and code of the answer to that.
        """
        self.far = self.origin(lambda _: None)
        self.gateway(retry_after=7, **policy)
        self.first = await self.client(request(URI + b"1"))
        await until(lambda: self.far.requests != [])
        response = await self.reply(request(target))
        return response.code, response.values(b"retry-after"), response.json["errcode"]

    async def test_G8_22_requests(self) -> None:
        """
        Of requests under way; that which is goes on, and makes room.
        """
        self.assertEqual((await self.full(URI, max_requests=1))[:2], (503, [b"7"]))
        self.far.connections[0].send(OK)
        await self.answers(self.first)
        self.far.script = lambda one: one.send(OK)
        self.assertEqual((await self.reply(request())).code, 200)

    async def test_G8_22_requests_to_one_destination(self) -> None:
        """
        Of those to one server; others have theirs.
        """
        self.assertEqual((await self.full(URI, max_requests_per_destination=1))[:2], (503, [b"7"]))
        self.dns.add_address("other.com", "192.0.2.2")
        self.origin(OK, "other.com", "192.0.2.2")
        self.assertEqual((await self.reply(request(b"matrix-federation://other.com:8448/"))).code, 200)

    async def test_one_destination_has_one_spelling(self) -> None:
        """
        A server has no more for being spelt otherwise.
        """
        self.assertEqual((await self.full(b"MATRIX://EX.com:8448/", max_requests_per_destination=1))[0], 503)

    async def test_the_refused_keep_their_connection(self) -> None:
        """
        Who was refused may come again on the same connection, and a body that was refused is not taken for a request.
        """
        self.origin(lambda _: None)
        self.gateway(max_requests=1)
        await self.client(request())
        await until(lambda: self.forwarder.under_way() == 1)
        client = await self.client(request(method=b"PUT", body=request()) + request(method=b"PUT", body=b"a"))
        await until(lambda: len(client.whole) == 2 or client.end != "")
        self.assertEqual({one.code for one in client.whole}, {503})

    async def test_clients(self) -> None:
        """
        Of connections of clients; one that leaves makes room.
        """
        self.origin()
        self.gateway(max_connections=2)
        clients = [await self.client(request()) for _ in range(2)]
        for one in clients:
            await self.answers(one)
        third = await self.client(request())
        await until(lambda: third.end != "")
        self.assertTrue(all(one.code == 503 for one in third.whole))
        self.assertEqual((self.clients, [one.end for one in clients]), (2, ["", ""]))
        clients[0].leave()
        await until(lambda: self.clients == 1)
        self.assertEqual((await self.reply(request())).code, 200)


class SlowTests(GatewayCase):
    """
    Limits of time for clients.
    """

    async def late(self, data: bytes) -> list[int]:
        """
        Send something and nothing more, until the connection has ended.

        @return: the statuses of the answers.
        """
        client = await self.client(data)
        await until(lambda: client.end != "" and self.clients == 0)
        return [one.code for one in client.whole]

    async def test_a_head_that_does_not_begin(self) -> None:
        """
        Who connects and says nothing is disconnected.
        """
        self.gateway(head_timeout=0.1)
        self.assertIn(await self.late(b""), ([], [408]))

    async def test_a_head_that_does_not_end(self) -> None:
        """
        Who begins and does not go on is told, and disconnected.
        """
        self.gateway(head_timeout=0.1)
        self.assertEqual(await self.late(request()[:-2]), [408])

    async def test_a_head_that_drips(self) -> None:
        """
        The limit is for the whole head, not from byte to byte.
        """
        self.gateway(head_timeout=0.3)
        client = await self.client(request()[:-2])
        while not client.end:
            client.send(b"X")
            await self.pause()
        self.assertEqual([one.code for one in client.whole], [408])

    async def test_a_second_head(self) -> None:
        """
        It counts for each head, from its first byte.
        """
        self.origin()
        self.gateway(head_timeout=0.4)
        self.assertEqual(await self.late(request() + request()[:-2]), [200, 408])

    async def test_idle(self) -> None:
        """
        A connection without a request ends in order after a while, without a word.
        """
        self.origin()
        self.gateway(idle_timeout=0.1)
        client = await self.client(request())
        await until(lambda: client.end != "")
        self.assertEqual((client.end, [one.code for one in client.whole]), ("clean", [200]))

    async def test_idle_is_not_late(self) -> None:
        """
        For the limit of a head, a connection without a request does not wait.
        """
        self.origin()
        self.gateway(head_timeout=0.4)
        client = await self.client(request())
        await self.answers(client)
        await self.pause(0.6)
        client.send(request()[:20])
        await self.pause()
        client.send(request()[20:])
        self.assertEqual([one.code for one in await self.answers(client, 2)], [200, 200])

    async def test_a_body_that_does_not_come(self) -> None:
        """
        Who does not go on with a body is told, and the remote never sees an end of it.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway(body_grace=0.1, minimum_rate=1e9)
        self.assertEqual(await self.late(request(method=b"PUT", body=bytes(300_000))[:-1]), [408])
        await until(lambda: origin.open == 0 and self.forwarder.under_way() == 0)
        self.assertNotIn(True, [one.whole for one in origin.requests])

    async def test_a_body_that_drips(self) -> None:
        """
        A byte now and then is too slow.
        """
        self.origin(lambda _: None, eager=True)
        self.gateway(body_grace=0.1, minimum_rate=1e6)
        client = await self.client(request(URI, b"Transfer-Encoding: chunked", method=b"PUT"))
        while not client.end:
            client.send(b"1\r\na\r\n")
            await self.pause()
        self.assertEqual([one.code for one in client.whole], [408])

    async def test_a_response_is_not_awaited_before_the_body_came(self) -> None:
        """
        The remote's time begins when the client has sent everything.
        """
        origin = self.origin(lambda _: None, eager=True)
        self.gateway(response_timeout=0.4)
        client = await self.client(request(method=b"PUT", body=bytes(300_000))[:-1])
        await until(lambda: origin.requests != [])
        await self.pause(0.6)
        client.send(b"\0")
        await until(lambda: origin.connections[0].count > 300_000)
        origin.connections[0].send(OK)
        self.assertEqual([one.code for one in await self.answers(client)], [200])


class DrainTests(GatewayCase):
    """
    A gateway that is about to stop.
    """

    async def draining(self) -> None:
        """
        Begin to stop while a request is under way.
        """
        self.far = self.origin(lambda _: None)
        self.gateway()
        self.first = await self.client(request())
        await until(lambda: self.far.requests != [])
        self.factory.drain()
        self.drained = self.forwarder.drain()

    async def test_what_is_under_way_is_finished(self) -> None:
        """
        Its client gets its response, and the connection ends in order.
        """
        await self.draining()
        self.assertNoResult(self.drained)
        self.far.connections[0].send(OK)
        await self.drained
        await until(lambda: self.first.end != "")
        (response,) = self.first.whole
        self.assertEqual((self.first.end, response.values(b"connection"), response.body), ("clean", [b"close"], b"hi"))

    async def test_in_the_body(self) -> None:
        """
        A response that has begun is finished, and the connection ends, although its head did not say so.
        """
        origin = self.origin(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        self.gateway()
        client = await self.client(request())
        await until(lambda: client.received.endswith(b"ha"))
        self.factory.drain()
        origin.connections[0].send(b"lf")
        await until(lambda: client.end != "")
        self.assertEqual((client.end, [one.body for one in client.whole]), ("clean", [b"half"]))

    async def test_nothing_new(self) -> None:
        """
        What comes meanwhile is answered with 503 and C{Retry-After}.
        """
        await self.draining()
        response = await self.reply(request())
        self.assertEqual((response.code, response.values(b"retry-after"), len(self.far.requests)), (503, [b"5"], 1))
        self.assertEqual(response.values(b"connection"), [b"close"])

    async def test_a_stranger_is_told_nothing(self) -> None:
        """
        Who does not know the secret is not told of it.
        """
        await self.draining()
        self.assertEqual((await self.reply(request().replace(BEARER + b"\r\n", b""))).code, 401)

    async def test_idle_connections_end(self) -> None:
        """
        Connections without a request end at once, and in order.
        """
        self.origin()
        self.gateway()
        client = await self.client(request())
        await self.answers(client)
        self.factory.drain()
        await until(lambda: client.end != "")
        self.assertEqual((client.end, self.clients), ("clean", 0))

    async def test_nothing_under_way(self) -> None:
        """
        Where nothing is under way it is done at once.
        """
        self.gateway()
        self.successResultOf(self.forwarder.drain())

    async def test_abort(self) -> None:
        """
        What does not end in time is cut off, on both sides.
        """
        await self.draining()
        self.factory.abort()
        await until(lambda: self.first.end != "" and self.far.open == 0)
        self.assertEqual((self.first.end, self.first.whole, self.forwarder.under_way()), ("reset", [], 0))
        await self.drained
