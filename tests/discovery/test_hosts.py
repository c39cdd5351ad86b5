"""
Tests of C{matrix_federation_agent._discovery.hosts}, with memories of their
own over a fake resolver.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSQueryRefusedError, DNSServerError
from zope.interface import implementer
from zope.interface.verify import verifyObject

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.answers import MAXIMUM_RECORDS
from matrix_federation_agent._discovery.delegation import NoDelegation
from matrix_federation_agent._discovery.hosts import HostLookup
from matrix_federation_agent.errors import ResolutionFailed

from ..case import TestCase
from .kit import Behaviour, FakeResolver, Nothing, Wired, ipv4, ipv6, let_go

HOST = "ex.com"
SIX, FOUR = [ipv6(HOST, "2001:db8::1", 60)], [ipv4(HOST, "192.0.2.1", 60)]
NONE = Nothing(900)
FAILED = DNSServerError()

# Row of CONFORMANCE 5, what DNS says of AAAA and of A, and the addresses.
FOUND: list[tuple[str, Behaviour, Behaviour, list[str]]] = [
    ("D11", SIX, FOUR, ["2001:db8::1", "192.0.2.1"]),
    ("D11", SIX, NONE, ["2001:db8::1"]),
    ("D11", NONE, FOUR, ["192.0.2.1"]),
    ("D11", FAILED, FOUR, ["192.0.2.1"]),
    ("D11", SIX, DNSQueryRefusedError(), ["2001:db8::1"]),
    ("D11", None, FOUR, ["192.0.2.1"]),
    ("D11", SIX, None, ["2001:db8::1"]),
    ("D11", NONE, [*FOUR, ipv4(HOST, "192.0.2.2", 60), *FOUR], ["192.0.2.1", "192.0.2.2"]),
]

# Row, AAAA, A, and whether asking again may help.
NOT_FOUND: list[tuple[str, Behaviour, Behaviour, bool]] = [
    ("D1", NONE, NONE, False),
    ("D7", FAILED, FAILED, True),
    ("D7", FAILED, NONE, True),
    ("D7", NONE, None, True),
    ("D7", None, None, True),
]

HOSTS_FILE = """
# 192.0.2.99 local.com
192.0.2.10 local.com other.com # a comment
2001:db8::10\tLocal.COM
192.0.2.10 local.com
nonsense local.com
192.0.2.11 hidden.onion
"""


@implementer(IHostResolution)
class FakeResolution:
    """A resolution that can be cancelled, or cannot."""

    def __init__(self, name: str, *, cancellable: bool) -> None:
        self.name = name
        self.cancelled = 0
        self._cancellable = cancellable

    def cancel(self) -> None:
        """Count."""
        self.cancelled += 1
        if not self._cancellable:
            raise NotImplementedError


@implementer(IHostnameResolver)
class FakeHostnames:
    """A resolver of host names that ends when the test says so."""

    def __init__(self) -> None:
        self.cancellable = True
        self.asked: list[str] = []
        self.receiver: Any = None
        self.resolution: FakeResolution | None = None

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Begin."""
        self.asked.append(hostName)
        self.receiver = resolutionReceiver
        self.resolution = FakeResolution(hostName, cancellable=self.cancellable)
        resolutionReceiver.resolutionBegan(self.resolution)
        return self.resolution

    def end(self, *addresses: IPv4Address | IPv6Address) -> None:
        """Complete."""
        for address in addresses:
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


