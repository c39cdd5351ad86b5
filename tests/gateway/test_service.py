"""
Tests of L{matrix_federation_agent._gateway.service} and of what it is assembled of.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from socket import AF_INET6
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater

from matrix_federation_agent import MatrixFederationAgent
from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent._gateway import assembly
from matrix_federation_agent._gateway.assembly import load_secret, make_agent, open_store, server_endpoint
from matrix_federation_agent._gateway.forwarder import Clients
from matrix_federation_agent._gateway.options import GatewayOptions
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._gateway.service import GatewayService, _is_local, _written
from matrix_federation_agent._gateway.surroundings import NameServers, StoreSettings
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.errors import ConfigurationError
from matrix_federation_agent.stores import RedisStore, SQLiteStore
from tests.case import TestCase
from tests.conformance.case import SocketCase, until
from tests.tls.files import root

LOCAL = "tcp:0:interface=127.0.0.1"
SHORT = Path(__file__).with_name("__init__.py")


def _note(heard: list[int], number: int, _: object) -> None:
    heard.append(number)


class RecordingReactor(Clock):
    """
    A clock that knows of threads and of its own end.
    """

    stopped = False

    def callFromThread(self, work: Any) -> None:
        """
        Do it when time goes on.
        """
        self.callLater(0, work)

    def stop(self) -> None:
        """
        Note the end.
        """
        self.stopped = True


class Parts:
    """
    Stands for the agent, the forwarder and the factory; notes what it is told.

    @ivar told: in order.
    @ivar busy: fires when nothing is under way.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.busy: Deferred[None] = Deferred()
        self.clients = Clients()
        self.policy = GatewayPolicy(drain_timeout=30)
        self.secret: Any = "old"
        self.broken: list[str] = []

    def under_way(self) -> int:
        """
        Count requests.
        """
        return 0 if self.busy.called else 1

    def drain(self) -> Any:
        """
        As forwarder and as factory.
        """
        self.told.append("drain")
        return self.busy

    def abort(self) -> None:
        """
        As factory.
        """
        self.told.append("abort")

    def close(self) -> Deferred[None]:
        """
        As agent.
        """
        self.told.append("close")
        return succeed(None)

    def reload_trust(self) -> None:
        """
        As agent.
        """
        self.told.append("reload")
        self._refuse("trust")

    def load_secret(self) -> Any:
        """
        Read the secret.
        """
        self._refuse("secret")
        return "new"

    def _refuse(self, name: str) -> None:
        if name in self.broken:
            raise ConfigurationError.of(name, "no good")


class Endpoint:
    """
    A server endpoint that does as it is told.
    """

    def __init__(self, result: Deferred[Any]) -> None:
        self.result = result

    def listen(self, _: Factory) -> Deferred[Any]:
        """
        Give the result.
        """
        return self.result


class Port:
    """
    A port; notes when it is closed.
    """

    closed = False

    def getHost(self) -> UNIXAddress:
        """
        Tell where it is.
        """
        return UNIXAddress("/run/s")

    def stopListening(self) -> None:
        """
        Close it.
        """
        self.closed = True


class ServiceCase(TestCase):
    """
    A test with a service of stand-ins.
    """

    def setUp(self) -> None:
        """
        Remember the handlers of signals.
        """
        super().setUp()
        self.clock, self.parts, self.port = RecordingReactor(), Parts(), Port()
        self.events = self.keep_log()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def service(self, *results: Deferred[Any]) -> GatewayService:
        """
        Make one, and start it.
        """
        endpoints: Any = [(f"endpoint {number}", Endpoint(result)) for number, result in enumerate(results)]
        parts: Any = self.parts
        service = GatewayService(self.clock, endpoints, parts, parts, parts, parts.load_secret)
        service.startService()
        return service

    def signal(self, number: int) -> None:
        """
        Send this process a signal, and let the clock see to it.
        """
        os.kill(os.getpid(), number)
        self.clock.advance(0)

    def said(self, level: str) -> Sequence[str]:
        """
        Tell what was logged at a level.
        """
        return [str(one["log_format"]) for one in self.events if one["log_level"].name == level]


