"""
The HTTP server in front of homeservers and C{.well-known} documents.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from ._homeserver import VirtualServer
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


def site(answering: VirtualServer | WellKnownHost, reactor: IReactorTime) -> Site:
    """
    Make the HTTP server of a host.

    @param answering: what answers.
    @param reactor: the clock of its timeouts.
    """
    made = Site(_Origin(answering, reactor), reactor=reactor)
    made.noisy = False
    return made
