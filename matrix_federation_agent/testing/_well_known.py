"""
Hosts of C{.well-known} documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET

from ._received import ReceivedRequest, json_answer

WELL_KNOWN_PATH = "/.well-known/matrix/server"


@attrs.define(eq=False)
class WellKnownHost:
    """
    A host of a C{.well-known} document. What it answers may be changed at any time.

    @ivar host: its name.
    @ivar address: its virtual address; the port is 443.
    @ivar body: the body: bytes as they are, anything else as JSON.
    @ivar status: the status code.
    @ivar headers: further response headers.
    @ivar path: the one path that it knows; the others are 404.
    @ivar silent: whether it never answers.
    @ivar requests: what arrived.
    """

    host: str
    address: str
    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    path: str = WELL_KNOWN_PATH
    silent: bool = False
    requests: list[ReceivedRequest] = attrs.field(factory=list)

    def answer(self, request: Request) -> bytes | int:
        """
        Answer a request.

        @param request: the request, completely received.
        @return: the body, or L{NOT_DONE_YET}.
        """
        self.requests.append(ReceivedRequest.of(request))
        if self.silent:
            return NOT_DONE_YET
        if request.path != self.path.encode("ascii"):
            return json_answer(request, 404, {"errcode": "M_NOT_FOUND"})
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name.encode("ascii"), value.encode("latin-1"))
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode("utf-8")
