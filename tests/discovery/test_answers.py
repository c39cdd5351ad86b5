"""
Tests of C{matrix_federation_agent._discovery.answers}: what the answer to a
DNS query says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import TimeoutError as TwistedTimeoutError
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

from matrix_federation_agent._discovery.answers import Answer, answer_of
from matrix_federation_agent.errors import ResolutionFailed

from ..case import TestCase

NAME = "_matrix-fed._tcp.ex.example"

Lookup = Callable[..., Deferred[Any]]


def service(ttl: int, target: bytes = b"t.example") -> dns.RRHeader:
    """Make an SRV record."""
    return dns.RRHeader(NAME.encode(), dns.SRV, ttl=ttl, payload=dns.Record_SRV(10, 0, 8443, target, ttl))


def alias(ttl: int) -> dns.RRHeader:
    """Make a CNAME record."""
    return dns.RRHeader(NAME.encode(), dns.CNAME, ttl=ttl, payload=dns.Record_CNAME(b"alias.example", ttl))


def soa(ttl: int, minimum: int) -> dns.RRHeader:
    """Make an SOA record."""
    return dns.RRHeader(b"example", dns.SOA, ttl=ttl, payload=dns.Record_SOA(b"ns", b"me", minimum=minimum, ttl=ttl))


def message(code: int, *authority: dns.RRHeader) -> dns.Message:
    """Make the message of a name server that has no answer."""
    made = dns.Message(rCode=code)
    made.authority = list(authority)
    return made


def lookup_of(answers: list[dns.RRHeader], authority: list[dns.RRHeader]) -> Lookup:
    """Make a lookup that answers with these sections."""
    return lambda name: succeed((answers, authority, []))


def failing(error: Exception) -> Lookup:
    """Make a lookup that fails."""
    return lambda name: fail(error)


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


class AnswerTests(TestCase):
    """L{answer_of}."""

    def ask(self, lookup: Lookup) -> Answer:
        """Ask for SRV records, and have an answer at once."""
        return self.successResultOf(Deferred.fromCoroutine(answer_of(lookup, NAME, dns.SRV)))

    def failure(self, lookup: Lookup) -> ResolutionFailed:
        """Ask for SRV records, and fail at once."""
        asking = Deferred.fromCoroutine(answer_of(lookup, NAME, dns.SRV))
        error = self.failureResultOf(asking, ResolutionFailed).value
        assert isinstance(error, ResolutionFailed)
        return error

    def test_the_name_is_what_is_looked_up(self) -> None:
        """The lookup is asked for the name, once, and for nothing else."""
        asked: list[tuple[Any, ...]] = []

        def lookup(*arguments: Any) -> Deferred[Any]:
            asked.append(arguments)
            return succeed(([], [], []))

        self.ask(lookup)
        self.assertEqual(asked, [(NAME,)])

    def test_records_hold_for_the_shortest_ttl(self) -> None:
        """All payloads of the type are the answer, and the least of their TTLs counts."""
        first, second = service(300), service(60, b"u.example")
        expected = Answer((first.payload, second.payload), 60)
        self.assertEqual(self.ask(lookup_of([first, second], [])), expected)

    def test_other_types_are_no_records(self) -> None:
        """A CNAME on the way is not among the payloads."""
        found = service(60)
        self.assertEqual(self.ask(lookup_of([alias(300), found], [])).records, (found.payload,))

    def test_d1_no_data_holds_as_the_soa_says(self) -> None:
        """An empty answer is remembered for the lesser of the SOA's TTL and minimum (RFC 2308)."""
        found = [self.ask(lookup_of([], [soa(*numbers)])) for numbers in ((60, 900), (900, 60))]
        self.assertEqual(found, [Answer((), 60), Answer((), 60)])

    def test_d1_no_data_without_soa_is_not_dated(self) -> None:
        """Without an SOA record DNS does not say for how long."""
        self.assertEqual(self.ask(lookup_of([], [])), Answer((), None))

    def test_d1_an_alias_to_nothing_is_no_data(self) -> None:
        """A CNAME whose target has no such record is an absence."""
        self.assertEqual(self.ask(lookup_of([alias(5)], [alias(5), soa(60, 60)])), Answer((), 60))

    def test_d1_there_is_no_such_name(self) -> None:
        """NXDOMAIN and its like are answers: there is nothing, for some seconds."""
        for row, error, seconds in NOTHING_THERE:
            self.assertEqual(self.ask(failing(error)), Answer((), seconds), f"D1 {row}")

    def test_d7_without_an_answer_the_failure_is_temporary(self) -> None:
        """SERVFAIL, REFUSED, timeouts and errors of any other class are no answer."""
        for cause in NO_ANSWER:
            error = self.failure(failing(cause))
            found = (error.temporary, error.name, error.phase, error.__cause__)
            self.assertEqual(found, (True, NAME, "dns", cause), f"D7 {cause!r}")

    def test_d7_a_lookup_that_raises_is_no_answer(self) -> None:
        """An exception out of the lookup itself is treated as one in its Deferred."""

        def lookup(name: str) -> Deferred[Any]:
            raise ZeroDivisionError

        self.assertIs(type(self.failure(lookup).__cause__), ZeroDivisionError)

    def test_a_lookup_that_raises_that_there_is_nothing(self) -> None:
        """A resolver that says no at once is heard as well."""

        def lookup(name: str) -> Deferred[Any]:
            raise DomainError(name)

        self.assertEqual(self.ask(lookup), Answer((), None))

    def test_d7_what_is_no_answer_at_all_is_a_failure(self) -> None:
        """A resolver that returns something else than three sections has not answered."""
        self.assertIs(self.failure(lambda name: succeed(None)).temporary, True)

    def test_cancelling_stays_cancelling(self) -> None:
        """Who cancels sees C{CancelledError}, and the lookup is cancelled."""
        cancelled: list[Deferred[Any]] = []
        looking: Deferred[Any] = Deferred(cancelled.append)
        asking = Deferred.fromCoroutine(answer_of(lambda name: looking, NAME, dns.SRV))
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(cancelled, [looking])


class TwistedNamesTests(TestCase):
    """What L{answer_of} relies on in C{twisted.names}."""

    def test_the_error_of_a_response_code_carries_the_message(self) -> None:
        """NXDOMAIN comes as an exception whose argument has the authority section."""
        resolver = Resolver(servers=[("127.0.0.1", 53)], reactor=Clock())
        answered = resolver.filterAnswers(message(dns.ENAME, soa(60, 900)))
        asking = Deferred.fromCoroutine(answer_of(lambda name: answered, NAME, dns.SRV))
        self.assertEqual(self.successResultOf(asking), Answer((), 60))

    def test_the_root_is_decoded_to_nothing(self) -> None:
        """An SRV target that is the root comes off the wire as an empty name."""
        received = dns.Message()
        received.fromStr(ROOT_ON_THE_WIRE)
        asking = Deferred.fromCoroutine(answer_of(lookup_of(received.answers, []), NAME, dns.SRV))
        self.assertEqual([one.target.name for one in self.successResultOf(asking).records], [b""])
