"""
Tests of C{matrix_federation_agent._discovery.answers}: DNS queries, and what
their answers say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IResolver
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import (
    AuthoritativeDomainError,
    DNSFormatError,
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSQueryTimeoutError,
    DNSServerError,
    DomainError,
)
from zope.interface.verify import verifyObject

from matrix_federation_agent import DiscoveryPolicy
from matrix_federation_agent._discovery.answers import MAXIMUM_RECORDS, NameService, Query
from matrix_federation_agent._discovery.records import Answer, NoAnswer

from ..case import TestCase
from .kit import FakeResolver, alias, let_go, message, service, soa

NAME = "_matrix-fed._tcp.ex.example"

Lookup = Callable[..., Deferred[Any]]

# Errors that mean "there is nothing", and the seconds for which they hold.
NOTHING_THERE = [
    ("NXDOMAIN with SOA", DNSNameError(message(dns.ENAME, soa(60, 900))), 60),
    ("NXDOMAIN with a lower minimum", DNSNameError(message(dns.ENAME, soa(900, 60))), 60),
    ("NXDOMAIN without SOA", DNSNameError(message(dns.ENAME)), None),
    ("NXDOMAIN without a message", DNSNameError(), None),
    ("NXDOMAIN with a text", DNSNameError("no such name"), None),
    ("an authority says no", AuthoritativeDomainError(b"ex.example"), None),
    ("a hosts file says no", DomainError(b"ex.example"), None),
]

NO_ANSWER = [
    DNSServerError(message(dns.ESERVER, soa(60, 60))),
    DNSQueryRefusedError(message(dns.EREFUSED)),
    DNSFormatError(message(dns.EFORMAT)),
    DNSNotImplementedError(message(dns.ENOTIMP)),
    DNSQueryTimeoutError(1),
    TwistedTimeoutError(),
    OSError("network unreachable"),
    ZeroDivisionError(),
]

# One SRV record of the name "a": priority, weight and port 0, and the root,
# which is the empty label (RFC 1035, section 3.1; RFC 2782).
ROOT_ON_THE_WIRE = bytes.fromhex("0000 8180 0000 0001 0000 0000  016100 0021 0001 0000003c 0007  0000 0000 0000 00")


def lookup_of(*answers: dns.RRHeader, authority: tuple[dns.RRHeader, ...] = ()) -> Lookup:
    """Make a lookup that answers with these records."""
    return lambda name: succeed((list(answers), list(authority), []))


def asked(lookup: Lookup, name: str = NAME) -> Deferred[Answer[Any] | NoAnswer]:
    """Ask for the targets of SRV records."""
    query = Query(lookup, dns.SRV, lambda payload: payload.target.name)
    return Deferred.fromCoroutine(NameService(Clock(), DiscoveryPolicy()).ask(query, name))


class AnswerTests(TestCase):
    """L{NameService.ask}."""

    def ask(self, lookup: Lookup) -> Answer[Any] | NoAnswer:
        """Ask, and have an answer at once."""
        return self.successResultOf(asked(lookup))

    def test_the_fake_is_a_resolver(self) -> None:
        """What these tests use provides the interface."""
        self.assertTrue(verifyObject(IResolver, FakeResolver()))

    def test_the_name_is_what_is_looked_up(self) -> None:
        """The lookup is asked for the name, once, and for nothing else."""
        heard: list[tuple[Any, ...]] = []

        def lookup(*arguments: Any) -> Deferred[Any]:
            heard.append(arguments)
            return succeed(([], [], []))

        self.ask(lookup)
        self.assertEqual(heard, [(NAME,)])

    def test_d5_records_hold_for_the_shortest_ttl(self) -> None:
        """All records of the type are the answer, and the least of their TTLs counts."""
        found = self.ask(lookup_of(service(NAME, "t.example", 300), service(NAME, "u.example", 60)))
        self.assertEqual(found, Answer((b"t.example", b"u.example"), 60))

    def test_c15_records_are_bounded(self) -> None:
        """Of hundreds of records only the first are kept."""
        found = self.ask(lookup_of(*[service(NAME, f"t{number}.example", 60) for number in range(300)]))
        expected = tuple(f"t{number}.example".encode() for number in range(MAXIMUM_RECORDS))
        self.assertEqual(found, Answer(expected, 60))

    def test_d5_an_alias_holds_for_its_own_ttl(self) -> None:
        """A CNAME on the way is no record, and an answer by way of it holds no longer than it does."""
        found = [self.ask(lookup_of(alias(NAME, "b", ttl), service("b", "t.example", 60))) for ttl in (300, 5)]
        self.assertEqual(found, [Answer((b"t.example",), 60), Answer((b"t.example",), 5)])

    def test_d5_other_records_do_not_date_the_answer(self) -> None:
        """What else a name server adds is no part of the answer."""
        extra = dns.RRHeader(NAME.encode(), dns.TXT, ttl=1, payload=dns.Record_TXT(b"x", ttl=1))
        self.assertEqual(self.ask(lookup_of(extra, service(NAME, "t.example", 60))), Answer((b"t.example",), 60))

    def test_d1_no_data_holds_as_the_soa_says(self) -> None:
        """An empty answer is remembered for the lesser of the SOA's TTL and minimum (RFC 2308)."""
        found = [self.ask(lookup_of(authority=(soa(*numbers),))) for numbers in ((60, 900), (900, 60))]
        self.assertEqual(found, [Answer((), 60), Answer((), 60)])

    def test_d1_the_soa_need_not_come_first(self) -> None:
        """Other records in the authority section do not hide it."""
        other = dns.RRHeader(b"example", dns.NS, ttl=5, payload=dns.Record_NS(b"ns", ttl=5))
        self.assertEqual(self.ask(lookup_of(authority=(other, soa(60, 60)))), Answer((), 60))

    def test_d1_no_data_without_soa_is_not_dated(self) -> None:
        """Without an SOA record DNS does not say for how long."""
        self.assertEqual(self.ask(lookup_of()), Answer((), None))

    def test_d1_an_alias_to_nothing_is_no_data(self) -> None:
        """A CNAME whose target has no such record is an absence."""
        self.assertEqual(self.ask(lookup_of(alias(NAME, "b", 300), authority=(soa(60, 60),))), Answer((), 60))

    def test_d1_there_is_no_such_name(self) -> None:
        """NXDOMAIN and its like are answers: there is nothing, for some seconds."""
        for row, error, seconds in NOTHING_THERE:
            self.assertEqual(self.ask(lambda name, error=error: fail(error)), Answer((), seconds), f"D1 {row}")

    def test_d1_a_lookup_that_raises_that_there_is_nothing(self) -> None:
        """A resolver that says no at once is heard as well."""

        def lookup(name: str) -> Deferred[Any]:
            raise DomainError(name)

        self.assertEqual(self.ask(lookup), Answer((), None))

    def test_d7_without_an_answer_nothing_is_learned(self) -> None:
        """SERVFAIL, REFUSED, timeouts and errors of any other class are no answer."""
        for cause in NO_ANSWER:
            found = self.ask(lambda name, cause=cause: fail(cause))
            self.assertIsInstance(found, NoAnswer, f"D7 {cause!r}")

    def test_d7_failures_are_told_apart(self) -> None:
        """Each kind of failure has its own words."""
        words = {str(self.ask(lambda name, cause=cause: fail(cause))) for cause in NO_ANSWER}
        self.assertEqual(len(words), len(NO_ANSWER) - 1)  # Two of them are silence.

    def test_d7_a_lookup_that_raises_is_no_answer(self) -> None:
        """An exception out of the lookup itself is treated as one in its Deferred."""

        def lookup(name: str) -> Deferred[Any]:
            raise ZeroDivisionError

        self.assertIsInstance(self.ask(lookup), NoAnswer)

    def test_d7_what_is_no_answer_at_all_is_a_failure(self) -> None:
        """A resolver that returns something else than three sections has not answered."""
        self.assertIsInstance(self.ask(lambda name: succeed(None)), NoAnswer)

    def test_cancelling_stays_cancelling(self) -> None:
        """Who cancels sees C{CancelledError}, and the lookup is cancelled."""
        cancelled: list[Deferred[Any]] = []
        asking = asked(lambda name: Deferred(cancelled.append))
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(len(cancelled), 1)


