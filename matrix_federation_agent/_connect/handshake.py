"""
A connection exists once its handshake is complete and verified.

Twisted's TLS endpoints fire when TCP is connected, and let the application
write before the certificate is known.  Here the application's protocol is
built only afterwards: a bad certificate is one more failed attempt, and no
byte of HTTP was written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Client
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementedBy, implementer
from zope.interface.declarations import Provides

from ..errors import ConnectionFailed, HandshakeFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime

    from .._tls.verification import VerifiedConnectionCreator
    from ..errors import FederationError
    from .open_connections import OpenConnections


class TrustReplaced(HandshakeFailed):
    """
    A handshake was finished by roots that count no longer; another one is to
    be made.
    """


@implementer(IHandshakeListener)
class HandshakeGate(Protocol):
    """
    Stands in for the application's protocol until the handshake is verified,
    and then steps out of the way.

    @ivar opened: fires with the application's protocol, or fails with a
        L{HandshakeFailed}.  Cancelling it aborts the connection.
    """

    transport: TLSMemoryBIOProtocol

    def __init__(self, creator: VerifiedConnectionCreator, application: IProtocolFactory) -> None:
        """
        @param application: builds the protocol of a verified connection.
        """
        self._creator = creator
        self._application = application
        self._server_name = creator.identity.asked
        self.opened: Deferred[IProtocol] = Deferred(self._cancel)

    def _cancel(self, opened: Deferred[IProtocol]) -> None:
        """
        Settle it first: some transports tell of their end while they are
        being aborted.
        """
        opened.errback(CancelledError())
        self.abort()

    def abort(self) -> None:
        """
        Drop the connection at once; C{loseConnection} would wait for the
        peer's farewell.
        """
        if self.connected:
            self.transport.abortConnection()

    def handshakeCompleted(self) -> None:
        """
        Let the application in, if the certificate was accepted, and if
        somebody still waits for it.
        """
        if self.opened.called:
            self.abort()
            return
        if self._creator.generation.retired:
            # Nothing is sent over roots that were replaced meanwhile.
            self._refuse(self._replaced())
            return
        refusal = self._creator.conclude(self.transport.getHandle())
        if refusal is not None:
            self._refuse(refusal)
            return
        try:
            self._let_in()
        except Exception:  # noqa: BLE001 (the caller's own code, and the caller is told of it)
            self._give_up(Failure())

    def _let_in(self) -> None:
        """
        Hand the connection over; the caller's code runs here, and may cancel.
        """
        protocol = self._application.buildProtocol(self.transport.getPeer())
        if self.opened.called:
            return
        if protocol is None:
            self._refuse(ConnectionFailed(self._server_name, "the caller's factory declined the connection"))
            return
        self.transport.wrappedProtocol = protocol
        protocol.makeConnection(self.transport)
        if IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()
        if not self.opened.called:
            self.opened.callback(protocol)

    def _give_up(self, failure: Failure) -> None:
        """
        Let the caller have what the caller's own code raised.
        """
        if not self.opened.called:
            self.opened.errback(failure)
        self.abort()

    def _refuse(self, error: ConnectionFailed) -> None:
        self.opened.errback(error)
        self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection ended before it was verified.
        """
        if not self.opened.called:
            self.opened.errback(self._rejection() or self._failure(reason))

    def _rejection(self) -> FederationError | None:
        """
        Tell why the certificate was refused; what replaced roots refused, the
        new ones may accept.
        """
        rejection = self._creator.rejection
        return self._replaced() if rejection is not None and self._creator.generation.retired else rejection

    def _replaced(self) -> TrustReplaced:
        return TrustReplaced(self._server_name, "the trusted roots were replaced during the handshake")

    def _failure(self, reason: Failure) -> HandshakeFailed:
        """
        Tell a failed handshake from a connection that was merely closed.
        """
        if reason.check(SSL.Error):
            words = f"the TLS handshake failed: {_openssl_words(reason.value)}"
        else:
            words = "the connection was closed during the TLS handshake"
        error = HandshakeFailed(self._server_name, words)
        error.__cause__ = reason.value
        return error


