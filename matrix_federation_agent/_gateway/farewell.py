"""
How a connection of a client is closed, so that the client has all it was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IHalfCloseableDescriptor, ISSLTransport

from .._http.watch import Deadline

if TYPE_CHECKING:
    from typing import Any

    from twisted.internet.interfaces import IReactorTime

LINGERING_SECONDS = 2.0
"""
For which a connection is read on that is to be closed in the middle of a
request, or with others behind it: closed with unread bytes it would be reset,
and the client might not see its answer (RFC 9112, section 9.6; nginx: 5
seconds, Apache: 2).
"""

LINGERING_BYTES = 1024 * 1024
"""
And how many.
"""


class Farewell:
    """
    The end of a connection, once all is written.
    """

    __slots__ = ("_clock", "_dropped", "_lingering", "_since", "_transport")

    def __init__(self, clock: IReactorTime, transport: Any, *, linger: bool) -> None:
        """
        @param linger: whether the client may be sending.
        """
        self._clock = clock
        self._transport = transport
        self._lingering = linger
        self._since = clock.seconds()
        self._dropped = 0
        # With a producer the transport would wait for more.
        transport.unregisterProducer()
        if not linger:
            transport.loseConnection()
        elif _may_half_close(transport):
            transport.loseWriteConnection()

    def receive(self, data: bytes) -> None:
        """
        Leave unread what nobody wants.
        """
        self._dropped += len(data)
        if self._dropped > LINGERING_BYTES:
            self.close()

    def close(self) -> bool:
        """
        Linger no longer.

        @return: whether it did.
        """
        lingered, self._lingering = self._lingering, False
        if lingered:
            self._since = self._clock.seconds()
            self._transport.loseConnection()
        return lingered

    def deadline(self, patience: float) -> Deadline:
        """
        Tell what has to happen next.

        @param patience: for the client to take the last, in seconds.
        """
        if self._lingering:
            return Deadline(self._since + LINGERING_SECONDS, LINGERING_SECONDS, "it lingered for")
        return Deadline(self._since + patience, patience, "the last was not taken for")


def _may_half_close(transport: object) -> bool:
    """
    Tell whether a transport can say that there is no more; with TLS it would
    cut off the farewell.
    """
    tls: bool = ISSLTransport.providedBy(transport)
    return IHalfCloseableDescriptor.providedBy(transport) and not tls
