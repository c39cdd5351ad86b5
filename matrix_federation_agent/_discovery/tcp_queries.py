"""
DNS queries by TCP, for answers that do not fit into a datagram (RFC 7766).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.names.error import DNSQueryTimeoutError, ResolverError
from twisted.protocols.basic import Int16StringReceiver

from .._deadlines import within
from .questions import read_message

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IConnector
    from twisted.names import dns
    from twisted.python.failure import Failure

    from .._reactor import IReactor
    from .questions import Question

SECONDS = 10.0
"""
For connecting and the answer.
"""


class _Connection(Int16StringReceiver):
    """
    Sends a query when it is connected, and reads one message.
    """

    factory: Any

    def connectionMade(self) -> None:
        self.sendString(self.factory.query)  # type: ignore[no-untyped-call]

    def stringReceived(self, string: bytes) -> None:
        self.factory.end(string)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.end(reason)


class _Asking(ClientFactory):
    """
    Makes the connection for one query.

    @ivar message: fires with the first message that arrives.
    """

    noisy = False

    def __init__(self, query: bytes) -> None:
        self.query = query
        self.message: Deferred[bytes] = Deferred()
        self.connection: _Connection | None = None

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        """
        Make the connection.
        """
        self.connection = _Connection()
        self.connection.factory = self
        return self.connection

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """
        Tell who waits.
        """
        self.end(reason)

    def end(self, outcome: bytes | Failure) -> None:
        """
        Take what came first.
        """
        if not self.message.called:
            self.message.callback(outcome)  # A Failure makes it fail.

    def close(self, connector: IConnector) -> None:
        """
        Leave nothing behind.
        """
        if self.connection is None:
            connector.disconnect()
        else:
            transport: Any = self.connection.transport
            transport.abortConnection()


async def ask_by_tcp(reactor: IReactor, server: tuple[str, int], question: Question, identifier: int) -> dns.Message:
    """
    Ask a name server over a connection of its own, which is closed afterwards.

    @raise ConnectError: when there is no connection, or another error of
        Twisted's when it was lost.
    @raise DNSQueryTimeoutError: when that takes too long.
    @raise ResolverError: when what came first was not the whole answer.
    """
    asking = _Asking(question.sent_as(identifier))
    connector: IConnector = reactor.connectTCP(*server, asking)
    try:
        message = await within(reactor, SECONDS, asking.message, lambda _: DNSQueryTimeoutError(identifier))
    finally:
        asking.close(connector)
    answer = read_message(message) if question.answered_by(message, identifier) else None
    if answer is None or answer.trunc:
        raise ResolverError("what came by TCP is not the answer")
    return answer
