"""
One connection to a server, which carries one request after the other.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from ..errors import TimedOut
from .failures import unanswered, unproduced
from .head import HeadLimits, MalformedMessage
from .reading import ResponseReader
from .response import Body, Response
from .sending import Upload
from .watch import Deadline, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

    from .._connect.handshake import BoundedTLSTransport
    from .._discovery.routing import Target
    from .._policies import ConnectionPolicy

UNDELIMITED = Failure(PotentialDataLoss("the body ended with the connection"))
"""
Why a body ends whose end is the connection's.
"""

# From here on a status says that the request is not wanted.
_REFUSALS = 400


@attrs.frozen(eq=False)
class Request:
    """
    A request, ready to be sent.

    @ivar asked: the server that errors name.
    @ivar head: as C{request_head} writes it.
    @ivar body: bytes, which can be sent again, and of which there may be
        none; or what produces them.
    @ivar absolute_uri: what was asked for, for readers of the response.
    @ivar headers: the caller's.
    """

    asked: str
    method: bytes
    head: bytes
    body: bytes | IBodyProducer
    absolute_uri: bytes
    headers: Headers | None


class HTTPConnection(Protocol):
    """
    Carries one request at a time.

    @ivar heard: whether a byte arrived since the request was sent; without
        one, an idempotent request may be sent again (RFC 9110, section 9.2.2).
    @ivar requests: how many were sent so far.
    @ivar born: when it was connected, in the clock's seconds.
    @ivar target: where it leads.
    """

    transport: BoundedTLSTransport
    target: Target

    def __init__(
        self,
        clock: IReactorTime,
        policy: ConnectionPolicy,
        idle: Callable[[HTTPConnection], object],
        lost: Callable[[HTTPConnection], object],
    ) -> None:
        """
        @param idle: is called when a response was read to its end and the
            connection may carry another request.
        @param lost: is called once, when it carries no further request: it
            was closed by either side, or is not to persist.  A request that
            is under way fails afterwards.
        """
        self.heard = False
        self.requests = 0
        self.born = 0.0
        self._clock = clock
        self._policy = policy
        self._limits = HeadLimits(policy.max_head_bytes, policy.max_headers, policy.max_informational)
        self._idle = idle
        self._lost = lost
        self._write: Callable[[bytes], object]
        self._gone = False
        self._paused = False
        self._watch = Watch(clock, self)
        self._sent = self._moved = 0.0
        # Of the request under way:
        self._request: Request | None = None
        self._reader: ResponseReader | None = None
        self._answered: Deferred[IResponse] | None = None
        self._upload: Upload | None = None
        self._body: Body | None = None

    def connectionMade(self) -> None:
        """
        Note when, and where to.
        """
        self.born = self._clock.seconds()
        self.target = self.transport.factory.creator.target
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._write = self.transport.write_at_once

    def send(self, request: Request) -> Deferred[IResponse]:
        """
        Send a request; none may be under way.

        @return: fires with the response once its head has arrived.  Fails
            with C{ResponseFailed} or C{TimedOut}.  Cancelling it drops the
            connection at once.
        @raise RuntimeError: when one is, or the connection is lost.
        """
        if self._request is not None or self._gone:
            raise RuntimeError("the connection is not free")
        self.requests += 1
        self.heard = False
        self._request = request
        self._reader = ResponseReader(request.method, self._limits)
        answered: Deferred[IResponse] = Deferred(self._cancel)
        self._answered = answered
        self._sent = self._moved = self._clock.seconds()
        self._watch.begin()
        body = request.body
        if isinstance(body, bytes):
            self._write(request.head + body)
        else:
            self._send_upload(request.head, body)
        return answered

    def _send_upload(self, head: bytes, producer: IBodyProducer) -> None:
        # Small pieces travel together; whatever follows must not overtake them.
        write: Callable[[bytes], object] = self.transport.write
        self._write = write
        write(head)
        self._upload = upload = Upload(producer, self.transport, write, self._note)
        upload.finished.addCallbacks(self._uploaded, self._not_uploaded)
        upload.start()

    def _note(self) -> None:
        self._moved = self._clock.seconds()

    def _uploaded(self, _: None) -> None:
        self._upload = None

    def _not_uploaded(self, reason: Failure) -> None:
        """
        The producer has failed.
        """
        if self._request is not None:
            self._fail(unproduced(self._request.asked, reason))

    def dataReceived(self, data: bytes) -> None:
        """
        Read on.
        """
        if self._gone:
            return
        reader = self._reader
        if reader is None:
            # RFC 9112, section 9.2: what follows the last response is none.
            self.abort()
            return
        self.heard = True
        self._moved = self._clock.seconds()
        try:
            content = reader.feed(data)
        except MalformedMessage as error:
            # Its frames hold what was received.
            self._malformed(Failure(error.with_traceback(None)))
            return
        if reader.head is not None:
            self._take(reader, content)

    def _malformed(self, reason: Failure) -> None:
        assert self._request is not None  # noqa: S101 (for types: a response is read to a request)
        self._fail(unanswered(self._request.asked, reason))

    def _take(self, reader: ResponseReader, content: bytes) -> None:
        """
        Go on once there is a head.
        """
        body, answered, response = self._body, self._answered, None
        if body is None:
            self._body = body = Body(self)
            response = self._respond(reader, body)
            if self._gone:
                # The producer of the request's body was stopped, and its owner gave up.
                return
        if reader.finished:
            # Whoever is told of the idle connection may use it: it is the body's no more.
            body.detach(content)
            self._finish(reader)
        # Whoever was told of the connection may have cancelled this request.
        if response is not None and answered is not None and not answered.called:
            answered.callback(response)
        if reader.finished:
            body.complete()
        elif content:
            body.receive(content)

    def _respond(self, reader: ResponseReader, body: Body) -> Response:
        request, head = self._request, reader.head
        assert request is not None  # noqa: S101 (for types)
        assert head is not None  # noqa: S101 (for types)
        if self._upload is not None and head.code >= _REFUSALS:
            # RFC 9112, section 9.5: cease to send what is not wanted.
            self._upload.stop()
        self._answered = None
        return Response(request, head, reader.length, body)

    def _finish(self, reader: ResponseReader) -> None:
        """
        The response is complete: be ready for the next request, or go.
        """
        upload = self._upload
        self._forget()
        if upload is not None:
            upload.stop()
            # The server waits for the rest of a body that never comes.
            self.abort()
        elif not reader.persistent:
            self.leave()
        else:
            self.resume()
            self._idle(self)

    def _forget(self) -> None:
        """
        No request is under way any more.
        """
        self._request = self._reader = self._answered = self._upload = self._body = None

    def _fail(self, error: Exception) -> None:
        """
        End the request that is under way, and with it the connection.
        """
        answered, body = self._answered, self._body
        upload = self._upload
        self._forget()
        if upload is not None:
            upload.stop()
        self.abort()
        if answered is not None:
            if not answered.called:
                answered.errback(error)
        elif body is not None:
            body.end(Failure(ResponseFailed([Failure(error)])))

    def _cancel(self, answered: Deferred[IResponse]) -> None:
        """
        The caller gives up; but not on what is over, for another request may
        be under way by then.
        """
        if answered is not self._answered:
            return
        upload = self._upload
        self._forget()
        if upload is not None:
            upload.stop()
        self.abort()

    def pause(self) -> None:
        """
        Read nothing more.
        """
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def resume(self) -> None:
        """
        Read on.
        """
        if self._paused and not self._gone:
            self._paused = False
            self._note()
            self._watch.begin()
            self.transport.resumeProducing()

    def abort(self) -> None:
        """
        Drop the connection at once.
        """
        self._go()
        self._watch.stop()
        self.transport.abortConnection()  # type: ignore[no-untyped-call]

    def leave(self) -> None:
        """
        Say farewell and close, without waiting for an answer.
        """
        self._go()
        self._note()
        self._watch.begin()
        self.transport.leave()

    def _go(self) -> None:
        if not self._gone:
            self._gone = True
            self._lost(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It was closed, by either side.
        """
        self._watch.end()
        request, reader, answered = self._request, self._reader, self._answered
        body, upload = self._body, self._upload
        self._forget()
        if upload is not None:
            upload.stopProducing()
        self._go()
        if answered is not None and request is not None:
            if not answered.called:
                answered.errback(unanswered(request.asked, reason))
        elif body is not None and reader is not None:
            body.end(_end_of_body(reader, reason))

    def deadline(self) -> Deadline | None:
        """
        Tell what has to happen next.  While the reader of a body pauses,
        nothing has to; a body that nobody reads keeps a connection from
        others.
        """
        silence = partial(Deadline, self._moved + self._policy.silence_timeout, self._policy.silence_timeout)
        if self._gone:
            return silence("the farewell was not taken for")
        if self._request is None:
            return None
        if self._paused:
            is_read = self._body is not None and self._body.has_reader
            return None if is_read else silence("nobody read the body for")
        silent = silence("no byte came or went for")
        if self._answered is None:
            return silent
        limit = self._policy.response_timeout
        late = Deadline(self._sent + limit, limit, "no response within")
        return min(late, silent, key=attrgetter("when"))

    def give_up(self, deadline: Deadline) -> None:
        """
        It is too late.
        """
        request = self._request
        if request is None:
            self.transport.abortConnection()  # type: ignore[no-untyped-call]
            return
        words = f"{deadline.reason} {deadline.seconds:g} s"
        self._fail(TimedOut(request.asked, words, seconds=deadline.seconds, phase="http"))


def _end_of_body(reader: ResponseReader, reason: Failure) -> Failure:
    """
    Tell why a body ends with its connection.

    RFC 9112, section 9.8: one that is delimited by that is complete only with
    a farewell of TLS.
    """
    if reader.end() and reason.check(ConnectionDone):
        return UNDELIMITED
    return Failure(ResponseFailed([reason]))
