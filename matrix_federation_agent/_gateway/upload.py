"""
The bodies of clients' requests, as the agent takes them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IConsumer
    from twisted.python.failure import Failure

MAXIMUM_HELD = 64 * 1024
"""
Bytes of a body that are kept while nobody takes them; one read more may be.
"""


class Uploader(Protocol):
    """
    Who brings the body.
    """

    def body_wanted(self) -> None:
        """
        It is about to be taken.
        """

    def body_unwanted(self) -> None:
        """
        The rest is not wanted.
        """

    def hold(self) -> None:
        """
        Bring nothing until L{release}.
        """

    def release(self) -> None:
        """
        Go on.
        """


@implementer(IBodyProducer)
class ClientBody:
    """
    A body that arrives while it is sent on, no faster than it is taken.
    """

    __slots__ = (
        "_busy",
        "_complete",
        "_consumer",
        "_finished",
        "_held",
        "_paused",
        "_size",
        "_uploader",
        "length",
    )

    def __init__(self, uploader: Uploader, length: int | str) -> None:
        """
        @param length: in bytes, or C{UNKNOWN_LENGTH}.
        """
        self.length = length
        # There is none once it is over.
        self._uploader: Uploader | None = uploader
        self._consumer: IConsumer | None = None
        self._finished: Deferred[None] = Deferred()
        self._held: deque[bytes] = deque()
        self._size = 0
        self._busy = self._complete = self._paused = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Begin.

        @return: fires with the end of the body; fails when the client breaks
            off.
        """
        finished = self._finished
        if self._uploader is not None:
            self._consumer = consumer
            self._uploader.body_wanted()
            self._go_on()
        return finished

    def receive(self, data: bytes) -> None:
        """
        Take the next bytes.
        """
        if self._uploader is None or not data:
            return
        self._held.append(data)
        self._size += len(data)
        self._go_on()

    def complete(self) -> None:
        """
        Everything has arrived.
        """
        self._complete = True
        self._go_on()

    def fail(self, reason: Failure) -> None:
        """
        The client has broken off.
        """
        if self._uploader is not None:
            begun = self._consumer is not None
            self.drop()
            if begun:
                self._finished.errback(reason)

    def _go_on(self) -> None:
        """
        Hand over what is there, one piece after the other: the consumer may
        pause or stop us meanwhile.
        """
        consumer = self._consumer
        if consumer is not None and not self._busy:
            self._busy = True
            while self._held and not self._paused:
                data = self._held.popleft()
                self._size -= len(data)
                consumer.write(data)
            self._busy = False
        uploader = self._uploader
        if uploader is None or self._busy:
            return
        if consumer is not None and self._complete and not self._held:
            self.drop()
            self._finished.callback(None)
        elif self._paused or self._size > MAXIMUM_HELD:
            uploader.hold()
        else:
            uploader.release()

    def drop(self) -> None:
        """
        Have no more to do with it; whoever still knows it keeps nothing else.
        """
        self._uploader = self._consumer = None
        self._held.clear()
        self._size = 0

    def pauseProducing(self) -> None:
        """
        Take nothing more from the client for now.
        """
        self._paused = True
        self._go_on()

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """
        Drop what is left of it.
        """
        uploader = self._uploader
        if uploader is not None:
            self.drop()
            uploader.body_unwanted()
