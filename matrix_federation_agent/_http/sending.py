"""
The bodies of requests: what their producers bring, and on what terms.

A producer is the caller's code.  It may fail at any moment, bring too little
or too much, go on after its end, or never end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from .._deadlines import within
from ..errors import TimedOut
from .failures import unproduced

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProducer, IReactorTime

    from .._connect.handshake import BoundedTLSTransport
    from ..errors import FederationError

_log = Logger()


class WrongLength(Exception):
    """
    A producer brought more or less than it said.
    """


@implementer(IBodyProducer)
class WholeBody:
    """
    A body that is there: it goes out with the head, without being produced.

    @ivar length: in bytes.
    """

    __slots__ = ("content", "length")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Hand it over.
        """
        consumer.write(self.content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        Do nothing: all is produced.
        """

    def resumeProducing(self) -> None:
        """
        Do nothing: all is produced.
        """

    def stopProducing(self) -> None:
        """
        Do nothing: all is produced.
        """


async def collected(producer: IBodyProducer, asked: str, clock: IReactorTime, seconds: float) -> bytes:
    """
    Have a body produced into memory, so that it goes out with the head, and
    can be sent again.

    @param producer: knows its length, which is not too much for memory.
    @param asked: the server that errors name.
    @param seconds: for all of it.
    @raise ResponseFailed: when it is not produced, or has another length.
    @raise TimedOut: when it takes too long.
    """
    parts: list[bytes] = []
    body = Measured(producer, parts.append)

    def late(limit: float) -> FederationError:
        reason = f"the body of the request was not produced within {limit:g} s"
        return TimedOut(asked, reason, seconds=limit, phase="http")

    try:
        body.start()
        await (body.finished if body.finished.called else within(clock, seconds, body.finished, late))
    except (CancelledError, TimedOut):
        raise
    except Exception as error:
        raise unproduced(asked, Failure()) from error
    return b"".join(parts)


@implementer(IConsumer)
class Measured:
    """
    Passes on as much as a producer said that it would bring.

    @ivar finished: fires once the producer has ended; fails with what it
        fails with, or with L{WrongLength}.  Cancelling it stops the producer.
    """

    def __init__(self, producer: IBodyProducer, write: Callable[[bytes], object]) -> None:
        """
        @param write: takes the pieces.
        """
        self.finished: Deferred[None] = Deferred(lambda _: self.stop())
        self._producer = producer
        self._write = write
        self._left: int | None = None if producer.length is UNKNOWN_LENGTH else int(producer.length)
        self._started = False
        self._over = False

    def start(self) -> None:
        """
        Let the producer begin, if nothing has stopped it.
        """
        if self._over:
            return
        self._started = True
        try:
            self._producer.startProducing(self).addCallbacks(self._produced, self._fail)
        except Exception:  # noqa: BLE001 (whatever the caller's code raises, the caller is told)
            self._fail(Failure())

    def write(self, data: bytes) -> None:
        """
        Take the next bytes.  After the end they are nobody's.
        """
        if self._over:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self.stop()
                self._settle(Failure(WrongLength()))
                return
        # What is not quite bytes is refused here, or copied.
        self._write(b"" + data)

    def pause(self) -> None:
        """
        Have the producer pause.
        """
        self._ask(self._producer.pauseProducing)

    def resume(self) -> None:
        """
        Have the producer go on.
        """
        self._ask(self._producer.resumeProducing)

    def _ask(self, what: Callable[[], object]) -> None:
        if self._over or not self._started:
            return
        try:
            what()
        except Exception:  # noqa: BLE001 (whatever the caller's code raises, the caller is told)
            failure = Failure()
            self.stop()
            self._settle(failure)

    def stop(self) -> None:
        """
        Have the producer end early; L{finished} does not fire for that.
        """
        if self._over:
            return
        self._over = True
        if not self._started:
            return
        try:
            self._producer.stopProducing()
        except Exception:  # noqa: BLE001 (the request has ended otherwise; who wrote the producer may want to know)
            _log.failure("a producer of the body of a request failed when it was stopped")

    def _produced(self, _: object) -> None:
        if not self._over:
            self._over = True
            self._settle(Failure(WrongLength()) if self._left else None)

    def _fail(self, reason: Failure) -> None:
        # What a producer fails with after it was stopped is of no interest.
        if not self._over:
            self._over = True
            self._settle(reason)

    def _settle(self, result: Failure | None) -> None:
        # A producer that is stopped may cancel.
        if not self.finished.called:
            self.finished.callback(result)  # A Failure makes it fail.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:  # noqa: FBT001 (Twisted's signature)
        """
        Decline: the producer of a body is known already.

        @raise RuntimeError: always.
        """
        raise RuntimeError("the producer of the body is registered already")

    def unregisterProducer(self) -> None:
        """
        Do nothing, as there was no registration.
        """


@implementer(IPushProducer)
class Upload:
    """
    A body on its way into a transport, no faster than the transport takes it.

    @ivar finished: fires once all of it was written; fails with what the
        producer fails with.
    """

    def __init__(
        self,
        producer: IBodyProducer,
        transport: BoundedTLSTransport,
        write: Callable[[bytes], object],
        moved: Callable[[], object],
    ) -> None:
        """
        @param transport: tells when it can take more.
        @param write: writes to it.
        @param moved: is called whenever a part was written or may be.
        """
        self._transport = transport
        self._send = write
        self._moved = moved
        self._chunked = producer.length is UNKNOWN_LENGTH
        self._paused = self._registered = False
        self._body = Measured(producer, self._write)
        self.finished = self._body.finished
        self.finished.addCallback(self._conclude).addBoth(self._unregister)

    def start(self) -> None:
        """
        Begin.
        """
        self._registered = True
        self._transport.registerProducer(self, streaming=True)  # type: ignore[no-untyped-call]
        self._body.start()

    def _write(self, data: bytes) -> None:
        if not data:
            # An empty chunk would be the last (RFC 9112, section 7.1).
            return
        if not self._paused:
            self._moved()
        self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _conclude(self, _: None) -> None:
        if self._chunked:
            self._send(b"0\r\n\r\n")
        self._moved()

    def _unregister(self, result: Failure | None) -> Failure | None:
        if self._registered:
            self._registered = False
            self._transport.unregisterProducer()  # type: ignore[no-untyped-call]
        return result

    def stop(self) -> None:
        """
        Have the producer end early; L{finished} does not fire for that.
        """
        self._body.stop()
        self._unregister(None)

    def pauseProducing(self) -> None:
        """
        The transport has enough for now.
        """
        self._paused = True
        self._body.pause()

    def resumeProducing(self) -> None:
        """
        The transport takes more.
        """
        self._paused = False
        self._moved()
        self._body.resume()

    def stopProducing(self) -> None:
        """
        The transport is gone.
        """
        self._body.stop()
