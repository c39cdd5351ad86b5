"""
What the tests of discovery share: fakes whose every answer is the test's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError
from zope.interface import implementer

from matrix_federation_agent import Counters, DiscoveryPolicy
from matrix_federation_agent._discovery.answers import NameService
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.hosts import HostLookup, address_queries
from matrix_federation_agent._discovery.hosts_file import HostsFile
from matrix_federation_agent._discovery.remembering import IPV4, IPV6, Remembering
from matrix_federation_agent._discovery.resolution import Discovery
from matrix_federation_agent._discovery.srv import ServiceLookup, service_query
from matrix_federation_agent.stores import IDiscoveryStore

from ..case import TestCase

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

hostile = settings(deadline=None, database=None, derandomize=True, max_examples=300)


class HypothesisTestCase(TestCase):
    """A test case whose tests have many examples."""

    def setUp(self) -> None:
        """Keep what hypothesis writes out of the checkout."""
        super().setUp()
        set_hypothesis_home_dir(str(Path(self.mktemp()).absolute()))
        self.addCleanup(set_hypothesis_home_dir, None)


def let_go(asking: Deferred[Any]) -> None:
    """End what a test has left under way, lest it ends when it is collected, in another test."""
    asking.addErrback(lambda _: None)
    asking.cancel()


class Spread(Random):
    """Chance that always falls on one spot of the range: 0 is the lower end, 1 the upper."""

    def __init__(self, spot: float = 0.5) -> None:
        super().__init__(0)
        self._spot = spot

    def uniform(self, a: float, b: float) -> float:
        """Draw a number."""
        return a + self._spot * (b - a)


class ManualWork:
    """Work on keys that begins when it is asked for and ends when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self._running: dict[str, Deferred[Any]] = {}

    async def do(self, key: str) -> Any:
        """Work on a key."""
        self.begun.append(key)
        running: Deferred[Any] = Deferred(lambda _: self.cancelled.append(key))
        self._running[key] = running
        return await running

    def end(self, key: str, result: object) -> None:
        """Let the work on a key end with a result, or an exception."""
        running = self._running.pop(key)
        if isinstance(result, BaseException):
            running.errback(result)
        else:
            running.callback(result)


@implementer(IDiscoveryStore)
class FakeStore:
    """A store that works, until the test says what it does instead."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self.kept: dict[tuple[str, str], float] = {}
        self.calls: list[str] = []
        self.instead: Callable[[], Deferred[Any]] | None = None

    def __repr__(self) -> str:
        return "FakeStore()"

    def load(self, kind: str, name: str) -> Deferred[str | None]:
        """Find a text."""
        return self._do("load", lambda: self.texts.get((kind, name)))

    def save(self, kind: str, name: str, text: str, keep: float) -> Deferred[None]:
        """Keep a text."""

        def save() -> None:
            self.texts[kind, name] = text
            self.kept[kind, name] = keep

        return self._do("save", save)

    def forget(self, kind: str, name: str | None) -> Deferred[None]:
        """Drop one text, or all of a kind."""

        def forget() -> None:
            for key in [key for key in self.texts if key[0] == kind and name in (None, key[1])]:
                del self.texts[key]

        return self._do("forget", forget)

    def close(self) -> Deferred[None]:
        """Let go of everything."""
        return self._do("close", lambda: None)

    def _do(self, call: str, work: Callable[[], Any]) -> Deferred[Any]:
        self.calls.append(call)
        return succeed(work()) if self.instead is None else self.instead()


@attrs.frozen
class Nothing:
    """The answer that there is no such record, for so many seconds by the SOA record."""

    seconds: int


Behaviour = Sequence[dns.RRHeader] | Nothing | Exception | None
"""
Records; an absence; an error; L{None}: silence.
"""


class FakeResolver(ResolverBase):
    """An C{IResolver} whose zone is a dictionary; other names do not exist."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.zone: dict[tuple[str, int], Behaviour] = {}
        self.asked: list[tuple[str, str]] = []
        self.silent: list[Deferred[Any]] = []
        self.cancelled = 0

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None) -> Deferred[Any]:
        text = name.decode("ascii")
        self.asked.append((dns.QUERY_TYPES[type], text))
        return self.reply(self.behaviour(text, type))

    def behaviour(self, name: str, kind: int) -> Behaviour:
        """Tell how the name server treats a question."""
        return self.zone.get((name, kind), Nothing(900))

    def reply(self, behaviour: Behaviour) -> Deferred[Any]:
        """Behave."""
        if behaviour is None:
            self.silent.append(Deferred(self._cancel))
            return self.silent[-1]
        if isinstance(behaviour, Exception):
            return fail(behaviour)
        if isinstance(behaviour, Nothing):
            return fail(DNSNameError(message(dns.ENAME, soa(behaviour.seconds, behaviour.seconds))))
        return succeed((list(behaviour), [], []))

    def _cancel(self, _: Deferred[Any]) -> None:
        self.cancelled += 1


