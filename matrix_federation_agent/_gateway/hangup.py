"""
Clients that go away while nothing is read from them.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .wire import GatewayConnection

INTERVAL = 1.0
"""
Seconds between two looks.
"""

# That the other side sends nothing more is told on Linux alone.
_EVENTS = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class HangUps:
    """
    Looks whether clients are still there whose connections do not read: to
    the reactor, those have not ended.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._watched: set[GatewayConnection] = set()
        self._timer: IDelayedCall | None = None

    def add(self, connection: GatewayConnection) -> None:
        """
        Look after a connection.
        """
        self._watched.add(connection)
        if self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._look)

    def discard(self, connection: GatewayConnection) -> None:
        """
        Leave it alone.
        """
        self._watched.discard(connection)
        if not self._watched and self._timer is not None:
            timer, self._timer = self._timer, None
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        found = hung_up({connection.transport.fileno(): connection for connection in self._watched})
        for connection in found:
            connection.abort()
        if self._watched and self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._look)


def hung_up(watched: dict[int, GatewayConnection]) -> list[GatewayConnection]:
    """
    Find those whose clients are gone.

    @param watched: by file descriptor; those below zero are closed already.
    """
    poll = select.poll()
    for descriptor in watched:
        if descriptor >= 0:
            poll.register(descriptor, _EVENTS)
    return [watched[descriptor] for descriptor, _ in poll.poll(0)]
