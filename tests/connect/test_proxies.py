"""
Tests of C{matrix_federation_agent._connect.proxies} and C{tunnel}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from matrix_federation_agent import ProxyPolicy, ServerName
from matrix_federation_agent._connect.http_connect import HTTPConnect
from matrix_federation_agent._connect.open_connections import OpenConnections
from matrix_federation_agent._connect.proxies import resolves_here
from matrix_federation_agent._connect.tunnel import Tunnel
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._policies.proxy_urls import read_proxy
from matrix_federation_agent.errors import ProxyError
from tests.case import TestCase
from tests.connect.in_memory import Application, Applications

OK = b"HTTP/1.1 200 OK\r\n\r\n"

# Whether names are resolved here, the proxy, a host, and what follows.
RESOLVED = [
    (True, "http://h", "ex.com", True),
    (True, "https://h", "ex.com", True),
    (True, "socks5h://h", "ex.com", False),
    (True, "http://h", "192.0.2.1", False),
    (True, "http://h", "[2001:db8::1]", False),
    (True, "http://h", "abc.ONION", False),
    (False, "http://h", "ex.com", False),
]


class TunnelTests(TestCase):
    """
    L{Tunnel}, with something else than TLS inside.
    """

    def setUp(self) -> None:
        """
        Connect it to a proxy.
        """
        super().setUp()
        self.applications = Applications()
        self.open_connections = OpenConnections()
        negotiation = HTTPConnect(read_proxy("rules", "http://h"), Target(ServerName("ex.com"), 8448), 100)
        self.tunnel = Tunnel(negotiation, self.applications, self.open_connections, self.objection)
        self.transport = StringTransport()
        self.tunnel.makeConnection(self.transport)  # type: ignore[no-untyped-call]
        self.transport.clear()

    def objection(self, words: str, status: int | None) -> ProxyError:
        """
        Make an error.
        """
        return ProxyError("ex.com", words, status=status)

    @property
    def inside(self) -> Application:
        """
        What was built inside.
        """
        (built,) = self.applications.built
        assert built is not None
        return built

    def lose(self) -> None:
        """
        End the connection.
        """
        self.tunnel.connectionLost(Failure(ConnectionDone()))

    def test_it_is_accounted_for_until_tls_is(self) -> None:
        """
        While the proxy is asked, the connection is an open one, that is dropped with all others.
        """
        self.assertEqual(len(self.open_connections), 1)
        emptied = self.open_connections.abort()
        self.assertTrue(self.transport.disconnected)
        self.lose()
        self.successResultOf(emptied)
        self.assertEqual(self.failureResultOf(self.tunnel.established, ProxyError).value.status, None)

    def test_what_is_inside_accounts_for_itself(self) -> None:
        """
        Once the proxy has led there, the tunnel is no open connection of its own.
        """
        self.tunnel.dataReceived(OK)
        self.successResultOf(self.tunnel.established)
        self.assertEqual((len(self.open_connections), self.inside.events), (0, ["made"]))

    def test_what_is_inside_has_the_connection_itself(self) -> None:
        """
        Whoever pauses inside, pauses the connection to the proxy.
        """
        self.tunnel.dataReceived(OK)
        self.assertIs(self.inside.transport, self.transport)

    def test_the_account_is_never_empty_meanwhile(self) -> None:
        """
        Who waits for the last connection to end does not take the change of hands for it.
        """
        counts: list[int] = []

        def build() -> Application:
            counts.append(len(self.open_connections))
            return Application()

        self.applications.build = build
        self.tunnel.dataReceived(OK)
        self.successResultOf(self.tunnel.established)
        self.assertEqual(counts, [1])

    def test_what_is_inside_cannot_begin(self) -> None:
        """
        Whatever is raised inside, the connection does not stay an open one.
        """

        def fail() -> None:
            raise KeyError("inside")

        application = Application()
        application.connectionMade = fail  # type: ignore[method-assign]
        self.applications.build = lambda: application
        self.assertRaises(KeyError, self.tunnel.dataReceived, OK)
        self.lose()
        self.assertEqual((len(self.open_connections), self.inside.events), (0, ["lost"]))

    def test_everything_afterwards_is_passed_on(self) -> None:
        """
        What follows the answer, what comes later, and the end.
        """
        self.tunnel.dataReceived(OK + b"first")
        self.tunnel.dataReceived(b" second")
        self.lose()
        self.assertEqual((self.inside.data, self.inside.events), (b"first second", ["made", "lost"]))
        self.successResultOf(self.tunnel.established)

    def test_nothing_empty_is_passed_on(self) -> None:
        """
        Inside hears nothing before there is something.
        """
        heard: list[bytes] = []
        application = Application()
        application.dataReceived = heard.append  # type: ignore[assignment, method-assign]
        self.applications.build = lambda: application
        self.tunnel.dataReceived(OK)
        self.assertEqual(heard, [])

    def test_a_refusal_drops_the_connection(self) -> None:
        """
        At once, and nothing that comes later counts.
        """
        self.tunnel.dataReceived(b"HTTP/1.1 403 X\r\n\r\n")
        self.tunnel.dataReceived(OK)
        self.assertEqual(self.failureResultOf(self.tunnel.established, ProxyError).value.status, 403)
        self.lose()
        self.assertEqual((self.transport.disconnected, self.applications.built), (True, []))
        self.assertEqual(len(self.open_connections), 0)

    def test_cancelling_drops_the_connection(self) -> None:
        """
        At once, and nothing that comes later counts.
        """
        self.tunnel.established.cancel()
        self.tunnel.dataReceived(OK)
        self.lose()
        self.failureResultOf(self.tunnel.established, CancelledError)
        self.assertEqual((self.transport.disconnected, self.applications.built), (True, []))

    def test_cancelling_when_the_transport_is_lost_at_once(self) -> None:
        """
        Cancelling is C{CancelledError} also on a transport that tells of its end inside C{abortConnection}.
        """
        self.patch(self.transport, "abortConnection", self.lose)
        self.tunnel.established.cancel()
        self.failureResultOf(self.tunnel.established, CancelledError)
        self.assertEqual(len(self.open_connections), 0)

    def test_cancelling_before_there_is_a_connection(self) -> None:
        """
        There is nothing to drop.
        """
        negotiation = HTTPConnect(read_proxy("rules", "http://h"), Target(ServerName("ex.com"), 8448), 100)
        tunnel = Tunnel(negotiation, Factory(), OpenConnections(), self.objection)
        tunnel.established.cancel()
        self.failureResultOf(tunnel.established, CancelledError)


class ResolvingTests(TestCase):
    """
    L{resolves_here}.
    """

    def test_who_resolves(self) -> None:
        """
        Names for CONNECT are resolved here where that is wished, .onion names never.
        """
        for wished, url, host, expected in RESOLVED:
            policy = ProxyPolicy([("*", url)], wished)
            found = resolves_here(policy, read_proxy("rules", url), ServerName(host))
            self.assertIs(found, expected, f"{wished} {url} {host}")