def _openssl_words(error: BaseException | None) -> str:
    """
    Find the reasons in OpenSSL's error queue: triples of library, function
    and reason.
    """
    arguments = () if error is None else error.args
    queue = arguments[0] if arguments and isinstance(arguments[0], list) else []
    return ", ".join(str(entry[-1]) for entry in queue if entry) or "no reason was given"


@attrs.define(eq=False)
class ByteBudget:
    """
    How much a peer may send on one connection, TLS included.

    @ivar left: in bytes; below zero when the peer sent more.
    """

    left: float = math.inf

    @property
    def exceeded(self) -> bool:
        """
        Whether the peer sent more.
        """
        return self.left < 0


class BoundedTLSTransport(BufferingTLSTransport):
    """
    A TLS connection that is aborted once its peer sent too much, and that
    remembers its session.
    """

    factory: VerifiedTLSFactory
    _received = 0

    def dataReceived(self, bytes: bytes) -> None:
        """
        Count what arrives, before anything is decrypted or parsed.
        """
        budget = self.factory.budget
        budget.left -= len(bytes)
        if budget.exceeded:
            self.abortConnection()  # type: ignore[no-untyped-call]
            return
        creator = self.factory.creator
        opened = creator.accepted
        self._received += len(bytes)
        super().dataReceived(bytes)  # type: ignore[no-untyped-call]
        connection: SSL.Connection | None = self.getHandle()  # type: ignore[no-untyped-call]
        if opened and connection is not None:
            creator.keep_session(connection, self._received)

    def write_at_once(self, data: bytes) -> None:
        """
        Write what is complete in itself: nothing small is to follow that it
        could be sent together with.  What was written otherwise and has not
        been sent is overtaken.
        """
        TLSMemoryBIOProtocol.write(self, data)

    def leave(self) -> None:
        """
        Say farewell, and close without waiting for the peer's: who closes has
        no need of it (RFC 8446, section 6.1).
        """
        self.loseConnection()
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep the session resumable, although the server may have gone without
        a farewell: OpenSSL then wants to send an alert, which nobody would
        receive, and spoils the session.  RFC 5246, section 7.2.1, permits to
        resume it; to the application the connection is lost all the same.
        """
        connection: SSL.Connection | None = self.getHandle()  # type: ignore[no-untyped-call]
        if self.factory.creator.accepted and connection is not None:
            connection.set_shutdown(connection.get_shutdown() | SSL.SENT_SHUTDOWN)
        super().connectionLost(reason)


_DECLARATIONS = tuple(Provides(BoundedTLSTransport, interface) for interface in implementedBy(Client))
"""
What Twisted declares of each connection, one interface after the other, for
its TCP transport provides them.  C{zope.interface} forgets declarations that
nobody holds, and makes them anew.
"""


class VerifiedTLSFactory(TLSMemoryBIOFactory):
    """
    Wraps a connection in TLS, and keeps account of it while it is open.
    """

    protocol = BoundedTLSTransport

    def __init__(
        self,
        creator: VerifiedConnectionCreator,
        gate: HandshakeGate,
        clock: IReactorTime,
        open_connections: OpenConnections,
        budget: ByteBudget,
    ) -> None:
        """
        @param clock: schedules the flushing of small writes.
        """
        super().__init__(creator, True, Factory(), clock)  # noqa: FBT003 (Twisted's signature: isClient)
        self._gate: HandshakeGate | None = gate
        self._open_connections = open_connections
        self.creator = creator
        self.budget = budget

    def buildProtocol(self, addr: IAddress | None) -> TLSMemoryBIOProtocol:
        """
        Wrap the gate in TLS, once; kept, it would be part of a cycle.
        """
        gate, self._gate = self._gate, None
        assert gate is not None  # noqa: S101 (for types: there is one connection)
        return self.protocol(self, gate)

    def registerProtocol(self, p: TLSMemoryBIOProtocol) -> None:
        """
        A connection was opened.
        """
        super().registerProtocol(p)  # type: ignore[no-untyped-call]
        self._open_connections.add(p)

    def unregisterProtocol(self, p: TLSMemoryBIOProtocol) -> None:
        """
        A connection was lost.
        """
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        self._open_connections.discard(p)
