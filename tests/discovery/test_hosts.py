"""
Tests of C{matrix_federation_agent._discovery.hosts}.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.names import dns
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.hosts import MAXIMUM_ADDRESSES, HostLookup, _Receiver
from matrix_federation_agent.errors import ResolutionFailed
from tests.case import TestCase
from tests.discovery.fakes import FakeResolver


@implementer(IHostResolution)
class FakeResolution:
    """
    A resolution that counts how often it was cancelled.
    """

    def __init__(self, name: str, error: Exception | None) -> None:
        self.name = name
        self.cancelled = 0
        self._error = error

    def cancel(self) -> None:
        """
        Count, and then fail if that was asked for.
        """
        self.cancelled += 1
        if self._error is not None:
            raise self._error


@implementer(IHostnameResolver)
class FakeHostnames:
    """
    A resolver of host names that answers when it is told to.
    """

    def __init__(self, cancel_error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._cancel_error = cancel_error

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        Begin.
        """
        self.asked.append(hostName)
        self.receiver = resolutionReceiver
        self.resolution = FakeResolution(hostName, self._cancel_error)
        resolutionReceiver.resolutionBegan(self.resolution)
        return self.resolution

    def answer(self, *addresses: IAddress) -> None:
        """
        Complete.
        """
        for address in addresses:
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


class HostCase(TestCase):
    """
    A lookup on a clock.
    """

    def setUp(self) -> None:
        """
        Make it, with an empty hosts file.
        """
        super().setUp()
        self.clock = Clock()
        self.resolver = FakeResolver()
        self.hosts_file = Path(self.mktemp())
        self.hosts_file.touch()

    def ask(self, host: str = "ex.com", hostnames: IHostnameResolver | None = None) -> Deferred[list[str]]:
        """
        Ask.
        """
        lookup = HostLookup(self.clock, self.resolver, hostnames, 5, str(self.hosts_file))

        async def asking() -> list[str]:
            return [str(address) for address in await lookup.addresses(ServerName.parse(host))]

        return Deferred.fromCoroutine(asking())

    def found(self, host: str = "ex.com") -> list[str]:
        """
        Ask, where the answer is there at once.
        """
        return self.successResultOf(self.ask(host))

    def failed(self, asking: Deferred[list[str]]) -> ResolutionFailed:
        """
        Take the error out.
        """
        error = self.failureResultOf(asking, ResolutionFailed).value
        assert isinstance(error, ResolutionFailed)
        return error


