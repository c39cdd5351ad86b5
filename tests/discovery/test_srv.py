"""
Tests of C{matrix_federation_agent._discovery.srv}, with a memory of its own
over a fake resolver.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError

from matrix_federation_agent._discovery.delegation import NoDelegation
from matrix_federation_agent._discovery.routing import SERVICES, ServiceRecord
from matrix_federation_agent._discovery.srv import Services, is_onion
from matrix_federation_agent.errors import ResolutionFailed

from ..case import TestCase
from .kit import DAY, FakeResolver, Nothing, Wired, let_go, service

FED, OLD = (f"{name}.ex.com" for name in SERVICES)
FAILURES = [DNSServerError(), DNSQueryRefusedError(), None]

# Name, and whether it must not reach DNS.
ONIONS = [
    ("abc.onion", True),
    ("a.b.ONION", True),
    ("onion.ex.com", False),
    ("abc.onion.ex.com", False),
    ("abconion", False),
    ("onion", True),
]


class ServiceLookupTests(TestCase):
    """L{ServiceLookup <matrix_federation_agent._discovery.srv.ServiceLookup>}."""

    def setUp(self) -> None:
        """Have one service with one record, for a minute."""
        super().setUp()
        self.clock = Clock()
        self.resolver = FakeResolver()
        self.resolver.zone[FED, dns.SRV] = [service(FED, "T.net", 60, priority=1, weight=2, port=3)]
        outcome = NoDelegation("", temporary=False)
        self.wired = Wired(self, self.clock, lambda host: succeed(outcome), self.resolver)
        self.services = self.wired.services

    def ask(self, host: str = "ex.com", service: str = SERVICES[0]) -> Deferred[Services]:
        """Ask for the records of a service."""
        asking = Deferred.fromCoroutine(self.services.services(service, host))
        self.addCleanup(let_go, asking)
        return asking

    def asked_after(self, *waits: float) -> list[int]:
        """Ask after each of some waits, and tell how many queries there had been then."""
        counts = []
        for seconds in waits:
            self.clock.advance(seconds)
            self.ask().addErrback(lambda failure: failure.trap(ResolutionFailed))
            self.clock.advance(0)
            counts.append(len(self.resolver.asked))
        return counts

    def test_c15_the_first_priorities_are_kept(self) -> None:
        """Of hundreds of records those that would be tried first are remembered."""
        many = [service(FED, f"t{number}.net", 60, priority=number % 50) for number in range(500)]
        self.resolver.zone[FED, dns.SRV] = many
        found = self.successResultOf(self.ask()).records
        self.assertEqual([record.priority for record in found], [0] * 10 + [1] * 6)

    def test_records_are_found(self) -> None:
        """The data of each record comes as it is in DNS, with the name that was asked for."""
        expected = Services(FED, (ServiceRecord(1, 2, 3, b"T.net"),))
        self.assertEqual(self.successResultOf(self.ask()), expected)

    def test_case_does_not_matter(self) -> None:
        """Names that differ in case are one name in DNS, and in memory."""
        found = [self.successResultOf(self.ask(host)).query for host in ("EX.com", "ex.COM")]
        self.assertEqual((found, self.resolver.asked), ([FED, FED], [("SRV", FED)]))

    def test_d1_absence_is_an_answer(self) -> None:
        """A service that does not exist has no records."""
        self.assertEqual(self.successResultOf(self.ask(service=SERVICES[1])), Services(OLD, ()))

    def test_d1_absence_is_remembered(self) -> None:
        """It is asked for again when the SOA's negative TTL has passed, and after an hour at the latest."""
        counts = {}
        for seconds, until in ((300, 300.0), (86400, 3600.0)):
            self.wired.remembering.forget(None)
            self.resolver.asked.clear()
            self.resolver.zone[FED, dns.SRV] = Nothing(seconds)
            counts[seconds] = self.asked_after(0, until - 0.1, 0.1)
        self.assertEqual(counts, {300: [1, 1, 2], 86400: [1, 1, 2]})

    def test_d5_one_lookup_within_the_ttl(self) -> None:
        """A record with a TTL of a minute is asked for once a minute."""
        self.assertEqual(self.asked_after(0, 30, 29.9, 0.1, 59.9), [1, 1, 1, 2, 2])

    def test_d6_the_older_answer_is_used(self) -> None:
        """When name servers fail, refuse or are silent, what they said before is good for a day."""
        known = self.successResultOf(self.ask())
        for behaviour in FAILURES:
            self.resolver.zone[FED, dns.SRV] = behaviour
            self.clock.advance(1000)
            asking = self.ask()
            self.clock.advance(10)
            self.assertEqual(self.successResultOf(asking), known, f"D6 {behaviour!r}")

    def test_d6_a_stale_answer_is_refreshed_behind_the_requests(self) -> None:
        """While name servers are silent, nobody waits for them twice."""
        known = self.successResultOf(self.ask())
        self.resolver.zone[FED, dns.SRV] = None
        self.clock.advance(60)
        self.ask()
        self.clock.advance(10)
        self.clock.advance(30)
        found = [self.successResultOf(self.ask()) for _ in range(2)]
        self.assertEqual((found, len(self.resolver.asked)), ([known, known], 3))

    def test_d6_stale_answers_end(self) -> None:
        """A day after it was given, an answer is of no use any more."""
        self.successResultOf(self.ask())
        self.resolver.zone[FED, dns.SRV] = DNSServerError()
        self.clock.advance(60)
        self.successResultOf(self.ask())
        self.clock.advance(DAY - 60)
        self.failureResultOf(self.ask(), ResolutionFailed)

    def test_d7_without_an_older_answer(self) -> None:
        """The failure is temporary, and comes inside the limit."""
        for behaviour in FAILURES:
            self.wired.remembering.forget(None)
            self.resolver.zone[FED, dns.SRV] = behaviour
            asking = self.ask()
            self.clock.advance(10)
            error = self.failureResultOf(asking, ResolutionFailed).value
            assert isinstance(error, ResolutionFailed)
            self.assertEqual((error.temporary, error.phase, error.name), (True, "dns", FED), f"D7 {behaviour!r}")

    def test_d7_name_servers_are_left_alone_for_a_while(self) -> None:
        """After a failure, requests fail at once, and name servers are asked again after 30 and 60 seconds."""
        self.resolver.zone[FED, dns.SRV] = DNSServerError()
        self.assertEqual(self.asked_after(0, 29.9, 0.1, 59.9, 0.1), [1, 1, 2, 2, 3])

    def test_d9_onion_names_reach_no_name_server(self) -> None:
        """They have no SRV records, and nobody is asked."""
        found = [self.successResultOf(self.ask(host)).records for host in ("abc.onion", "a.b.ONION")]
        self.assertEqual((found, self.resolver.asked), ([(), ()], []))

    def test_d9_which_names_are_onions(self) -> None:
        """The last label counts, in any case."""
        for name, expected in ONIONS:
            self.assertIs(is_onion(name), expected, f"D9 {name}")

    def test_a_host_is_forgotten(self) -> None:
        """Both of its services are asked for again, and no other host's."""
        for host in ("ex.com", "other.com"):
            for one in SERVICES:
                self.ask(host, one)
        self.resolver.asked.clear()
        self.wired.remembering.forget({"ex.com"})
        for host in ("ex.com", "other.com"):
            for one in SERVICES:
                self.ask(host, one)
        self.assertEqual(self.resolver.asked, [("SRV", FED), ("SRV", OLD)])

    def test_targets_are_remembered(self) -> None:
        """Those of both services are listed in lower case, without asking anybody."""
        self.resolver.zone[OLD, dns.SRV] = [service(OLD, "u.net", 60), service(OLD, "T.NET", 60)]
        self.ask()
        self.ask(service=SERVICES[1])
        self.resolver.asked.clear()
        found = [self.services.remembered_targets(host) for host in ("EX.com", "other.com")]
        self.assertEqual((found, self.resolver.asked), ([{"t.net", "u.net"}, set()], []))
