"""
UDP sockets that many DNS queries share.

What an attacker who cannot see the packets has to guess is the port that a
query was sent from and its identifier (RFC 5452, sections 4.3 and 9.2): 16
bits of the latter, drawn by the operating system's generator, and some 15 of
the former (28,000 ephemeral ports of Linux, one of which it draws for each
socket).  That queries share a socket takes nothing from either: each has one
port and one identifier, and only the packet that names both, the question and
the name server's address counts.  What sharing gives is time to find the
ports that are in use; therefore sockets are replaced after so many queries, or
so many seconds, and closed when no query is under way.

More is not needed here.  DNS tells where a connection leads, and TLS who
answers there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import DatagramProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .._reactor import IReactor

    Heard = Callable[[bytes, tuple[str, int]], object]

MOST = 16
"""
Sockets of one address family among which a query may draw.
"""

SHARED = 8
"""
Queries under way for each of them, before there is one more.
"""

QUERIES = 100
SECONDS = 10
"""
After as many queries, or as many seconds, no further query draws a socket.
"""


class Socket(DatagramProtocol):
    """
    A socket, and who waits for what arrives there.

    @ivar awaited: by identifier.
    @ivar drawn: how many queries were sent from it.
    @ivar opened: when, in seconds.
    """

    noisy = False

    def __init__(self, interface: str, opened: float) -> None:
        self.interface = interface
        self.opened = opened
        self.drawn = 0
        self.awaited: dict[int, Heard] = {}

    def send(self, message: bytes, address: tuple[str, int]) -> None:
        """
        Send a datagram.

        @raise OSError: when it could not be sent.
        """
        transport: Any = self.transport
        transport.write(message, address)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """
        Hand a datagram to the query that it may be an answer to.
        """
        heard = self.awaited.get(int.from_bytes(datagram[:2], "big"))
        if heard is not None:
            heard(datagram, addr)

    def close(self) -> None:
        """
        Close it.
        """
        transport: Any = self.transport
        transport.stopListening()


class UDPSockets:
    """
    Opens sockets while queries are under way, and closes them afterwards.
    """

    def __init__(self, reactor: IReactor, rng: Random) -> None:
        """
        @param rng: cannot be foreseen.
        """
        self._reactor = reactor
        self._rng = rng
        # Those that can be drawn.
        self._open: dict[str, list[Socket]] = {}

    def take(self, interface: str, heard: Heard) -> tuple[Socket, int]:
        """
        Draw a socket and an identifier for a query.

        @param interface: C{"::"} for IPv6, nothing for IPv4.
        @param heard: called with what arrives under the identifier, and with
            the address that it came from.
        @raise CannotListenError: when a socket is needed and cannot be opened.
        """
        socket = self._draw(interface)
        identifier = self._rng.getrandbits(16)
        while identifier in socket.awaited:
            identifier = self._rng.getrandbits(16)
        socket.awaited[identifier] = heard
        socket.drawn += 1
        return socket, identifier

    def _draw(self, interface: str) -> Socket:
        since = self._reactor.seconds() - SECONDS
        fresh = []
        for one in self._open.get(interface, ()):
            if one.drawn < QUERIES and one.opened > since:
                fresh.append(one)
            elif not one.awaited:
                one.close()
        self._open[interface] = fresh
        under_way = sum(len(one.awaited) for one in fresh)
        if len(fresh) <= min(under_way // SHARED, MOST - 1):
            fresh.append(self._opened(interface))
        return self._rng.choice(fresh)

    def _opened(self, interface: str) -> Socket:
        # The operating system draws the port.
        socket = Socket(interface, self._reactor.seconds())
        self._reactor.listenUDP(0, socket, interface)
        return socket

    def give_back(self, socket: Socket, identifier: int) -> None:
        """
        Expect nothing more.  A socket that can be drawn stays while there are
        queries under way from others: the next may well draw it.
        """
        del socket.awaited[identifier]
        drawable = self._open[socket.interface]
        if socket not in drawable:
            if not socket.awaited:
                socket.close()
        elif not any(one.awaited for one in drawable):
            self._open[socket.interface] = []
            for one in drawable:
                one.close()
