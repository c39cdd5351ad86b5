"""
Virtual addresses at which something listens, on ports of 127.0.0.1.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from ._addresses import LOOPBACK, Endpoint, canonical
from ._certificates import Certificate
from ._connections import OpenConnections, TrackedFactory
from ._reactor import LoopbackReactor


@attrs.frozen
class _Listener:
    port: IListeningPort
    connections: OpenConnections


class VirtualNetwork:
    """
    What listens at virtual addresses.

    @ivar reactor: the reactor to hand to what is tested: it leads virtual addresses here and refuses all others.
    """

    def __init__(self, reactor: LoopbackReactor) -> None:
        """
        Begin with nothing that listens.

        @param reactor: the reactor whose virtual addresses these are.
        """
        self.reactor = reactor
        self._listeners: dict[Endpoint, _Listener] = {}

    @property
    def dialled(self) -> list[Endpoint]:
        """
        Every (virtual address, port) that somebody tried to connect to, in order.
        """
        return self.reactor.dialled

    def listen_tls(
        self, address: str, port: int, factory: IProtocolFactory, certificate: Certificate
    ) -> TrackedFactory:
        """
        Listen with TLS at a virtual address.

        @param address: the virtual address.
        @param port: the virtual port.
        @param factory: the protocols inside the TLS.
        @param certificate: what is shown to the client.
        @return: a factory that counts the accepted connections.
        @raise ValueError: when the place is taken.
        """
        secured = TLSMemoryBIOFactory(certificate.context_factory(), isClient=False, wrappedFactory=factory)
        return self.listen_tcp(address, port, secured)

    def listen_tcp(self, address: str, port: int, factory: IProtocolFactory) -> TrackedFactory:
        """
        Listen without TLS at a virtual address.

        @param address: the virtual address.
        @param port: the virtual port.
        @param factory: the protocols.
        @return: a factory that counts the accepted connections.
        @raise ValueError: when the place is taken.
        """
        if self.reactor.is_mapped(address, port):
            raise ValueError(f"something listens at {address} port {port} already")
        connections = OpenConnections()
        tracked = TrackedFactory(factory, connections)
        listening = self.reactor.listenTCP(0, tracked, interface=LOOPBACK)
        self._listeners[canonical(address), port] = _Listener(listening, connections)
        self.reactor.map(address, port, listening.getHost().port)  # type: ignore[attr-defined]
        return tracked

    def black_hole(self, address: str, port: int) -> None:
        """
        Let connections to a virtual address vanish: they are neither accepted nor refused.

        @param address: the virtual address.
        @param port: the virtual port.
        """
        self.reactor.black_hole(address, port)

    def close(self, address: str, port: int) -> Deferred[None]:
        """
        Stop what listens at a virtual address, or the black hole there: new connections are refused, old ones aborted.

        @param address: the virtual address.
        @param port: the virtual port.
        @return: a L{Deferred} that fires when it has happened.
        """
        return Deferred.fromCoroutine(self._close((canonical(address), port)))

    async def close_all(self) -> None:
        """
        Give up every connection and attempt, and listen nowhere.
        """
        await self.reactor.disconnect_all()
        for place in list(self._listeners):
            await self._close(place)
        # A connection that was under way when the first line ran has been made, or refused, by now.
        await self.reactor.disconnect_all()

    async def _close(self, place: Endpoint) -> None:
        self.reactor.unmap(*place)
        listener = self._listeners.pop(place, None)
        if listener is not None:
            await maybeDeferred(listener.port.stopListening)
            await listener.connections.abort_all()
