"""
The body of a response on its way to a request of C{twisted.web}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.server import Request


def abort(request: Request) -> None:
    """
    Drop the connection of a client at once: nothing that it has received can
    look whole.
    """
    transport: Any = request.channel.transport
    transport.abortConnection()


@implementer(IPushProducer)
class PassingOn(Protocol):
    """
    Takes the body of a response to the client, no faster than the client
    takes it.

    @ivar sent: in bytes.
    @ivar ended: fires, when there is no more, with whether it was all.
    """

    def __init__(self, clock: IReactorTime, patience: float, request: Request) -> None:
        """
        @param patience: for a client that takes nothing, in seconds.
        """
        self.sent = 0
        self.ended: Deferred[bool] = Deferred()
        self._clock = clock
        self._patience = patience
        self._request = request
        self._late: IDelayedCall | None = None
        self._gone = False

    def connectionMade(self) -> None:
        """
        Send the head, and then be told when the client takes no more.
        """
        self._request.write(b"")
        self._request.registerProducer(self, streaming=True)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        if not self._gone:
            self.sent += len(data)
            self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell of the end.
        """
        self._calm()
        if not self._gone:
            self._request.unregisterProducer()
        self.ended.callback(reason.check(ResponseDone, PotentialDataLoss) is not None)

    def pauseProducing(self) -> None:
        """
        The client takes no more for now.
        """
        self._calm()
        self._late = self._clock.callLater(self._patience, abort, self._request)
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        The client takes more.
        """
        self._calm()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """
        The client is gone.
        """
        if not self._gone:
            self._gone = True
            self._calm()
            self._producer.stopProducing()

    def _calm(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    @property
    def _producer(self) -> Any:
        return self.transport
