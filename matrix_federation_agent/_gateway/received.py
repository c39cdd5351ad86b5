"""
The body of a request, once all of it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from typing import BinaryIO

    from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime

_PIECE = 64 * 1024
"""
Bytes that are read at a time.
"""


@implementer(IBodyProducer)
class ReceivedBody:
    """
    The body of a request, which has been received.

    @ivar length: in bytes.
    """

    def __init__(self, clock: IReactorTime, content: BinaryIO) -> None:
        """
        @param content: is read from its beginning.
        """
        self.length = content.seek(0, 2)
        content.seek(0)
        self._clock = clock
        self._content = content
        self._consumer: IConsumer | None = None
        self._finished: Deferred[None] = Deferred()
        self._next: IDelayedCall | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it, in pieces, to the consumer.

        @return: fires when all of it was written.
        """
        self._consumer = consumer
        self.resumeProducing()
        return self._finished

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        if self._next is None and self._consumer is not None:
            # Later: the consumer may ask from inside its own write.
            self._next = self._clock.callLater(0, self._produce)

    def pauseProducing(self) -> None:
        """
        Write nothing for now.
        """
        waiting, self._next = self._next, None
        if waiting is not None:
            waiting.cancel()

    def stopProducing(self) -> None:
        """
        Write nothing any more.
        """
        self._consumer = None
        self.pauseProducing()

    def _produce(self) -> None:
        self._next = None
        consumer = self._consumer
        if consumer is None:
            return
        piece = self._content.read(_PIECE)
        if not piece:
            self._consumer = None
            self._finished.callback(None)
            return
        self.resumeProducing()
        consumer.write(piece)
