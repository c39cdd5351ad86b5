"""
Connection attempts that fail without a socket: a refusal, and the silence of a black hole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import NotConnectingError, UserError
from twisted.internet.interfaces import IAddress, IConnector, IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IConnector)
class DoomedAttempt:
    """
    A TCP connection attempt that never connects.

    It tells its factory what a connector of the real reactor tells it, in the same order.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        factory: Any,
        destination: IAddress,
        delay: float | None,
        reason: Exception,
        finished: Callable[[DoomedAttempt], None],
    ) -> None:
        """
        Prepare the attempt; L{connect} starts it.

        @param reactor: the clock.
        @param factory: the caller's factory.
        @param destination: the virtual address that was dialled.
        @param delay: seconds until the attempt fails; L{None} for never.
        @param reason: what it then fails with.
        @param finished: called with this attempt each time it has failed.
        """
        self._reactor = reactor
        self._factory = factory
        self._destination = destination
        self._delay = delay
        self._reason = reason
        self._finished = finished
        self._timer: IDelayedCall | None = None
        self._connecting = False

    def connect(self) -> None:
        """
        Start the attempt.

        @raise RuntimeError: when it is already under way.
        """
        if self._connecting:
            raise RuntimeError("can't connect in this state")
        self._connecting = True
        self._factory.doStart()
        if self._delay is not None:
            self._timer = self._reactor.callLater(self._delay, self._fail, self._reason)
        self._factory.startedConnecting(self)

    def stopConnecting(self) -> None:
        """
        Give up at once, with L{UserError}.

        @raise NotConnectingError: when the attempt has already failed.
        """
        if not self._connecting:
            raise NotConnectingError("we're not trying to connect")
        self._fail(UserError())

    def disconnect(self) -> None:
        """
        Give up if the attempt is still under way.
        """
        if self._connecting:
            self.stopConnecting()

    def getDestination(self) -> IAddress:
        """
        Give the virtual address that was dialled.
        """
        return self._destination

    def _fail(self, reason: Exception) -> None:
        self._connecting = False
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._factory.clientConnectionFailed(self, Failure(reason))
        # A factory may have called connect() again from inside clientConnectionFailed.
        if not self._connecting:
            self._finished(self)
            self._factory.doStop()
