"""
Response bodies, passed on as they arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from ..errors import ResponseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IResponse

    from ..errors import FederationError


async def pass_on(response: IResponse, write: Callable[[bytes], object], broken_off: FederationError) -> None:
    """
    Write a body, piece by piece.  Who gives up ends the connection, by the
    agent or the exchange that the response came from.

    @param write: takes the pieces; what it raises ends the whole.
    @param broken_off: is raised when the body ends too early.
    """
    body = _Body(write, broken_off)
    response.deliverBody(body)
    await body.done


async def read_bounded(response: IResponse, limit: int) -> bytes:
    """
    Read a body that may not be longer than a limit.

    @param limit: in bytes.
    @raise ResponseFailed: when it is longer, or ends too early.
    """
    parts: list[bytes] = []
    left = limit

    def keep(data: bytes) -> None:
        nonlocal left
        left -= len(data)
        if left < 0:
            raise ResponseFailed("", "the body is too long")
        parts.append(data)

    await pass_on(response, keep, ResponseFailed("", "the body broke off"))
    return b"".join(parts)


class _Body(Protocol):
    """
    Passes a body on.
    """

    def __init__(self, write: Callable[[bytes], object], broken_off: FederationError) -> None:
        self._write = write
        self._broken_off = broken_off
        self.done: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass on some of the body.
        """
        if self.done.called:
            return
        try:
            self._write(data)
        except Exception:  # noqa: BLE001 (whatever it is, the reader of `done` gets it)
            self.done.errback(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body is complete: a response without a length ends with its
        connection (RFC 9112, section 6.3).
        """
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            self.done.errback(self._broken_off)
