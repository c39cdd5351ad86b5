"""
An agent under pressure: servers that are slow, silent or greedy, callers that give up, and what remains of it.

Every limit is a minute but for the one of which a test is, so that what ends sooner does not end by another.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.iweb import IBodyProducer

from matrix_federation_agent import read_body
from matrix_federation_agent.errors import FederationError, ResolutionFailed, ResponseFailed, TimedOut
from tests.conformance.case import until
from tests.conformance.pressing import EX, NAME, OK, Flood, Peer, PressingServer, PressureCase, answering, silent
from tests.http.kit import Reading
from tests.http.test_tls import Endless

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IResponse

MEGABYTE = 1024 * 1024
UNDER_WAY = 4 * MEGABYTE
"""
Bytes that may be in the buffers of two sockets and of two TLS connections.
"""
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"


def body(size: int) -> IBodyProducer:
    """
    Make a body of a request.
    """
    return FileBodyProducer(BytesIO(bytes(size)))


class CancellingTests(PressureCase):
    """
    Who cancels frees sockets and timers at once, in whichever phase, and leaves no unhandled error.
    """

    def setUp(self) -> None:
        """
        Make the agent, and look at the limits before.
        """
        super().setUp()
        self.patient()
        self.before = self.limits

    async def cancelled(self, work: Deferred[Any], reached: Callable[[], bool]) -> None:
        """
        Cancel something once a phase is reached.
        """
        await until(reached)
        self.assertNoResult(work)
        work.cancel()
        self.assertEqual(self.limits, self.before)
        self.failureResultOf(work, CancelledError)
        await until(lambda: self.open == 0)

    async def test_well_known(self) -> None:
        """
        While a document is awaited.
        """
        document = self.federation.serve_well_known("wk.com", {})
        document.silent = True
        await self.cancelled(self.ask("wk.com", self.agent), lambda: document.requests != [])

    async def test_dns(self) -> None:
        """
        While a name server is silent.
        """
        self.dns.silence("silent.com")
        await self.cancelled(self.ask("silent.com:8448", self.agent), lambda: "silent.com" in self.hosts)

    async def test_tcp(self) -> None:
        """
        While packets vanish.
        """
        self.federation.black_hole(EX, 8448)
        await self.cancelled(self.ask(NAME, self.agent), lambda: self.federation.dialled != [])

    async def test_tls(self) -> None:
        """
        While the handshake is not answered.
        """
        server = PressingServer(silent)
        self.federation.listen_tcp(EX, 8448, server)
        await self.cancelled(self.ask(NAME, self.agent), lambda: server.peers != [])
        await until(lambda: not server.peers)

    async def test_sending(self) -> None:
        """
        While a large body is sent.
        """
        server, producer = self.pressing(lambda peer: peer.connection.pauseProducing()), Endless()
        uri = f"matrix-federation://{NAME}/".encode("ascii")
        sending = self.agent.request(b"PUT", uri, None, producer)
        await self.cancelled(sending, lambda: "pause" in producer.told)
        self.assertEqual(producer.told[-1], "stop")
        # Who does not read sees no end.
        for peer in server.peers:
            peer.connection.resumeProducing()
        await until(lambda: not server.peers)

    async def test_waiting(self) -> None:
        """
        While the head of the response is awaited.
        """
        server = self.pressing(silent)
        await self.cancelled(self.ask(NAME, self.agent), lambda: server.requests != [])
        await until(lambda: not server.peers)

    async def test_reading(self) -> None:
        """
        While the body of the response is read, by whichever reader.
        """
        server = self.pressing(answering(HALF))
        readers: list[Callable[[IResponse], Deferred[bytes]]] = [readBody, lambda one: read_body(one, 99)]
        for read in readers:
            reading = read(await self.ask(NAME, self.agent))
            reading.cancel()
            self.assertEqual(self.limits, self.before)
            await self.assertFailure(reading, CancelledError)
            await until(lambda: self.open == 0 and not server.peers)

    async def test_queueing(self) -> None:
        """
        While another request has the only connection that may be open, which is not disturbed.
        """
        server = self.pressing(silent)
        self.patient(open_connections=1)
        first = self.ask(NAME, self.agent)
        await until(lambda: server.requests != [])
        before = self.limits
        second = self.ask(NAME, self.agent)
        await deferLater(reactor, 0)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual((self.limits, self.open), (before, 1))
        server.peers[0].send(OK)
        self.assertEqual((await first).code, 200)


class LimitTests(PressureCase):
    """
    Each phase has a limit of its own, which its error names.
    """

    async def late(self, name: str = NAME, **settings: Any) -> tuple[str, float | None]:
        """
        Send a request that is too late.

        @return: the phase and the limit.
        """
        error = await self.fails(self.ask(name, self.patient(**settings)), TimedOut)
        await until(lambda: self.open == 0)
        return error.phase, error.seconds

    async def test_tcp(self) -> None:
        """
        For TCP.
        """
        self.federation.black_hole(EX, 8448)
        self.assertEqual(await self.late(tcp_timeout=0.15), ("tcp", 0.15))

    async def test_tls(self) -> None:
        """
        For the handshake.
        """
        self.federation.listen_tcp(EX, 8448, Factory.forProtocol(Protocol))
        self.assertEqual(await self.late(tls_timeout=0.15), ("tls", 0.15))

    async def test_response(self) -> None:
        """
        For the head of the response, although bytes come.
        """

        def drip(peer: Peer) -> None:
            peer.send(b"HTTP/1.1 200 OK\r\nX-A: b\r\n" if not peer.factory.received else b"")

        self.pressing(drip)
        self.assertEqual(await self.late(response_timeout=0.15), ("http", 0.15))

    async def test_silence(self) -> None:
        """
        For silence before the response.
        """
        self.pressing(silent)
        self.assertEqual(await self.late(silence_timeout=0.15), ("http", 0.15))

    async def test_queue(self) -> None:
        """
        For a request to wait for a connection; the one that has it goes on.
        """
        server = self.pressing(silent)
        first = self.ask(NAME, self.patient(open_connections=1, queue_timeout=0.15))
        await until(lambda: server.requests != [])
        error = await self.fails(self.ask(NAME, self.agent), TimedOut)
        self.assertEqual((error.phase, error.seconds, self.open), ("pool", 0.15, 1))
        server.peers[0].send(OK)
        self.assertEqual((await first).code, 200)

    async def test_dns(self) -> None:
        """
        For a name server.
        """
        self.dns.silence("silent.com")
        error = await self.fails(self.ask("silent.com:8448", self.patient({"dns_timeout": 0.15})), ResolutionFailed)
        self.assertEqual(error.phase, "dns")

    async def test_well_known(self) -> None:
        """
        For a document; the server is then looked for without it.
        """
        document = self.federation.serve_well_known("wk.com", {})
        document.silent = True
        server = self.pressing(answering(OK), "wk.com", document.address)
        response = await self.ask("wk.com", self.patient({"well_known_timeout": 0.15}))
        self.assertEqual((response.code, server.requests), (200, ["GET /_matrix/federation/v1/version"]))

    async def test_silence_in_a_body(self) -> None:
        """
        For silence in the body, whose reader is told.
        """
        server = self.pressing(answering(HALF))
        response = await self.ask(NAME, self.patient(silence_timeout=0.15))
        error = await self.fails(read_body(response, 99), ResponseFailed)
        self.assertIn("no byte came or went for 0.15 s", error.reason)
        await until(lambda: self.open == 0 and not server.peers)

    async def test_a_body_that_nobody_reads(self) -> None:
        """
        For a body that nobody reads: its connection is dropped.
        """
        server = self.pressing(lambda peer: Flood(peer, 10 * MEGABYTE))
        response = await self.ask(NAME, self.patient(silence_timeout=0.15))
        await until(lambda: self.open == 0 and not server.peers)
        error = await self.fails(read_body(response, 10 * MEGABYTE), ResponseFailed)
        self.assertIn("nobody read the body for 0.15 s", error.reason)


class QueueTests(PressureCase):
    """
    Where connections are few, requests wait in order, and nobody waits for the slow of others.
    """

    async def test_in_order(self) -> None:
        """
        Requests that wait are sent in the order in which they came.
        """
        server = self.pressing(silent)
        self.patient(open_connections=1)
        asking = [self.ask(NAME, self.agent, f"/{number}") for number in range(4)]
        for number in range(4):
            await until(lambda number=number: len(server.requests) == number + 1)  # type: ignore[misc]
            server.peers[0].send(OK)
        await gatherResults([one.addCallback(treq.content) for one in asking])
        self.assertEqual(server.requests, [f"GET /{number}" for number in range(4)])

    async def test_a_slow_destination(self) -> None:
        """
        One that has taken all of its connections holds up none of another.
        """
        slow = self.pressing(silent)
        self.dns.add_address("fast.com", "192.0.2.2")
        self.pressing(answering(OK), "fast.com", "192.0.2.2")
        self.patient(open_connections=2, total_open_connections=3)
        asking = [self.ask(NAME, self.agent) for _ in range(20)]
        await until(lambda: len(slow.requests) == 2)
        for _ in range(3):
            self.assertEqual((await self.get("fast.com:8448", self.agent)).code, 200)
        self.assertEqual(len(slow.requests), 2)
        for one in asking:
            one.addErrback(lambda _: None).cancel()


class RetryTests(PressureCase):
    """
    A request on a connection that the server has closed is sent again, once, where that does no harm.
    """

    async def stale(self, method: bytes, producer: IBodyProducer | None = None) -> IResponse:
        """
        Send a request over a connection that the server drops in the same moment.
        """
        self.server = self.pressing(answering(OK))
        await self.get(NAME, self.patient(), "/first")
        self.server.peers[0].drop()
        return await self.agent.request(method, f"matrix-federation://{NAME}/second".encode("ascii"), None, producer)

    def retried(self) -> int:
        """
        Tell how many requests were sent again.
        """
        return self.agent.counters.snapshot().get("pool.retried", 0)

    async def test_put(self) -> None:
        """
        A PUT, with its body; the server sees it once.
        """
        response = await self.stale(b"PUT", body(10_000))
        self.assertEqual((response.code, self.server.requests, self.retried()), (200, ["GET /first", "PUT /second"], 1))

    async def test_post(self) -> None:
        """
        No POST: nobody knows what it would do twice.
        """
        await self.fails(self.stale(b"POST", body(10)), ResponseFailed)
        self.assertEqual((self.server.requests, self.retried()), (["GET /first"], 0))

    async def test_a_body_that_is_too_long_to_keep(self) -> None:
        """
        Nor what was not kept.
        """
        await self.fails(self.stale(b"PUT", body(MEGABYTE)), ResponseFailed)
        self.assertEqual((self.server.requests, self.retried()), (["GET /first"], 0))

    async def test_only_once(self) -> None:
        """
        A server that drops the new connection as well is not asked a third time.
        """
        server = self.pressing(answering(OK))
        await self.get(NAME, self.patient())
        server.answer = lambda peer: peer.drop()
        await self.fails(self.ask(NAME, self.agent), ResponseFailed)
        self.assertEqual((len(server.requests), self.retried()), (3, 1))

    async def test_closed_while_idle(self) -> None:
        """
        A connection that was closed while it was idle is not used at all.
        """
        server = self.pressing(answering(OK))
        await self.get(NAME, self.patient())
        server.peers[0].drop()
        await until(lambda: self.open == 0)
        self.assertEqual(((await self.get(NAME, self.agent)).code, self.retried()), (200, 0))


class BoundTests(PressureCase):
    """
    What a server sends has bounds.
    """

    async def refused(self, answer: bytes) -> str:
        """
        Get a response that cannot be used.

        @return: why.
        """
        server = self.pressing(answering(answer))
        error = await self.fails(self.ask(NAME, self.patient()), ResponseFailed)
        await until(lambda: self.open == 0 and not server.peers)
        return error.reason

    async def test_a_long_head(self) -> None:
        """
        64 KiB of head.
        """
        reason = await self.refused(b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 65536)
        self.assertRegex(reason, "head.*65536")

    async def test_headers(self) -> None:
        """
        200 headers.
        """
        reason = await self.refused(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X-A: b\r\n" * 200 + b"\r\n")
        self.assertRegex(reason, "more than 200 ")

    async def test_informational_responses(self) -> None:
        """
        16 informational responses.
        """
        reason = await self.refused(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + OK)
        self.assertRegex(reason, "more than 16 ")

    async def test_what_is_permitted(self) -> None:
        """
        And not less.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X-A: b\r\n" * 199 + b"\r\n"
        self.pressing(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 16 + head))
        self.assertEqual((await self.get(NAME, self.patient())).code, 200)


