"""
The connections to one destination, and the requests that wait for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from .._http.connection import HTTPConnection
    from .._policies import ConnectionPolicy
    from .._server_name import ServerName
    from .destination import Destination
    from .slots import Claim


@attrs.frozen
class Connections:
    """
    The connections to one destination, at one moment.

    @ivar scheme: C{matrix-federation} or C{https}.
    @ivar effective: the name that answers there.
    @ivar idle: connections that wait for a request.
    @ivar busy: connections that carry one.
    @ivar connecting: connections that are being made.
    @ivar waiting: requests that wait for a connection.
    """

    scheme: str
    effective: ServerName
    idle: int
    busy: int
    connecting: int
    waiting: int

    def __str__(self) -> str:
        name = f"{self.scheme}://{self.effective}"
        return f"{name}: {self.idle} idle, {self.busy} busy, {self.connecting} connecting, {self.waiting} waiting"


@attrs.define(eq=False)
class Waiting:
    """
    A request that waits for a connection.

    @ivar number: in order of arrival, over all destinations.
    @ivar fresh: whether the connection must have carried no request yet.
    @ivar given: fires with the connection.
    @ivar timer: ends the waiting.
    @ivar extended: whether it waits for what is being connected, although
        its time is over.
    """

    destination: Destination
    number: int
    fresh: bool
    given: Deferred[HTTPConnection] = attrs.field(factory=Deferred)
    timer: IDelayedCall | None = None
    extended: bool = False

    def stop(self) -> None:
        """
        End the timer.
        """
        if self.timer is not None and self.timer.active():
            self.timer.cancel()


@attrs.define(eq=False)
class Connecting:
    """
    A connection that is being made.

    @ivar claim: for a slot; L{None} until the targets are known.
    @ivar has_slot: whether it has the slot.
    @ivar cancelled: whether it is not wanted any more.
    @ivar failed: whether it has failed.
    """

    claim: Claim | None = None
    running: Deferred[Any] | None = None
    has_slot: bool = False
    cancelled: bool = False
    failed: bool = False

    @property
    def is_held(self) -> bool:
        """
        Whether it has not begun because there are too many connections.
        """
        return self.claim is not None and not self.claim.granted.called

    def cancel(self) -> None:
        """
        Give it up.
        """
        self.cancelled = True
        if self.running is not None:
            self.running.cancel()


@attrs.define(eq=False)
class Lane:
    """
    What the pool has for one destination.

    @ivar open: the connections that were made and are not lost, idle or busy.
    @ivar idle: those that wait for a request, the last used at the end.
    @ivar retired: those of the others that carry no further one.
    @ivar connecting: those that are being made, the newest at the end.
    @ivar waiting: the requests that wait, in order.
    @ivar objection: why the last attempt to connect failed, if it did.
    """

    destination: Destination
    open: list[HTTPConnection] = attrs.field(factory=list)
    idle: list[HTTPConnection] = attrs.field(factory=list)
    retired: tuple[HTTPConnection, ...] = ()
    connecting: list[Connecting] = attrs.field(factory=list)
    waiting: dict[Waiting, None] = attrs.field(factory=dict)
    objection: str = ""

    @property
    def is_empty(self) -> bool:
        """
        Whether there is nothing to know any more.
        """
        return not (self.open or self.connecting or self.waiting)

    @property
    def is_held(self) -> bool:
        """
        Whether nothing is being done to connect.
        """
        return all(attempt.is_held for attempt in self.connecting)

    def wants_more(self, policy: ConnectionPolicy) -> bool:
        """
        Whether one more connection should be made: there is a request that
        waits for no other, and there are not as many, open or being made, as
        may be.  A request that is repeated always finds room: it has lost one.
        """
        connecting = len(self.connecting)
        is_full = len(self.open) + connecting >= policy.open_connections
        return not is_full and connecting < min(policy.connecting, len(self.waiting))

    def enqueue(self, waiting: Waiting) -> None:
        """
        Let a request wait: at the end, or in front of all others if it was
        sent already.
        """
        if waiting.fresh:
            self.waiting = {waiting: None, **self.waiting}
        else:
            self.waiting[waiting] = None

    def first_for(self, connection: HTTPConnection) -> Waiting | None:
        """
        Find the first request that may have a connection.
        """
        reused = connection.requests > 0
        return next((waiting for waiting in self.waiting if not (reused and waiting.fresh)), None)

    def hopeless(self) -> list[Waiting]:
        """
        List those that no open connection will ever serve.
        """
        return [waiting for waiting in self.waiting if waiting.fresh or not self.open]

    def remove(self, connection: HTTPConnection) -> None:
        """
        Forget a connection.
        """
        self.open.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if connection in self.retired:
            self.retired = tuple(one for one in self.retired if one is not connection)

    def status(self) -> Connections:
        """
        Count.
        """
        scheme, effective = self.destination.scheme.decode("ascii"), self.destination.effective
        idle, connecting = len(self.idle), len(self.connecting)
        return Connections(scheme, effective, idle, len(self.open) - idle, connecting, len(self.waiting))
