"""
Tests of C{matrix_federation_agent._discovery.srv}.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IResolver
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError
from zope.interface.verify import verifyObject

from matrix_federation_agent import DiscoveryPolicy
from matrix_federation_agent._discovery.routing import ServiceRecord
from matrix_federation_agent._discovery.srv import ServiceLookup, Services, is_onion
from matrix_federation_agent.errors import ResolutionFailed
from tests.case import TestCase
from tests.discovery.fakes import FakeResolver

FED = "_matrix-fed._tcp"
QUERY = "SRV _matrix-fed._tcp.ex.com"
POLICY = DiscoveryPolicy(dns_timeout=5, srv_minimum=30, srv_maximum=1000, srv_negative_maximum=600)


class LookupCase(TestCase):
    """
    A lookup on a clock.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.clock = Clock()
        self.resolver = FakeResolver()
        self.lookup = ServiceLookup(self.clock, self.resolver, POLICY)

    def ask(self, host: str = "ex.com", service: str = FED) -> Deferred[Services]:
        """
        Ask.
        """
        return Deferred.fromCoroutine(self.lookup.services(service, host))

    def know(self, ttl: int, port: int = 8443) -> None:
        """
        Let there be a record.
        """
        self.resolver.know(QUERY, dns.Record_SRV(10, 20, port, b"t.net"), ttl=ttl)

    def asked_again_after(self, *seconds: float) -> list[bool]:
        """
        Tell whether a query is sent again, after more and more seconds.
        """
        self.successResultOf(self.ask())
        told = []
        for since, until in zip((0.0, *seconds), seconds, strict=False):
            self.clock.advance(until - since)
            before = len(self.resolver.asked)
            self.successResultOf(self.ask())
            told.append(len(self.resolver.asked) > before)
        return told


class AnswerTests(LookupCase):
    """
    What a lookup tells.
    """

    def test_the_fake(self) -> None:
        """
        The fake is a resolver.
        """
        self.assertTrue(verifyObject(IResolver, self.resolver))

    def test_records(self) -> None:
        """
        The records come as they are.
        """
        self.know(300)
        found = self.successResultOf(self.ask())
        expected = Services("_matrix-fed._tcp.ex.com", (ServiceRecord(10, 20, 8443, b"t.net"),))
        self.assertEqual(found, expected)

    def test_records_of_other_types(self) -> None:
        """
        What is no SRV record does not count.
        """
        alias = dns.Record_CNAME(b"srv.net")
        self.resolver.know(QUERY, alias, dns.Record_A("192.0.2.1"))
        self.assertEqual(self.successResultOf(self.ask()).records, ())

    def test_failures(self) -> None:
        """
        A failure is a temporary error that names the query, with its cause.
        """
        message = dns.Message()
        for failure in (DNSServerError(message), DNSQueryRefusedError(message), OSError("no route"), ValueError()):
            self.resolver.fail(QUERY, failure)
            error = self.failureResultOf(self.ask(), ResolutionFailed).value
            told = (error.name, error.temporary, error.__cause__)
            self.assertEqual(told, ("_matrix-fed._tcp.ex.com", True, failure))

    def test_a_resolver_that_raises(self) -> None:
        """
        An exception instead of a Deferred is a failure as well.
        """
        self.patch(self.resolver, "lookupService", lambda name: 1 / 0)
        self.assertTrue(self.failureResultOf(self.ask(), ResolutionFailed).value.temporary)

    def test_timeout(self) -> None:
        """
        A query without an answer is given up in time, and cancelled.
        """
        waiting = self.resolver.hang(QUERY)
        asking = self.ask()
        self.clock.advance(4.9)
        self.assertNoResult(asking)
        self.clock.advance(0.2)
        self.assertTrue(self.failureResultOf(asking, ResolutionFailed).value.temporary)
        self.assertTrue(waiting.called)

    def test_cancelling(self) -> None:
        """
        Cancelling cancels the query, and leaves nothing in the clock.
        """
        waiting = self.resolver.hang(QUERY)
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual((waiting.called, self.clock.getDelayedCalls()), (True, []))

    def test_one_caller_of_two_is_cancelled(self) -> None:
        """
        When two wait and one is cancelled, the other is served.
        """
        pending = [self.resolver.hang(QUERY)]
        first = self.ask()
        self.resolver.answers[QUERY] = lambda: pending[0]
        pending.insert(0, Deferred())
        second = self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        pending[0].callback(([], [], []))
        self.assertEqual(self.successResultOf(second).records, ())

    def test_onion(self) -> None:
        """
        A .onion name has no records, without a query.
        """
        names = ("abc.onion", "ABC.ONION", "a.b.Onion")
        self.assertEqual([self.successResultOf(self.ask(name)).records for name in names], [(), (), ()])
        self.assertEqual(self.resolver.asked, [])

    def test_onion_names(self) -> None:
        """
        The last label decides.
        """
        names = ("abc.onion", "ABC.ONION", "onion", "abc.onion.example", "notonion", "abc.xonion")
        self.assertEqual([is_onion(name) for name in names], [True, True, True, False, False, False])


