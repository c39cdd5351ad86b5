"""
Tests of C{matrix_federation_agent._connect.dialer}.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from errno import EMFILE
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any, cast

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, ServerName
from matrix_federation_agent._connect.candidates import Candidates
from matrix_federation_agent._connect.dialer import Dialer
from matrix_federation_agent._discovery.hosts import HostLookup
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._policies import Address
from matrix_federation_agent._tls.trust import Trust
from matrix_federation_agent.errors import (
    AddressDenied,
    Attempt,
    CertificateRejected,
    ConnectionFailed,
    FederationError,
    HandshakeFailed,
    ResolutionFailed,
    TimedOut,
)
from matrix_federation_agent.testing import Certificates
from tests.case import TestCase
from tests.connect.in_memory import IDENTITY, Applications, Wire, tls_server, trusting

ALLOWED = AddressPolicy(allow=["192.0.2.0/24", "2001:db8::/32"])


class FakeHosts:
    """
    Knows the addresses of a few hosts.
    """

    def __init__(self, known: dict[str, Sequence[str]]) -> None:
        self._known = known

    def families(self, host: ServerName) -> list[Coroutine[Any, Any, list[Address]]]:
        """
        Find the addresses of a host at once, of both families.
        """
        return [self.addresses(host)]

    async def addresses(self, host: ServerName) -> list[Address]:
        """
        Find the addresses of a host, a failure for one that has none.
        """
        if host.literal is not None:
            return [host.literal]
        if host.host not in self._known:
            raise ResolutionFailed("", "no such host", name=host.host)
        return [ip_address(text) for text in self._known[host.host]]


def target(text: str) -> Target:
    """
    Read C{host:port}.
    """
    name = ServerName.parse(text)
    return Target(name.without_port, name.port or 8448)


class DialerCase(TestCase):
    """
    Connections that exist only when the test says so.
    """

    def setUp(self) -> None:
        """
        Make the reactor and the certificates.
        """
        super().setUp()
        self.reactor = MemoryReactorClock()
        self.certificates = Certificates()
        self.trust = trusting(self.certificates, Path(self.mktemp()))
        self.applications = Applications()

    def dialer(self, policy: ConnectionPolicy | None = None, **hosts: Sequence[str]) -> Dialer:
        """
        Make a dialer that knows some hosts of C{.example}.
        """
        known = {f"{name}.example": addresses for name, addresses in hosts.items()}
        lookup = cast("HostLookup", FakeHosts(known))
        return Dialer(self.reactor, Trust(self.trust), ALLOWED, policy or ConnectionPolicy(), lookup)

    def connect(self, dialer: Dialer, *targets: str) -> Deferred[IProtocol]:
        """
        Begin to connect.
        """
        return Deferred.fromCoroutine(dialer.connect(IDENTITY, list(map(target, targets)), self.applications))

    @property
    def dialled(self) -> list[str]:
        """
        What was dialled so far.
        """
        return [f"{host} {port}" for host, port, *_ in self.reactor.tcpClients]

    def refuse(self, reason: Exception | None = None) -> None:
        """
        Let the last attempt fail.
        """
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(reason or error.ConnectionRefusedError()))

    def accept(self, *names: str) -> Wire:
        """
        Let the last attempt reach a server that proves some names.
        """
        factory: Any = self.reactor.tcpClients[-1][2]
        server = tls_server(self.certificates.issue(*names), Applications(), Clock())
        return Wire(factory.buildProtocol(None), server)

    def failed(self, connecting: Deferred[IProtocol]) -> FederationError:
        """
        Take the error out.
        """
        failure = self.failureResultOf(connecting, FederationError)
        assert isinstance(failure.value, FederationError)
        return failure.value


class OrderTests(DialerCase):
    """
    Which attempts are made, one after the other.
    """

    def test_one_after_the_other(self) -> None:
        """
        An attempt begins when the one before it has failed.
        """
        connecting = self.connect(
            self.dialer(a=["192.0.2.1", "192.0.2.2"], b=["192.0.2.3"]), "a.example", "b.example:1"
        )
        seen = []
        for _ in range(3):
            seen.append(self.dialled[-1])
            self.refuse()
        self.assertEqual(seen, ["192.0.2.1 8448", "192.0.2.2 8448", "192.0.2.3 1"])
        self.assertEqual(
            [attempt.address for attempt in self.failed(connecting).attempts], [s.split()[0] for s in seen]
        )

    def test_the_first_verified_connection_wins(self) -> None:
        """
        Nothing further is dialled after a verified connection.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example", "a.example:2")
        self.accept("ex.com").pump()
        self.assertIs(self.successResultOf(connecting), self.applications.built[0])
        self.assertEqual(self.dialled, ["192.0.2.1 8448"])

    def test_a_bad_certificate_is_one_failed_attempt(self) -> None:
        """
        After a refused certificate the next address is dialled, and the protocol is the second connection's.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        self.accept("ex.org").pump()
        self.accept("ex.com").pump()
        self.successResultOf(connecting)
        self.assertEqual((self.dialled, len(self.applications.built)), (["192.0.2.1 8448", "192.0.2.2 8448"], 1))

    def test_families_by_turns(self) -> None:
        """
        IPv6 and IPv4 alternate.
        """
        addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]
        connecting = self.connect(self.dialer(a=addresses), "a.example")
        for _ in addresses:
            self.refuse()
        self.failed(connecting)
        self.assertEqual([one.split()[0] for one in self.dialled], [addresses[index] for index in (2, 0, 3, 1)])

    def test_literals(self) -> None:
        """
        A literal is dialled as it is.
        """
        connecting = self.connect(self.dialer(), "[2001:db8::7]:9")
        self.refuse()
        self.failed(connecting)
        self.assertEqual(self.dialled, ["2001:db8::7 9"])


class ErrorTests(DialerCase):
    """
    What the error tells.
    """

    def test_all_alike(self) -> None:
        """
        When all attempts end alike, so does the whole.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        for _ in range(2):
            self.accept("ex.org").pump()
        failed = self.failed(connecting)
        self.assertEqual((type(failed), len(failed.attempts)), (CertificateRejected, 2))

    def test_different_ends(self) -> None:
        """
        When they end differently, the whole is a failed connection with all of them in order.
        """
        dialer = self.dialer(a=["10.0.0.1", "192.0.2.1"], c=["192.0.2.2"])
        connecting = self.connect(dialer, "a.example", "b.example", "c.example")
        self.refuse()
        self.accept("ex.com").close()
        failed = self.failed(connecting)
        self.assertIs(type(failed), ConnectionFailed)
        told = [(attempt.target, attempt.address, type(attempt.error), attempt.phase) for attempt in failed.attempts]
        expected = [
            ("a.example:8448", "10.0.0.1", AddressDenied, "policy"),
            ("a.example:8448", "192.0.2.1", ConnectionFailed, "tcp"),
            ("b.example:8448", None, ResolutionFailed, "dns"),
            ("c.example:8448", "192.0.2.2", HandshakeFailed, "tls"),
        ]
        self.assertEqual(told, expected)

    def test_the_server_is_named(self) -> None:
        """
        The error names the server that was asked for, and not the target.
        """
        failed = self.failed(self.connect(self.dialer(), "b.example"))
        self.assertEqual((failed.server_name, type(failed)), ("ex.com", ResolutionFailed))

    def test_a_factory_that_declines(self) -> None:
        """
        A factory that builds nothing is a failed attempt.
        """
        self.applications = Applications(lambda: None)
        connecting = self.connect(self.dialer(a=["192.0.2.1"]), "a.example")
        self.accept("ex.com").pump()
        self.assertIs(type(self.failed(connecting)), ConnectionFailed)


