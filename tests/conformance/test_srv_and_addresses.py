"""
CONFORMANCE 5: SRV records and addresses, over the wire.
"""

from __future__ import annotations

from twisted.internet import error, reactor
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.names import dns

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy
from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent.errors import (
    CertificateRejected,
    ConnectionFailed,
    ResolutionFailed,
    ServiceUnavailable,
    TimedOut,
)
from matrix_federation_agent.testing import VirtualServer
from tests.conformance.case import FederationCase

FED = "_matrix-fed._tcp.ex.com"
OLD = "_matrix._tcp.ex.com"
SHORT = DiscoveryPolicy(dns_timeout=0.3)
HASTY = ConnectionPolicy(tcp_timeout=0.5, tls_timeout=0.5)


class ServiceCase(FederationCase):
    """
    A federation in which C{ex.com} has SRV records.
    """

    def setUp(self) -> None:
        """
        Give the name an address, at which nothing listens.
        """
        super().setUp()
        self.dns.add_address("ex.com", "192.0.2.1")

    def target(self, number: int, *, priority: int = 0, owner: str = FED, identity: str | None = None) -> VirtualServer:
        """
        Add an SRV record to a server with an address of its own.

        @param identity: what it proves, or L{None} when nothing listens there.
        """
        host, address = f"t{number}.net", f"192.0.2.{10 + number}"
        self.dns.add_address(host, address)
        self.dns.add_service(owner, host, 8443, priority=priority)
        if identity is None:
            return VirtualServer("ex.com", address, 8443, "ex.com", "ex.com")
        return self.federation.serve_homeserver(identity, address, 8443)

    @property
    def tried(self) -> list[str]:
        """
        The addresses that were dialled for the server itself.
        """
        return [address for address, port in self.federation.dialled if port != 443]


class ServiceTests(ServiceCase):
    """
    Which records decide.
    """

    async def test_D1_no_such_name(self) -> None:
        """
        When neither SRV name exists, both are asked for in order, and port 8448 is dialled.
        """
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        await self.get("ex.com")
        self.assertEqual((self.services, self.tried), ([FED, OLD], ["192.0.2.1"]))

    async def test_D1_no_data(self) -> None:
        """
        A name that exists without SRV records is as good as none.
        """
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        self.dns.add_address(f"below.{FED}", "192.0.2.9")
        self.assertEqual(self.dns.reply(FED, dns.SRV).rcode, dns.OK)  # type: ignore[union-attr]
        await self.get("ex.com")
        self.assertEqual((self.services, self.tried), ([FED, OLD], ["192.0.2.1"]))

    async def test_D1_the_absence_is_remembered(self) -> None:
        """
        A second connection does not ask again for what is not there.
        """
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        agent = self.federation.agent(connections=ConnectionPolicy(idle_connections=0))
        await self.get("ex.com", agent)
        await self.get("ex.com", agent)
        self.assertEqual((self.services, self.tried), ([FED, OLD], ["192.0.2.1", "192.0.2.1"]))

    async def test_D2_nothing_answers(self) -> None:
        """
        Where the record exists, neither the deprecated one nor port 8448 is tried.
        """
        dead = self.target(0)
        self.target(1, owner=OLD, identity="ex.com")
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        error = await self.fails(self.get("ex.com"), ConnectionFailed)
        targets = [attempt.target for attempt in error.attempts]
        self.assertEqual((targets, self.services, self.tried), (["t0.net:8443"], [FED], [dead.address]))

    async def test_D2_the_target_has_no_address(self) -> None:
        """
        Neither are they when the target does not exist.
        """
        self.dns.add_service(FED, "nowhere.net", 8443)
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        error = await self.fails(self.get("ex.com"), ResolutionFailed)
        self.assertEqual((error.name, error.temporary, self.tried), ("nowhere.net", False, []))

    async def test_D2_no_usable_target(self) -> None:
        """
        Neither are they when no record names a host.
        """
        self.dns.add_service(FED, "192.0.2.9", 8443)
        self.dns.add_service(FED, "port-zero.net", 0)
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        error = await self.fails(self.get("ex.com"), ResolutionFailed)
        self.assertEqual((error.name, self.services, self.tried), (FED, [FED], []))

    async def test_D3_priorities(self) -> None:
        """
        All targets of a lower priority value are tried before any of a higher.
        """
        for number, priority in enumerate([20, 10, 10, 20, 5]):
            self.target(number, priority=priority)
        error = await self.fails(self.get("ex.com"), ConnectionFailed)
        order = [attempt.target.partition(".")[0] for attempt in error.attempts]
        self.assertEqual([order[0], set(order[1:3]), set(order[3:])], ["t4", {"t1", "t2"}, {"t0", "t3"}])

    async def test_an_alias_of_the_service(self) -> None:
        """
        A CNAME in the place of an SRV record leads to the records.
        """
        self.dns.add_alias(FED, "srv.elsewhere.net")
        server = self.target(0, owner="srv.elsewhere.net", identity="ex.com")
        await self.get("ex.com")
        self.assertEqual([request.host for request in server.requests], ["ex.com"])


