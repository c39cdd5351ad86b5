"""
Tests of C{matrix_federation_agent._discovery.resolution}.
"""

from __future__ import annotations

from random import Random
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns

from matrix_federation_agent import DiscoveryPolicy, ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.resolution import Discovery
from matrix_federation_agent._discovery.srv import ServiceLookup
from matrix_federation_agent._discovery.well_known import WellKnownLookup
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._route import Step
from matrix_federation_agent.errors import FederationError, ResolutionFailed, ServiceUnavailable
from tests.case import TestCase
from tests.discovery.fakes import FakeResolver

FED = "SRV _matrix-fed._tcp."
OLD = "SRV _matrix._tcp."


class FakeWellKnown:
    """
    Knows who delegates to whom.
    """

    def __init__(self) -> None:
        self.delegations: dict[str, str] = {}
        self.asked: list[str] = []
        self.forgotten: list[str | None] = []

    async def delegation(self, name: ServerName) -> Delegation | NoDelegation:
        """
        Tell.
        """
        self.asked.append(str(name))
        return self.remembered(name)

    def remembered(self, name: ServerName) -> Delegation | NoDelegation:
        """
        Tell.
        """
        to = self.delegations.get(str(name))
        return NoDelegation("status 404", temporary=False) if to is None else Delegation(ServerName.parse(to))

    def forget(self, host: str | None) -> None:
        """
        Keep who was to be forgotten.
        """
        self.forgotten.append(host)


