"""
Requests over verified connections, which are kept for the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from twisted.internet.defer import Deferred, fail

from .._counters import POOL
from .._http.connection import HTTPConnection
from ..errors import AgentClosed, ResponseFailed
from .connecting import Connector
from .destination import FEDERATION
from .factory import HTTPFactory
from .idle import IdleConnections
from .lane import Lane
from .queue import Queue
from .requests import may_be_repeated, with_body
from .slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from .._counters import Counters
    from .._discovery.routing import Target
    from .._http.connection import Request
    from .._policies import ConnectionPolicy
    from .._server_name import ServerName
    from .destination import Destination
    from .dialer import Dialer
    from .lane import Connections


class ConnectionPool:
    """
    Sends requests, over an idle connection to the same destination where
    there is one.

    Otherwise a request waits: for a connection that is made for those who
    wait, or for one that another request has done with, whichever comes
    first; in order of arrival.

    @ivar clock: what its limits of time go by.
    @ivar slots: the connections that may be open in all.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        dialer: Dialer,
        policy: ConnectionPolicy,
        counters: Counters,
        connection: type[HTTPConnection] = HTTPConnection,
    ) -> None:
        """
        @param connection: what speaks HTTP on a connection.
        """
        self.clock = reactor
        self._policy = policy
        self._counters = counters
        self.slots = Slots(policy.total_open_connections, self.make_room)
        factory = HTTPFactory(lambda: connection(reactor, policy, self._freed, self._lost))
        self._connector = Connector(dialer, policy, self.slots, factory, self)
        self._queue = Queue(reactor, policy, self.slots, lambda: self._count("timeouts"))
        self._idle = IdleConnections[HTTPConnection](reactor, policy.idle_timeout, self._dismiss)
        self._surplus = IdleConnections[HTTPConnection](reactor, policy.surplus_timeout, self._evict_surplus)
        self._lanes: dict[Destination, Lane] = {}
        self._lane_of: dict[HTTPConnection, Lane] = {}
        # Lost before the pool had them.
        self._stillborn: WeakSet[HTTPConnection] = WeakSet()
        self._closed = False

    async def request(self, destination: Destination, request: Request) -> IResponse:
        """
        Send one request and await the head of the response.

        A request that was sent on a used connection, which then closed before
        a byte of the response, is sent once more on a new one, where that
        does no harm (RFC 9110, section 9.2.2; RFC 9112, section 9.3.1).

        @raise FederationError: when no response arrived.
        """
        connection = self._take(destination) or await self._wait(destination)
        if not isinstance(request.body, bytes):
            request = await self._produced(connection, request)
            lane = self._lane_of.get(connection)
            if lane is None or connection in lane.retired:
                # Nothing was sent yet: what became of it meanwhile counts.
                self._freed(connection)
                connection = self._take(destination) or await self._wait(destination)
        if not connection.requests:
            return await connection.send(request)
        self._count("reused")
        try:
            return await connection.send(request)
        except ResponseFailed:
            if connection.heard or not may_be_repeated(request):
                raise
        self._count("retried")
        return await (await self._wait(destination, fresh=True)).send(request)

    async def _produced(self, connection: HTTPConnection, request: Request) -> Request:
        """
        Have the body of a request produced: now, as there is a server that
        proved to be the right one.
        """
        try:
            return await with_body(request, self.clock, self._policy)
        except BaseException:
            self._freed(connection)
            raise

    def _take(self, destination: Destination) -> HTTPConnection | None:
        """
        Find an idle connection, the one that was used last.
        """
        lane = self._lanes.get(destination)
        while lane is not None and lane.idle:
            connection = lane.idle.pop()
            self._end_idling(connection)
            if not self._is_old(connection):
                return connection
            self._count("retired")
            self._dismiss(connection)
        return None

    def _is_old(self, connection: HTTPConnection) -> bool:
        return self.clock.seconds() - connection.born >= self._policy.connection_lifetime

    def _wait(self, destination: Destination, *, fresh: bool = False) -> Deferred[HTTPConnection]:
        """
        Wait for a connection.
        """
        if self._closed:
            return fail(AgentClosed(destination.asked))
        lane = self._lanes.setdefault(destination, Lane(destination))
        given = self._queue.join(lane, destination, self._left, fresh=fresh)
        self._count("waited")
        self._connector.grow(lane)
        return given

    def _left(self, lane: Lane) -> None:
        """
        A request waits no longer.
        """
        self._connector.trim(lane)
        self._clear(lane)

    def _freed(self, connection: HTTPConnection) -> None:
        """
        A connection may carry another request, if it is still the pool's.
        """
        lane = self._lane_of.get(connection)
        if lane is None:
            return
        if connection in lane.retired:
            self._dismiss(connection)
        elif self._is_old(connection):
            self._count("retired")
            self._dismiss(connection)
        else:
            self._offer(lane, connection)

    def _offer(self, lane: Lane, connection: HTTPConnection) -> None:
        """
        Let somebody have a connection, or keep it.
        """
        if self._queue.serve(lane, connection):
            self._connector.withdraw(lane)
            return
        lane.idle.append(connection)
        self._idle.add(connection)
        if self.slots.wanted or len(self._idle) > self._policy.total_idle_connections:
            self.make_room()
        else:
            self._bound(lane)

    def _bound(self, lane: Lane) -> None:
        """
        Have the connection that is one too many leave, unless it is used
        before its time is over.
        """
        limit = self._policy.idle_connections
        surplus = len(lane.idle) - limit
        if surplus > 0 and limit:
            self._surplus.add(lane.idle[surplus - 1])
        elif surplus > 0:
            self._evict(lane.idle[0])

    def _evict_surplus(self, connection: HTTPConnection) -> None:
        """
        Close a connection that was one too many for so long, if it still is.
        """
        if len(self._lane_of[connection].idle) > self._policy.idle_connections:
            self._evict(connection)

    def _end_idling(self, connection: HTTPConnection) -> None:
        self._idle.discard(connection)
        self._surplus.discard(connection)

    def make_room(self) -> bool:
        """
        Close the connection that has been idle for longest.

        @return: whether there was one.
        """
        connection = self._idle.oldest
        if connection is None:
            return False
        self._evict(connection)
        return True

    def _evict(self, connection: HTTPConnection) -> None:
        self._count("evicted")
        self._dismiss(connection)

    def _dismiss(self, connection: HTTPConnection) -> None:
        """
        Let go of a connection that is not in use.
        """
        lane = self._forget(connection)
        connection.leave()
        self.slots.release()
        self._look_after(lane)

    def _lost(self, connection: HTTPConnection) -> None:
        """
        A connection is of no more use.
        """
        if connection in self._lane_of:
            lane = self._forget(connection)
            self.slots.release()
            self._look_after(lane)
        else:
            self._stillborn.add(connection)

    def _forget(self, connection: HTTPConnection) -> Lane:
        lane = self._lane_of.pop(connection)
        lane.remove(connection)
        self._end_idling(connection)
        # Before its slot is given to somebody.
        self._connector.promote(lane)
        return lane

    def _look_after(self, lane: Lane) -> None:
        """
        Replace what is gone if somebody waits for it, or forget the
        destination.
        """
        if not self._closed:
            self._connector.grow(lane)
        self._clear(lane)

    def _clear(self, lane: Lane) -> None:
        if lane.is_empty and self._lanes.get(lane.destination) is lane:
            del self._lanes[lane.destination]

    def listens(self, lane: Lane, targets: Sequence[Target]) -> None:
        """
        Retire the connections that lead to where a destination listens no
        more.
        """
        self._retire(lane, [connection for connection in lane.open if connection.target not in targets])

    def made(self, lane: Lane, connection: HTTPConnection) -> None:
        """
        Take a connection that was made.
        """
        if connection in self._stillborn:
            self.slots.release()
            self.failed(lane, ResponseFailed(lane.destination.asked, "the server closed the connection at once"))
            return
        self._count("opened")
        lane.open.append(connection)
        lane.objection = ""
        self._lane_of[connection] = lane
        self._offer(lane, connection)
        self._look_after(lane)

    def failed(self, lane: Lane, error: BaseException) -> None:
        """
        Learn that a connection was not made: the end for those that wait, if
        nothing else is under way for them.
        """
        self._count("failures")
        lane.objection = f"; the last attempt to connect failed: {getattr(error, 'reason', type(error).__name__)}"
        if not lane.connecting:
            self._queue.fail(lane, error)
        self._clear(lane)

    def retire(self) -> None:
        """
        Use none of the connections of now for another request: idle ones are
        closed at once, the others after their response.
        """
        for lane in list(self._lanes.values()):
            self._retire(lane, list(lane.open))

    def retire_destination(self, effective: ServerName) -> None:
        """
        Retire the connections to a server to which nobody may delegate any
        more.
        """
        for destination, lane in list(self._lanes.items()):
            if destination.effective == effective and destination.scheme == FEDERATION:
                self._retire(lane, list(lane.open))

    def _retire(self, lane: Lane, connections: Iterable[HTTPConnection]) -> None:
        for connection in connections:
            if connection in lane.idle:
                self._count("retired")
                self._dismiss(connection)
            elif connection in lane.open and connection not in lane.retired:
                self._count("retired")
                lane.retired += (connection,)

    def status(self) -> list[Connections]:
        """
        Tell how many connections there are, by destination.
        """
        return [lane.status() for lane in self._lanes.values()]

    def close(self) -> None:
        """
        End everything, for good.
        """
        self._closed = True
        for lane in list(self._lanes.values()):
            for waiting in list(lane.waiting):
                waiting.given.cancel()
            self._left(lane)
        for connection in list(self._lane_of):
            if connection in self._lane_of:
                self._clear(self._forget(connection))
                connection.abort()
        self._idle.stop()
        self._surplus.stop()

    def _count(self, event: str) -> None:
        self._counters.add(f"{POOL}.{event}")