class ListeningTests(ServiceCase):
    """
    Its beginning.
    """

    def test_failure(self) -> None:
        """
        An endpoint that cannot listen is an error that names it.
        """
        failure = CannotListenError("127.0.0.1", 1, OSError("taken"))
        error = self.assertRaises(ConfigurationError, self.service, succeed(self.port), fail(failure))
        self.assertEqual(error.setting, "listen")
        self.assertIn("endpoint 1: Couldn't listen on 127.0.0.1:1", error.reason)

    def test_late_failure(self) -> None:
        """
        One that says so later stops the reactor.
        """
        late: Deferred[Any] = Deferred()
        self.service(late)
        late.errback(OSError("no"))
        self.assertEqual((self.clock.stopped, len(self.said("critical"))), (True, 1))

    def test_stopped_before_it_listens(self) -> None:
        """
        An endpoint that has not listened yet is given up, without a word.
        """
        self.parts.busy.callback(None)
        service = self.service(Deferred())
        self.assertEqual(self.successResultOf(service.stopService()), None)
        self.assertEqual((self.clock.stopped, self.said("critical")), (False, []))


class ReloadTests(ServiceCase):
    """
    SIGHUP.
    """

    def test_both(self) -> None:
        """
        Trust and the secret are read again.
        """
        self.service()
        self.signal(signal.SIGHUP)
        self.assertEqual((self.parts.told, self.parts.secret, self.said("error")), (["reload"], "new", []))

    def test_each_alone(self) -> None:
        """
        What cannot be used stays, and the other is taken.
        """
        self.parts.busy.callback(None)
        for broken, secret in (("trust", "new"), ("secret", "old")):
            self.parts.broken, self.parts.secret, self.parts.told = [broken], "old", []
            service = self.service()
            self.signal(signal.SIGHUP)
            self.assertEqual((self.parts.told, self.parts.secret), (["reload"], secret))
            service.stopService()
        self.assertEqual(len(self.said("error")), 2)

    def test_the_handler_of_before(self) -> None:
        """
        It is called as well, and is back once the service has stopped.
        """
        heard: list[int] = []
        signal.signal(signal.SIGHUP, partial(_note, heard))
        before = signal.getsignal(signal.SIGHUP)
        service = self.service()
        self.signal(signal.SIGHUP)
        self.parts.busy.callback(None)
        service.stopService()
        self.assertEqual((heard, signal.getsignal(signal.SIGHUP)), ([signal.SIGHUP], before))