class DNSTests(HostCase):
    """
    Answers of the resolver.
    """

    def test_both_families(self) -> None:
        """
        A and AAAA are asked for side by side.
        """
        self.resolver.know("A ex.com", dns.Record_A("192.0.2.1"), dns.Record_A("192.0.2.2"))
        self.resolver.know("AAAA ex.com", dns.Record_AAAA("2001:db8::1"))
        self.assertEqual(sorted(self.found()), ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
        self.assertEqual(sorted(self.resolver.asked), ["A ex.com", "AAAA ex.com"])

    def test_literals(self) -> None:
        """
        A literal is its own address, without a query.
        """
        self.assertEqual([self.found("192.0.2.1"), self.found("[2001:db8::1]")], [["192.0.2.1"], ["2001:db8::1"]])
        self.assertEqual(self.resolver.asked, [])

    def test_one_family_fails(self) -> None:
        """
        When one query fails, the answer to the other counts.
        """
        for failing, other, record in (
            ("A", "AAAA", dns.Record_AAAA("2001:db8::1")),
            ("AAAA", "A", dns.Record_A("192.0.2.1")),
        ):
            self.resolver.fail(f"{failing} {failing}.example")
            self.resolver.know(f"{other} {failing}.example", record)
            self.assertEqual(len(self.found(f"{failing}.example")), 1, failing)

    def test_both_fail(self) -> None:
        """
        When both fail the error is temporary.
        """
        for kind in ("A", "AAAA"):
            self.resolver.fail(f"{kind} ex.com")
        error = self.failed(self.ask())
        self.assertEqual((error.name, error.temporary), ("ex.com", True))

    def test_one_fails_and_the_other_is_empty(self) -> None:
        """
        A failure beside an empty answer is temporary, for the failing one may have had an address.
        """
        self.resolver.fail("A ex.com")
        self.assertTrue(self.failed(self.ask()).temporary)

    def test_no_address(self) -> None:
        """
        When there is none, that is decided.
        """
        error = self.failed(self.ask())
        self.assertEqual((error.name, error.temporary), ("ex.com", False))

    def test_repetitions(self) -> None:
        """
        An address counts once.
        """
        self.resolver.know("A ex.com", *[dns.Record_A("192.0.2.1")] * 3)
        self.assertEqual(self.found(), ["192.0.2.1"])

    def test_the_bound(self) -> None:
        """
        No more than so many addresses of one name are considered.
        """
        self.resolver.know("A ex.com", *[dns.Record_A(f"192.0.2.{number}") for number in range(200)])
        self.assertEqual(len(self.found()), MAXIMUM_ADDRESSES)

    def test_timeout(self) -> None:
        """
        A lookup that takes too long is given up, with both queries, and is temporary.
        """
        waiting = [self.resolver.hang("A ex.com"), self.resolver.hang("AAAA ex.com")]
        asking = self.ask()
        self.clock.advance(5.1)
        self.assertTrue(self.failed(asking).temporary)
        self.assertEqual([query.called for query in waiting], [True, True])

    def test_one_family_never_answers(self) -> None:
        """
        An answer in one family is used when the other stays silent to the end.
        """
        self.resolver.hang("AAAA ex.com")
        self.resolver.know("A ex.com", dns.Record_A("192.0.2.1"))
        asking = self.ask()
        self.clock.advance(5.1)
        self.assertEqual(self.successResultOf(asking), ["192.0.2.1"])

    def test_cancelling(self) -> None:
        """
        Cancelling cancels both queries.
        """
        waiting = [self.resolver.hang("A ex.com"), self.resolver.hang("AAAA ex.com")]
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual([query.called for query in waiting], [True, True])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_onion(self) -> None:
        """
        A .onion name is decidedly not in DNS, without a query.
        """
        self.assertFalse(self.failed(self.ask("ABC.onion")).temporary)
        self.assertEqual(self.resolver.asked, [])


class FileTests(HostCase):
    """
    The hosts file.
    """

    def test_the_file_comes_first(self) -> None:
        """
        A name in the file is not looked up.
        """
        self.hosts_file.write_text("192.0.2.9 other.example\n192.0.2.1 first ex.com # comment\n2001:db8::1\tEX.com\n")
        self.assertEqual((self.found(), self.resolver.asked), (["192.0.2.1", "2001:db8::1"], []))

    def test_case(self) -> None:
        """
        Names compare without case.
        """
        self.hosts_file.write_text("192.0.2.1 Ex.Com\n")
        self.assertEqual(self.found("eX.cOM"), ["192.0.2.1"])

    def test_other_names(self) -> None:
        """
        Names that are not in the file are looked up, comments are no names.
        """
        self.hosts_file.write_text("192.0.2.1 notex.com # ex.com\n#192.0.2.1 ex.com\n")
        self.assertFalse(self.failed(self.ask()).temporary)

    def test_no_file(self) -> None:
        """
        Without a file names are looked up.
        """
        self.hosts_file.unlink()
        self.resolver.know("A ex.com", dns.Record_A("192.0.2.1"))
        self.assertEqual(self.found(), ["192.0.2.1"])

    def test_onion(self) -> None:
        """
        A .onion name may stand in the file.
        """
        self.hosts_file.write_text("192.0.2.1 abc.onion\n")
        self.assertEqual(self.found("abc.onion"), ["192.0.2.1"])

    def test_garbage(self) -> None:
        """
        A line that begins with no address is no line.
        """
        self.hosts_file.write_bytes(b"999.1.1.1 ex.com\nex.com ex.com\n\xff\xfe ex.com\n\x00\n192.0.2.1 ex.com\n")
        self.assertEqual(self.found(), ["192.0.2.1"])


class HostnamesTests(HostCase):
    """
    An C{IHostnameResolver} instead.
    """

    def test_interfaces(self) -> None:
        """
        What stands on either side of the resolver is what it says.
        """
        self.assertTrue(verifyObject(IHostnameResolver, FakeHostnames()))
        self.assertTrue(verifyClass(IHostResolution, FakeResolution))
        self.assertTrue(verifyClass(IResolutionReceiver, _Receiver))

    def test_it_is_asked_instead(self) -> None:
        """
        Neither the hosts file nor the resolver is asked.
        """
        self.hosts_file.write_text("192.0.2.9 ex.com\n")
        hostnames = FakeHostnames()
        asking = self.ask("Ex.com", hostnames)
        hostnames.answer(IPv4Address("TCP", "192.0.2.1", 0), IPv6Address("TCP", "2001:db8::1", 0))
        self.assertEqual(self.successResultOf(asking), ["192.0.2.1", "2001:db8::1"])
        self.assertEqual((hostnames.asked, self.resolver.asked), (["Ex.com"], []))

    def test_no_address(self) -> None:
        """
        An empty answer is a failure.
        """
        hostnames = FakeHostnames()
        asking = self.ask(hostnames=hostnames)
        hostnames.answer()
        self.assertEqual(self.failed(asking).name, "ex.com")

    def test_timeout(self) -> None:
        """
        A resolution that takes too long is cancelled, and what it finds afterwards is ignored.
        """
        hostnames = FakeHostnames()
        asking = self.ask(hostnames=hostnames)
        self.clock.advance(5.1)
        self.assertTrue(self.failed(asking).temporary)
        hostnames.answer(IPv4Address("TCP", "192.0.2.1", 0))
        self.assertEqual(hostnames.resolution.cancelled, 1)

    def test_a_resolution_that_cannot_be_cancelled(self) -> None:
        """
        Twisted's own threaded resolution refuses to be cancelled, which does not matter.
        """
        hostnames = FakeHostnames(NotImplementedError())
        asking = self.ask(hostnames=hostnames)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(hostnames.resolution.cancelled, 1)

    def test_onion(self) -> None:
        """
        A .onion name is not handed to it, for it would ask DNS.
        """
        hostnames = FakeHostnames()
        self.failed(self.ask("abc.onion", hostnames))
        self.assertEqual(hostnames.asked, [])

    async def test_the_reactors_own(self) -> None:
        """
        The reactor's resolver works.
        """
        hostnames: IHostnameResolver = reactor.nameResolver  # type: ignore[attr-defined]
        found = await HostLookup(reactor, self.resolver, hostnames, 10).addresses(ServerName.parse("localhost"))
        self.assertTrue(all(address.is_loopback for address in found))
        self.assertNotEqual(found, [])
