"""
Tests of C{matrix_federation_agent._discovery.resolution}, with everything
real but the fetch and the resolver.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError

from matrix_federation_agent import DiscoveryPolicy, ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.freshness import Freshness
from matrix_federation_agent._discovery.routing import SERVICES
from matrix_federation_agent._discovery.serial import dump_delegation, load_delegation
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._route import Step
from matrix_federation_agent.errors import FederationError, ResolutionFailed, ServiceUnavailable

from ..case import TestCase
from .kit import DAY, Behaviour, FakeResolver, FakeStore, ManualWork, Nothing, Wired, ipv4, ipv6, let_go, service

FED, OLD = SERVICES
HOST, OTHER = "ex.com", "m.ex.com"
ABSENT = Nothing(900)
ITSELF = NoDelegation("status 404", temporary=False)

# Row of CONFORMANCE 5, what DNS says of either service, the targets or the
# error, and the services that were asked for.
LOCATED: list[tuple[str, Behaviour, Behaviour, object, tuple[str, ...]]] = [
    ("D1", ABSENT, ABSENT, ["ex.com:8448"], (FED, OLD)),
    ("D1", ABSENT, [service(OLD, "t.net", 60)], ["t.net:8443"], (FED, OLD)),
    ("D2", [service(FED, "t.net", 60)], [service(OLD, "u.net", 60)], ["t.net:8443"], (FED,)),
    ("D2", [service(FED, "1.2.3.4", 60)], ABSENT, (ResolutionFailed, False), (FED,)),
    ("D2", [service(FED, "", 60)] * 2, ABSENT, (ResolutionFailed, False), (FED,)),
    (
        "D3",
        [service(FED, "b.net", 60, priority=20), service(FED, "a.net", 60, priority=10)],
        ABSENT,
        ["a.net:8443", "b.net:8443"],
        (FED,),
    ),
    ("D7", DNSServerError(), ABSENT, (ResolutionFailed, True), (FED,)),
    ("D7", DNSQueryRefusedError(), ABSENT, (ResolutionFailed, True), (FED,)),
    ("D7", None, ABSENT, (ResolutionFailed, True), (FED,)),
    ("D7", ABSENT, DNSServerError(), (ResolutionFailed, True), (FED, OLD)),
    ("D8", [service(FED, "", 60)], ABSENT, (ServiceUnavailable, None), (FED,)),
    ("D8", [service(FED, ".", 60)], ABSENT, (ServiceUnavailable, None), (FED,)),
    ("D8", ABSENT, [service(OLD, "", 60)], (ServiceUnavailable, None), (FED, OLD)),
]

# What is known of n.com, which answers for itself, and of ex.com, which
# delegates to m.ex.com, whose SRV record leads to t.net.
OF_N = [
    ("a", "n.com"),
    ("aaaa", "n.com"),
    ("srv", f"{FED}.n.com"),
    ("srv", f"{OLD}.n.com"),
    ("well_known", "n.com"),
]
OF_EX = [("a", "t.net"), ("aaaa", "t.net"), ("srv", f"{FED}.{OTHER}"), ("well_known", HOST)]


class DiscoveryTestCase(TestCase):
    """Discovery, at second 0, with fetches that end when the test says so."""

    def setUp(self) -> None:
        """Know nothing."""
        super().setUp()
        self.clock = Clock()
        self.resolver = FakeResolver()
        self.fetches = ManualWork()
        self.wire()

    def wire(self, store: FakeStore | None = None, **settings: Any) -> None:
        """Make discovery with a policy, and maybe a store."""
        policy = DiscoveryPolicy(**settings)
        fetch = lambda host: Deferred.fromCoroutine(self.fetches.do(host))
        self.wired = Wired(self, self.clock, fetch, self.resolver, policy, store)
        self.discovery = self.wired.discovery

    def who(self, name: str = HOST) -> Deferred[Identity]:
        """Ask who must answer."""
        asking = Deferred.fromCoroutine(self.discovery.who(ServerName(name)))
        self.addCleanup(let_go, asking)
        return asking

    def where(self, name: str = HOST) -> Deferred[list[str]]:
        """Ask where a name listens that answers for itself."""
        identity = Identity(ServerName(name), ServerName(name))
        asking = Deferred.fromCoroutine(self.discovery.where(identity, []))
        self.addCleanup(let_go, asking)
        return asking.addCallback(lambda found: list(map(str, found)))

    def set_dns(self, fed: Behaviour, old: Behaviour) -> None:
        """Have DNS say this of both services, and nothing remembered of them."""
        self.resolver.zone = {(f"{FED}.{HOST}", dns.SRV): fed, (f"{OLD}.{HOST}", dns.SRV): old}
        self.resolver.asked.clear()
        self.wired.remembering.forget(None)


class WhereTests(DiscoveryTestCase):
    """L{Discovery.where <matrix_federation_agent._discovery.resolution.Discovery>}."""

    def located(self) -> object:
        """Locate the host: its targets, or the error."""
        asking = self.where()
        self.clock.advance(10)
        return self.successResultOf(asking.addErrback(lambda failure: failure.value))

    def test_d1_d2_d3_d7_d8_what_srv_records_say(self) -> None:
        """Records decide once they exist, their absence leads on, and a failure is no absence."""
        for row, fed, old, expected, services in LOCATED:
            self.set_dns(fed, old)
            found = self.located()
            shown = (type(found), getattr(found, "temporary", None)) if isinstance(found, FederationError) else found
            asked = [("SRV", f"{one}.{HOST}") for one in services]
            self.assertEqual((shown, self.resolver.asked), (expected, asked), f"{row} {fed} {old}")

    def test_d7_the_error_names_the_server(self) -> None:
        """Whom the caller asked for, not what DNS was asked."""
        self.set_dns(DNSServerError(), ABSENT)
        error = self.located()
        assert isinstance(error, ResolutionFailed)
        self.assertEqual((error.server_name, error.name), (HOST, f"{FED}.{HOST}"))

    def test_d7_the_default_port_may_be_guessed(self) -> None:
        """A policy field allows to try port 8448 when DNS has no answer."""
        self.wire(guess_default_port=True)
        self.set_dns(DNSServerError(), ABSENT)
        self.assertEqual((self.located(), len(self.resolver.asked)), (["ex.com:8448"], 1))

    def test_d6_stale_records_are_ordered(self) -> None:
        """An older answer is used in the order of RFC 2782 as well."""
        priorities = {"c.net": 30, "a.net": 10, "b.net": 20}
        records = [service(FED, target, 60, priority=number) for target, number in priorities.items()]
        self.set_dns(records, ABSENT)
        self.located()
        self.resolver.zone[f"{FED}.{HOST}", dns.SRV] = DNSServerError()
        self.clock.advance(600)
        self.assertEqual(self.located(), ["a.net:8443", "b.net:8443", "c.net:8443"])

    def test_d9_onion_names_listen_on_the_default_port(self) -> None:
        """No DNS query leaves the machine."""
        self.assertEqual(self.successResultOf(self.where("abc.onion")), ["abc.onion:8448"])
        self.assertEqual(self.resolver.asked, [])

    def test_r1_to_r4_fixed_targets_need_no_dns(self) -> None:
        """A literal and an explicit port say where, and nobody is asked."""
        names = ["1.2.3.4", "[::1]:80", "ex.com:8443"]
        found = [self.successResultOf(self.where(name)) for name in names]
        self.assertEqual((found, self.resolver.asked), ([["1.2.3.4:8448"], ["[::1]:80"], ["ex.com:8443"]], []))

    def test_c14_a_herd_costs_one_query_for_each_service(self) -> None:
        """A thousand callers for an unknown name."""
        self.set_dns(None, None)
        herd = [self.where() for _ in range(1000)]
        for waiting in (1, 2):
            self.assertEqual(len(self.resolver.asked), waiting)
            self.resolver.silent[-1].callback(([], [], []))
        found = {str(self.successResultOf(one)) for one in herd}
        self.assertEqual((found, len(self.resolver.asked)), ({"['ex.com:8448']"}, 2))


class WhoTests(DiscoveryTestCase):
    """L{Discovery.who <matrix_federation_agent._discovery.resolution.Discovery>}."""

    def test_r7_the_delegated_name_answers(self) -> None:
        """The identity is the delegated name, and the step says what was fetched."""
        asking = self.who()
        self.fetches.end(HOST, Delegation(ServerName(OTHER), Freshness(1000.0, "max-age")))
        found = self.successResultOf(asking)
        text = "https://ex.com/.well-known/matrix/server: delegates to m.ex.com"
        expected = Identity(ServerName(HOST), ServerName(OTHER), delegated=True)
        self.assertEqual((found, found.step), (expected, Step("3", text)))

    def test_r13_the_name_answers_for_itself(self) -> None:
        """Without a delegation the identity is the name."""
        asking = self.who()
        self.fetches.end(HOST, ITSELF)
        found = self.successResultOf(asking)
        self.assertEqual((found.effective, found.delegated), (ServerName(HOST), False))

    def test_r1_to_r4_fixed_names_need_no_fetch(self) -> None:
        """A literal and a name with a port answer for themselves."""
        names = ["1.2.3.4", "[::1]:80", "ex.com:8443"]
        found = [str(self.successResultOf(self.who(name)).effective) for name in names]
        self.assertEqual((found, self.fetches.begun), (names, []))

    def test_c14_fifty_callers_cause_one_fetch(self) -> None:
        """Names that differ in case are one host."""
        herd = [self.who(name) for name in ("ex.com", "EX.com") for _ in range(25)]
        self.fetches.end(HOST, Delegation(ServerName(OTHER)))
        found = {self.successResultOf(one).effective for one in herd}
        self.assertEqual((found, self.fetches.begun), ({ServerName(OTHER)}, [HOST]))

    def test_n12_each_name_answers_for_itself_as_it_is_written(self) -> None:
        """What is remembered of a host does not turn one Matrix name into another."""
        herd = [self.who(name) for name in ("ex.com", "EX.com")]
        self.fetches.end(HOST, ITSELF)
        self.assertEqual([str(self.successResultOf(one).effective) for one in herd], ["ex.com", "EX.com"])

    def test_what_was_found_is_put_into_words(self) -> None:
        """The step says what the last fetch brought, also when the delegation is an older one."""
        found = []
        for outcome in (ITSELF, Delegation(ServerName(OTHER)), NoDelegation("status 503", temporary=True)):
            asking = self.who()
            self.fetches.end(HOST, outcome)
            self.successResultOf(asking)
            step = self.successResultOf(self.who()).step
            assert step is not None
            found.append((step.number, step.found.removeprefix("https://ex.com/.well-known/matrix/server: ")))
            self.clock.advance(DAY)
        stale = "delegates to m.ex.com (but the last fetch: no delegation: status 503)"
        texts = ["no delegation: status 404", "delegates to m.ex.com", stale]
        self.assertEqual(found, [("3", text) for text in texts])


class ChangeTests(DiscoveryTestCase):
    """Who is told that a delegation has changed."""

    def setUp(self) -> None:
        """Listen."""
        super().setUp()
        self.left: list[str] = []
        self.end = self.discovery.subscribe(lambda name: self.left.append(str(name)))

    def learn(self, outcome: Delegation | NoDelegation | str, host: str = HOST) -> None:
        """Have a host looked up anew, two days after everything before."""
        self.clock.advance(2 * DAY)
        asking = self.who(host)
        self.fetches.end(host, Delegation(ServerName(outcome)) if isinstance(outcome, str) else outcome)
        self.successResultOf(asking)

    def test_the_old_name_is_told(self) -> None:
        """When a host delegates to another name or port, or to nobody any more."""
        for outcome in ("a.com", "b.com", "b.com:443", "1.2.3.4", ITSELF):
            self.learn(outcome)
        self.assertEqual(self.left, ["a.com", "b.com", "b.com:443", "1.2.3.4"])

    def test_nobody_is_told_of_what_stays(self) -> None:
        """A delegation that is new, confirmed, or kept while fetches fail has not changed."""
        for _ in range(2):
            self.learn("a.com:443")
        self.clock.advance(DAY - 1)
        self.who()
        self.fetches.end(HOST, NoDelegation("status 503", temporary=True))
        self.assertEqual((self.left, len(self.fetches.begun)), ([], 3))

    def test_its_own_name_is_told(self) -> None:
        """A host that begins to delegate does not answer by its own name any more."""
        self.learn(ITSELF)
        self.learn("a.com")
        self.assertEqual(self.left, [HOST])

    def test_names_that_others_go_by_are_not_told(self) -> None:
        """A stranger who delegates to somebody's name, and then does not, has nothing of theirs dropped."""
        self.learn("a.com", "friend.com")
        for outcome in ("a.com", "b.com"):
            self.learn(outcome)
        self.learn(ITSELF, "c.com")
        for outcome in ("c.com", "d.com"):
            self.learn(outcome)
        self.assertEqual(self.left, ["b.com"])

    def test_names_whose_host_delegates_are_told(self) -> None:
        """A host that delegates elsewhere does not go by its own name; a name with a port is another name."""
        self.learn("e.com", "a.com")
        self.learn(ITSELF, "b.com")
        for outcome in ("a.com", "b.com:443", "z.com"):
            self.learn(outcome)
        self.assertEqual(self.left, ["a.com", "b.com:443"])

    def test_what_a_store_says_counts(self) -> None:
        """Another process has learned of the change."""
        store = FakeStore()
        self.wire(store)
        self.discovery.subscribe(lambda name: self.left.append(str(name)))
        self.learn("a.com")
        entry = load_delegation(store.texts["well_known", HOST])
        assert entry is not None
        self.clock.advance(DAY)
        now = self.clock.seconds()
        newer = attrs.evolve(entry, delegation=ServerName("b.com"), fetched=now, next_try=now + 8, expires=now + 9)
        store.texts["well_known", HOST] = dump_delegation(newer)
        self.who()
        self.assertEqual((self.left, len(self.fetches.begun)), (["a.com"], 1))

    def test_a_subscription_ends(self) -> None:
        """Who has ended it is told nothing."""
        self.learn("a.com")
        self.end()
        self.learn("b.com")
        self.assertEqual(self.left, [])