class StoppingTests(ServiceCase):
    """
    Its end.
    """

    def test_order(self) -> None:
        """
        It listens no more, waits, drops connections and closes the agent.
        """
        service = self.service(succeed(self.port))
        stopping = service.stopService()
        self.assertEqual((self.port.closed, self.parts.told), (True, ["drain", "drain"]))
        self.parts.busy.callback(None)
        self.successResultOf(stopping)
        self.assertEqual((self.parts.told[2:], self.said("warn")), (["abort", "close"], []))

    def test_last_bytes(self) -> None:
        """
        Connections that still have something to say are waited for.
        """
        self.parts.clients.open = 1
        self.parts.busy.callback(None)
        stopping = self.service().stopService()
        self.clock.pump([0.1] * 3)
        self.assertNoResult(stopping)
        self.parts.clients.open = 0
        self.clock.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """
        What takes longer than the policy allows is cut off, with a warning.
        """
        stopping = self.service().stopService()
        self.clock.advance(29.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.successResultOf(stopping)
        self.assertEqual((self.parts.told[2:], len(self.said("warn"))), (["abort", "close"], 1))

    def test_second_signal(self) -> None:
        """
        SIGTERM and SIGINT end the waiting, and are what they were before afterwards.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            heard: list[int] = []
            signal.signal(number, partial(_note, heard))
            before = signal.getsignal(number)
            self.parts.busy = Deferred()
            stopping = self.service().stopService()
            self.signal(number)
            self.successResultOf(stopping)
            self.assertEqual((heard, signal.getsignal(number), self.clock.getDelayedCalls()), ([], before, []))


class AddressTests(TestCase):
    """
    Where it listens, in words.
    """

    def test_written(self) -> None:
        """
        Addresses are written as in a URL; sockets by their path.
        """
        for address, expected in [
            (IPv6Address("TCP", "::1", 8009), "[::1]:8009"),
            (UNIXAddress("/run/s"), "/run/s"),
        ]:
            self.assertEqual(_written(address), expected)

    def test_is_local(self) -> None:
        """
        Loopback is, and so are sockets.
        """
        for address, expected in [
            (IPv6Address("TCP", "::1", 1), True),
            (IPv6Address("TCP", "fe80::1%eth0", 1), False),
            (UNIXAddress("/run/s"), True),
        ]:
            self.assertEqual(_is_local(address), expected)


class RealEndpointTests(SocketCase):
    """
    Listening for real.
    """

    def setUp(self) -> None:
        """
        Keep the log.
        """
        super().setUp()
        self.events = self.keep_log()
        self.parts = Parts()
        self.parts.busy.callback(None)

    def start(self, description: str) -> GatewayService:
        """
        Start a service.
        """
        parts: Any = self.parts
        factory: Any = Factory()
        factory.noisy, factory.drain, factory.abort = False, parts.drain, parts.abort
        endpoints = [(description, serverFromString(reactor, description))]
        service = GatewayService(reactor, endpoints, parts, parts, factory, parts.load_secret)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def is_socket(self, name: str) -> bool:
        """
        Tell whether there is such a socket.
        """
        return Path(name).is_socket()

    def warnings(self) -> int:
        """
        Count the warnings.
        """
        return len([one for one in self.events if one["log_level"].name == "warn"])

    async def test_unix_socket(self) -> None:
        """
        The file of a socket is gone with the service.
        """
        # The path of a socket may have about 100 bytes.
        name = self.id().rpartition(".")[2]
        service = self.start(f"unix:{name}:mode=600")
        there = self.is_socket(name)
        await service.stopService()
        # Twisted itself compares the path with bytes and with text.
        self.assertEqual({one["category"] for one in self.flushWarnings()} - {BytesWarning}, set())
        self.assertEqual((there, self.is_socket(name), self.warnings()), (True, False, 0))

    def test_in_clear(self) -> None:
        """
        Only who listens for other hosts without TLS is warned.
        """
        self.start(LOCAL)
        self.assertEqual(self.warnings(), 0)
        shown = root("Our root").below("gateway.test", authority=False)
        file = Path(self.mktemp())
        file.write_bytes(shown.pem + shown.key_pem)
        self.start(f"ssl:0:privateKey={file}:certKey={file}")
        self.assertEqual(self.warnings(), 0)
        self.start("tcp:0")
        self.assertEqual(self.warnings(), 1)

    def test_in_clear_by_any_endpoint(self) -> None:
        """
        Sockets of IPv6, and those that systemd has opened, are no exception.
        """
        service, clear = self.start(LOCAL), IPv6Address("TCP", "2001:db8::1", 1)
        for endpoint in (TCP6ServerEndpoint(reactor, 1), AdoptedStreamServerEndpoint(reactor, 1, AF_INET6)):
            before = self.warnings()
            service._tell(endpoint, IPv6Address("TCP", "::1", 1))
            self.assertEqual(self.warnings() - before, 0)
            service._tell(endpoint, clear)
            self.assertEqual(self.warnings() - before, 1)

    async def test_reload_in_the_reactor(self) -> None:
        """
        SIGHUP wakes the reactor up.
        """
        self.start(LOCAL)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: self.parts.secret == "new")
        self.assertEqual(self.parts.told, ["reload"])


class AssemblyTests(TestCase):
    """
    L{matrix_federation_agent._gateway.assembly}.
    """

    async def test_agent(self) -> None:
        """
        Each policy and the store reach the agent; a name server is asked only when one is named.
        """
        made: list[dict[str, Any]] = []
        self.patch(MatrixFederationAgent, "new", lambda _, **given: made.append(given))
        changes = ["max-sessions", "well-known-fetches", "max-targets"]
        options = GatewayOptions()
        options.parseOptions(
            ["--listen", "tcp:1", "--secret-file", "s", "--allow-network", "10.0.0.0/8", "--proxy", "http://h:1"]
            + [text for name in changes for text in (f"--{name}", "7")]
        )
        found = options.configuration
        make_agent(reactor, found)
        others = NameServers(dns=["127.0.0.1"]), StoreSettings(sqlite=self.mktemp())
        make_agent(reactor, attrs.evolve(found, name_servers=others[0], store=others[1]))
        policies = ("trust", "addresses", "discovery", "connections", "proxies")
        self.assertEqual([made[0][name] for name in policies], [getattr(found, name) for name in policies])
        self.assertEqual((made[0]["resolver"], type(made[1]["resolver"])), (None, NameServerResolver))
        self.assertEqual((made[0]["store"], type(made[1]["store"])), (None, SQLiteStore))
        await made[1]["store"].close()
        self.assertEqual((found.trust.max_sessions, found.connections.max_targets), (7, 7))

    def test_endpoints(self) -> None:
        """
        What is no server endpoint is named, whatever its parser raises.
        """
        for text in (
            "tpc:1",
            "tcp:x",
            "tcp",
            "",
            "tcp:1:bogus=1",
            "systemd:domain=INET:index=7",
            "ssl:1:privateKey=no",
        ):
            error = self.assertRaises(ConfigurationError, server_endpoint, reactor, text)
            self.assertIn(f"{text!r} is no server endpoint: ", error.reason)

    def test_systemd_has_none(self) -> None:
        """
        Of a socket that systemd has not handed over, more is told than the name.
        """
        for text in ("systemd:domain=INET:name=gateway", "systemd:domain=INET:index=7"):
            error = self.assertRaises(ConfigurationError, server_endpoint, reactor, text)
            self.assertIn(f"{text!r} is no server endpoint: systemd has handed over no such socket", error.reason)

    def test_secret_for_everybody(self) -> None:
        """
        A secret that everybody can read is a warning.
        """
        path, events = Path(self.mktemp()), self.keep_log()
        path.write_text("secret\n")
        for mode, expected in ((0o640, 0), (0o644, 1)):
            path.chmod(mode)
            secret = load_secret(str(path))
            self.assertEqual((secret.check([b"Bearer secret"]), len(events)), (None, expected))
        self.assertIsInstance(secret, Secret)

    def test_password_for_everybody(self) -> None:
        """
        A password that everybody can read is a warning as well.
        """
        path, events = Path(self.mktemp()), self.keep_log()
        path.write_text("secret\n")
        settings = StoreSettings(redis="tpc:x", redis_password_file=str(path))
        for mode, expected in ((0o640, []), (0o644, [str(path)])):
            path.chmod(mode)
            self.assertEqual(self.assertRaises(ConfigurationError, open_store, reactor, settings).setting, "redis")
            self.assertEqual([event["path"] for event in events], expected)

    async def test_stores(self) -> None:
        """
        The settings choose the store, or none.
        """
        path = self.mktemp()
        redis = StoreSettings(redis="tcp:127.0.0.1:1", redis_password_file=str(SHORT), redis_prefix="p")
        found = [open_store(reactor, one) for one in (StoreSettings(), StoreSettings(sqlite=path), redis)]
        try:
            self.assertEqual([type(one) for one in found], [type(None), SQLiteStore, RedisStore])
            self.assertIn("prefix='p'", repr(found[2]))
            # txredisapi itself compares bytes with text, when it is first imported.
            self.assertEqual({one["category"] for one in self.flushWarnings()} - {BytesWarning}, set())
        finally:
            for one in found[1:]:
                assert one is not None
                await maybeDeferred(one.close)
            await deferLater(reactor, 0)

    def test_settings_of_stores(self) -> None:
        """
        What is said of a store reaches it.
        """
        made: list[Any] = []
        self.patch(assembly, "SQLiteStore", lambda _, *given: made.append(given))
        self.patch(assembly, "RedisStore", lambda *_, **given: made.append(given))
        path = self.mktemp()
        open_store(reactor, StoreSettings(sqlite=path, sqlite_limit=7))
        names: Any = {"redis_database": 3, "redis_username": "u", "redis_password_file": str(SHORT)}
        open_store(reactor, StoreSettings(redis="tcp:x:1", redis_prefix="p", **names))
        password = SHORT.read_text("utf-8").removesuffix("\n")
        self.assertEqual(made[0], (path, 7))
        self.assertEqual(made[1], {"database": 3, "username": "u", "password": password, "prefix": "p"})

    def test_no_store(self) -> None:
        """
        A store that cannot be used is an error that names the setting.
        """
        bad, folder = Path(self.mktemp()), Path(self.mktemp())
        bad.write_bytes(b"\xff")
        folder.mkdir()
        for setting, settings in [
            ("redis", StoreSettings(redis="tpc:x")),
            ("redis_password_file", StoreSettings(redis="tcp:x", redis_password_file="/does/not/exist")),
            ("redis_password_file", StoreSettings(redis="tcp:x", redis_password_file=str(bad))),
            ("sqlite", StoreSettings(sqlite=str(folder))),
            ("sqlite", StoreSettings(sqlite=str(folder / "none" / "file"))),
            ("sqlite", StoreSettings(sqlite=str(bad / "file"))),
        ]:
            error = self.assertRaises(ConfigurationError, open_store, reactor, settings)
            self.assertEqual(error.setting, setting)

    def test_passwords(self) -> None:
        """
        A password that is empty, or too long to be read whole, is refused.
        """
        path = Path(self.mktemp())
        for content in ("", "\n", "x" * 4097):
            path.write_text(content)
            path.chmod(0o600)
            settings = StoreSettings(redis="tcp:x", redis_password_file=str(path))
            error = self.assertRaises(ConfigurationError, open_store, reactor, settings)
            self.assertEqual(error.setting, "redis_password_file")
