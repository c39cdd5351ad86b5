"""
Accepts the connections of clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.protocol import Factory

from .hangup import HangUps
from .wire import GatewayConnection

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IReactorTime
    from twisted.internet.protocol import Protocol

    from .forwarder import Clients, Forwarder

MAXIMUM_REFUSED = 100
"""
Connections beyond the limit that are told so at the same time; those beyond
are dropped.
"""


class GatewayFactory(Factory):
    """
    Serves HTTP/1.1 to clients of the gateway, over whatever a server endpoint
    offers.
    """

    noisy = False

    def __init__(self, clock: IReactorTime, forwarder: Forwarder) -> None:
        """
        @param clock: the reactor, for limits of time.
        @param forwarder: decides what becomes of requests.
        """
        self._clock = clock
        self._forwarder = forwarder
        self._hang_ups = HangUps(clock)
        self._connections: set[GatewayConnection] = set()
        self._refused: set[GatewayConnection] = set()
        self._draining = False

    @property
    def connections(self) -> Clients:
        """
        Count the connections of clients.
        """
        return self._forwarder.clients

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Accept a connection; one that is too many is told so, and closed.
        """
        refused = len(self._connections) >= self._forwarder.policy.max_connections
        if refused and len(self._refused) >= MAXIMUM_REFUSED:
            return None
        connections = self._refused if refused else self._connections
        made = GatewayConnection(self._clock, self._forwarder, connections, self._hang_ups, refused=refused)
        made.factory = self
        made.last = self._draining
        return made

    def drain(self) -> None:
        """
        Close what is idle, and everything else after its answer.
        """
        self._draining = True
        for connection in list(self._connections):
            connection.drain()

    def abort(self) -> None:
        """
        Drop all connections at once.
        """
        for connection in [*self._connections, *self._refused]:
            connection.abort()
