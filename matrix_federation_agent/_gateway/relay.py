"""
A remote's response on its way to the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IProtocol
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from .._http.failures import words
from .._http.response import control_of
from ..errors import FederationError
from .forwarding import response_headers
from .writing import Framing, framing_line, response_head

if TYPE_CHECKING:
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse


class Recipient(Protocol):
    """
    Who the response is for.
    """

    def write(self, data: bytes) -> None:
        """
        Send the client something.
        """

    def relayed(self) -> None:
        """
        All of the response was written.
        """

    def broken_off(self, reason: Failure) -> None:
        """
        There is less of it than there should be.
        """


@implementer(IProtocol)
class Relay:
    """
    Reads the body of a response, and writes the response to the client.

    @ivar sent: bytes of the body that were written.
    """

    __slots__ = ("_chunked", "_head", "_left", "_paused", "_recipient", "_transport", "sent")

    def __init__(self, recipient: Recipient, response: IResponse, framing: Framing, connection_line: bytes) -> None:
        """
        @param connection_line: tells what becomes of the client's connection.
        """
        self.sent = 0
        self._recipient: Recipient | None = recipient
        self._transport: Any = None
        self._paused = False
        self._chunked = framing is Framing.CHUNKS
        self._left: int | None = None
        if framing is Framing.LENGTH:
            self._left = int(response.length)
        elif framing is Framing.NOTHING:
            self._left = 0
        control = control_of(response)
        headers = response_headers(response.headers, control)
        last_lines = framing_line(framing, response.code, response.length, control) + connection_line
        self._head = response_head(response.code, response.phrase, headers, last_lines)

    def makeConnection(self, transport: object) -> None:
        """
        Keep what the body comes from.
        """
        self._transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        Hold it, if the client takes nothing for now.
        """
        if self._recipient is None:
            self.stop()
        elif self._paused:
            self._transport.pauseProducing()

    def begin(self) -> None:
        """
        Write the head, if nothing of the body has come with it.
        """
        head, self._head = self._head, b""
        if head and self._recipient is not None:
            self._recipient.write(head)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on a part of the body.
        """
        recipient = self._recipient
        if recipient is None or not data:
            return
        if self._left is not None:
            if len(data) > self._left:
                # More would be the beginning of the next response.
                data = data[: self._left]
            self._left -= len(data)
            if not data:
                return
        self.sent += len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        head, self._head = self._head, b""
        recipient.write(head + data if head else data)

    def connectionLost(self, reason: Failure) -> None:
        """
        End the response, if there was all of it.

        RFC 9112, section 8: what is incomplete must not look complete.
        """
        recipient, self._recipient, self._transport = self._recipient, None, None
        if recipient is None:
            return
        if self._left or not isinstance(reason.value, (ResponseDone, PotentialDataLoss)):
            recipient.broken_off(reason)
            return
        last = self._head + (b"0\r\n\r\n" if self._chunked else b"")
        self._head = b""
        if last:
            recipient.write(last)
        recipient.relayed()

    def pause(self) -> None:
        """
        Take nothing more for now.
        """
        self._paused = True
        if self._transport is not None:
            self._transport.pauseProducing()

    def resume(self) -> None:
        """
        Go on.
        """
        self._paused = False
        if self._transport is not None:
            self._transport.resumeProducing()

    def stop(self) -> None:
        """
        Give the response up: nobody wants it any more.
        """
        self._recipient = None
        transport, self._transport = self._transport, None
        if transport is not None:
            # Responses of Twisted's own client know the second way only.
            getattr(transport, "abortConnection", transport.stopProducing)()


def account_of(reason: Failure) -> tuple[str, str]:
    """
    Tell in which phase a response was broken off, and why.
    """
    error = reason.value
    if isinstance(error, ResponseFailed) and error.reasons:
        reason = error.reasons[0]
    phase = reason.value.phase if isinstance(reason.value, FederationError) else "http"
    return phase, f"the response was broken off: {words(reason)}"
