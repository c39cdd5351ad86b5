"""
Proxies of the tests' own: one that works, and one that says whatever it is told to say.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

    from matrix_federation_agent.testing import LoopbackFederation


class Counted(Protocol):
    """
    A connection that its factory counts.
    """

    factory: CountingFactory
    transport: Any

    def connectionMade(self) -> None:
        """
        One more.
        """
        self.factory.connected += 1
        self.factory.accepted += 1

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        One less.
        """
        self.factory.connected -= 1


class CountingFactory(Factory):
    """
    A factory that counts its connections.

    @ivar connected: how many are open.
    @ivar accepted: how many there ever were.
    @ivar received: every byte that arrived before any tunnel.
    """

    noisy = False

    def __init__(self) -> None:
        self.connected = 0
        self.accepted = 0
        self.received = b""


class _Script(Counted):
    def connectionMade(self) -> None:
        """
        Begin with the first answer.
        """
        super().connectionMade()
        factory: Any = self.factory
        self._answers = list(factory.answers)

    def dataReceived(self, data: bytes) -> None:
        """
        Give the next answer to whatever arrived.
        """
        self.factory.received += data
        answer = self._answers.pop(0) if self._answers else b""
        if answer is None:
            self.transport.abortConnection()
        else:
            self.transport.write(answer)


class ScriptedProxy(CountingFactory):
    """
    Answers whatever arrives with the next of its answers; L{None} ends the connection.
    """

    protocol = _Script  # type: ignore[assignment]

    def __init__(self, *answers: bytes | None) -> None:
        super().__init__()
        self.answers = answers


class _Outward(Protocol):
    """
    The side of a working proxy that faces the server.
    """

    def __init__(self, client: _Working) -> None:
        self._client = client

    def connectionMade(self) -> None:
        """
        Tell the client.
        """
        self._client.reached(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self._client.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on.
        """
        self._client.transport.loseConnection()


class _Outwards(ClientFactory):
    noisy = False

    def __init__(self, client: _Working) -> None:
        self._client = client

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the side that faces the server.
        """
        return _Outward(self._client)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        """
        Tell the client.
        """
        self._client.not_reached()


class _Working(Counted):
    """
    The side of a working proxy that faces the client.
    """

    factory: WorkingProxy

    def connectionMade(self) -> None:
        """
        Wait for the client to speak.
        """
        super().connectionMade()
        self.factory.at_connection()
        self._heard = b""
        self._outward: Any = None
        self._success = self._failure = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Take a request, or pass on what is for the server.
        """
        if self._outward is not None:
            self._outward.write(data)
            return
        self.factory.received += data
        self._heard += data
        if self._heard.startswith(b"\x05"):
            self._socks()
        elif self._heard.endswith(b"\r\n\r\n"):
            self._success, self._failure = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
            self._go(*self._heard.split(b" ")[1].decode().rsplit(":", 1))

    def _socks(self) -> None:
        greeting, request = self._heard[:3], self._heard[3:]
        if greeting == self._heard:
            self.transport.write(b"\x05\x00")
            return
        self._success, self._failure = (bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0]) for code in (0, 5))
        host = request[5:-2].decode() if request[3] == 3 else str(ip_address(request[4:-2]))
        self._go(host, str(int.from_bytes(request[-2:], "big")))

    def _go(self, host: str, port: str) -> None:
        self.factory.asked.append(f"{host}:{port}")
        address = self.factory.address_of(host.strip("[]"))
        self.factory.reactor.connectTCP(address, int(port), _Outwards(self))

    def reached(self, outward: Any) -> None:
        """
        The server is there.
        """
        self._outward = outward
        self.transport.write(self._success)

    def not_reached(self) -> None:
        """
        The server is not there.
        """
        self.transport.write(self._failure)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client is gone.
        """
        super().connectionLost(reason)
        if self._outward is not None:
            self._outward.loseConnection()


class WorkingProxy(CountingFactory):
    """
    A proxy that speaks CONNECT and SOCKS5, and finds its servers in a federation.

    @ivar asked: where it was asked to connect to, in order.
    @ivar at_connection: is called when a client has connected, before any TLS.
    """

    protocol = _Working  # type: ignore[assignment]

    def __init__(self, federation: LoopbackFederation, names: Callable[[str], str | None] | None = None) -> None:
        """
        @param names: knows names that DNS does not.
        """
        super().__init__()
        self.reactor = federation.reactor
        self.asked: list[str] = []
        self._names = names or federation.name_server.address_of
        self.at_connection: Callable[[], object] = bool

    def address_of(self, host: str) -> str:
        """
        Resolve a name.
        """
        return self._names(host) or host
