"""
One TCP connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.python.failure import Failure

from ..errors import ConnectionFailed, TimedOut

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory

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
    kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
    endpoint = kind(reactor, str(address), port, timeout=seconds)
    try:
        await endpoint.connect(factory)
    except (CancelledError, ConnectingCancelledError) as error:
        raise CancelledError from error
    except TwistedTimeoutError as error:
        raise TimedOut(asked, f"TCP was not connected within {seconds:g} s", seconds=seconds) from error
    except Exception as error:
        raise ConnectionFailed(asked, Failure(error).getErrorMessage().rstrip(".")) from error
