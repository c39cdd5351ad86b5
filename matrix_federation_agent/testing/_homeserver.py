"""
Homeservers, and how those behave that have a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET

from ._connections import TrackedFactory
from ._faults import Fault
from ._received import ReceivedRequest, json_answer
from ._signing import SigningKey
from ._well_known import WellKnownHost

_CUT_OFF_LENGTH = 1000
"""
Bytes that a response announces, of which it sends fewer.
"""


@attrs.define(eq=False)
class VirtualServer:
    """
    A homeserver at a virtual address.

    @ivar server_name: its Matrix name.
    @ivar address: its virtual address.
    @ivar port: its virtual port.
    @ivar host: the C{Host} header that a correct request carries.
    @ivar identity: the name or address that its certificate must carry.
    @ivar step: the step of the specification by which it is found; empty when it was placed by hand.
    @ivar fault: what is wrong with it; L{None} ends a fault of its answers.
    @ivar requests: what arrived.
    @ivar well_known: the C{.well-known} document that it answers with itself, when it listens on port 443.
    @ivar signing_key: the key of its C{/_matrix/key/v2/server}.
    """

    server_name: str
    address: str
    port: int
    host: str
    identity: str
    step: str = ""
    fault: Fault | None = None
    requests: list[ReceivedRequest] = attrs.field(factory=list)
    well_known: WellKnownHost | None = None
    signing_key: SigningKey = attrs.field(factory=SigningKey)
    _listener: TrackedFactory | None = None

    @property
    def connections(self) -> int:
        """
        How many TCP connections it has accepted.
        """
        return 0 if self._listener is None else self._listener.accepted

    def listens_by(self, listener: TrackedFactory) -> None:
        """
        Count the connections of a listener as this server's.

        @param listener: the factory that accepts its connections.
        """
        self._listener = listener

    def answer(self, request: Request, now: float) -> bytes | int:
        """
        Answer a request.

        @param request: the request, completely received.
        @param now: seconds since the epoch.
        @return: the body, or L{NOT_DONE_YET}.
        """
        if self.well_known is not None and request.path == self.well_known.path.encode("ascii"):
            return self.well_known.answer(request)
        received = ReceivedRequest.of(request)
        self.requests.append(received)
        if self.fault is not None and self.fault in _MISCONDUCT:
            return _MISCONDUCT[self.fault](request)
        if request.path == b"/_matrix/federation/v1/version":
            return json_answer(request, 200, {"server": {"name": "LoopbackFederation", "version": "1"}})
        if request.path == b"/_matrix/key/v2/server":
            return json_answer(request, 200, self.signing_key.key_object(self.server_name, now))
        return json_answer(request, 200, received.echo())


def _server_error(request: Request) -> bytes:
    return json_answer(request, 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"})


def _not_http(request: Request) -> int:
    request.channel.write(b"220 mail.example ESMTP ready\r\n")
    request.channel.loseConnection()
    return NOT_DONE_YET


def _cut_off(request: Request) -> int:
    request.setHeader(b"content-length", b"%d" % _CUT_OFF_LENGTH)
    request.write(b'{"server": {"name": "Loop')
    request.channel.loseConnection()
    return NOT_DONE_YET


_MISCONDUCT: Mapping[Fault, Callable[[Request], bytes | int]] = {
    Fault.SILENT: lambda _: NOT_DONE_YET,
    Fault.SERVER_ERROR: _server_error,
    Fault.NOT_HTTP: _not_http,
    Fault.CUT_OFF: _cut_off,
}
