"""
A gateway between raw clients and raw servers of a federation.

Test names have the ids of what they show.  They count what is known of Synapse's
C{outbound_federation_restricted_to}: C{G2.3} is the third bullet, row or paragraph of the second section, and number
0 is what a section says before its table.

  - 1, configuration of the homeserver.  G1.1, a gateway on TCP, TLS or a Unix socket: C{test_gateway_request}.  G1.7,
    the gateway has to have an address filter: C{test_gateway_errors}.  G1.2 to G1.6 and G1.8 are settings of
    Synapse's.
  - 2, request.  G2.1 the target in absolute form, G2.2 connections, G2.3 Host, G2.4 methods, G2.5 headers, G2.6 path
    and query: C{test_gateway_request}.  G2.7 bodies, G2.8 Expect: C{test_gateway_body}; with pressure:
    C{test_gateway_pressure}.
  - 3, authorisation.  G3.0 before the target, G3.1 missing, G3.2 wrong, G3.3 twice, G3.4 not ASCII, G3.5 none
    configured, G3.6 the form of the answer: C{test_gateway_secret}.  G3.7 is about the other listeners of a Synapse.
  - 4, forwarding.  G4.1 headers, G4.2 Host, G4.3 no body, G4.4 the name in TLS, G4.5 redirects:
    C{test_gateway_forwarding}.
  - 5, response.  G5.1 status, G5.2 headers, G5.3 those named by Connection, G5.4 length, G5.5 no type, G5.6 no body,
    G5.8 the head at once, G5.9 no limit: C{test_gateway_response}.  G5.7 back-pressure: C{test_gateway_pressure}.
  - 6, errors.  G6.1 no response, G6.2 a late one, G6.8 other targets, G6.9 the asterisk, G6.10 longer than Synapse
    waits, G6.12 the type of answers: C{test_gateway_errors}.  G6.3 a stall, G6.4 a broken body, G6.5 one that ends
    with its connection (in C{test_gateway_response}), G6.6 and G6.7 a client that leaves: C{test_gateway_breaks}.
    G6.11 is how Synapse reads a status.
  - 7, what does not go through.  G7.0 https: C{test_gateway_errors}.  The rest is what Synapse fetches by itself.
  - 8, requirements. 1 to 12 have to be, 13 to 24 are better than Synapse's own. Each repeats what is above: G8.1 as
    G2.1 and G2.3, G8.2 as G3.0, G8.3 as G2.6, G8.4 as G4.1, G8.5 as G4.5, G8.6 as G5.1 and G5.2, G8.7 as G6.4, G8.8
    as G6.2, G8.9 as G6.1, G8.10 as G1.7, G8.11 as G1.1, G8.12 as G6.8, G8.13 as G5.4, G8.14 as G5.8, G8.15 as G5.7,
    G8.16 as G6.6, G8.17 as G6.5, G8.18 as G5.3, G8.19 as G6.1, G8.21 as G2.2, G8.23 as G3.6, G8.24 as G2.1. G8.20 is
    the log: C{test_gateway_errors}. G8.22, limits: C{test_gateway_body} and C{test_gateway_limits}.

What has no row there, abuse, is in C{test_gateway_abuse}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.ssl import ClientContextFactory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, DiscoveryPolicy
from matrix_federation_agent._gateway.factory import GatewayFactory
from matrix_federation_agent._gateway.forwarder import Forwarder
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._policies import GatewayPolicy
from tests.conformance.case import FederationCase, until
from tests.conformance.pressing import CONNECTIONS, DISCOVERY, EX
from tests.conformance.raw_peers import Origin, RawClient, answering

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint

    from matrix_federation_agent import MatrixFederationAgent
    from tests.conformance.raw_http import Message
    from tests.conformance.raw_peers import OriginConnection

SECRET = b"s3cret"
NAME = b"ex.com:8448"
URI = b"matrix-federation://ex.com:8448/"
BEARER = b"Proxy-Authorization: Bearer s3cret"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LIMITS: dict[str, Any] = dict.fromkeys(
    ("head_timeout", "idle_timeout", "body_grace", "write_timeout", "response_timeout", "drain_timeout"), 60
)


def request(
    target: bytes = URI, *lines: bytes, method: bytes = b"GET", body: bytes | None = None, version: bytes = b"HTTP/1.1"
) -> bytes:
    """
    Write a request with the right secret, as Synapse would.

    @param lines: further lines of its head.
    @param body: sent with its length, if there is one.
    """
    length = () if body is None else (b"Content-Length: %d" % len(body),)
    head = (b"%b %b %b" % (method, target, version), b"Host: ex.com:80", BEARER, *length, *lines, b"", b"")
    return b"\r\n".join(head) + (body or b"")


class GatewayCase(FederationCase):
    """
    A federation in which C{ex.com} has an address, and a gateway of which every limit of time is a minute but for those
    that a test sets: what ends sooner does not end by another.

    @ivar agent: the agent of the gateway.
    """

    agent: MatrixFederationAgent

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self._here: list[RawClient] = []
        self.addCleanup(self.leave)

    def origin(
        self,
        script: bytes | Callable[[OriginConnection], object] = OK,
        name: str = "ex.com",
        address: str = EX,
        *,
        eager: bool = False,
    ) -> Origin:
        """
        Let a server listen on port 8448.

        @param script: what it answers, or does once a request has arrived.
        @param eager: whether the head of a request is enough for that.
        """
        origin = Origin(answering(script) if isinstance(script, bytes) else script, eager=eager)
        self.federation.listen_tls(address, 8448, origin, self.certificates.issue(name))
        return origin

    def gateway(
        self,
        *,
        connections: dict[str, Any] | None = None,
        discovery: dict[str, Any] | None = None,
        addresses: AddressPolicy | None = None,
        **policy: Any,
    ) -> GatewayFactory:
        """
        Start the gateway on a port of TCP.

        @param connections: settings of its agent's C{ConnectionPolicy}.
        @param discovery: settings of its agent's C{DiscoveryPolicy}.
        @param addresses: the policy of its agent.
        @param policy: settings of its own.
        """
        self.agent = self.federation.agent(
            connections=ConnectionPolicy(**{**CONNECTIONS, **(connections or {})}),
            discovery=DiscoveryPolicy(**{**DISCOVERY, **(discovery or {})}),
            addresses=addresses or self.federation.addresses,
        )
        self.forwarder = Forwarder(reactor, self.agent, Secret.of(SECRET), GatewayPolicy(**{**LIMITS, **policy}))
        self.factory = factory = GatewayFactory(reactor, self.forwarder)
        self.port = self.listen(factory)
        self.addCleanup(self._abort, factory, self.forwarder)
        return factory

    def listen(self, factory: IProtocolFactory) -> int:
        """
        Let something listen until the end of the test.

        @return: its port.
        """
        tcp: Any = reactor
        listening = tcp.listenTCP(0, factory, 1000, "127.0.0.1")
        self.addCleanup(lambda: maybeDeferred(listening.stopListening))
        return int(listening.getHost().port)

    def with_tls(self, factory: GatewayFactory) -> IStreamClientEndpoint:
        """
        Let the gateway listen with TLS as well.

        @return: where.
        """
        context = self.certificates.issue("gateway.test").context_factory()
        port = self.listen(TLSMemoryBIOFactory(context, isClient=False, wrappedFactory=factory))
        return SSL4ClientEndpoint(reactor, "127.0.0.1", port, ClientContextFactory())

    def on_a_unix_socket(self, factory: GatewayFactory) -> IStreamClientEndpoint:
        """
        Let the gateway listen on a Unix socket as well.

        @return: where.
        """
        unix: Any = reactor
        path = self.mktemp()
        listening = unix.listenUNIX(path, factory)
        self.addCleanup(lambda: maybeDeferred(listening.stopListening))
        return UNIXClientEndpoint(reactor, path)

    async def _abort(self, factory: GatewayFactory, forwarder: Forwarder) -> None:
        factory.abort()
        await until(lambda: forwarder.clients.open == 0)

    @property
    def clients(self) -> int:
        """
        How many connections of clients are open.
        """
        return self.forwarder.clients.open

    async def client(self, data: bytes = b"", endpoint: IStreamClientEndpoint | None = None) -> RawClient:
        """
        Connect, and send something.

        @param endpoint: where to, instead of the port of TCP.
        """
        through = endpoint or TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        client: RawClient = await connectProtocol(through, RawClient())
        self._here = [*(one for one in self._here if not one.end), client]
        client.send(data)
        return client

    async def leave(self) -> None:
        """
        Let every client leave.
        """
        here, self._here = self._here, []
        for client in here:
            if not client.end:
                client.drop()
        await until(lambda: all(client.end for client in here))

    async def turn(self) -> None:
        """
        Let the reactor run once.
        """
        await deferLater(reactor, 0)

    async def pause(self, seconds: float = 0.02) -> None:
        """
        Let time pass, where that a limit does not strike is what is tested.
        """
        then = reactor.seconds() + seconds
        await until(lambda: reactor.seconds() > then)

    async def answers(self, client: RawClient, count: int = 1) -> list[Message]:
        """
        Wait for complete responses, or the end of the connection.

        @return: the complete ones.
        """
        await until(lambda: len(client.whole) >= count or client.end != "")
        return client.whole

    async def reply(self, data: bytes, endpoint: IStreamClientEndpoint | None = None) -> Message:
        """
        Send a request over a connection of its own.

        @return: the response, which must be the only one, and complete.
        """
        (response,) = await self.answers(await self.client(data, endpoint))
        return response

    async def forwarded(self, data: bytes) -> Message:
        """
        Send a request to a gateway and a server made for it, which answers.

        @return: the request that the server saw.
        """
        origin = self.origin()
        self.gateway()
        self.assertEqual((await self.reply(data)).code, 200)
        return origin.request

    async def received(self, answer: bytes, data: bytes | None = None) -> Message:
        """
        Have a server answer with these bytes.

        @return: the response that the client saw.
        """
        self.origin(answer)
        self.gateway()
        return await self.reply(request() if data is None else data)
