"""
One TCP connection.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from .._descriptors import nothing, once_there_are_descriptors
from ..errors import ConnectionFailed, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IConnector, IProtocol, IProtocolFactory

    from .._policies import Address
    from .._reactor import IReactor


SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""
What the system says when it is out of sockets.  EADDRNOTAVAIL is none of
them: of an IPv6 address it means that this machine has no IPv6.
"""


class NoSocket(ConnectionFailed):
    """
    The system gave no socket; that says nothing about the other side.
    """


@attrs.define(eq=False)
class Room:
    """
    Makes room for another socket.

    @ivar make: is called when the system is out of sockets; closes what is
        not needed now.
    """

    make: Callable[[], object] = nothing


@attrs.frozen(eq=False)
class Patience:
    """
    How to meet a shortage of sockets: by waiting.

    @ivar room: is asked to make room.
    @ivar until: when to give up; in seconds, as the reactor counts them.
    """

    room: Room
    until: float


async def connect_tcp(
    reactor: IReactor,
    asked: str,
    place: tuple[Address, int],
    factory: IProtocolFactory,
    seconds: float,
    patience: Patience,
) -> None:
    """
    Connect TCP, once there is a socket.

    @param asked: the server that errors name.
    @param place: an address and a port.
    @param seconds: the limit of one attempt.
    @raise FederationError: when it is not connected.
    """
    attempt = partial(_connect_once, reactor, asked, place, factory, seconds)
    try:
        await once_there_are_descriptors(
            reactor, attempt, is_shortage=_is_shortage, make_room=patience.room.make, until=patience.until
        )
    except NoSocket as error:
        raise ConnectionFailed(asked, error.reason) from error.__cause__


def _is_shortage(error: Exception) -> bool:
    return isinstance(error, NoSocket)


async def _connect_once(
    reactor: IReactor, asked: str, place: tuple[Address, int], factory: IProtocolFactory, seconds: float
) -> None:
    """
    Connect TCP.

    @raise NoSocket: when there is none to connect with.
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
        number = getattr(error, "osError", None)
        if number in SHORTAGES:
            raise NoSocket(asked, f"there is no socket to connect with: {os.strerror(number).lower()}") from error
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
        self._factory: IProtocolFactory | None = factory
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
        Build the protocol, the only one.
        """
        # Twisted's connector, which is part of a cycle, keeps this attempt.
        factory, self._factory = self._factory, None
        assert factory is not None  # noqa: S101 (for types: there is one connection)
        try:
            protocol = factory.buildProtocol(addr)
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
