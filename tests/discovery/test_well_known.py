"""
Tests of C{matrix_federation_agent._discovery.well_known}.

The wire is in C{tests.conformance.test_well_known}; here is what is read, and what bytes can do to the parser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy, ServerName
from matrix_federation_agent._connect.dialer import Dialer
from matrix_federation_agent._connect.exchange import Exchange
from matrix_federation_agent._connect.handshake import ByteBudget
from matrix_federation_agent._connect.slots import Slots
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.freshness import Freshness
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._discovery.well_known import WellKnownFetcher
from matrix_federation_agent._identity import Identity
from matrix_federation_agent.errors import ConnectionFailed
from tests.case import TestCase
from tests.discovery.kit import let_go
from tests.test_hypothesis import hostile, pieces

EX = ServerName.parse("ex.com")
BODY = json.dumps({"m.server": "m.ex.com"}).encode("ascii")
POLICY = DiscoveryPolicy(well_known_timeout=15, well_known_max_bytes=2000)


class Line(StringTransport):
    """
    A transport as a verified connection has it.
    """

    factory = SimpleNamespace(creator=SimpleNamespace(target=None))
    leave = StringTransport.loseConnection
    write_at_once = StringTransport.write


class Peer:
    """
    The open connections of a dialer: what is to be aborted.
    """

    def __init__(self) -> None:
        self.transports: list[Line] = []

    def abort(self) -> None:
        """
        Drop them.
        """
        for transport in self.transports:
            transport.abortConnection()


class MemoryDialer:
    """
    Connects to a server that is the test.

    @ivar dialled: the targets.
    @ivar ends: the protocols of the connections that were made, and their transports.
    """

    def __init__(self, parent: MemoryDialer | None = None) -> None:
        """
        @param parent: the dialer whose scope this one is.
        """
        self.dialled: list[str] = [] if parent is None else parent.dialled
        self.ends: list[tuple[IProtocol, Line]] = [] if parent is None else parent.ends
        self.error: Exception | None = None if parent is None else parent.error
        self.open_connections = Peer()

    def scoped(self, budget: ByteBudget) -> MemoryDialer:
        """
        Keep account of the connections of one scope.
        """
        return MemoryDialer(self)

    async def connect(self, identity: Identity, targets: Sequence[Target], factory: IProtocolFactory) -> IProtocol:
        """
        Connect, or fail.
        """
        self.dialled += map(str, targets)
        if self.error is not None:
            raise self.error
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 443))
        assert protocol is not None
        transport = Line()
        protocol.makeConnection(transport)
        self.ends.append((protocol, transport))
        self.open_connections.transports.append(transport)
        return protocol

    def feed(self, *pieces: bytes) -> None:
        """
        Send bytes on the last connection, and close it.
        """
        protocol, transport = self.ends[-1]
        for data in pieces:
            if not (transport.disconnecting or transport.disconnected):
                protocol.dataReceived(data)
        protocol.connectionLost(Failure(ConnectionDone()))


class Scene:
    """
    A lookup in memory.
    """

    def __init__(self, policy: DiscoveryPolicy = POLICY) -> None:
        self.clock = Clock()
        self.dialer = MemoryDialer()
        self.fetcher = WellKnownFetcher(self.clock, self._exchange, policy)

    def _exchange(self) -> Exchange:
        dialer = cast("Dialer", self.dialer)
        return Exchange(self.clock, dialer, ConnectionPolicy(), b"Construct/2", 10**6, Slots(10, lambda: False))

    def ask(self, name: ServerName = EX) -> Deferred[Delegation | NoDelegation]:
        """
        Ask whether a name delegates.
        """
        return Deferred.fromCoroutine(self.fetcher.fetch(name.tls_name))


def response(body: bytes = BODY, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """
    Write a response.
    """
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*head, b"", body])


class MemoryCase(TestCase):
    """
    A test of what is remembered.
    """

    def setUp(self) -> None:
        """
        Make the scene.
        """
        super().setUp()
        self.scene = Scene()

    def fetch(self, data: bytes, name: str = "ex.com") -> str:
        """
        Ask, and answer.
        """
        asking = self.scene.ask(ServerName.parse(name))
        self.scene.dialer.feed(data)
        outcome = self.successResultOf(asking)
        return str(outcome.to) if isinstance(outcome, Delegation) else "none"

    def asked(self, *fields: bytes) -> Freshness | None:
        """
        Fetch a delegation with some header fields, and tell what they ask for.
        """
        asking = self.scene.ask()
        self.scene.dialer.feed(response(BODY, *fields))
        outcome = self.successResultOf(asking)
        assert isinstance(outcome, Delegation)
        return outcome.asked


class FetchTests(MemoryCase):
    """
    What a fetch brings.
    """

    def test_C1_nothing_is_asked(self) -> None:
        """
        Without a word about it, no lifetime is asked for.
        """
        self.assertIsNone(self.asked())

    def test_C2_max_age(self) -> None:
        """
        A max-age is, less what a cache on the way has used up.
        """
        self.assertEqual(self.asked(b"Cache-Control: max-age=100", b"Age: 30"), Freshness(70.0, "max-age=100"))

    def test_expires(self) -> None:
        """
        Expires counts from Date.
        """
        dates = (b"Date: Thu, 01 Jan 1970 00:00:00 GMT", b"Expires: Thu, 01 Jan 1970 00:01:40 GMT")
        self.assertEqual(self.asked(*dates), Freshness(100.0, "Expires"))

    def test_C11_C12_temporary_and_decided(self) -> None:
        """
        An error of the server or of the way may be otherwise in a moment; an answer is decided.
        """
        told = []
        for data in (b"", response(status=b"503 Busy"), response(b"{"), response(status=b"404 Not Found")):
            asking = self.scene.ask()
            self.scene.dialer.feed(data)
            outcome = self.successResultOf(asking)
            assert isinstance(outcome, NoDelegation)
            told.append(outcome.temporary)
        self.assertEqual(told, [True, True, False, False])

    def test_failed_connections(self) -> None:
        """
        A connection that was not made is no delegation, for the time being.
        """
        self.scene.dialer.error = ConnectionFailed("ex.com", "refused")
        self.assertEqual(self.successResultOf(self.scene.ask()), NoDelegation("refused", temporary=True))

    def test_cancelling(self) -> None:
        """
        A fetch that is cancelled says nothing, and its connection is dropped.
        """
        asking = self.scene.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(self.scene.dialer.ends[0][1].disconnected)
        self.assertEqual(self.fetch(response()), "m.ex.com")

    def test_timeout(self) -> None:
        """
        The whole fetch has one limit, after which its connection is dropped and nothing is left in the clock.
        """
        asking = self.scene.ask()
        self.scene.clock.advance(14.9)
        self.assertNoResult(asking)
        self.scene.clock.advance(0.2)
        outcome = self.successResultOf(asking)
        assert isinstance(outcome, NoDelegation)
        self.assertEqual((outcome.temporary, self.scene.dialer.ends[0][1].disconnected), (True, True))
        self.assertEqual(self.scene.clock.getDelayedCalls(), [])


class PlacesTests(MemoryCase):
    """
    Fetches, two at a time.
    """

    def setUp(self) -> None:
        """
        Make the scene.
        """
        super().setUp()
        self.scene = Scene(attrs.evolve(POLICY, well_known_fetches=2, well_known_share=4))

    def ask(self, *names: str) -> list[Deferred[Delegation | NoDelegation]]:
        """
        Ask about some names.
        """
        asking = [self.scene.ask(ServerName(name)) for name in names]
        for one in asking:
            self.addCleanup(let_go, one)
        return asking

    def test_fetches_wait_in_order(self) -> None:
        """
        Nothing is dialled for a third name before one of the others has ended.
        """
        first, *_ = self.ask("a.com", "b.com", "c.com", "d.com")
        before = list(self.scene.dialer.dialled)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual((before, self.scene.dialer.dialled[2:]), (["a.com:443", "b.com:443"], ["c.com:443"]))

    def test_hosts_that_never_answer_let_others_in(self) -> None:
        """
        While others wait, four seconds of silence are the lack of a delegation, for the time being.
        """
        first, second, third = self.ask("a.com", "b.com", "c.com")
        self.scene.clock.advance(4)
        outcome = self.successResultOf(first)
        assert isinstance(outcome, NoDelegation)
        self.assertEqual((outcome.temporary, self.scene.dialer.ends[0][1].disconnected), (True, True))
        self.scene.dialer.feed(response())
        self.assertIsInstance(self.successResultOf(third), Delegation)
        self.assertNoResult(second)


class BodyTests(MemoryCase):
    """
    How a body ends.
    """

    def test_a_body_without_a_length(self) -> None:
        """
        It ends with its connection.
        """
        self.assertEqual(self.fetch(b"HTTP/1.1 200 OK\r\n\r\n" + BODY), "m.ex.com")

    def test_chunks(self) -> None:
        """
        Chunks are joined.
        """
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:3], BODY[3:]))
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        self.assertEqual(self.fetch(data), "m.ex.com")

    def test_broken_off(self) -> None:
        """
        A body that is shorter than announced is no delegation, though it be good JSON.
        """
        self.assertEqual(self.fetch(response().replace(b"Length: ", b"Length: 9")), "none")

    def test_byte_by_byte(self) -> None:
        """
        How the bytes are divided does not matter.
        """
        asking = self.scene.ask()
        self.scene.dialer.feed(*[bytes([byte]) for byte in response()])
        self.assertIsInstance(self.successResultOf(asking), Delegation)


STATUS = pieces(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/", b"200", b" OK", b" ", b"302", b"100", b"\r\n", b"\x00", b"-")
HEADERS = pieces(
    *(b"Content-Length", b"Transfer-Encoding", b"Location", b"Connection", b"Cache-Control", b"Expires", b"Date"),
    *(b":", b": ", b" ", b"\t", b"\r\n", b"\n", b"\r", b",", b";", b"0", b"22", b"-1", b"9" * 30, b"chunked"),
    *(b"close", b"https://ex.com/", b"//", b"/", b"\x00", b"\xff", b"x" * 17_000, b"\r\n\r\n"),
)
CONTENT = pieces(
    BODY, b"{", b"}", b"\r\n", b"0\r\n\r\n", b"16\r\n", b"5;x\r\n", b"\x00", b"\xef\xbb\xbf", b"HTTP/1.1 200"
)
GOOD = b"HTTP/1.1 200 OK\r\n"


class HostileTests(TestCase):
    """
    Bytes of any kind.
    """

    def survives(self, *parts: bytes) -> None:
        """
        Answer with bytes, then let time pass: there is an outcome, nothing is logged, nothing is left.
        """
        scene = Scene()
        asking: Any = scene.ask()
        scene.dialer.feed(*parts)
        for protocol, _ in scene.dialer.ends[1:]:
            protocol.connectionLost(Failure(ConnectionDone()))
        scene.clock.advance(20)
        outcome = self.successResultOf(asking)
        self.assertIsInstance(outcome, (Delegation, NoDelegation))
        self.assertEqual((self.flushLoggedErrors(), scene.clock.getDelayedCalls()), ([], []))

    @settings(hostile, max_examples=150)
    @given(st.binary(max_size=200))
    @example(b"")
    @example(b"\r\n")
    def test_any_bytes(self, data: bytes) -> None:
        """
        No bytes at all raise anything.
        """
        self.survives(data)

    @settings(hostile)
    @given(STATUS, HEADERS, CONTENT)
    @example(b"HTTP/1.1 200 OK\r\n", b" x: y\r\n\r\n", BODY)
    @example(b"HTTP/1.1 302 Found\r\n", b"Location: https://[\r\n\r\n", b"")
    def test_any_response(self, status: bytes, headers: bytes, content: bytes) -> None:
        """
        No status line, header block and body raise anything, in whatever pieces they come.
        """
        self.survives(status, headers, content)

    @settings(hostile)
    @given(HEADERS, CONTENT)
    @example(b"Content-Length: -1\r\n\r\n", BODY)
    @example(b"Transfer-Encoding: chunked\r\n\r\n", b"-1\r\n" + BODY)
    @example(b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", BODY)
    def test_any_header_block(self, headers: bytes, content: bytes) -> None:
        """
        Neither does any header block after a good status line.
        """
        self.survives(GOOD + headers + b"\r\n\r\n" + content)