def service(name: str, target: str, ttl: int, *, priority: int = 10, weight: int = 0, port: int = 8443) -> dns.RRHeader:
    """Make an SRV record."""
    payload = dns.Record_SRV(priority, weight, port, target.encode(), ttl)
    return dns.RRHeader(name.encode(), dns.SRV, ttl=ttl, payload=payload)


def ipv4(name: str, address: str, ttl: int) -> dns.RRHeader:
    """Make an A record."""
    return dns.RRHeader(name.encode(), dns.A, ttl=ttl, payload=dns.Record_A(address, ttl))


def ipv6(name: str, address: str, ttl: int) -> dns.RRHeader:
    """Make an AAAA record."""
    return dns.RRHeader(name.encode(), dns.AAAA, ttl=ttl, payload=dns.Record_AAAA(address, ttl))


def alias(name: str, to: str, ttl: int) -> dns.RRHeader:
    """Make a CNAME record."""
    return dns.RRHeader(name.encode(), dns.CNAME, ttl=ttl, payload=dns.Record_CNAME(to.encode(), ttl))


def soa(ttl: int, minimum: int) -> dns.RRHeader:
    """Make an SOA record."""
    return dns.RRHeader(b"example", dns.SOA, ttl=ttl, payload=dns.Record_SOA(b"ns", b"me", minimum=minimum, ttl=ttl))


def message(code: int, *authority: dns.RRHeader) -> dns.Message:
    """Make the message of a name server that has no answer."""
    made = dns.Message(rCode=code)
    made.authority = list(authority)
    return made


Fetch = Callable[[str], Deferred[Delegation | NoDelegation]]


@attrs.define(eq=False)
class Wired:
    """Discovery with everything but the network: the fetch and the resolver are fakes."""

    test: TestCase
    clock: Any
    fetch: Fetch
    resolver: Any = attrs.field(factory=FakeResolver)
    policy: DiscoveryPolicy = attrs.field(factory=DiscoveryPolicy)
    store: Any = None
    hostnames: Any = None
    hosts_file: str = "/nonexistent/hosts"
    counters: Counters = attrs.field(init=False, factory=Counters)
    remembering: Remembering = attrs.field(init=False)
    services: ServiceLookup = attrs.field(init=False)
    hosts: HostLookup = attrs.field(init=False)
    discovery: Discovery = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        rng, names = Spread(), NameService(self.clock, self.policy)
        self.remembering = Remembering(self.clock, self.policy, rng, self.store, self.counters)
        six, four = address_queries(self.resolver)
        memories = self.remembering.addresses(IPV6, names, six), self.remembering.addresses(IPV4, names, four)
        file = HostsFile(self.clock, self.policy.dns_timeout, self.hosts_file)
        self.hosts = HostLookup(self.clock, memories, self.hostnames, self.policy.dns_timeout, file)
        self.services = ServiceLookup(self.remembering.services(names, service_query(self.resolver)))
        delegations = self.remembering.delegations(self._fetch)
        self.discovery = Discovery(delegations, self.services, self.policy, rng)
        self.test.addCleanup(self.remembering.end_lookups)

    async def _fetch(self, host: str) -> Delegation | NoDelegation:
        return await self.fetch(host)
