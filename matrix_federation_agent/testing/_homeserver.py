"""
Homeservers.
"""

from __future__ import annotations

from weakref import WeakSet

import attrs
from twisted.web.http import HTTPChannel, Request

from ._connections import TrackedFactory
from ._faults import Fault
from ._misconduct import MISCONDUCT, close_without_a_word
from ._received import ReceivedRequest, json_answer
from ._signing import SigningKey
from ._well_known import WellKnownHost


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
    _used: WeakSet[HTTPChannel] = attrs.field(factory=WeakSet)

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
        @return: the body, or C{NOT_DONE_YET}.
        """
        if self.well_known is not None and request.path == self.well_known.path.encode("ascii"):
            return self.well_known.answer(request)
        received = ReceivedRequest.of(request)
        self.requests.append(received)
        if self.fault is not None and self.fault in MISCONDUCT:
            return MISCONDUCT[self.fault](request)
        if self.fault is Fault.STALE and self._was_used(request.channel):
            return close_without_a_word(request)
        if request.path == b"/_matrix/federation/v1/version":
            return json_answer(request, 200, {"server": {"name": "LoopbackFederation", "version": "1"}})
        if request.path == b"/_matrix/key/v2/server":
            return json_answer(request, 200, self.signing_key.key_object(self.server_name, now))
        return json_answer(request, 200, received.echo())

    def _was_used(self, connection: HTTPChannel) -> bool:
        used = connection in self._used
        self._used.add(connection)
        return used