class StoreTests(DiscoveryTestCase):
    """Discovery with a store that several processes use, or one after the other."""

    def setUp(self) -> None:
        """Have an empty store, and records of every kind."""
        super().setUp()
        self.store = FakeStore()
        name = f"{FED}.{OTHER}"
        self.resolver.zone = {
            (name, dns.SRV): [service(name, "t.net", 60, priority=20), service(name, "u.net", 60, weight=7)],
            ("u.net", dns.A): [ipv4("u.net", "192.0.2.1", 60)],
            ("u.net", dns.AAAA): [ipv6("u.net", "2001:db8::1", 60)],
        }

    def found(self, outcome: Delegation | None = None) -> tuple[object, ...]:
        """Find ex.com in a new process: who answers, where, at which addresses."""
        self.wire(self.store)
        asking = self.who()
        if outcome is not None:
            self.fetches.end(HOST, outcome)
        who = self.successResultOf(asking).effective
        where = self.successResultOf(self.where(str(who)))
        host = ServerName(where[0].rpartition(":")[0])
        addresses = self.successResultOf(Deferred.fromCoroutine(self.wired.hosts.addresses(host)))
        return str(who), where, list(map(str, addresses))

    def test_a_restarted_process_knows_what_it_knew(self) -> None:
        """Nothing is fetched and nobody is asked for what is in the store."""
        first = self.found(Delegation(ServerName(OTHER), Freshness(1000.0, "max-age")))
        asked = len(self.resolver.asked)
        self.assertEqual((self.found(), self.fetches.begun), (first, [HOST]))
        self.assertEqual(asked, len(self.resolver.asked))

    def test_kinds_are_kept_apart(self) -> None:
        """Each kind of knowledge is kept under its own name."""
        self.found(Delegation(ServerName(OTHER)))
        expected = [("a", "u.net"), ("aaaa", "u.net"), ("srv", f"{FED}.{OTHER}"), ("well_known", HOST)]
        self.assertEqual(sorted(self.store.texts), expected)

    def test_a_store_that_fails_costs_nothing(self) -> None:
        """Discovery goes on by itself."""
        self.store.instead = lambda: fail(ZeroDivisionError())
        expected = OTHER, ["u.net:8443", "t.net:8443"], ["2001:db8::1", "192.0.2.1"]
        self.assertEqual(self.found(Delegation(ServerName(OTHER))), expected)

    def test_a_store_that_hangs_costs_a_tenth_of_a_second(self) -> None:
        """It is waited for once, and then left alone."""
        self.store.instead = Deferred
        self.wire(self.store)
        self.who()
        self.clock.advance(0.1)
        self.who("n.com")
        self.assertEqual(self.fetches.begun, [HOST, "n.com"])

    def test_what_is_forgotten_leaves_the_store(self) -> None:
        """All that concerns the server."""
        self.found(Delegation(ServerName(OTHER)))
        self.wired.remembering.forget(self.discovery.hosts_of(ServerName(HOST)))
        self.assertEqual(self.store.texts, {})

    def test_what_only_the_store_knows_is_forgotten(self) -> None:
        """A process that has not asked for a server yet can have it dropped."""
        self.found(Delegation(ServerName(OTHER)))
        self.wire(self.store)
        self.wired.remembering.forget({HOST, OTHER})
        self.assertEqual(sorted(self.store.texts), [("a", "u.net"), ("aaaa", "u.net")])

    def test_closing_lets_go_of_the_store(self) -> None:
        """With a store and without one, closing ends."""
        for store in (self.store, None):
            self.wire(store)
            self.successResultOf(Deferred.fromCoroutine(self.wired.remembering.close()))
        self.assertEqual(self.store.calls, ["close"])