class RaceTests(DialerCase):
    """
    Attempts beside each other.
    """

    def begin_two(self) -> tuple[Deferred[IProtocol], Wire, Wire]:
        """
        Have two handshakes under way.
        """
        connecting = self.connect(
            self.dialer(ConnectionPolicy(tls_timeout=60), a=["192.0.2.1", "192.0.2.2"]), "a.example"
        )
        first = self.accept("ex.com")
        self.reactor.advance(0.25)
        return connecting, first, self.accept("ex.com")

    def test_D12_the_first_verified_connection(self) -> None:
        """
        The first whose certificate is verified wins, whichever began first, and the others are aborted.
        """
        connecting, first, second = self.begin_two()
        second.pump()
        self.assertIs(self.successResultOf(connecting), self.applications.built[0])
        aborted = [one.client.transport.disconnected for one in (first, second)]
        self.assertEqual((aborted, self.reactor.getDelayedCalls()), ([True, False], []))

    def test_one_application(self) -> None:
        """
        Of two handshakes that end in the same turn of the reactor one builds an application.
        """
        connecting, first, second = self.begin_two()
        first.pump()
        self.assertIs(self.successResultOf(connecting), self.applications.built[0])
        self.assertEqual((len(self.applications.built), second.client.transport.disconnected), (1, True))

    def test_a_bad_certificate_does_not_win(self) -> None:
        """
        The slower one with the right certificate does.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        first = self.accept("ex.com")
        self.reactor.advance(0.25)
        self.accept("ex.org").pump()
        self.assertNoResult(connecting)
        first.pump()
        self.successResultOf(connecting)

    def test_how_far_an_attempt_was(self) -> None:
        """
        At the deadline each attempt is told of with its phase.
        """
        connecting, _, _ = self.begin_two()
        self.reactor.advance(30)
        told = [(one.phase, one.error.reason) for one in self.failed(connecting).attempts]
        self.assertEqual(told, [("tls", "not finished within 30 s")] * 2)


class LastAnswerTests(DialerCase):
    """
    What answered last is tried first.
    """

    def setUp(self) -> None:
        """
        Have the second target answer.
        """
        super().setUp()
        self.tried = self.dialer(a=["192.0.2.1"], b=["192.0.2.2", "192.0.2.3"])
        self.begin()
        self.refuse()
        self.accept("ex.com").pump()
        self.reactor.tcpClients.clear()

    def begin(self, dialer: Dialer | None = None) -> Deferred[IProtocol]:
        """
        Connect to both.
        """
        return self.connect(dialer or self.tried, "a.example", "b.example")

    def test_next_time(self) -> None:
        """
        Its address is dialled at once, and the first target after that.
        """
        connecting = self.begin()
        self.refuse()
        self.assertEqual(self.dialled, ["192.0.2.2 8448", "192.0.2.1 8448"])
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)

    def test_a_scoped_dialer(self) -> None:
        """
        It knows as much.
        """
        self.begin(self.tried.scoped(self.tried.budget)).addErrback(lambda _: None)
        self.assertEqual(self.dialled, ["192.0.2.2 8448"])

    def test_when_all_have_failed(self) -> None:
        """
        Nothing is preferred any more.
        """
        connecting = self.begin()
        for _ in range(3):
            self.refuse()
        self.failed(connecting)
        self.reactor.tcpClients.clear()
        self.begin().addErrback(lambda _: None)
        self.assertEqual(self.dialled, ["192.0.2.1 8448"])

    def test_when_another_answers(self) -> None:
        """
        That one is preferred.
        """
        self.begin()
        self.refuse()
        self.refuse()
        self.accept("ex.com").pump()
        self.reactor.tcpClients.clear()
        self.begin().addErrback(lambda _: None)
        self.assertEqual(self.dialled, ["192.0.2.3 8448"])

    def test_after_ten_minutes(self) -> None:
        """
        The order of the targets counts again.
        """
        self.reactor.advance(600)
        self.begin().addErrback(lambda _: None)
        self.assertEqual(self.dialled, ["192.0.2.1 8448"])

    def test_who_has_no_choice_is_not_remembered(self) -> None:
        """
        A server with one address takes no memory.
        """
        dialer = self.dialer(a=["192.0.2.1"])
        connecting = self.connect(dialer, "a.example")
        self.accept("ex.com").pump()
        self.successResultOf(connecting)
        self.assertEqual([len(one.places) for one in (dialer, self.tried)], [0, 1])


class ShortageTests(DialerCase):
    """
    A system that is out of sockets.
    """

    def test_room_is_made(self) -> None:
        """
        Whoever keeps idle connections is asked, and the attempt goes on.
        """
        dialer, asked = self.dialer(a=["192.0.2.1"]), []
        dialer.scoped(dialer.budget).room.make = lambda: asked.append("room")
        connecting = self.connect(dialer, "a.example")
        self.refuse(error.ConnectBindError(EMFILE, "words"))
        self.reactor.advance(0.05)
        self.accept("ex.com").pump()
        self.successResultOf(connecting)
        self.assertEqual((asked, self.reactor.getDelayedCalls()), (["room"], []))

    def test_until_the_deadline(self) -> None:
        """
        Then the error says what was missing, of each attempt.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        for _ in range(300):
            for (_, _, factory, *_), connector in zip(self.reactor.tcpClients, self.reactor.connectors, strict=True):
                factory.clientConnectionFailed(connector, Failure(error.ConnectBindError(EMFILE, "words")))
            self.reactor.advance(0.1)
        failed = self.failed(connecting)
        self.assertEqual([type(failed), len(failed.attempts)], [ConnectionFailed, 2])
        self.assertIn("too many open files", str(failed))


