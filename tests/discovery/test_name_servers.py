"""
Tests of C{matrix_federation_agent._discovery.name_servers}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import defer, error, reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IResolver
from twisted.internet.protocol import DatagramProtocol, Protocol, ServerFactory
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface.verify import verifyObject

from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent._discovery.resolv_conf import NameServer
from matrix_federation_agent.testing import NameServer as LoopbackNameServer
from tests.conformance.case import SocketCase, until


class CountedConnection(ProtocolWrapper):
    """
    A connection that is counted while it is open.
    """

    factory: CountingFactory

    def connectionMade(self) -> None:
        """
        Count.
        """
        self.factory.counter.append("made")
        super().connectionMade()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any = None) -> None:
        """
        Count.
        """
        self.factory.counter.append("lost")
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class CountingFactory(WrappingFactory):
    """
    Counts connections.
    """

    protocol = CountedConnection
    noisy = False

    def __init__(self, wrapped: Any, counter: list[str]) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.counter = counter


class CountingReactor:
    """
    The reactor, with TCP connections counted.
    """

    def __init__(self) -> None:
        self.tcp: list[str] = []

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        """
        Connect.
        """
        counted = CountingFactory(factory, self.tcp)
        return reactor.connectTCP(host, port, counted, timeout, bindAddress)

    def __getattr__(self, name: str) -> Any:
        """
        Everything else is the reactor's.
        """
        return getattr(reactor, name)


class Truncating(DatagramProtocol):
    """
    A name server whose answers by UDP are always truncated.
    """

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """
        Send the query back as a truncated answer.
        """
        assert self.transport is not None
        self.transport.write(datagram[:2] + b"\x87\x80" + datagram[4:], addr)


class ResolverCase(SocketCase):
    """
    A resolver that asks a name server on loopback.
    """

    def setUp(self) -> None:
        """
        Start the name server.
        """
        super().setUp()
        self.server = LoopbackNameServer.new(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))
        self.reactor = CountingReactor()
        self.resolver: Any = NameServerResolver(self.reactor, [self.server.address])

    def addresses(self, name: str, *timeout: float) -> Deferred[list[str]]:
        """
        Ask for A records.
        """
        asking: Deferred[Any] = self.resolver.lookupAddress(name, timeout or None)
        return asking.addCallback(lambda answer: [header.payload.dottedQuad() for header in answer[0]])

    @property
    def sockets(self) -> int:
        """
        How many ports are open.
        """
        readers: Any = reactor
        return sum(IListeningPort.providedBy(one) for one in readers.getReaders())

    @property
    def timers(self) -> list[float]:
        """
        For how many seconds each timer is to run that does not run at once.
        """
        clock: Any = reactor
        left = [call.getTime() - clock.seconds() for call in clock.getDelayedCalls()]
        return [seconds for seconds in left if 0.1 < seconds < self.timeout - 1]


class ResolverTests(ResolverCase):
    """
    L{NameServerResolver}.
    """

    def test_interface(self) -> None:
        """
        It is an C{IResolver}.
        """
        self.assertTrue(verifyObject(IResolver, self.resolver))

    async def test_answers(self) -> None:
        """
        An answer comes through.
        """
        self.server.add_address("ex.com", "192.0.2.1")
        self.assertEqual(await self.addresses("ex.com"), ["192.0.2.1"])

    async def test_failures(self) -> None:
        """
        So do the errors of twisted.names.
        """
        self.server.add_address("b.example", "192.0.2.1")
        self.server.fail("b.example")
        await self.assertFailure(self.addresses("a.example"), DNSNameError)
        await self.assertFailure(self.addresses("b.example"), DNSServerError)

    async def test_nothing_is_left_after_an_answer(self) -> None:
        """
        After an answer neither a timer nor a socket is left.
        """
        before = self.sockets
        self.server.add_address("ex.com", "192.0.2.1")
        await self.addresses("ex.com")
        self.assertEqual((self.timers, self.reactor.tcp), ([], []))
        await until(lambda: self.sockets == before)

    async def test_nothing_is_left_after_cancelling(self) -> None:
        """
        A cancelled lookup leaves no timer, and twisted closes its socket.
        """
        before = self.sockets
        self.server.silence("ex.com")
        asking = self.addresses("ex.com")
        await until(lambda: self.server.queries != [])
        self.assertEqual((len(self.timers), self.sockets), (1, before + 1))
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        self.assertEqual(self.timers, [])
        await until(lambda: self.sockets == before)

    async def test_silence(self) -> None:
        """
        A name server that does not answer is asked again, and then given up.
        """
        self.server.silence("ex.com")
        await self.assertFailure(self.addresses("ex.com", 0.05, 0.05), defer.TimeoutError)
        self.assertEqual(self.server.queries, [("ex.com", "A")] * 2)

    async def test_the_next_name_server(self) -> None:
        """
        When the first does not answer, the second is asked.
        """
        dead = reactor.listenUDP(0, DatagramProtocol(), "127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(dead.stopListening)
        self.server.add_address("ex.com", "192.0.2.1")
        servers = [("127.0.0.1", dead.getHost().port), self.server.address]
        self.resolver = NameServerResolver(self.reactor, servers)
        self.assertEqual(await self.addresses("ex.com", 0.05), ["192.0.2.1"])

    async def test_the_first_of_two_callers_is_cancelled(self) -> None:
        """
        Cancelling one lookup does not cancel another for the same name.
        """
        self.server.add_address("ex.com", "192.0.2.1")
        first, second = self.addresses("ex.com"), self.addresses("ex.com")
        first.cancel()
        await self.assertFailure(first, CancelledError)
        self.assertEqual(await second, ["192.0.2.1"])

    async def test_name_servers_may_change(self) -> None:
        """
        A callable is asked for the name servers at each lookup.
        """
        self.server.add_address("ex.com", "192.0.2.1")
        calls: list[None] = []

        def servers() -> list[NameServer]:
            calls.append(None)
            return [self.server.address]

        self.resolver = NameServerResolver(self.reactor, servers)
        await gatherResults([self.addresses("ex.com") for _ in range(3)])
        self.assertEqual(len(calls), 3)

    async def test_every_kind_of_lookup(self) -> None:
        """
        SRV and AAAA are asked for by their own methods.
        """
        self.server.add_service("_x._tcp.ex.com", "t.net", 7)
        self.server.add_address("ex.com", "2001:db8::1")
        answers = [await self.resolver.lookupService("_x._tcp.ex.com"), await self.resolver.lookupIPV6Address("ex.com")]
        self.assertEqual([answer[0][0].type for answer in answers], [dns.SRV, dns.AAAA])


class DescriptorTests(ResolverCase):
    """
    A process, or a system, that has no file descriptor left.
    """

    def fail_with(self, *numbers: int) -> list[str]:
        """
        Have as many sockets not be opened, and keep account of those that are tried.
        """
        tried: list[str] = []
        left = list(numbers)

        def listen(port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> Any:
            tried.append(interface)
            if left:
                raise error.CannotListenError(interface, port, OSError(left.pop(0), ""))
            return reactor.listenUDP(port, protocol, interface, maxPacketSize)  # type: ignore[attr-defined]

        self.patch(self.reactor, "listenUDP", listen)
        return tried

    async def test_a_query_waits_for_a_socket(self) -> None:
        """
        It is tried again until there is one, and has its answer; nothing is left.
        """
        tried = self.fail_with(errno.EMFILE, errno.ENFILE)
        self.server.add_address("ex.com", "192.0.2.1")
        self.assertEqual((await self.addresses("ex.com"), len(tried), self.timers), (["192.0.2.1"], 3, []))

    async def test_a_second_try_needs_no_other_socket(self) -> None:
        """
        A query that was not answered is sent again by the socket that it has.
        """
        tried = self.fail_with()
        self.server.silence("ex.com")
        asking = self.addresses("ex.com", 0.05, 5)
        await until(lambda: self.server.queries != [])
        self.server.add_address("ex.com", "192.0.2.1")
        self.server.recover("ex.com")
        self.assertEqual((await asking, len(tried)), (["192.0.2.1"], 1))

    async def test_other_errors_of_sockets(self) -> None:
        """
        They are the lookup's failure, when no try has had a socket.
        """
        tried = self.fail_with(*[errno.EADDRINUSE] * 9)
        await self.assertFailure(self.addresses("ex.com"), error.CannotListenError)
        self.assertEqual((len(tried), self.timers), (4, []))

    async def test_another_try_may_have_a_socket(self) -> None:
        """
        An error of one try leaves the others; and they are tried at once.
        """
        self.fail_with(errno.EADDRINUSE)
        self.server.add_address("ex.com", "192.0.2.1")
        self.assertEqual(await self.addresses("ex.com", 9, 9), ["192.0.2.1"])

    async def test_cancelled_while_it_waits(self) -> None:
        """
        No timer is left.
        """
        self.fail_with(*[errno.EMFILE] * 9)
        asking = self.addresses("ex.com")
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        self.assertEqual(self.timers, [])


class TruncationTests(ResolverCase):
    """
    Answers that are too long for a datagram.
    """

    async def test_a_long_answer(self) -> None:
        """
        It is asked for again by TCP, and the connection is closed when it has arrived.
        """
        for number in range(1, 60):
            self.server.add_address("ex.com", f"192.0.2.{number}")
        self.assertEqual(len(await self.addresses("ex.com")), 59)
        await until(lambda: self.reactor.tcp == ["made", "lost"])
        self.assertEqual(self.server.queries, [("ex.com", "A")] * 2)

    async def test_little_is_logged(self) -> None:
        """
        Neither sockets nor connections are announced by their protocols.
        """
        events: list[str] = []

        def observe(event: LogEvent) -> None:
            events.append(formatEvent(event))

        publisher: Any = globalLogPublisher
        publisher.addObserver(observe)
        self.addCleanup(publisher.removeObserver, observe)
        await self.test_a_long_answer()
        self.assertEqual([event for event in events if event.startswith(("Starting", "Stopping"))], [])

    async def truncating(self, *, listens: bool = True) -> None:
        """
        Ask a name server of truncated answers instead.

        @param listens: whether it accepts TCP connections, on which it says nothing.
        """
        udp: Any = reactor
        silent: Any = ServerFactory.forProtocol(Protocol)
        for remaining in reversed(range(20)):
            tcp = reactor.listenTCP(0, silent, interface="127.0.0.1")
            address = ("127.0.0.1", tcp.getHost().port)  # type: ignore[attr-defined]
            self.addCleanup(tcp.stopListening)
            try:
                self.addCleanup(udp.listenUDP(address[1], Truncating(), "127.0.0.1").stopListening)
            except error.CannotListenError:
                if not remaining:
                    raise
                continue
            break
        if not listens:
            await maybeDeferred(tcp.stopListening)
        self.resolver = NameServerResolver(self.reactor, [address])

    async def test_tcp_is_refused(self) -> None:
        """
        A name server that does not listen by TCP is a failure, and nothing is left.
        """
        await self.truncating(listens=False)
        before = self.sockets
        await self.assertFailure(self.addresses("ex.com"), error.ConnectError)
        self.assertEqual((self.timers, self.reactor.tcp), ([], []))
        await until(lambda: self.sockets == before)

    async def test_tcp_is_silent(self) -> None:
        """
        A lookup that is cancelled while it waits by TCP has its connection closed.
        """
        await self.truncating()
        asking = self.addresses("ex.com")
        await until(lambda: self.reactor.tcp == ["made"])
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        await until(lambda: self.reactor.tcp == ["made", "lost"])

    async def test_cancelled_while_tcp_connects(self) -> None:
        """
        A lookup that is cancelled before TCP is connected leaves no connection either.
        """
        await self.truncating()
        connecting: list[None] = []
        original = self.reactor.connectTCP

        def connect(*args: Any, **named: Any) -> Any:
            connecting.append(None)
            reactor.callLater(0, asking.cancel)
            return original(*args, **named)

        self.patch(self.reactor, "connectTCP", connect)
        asking = self.addresses("ex.com")
        await self.assertFailure(asking, CancelledError, error.ConnectError)
        await until(lambda: self.reactor.tcp.count("made") == self.reactor.tcp.count("lost"))
        self.assertEqual(len(connecting), 1)