class HostsTestCase(TestCase):
    """A lookup of hosts."""

    hostnames: FakeHostnames | None = None

    def setUp(self) -> None:
        """Know nothing."""
        super().setUp()
        self.clock = Clock()
        self.resolver = FakeResolver()
        path = Path(self.mktemp())
        path.write_text(HOSTS_FILE, "ascii")
        outcome = NoDelegation("", temporary=False)
        self.wired = Wired(
            self,
            self.clock,
            lambda host: succeed(outcome),
            self.resolver,
            hostnames=self.hostnames,
            hosts_file=str(path),
        )
        self.hosts: HostLookup = self.wired.hosts

    def ask(self, host: str = HOST) -> Deferred[list[str]]:
        """Ask for the addresses of a host, as texts."""
        asking = Deferred.fromCoroutine(self.hosts.addresses(ServerName(host)))
        self.addCleanup(let_go, asking)
        return asking.addCallback(lambda found: list(map(str, found)))

    def failure(self, asking: Deferred[list[str]]) -> ResolutionFailed:
        """Have the failure that there is."""
        error = self.failureResultOf(asking, ResolutionFailed).value
        assert isinstance(error, ResolutionFailed)
        return error

    def set_dns(self, six: Behaviour, four: Behaviour) -> None:
        """Have DNS say this of the host, and nothing remembered of it."""
        self.resolver.zone = {(HOST, dns.AAAA): six, (HOST, dns.A): four}
        self.wired.remembering.forget(None)


class HostLookupTests(HostsTestCase):
    """L{HostLookup} by the hosts file and DNS."""

    def test_d11_what_dns_says(self) -> None:
        """Addresses of both families, IPv6 first; one family that fails does not matter."""
        for row, six, four, expected in FOUND:
            self.set_dns(six, four)
            asking = self.ask()
            self.clock.advance(10)
            self.assertEqual(self.successResultOf(asking), expected, f"{row} {six} {four}")

    def test_d1_d7_without_addresses(self) -> None:
        """That there are none is final, that nobody knows is temporary."""
        for row, six, four, temporary in NOT_FOUND:
            self.set_dns(six, four)
            asking = self.ask()
            self.clock.advance(10)
            error = self.failure(asking)
            self.assertEqual(
                (error.temporary, error.name, error.phase), (temporary, HOST, "dns"), f"{row} {six} {four}"
            )

    def test_d11_both_families_are_asked_side_by_side(self) -> None:
        """The second query does not wait for the first."""
        self.set_dns(None, None)
        self.ask()
        self.assertEqual(self.resolver.asked, [("AAAA", HOST), ("A", HOST)])

    def test_who_leaves_cancels_both(self) -> None:
        """Cancelling the only caller stops both queries."""
        self.set_dns(None, None)
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual((self.resolver.cancelled, self.clock.getDelayedCalls()), (2, []))

    def test_c14_one_lookup_for_many(self) -> None:
        """A thousand callers cause one query for each family."""
        self.set_dns(None, FOUR)
        herd = [self.ask() for _ in range(1000)]
        self.clock.advance(10)
        found = {str(self.successResultOf(one)) for one in herd}
        self.assertEqual((found, self.resolver.asked), ({"['192.0.2.1']"}, [("AAAA", HOST), ("A", HOST)]))

    def test_d5_addresses_are_remembered(self) -> None:
        """Each family by its own TTL, the absence of one too."""
        self.set_dns(Nothing(300), FOUR)
        for seconds in (0, 59.9, 0.1, 59.9, 0.1, 180):
            self.clock.advance(seconds)
            self.ask("EX.com")
        self.assertEqual([kind for kind, _ in self.resolver.asked], ["AAAA", "A", "A", "A", "AAAA", "A"])

    def test_d6_older_addresses_are_used(self) -> None:
        """When name servers fail, what they said before is good."""
        self.set_dns(SIX, FOUR)
        known = self.successResultOf(self.ask())
        self.resolver.zone = {(HOST, dns.AAAA): FAILED, (HOST, dns.A): None}
        self.clock.advance(60)
        asking = self.ask()
        self.clock.advance(10)
        self.assertEqual(self.successResultOf(asking), known)

    def test_addresses_are_bounded(self) -> None:
        """However many there are, some are considered."""
        self.set_dns(NONE, [ipv4(HOST, f"192.0.2.{number}", 60) for number in range(200)])
        expected = [f"192.0.2.{number}" for number in range(MAXIMUM_RECORDS)]
        self.assertEqual(self.successResultOf(self.ask()), expected)

    def test_literals_are_their_own_address(self) -> None:
        """Nobody is asked."""
        found = [self.successResultOf(self.ask(host)) for host in ("192.0.2.7", "[2001:db8::7]")]
        self.assertEqual((found, self.resolver.asked), ([["192.0.2.7"], ["2001:db8::7"]], []))

    def test_the_hosts_file_comes_first(self) -> None:
        """What it says is taken, each address once, and nobody is asked."""
        found = [self.successResultOf(self.ask(host)) for host in ("local.com", "LOCAL.com", "other.com")]
        local = ["192.0.2.10", "2001:db8::10"]
        self.assertEqual((found, self.resolver.asked), ([local, local, ["192.0.2.10"]], []))

    def test_d9_onion_names_reach_no_name_server(self) -> None:
        """They fail for good, and nobody is asked."""
        found = [self.failure(self.ask(host)).temporary for host in ("abc.onion", "a.b.ONION")]
        self.assertEqual((found, self.resolver.asked), ([False, False], []))

    def test_d9_onion_names_in_the_hosts_file(self) -> None:
        """What the machine's own file says of them holds."""
        self.assertEqual(self.successResultOf(self.ask("hidden.onion")), ["192.0.2.11"])

    def test_a_host_is_forgotten(self) -> None:
        """Both families are asked for again, and no other host."""
        self.set_dns(SIX, FOUR)
        for host in (HOST, "gone.com"):
            self.ask(host).addErrback(lambda failure: failure.trap(ResolutionFailed))
        self.resolver.asked.clear()
        self.wired.remembering.forget({HOST})
        for host in (HOST, "gone.com"):
            self.ask(host).addErrback(lambda failure: failure.trap(ResolutionFailed))
        self.assertEqual(self.resolver.asked, [("AAAA", HOST), ("A", HOST)])


