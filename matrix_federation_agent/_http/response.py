"""
A response, and its body on the way to whoever reads it.

Everything is as with the responses of Twisted's own client, so that whatever
reads those reads these.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

import attrs
from twisted.internet.defer import AlreadyCalledError
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IClientRequest, IResponse
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.internet.interfaces import IProtocol

    from .connection import Request
    from .head import ResponseHead

_log = Logger()

READ_AHEAD = 16 * 1024
"""
Bytes of a body that are read before anybody wants them: small bodies leave
their connection free, also when nobody reads them.
"""

COMPLETE = Failure(ResponseDone("the body is complete"))
"""
Why a body ends that is complete.
"""


class Source(Protocol):
    """
    Where a body comes from.
    """

    def pause(self) -> None:
        """
        Bring nothing more until L{resume}.
        """

    def resume(self) -> None:
        """
        Go on.
        """

    def abort(self) -> None:
        """
        Drop the connection at once.
        """


@implementer(IPushProducer)
class Body:
    """
    The body of a response, and the transport of the protocol that reads it.

    What arrives while nobody reads is kept, and the source paused: no more is
    kept than a little, and what was on the way already.

    @cvar disconnecting: is what Twisted's line receivers ask a transport for.
    """

    __slots__ = ("_aborted", "_busy", "_ended", "_kept", "_paused", "_reader", "_size", "_source", "_told")

    disconnecting = False

    def __init__(self, source: Source) -> None:
        self._source: Source | None = source
        self._reader: IProtocol | None = None
        self._kept: deque[bytes] = deque()
        # Bytes of it; to add them up each time would make a long story of many short pieces.
        self._size = 0
        self._ended: Failure | None = None
        self._paused = self._busy = self._aborted = self._told = False

    @property
    def has_reader(self) -> bool:
        """
        Whether somebody reads it.
        """
        return self._reader is not None

    def deliver(self, reader: IProtocol) -> None:
        """
        Let a protocol read.

        @raise RuntimeError: when another one does, or did.
        """
        if self._reader is not None or self._told:
            raise RuntimeError("the body of this response has had its reader")
        self._reader = reader
        reader.makeConnection(self)  # type: ignore[arg-type]
        self._go_on()

    def receive(self, data: bytes) -> None:
        """
        Take the next bytes, after which there will be more, or an end.
        """
        if self._source is None:
            return
        self._kept.append(data)
        self._size += len(data)
        self._go_on()
        if self._source is not None and self._size > READ_AHEAD:
            self._source.pause()

    def detach(self, last: bytes) -> None:
        """
        Take the last bytes, and leave the source alone from now on;
        L{complete} is to follow.
        """
        if last:
            self._kept.append(last)
        self._source = None

    def complete(self) -> None:
        """
        Everything has arrived.
        """
        self._conclude(COMPLETE)

    def end(self, reason: Failure) -> None:
        """
        There is no more.  A reader that has paused is told at once: what it
        has not seen is the lesser loss.
        """
        self._source = None
        if self._paused:
            self._kept.clear()
        self._conclude(reason)

    def _conclude(self, reason: Failure) -> None:
        if self._ended is None:
            self._ended = reason
        self._go_on()

    def _go_on(self) -> None:
        """
        Hand over what there is to a reader that wants it, and that may call
        back meanwhile.
        """
        reader = self._reader
        if reader is None or self._busy:
            return
        self._busy = True
        try:
            while self._kept and not self._paused:
                data = self._kept.popleft()
                self._size -= len(data)
                reader.dataReceived(data)
        except Exception:  # noqa: BLE001 (whatever it is, the reader itself is told, as by Twisted)
            self._break(Failure())
        finally:
            self._busy = False
        if self._ended is not None and not self._kept:
            self._tell(reader, self._ended)
        elif self._source is not None and not self._paused:
            self._source.resume()

    def _tell(self, reader: IProtocol, reason: Failure) -> None:
        """
        Tell the reader of the end, once.
        """
        self._reader, self._told = None, True
        try:
            reader.connectionLost(reason)
        except Exception as error:  # noqa: BLE001 (the connection is not to suffer from its readers)
            # C{readBody} that was cancelled fires its Deferred once more.
            if not (self._aborted and isinstance(error, AlreadyCalledError)):
                _log.failure("the reader of a response failed when it was told of the end")

    def _break(self, reason: Failure) -> None:
        source = self._drop()
        self._ended = Failure(ResponseFailed([reason]))
        if source is not None:
            source.abort()

    def _drop(self) -> Source | None:
        """
        Hand over nothing more.

        @return: where the body came from, if it has not ended.
        """
        source, self._source = self._source, None
        self._aborted = True
        self._kept.clear()
        return source

    def pauseProducing(self) -> None:
        """
        Hand over nothing, and read nothing.
        """
        self._paused = True
        if self._source is not None:
            self._source.pause()

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self._paused = False
        self._go_on()

    def abortConnection(self) -> None:
        """
        Give up: the connection is dropped at once, and tells of its end in
        its own time.
        """
        if self._aborted:
            return
        source = self._drop()
        if source is not None:
            source.abort()
        else:
            self._ended = Failure(ResponseFailed([Failure(ConnectionAborted())]))
            self._go_on()

    def loseConnection(self) -> None:
        """
        Give up as well.
        """
        self.abortConnection()

    def stopProducing(self) -> None:
        """
        Give up as well.
        """
        self.abortConnection()


@implementer(IClientRequest)
@attrs.frozen
class AnsweredRequest:
    """
    What a response tells of its request.
    """

    method: bytes
    absoluteURI: bytes
    headers: Headers


@implementer(IResponse)
class Response:
    """
    The response to one request.

    @ivar control: what the head says of the connection and of the framing,
        which is not among the headers; by names in lower case.
    """

    __slots__ = ("_body", "_request", "code", "control", "headers", "length", "phrase", "previousResponse", "version")

    def __init__(self, request: Request, head: ResponseHead, length: int | object, body: Body) -> None:
        """
        @param length: of the body, or C{UNKNOWN_LENGTH}.
        """
        self.version = head.version
        self.code = head.code
        self.phrase = head.phrase
        self.headers = head.headers
        self.control = head.control
        self.length = length
        self.previousResponse: IResponse | None = None
        self._request = request
        self._body = body

    @property
    def request(self) -> IClientRequest:
        """
        The request.
        """
        request = self._request
        return AnsweredRequest(request.method, request.absolute_uri, request.headers or Headers())

    def deliverBody(self, protocol: IProtocol) -> None:
        """
        Let a protocol read the body.

        @raise RuntimeError: when another one does, or did.
        """
        self._body.deliver(protocol)

    def setPreviousResponse(self, response: IResponse) -> None:
        """
        Set the response that led to this one.
        """
        self.previousResponse = response


def control_of(response: IResponse) -> Mapping[bytes, Sequence[bytes]]:
    """
    Tell what a response says of its connection and of its framing; nothing
    where it is none of ours, for Twisted's own keep that to themselves.
    """
    return response.control if isinstance(response, Response) else {}
