"""
Tests of C{matrix_federation_agent._discovery.udp_queries} and C{udp_sockets}.
"""

from __future__ import annotations

import errno
from ipaddress import ip_address
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.names import dns

from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent._discovery.questions import Question
from matrix_federation_agent._discovery.udp_queries import UDPQueries
from matrix_federation_agent._discovery.udp_sockets import MOST, QUERIES, SECONDS, SHARED
from tests.case import TestCase

FIRST, SECOND, SIXTH = "192.0.2.1", "192.0.2.2", "2001:db8::6"


@attrs.define(eq=False)
class Wire:
    """
    The transport of a socket: keeps what is sent.
    """

    protocol: Any
    port: int
    interface: str
    clock: Clock
    sent: list[tuple[bytes, str, float]] = attrs.field(factory=list)
    errors: list[Exception] = attrs.field(factory=list)
    closed: bool = False

    def write(self, message: bytes, address: tuple[str, int]) -> None:
        """
        Send, or fail.
        """
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((message, address[0], self.clock.seconds()))

    def stopListening(self) -> None:
        """
        Close, once.
        """
        if self.closed:
            raise ValueError("it is closed already")
        self.closed = True


class WiredClock(Clock):
    """
    A clock on which sockets can be opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wires: list[Wire] = []
        self.errors: list[Exception] = []
        self.next: list[Exception] = []

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> None:
        """
        Open a socket, or fail.
        """
        if self.errors:
            raise self.errors.pop(0)
        self.wires.append(Wire(protocol, port, interface, self, errors=self.next))
        protocol.transport = self.wires[-1]


class Repeating(Random):
    """
    Draws certain identifiers.
    """

    drawn: list[int]

    def getrandbits(self, k: int) -> int:
        """
        Draw.
        """
        return self.drawn.pop(0) if k == 16 else super().getrandbits(k)


class QueriesCase(TestCase):
    """
    Queries on wires.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.clock = WiredClock()
        self.rng = Random(5)
        self.queries = UDPQueries(self.clock, self.rng)

    def ask(self, name: str = "ex.com", *tries: tuple[str, float]) -> Deferred[Any]:
        """
        Ask, by default one name server, which has four seconds.
        """
        servers = [((ip_address(host), 53), seconds) for host, seconds in tries or [(FIRST, 4)]]
        return self.queries.ask(Question.of(name.encode(), dns.A, dns.IN), servers)

    def many(self, number: int) -> list[Deferred[Any]]:
        """
        Ask as many times, and expect failures.
        """
        asking = [self.ask() for _ in range(number)]
        for one in asking:
            one.addErrback(lambda failure: failure.trap(CancelledError))
        return asking

    def answer(self, wire: Wire, sent: int = -1, host: str = FIRST, port: int = 53, **changed: Any) -> None:
        """
        Answer a query.
        """
        message: Any = dns.Message()
        message.fromStr(wire.sent[sent][0])
        message.answer = 1
        for key, value in changed.items():
            setattr(message, key, value)
        wire.protocol.datagramReceived(message.toStr(), (host, port))

    @property
    def left(self) -> tuple[int, int]:
        """
        How many sockets are open, and how many timers there are.
        """
        return sum(not wire.closed for wire in self.clock.wires), len(self.clock.getDelayedCalls())

    def asked(self, wire: Wire) -> list[tuple[str, float]]:
        """
        List who was asked, and when.
        """
        return [(host, when) for _, host, when in wire.sent]


