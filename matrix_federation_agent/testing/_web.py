"""
The HTTP server in front of homeservers and C{.well-known} documents.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web import server
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from ._faults import Fault
from ._homeserver import VirtualServer
from ._misconduct import TOO_LARGE
from ._well_known import WellKnownHost


class _Origin(Resource):
    isLeaf = True

    def __init__(self, answering: VirtualServer | WellKnownHost, reactor: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answering = answering
        self._reactor = reactor

    def render(self, request: Request) -> bytes | int:
        """
        Answer every method and every path.
        """
        if isinstance(self._answering, WellKnownHost):
            return self._answering.answer(request)
        return self._answering.answer(request, self._reactor.seconds())


class _Received(server.Request):
    """
    A request that may be answered while its body arrives.
    """

    def __init__(self, answering: VirtualServer | WellKnownHost, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._answering = answering
        self._refused = False

    def handleContentChunk(self, data: bytes) -> None:
        """
        Refuse the body at its first piece, where that is the fault; leave unread what comes after.
        """
        if self._refused:
            return
        if isinstance(self._answering, VirtualServer) and self._answering.fault is Fault.EARLY_ANSWER:
            self._refused = True
            self.channel.write(TOO_LARGE)
            self.channel.loseConnection()
            return
        super().handleContentChunk(data)  # type: ignore[no-untyped-call]

    def process(self) -> None:
        """
        Answer, unless that has happened.
        """
        if not self._refused:
            super().process()  # type: ignore[no-untyped-call]


def site(answering: VirtualServer | WellKnownHost, reactor: IReactorTime) -> Site:
    """
    Make the HTTP server of a host.

    @param answering: what answers.
    @param reactor: the clock of its timeouts.
    """
    made = Site(_Origin(answering, reactor), partial(_Received, answering), reactor=reactor)
    made.noisy = False
    return made