class HandmadeNameServer(DatagramProtocol):
    """
    Answers SRV queries with handmade bytes, and every other with "no such name".
    """

    ROOT = b"\xc0\x0c" + b"\x00\x21" + b"\x00\x01" + b"\x00\x00\x00\x3c" + b"\x00\x07" + b"\x00" * 7
    """
    The name of the question, SRV, IN, 60 seconds, 7 bytes: priority 0, weight 0, port 0, the root.
    """

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """
        Copy the question, and answer it.
        """
        question = datagram[12:]
        found = question.endswith(b"\x00\x21\x00\x01")
        flags, counts = (b"\x84\x00", b"\x00\x01\x00\x01") if found else (b"\x84\x03", b"\x00\x01\x00\x00")
        answer = datagram[:2] + flags + counts + b"\x00" * 4 + question + (self.ROOT if found else b"")
        assert self.transport is not None
        self.transport.write(answer, addr)


class UnavailableTests(ServiceCase):
    """
    D8: the root as a target.
    """

    async def test_D8_the_bytes_on_the_wire(self) -> None:
        """
        A record whose target is the one zero byte of the root means no.
        """
        server = HandmadeNameServer()
        port = reactor.listenUDP(0, server, "127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        agent = self.federation.agent(resolver=NameServerResolver(reactor, [("127.0.0.1", port.getHost().port)]))
        await self.fails(self.get("ex.com", agent), ServiceUnavailable)
        self.assertEqual(self.tried, [])

    async def test_D8_root_target(self) -> None:
        """
        A single record that points at the root is a decided no: nothing is dialled.
        """
        self.dns.add_service(FED, ".", 8443)
        self.target(1, owner=OLD, identity="ex.com")
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        error = await self.fails(self.get("ex.com"), ServiceUnavailable)
        self.assertEqual((error.server_name, error.phase, self.tried), ("ex.com", "dns", []))

    async def test_D8_root_target_of_the_deprecated_service(self) -> None:
        """
        So is one of the deprecated service.
        """
        self.dns.add_service(OLD, ".", 0)
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        await self.fails(self.get("ex.com"), ServiceUnavailable)
        self.assertEqual(self.tried, [])

    async def test_D8_root_beside_another(self) -> None:
        """
        Beside a usable target the root is just an unusable one.
        """
        self.dns.add_service(FED, ".", 8443)
        server = self.target(0, identity="ex.com", priority=7)
        await self.get("ex.com")
        self.assertEqual(self.tried, [server.address])


class FailingNameServerTests(ServiceCase):
    """
    D7: SRV records that cannot be known.
    """

    async def resolution_fails(self) -> ResolutionFailed:
        """
        Send a request that must not guess port 8448.
        """
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        agent = self.federation.agent(discovery=SHORT)
        error = await self.fails(self.get("ex.com", agent), ResolutionFailed)
        self.assertEqual((error.server_name, error.name, self.tried), ("ex.com", FED, []))
        return error

    async def test_D7_failures(self) -> None:
        """
        Each answer that says nothing is a temporary failure.
        """
        for rcode in (dns.ESERVER, dns.EREFUSED, dns.EFORMAT, dns.ENOTIMP):
            self.dns.fail(FED, rcode)
            error = await self.fails(self.get("ex.com"), ResolutionFailed)
            self.assertEqual((error.name, error.temporary, self.tried), (FED, True, []), str(rcode))

    async def test_D7_silence(self) -> None:
        """
        So is a name server that does not answer inside the limit.
        """
        self.dns.silence(FED)
        self.assertTrue((await self.resolution_fails()).temporary)

    async def test_D7_failure_of_the_deprecated_service(self) -> None:
        """
        So is a failure for the deprecated service where the current one is absent.
        """
        self.dns.fail(OLD)
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        error = await self.fails(self.get("ex.com"), ResolutionFailed)
        self.assertEqual((error.name, error.temporary, self.tried), (OLD, True, []))

    async def test_D7_a_failure_is_remembered_briefly(self) -> None:
        """
        A short while after the name server answers again, so does the server.
        """
        server = self.target(0, identity="ex.com")
        agent = self.federation.agent(discovery=DiscoveryPolicy(dns_failure_lifetime=0.05))
        self.dns.fail(FED)
        await self.fails(self.get("ex.com", agent), ResolutionFailed)
        self.dns.recover(FED)
        await deferLater(reactor, 0.1, lambda: None)
        await self.get("ex.com", agent)
        self.assertEqual(len(server.requests), 1)

    async def test_D7_guessing_may_be_allowed(self) -> None:
        """
        A policy field allows to guess port 8448.
        """
        self.dns.fail(FED)
        self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        await self.get("ex.com", self.federation.agent(discovery=DiscoveryPolicy(guess_default_port=True)))
        self.assertEqual(self.tried, ["192.0.2.1"])


class OnionTests(FederationCase):
    """
    D9: names that are not in DNS.
    """

    async def test_D9_no_query_at_all(self) -> None:
        """
        No query of any kind leaves for a .onion name, in whatever case, with or without a port.
        """
        for name in ("abc.onion", "ABC.Onion", "abc.onion:8448", "sub.abc.onion"):
            error = await self.fails(self.get(name), ResolutionFailed)
            self.assertFalse(error.temporary)
        self.assertEqual((self.dns.queries, self.federation.dialled), ([], []))

    async def test_D9_delegated_and_srv_targets(self) -> None:
        """
        Neither does one when the name comes out of a delegation or an SRV record.
        """
        self.federation.serve_well_known("a.example", {"m.server": "abc.onion"})
        self.dns.add_address("b.example", "192.0.2.1")
        self.dns.add_service("_matrix-fed._tcp.b.example", "abc.onion", 8448)
        for name in ("a.example", "b.example"):
            await self.fails(self.get(name), ResolutionFailed)
        self.assertEqual([name for name, _ in self.dns.queries if name.endswith("onion")], [])

    async def test_D9_resolve(self) -> None:
        """
        Nor when the route is only explained.
        """
        await self.federation.agent().resolve("abc.onion")
        self.assertEqual(self.dns.queries, [])


class FailoverTests(ServiceCase):
    """
    D10: the second target when the first is no good.
    """

    def setUp(self) -> None:
        """
        Let the second target be good.
        """
        super().setUp()
        self.good = self.target(2, priority=2, identity="ex.com")
        self.hasty = self.federation.agent(connections=HASTY)

    async def test_D10_refused(self) -> None:
        """
        A target that refuses TCP leads to the next.
        """
        self.target(1, priority=1)
        await self.get("ex.com", self.hasty)
        self.assertEqual(len(self.good.requests), 1)

    async def test_D10_black_hole(self) -> None:
        """
        A target that swallows packets leads to the next.
        """
        self.federation.black_hole(self.target(1, priority=1).address, 8443)
        await self.get("ex.com", self.hasty)
        self.assertEqual(len(self.good.requests), 1)

    async def test_D10_bad_certificate(self) -> None:
        """
        A target with a bad certificate leads to the next, and sees no request.
        """
        bad = self.target(1, priority=1, identity="other.example")
        await self.get("ex.com", self.hasty)
        self.assertEqual((bad.connections, len(bad.requests), len(self.good.requests)), (1, 0, 1))

    async def test_D10_no_address(self) -> None:
        """
        A target that does not exist leads to the next.
        """
        self.target(1, priority=1)
        self.dns.remove("t1.net")
        await self.get("ex.com", self.hasty)
        self.assertEqual(len(self.good.requests), 1)

    async def test_D10_denied_address(self) -> None:
        """
        A target at a forbidden address leads to the next, and is not dialled.
        """
        self.dns.add_address("inner.net", "10.0.0.1")
        self.dns.add_service(FED, "inner.net", 8443, priority=1)
        await self.get("ex.com", self.hasty)
        self.assertEqual(self.tried, [self.good.address])

    async def test_D10_all_attempts_are_told(self) -> None:
        """
        When none works the error has every attempt, in order, with its own reason.
        """
        await self.federation.close(self.good.address, 8443)
        self.target(1, priority=1, identity="other.example")
        self.federation.black_hole(self.target(3, priority=3).address, 8443)
        error = await self.fails(self.get("ex.com", self.hasty), ConnectionFailed)
        told = [(attempt.target, attempt.address, type(attempt.error)) for attempt in error.attempts]
        expected = [
            ("t1.net:8443", "192.0.2.11", CertificateRejected),
            ("t2.net:8443", "192.0.2.12", ConnectionFailed),
            ("t3.net:8443", "192.0.2.13", TimedOut),
        ]
        self.assertEqual(told, expected)

    async def test_D10_the_cause_is_kept(self) -> None:
        """
        Each reason is chained to Twisted's own.
        """
        await self.federation.close(self.good.address, 8443)
        failed = await self.fails(self.get("ex.com", self.hasty), ConnectionFailed)
        self.assertIsInstance(failed.attempts[0].error.__cause__, error.ConnectionRefusedError)


class AddressesTests(ServiceCase):
    """
    Several addresses of one target.
    """

    async def test_the_next_address(self) -> None:
        """
        An address that refuses leads to the next of the same name.
        """
        self.dns.add_address("ex.com", "192.0.2.2")
        server = self.federation.serve_homeserver("ex.com", "192.0.2.2", 8448)
        await self.get("ex.com")
        self.assertEqual((self.tried, len(server.requests)), (["192.0.2.1", "192.0.2.2"], 1))

    async def test_D11_families_are_interleaved(self) -> None:
        """
        IPv6 and IPv4 take turns, IPv6 first.
        """
        for address in ("192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8::3"):
            self.dns.add_address("ex.com", address)
        await self.fails(self.get("ex.com"), ConnectionFailed)
        order = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]
        self.assertEqual(self.tried, order)

    async def test_D11_one_family_is_dead(self) -> None:
        """
        A dead IPv6 address does not keep the IPv4 one from being used.
        """
        self.dns.add_address("ex.com", "2001:db8::1")
        self.federation.black_hole("2001:db8::1", 8448)
        server = self.federation.serve_homeserver("ex.com", "192.0.2.1", 8448)
        await self.get("ex.com", self.federation.agent(connections=HASTY))
        self.assertEqual(len(server.requests), 1)

    async def test_an_alias_of_the_host(self) -> None:
        """
        A CNAME leads to the addresses.
        """
        self.dns.add_alias("www.example", "ex.com")
        self.federation.serve_homeserver("www.example", "192.0.2.1", 8448)
        self.assertEqual((await self.get("www.example")).code, 200)

    async def test_many_addresses(self) -> None:
        """
        An answer too long for a datagram is asked for again by TCP, and no more than ten addresses are tried.
        """
        for number in range(2, 60):
            self.dns.add_address("ex.com", f"192.0.2.{number}")
        error = await self.fails(self.get("ex.com"), ConnectionFailed)
        self.assertEqual([attempt.address for attempt in error.attempts], [f"192.0.2.{n}" for n in range(1, 11)])

    async def test_D12_silent_handshake(self) -> None:
        """
        A target that accepts TCP and never answers the handshake leads to the next after the limit.
        """
        silent = self.target(1, priority=1)
        accepted = self.federation.listen_tcp(silent.address, 8443, Factory.forProtocol(Protocol))
        good = self.target(2, priority=2, identity="ex.com")
        await self.get("ex.com", self.federation.agent(connections=HASTY))
        self.assertEqual((accepted.accepted, len(good.requests)), (1, 1))