class NameServiceTestCase(TestCase):
    """L{NameService}, with two queries at a time and ten seconds each."""

    def setUp(self) -> None:
        """Have a resolver that says nothing."""
        super().setUp()
        self.clock = Clock()
        self.names = NameService(self.clock, DiscoveryPolicy(dns_queries=2, dns_timeout=10, dns_share=10))
        self.begun: list[str] = []
        self.running: dict[str, Deferred[Any]] = {}

    def ask(self, name: str) -> Deferred[Answer[Any] | NoAnswer]:
        """Ask for SRV records."""

        def lookup(name: str) -> Deferred[Any]:
            self.begun.append(name)
            self.running[name] = Deferred()
            return self.running[name]

        asking = Deferred.fromCoroutine(self.names.ask(Query(lookup, dns.SRV, str), name))
        self.addCleanup(let_go, asking)
        return asking

    def end(self, name: str) -> None:
        """Answer that there is nothing."""
        self.running[name].callback(([], [], []))


class NameServiceTests(NameServiceTestCase):
    """Whose turn it is, and for how long."""

    def test_queries_in_flight_are_limited(self) -> None:
        """Two are asked; the others wait."""
        for name in "abcd":
            self.ask(name)
        self.assertEqual(self.begun, ["a", "b"])

    def test_queries_wait_in_order(self) -> None:
        """Whenever one ends, the one that has waited longest is asked, whatever became of the first."""
        waiting = {name: self.ask(name) for name in "abcdef"}
        self.end("b")
        self.running["a"].errback(ZeroDivisionError())
        waiting["c"].cancel()
        self.failureResultOf(waiting["c"], CancelledError)
        self.assertEqual(self.begun, ["a", "b", "c", "d", "e"])

    def test_who_leaves_the_queue_is_not_asked(self) -> None:
        """Cancelling one that waits takes no place from the others."""
        waiting = {name: self.ask(name) for name in "abcd"}
        waiting["c"].cancel()
        self.failureResultOf(waiting["c"], CancelledError)
        self.end("a")
        self.assertEqual(self.begun, ["a", "b", "d"])

    def test_d7_silence_ends(self) -> None:
        """A lookup is cancelled after its limit, not before, and is no answer; its place is free."""
        asking = [self.ask(name) for name in "abc"]
        self.clock.advance(9.9)
        self.assertEqual([one.called for one in asking], [False] * 3)
        self.clock.advance(0.1)
        found = [type(self.successResultOf(one)) for one in asking[:2]]
        self.assertEqual((found, self.begun), ([NoAnswer, NoAnswer], ["a", "b", "c"]))

    def test_an_answer_in_time_leaves_no_timer(self) -> None:
        """When a lookup has ended, nothing is left in the reactor."""
        asking = self.ask("a")
        self.end("a")
        self.assertEqual((self.successResultOf(asking), self.clock.getDelayedCalls()), (Answer((), None), []))