class HostnamesTests(HostsTestCase):
    """L{HostLookup} by an C{IHostnameResolver}."""

    def setUp(self) -> None:
        """Have the caller's own resolver."""
        self.hostnames = self.asked = FakeHostnames()
        super().setUp()

    def test_the_fakes_are_what_they_seem(self) -> None:
        """What these tests use provides the interfaces."""
        self.ask()
        found = verifyObject(IHostnameResolver, self.asked), verifyObject(IHostResolution, self.asked.resolution)
        self.assertEqual((found, self.asked.receiver is not None), ((True, True), True))

    def test_the_receiver_is_one(self) -> None:
        """What is handed to the resolver provides the interface."""
        self.ask()
        self.assertTrue(verifyObject(IResolutionReceiver, self.asked.receiver))

    def test_it_is_asked_instead(self) -> None:
        """Its addresses are taken, in its order and each once, and DNS and the hosts file are left alone."""
        asking = self.ask("local.com")
        four, six = IPv4Address("TCP", "192.0.2.1", 0), IPv6Address("TCP", "2001:db8::1", 0)
        self.asked.end(four, six, four)
        found = self.successResultOf(asking), self.asked.asked, self.resolver.asked
        self.assertEqual(found, (["192.0.2.1", "2001:db8::1"], ["local.com"], []))

    def test_no_address_is_final(self) -> None:
        """A resolver of host names does not say why it finds nothing."""
        asking = self.ask()
        self.asked.end()
        self.assertIs(self.failure(asking).temporary, False)

    def test_its_time_is_limited(self) -> None:
        """After the limit the lookup fails for the moment, whether it can be cancelled or not."""
        for cancellable in (True, False):
            self.asked.cancellable = cancellable
            asking = self.ask()
            self.clock.advance(9.9)
            self.assertNoResult(asking)
            self.clock.advance(0.1)
            assert self.asked.resolution is not None
            found = self.failure(asking).temporary, self.asked.resolution.cancelled
            self.assertEqual(found, (True, 1), f"cancellable: {cancellable}")

    def test_what_comes_too_late_is_ignored(self) -> None:
        """A resolution that could not be cancelled may end all the same."""
        self.asked.cancellable = False
        asking = self.ask()
        self.clock.advance(10)
        self.asked.end(IPv4Address("TCP", "192.0.2.1", 0))
        self.assertIs(self.failure(asking).temporary, True)

    def test_d9_it_is_not_asked_for_onion_names(self) -> None:
        """It may well ask DNS."""
        self.failure(self.ask("abc.onion"))
        self.assertEqual(self.asked.asked, [])
