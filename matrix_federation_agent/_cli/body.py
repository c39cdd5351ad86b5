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


async def pass_on(response: IResponse, server_name: str, write: Callable[[bytes], object]) -> None:
    """
    Write a body, piece by piece.  Who gives up closes the agent that the
    response came from.

    @param server_name: what an error names.
    @param write: takes the pieces; what it raises ends the whole.
    @raise ResponseFailed: when the body ends too early.
    """
    body = _Body(server_name, write)
    response.deliverBody(body)
    await body.done


class _Body(Protocol):
    """
    Passes a body on.
    """

    def __init__(self, server_name: str, write: Callable[[bytes], object]) -> None:
        self._server_name = server_name
        self._write = write
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
            self.done.errback(ResponseFailed(self._server_name, "the body of the response broke off"))
