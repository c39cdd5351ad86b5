"""
Connections that are being made for the requests that wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.defer import Deferred

from .lane import Connecting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IProtocol, IProtocolFactory
    from twisted.python.failure import Failure

    from .._discovery.routing import Target
    from .._http.connection import HTTPConnection
    from .._policies import ConnectionPolicy
    from .destination import Destination
    from .dialer import Dialer
    from .lane import Lane
    from .slots import Slots


class Keeper(Protocol):
    """
    Has the connections that were made.
    """

    def listens(self, lane: Lane, targets: Sequence[Target]) -> None:
        """
        Learn where a destination listens now.
        """

    def made(self, lane: Lane, connection: HTTPConnection) -> None:
        """
        Take a connection.
        """

    def failed(self, lane: Lane, error: BaseException) -> None:
        """
        Learn that a connection was not made.
        """


class Connector:
    """
    Makes connections: as many at a time as requests wait, and no more than
    the policy permits.
    """

    def __init__(
        self, dialer: Dialer, policy: ConnectionPolicy, slots: Slots, factory: IProtocolFactory, keeper: Keeper
    ) -> None:
        """
        @param factory: builds an L{HTTPConnection
            <matrix_federation_agent._http.connection.HTTPConnection>}.
        """
        self._dialer = dialer
        self._policy = policy
        self._slots = slots
        self._factory = factory
        self._keeper = keeper

    def grow(self, lane: Lane) -> None:
        """
        Begin to make the connections that are wanted.
        """
        while lane.wants_more(self._policy) and self._begin(lane):
            pass

    def _begin(self, lane: Lane) -> bool:
        """
        Begin one, for the first request that waits.

        @return: L{False} when it has failed at once.
        """
        first = next(iter(lane.waiting))
        attempt = Connecting()
        lane.connecting.append(attempt)
        running = Deferred.fromCoroutine(self._connect(lane, attempt, first.destination, first.number))
        running.addCallback(self._made, lane, attempt)
        running.addErrback(self._failed, lane, attempt)
        attempt.running = running
        if attempt.cancelled:
            running.cancel()
        return not attempt.failed

    async def _connect(self, lane: Lane, attempt: Connecting, destination: Destination, number: int) -> IProtocol:
        """
        Find the destination, wait for a slot, and connect.
        """
        targets = await destination.targets()
        self._keeper.listens(lane, targets)
        alone = not lane.open and lane.connecting[:1] == [attempt]
        attempt.claim = self._slots.claim(number, first=alone)
        if attempt.is_held:
            await attempt.claim.granted
        try:
            return await self._dialer.connect(destination.identity, targets, self._factory)
        except BaseException:
            self._slots.release()
            raise

    def _made(self, made: IProtocol, lane: Lane, attempt: Connecting) -> None:
        connection = cast("HTTPConnection", made)
        if attempt.cancelled:
            self._slots.release()
            connection.abort()
            return
        lane.connecting.remove(attempt)
        self._keeper.made(lane, connection)

    def _failed(self, failure: Failure, lane: Lane, attempt: Connecting) -> None:
        attempt.failed = True
        if attempt.cancelled:
            return
        lane.connecting.remove(attempt)
        self.promote(lane)
        self._keeper.failed(lane, cast("BaseException", failure.value))

    def promote(self, lane: Lane) -> None:
        """
        Let a destination that has lost its last connection not wait behind
        those that have some.
        """
        claim = lane.connecting[0].claim if lane.connecting and not lane.open else None
        if claim is not None:
            self._slots.promote(claim)

    def trim(self, lane: Lane) -> None:
        """
        Give up what nobody waits for, the newest first.
        """
        while len(lane.connecting) > len(lane.waiting):
            lane.connecting.pop().cancel()