class KnownTests(DiscoveryTestCase):
    """What is known, and forgetting it."""

    def setUp(self) -> None:
        """Learn where ex.com and n.com are, and forget the questions."""
        super().setUp()
        self.resolver.zone = {
            (f"{FED}.{OTHER}", dns.SRV): [service(FED, "T.net", 60)],
            ("t.net", dns.A): [ipv4("t.net", "192.0.2.1", 60)],
        }
        for host, outcome in ((HOST, Delegation(ServerName("M.ex.com"))), ("n.com", ITSELF)):
            asking = self.who(host)
            self.fetches.end(host, outcome)
            effective = self.successResultOf(asking).effective
            (target,) = self.successResultOf(self.where(str(effective)))
            hosts = Deferred.fromCoroutine(self.wired.hosts.addresses(ServerName(target.rpartition(":")[0])))
            hosts.addErrback(lambda failure: failure.trap(ResolutionFailed))

    def known(self, hosts: set[str] | None = None) -> list[tuple[str, str]]:
        """List what is known, by kind and name."""
        return sorted((one.kind, one.name) for one in self.wired.remembering.known(hosts))

    def test_everything_is_listed(self) -> None:
        """Each kind of knowledge of each name."""
        self.assertEqual(self.known(), sorted(OF_N + OF_EX))

    def test_what_concerns_a_server_is_listed(self) -> None:
        """Its host, the name it delegates to, and the targets of their SRV records."""
        found = [self.known(self.discovery.hosts_of(ServerName(name))) for name in ("EX.com", "n.com:8448")]
        self.assertEqual(found, [OF_EX, OF_N])

    def test_a_server_is_forgotten(self) -> None:
        """All that concerns it is, and nothing else."""
        self.wired.remembering.forget(self.discovery.hosts_of(ServerName("EX.com")))
        self.assertEqual(self.known(), OF_N)

    def test_everything_is_forgotten(self) -> None:
        """Nothing stays."""
        self.wired.remembering.forget(None)
        self.assertEqual(self.known(), [])

    def test_what_is_known_has_its_times(self) -> None:
        """An operator sees what was found, when, for how long, and how often it failed."""
        self.clock.advance(10)
        found = {one.name: one for one in self.wired.remembering.known({"n.com"})}["n.com"]
        numbers = found.kind, found.age, found.expires_in, found.next_try_in, found.failures
        self.assertEqual((found.found, numbers), ("no delegation: status 404", ("well_known", 10, 3590, 50, 1)))

    def test_what_is_known_is_one_line(self) -> None:
        """Its text has all of that."""
        (found,) = [one for one in self.wired.remembering.known({"n.com"}) if one.kind == "well_known"]
        text = "well_known n.com: no delegation: status 404 (0 s old, expires in 3600 s, next try in 60 s, 1 failures)"
        self.assertEqual(str(found), text)
