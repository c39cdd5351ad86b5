"""
One connection of a client, which carries one request after the other.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from zope.interface import implementer

from .._http.watch import Deadline, Watch
from .answers import busy
from .farewell import Farewell
from .reading import HeadReader, Refused, body_end
from .refusals import answer_to, late_head
from .turn import Turn
from .writing import connection_line, written

if TYPE_CHECKING:
    from typing import Any

    from twisted.internet.interfaces import IAddress, IReactorTime
    from twisted.python.failure import Failure

    from .answers import Answer
    from .forwarder import Forwarder
    from .hangup import HangUps
    from .head import RequestHead

_log = Logger()

MAXIMUM_KEPT = 64 * 1024
"""
Bytes of further requests that are kept while one is under way; one read more
may be.
"""


@implementer(IPushProducer)
class GatewayConnection(Protocol):
    """
    Reads requests, and serves one at a time.

    @ivar last: whether no further request is served after the one that is
        under way.
    @ivar full: whether the client takes nothing for now.
    @ivar peer: the client, for the log.
    """

    transport: Any

    def __init__(
        self,
        clock: IReactorTime,
        forwarder: Forwarder,
        connections: set[GatewayConnection],
        hang_ups: HangUps,
        *,
        refused: bool = False,
    ) -> None:
        """
        @param connections: all there are; it puts itself among them.
        @param hang_ups: looks after it while it does not read.
        @param refused: whether there are too many already.
        """
        self.last = self.full = False
        self.peer = ""
        self._clock = clock
        self._forwarder = forwarder
        self._connections = connections
        self._hang_ups = hang_ups
        self._refused = refused
        self._watch = Watch(clock, self)
        self._heads = HeadReader()
        self._farewell: Farewell | None = None
        # Whether it takes no request any more.
        self._closed = self._gone = False
        # Since when it is idle, or reads a head.
        self._since = 0.0
        self._full_since = 0.0
        self._turn: Turn | None = None
        self._kept = b""
        self._first = True
        self._serving = self._paused = self._idle = False

    def connectionMade(self) -> None:
        """
        Wait for a request.
        """
        transport = self.transport
        self._connections.add(self)
        self._forwarder.clients.open += 1
        self.peer = _named(transport.getPeer())
        self._since = self._clock.seconds()
        if ITCPTransport.providedBy(transport):
            # Twisted 24 says so of Unix sockets as well.
            with suppress(OSError):
                transport.setTcpNoDelay(True)
        transport.registerProducer(self, streaming=True)
        if self._refused:
            self._refuse(busy(self._forwarder.policy.retry_after, "too many connections are open"))
            return
        self._set_idle(idle=True)
        self._watch.begin()

    def dataReceived(self, data: bytes) -> None:
        """
        Read on; whatever is wrong here is the end of this connection alone.
        """
        try:
            self._take(data)
        except Exception:  # noqa: BLE001 (the reactor would log and drop it, and the request would never end)
            self._collapse()

    def _collapse(self) -> None:
        _log.failure("a client's request could not be served")
        turn = self._turn
        if turn is not None:
            turn.drop("internal")
        self.abort()

    def _take(self, data: bytes) -> None:
        if self._closed:
            if self._farewell is not None:
                self._farewell.receive(data)
            return
        turn = self._turn
        if turn is not None and turn.receiving:
            data = turn.receive(data)
        self._kept = self._kept + data if self._kept else data
        self._serve()

    def _serve(self) -> None:
        """
        Serve the requests that are there, until one is under way.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self._kept and self._turn is None and not (self._closed or self.full):
                data, self._kept = self._kept, b""
                found = self._heads.feed(data, self._forwarder.policy)
                if found is None:
                    self._await_head()
                else:
                    self._begin(*found)
        except Refused as refusal:
            self._refuse(answer_to(refusal))
        finally:
            self._serving = False
        if self._kept or self._paused:
            self.adjust_reading()

    def _await_head(self) -> None:
        """
        The rest of a head is to come.
        """
        if self._idle and self._heads.begun:
            self._set_idle(idle=False)
            if not self._first:
                self._since = self._clock.seconds()
        self.hasten()

    def _begin(self, head: RequestHead, data: bytes) -> None:
        """
        Serve a request.

        @param data: what arrived after its head.
        """
        end = body_end(head)
        self._first = False
        self._set_idle(idle=False)
        forwarder = self._forwarder
        self._turn = turn = Turn(self, self._clock, forwarder.policy, head, end)
        self._kept = turn.begin(forwarder.receive(head, self.peer), data)
        if self._turn is turn:
            self.hasten()

    def proceed(self, *, persistent: bool, whole: bool) -> None:
        """
        Go on after a request.

        @param persistent: whether another one may follow.
        @param whole: whether all of the request was read.
        """
        self._turn = None
        if self._closed:
            return
        if not persistent or self.last:
            self._leave(linger=not whole or bool(self._kept))
            return
        self._since = self._clock.seconds()
        self._set_idle(idle=True)
        self.hasten()
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._serve()
        except Exception:  # noqa: BLE001 (as in dataReceived)
            self._collapse()

    def _refuse(self, answer: Answer) -> None:
        """
        Answer what is no request, and close.
        """
        self._forwarder.refuse(answer, self.peer)
        self.write(written(answer, b"", connection_line(1, persistent=False)))
        self._leave(linger=True)

    def write(self, data: bytes) -> None:
        """
        Send the client something.
        """
        self.transport.write(data)

    def _leave(self, *, linger: bool) -> None:
        """
        Close, once everything was sent.

        @param linger: whether the client may be sending.
        """
        if self._closed:
            return
        self._closed = True
        self._set_idle(idle=False)
        self._kept = b""
        self._farewell = Farewell(self._clock, self.transport, linger=linger)
        self.adjust_reading()
        self.hasten()

    def drain(self) -> None:
        """
        Serve nothing after what is under way.
        """
        self.last = True
        if self._turn is None and not self._heads.begun:
            self._leave(linger=bool(self._kept))

    def abort(self) -> None:
        """
        Drop the connection at once: the client must not take what it has got
        for all there is.
        """
        if not self._gone:
            self._gone = self._closed = True
            self._set_idle(idle=False)
            self._watch.stop()
            self._hang_ups.discard(self)
            self.transport.abortConnection()

    def adjust_reading(self) -> None:
        """
        Read, or not, as it is now.
        """
        turn = self._turn
        held = turn is not None and turn.held
        pause = not self._closed and (held or len(self._kept) > MAXIMUM_KEPT)
        if pause is self._paused or self._gone:
            return
        self._paused = pause
        if pause:
            self._hang_ups.add(self)
            self.transport.pauseProducing()
        else:
            self._hang_ups.discard(self)
            self.transport.resumeProducing()

    def hasten(self) -> None:
        """
        Look in time for what has to happen next.
        """
        if not self._gone:
            self._watch.hasten()

    def pauseProducing(self) -> None:
        """
        The client takes nothing more for now.
        """
        if not self.full:
            self.full = True
            self._full_since = self._clock.seconds()
            if self._turn is not None:
                self._turn.pause()
            self.hasten()

    def resumeProducing(self) -> None:
        """
        The client has taken what there was.
        """
        if self.full:
            self.full = False
            if self._turn is not None:
                self._turn.resume()
            self.hasten()
            self._go_on()

    def stopProducing(self) -> None:
        """
        Do nothing: the end is told in another way.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Give up what is under way.
        """
        self._gone = self._closed = True
        self._set_idle(idle=False)
        self._watch.end()
        self._connections.discard(self)
        self._hang_ups.discard(self)
        self._forwarder.clients.open -= 1
        self._kept = b""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.drop("gone")

    def _set_idle(self, *, idle: bool) -> None:
        if idle is not self._idle:
            self._idle = idle
            self._forwarder.clients.idle += 1 if idle else -1

    def deadline(self) -> Deadline | None:
        """
        Tell what has to happen next.
        """
        policy = self._forwarder.policy
        if self._farewell is not None:
            return self._farewell.deadline(policy.write_timeout)
        if self.full:
            return Deadline(self._full_since + policy.write_timeout, policy.write_timeout, "nothing was taken for")
        if self._turn is not None:
            return self._turn.deadline()
        if self._first or self._heads.begun:
            return Deadline(self._since + policy.head_timeout, policy.head_timeout, "no head within")
        return Deadline(self._since + policy.idle_timeout, policy.idle_timeout, "no request within")

    def give_up(self, deadline: Deadline) -> None:
        """
        It is too late.
        """
        try:
            self._give_up(deadline)
        except Exception:  # noqa: BLE001 (as in dataReceived)
            self._collapse()

    def _give_up(self, deadline: Deadline) -> None:
        if self._farewell is not None:
            if self._farewell.close():
                self.hasten()
            else:
                self.abort()
        elif self.full:
            if self._turn is not None:
                self._turn.drop("gone", f"{deadline.reason} {deadline.seconds:g} s")
            self.abort()
        elif self._turn is not None:
            self._turn.give_up(deadline)
        elif self._heads.begun:
            self._refuse(late_head())
        else:
            self._leave(linger=False)


def _named(address: IAddress | None) -> str:
    """
    Name a client for the log.
    """
    host = getattr(address, "host", None)
    if host is None:
        return "unix"
    port = getattr(address, "port", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