class PressureTests(NameServiceTestCase):
    """L{NameService}, with name servers that never answer for some names."""

    def setUp(self) -> None:
        """Have a share of three seconds of the ten."""
        super().setUp()
        self.names = NameService(self.clock, DiscoveryPolicy(dns_queries=2, dns_timeout=10, dns_share=3))

    def test_d7_names_that_are_never_answered_for_let_others_in(self) -> None:
        """While others wait, three seconds of silence are no answer."""
        asking = [self.ask(name) for name in "abc"]
        self.clock.advance(2.9)
        begun = list(self.begun)
        self.clock.advance(0.1)
        found = self.successResultOf(asking[0])
        self.assertEqual((begun, found), (["a", "b"], NoAnswer("no answer within 3 s")))
        self.assertEqual(self.begun, ["a", "b", "c"])


class TwistedNamesTests(TestCase):
    """What L{NameService.ask} relies on in C{twisted.names}."""

    def test_the_error_of_a_response_code_carries_the_message(self) -> None:
        """NXDOMAIN comes as an exception whose argument has the authority section."""
        resolver = Resolver(servers=[("127.0.0.1", 53)], reactor=Clock())
        answered = resolver.filterAnswers(message(dns.ENAME, soa(60, 900)))
        self.assertEqual(self.successResultOf(asked(lambda name: answered)), Answer((), 60))

    def test_the_root_is_decoded_to_nothing(self) -> None:
        """An SRV target that is the root comes off the wire as an empty name."""
        received = dns.Message()
        received.fromStr(ROOT_ON_THE_WIRE)
        self.assertEqual(self.successResultOf(asked(lookup_of(*received.answers))), Answer((b"",), 60))
