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
        attempt.running = running = Deferred.fromCoroutine(self._run(lane, attempt, first.destination, first.number))
        if attempt.cancelled:
            running.cancel()
        return not attempt.failed

    async def _run(self, lane: Lane, attempt: Connecting, destination: Destination, number: int) -> None:
        """
        Make one, and tell how it ended.
        """
        try:
            made = await self._connect(lane, attempt, destination, number)
        except Exception as error:  # noqa: BLE001 (whatever it is, those who wait are told)
            self._failed(error, lane, attempt)
        else:
            self._made(cast("HTTPConnection", made), lane, attempt)

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
        attempt.has_slot = True
        return await self._dialer.connect(destination.identity, targets, self._factory)

    def _made(self, connection: HTTPConnection, lane: Lane, attempt: Connecting) -> None:
        if attempt.cancelled:
            self._slots.release()
            connection.abort()
            return
        lane.connecting.remove(attempt)
        self._keeper.made(lane, connection)

    def _failed(self, error: Exception, lane: Lane, attempt: Connecting) -> None:
        attempt.failed = True
        if not attempt.cancelled:
            lane.connecting.remove(attempt)
            self.promote(lane)
        if attempt.has_slot:
            self._slots.release()
        if not attempt.cancelled:
            self._keeper.failed(lane, error)

    def promote(self, lane: Lane) -> None:
        """
        Let a destination that has lost its last connection not wait behind
        those that have some.
        """
        claim = lane.connecting[0].claim if lane.connecting and not lane.open else None
        if claim is not None:
            self._slots.promote(claim)

    def withdraw(self, lane: Lane) -> None:
        """
        Give up what nobody waits for and has not begun: a slot for it would be
        somebody else's connection.
        """
        for attempt in [attempt for attempt in reversed(lane.connecting) if attempt.is_held]:
            if len(lane.connecting) > len(lane.waiting) and attempt in lane.connecting:
                lane.connecting.remove(attempt)
                attempt.cancel()

    def trim(self, lane: Lane) -> None:
        """
        Give up what nobody waits for, the newest first.
        """
        while len(lane.connecting) > len(lane.waiting):
            lane.connecting.pop().cancel()
