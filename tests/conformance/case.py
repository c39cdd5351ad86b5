"""
The base of every test that sends real requests, and what it looks at them with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs
import treq
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater

from matrix_federation_agent import DiscoveryPolicy
from matrix_federation_agent.errors import FederationError
from matrix_federation_agent.testing import Certificate, VirtualServer
from tests.case import TestCase
from tests.federation import FederationTestCase

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from matrix_federation_agent import MatrixFederationAgent

T = TypeVar("T")
E = TypeVar("E", bound=FederationError)

VERSION = "/_matrix/federation/v1/version"
IMPATIENT = DiscoveryPolicy(well_known_timeout=0.3)


@attrs.frozen
class WatchedCertificate(Certificate):
    """
    A certificate whose server notes what clients ask for, and may refuse the newest TLS.

    @ivar sni: the server name of each handshake.
    @ivar newest: the newest version that is spoken, or L{None}.
    """

    sni: list[bytes | None] = attrs.field(factory=list)
    newest: int | None = None

    def context_factory(self) -> IOpenSSLContextFactory:
        """
        Make the TLS settings of the server.
        """
        factory = super().context_factory()
        context = factory.getContext()
        if self.newest is not None:
            context.set_max_proto_version(self.newest)
        context.set_tlsext_servername_callback(self._note)
        return factory

    def _note(self, connection: SSL.Connection) -> None:
        self.sni.append(connection.get_servername())


def watched(certificate: Certificate, newest: int | None = None) -> WatchedCertificate:
    """
    Watch what is asked of a server that shows this certificate.
    """
    return WatchedCertificate(certificate.certificate_pem, certificate.private_key_pem, newest=newest)


class RawPeer(Protocol):
    """
    Says the next of its factory's lines whenever a request has arrived.
    """

    factory: RawServer

    def connectionMade(self) -> None:
        """
        Speak first, when there is something to be said before any request.
        """
        self._heard = b""
        self.factory.connected += 1
        self.factory.accepted += 1
        assert self.transport is not None
        if self.factory.greeting is not None:
            self.transport.write(self.factory.greeting)
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what arrives, and answer a complete head.
        """
        self.factory.received += data
        self._heard += data
        if b"\r\n\r\n" in self._heard:
            self._heard = b""
            assert self.transport is not None
            self.transport.write(self.factory.answer)
            if self.factory.closes:
                self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.factory.connected -= 1


class RawServer(Factory):
    """
    A server that answers every request with the same bytes.

    @ivar received: every byte that arrived.
    @ivar connected: how many connections are open.
    @ivar accepted: how many there ever were.
    """

    noisy = False

    def __init__(self, answer: bytes = b"", *, closes: bool = True, greeting: bytes | None = None) -> None:
        """
        @param closes: whether the connection ends after the answer.
        @param greeting: is sent before any request, and then the connection ends.
        """
        self.answer = answer
        self.closes = closes
        self.greeting = greeting
        self.received = b""
        self.connected = 0
        self.accepted = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = RawPeer()
        peer.factory = self
        return peer


class Unhurried:
    """
    The part of a body's producer that does as it is told by doing nothing.
    """

    def pauseProducing(self) -> None:
        """
        Nothing to do.
        """

    def resumeProducing(self) -> None:
        """
        Nothing to do.
        """

    def stopProducing(self) -> None:
        """
        Nothing to do.
        """


async def until(condition: Callable[[], bool]) -> None:
    """
    Let the reactor run until a condition holds; trial's own timeout is the limit.
    """
    while not condition():
        await deferLater(reactor, 0.005)


class SocketCase(TestCase):
    """
    A test with real sockets.
    """

    timeout = 20


class FederationCase(FederationTestCase, SocketCase):
    """
    A test with a federation.
    """

    def setUp(self) -> None:
        """
        Start it, and stop it afterwards.
        """
        super().setUp()
        self.dns = self.federation.name_server
        self.certificates = self.federation.certificates

    def serve(self, identity: str, address: str, port: int = 8448) -> VirtualServer:
        """
        Place a homeserver that proves one identity, and look at its SNI in C{self.sni}.
        """
        certificate = watched(self.certificates.issue(identity))
        self.sni = certificate.sni
        return self.federation.serve_homeserver(identity, address, port, certificate=certificate)

    def ask(self, name: str, agent: MatrixFederationAgent | None = None, path: str = VERSION) -> Deferred[IResponse]:
        """
        Send a GET request to a server by its name.
        """
        uri = f"matrix-federation://{name}{path}".encode("ascii")
        return (agent or self.federation.agent()).request(b"GET", uri)

    async def get(self, name: str, agent: MatrixFederationAgent | None = None, path: str = VERSION) -> IResponse:
        """
        Send a GET request, and read the response to its end.
        """
        response = await self.ask(name, agent, path)
        await treq.content(response)
        return response

    async def fails(self, work: Awaitable[object], kind: type[E]) -> E:
        """
        Await work that must fail with exactly one type of error.

        @return: the error.
        """
        deferred = work if isinstance(work, Deferred) else ensureDeferred(work)  # type: ignore[arg-type]
        error = await self.assertFailure(deferred, kind)
        self.assertIs(type(error), kind, str(error))
        return error  # type: ignore[no-any-return]

    @property
    def services(self) -> Sequence[str]:
        """
        The names whose SRV records were asked for, in order.
        """
        return [name for name, kind in self.dns.queries if kind == "SRV"]

    @property
    def hosts(self) -> Sequence[str]:
        """
        The names whose addresses were asked for, each once, in alphabetical order.
        """
        return sorted({name for name, kind in self.dns.queries if kind in ("A", "AAAA")})
