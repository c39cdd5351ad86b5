"""
CONFORMANCE 5: attempts that race each other, over the wire.

No limit of an attempt ends in these tests before they do: what is dead costs a stagger, or they fail.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy, MatrixFederationAgent
from matrix_federation_agent.errors import TimedOut
from matrix_federation_agent.testing import VirtualServer
from tests.conformance.case import FederationCase, until

SERVICE = "_matrix-fed._tcp.ex.com"
PATIENT: dict[str, Any] = {
    "tcp_timeout": 60,
    "tls_timeout": 60,
    "connect_timeout": 60,
    "attempt_delay": 0.05,
    "idle_connections": 0,
}


class Silent(Protocol):
    """
    Never answers.
    """

    factory: SilentServer

    def connectionMade(self) -> None:
        """
        Note it.
        """
        self.factory.connected += 1

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.factory.connected -= 1
        self.factory.lost += 1


class SilentServer(Factory):
    """
    Accepts TCP and never answers the handshake.

    @ivar connected: how many connections are open.
    @ivar lost: how many were.
    """

    noisy = False
    protocol = Silent  # type: ignore[assignment]
    connected = 0
    lost = 0


class SilentIPv6:
    """
    A resolver that never answers for IPv6 addresses.
    """

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver

    def lookupIPV6Address(self, name: object, timeout: object = None) -> Deferred[object]:
        """
        Never answer.
        """
        return Deferred()

    def __getattr__(self, name: str) -> object:
        """
        Do all else as the resolver does.
        """
        return getattr(self._resolver, name)


class RaceCase(FederationCase):
    """
    A federation in which C{ex.com} has several targets, of which the last is good.
    """

    def setUp(self) -> None:
        """
        Have an agent without other limits.
        """
        super().setUp()
        self.patient = self.agent()

    def agent(self, **settings: Any) -> MatrixFederationAgent:
        """
        Make one that waits for a minute, but begins attempts in haste.
        """
        policy = ConnectionPolicy(**{**PATIENT, **settings})
        return self.federation.agent(connections=policy, discovery=DiscoveryPolicy(dns_timeout=60))

    def target(self, number: int, identity: str | None = None) -> str:
        """
        Add an SRV record to a server with an address of its own.

        @param identity: what it proves; without it nothing listens.
        @return: its address.
        """
        address = f"192.0.2.{number}"
        self.dns.add_address(f"t{number}.net", address)
        self.dns.add_service(SERVICE, f"t{number}.net", 8443, priority=number)
        if identity is not None:
            self.good = self.federation.serve_homeserver(identity, address, 8443)
        return address

    def silent(self, number: int) -> SilentServer:
        """
        Add a target that never answers the handshake.
        """
        server = SilentServer()
        self.federation.listen_tcp(self.target(number), 8443, server)
        return server

    @property
    def tried(self) -> list[str]:
        """
        The addresses that were dialled for the server itself.
        """
        return [address for address, port in self.federation.dialled if port != 443]


class StaggerTests(RaceCase):
    """
    What is dead costs a stagger.
    """

    async def test_D10_black_holes(self) -> None:
        """
        Targets that swallow packets do not hold up the one that works.
        """
        for number in (1, 2, 3):
            self.federation.black_hole(self.target(number), 8443)
        self.target(4, "ex.com")
        await self.get("ex.com", self.patient)
        self.assertEqual(self.tried, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"])

    async def test_D12_silent_handshakes(self) -> None:
        """
        Nor do targets that never answer the handshake; they are dropped at once.
        """
        silent = [self.silent(number) for number in (1, 2)]
        self.target(3, "ex.com")
        await self.get("ex.com", self.patient)
        await until(lambda: [(one.connected, one.lost) for one in silent] == [(0, 1)] * 2)
        self.assertEqual(len(self.good.requests), 1)

    async def test_D10_a_silent_name_server(self) -> None:
        """
        Nor does a target whose DNS never answers.
        """
        self.target(1)
        self.dns.silence("t1.net")
        self.target(2, "ex.com")
        await self.get("ex.com", self.patient)
        self.assertEqual(self.tried, ["192.0.2.2"])

    async def test_D10_a_bad_certificate(self) -> None:
        """
        A certificate that is refused does not end the attempts beside it.
        """
        self.federation.black_hole(self.target(1), 8443)
        self.target(2, "other.example")
        self.target(3, "ex.com")
        await self.get("ex.com", self.patient)
        self.assertEqual(self.tried, ["192.0.2.1", "192.0.2.2", "192.0.2.3"])

    async def test_D10_all_attempts_are_told(self) -> None:
        """
        At the deadline the error has every attempt, in the order of their beginning, and what it waited for.
        """
        silent = self.silent(1)
        self.federation.black_hole(self.target(2), 8443)
        self.target(3)
        self.dns.silence("t3.net")
        self.target(4)
        error = await self.fails(self.get("ex.com", self.agent(connect_timeout=0.5)), TimedOut)
        told = [(one.target[:2], one.address, one.phase) for one in error.attempts]
        expected = [("t1", "192.0.2.1", "tls"), ("t2", "192.0.2.2", "tcp"), ("t3", None, "dns")]
        self.assertEqual(told, [*expected, ("t4", "192.0.2.4", "tcp")])
        await until(lambda: silent.lost == 1)


class FamilyTests(RaceCase):
    """
    IPv6 and IPv4 beside each other.
    """

    def serve(self, address: str) -> VirtualServer:  # type: ignore[override]
        """
        Have a server of two families, alive at one address only.
        """
        for one in ("2001:db8::1", "192.0.2.1"):
            self.dns.add_address("ex.com", one)
            if one != address:
                self.federation.black_hole(one, 8448)
        return self.federation.serve_homeserver("ex.com", address, 8448)

    async def test_D11_ipv6_is_dead(self) -> None:
        """
        IPv4 is used after a stagger.
        """
        self.serve("192.0.2.1")
        await self.get("ex.com", self.patient)
        self.assertEqual(self.tried, ["2001:db8::1", "192.0.2.1"])

    async def test_D11_ipv4_is_dead(self) -> None:
        """
        IPv6 is used, and IPv4 not tried.
        """
        self.serve("2001:db8::1")
        await self.get("ex.com", self.patient)
        self.assertEqual(self.tried, ["2001:db8::1"])

    async def test_D11_ipv6_is_not_known(self) -> None:
        """
        A name server that never answers for IPv6 costs the resolution delay.
        """
        self.dns.add_address("ex.com", "192.0.2.1")
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        agent = self.federation.agent(
            connections=ConnectionPolicy(**PATIENT),
            discovery=DiscoveryPolicy(dns_timeout=60, well_known_timeout=0.3),
            resolver=SilentIPv6(self.federation.resolver()),
        )
        await self.get("ex.com", agent)
        self.assertEqual(self.tried, ["192.0.2.1"])

    async def test_D11_next_time(self) -> None:
        """
        The address that answered is dialled first by the next connection, and the dead one not at all.
        """
        server = self.serve("192.0.2.1")
        for _ in range(3):
            await self.get("ex.com", self.patient)
        self.assertEqual((self.tried[2:], len(server.requests)), (["192.0.2.1", "192.0.2.1"], 3))

    async def test_D11_what_is_looked_at_is_not_remembered(self) -> None:
        """
        An inspection does not change what is tried first, nor is it changed.
        """
        self.serve("192.0.2.1")
        await self.get("ex.com", self.patient)
        agent = self.agent(tcp_timeout=0.2)
        await agent.check("ex.com")
        del self.federation.dialled[:]
        for one in (agent, self.patient):
            await self.get("ex.com", one)
        self.assertEqual(self.tried, ["2001:db8::1", "192.0.2.1", "192.0.2.1"])


class CancellingTests(RaceCase):
    """
    Who cancels frees everything at once.
    """

    async def test_in_the_middle(self) -> None:
        """
        Whatever an attempt waits for, its socket is closed and its timer gone.
        """
        silent = [self.silent(number) for number in (1, 2)]
        self.federation.black_hole(self.target(3), 8443)
        self.target(4)
        self.dns.silence("t4.net")
        before = self.limits()
        asking = self.ask("ex.com", self.patient)
        await until(lambda: [one.connected for one in silent] == [1, 1] and ("t4.net", "A") in self.dns.queries)
        asking.cancel()
        self.assertEqual(self.limits(), before)
        await self.assertFailure(asking, CancelledError)
        await until(lambda: [one.lost for one in silent] == [1, 1])

    def limits(self) -> list[str]:
        """
        List what will be called in a while; all limits of these tests are long.
        """
        calls: Any = reactor.getDelayedCalls()
        late = reactor.seconds() + 30
        return sorted(str(one.func) for one in calls if one.getTime() > late)
