"""
A week of a thousand servers, in simulated time: how many fetches and queries
there are, and when.

In each group the host of C{.well-known} and the name servers behave in a way
of their own, by the hour.  When they are to be asked follows from the rules
in CONFORMANCE 4 and 5 and is written down in the groups: "every 20 hours" is
80 % of 24 hours, at the next request.  Other numbers are derived from these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.freshness import Freshness
from matrix_federation_agent.errors import ResolutionFailed

from ..case import TestCase
from .kit import DAY, HOUR, MINUTE, Behaviour, FakeResolver, Nothing, Wired, ipv4, service

WEEK = 168
EVERY = range(0, WEEK, 4)
"""
The hours in which there is a request to each server, but to busy ones.
"""

FED_M, OLD_M = "SRV _matrix-fed._tcp.m.S", "SRV _matrix._tcp.m.S"
FED, OLD = "SRV _matrix-fed._tcp.S", "SRV _matrix._tcp.S"
A, AAAA = "A t.S", "AAAA t.S"
"""
Questions about a server S, the name m.S that it delegates to, and the target
t.S of its SRV records.
"""

Outcome = Delegation | NoDelegation | None
Rule = Callable[[int, str], Any]

DOWN = NoDelegation("status 503", temporary=True)
GONE = NoDelegation("status 404", temporary=False)


def delegates(seconds: float | None = None) -> Rule:
    """Delegate to m.S, for some seconds if the headers say so."""
    asked = None if seconds is None else Freshness(seconds, "max-age")
    return lambda hour, server: Delegation(ServerName(f"m.{server}"), asked)


def leads(ttl: float) -> Rule:
    """Have one SRV record, which leads to t.S."""
    return lambda hour, server: [service(server, f"t.{server}", int(ttl))]


def always(behaviour: object) -> Rule:
    """Behave in one way."""
    return lambda hour, server: behaviour


def but(usually: Rule, hours: Iterable[int], behaviour: object) -> Rule:
    """Behave otherwise at some hours."""
    return lambda hour, server: behaviour if hour in hours else usually(hour, server)


@attrs.frozen
class Group:
    """
    Servers that behave alike.  All times are in hours from the beginning, or
    in another unit.

    @ivar fetch: what a fetch of C{.well-known} brings; L{None}: a timeout.
    @ivar zone: what DNS says to each question.
    @ivar fetched: when there is a fetch.
    @ivar asked: when there is a query for each question.
    @ivar routes: when requests go to the SRV target (t), port 8448 of the
        delegated name (m) or of the server (s), or fail (x).
    @ivar waited: when requests have to wait for somebody who hangs.
    @ivar connects: whether the addresses of the target are looked up.
    """

    fetch: Rule
    zone: dict[str, Rule]
    fetched: Iterable[int]
    asked: dict[str, Iterable[int]]
    routes: dict[str, Iterable[int]]
    waited: Iterable[int] = ()
    connects: bool = False
    servers: int = 99
    every: Iterable[int] = EVERY
    unit: float = HOUR

    def failed(self, rule: Rule, times: Iterable[int]) -> int:
        """Count when a rule brought nothing."""
        outcomes = [rule(time, "S.example") for time in times]
        return sum(one is None or isinstance(one, NoDelegation | Exception) for one in outcomes)


ITSELF_FROM_8448 = {FED: always(Nothing(60)), OLD: always(Nothing(60))}

GROUPS = {
    # C1, C13: 24 h, refreshed after 19.2 h.  A TTL of a week is capped at a day, an absence at an hour.
    "default": Group(
        fetch=delegates(),
        zone={FED_M: leads(7 * DAY), A: always([ipv4("t", "192.0.2.1", 12 * 3600)]), AAAA: always(Nothing(86400))},
        fetched=range(0, WEEK, 20),
        asked={FED_M: range(0, WEEK, 24), A: range(0, WEEK, 12), AAAA: EVERY},
        routes={"t": EVERY},
        connects=True,
    ),
    # C4: the floor of five minutes.  D5: six hours have passed after eight.
    "brief": Group(
        fetch=delegates(0),
        zone={FED_M: leads(6 * HOUR)},
        fetched=EVERY,
        asked={FED_M: range(0, WEEK, 8)},
        routes={"t": EVERY},
    ),
    # C3, C13: 48 h, refreshed after 38.4 h.  D1: both services absent, for a quarter of an hour.
    "ten-years": Group(
        fetch=delegates(3650 * DAY),
        zone={FED_M: always(Nothing(900)), OLD_M: always(Nothing(900))},
        fetched=range(0, WEEK, 40),
        asked={FED_M: EVERY, OLD_M: EVERY},
        routes={"m": EVERY},
    ),
    # C2: six hours, due after 4.8 h.  D1: the new service is absent for an hour at most, the old one is there.
    "six-hours": Group(
        fetch=delegates(6 * HOUR),
        zone={FED_M: always(Nothing(86400)), OLD_M: leads(DAY)},
        fetched=range(0, WEEK, 8),
        asked={FED_M: EVERY, OLD_M: range(0, WEEK, 24)},
        routes={"t": EVERY},
    ),
    # C10: remembered for an hour at most.  D6: asked in vain at 40, the answer of hour 20 is good until 44.
    # D7: from then on, requests fail until the name servers are back.
    "undelegated": Group(
        fetch=always(GONE),
        zone={FED: but(leads(20 * HOUR), range(30, 100), DNSServerError())},
        fetched=EVERY,
        asked={FED: [0, 20, 40, *range(44, 100, 4), 100, 120, 140, 160]},
        routes={"t": [*range(0, 44, 4), *range(100, WEEK, 4)], "x": range(44, 100, 4)},
    ),
    # C11: tried whenever there is a request, and never missed.  D6: refused once, asked again by the next request.
    "down-for-a-day": Group(
        fetch=but(delegates(), range(30, 60), DOWN),
        zone={FED_M: but(leads(8 * HOUR), range(14, 18), DNSQueryRefusedError())},
        fetched=[0, 20, *range(40, 60, 4), *range(60, WEEK, 20)],
        asked={FED_M: [0, 8, 16, *range(20, WEEK, 8)]},
        routes={"t": EVERY},
    ),
    # C11: the delegation of hour 0 is good until 48.
    "down-for-four-days": Group(
        fetch=but(delegates(), range(10, 110), DOWN),
        zone={FED_M: leads(300), **ITSELF_FROM_8448},
        fetched=[0, *range(20, 112, 4), *range(112, WEEK, 20)],
        asked={FED_M: [*range(0, 48, 4), *range(112, WEEK, 4)], FED: range(48, 112, 4), OLD: range(48, 112, 4)},
        routes={"t": [*range(0, 48, 4), *range(112, WEEK, 4)], "s": range(48, 112, 4)},
    ),
    # C12: the delegation is doubted at 60, and dropped behind the request of 64.
    "removed": Group(
        fetch=but(delegates(), range(50, WEEK), GONE),
        zone={FED_M: leads(300), **ITSELF_FROM_8448},
        fetched=[0, 20, 40, *range(60, WEEK, 4)],
        asked={FED_M: range(0, 68, 4), FED: range(68, WEEK, 4), OLD: range(68, WEEK, 4)},
        routes={"t": range(0, 68, 4), "s": range(68, WEEK, 4)},
    ),
    # C12: the doubts of 60 are dispelled at 64.  D6: name servers are silent, and are waited for once: at 48.
    "mistaken": Group(
        fetch=but(delegates(), range(60, 64), GONE),
        zone={FED_M: but(leads(12 * HOUR), range(40, 60), None)},
        fetched=[0, 20, 40, 60, *range(64, WEEK, 20)],
        asked={FED_M: [0, 12, 24, 36, 48, 52, 56, *range(60, WEEK, 12)]},
        routes={"t": EVERY},
        waited=[48],
    ),
    # C11, C13: the host hangs, and nobody waits for it.
    "hanging": Group(
        fetch=but(delegates(), range(100, 124), None),
        zone={FED_M: leads(DAY)},
        fetched=[*range(0, 100, 20), *range(100, 124, 4), *range(124, WEEK, 20)],
        asked={FED_M: range(0, WEEK, 24)},
        routes={"t": EVERY},
    ),
    # In minutes.  C10: due 1, 2, 4, 8, 16, 32 and then 60 minutes after the last fetch, at the next request.
    "busy": Group(
        fetch=always(GONE),
        zone={FED: leads(HOUR), A: always([ipv4("t", "192.0.2.1", 600)]), AAAA: always(Nothing(900))},
        fetched=[0, 10, 20, 30, 40, 60, *range(100, WEEK * 60, 60)],
        asked={FED: range(0, WEEK * 60, 60), A: range(0, WEEK * 60, 10), AAAA: range(0, WEEK * 60, 20)},
        routes={"t": range(0, WEEK * 60, 10)},
        connects=True,
        servers=10,
        every=range(0, WEEK * 60, 10),
        unit=MINUTE,
    ),
}

KINDS = {"SRV": dns.SRV, "A": dns.A, "AAAA": dns.AAAA}


class Week(FakeResolver):
    """The world in that week, and what was seen of it: times by group, subject and server."""

    def __init__(self, test: TestCase) -> None:
        super().__init__()
        self.clock = Clock()
        self.wired = Wired(test, self.clock, self.fetch, self)
        self.seen: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def see(self, subject: str, server: str) -> int:
        """Note that something happens now."""
        name = server.split(".")[1]
        time = int(self.clock.seconds() // GROUPS[name].unit)
        self.seen[name, subject][server].append(time)
        return time

    def fetch(self, host: str) -> Deferred[Delegation | NoDelegation]:
        """Answer a fetch, at once or after the time limit."""
        hour = self.see("fetch", host)
        outcome: Outcome = GROUPS[host.split(".")[1]].fetch(hour, host)
        return deferLater(self.clock, 15, lambda: DOWN) if outcome is None else succeed(outcome)

    def behaviour(self, name: str, kind: int) -> Behaviour:
        """Answer a query."""
        labels = name.split(".")
        server = ".".join(labels[-3:])
        question = f"{dns.QUERY_TYPES[kind]} {'.'.join(labels[:-3])}.S"
        hour = self.see(question, server)
        behaviour: Behaviour = GROUPS[server.split(".")[1]].zone[question](hour, server)
        return behaviour

    async def request(self, server: str, *, connects: bool) -> None:
        """Find a server, as a request does."""
        began = self.clock.seconds()
        identity = await self.wired.discovery.who(ServerName(server))
        try:
            target = (await self.wired.discovery.where(identity, []))[0]
        except ResolutionFailed:
            self.see("route x", server)
            return
        if connects:
            await self.wired.hosts.addresses(target.host)
        self.see(f"route {str(target)[0]}", server)
        if self.clock.seconds() > began:
            self.see("wait", server)

    def pass_by(self) -> None:
        """Have all requests of the week."""
        for seconds in range(0, WEEK * 3600, 600):
            for name, group in GROUPS.items():
                if seconds // int(group.unit) in group.every and not seconds % int(group.unit):
                    for number in range(group.servers):
                        Deferred.fromCoroutine(self.request(f"s{number}.{name}.example", connects=group.connects))
            # Who hangs does so for less than that.
            self.clock.advance(20)
            self.clock.advance(580)


class SimulatedWeekTests(TestCase):
    """A week of a thousand servers; it passes by once for all tests."""

    week: ClassVar[Week | None] = None

    def setUp(self) -> None:
        """Let the week pass by."""
        super().setUp()
        if SimulatedWeekTests.week is None:
            SimulatedWeekTests.week = Week(self)
            SimulatedWeekTests.week.pass_by()
        self.passed = SimulatedWeekTests.week

    def assert_times(self, name: str, subject: str, times: Iterable[int]) -> None:
        """Assert that with each server of a group something happened at these times and no others."""
        servers = [f"s{number}.{name}.example" for number in range(GROUPS[name].servers)]
        expected = {server: list(times) for server in servers} if list(times) else {}
        self.assertEqual(dict(self.passed.seen.get((name, subject), {})), expected, f"{name}: {subject}")

    def test_there_are_a_thousand(self) -> None:
        """The groups together are as many servers as they should be."""
        self.assertEqual(sum(group.servers for group in GROUPS.values()), 1000)

    def test_c1_to_c13_when_hosts_are_fetched_from(self) -> None:
        """Each host is asked for its C{.well-known} when the rules say so."""
        for name, group in GROUPS.items():
            self.assert_times(name, "fetch", group.fetched)

    def test_d1_d5_d6_d7_when_name_servers_are_asked(self) -> None:
        """Each question is asked when the rules say so, and no other question is."""
        for name, group in GROUPS.items():
            questions = {subject for one, subject in self.passed.seen if one == name and subject.split()[0] in KINDS}
            self.assertEqual(questions, set(group.asked), name)
            for question, times in group.asked.items():
                self.assert_times(name, question, times)

    def test_c11_c12_d6_where_requests_go(self) -> None:
        """Each request goes where the rules say, and fails only when nothing is known."""
        for name, group in GROUPS.items():
            for route in "tmsx":
                self.assert_times(name, f"route {route}", group.routes.get(route, ()))

    def test_c13_who_waits(self) -> None:
        """Nobody waits for a host or a name server that hangs while something usable is known."""
        for name, group in GROUPS.items():
            self.assert_times(name, "wait", group.waited)

    def test_the_counters(self) -> None:
        """Lookups and failures of each kind are as many as there are times in the groups."""
        expected: Counter[str] = Counter()
        for group in GROUPS.values():
            expected["well_known.lookups"] += group.servers * len(list(group.fetched))
            expected["well_known.failures"] += group.servers * group.failed(group.fetch, group.fetched)
            for question, times in group.asked.items():
                kind = question.split()[0].lower()
                expected[f"{kind}.lookups"] += group.servers * len(list(times))
                expected[f"{kind}.failures"] += group.servers * group.failed(group.zone[question], times)
        counted = self.passed.wired.counters.snapshot()
        self.assertEqual({name: counted.get(name, 0) for name in expected}, dict(expected))

    def test_all_requests_are_counted(self) -> None:
        """Each one is a hit, or has caused a lookup of its own: nobody shared, nothing was evicted."""
        requests = sum(group.servers * len(list(group.every)) for group in GROUPS.values())
        counted = self.passed.wired.counters.snapshot()
        hits = counted["well_known.hits"] + counted["well_known.stale_hits"]
        self.assertEqual((requests, hits), (99 * 10 * 42 + 10 * 1008, requests - self.awaited_fetches()))

    def awaited_fetches(self) -> int:
        """Count the fetches before which nothing usable was known; the others are made behind the requests."""
        behind = {
            "default": range(20, WEEK, 20),
            "ten-years": range(40, WEEK, 40),
            "down-for-a-day": [20, *range(40, 60, 4), *range(60, WEEK, 20)],
            "down-for-four-days": [*range(20, 48, 4), 132, 152],
            "removed": [20, 40, 60, 64],
            "mistaken": [20, 40, 60, *range(64, WEEK, 20)],
            "hanging": [*range(20, 100, 20), *range(100, 124, 4), *range(124, WEEK, 20)],
            "busy": [10, 20, 30, 40, 60, 100],
        }
        awaited = {name: len(list(group.fetched)) - len(behind.get(name, ())) for name, group in GROUPS.items()}
        return sum(GROUPS[name].servers * number for name, number in awaited.items())
