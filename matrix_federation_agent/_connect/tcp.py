"""
One TCP connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from ..errors import ConnectionFailed, TimedOut

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IConnector, IProtocol, IProtocolFactory

    from .._policies import Address
    from .._reactor import IReactor


async def connect_tcp(
    reactor: IReactor, asked: str, place: tuple[Address, int], factory: IProtocolFactory, seconds: float
) -> None:
    """
    Connect TCP.

    @param asked: the server that errors name.
    @param place: an address and a port.
    @param seconds: the limit.
    @raise FederationError: when it is not connected.
    """
    address, port = place
    attempt = TCPAttempt(factory)
    reactor.connectTCP(str(address), port, attempt, timeout=seconds)
    try:
        await attempt.connected
    except CancelledError:
        raise
    except TwistedTimeoutError as error:
        raise TimedOut(asked, f"TCP was not connected within {seconds:g} s", seconds=seconds) from error
    except Exception as error:
        raise ConnectionFailed(asked, Failure(error).getErrorMessage().rstrip(".")) from error


class TCPAttempt(ClientFactory):
    """
    Lets a connection have its protocol and nothing else: the protocol that
    Twisted's endpoints put in between sees every byte as long as a connection
    lasts.

    @ivar connected: fires when the protocol exists, just before it is
        connected.  Cancelling it gives the attempt up.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        """
        @param factory: builds the protocol.
        """
        self.connected: Deferred[None] = Deferred(self._cancel)
        self._factory = factory
        self._connector: IConnector | None = None

    def startedConnecting(self, connector: IConnector) -> None:
        """
        Remember what to stop.
        """
        self._connector = connector

    def _cancel(self, connected: Deferred[None]) -> None:
        connected.errback(CancelledError())
        if self._connector is not None:
            self._connector.stopConnecting()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        """
        Build the protocol.
        """
        try:
            protocol = self._factory.buildProtocol(addr)
        except BaseException:  # noqa: BLE001 (whoever waits gets it)
            self.connected.errback(Failure())
            return None
        self.connected.callback(None)
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """
        Tell why there is no connection.
        """
        if not self.connected.called:
            self.connected.errback(reason)