class MemoryTests(LookupCase):
    """
    What is remembered, and how long.
    """

    def test_D5_the_ttl(self) -> None:
        """
        An answer is remembered for its TTL.
        """
        self.know(60)
        self.assertEqual(self.asked_again_after(59, 61), [False, True])

    def test_the_least_ttl_of_several(self) -> None:
        """
        Of several records the least TTL counts.
        """
        headers = [
            dns.RRHeader(b"x", dns.SRV, ttl=ttl, payload=dns.Record_SRV(1, 1, ttl, b"t.net")) for ttl in (500, 60, 900)
        ]
        self.resolver.answers[QUERY] = lambda: headers
        self.assertEqual(self.asked_again_after(59, 61), [False, True])

    def test_the_floor(self) -> None:
        """
        However short the TTL, an answer is remembered for the minimum.
        """
        self.know(0)
        self.assertEqual(self.asked_again_after(29, 31), [False, True])

    def test_the_cap(self) -> None:
        """
        However long the TTL, an answer is remembered for the maximum.
        """
        self.know(2**31 - 1)
        self.assertEqual(self.asked_again_after(999, 1001), [False, True])

    def test_D1_absence(self) -> None:
        """
        An absence is remembered for the SOA record's negative TTL.
        """
        self.resolver.negative_ttl = 100
        self.assertEqual(self.asked_again_after(99, 101), [False, True])

    def test_D1_the_cap_of_an_absence(self) -> None:
        """
        And for no longer than the maximum.
        """
        self.resolver.negative_ttl = 10**6
        self.assertEqual(self.asked_again_after(599, 601), [False, True])

    def test_absence_without_a_ttl(self) -> None:
        """
        Without an SOA record an absence is not remembered.
        """
        self.assertEqual(self.asked_again_after(0.1), [True])

    def test_failures_are_not_remembered(self) -> None:
        """
        After a failure the query is sent again.
        """
        self.resolver.fail(QUERY)
        for _ in range(2):
            self.failureResultOf(self.ask(), ResolutionFailed)
        self.assertEqual(self.resolver.asked, [QUERY, QUERY])

    def test_case(self) -> None:
        """
        Names are remembered without case.
        """
        self.know(60)
        for name in ("ex.com", "EX.com", "ex.COM"):
            self.successResultOf(self.ask(name))
        self.assertEqual(self.resolver.asked, [QUERY])

    def test_services_are_apart(self) -> None:
        """
        Each service of a host is remembered for itself.
        """
        self.know(60)
        self.successResultOf(self.ask())
        self.assertEqual(self.successResultOf(self.ask(service="_matrix._tcp")).records, ())

    def test_forget_one(self) -> None:
        """
        One host can be forgotten, and neither its neighbours nor what merely ends alike.
        """
        self.resolver.negative_ttl = 100
        names = ("ex.com", "b.ex.com", "notex.com")
        for name in names:
            self.successResultOf(self.ask(name))
        self.resolver.asked.clear()
        self.lookup.forget("EX.com")
        for name in names:
            self.successResultOf(self.ask(name))
        self.assertEqual(self.resolver.asked, [QUERY])

    def test_forget_all(self) -> None:
        """
        Everything can be forgotten.
        """
        self.know(60)
        self.successResultOf(self.ask())
        self.lookup.forget(None)
        self.successResultOf(self.ask())
        self.assertEqual(self.resolver.asked, [QUERY, QUERY])

    def test_the_bound(self) -> None:
        """
        Only so many answers are remembered.
        """
        self.resolver.negative_ttl = 100
        lookup = ServiceLookup(self.clock, self.resolver, attrs.evolve(POLICY, max_remembered=2))
        for name in ("a.example", "b.example", "c.example", "a.example"):
            self.successResultOf(Deferred.fromCoroutine(lookup.services(FED, name)))
        self.assertEqual([query[-9] for query in self.resolver.asked], ["a", "b", "c", "a"])
