"""
A reactor on which virtual addresses lead to loopback ports, and nothing else leads anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IListeningPort,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
from twisted.internet.protocol import DatagramProtocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import alsoProvides, implementer, providedBy

from .._reactor import IReactor
from ._addresses import LOOPBACK, Endpoint, canonical, virtual_peer
from ._attempts import DoomedAttempt
from ._connections import OpenConnections, TrackedFactory


@implementer(IReactorTCP, IReactorSSL, IReactorUDP, IReactorTime, IReactorPluggableNameResolver)
class LoopbackReactor:
    """
    A reactor that connects to virtual addresses, and provides everything else that the wrapped one provides.

    What it cannot map it refuses, so that a test can never reach another machine by TCP.

    @ivar dialled: every (address, port) that somebody tried to connect to, in order, the name server excepted.
    @ivar nameResolver: the L{IHostnameResolver} for code that resolves names by the reactor.
    """

    def __init__(self, reactor: IReactor, name_resolver: IHostnameResolver) -> None:
        """
        Wrap a reactor.

        @param reactor: the reactor that does the work.
        @param name_resolver: what L{nameResolver} shall be.
        """
        self._reactor = reactor
        self._tcp: IReactorTCP = reactor
        self._udp: IReactorUDP = reactor
        self._clock: IReactorTime = reactor
        self.nameResolver = name_resolver
        self.dialled: list[Endpoint] = []
        self._real_ports: dict[Endpoint, int] = {}
        self._black_holes: set[Endpoint] = set()
        self._direct: set[Endpoint] = set()
        self._connections = OpenConnections()
        self._doomed: set[DoomedAttempt] = set()
        alsoProvides(self, *providedBy(reactor))

    def map(self, address: str, port: int, real_port: int) -> None:
        """
        Lead a virtual address to a port of 127.0.0.1.

        @param address: the virtual address.
        @param port: the virtual port.
        @param real_port: the port that really listens.
        """
        self._real_ports[canonical(address), port] = real_port

    def unmap(self, address: str, port: int) -> None:
        """
        Refuse connections to a virtual address from now on.

        @param address: the virtual address.
        @param port: the virtual port.
        """
        self._real_ports.pop((canonical(address), port), None)
        self._black_holes.discard((canonical(address), port))

    def is_mapped(self, address: str, port: int) -> bool:
        """
        Say whether something listens at a virtual address.

        @param address: the virtual address.
        @param port: the virtual port.
        """
        return (canonical(address), port) in self._real_ports

    def black_hole(self, address: str, port: int) -> None:
        """
        Let connections to a virtual address neither succeed nor be refused.

        @param address: the virtual address.
        @param port: the virtual port.
        """
        self._black_holes.add((canonical(address), port))

    def allow_direct(self, host: str, port: int) -> None:
        """
        Let connections to a real address through, unrecorded.

        @param host: a loopback address.
        @param port: the real port.
        """
        self._direct.add((host, port))

    async def disconnect_all(self) -> None:
        """
        Give up every attempt and abort every connection that was made through this reactor.
        """
        for attempt in list(self._doomed):
            attempt.disconnect()
        await self._connections.abort_all()

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """
        Connect to a virtual address.

        C{bindAddress} is not used: a virtual network has no other local address than 127.0.0.1.
        """
        if (host, port) in self._direct:
            return self._tcp.connectTCP(host, port, factory, timeout)
        dialled = (canonical(host), port)
        self.dialled.append(dialled)
        if dialled in self._black_holes:
            return self._doom(dialled, factory, timeout, error.TimeoutError())
        if dialled not in self._real_ports:
            return self._doom(dialled, factory, 0, error.ConnectionRefusedError())
        tracked = TrackedFactory(factory, self._connections, virtual_peer(*dialled))
        return self._tcp.connectTCP(LOOPBACK, self._real_ports[dialled], tracked, timeout)

    def _doom(self, dialled: Endpoint, factory: Any, delay: float | None, reason: Exception) -> DoomedAttempt:
        attempt = DoomedAttempt(self, factory, virtual_peer(*dialled), delay, reason, self._doomed.discard)
        self._doomed.add(attempt)
        attempt.connect()
        return attempt

    def connectSSL(
        self,
        host: str,
        port: int,
        factory: Any,
        contextFactory: Any,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """
        Connect to a virtual address with TLS, by L{connectTCP}.
        """
        secured = TLSMemoryBIOFactory(contextFactory, isClient=True, wrappedFactory=factory)
        return self.connectTCP(host, port, secured, timeout, bindAddress)

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """
        Listen with TLS on the wrapped reactor.
        """
        secured = TLSMemoryBIOFactory(contextFactory, isClient=False, wrappedFactory=factory)
        return self.listenTCP(port, secured, backlog, interface)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """
        Listen on the wrapped reactor.
        """
        return self._tcp.listenTCP(port, factory, backlog, interface)

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """
        Listen on the wrapped reactor.
        """
        return self._udp.listenUDP(port, protocol, interface, maxPacketSize)

    def seconds(self) -> float:
        """
        Give the wrapped reactor's time, in seconds.
        """
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        """
        Schedule a call on the wrapped reactor.
        """
        return self._clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        Give the wrapped reactor's scheduled calls.
        """
        return self._clock.getDelayedCalls()

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """
        Replace L{nameResolver} of this object; the wrapped reactor keeps its own.
        """
        previous, self.nameResolver = self.nameResolver, resolver
        return previous

    def __getattr__(self, name: str) -> object:
        """
        Give whatever else the wrapped reactor has.

        @param name: the attribute.
        """
        return getattr(self._reactor, name)