class QueryTests(QueriesCase):
    """
    One query.
    """

    def test_the_answer(self) -> None:
        """
        The query fires with the message and with whose it is, and nothing is left.
        """
        asking = self.ask()
        self.answer(self.clock.wires[0], rCode=3)
        message, server = self.successResultOf(asking)
        self.assertEqual((message.rCode, server, self.left), (3, (ip_address(FIRST), 53), (0, 0)))

    def test_others_are_not_heard(self) -> None:
        """
        What comes from elsewhere, under another identifier, about something else, or is broken, does not count.
        """
        asking, wire = self.ask(), self.clock.wires[0]
        self.answer(wire, host=SECOND)
        self.answer(wire, port=54)
        self.answer(wire, id=int.from_bytes(wire.sent[0][0][:2], "big") ^ 1)
        self.answer(wire, queries=[dns.Query(b"ex.con", dns.A)])
        for datagram in (b"", b"x", wire.sent[0][0][:2], wire.sent[0][0]):
            wire.protocol.datagramReceived(datagram, (FIRST, 53))
        self.assertNoResult(asking)
        self.answer(wire)
        self.successResultOf(asking)

    def test_a_broken_answer(self) -> None:
        """
        An answer that ends too early is dropped; the next one counts.
        """
        asking, wire = self.ask(), self.clock.wires[0]
        query = wire.sent[0][0]
        wire.protocol.datagramReceived(query[:2] + b"\x81\x80\0\1\0\1" + query[8:], (FIRST, 53))
        self.assertNoResult(asking)
        self.answer(wire)
        self.successResultOf(asking)

    def test_the_same_datagram_again(self) -> None:
        """
        A repeated answer reaches nobody.
        """
        asking, other, wire = self.ask("a.com"), self.ask("b.com"), self.clock.wires[0]
        for _ in range(2):
            self.answer(wire, 0)
        self.successResultOf(asking)
        self.assertNoResult(other)

    def test_one_after_the_other(self) -> None:
        """
        Each name server is asked in its turn, the same query by the same socket, and then it is given up.
        """
        asking = self.ask("ex.com", (FIRST, 1), (SECOND, 1), (FIRST, 2), (SECOND, 2))
        self.clock.pump([0.5] * 13)
        (wire,) = self.clock.wires
        self.assertEqual(wire.port, 0)
        self.assertEqual(self.asked(wire), [(FIRST, 0), (SECOND, 1), (FIRST, 2), (SECOND, 4)])
        self.assertEqual((len({message for message, _, _ in wire.sent}), self.left), (1, (0, 0)))
        self.failureResultOf(asking, dns.DNSQueryTimeoutError)

    def test_a_late_answer(self) -> None:
        """
        The answer of a name server counts although the next has been asked.
        """
        asking = self.ask("ex.com", (FIRST, 1), (SECOND, 1))
        self.clock.advance(1)
        self.answer(self.clock.wires[0], 0)
        self.assertEqual(self.successResultOf(asking)[1], (ip_address(FIRST), 53))

    def test_not_asked_yet(self) -> None:
        """
        The answer of a name server that has not been asked does not.
        """
        asking = self.ask("ex.com", (FIRST, 1), (SECOND, 1))
        self.answer(self.clock.wires[0], host=SECOND)
        self.assertNoResult(asking)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

    def test_cancelled(self) -> None:
        """
        Socket and timer are free at once.
        """
        asking = self.ask()
        before = self.left
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual((before, self.left), ((1, 1), (0, 0)))

    def test_both_families(self) -> None:
        """
        A name server with an IPv6 address is asked from a socket of that family, and answers from any spelling of it.
        """
        asking = self.ask("ex.com", (FIRST, 1), (SIXTH, 1))
        self.clock.advance(1)
        four, six = self.clock.wires
        self.assertEqual([(wire.interface, wire.closed) for wire in (four, six)], [("", True), ("::", False)])
        self.answer(six, host="2001:DB8:0::6")
        self.successResultOf(asking)

    def test_what_cannot_be_sent(self) -> None:
        """
        Where there is no way to a name server the next is asked at once; the last error is the query's.
        """
        self.clock.next = [OSError(errno.ENETUNREACH, ""), OSError(errno.EPERM, "")]
        asking = self.ask("ex.com", (FIRST, 1), (SECOND, 1))
        self.assertEqual((self.failureResultOf(asking, OSError).value.args[0], self.left), (errno.EPERM, (0, 0)))

    def test_no_room_to_send(self) -> None:
        """
        A datagram for which the system has no room is sent again when its time has come.
        """
        self.clock.next = [BlockingIOError()]
        self.ask("ex.com", (FIRST, 1), (SECOND, 1)).addErrback(lambda _: None)
        self.clock.advance(1)
        self.assertEqual(self.asked(self.clock.wires[0]), [(SECOND, 1)])

    def test_no_descriptors(self) -> None:
        """
        Where there is no file descriptor no other try is made.
        """
        self.clock.errors = [CannotListenError("", 0, OSError(errno.EMFILE, ""))]
        self.failureResultOf(self.ask("ex.com", (FIRST, 1), (SECOND, 1)), CannotListenError)
        self.assertEqual((self.clock.wires, self.left), ([], (0, 0)))