class LimitTests(DialerCase):
    """
    Limits, in counts and in seconds.
    """

    def test_max_targets(self) -> None:
        """
        Only so many targets are tried.
        """
        dialer = self.dialer(ConnectionPolicy(max_targets=2), a=["192.0.2.1"])
        connecting = self.connect(dialer, "a.example:1", "a.example:2", "a.example:3")
        for _ in range(2):
            self.refuse()
        self.failed(connecting)
        self.assertEqual(self.dialled, ["192.0.2.1 1", "192.0.2.1 2"])

    def test_max_addresses(self) -> None:
        """
        Only so many addresses are tried, over all targets.
        """
        dialer = self.dialer(ConnectionPolicy(max_addresses=3), a=["192.0.2.1", "192.0.2.2"])
        connecting = self.connect(dialer, "a.example:1", "a.example:2", "a.example:3")
        for _ in range(3):
            self.refuse()
        self.failed(connecting)
        self.assertEqual(self.dialled, ["192.0.2.1 1", "192.0.2.2 1", "192.0.2.1 2"])

    def test_denied_addresses_do_not_count(self) -> None:
        """
        Addresses that are not dialled use up nothing.
        """
        dialer = self.dialer(ConnectionPolicy(max_addresses=1), a=["10.0.0.1", "192.0.2.2"])
        connecting = self.connect(dialer, "a.example")
        self.refuse()
        self.failed(connecting)
        self.assertEqual(self.dialled, ["192.0.2.2 8448"])

    def test_tcp_timeout(self) -> None:
        """
        The reactor is told how long TCP may take, and its timeout is ours.
        """
        connecting = self.connect(self.dialer(ConnectionPolicy(tcp_timeout=3), a=["192.0.2.1"]), "a.example")
        self.assertEqual(self.reactor.tcpClients[0][3], 3)
        self.refuse(error.TimeoutError())
        failed = self.failed(connecting)
        assert isinstance(failed, TimedOut)
        self.assertEqual((failed.seconds, failed.phase), (3, "tcp"))

    def test_tls_timeout(self) -> None:
        """
        A handshake that is not finished in time is aborted, and the next address is dialled.
        """
        policy = ConnectionPolicy(tls_timeout=3, attempt_delay=5)
        dialer = self.dialer(policy, a=["192.0.2.1", "192.0.2.2"])
        connecting = self.connect(dialer, "a.example")
        wire = self.accept("ex.com")
        self.reactor.advance(2.9)
        self.assertEqual((len(self.dialled), wire.client.transport.disconnected), (1, False))
        self.reactor.advance(0.2)
        self.assertEqual((len(self.dialled), wire.client.transport.disconnected), (2, True))
        wire.close()
        self.refuse()
        first = self.failed(connecting).attempts[0].error
        assert isinstance(first, TimedOut)
        self.assertEqual((first.seconds, first.phase), (3, "tls"))

    def test_connect_timeout(self) -> None:
        """
        The whole is given up in time, with all attempts, and the pending one is stopped.
        """
        dialer = self.dialer(ConnectionPolicy(connect_timeout=5), a=["192.0.2.1", "192.0.2.2"])
        connecting = self.connect(dialer, "a.example")
        self.reactor.advance(4)
        self.refuse()
        self.reactor.advance(2)
        failed = self.failed(connecting)
        assert isinstance(failed, TimedOut)
        self.assertEqual((failed.seconds, [one.phase for one in failed.attempts]), (5, ["tcp", "tcp"]))
        self.assertEqual([one.stoppedConnecting for one in self.reactor.connectors], [True, False])

    def test_nothing_is_left_in_the_clock(self) -> None:
        """
        After success and after failure no limit is left running.
        """
        dialer = self.dialer(a=["192.0.2.1"])
        refused = self.connect(dialer, "a.example")
        self.refuse()
        self.failed(refused)
        connecting = self.connect(dialer, "a.example")
        self.accept("ex.com").pump()
        self.successResultOf(connecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ReplacedRootsTests(DialerCase):
    """
    T7: roots that are replaced during a handshake.
    """

    def setUp(self) -> None:
        """
        Begin to connect.
        """
        super().setUp()
        self.roots = Trust(self.trust)
        lookup = cast("HostLookup", FakeHosts({"a.example": ["192.0.2.1"]}))
        dialer = Dialer(self.reactor, self.roots, ALLOWED, ConnectionPolicy(), lookup)
        self.connecting = self.connect(dialer, "a.example")

    def test_T7_a_handshake_is_made_anew(self) -> None:
        """
        A handshake that the old roots finish is dropped before the application is built, and made again.
        """
        first = self.accept("ex.com")
        self.roots.reload()
        first.pump()
        self.assertEqual((self.applications.built, first.client.lost, len(self.dialled)), ([], True, 2))
        self.accept("ex.com").pump()
        self.successResultOf(self.connecting)

    def test_T7_a_certificate_of_the_new_root(self) -> None:
        """
        What the old roots refuse is not refused yet when there are new ones.
        """
        old, self.certificates = self.certificates, Certificates()
        first = self.accept("ex.com")
        self.roots.succeed(trusting(self.certificates, Path(self.mktemp())))
        first.pump()
        self.accept("ex.com").pump()
        self.successResultOf(self.connecting)
        self.assertNotEqual(old.root_pem, self.certificates.root_pem)

    def test_T7_the_new_roots_refuse(self) -> None:
        """
        The second handshake is judged by the new roots, and its verdict stands.
        """
        first = self.accept("ex.com")
        self.roots.succeed(trusting(Certificates(), Path(self.mktemp())))
        first.pump()
        self.accept("ex.com").pump()
        self.assertIsInstance(self.failed(self.connecting), CertificateRejected)
        self.assertEqual((len(self.dialled), self.applications.built), (2, []))

    def test_T7_replaced_again_and_again(self) -> None:
        """
        Roots that never rest do not outlast the limit of the whole connection.
        """
        for _ in range(30):
            wire = self.accept("ex.com")
            self.roots.reload()
            wire.pump()
            self.reactor.advance(1)
        error = self.failed(self.connecting)
        assert isinstance(error, TimedOut)
        self.assertEqual((error.seconds, len(self.dialled), self.applications.built), (30.0, 31, []))


class CancellingTests(DialerCase):
    """
    Who cancels gets C{CancelledError}, and nothing further is dialled.
    """

    def test_cancelled_in_tcp(self) -> None:
        """
        A pending TCP attempt is stopped.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual((self.dialled, self.reactor.connectors[0].stoppedConnecting), (["192.0.2.1 8448"], True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelled_in_tls(self) -> None:
        """
        A pending handshake is aborted.
        """
        connecting = self.connect(self.dialer(a=["192.0.2.1", "192.0.2.2"]), "a.example")
        wire = self.accept("ex.com")
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        wire.close()
        self.assertEqual((self.dialled, wire.client.transport.disconnected), (["192.0.2.1 8448"], True))
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class CandidatesTests(DialerCase):
    """
    L{Dialer.candidates} and L{Dialer.exemption}.
    """

    def candidates(self, host: str) -> Candidates:
        """
        Ask.
        """
        dialer = self.dialer(a=["10.0.0.1", "192.0.2.1"])
        return self.successResultOf(Deferred.fromCoroutine(dialer.candidates(IDENTITY, target(host))))

    def test_permitted_and_refused(self) -> None:
        """
        Addresses are sorted into those that may be dialled and those that may not.
        """
        found = self.candidates("a.example")
        self.assertEqual(found.permitted, (IPv4Address("192.0.2.1"),))
        (refused,) = found.refused
        assert isinstance(refused.error, AddressDenied)
        self.assertEqual((refused.address, refused.error.network), ("10.0.0.1", ip_network("10.0.0.0/8")))

    def test_no_address(self) -> None:
        """
        A host without an address is one refused attempt without an address.
        """
        found = self.candidates("b.example")
        self.assertEqual((found.permitted, [one.address for one in found.refused]), ((), [None]))
        self.assertIsInstance(found.refused[0], Attempt)

    def test_nothing_to_dial(self) -> None:
        """
        Without an address, and without a proxy that could find one, nothing is dialled.
        """
        self.assertEqual(Candidates((), ()).dialled, ())

    def test_scoped_dialers(self) -> None:
        """
        A scoped dialer keeps account of its own connections, of which the other one knows as well.
        """
        dialer = self.dialer(a=["192.0.2.1"])
        scoped, other = dialer.scoped(dialer.budget), dialer.scoped(dialer.budget)
        connecting = self.connect(scoped, "a.example")
        wire = self.accept("ex.com")
        counted = [len(one.open_connections) for one in (dialer, scoped, other)]
        self.assertEqual(counted, [1, 1, 0])
        wire.close()
        self.failed(connecting)
        self.assertEqual((len(dialer.open_connections), len(scoped.open_connections)), (0, 0))
