"""
Requests as they arrived, and JSON answers to them.
"""

from __future__ import annotations

import json

import attrs
from twisted.web.http import Request


@attrs.frozen
class ReceivedRequest:
    """
    A request as it arrived.

    @ivar method: such as C{"GET"}.
    @ivar target: the request target, byte for byte.
    @ivar headers: every header, its name in lower case.
    @ivar host: the C{Host} header; L{None} when there was none or more than one.
    @ivar body: the body.
    """

    method: str
    target: bytes
    headers: tuple[tuple[str, str], ...]
    host: str | None
    body: bytes

    @classmethod
    def of(cls, request: Request) -> ReceivedRequest:
        """
        Note a request.

        @param request: the request, completely received.
        """
        headers = tuple(
            (name.lower().decode("latin-1"), value.decode("latin-1"))
            for name, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        )
        hosts = [value for name, value in headers if name == "host"]
        body = b"" if request.content is None else request.content.read()
        host = hosts[0] if len(hosts) == 1 else None
        return cls(request.method.decode("latin-1"), request.uri, headers, host, body)

    def echo(self) -> dict[str, object]:
        """
        Describe the request as JSON; bytes become text as latin-1.
        """
        return {
            "method": self.method,
            "target": self.target.decode("latin-1"),
            "host": self.host,
            "headers": [list(header) for header in self.headers],
            "body": self.body.decode("latin-1"),
        }


def json_answer(request: Request, status: int, value: object) -> bytes:
    """
    Answer with JSON.

    @param request: what is answered; its status and content type are set.
    @param status: the status code.
    @param value: what the body shall say.
    @return: the body.
    """
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    return json.dumps(value).encode("utf-8")