class DiscoveryCase(TestCase):
    """
    A discovery without a network.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.well_known = FakeWellKnown()
        self.resolver = FakeResolver()
        self.resolver.negative_ttl = 100
        self.discovery = self.make(DiscoveryPolicy())

    def make(self, policy: DiscoveryPolicy) -> Discovery:
        """
        Make a discovery.
        """
        services = ServiceLookup(Clock(), self.resolver, policy)
        return Discovery(cast("WellKnownLookup", self.well_known), services, policy, Random(1))

    def who(self, name: str) -> Identity:
        """
        Ask who must answer.
        """
        return self.successResultOf(Deferred.fromCoroutine(self.discovery.who(ServerName.parse(name))))

    def service(self, query: str, *targets: tuple[int, str, int]) -> None:
        """
        Let there be SRV records: priority, host, port.
        """
        records = [dns.Record_SRV(priority, 0, port, host.encode("ascii")) for priority, host, port in targets]
        self.resolver.know(query, *records)

    def where(self, name: str) -> tuple[list[str], str]:
        """
        Ask where a server listens.

        @return: the targets, and the number of the step that decided.
        """
        steps: list[Step] = []
        asking = Deferred.fromCoroutine(self.discovery.where(self.who(name), steps))
        return [str(target) for target in self.successResultOf(asking)], steps[-1].number

    def fails(self, name: str) -> tuple[FederationError, list[Step]]:
        """
        Ask where a server listens, when that cannot be known.
        """
        steps: list[Step] = []
        failure = self.failureResultOf(Deferred.fromCoroutine(self.discovery.where(self.who(name), steps)))
        assert isinstance(failure.value, FederationError)
        return failure.value, steps


class WhoTests(DiscoveryCase):
    """
    L{Discovery.who}.
    """

    def test_fixed_names(self) -> None:
        """
        A name that fixes its target answers for itself, and nobody is asked.
        """
        names = ("1.2.3.4", "1.2.3.4:1", "[::1]", "[::1]:80", "ex.com:8448", "ex.com:80")
        self.assertEqual([str(self.who(name).effective) for name in names], list(names))
        self.assertEqual(self.well_known.asked, [])

    def test_delegation(self) -> None:
        """
        A delegated name answers, and the asked one is kept.
        """
        self.well_known.delegations["ex.com"] = "m.ex.com:1"
        found = self.who("ex.com")
        self.assertEqual((found.asked, str(found.effective), found.delegated), ("ex.com", "m.ex.com:1", True))

    def test_no_delegation(self) -> None:
        """
        Otherwise the name answers for itself, and the step says what was found.
        """
        found = self.who("ex.com")
        assert found.step is not None
        self.assertEqual((str(found.effective), found.delegated, found.step.number), ("ex.com", False, "3"))

    def test_one_delegation_only(self) -> None:
        """
        The delegated name's own document is not asked for.
        """
        self.well_known.delegations.update({"ex.com": "m.ex.com", "m.ex.com": "n.ex.com"})
        self.assertEqual(str(self.who("ex.com").effective), "m.ex.com")
        self.assertEqual(self.well_known.asked, ["ex.com"])


class WhereTests(DiscoveryCase):
    """
    L{Discovery.where}.
    """

    def test_every_step(self) -> None:
        """
        Each of the ten cases leads to its target.
        """
        delegations = {1: "42.42.42.42", 2: "m.ex.com:4242", 3: "m3.ex.com", 4: "m4.ex.com", 5: "m5.ex.com"}
        self.well_known.delegations.update({f"d{number}.com": to for number, to in delegations.items()})
        self.service(FED + "m3.ex.com", (0, "t.net", 1))
        self.service(OLD + "m3.ex.com", (0, "wrong.net", 1))
        self.service(OLD + "m4.ex.com", (0, "t.net", 2))
        self.service(FED + "s4.com", (0, "t.net", 3))
        self.service(OLD + "s5.com", (0, "t.net", 4))
        expected = {
            "[2001:db8::1]": (["[2001:db8::1]:8448"], "1"),
            "1.2.3.4:5": (["1.2.3.4:5"], "1"),
            "ex.com:80": (["ex.com:80"], "2"),
            "d1.com": (["42.42.42.42:8448"], "3.1"),
            "d2.com": (["m.ex.com:4242"], "3.2"),
            "d3.com": (["t.net:1"], "3.3"),
            "d4.com": (["t.net:2"], "3.4"),
            "d5.com": (["m5.ex.com:8448"], "3.5"),
            "s4.com": (["t.net:3"], "4"),
            "s5.com": (["t.net:4"], "5"),
            "s6.com": (["s6.com:8448"], "6"),
        }
        self.assertEqual({name: self.where(name) for name in expected}, expected)

    def test_order(self) -> None:
        """
        Targets come by priority.
        """
        self.service(FED + "ex.com", (30, "c.net", 1), (10, "a.net", 1), (20, "b.net", 1))
        self.assertEqual(self.where("ex.com")[0], ["a.net:1", "b.net:1", "c.net:1"])

    def test_the_deprecated_service_is_not_asked_for_in_vain(self) -> None:
        """
        Once there are records, nothing else is asked for.
        """
        self.service(FED + "ex.com", (0, "t.net", 1))
        self.where("ex.com")
        self.assertEqual(self.resolver.asked, [FED + "ex.com"])

    def test_D8_root(self) -> None:
        """
        The root as the only target is a decided no, which names whom the caller asked for.
        """
        self.well_known.delegations["ex.com"] = "m.ex.com"
        self.service(FED + "m.ex.com", (0, "", 0))
        error, steps = self.fails("ex.com")
        self.assertEqual((type(error), error.server_name, steps[-1].number), (ServiceUnavailable, "ex.com", "3.3"))

    def test_no_usable_target(self) -> None:
        """
        Records of which none can be used end the search.
        """
        self.service(FED + "ex.com", (0, "", 0), (0, "1.2.3.4", 1), (0, "a_b.net", 1), (0, "zero.net", 0))
        error, _ = self.fails("ex.com")
        assert isinstance(error, ResolutionFailed)
        self.assertEqual((error.name, error.temporary), ("_matrix-fed._tcp.ex.com", False))

    def test_D7_a_failing_lookup(self) -> None:
        """
        A failing lookup ends the search, is temporary, names whom the caller asked for, and is noted as a step.
        """
        self.resolver.fail(FED + "ex.com")
        error, steps = self.fails("ex.com")
        assert isinstance(error, ResolutionFailed)
        told = (error.server_name, error.temporary, [step.number for step in steps], self.resolver.asked)
        self.assertEqual(told, ("ex.com", True, ["4"], [FED + "ex.com"]))
        self.assertIsInstance(error.__cause__, ResolutionFailed)

    def test_D7_guessing(self) -> None:
        """
        Where the policy allows it, port 8448 is guessed, without asking for the deprecated service.
        """
        self.discovery = self.make(DiscoveryPolicy(guess_default_port=True))
        self.resolver.fail(FED + "ex.com")
        self.assertEqual(self.where("ex.com"), (["ex.com:8448"], "6"))
        self.assertEqual(self.resolver.asked, [FED + "ex.com"])

    def test_steps(self) -> None:
        """
        Every step on the way is noted, in order.
        """
        steps: list[Step] = []
        self.successResultOf(Deferred.fromCoroutine(self.discovery.where(self.who("ex.com"), steps)))
        self.assertEqual([step.number for step in steps], ["4", "5", "6"])


class ForgettingTests(DiscoveryCase):
    """
    L{Discovery.forget}.
    """

    def test_one(self) -> None:
        """
        Of one server the document is forgotten, and the SRV records of the name that it delegates to.
        """
        self.well_known.delegations["ex.com"] = "m.ex.com"
        for _ in range(2):
            self.where("ex.com")
            self.where("other.com")
        self.resolver.asked.clear()
        self.discovery.forget(ServerName.parse("ex.com"))
        self.where("ex.com")
        self.where("other.com")
        self.assertEqual(self.resolver.asked, [FED + "m.ex.com", OLD + "m.ex.com"])
        self.assertEqual(self.well_known.forgotten, ["ex.com"])

    def test_all(self) -> None:
        """
        Everything can be forgotten.
        """
        self.where("ex.com")
        self.discovery.forget(None)
        self.where("ex.com")
        self.assertEqual(self.resolver.asked, [FED + "ex.com", OLD + "ex.com"] * 2)
        self.assertEqual(self.well_known.forgotten, [None])

    def test_a_delegate_that_was_forgotten_before(self) -> None:
        """
        The SRV records of the name itself are forgotten as well: it may have delegated only since.
        """
        self.where("ex.com")
        self.well_known.delegations["ex.com"] = "m.ex.com"
        self.discovery.forget(ServerName.parse("ex.com"))
        self.well_known.delegations.clear()
        self.resolver.asked.clear()
        self.where("ex.com")
        self.assertEqual(self.resolver.asked, [FED + "ex.com", OLD + "ex.com"])
