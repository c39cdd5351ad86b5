"""
A connection to Redis that comes back.

txredisapi speaks the protocol; the connection is kept by Twisted's own
C{ClientService}.  The connection pools of txredisapi queue commands without
limit while Redis is away, never try again after a refused password, and before
1.6.0 leave timers in the reactor.

To import this is to import txredisapi, which takes the global reactor.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import txredisapi
from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as TimedOutError
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from .._deadlines import shielded
from .._reactor import IReactor

_log = Logger()

_REPLY_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 1.0
_FIRST_RETRY = 0.25
_LAST_RETRY = 5.0


class RedisProtocol(txredisapi.RedisProtocol):  # type: ignore[misc] # txredisapi has no types.
    """
    txredisapi's protocol, without a factory of txredisapi's.
    """

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:  # noqa: FBT001, FBT002
        """
        Read replies; whoever sends something else is no Redis.
        """
        try:
            super().dataReceived(data, unpause)
        except Exception as error:  # noqa: BLE001 (there are many ways)
            _log.warn("this is not Redis: {error}", error=error)
            self.transport.abortConnection()


class _ProtocolFactory(Factory):
    noisy = False

    def buildProtocol(self, addr: object) -> RedisProtocol:
        """
        Make a protocol.  A connection that owes a reply for too long is
        aborted: its other end may be gone without a word.
        """
        return RedisProtocol(replyTimeout=_REPLY_TIMEOUT, convertNumbers=False)


class RedisConnection:
    """
    Sends commands while there is a connection, and makes a new one at most
    five seconds after it was lost.
    """

    def __init__(
        self,
        reactor: IReactor,
        endpoint: IStreamClientEndpoint,
        greet: Callable[[Any], Coroutine[Deferred[Any], Any, object]],
    ) -> None:
        """
        Connect in the background.

        @param greet: says what comes first on a connection; when it fails the
            connection is of no use.
        """
        self._reactor = reactor
        self._greet = greet
        self._protocol: Any = None
        self._greeting: Deferred[None] = Deferred()
        self._refusal: Exception | None = None
        self._refusals = 0
        self._sent: set[Deferred[Any]] = set()
        self._closed = False
        self._service = ClientService(
            endpoint, _ProtocolFactory(), self._retry_delay, clock=reactor, prepareConnection=self._connected
        )
        self._service.startService()

    async def do(self, *command: str | int) -> Any:
        """
        Send a command and wait for the reply.  Where there is no connection,
        wait for the attempt to make one, and no longer.
        """
        if self._closed:
            raise ConnectError(string="the connection was closed")
        try:
            protocol = await self._protocol_ready()
        except CancelledError:
            if self._closed:
                raise ConnectError(string="the connection was closed") from None
            raise
        await shielded(self._greeting)
        if self._refusal is not None:
            raise self._refusal
        return await self._reply(protocol.execute_command(*command))

    def _protocol_ready(self) -> Deferred[Any]:
        """
        Wait for the next attempt to connect, if there is no connection.
        """
        ready: Deferred[Any] = self._service.whenConnected(failAfterFailures=1)
        if not ready.called:
            # ClientService cannot be called again by whom it is just calling.
            ready.addBoth(lambda result: deferLater(self._reactor, 0, lambda: result))
        return ready

    def _reply(self, sent: Deferred[Any]) -> Deferred[Any]:
        """
        Wait for a reply.  Who stops waiting must not stop the reply's timer,
        nor make it the reply of the next command.
        """
        self._sent.add(sent)
        waiting = shielded(sent)
        sent.addBoth(lambda _: self._sent.discard(sent))
        return waiting

    def _connected(self, protocol: Any) -> None:
        """
        There is a connection.
        """
        self._protocol, self._refusal = protocol, None
        self._greeting = Deferred.fromCoroutine(self._introduce(protocol))

    async def _introduce(self, protocol: Any) -> None:
        try:
            await self._greet(protocol)
            self._refusals = 0
        except Exception as error:  # noqa: BLE001 (told to who sends commands)
            self._refusal = error
            self._refusals += 1
            protocol.transport.abortConnection()

    def _retry_delay(self, attempt: int) -> float:
        """
        Tell how long to wait, in seconds.  A connection that was refused
        counts as an attempt that failed.
        """
        failed = max(attempt, self._refusals)
        return min(_FIRST_RETRY * 2.0 ** min(failed - 1, 16), _LAST_RETRY)

    async def close(self) -> None:
        """
        Wait a moment for replies, then disconnect.
        """
        self._closed = True
        replies: Deferred[Any] = shielded(DeferredList(list(self._sent)))
        with suppress(TimedOutError):
            await replies.addTimeout(_CLOSE_TIMEOUT, self._reactor)
        if self._protocol is not None:
            self._protocol.transport.abortConnection()
        # Whoever closes may have been called by ClientService.
        await deferLater(self._reactor, 0)
        await self._service.stopService()