class PaceTests(PressureCase):
    """
    Nothing is read that nobody wants yet, and nothing is produced that nobody takes yet.
    """

    async def steady(self, count: Callable[[], int]) -> int:
        """
        Wait until a number does not change any more.
        """
        seen: list[int] = []
        await until(lambda: seen.append(count()) or (len(seen) > 20 and len(set(seen[-20:])) == 1))  # type: ignore[func-returns-value]
        return seen[-1]

    async def test_a_reader_that_pauses(self) -> None:
        """
        Of 10 MB the server can send no more than fits into buffers, until the reader goes on.
        """
        floods: list[Flood] = []
        self.pressing(lambda peer: floods.append(Flood(peer, 10 * MEGABYTE)))
        reading = Reading()
        response = await self.ask(NAME, self.patient())
        response.deliverBody(reading)
        reading.transport.pauseProducing()
        self.assertLess(await self.steady(lambda: floods[0].written), UNDER_WAY + MEGABYTE)
        self.assertLess(len(reading.data), MEGABYTE)
        reading.transport.resumeProducing()
        await until(lambda: reading.ends != [])
        self.assertEqual(len(reading.data), 10 * MEGABYTE)

    async def test_a_server_that_does_not_read(self) -> None:
        """
        Of 10 MB no more is produced than fits into buffers, until the server goes on.
        """
        server = self.pressing(lambda peer: peer.connection.pauseProducing())
        producer = FileBodyProducer(source := BytesIO(bytes(10 * MEGABYTE)))
        uri = f"matrix-federation://{NAME}/".encode("ascii")
        sending = self.patient().request(b"PUT", uri, None, producer)
        await until(lambda: server.requests != [])
        self.assertLess(await self.steady(source.tell), UNDER_WAY + MEGABYTE)
        server.peers[0].connection.resumeProducing()
        await until(lambda: server.received > 10 * MEGABYTE)
        server.peers[0].send(OK)
        self.assertEqual((await sending).code, 200)