class SharingTests(QueriesCase):
    """
    Many queries.
    """

    def test_few_share_one(self) -> None:
        """
        So many queries share a socket, and have one timer; one more opens another.
        """
        self.many(SHARED)
        before = self.left
        self.many(1)
        self.assertEqual((before, self.left), ((1, 1), (2, 1)))

    def test_many_share_some(self) -> None:
        """
        There are not more sockets than a certain number, and all of them are used.
        """
        self.many(MOST * SHARED * 2)
        numbers = [len(wire.sent) for wire in self.clock.wires]
        self.assertEqual((len(numbers), min(numbers) > SHARED / 2), (MOST, True))

    def test_identifiers(self) -> None:
        """
        No two queries of a socket have the same identifier.
        """
        self.rng = Repeating(5)
        self.rng.drawn = [7, 7, 7, 8]
        self.queries = UDPQueries(self.clock, self.rng)
        self.many(2)
        self.assertEqual([message[:2] for message, _, _ in self.clock.wires[0].sent], [b"\0\7", b"\0\x08"])

    def test_identifiers_are_drawn(self) -> None:
        """
        They are all of 16 bits, and those of the generator.
        """
        for one in self.many(500):
            one.cancel()
        found = [int.from_bytes(message[:2], "big") for wire in self.clock.wires for message, _, _ in wire.sent]
        self.assertEqual((len(set(found)) > 490, max(found) > 65000, min(found) < 500), (True, True, True))

    def test_after_many_queries(self) -> None:
        """
        A socket that was drawn so many times is drawn no more; it is closed when the last answer has come.
        """
        waiting = self.ask()
        for _ in range(QUERIES - 1):
            self.many(1)[0].cancel()
        old = self.clock.wires[0]
        before = len(self.clock.wires)
        self.many(1)
        self.assertEqual((before, len(self.clock.wires), old.closed), (1, 2, False))
        self.answer(old, 0)
        self.successResultOf(waiting)
        self.assertTrue(old.closed)

    def test_after_many_seconds(self) -> None:
        """
        Neither is one that is so many seconds old.
        """
        self.ask("ex.com", (FIRST, 100))
        numbers = []
        for seconds in (SECONDS - 0.1, 0.1):
            self.clock.advance(seconds)
            self.many(1)[0].cancel()
            numbers.append(len(self.clock.wires))
        self.assertEqual(numbers, [1, 2])

    def test_while_others_are_under_way(self) -> None:
        """
        Sockets on which no query waits stay open while one does on another, and are closed with that one.
        """
        first, *others = self.many(SHARED + 1)
        for one in others:
            one.cancel()
        before = self.left[0]
        first.cancel()
        self.assertEqual((before, self.left), (2, (0, 0)))

    def test_replaced_while_others_are_under_way(self) -> None:
        """
        One that is too old, and on which no query waits, is closed when the next is drawn.
        """
        self.ask("ex.com", (FIRST, 100))
        for one in self.many(SHARED):
            one.cancel()
        self.clock.advance(SECONDS)
        self.many(1)
        self.assertEqual([wire.closed for wire in self.clock.wires], [False, True, False])

    def test_the_next_question(self) -> None:
        """
        What is asked because an answer came needs no other socket.
        """
        self.ask().addCallback(lambda _: self.many(1))
        self.answer(self.clock.wires[0])
        self.assertEqual((len(self.clock.wires), self.left), (1, (1, 1)))

    def test_a_closed_socket(self) -> None:
        """
        It is drawn no more.
        """
        self.ask()
        self.answer(self.clock.wires[0])
        self.many(1)
        self.assertEqual([(len(wire.sent), wire.closed) for wire in self.clock.wires], [(1, True), (1, False)])

    def test_one_more(self) -> None:
        """
        A socket is used from the moment at which it is opened, whatever is drawn; what nobody used, nobody would close.
        """
        for seed in range(8):
            self.queries = UDPQueries(self.clock, Random(seed))
            for one in self.many(SHARED + 1):
                one.cancel()
        self.assertEqual((len(self.clock.wires), self.left), (16, (0, 0)))

    def test_all_have_gone(self) -> None:
        """
        When every query has ended nothing is left.
        """
        for one in self.many(300):
            one.cancel()
        self.assertEqual(self.left, (0, 0))


class ResolverTests(TestCase):
    """
    How L{NameServerResolver} asks.
    """

    def sent(self, *limits: float) -> list[tuple[bytes, str, float]]:
        """
        Have two name servers not answer.
        """
        clock = WiredClock()
        resolver: Any = NameServerResolver(clock, [(FIRST, 53), (SECOND, 53)])
        asking = resolver.lookupAddress("ex.com", limits or None)
        clock.pump([1] * 30)
        self.failureResultOf(asking, dns.DNSQueryTimeoutError)
        return clock.wires[0].sent

    def test_order(self) -> None:
        """
        All name servers are asked in turn, and then all of them again, with more time.
        """
        found = [(host, when) for _, host, when in self.sent(1, 3)]
        self.assertEqual(found, [(FIRST, 0), (SECOND, 1), (FIRST, 2), (SECOND, 5)])

    def test_limits(self) -> None:
        """
        By default each has four tries.
        """
        self.assertEqual([when for _, _, when in self.sent()], [0, 1, 2, 4, 6, 9, 12, 16])

    def test_identifiers(self) -> None:
        """
        No two resolvers draw the same identifiers.
        """
        drawn = {self.sent(1)[0][0][:2] for _ in range(8)}
        self.assertGreater(len(drawn), 6)