class ClosingTests(PressureCase):
    """
    C{close} in the middle of everything.
    """

    def stage(self) -> dict[str, str]:
        """
        Place a server for each phase, and tell their names.
        """
        for number, name in enumerate(("hole.com", "tls.com", "silent.com", "half.com", "idle.com"), 10):
            self.dns.add_address(name, f"192.0.2.{number}")
        self.dns.silence("dns.com")
        self.document = self.federation.serve_well_known("wk.com", {})
        self.document.silent = True
        self.federation.black_hole("192.0.2.10", 8448)
        self.no_tls = PressingServer(silent)
        self.federation.listen_tcp("192.0.2.11", 8448, self.no_tls)
        self.silent = self.pressing(silent, "silent.com", "192.0.2.12")
        self.half = self.pressing(answering(HALF), "half.com", "192.0.2.13")
        self.idle = self.pressing(answering(OK), "idle.com", "192.0.2.14")
        names = ("dns.com:8448", "hole.com:8448", "tls.com:8448", "silent.com:8448")
        return {**dict.fromkeys(names, ""), "wk.com": ""}

    async def test_all_at_once(self) -> None:
        """
        Requests in every phase end, those that wait in the queue as well; no timer, socket or error remains.
        """
        names = self.stage()
        self.patient(open_connections=1)
        await self.get("idle.com:8448", self.agent)
        reading = read_body(await self.ask("half.com:8448", self.agent), 99)
        asking = [self.ask(name, self.agent) for name in names for _ in range(2)]
        await until(lambda: bool(self.document.requests and self.no_tls.peers and self.silent.requests))
        await until(lambda: "dns.com" in self.hosts and ("192.0.2.10", 8448) in self.federation.dialled)
        await self.agent.close()
        kinds = {self.failureResultOf(one).type for one in asking}
        self.assertEqual((kinds, self.open, self.limits), ({CancelledError}, 0, []))
        await self.assertFailure(reading, FederationError)
        await until(lambda: not (self.no_tls.peers or self.silent.peers or self.half.peers or self.idle.peers))

    async def test_in_a_callback(self) -> None:
        """
        Also when it is called while a response is being told of.
        """
        server = self.pressing(answering(HALF))
        asking = self.ask(NAME, self.patient(open_connections=1))
        waiting = self.ask(NAME, self.agent)
        closing = asking.addCallback(lambda _: self.agent.close())
        await closing
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual((self.open, self.limits), (0, []))
        await until(lambda: not server.peers)


class ComingBackTests(PressureCase):
    """
    What has failed does not stand in the way of what comes later.
    """

    async def test_a_server_that_comes_back(self) -> None:
        """
        After connections have failed in each way, the next request to the same name succeeds.
        """
        self.patient(tls_timeout=0.1, response_timeout=0.1)
        self.federation.listen_tcp(EX, 8448, Factory.forProtocol(Protocol))
        await self.fails(self.ask(NAME, self.agent), TimedOut)
        await self.federation.close(EX, 8448)
        self.pressing(silent)
        await self.fails(self.ask(NAME, self.agent), TimedOut)
        await self.federation.close(EX, 8448)
        self.pressing(answering(OK))
        self.assertEqual((await self.get(NAME, self.agent)).code, 200)
