"""
How homeservers answer that have a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from ._faults import Fault
from ._received import json_answer

_CUT_OFF_LENGTH = 1000
"""
Bytes that a response announces, of which it sends fewer.
"""

_PADDING = b"X-Padding: " + b"x" * 1000 + b"\r\n"
_INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"

_REFUSAL = b'{"errcode": "M_TOO_LARGE", "error": "Content too large"}'
TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_REFUSAL), _REFUSAL)
)
"""
A whole response, for who does not wait for the end of the request.
"""


@implementer(IPullProducer)
class _Endless:
    """
    Writes the same for ever, as fast as the peer takes it.
    """

    def __init__(self, request: Request, piece: bytes) -> None:
        self._request = request
        self._piece = piece

    def resumeProducing(self) -> None:
        """
        Write it again.
        """
        self._request.channel.write(self._piece)

    def stopProducing(self) -> None:
        """
        Whoever stops this has lost the connection.
        """


def _server_error(request: Request) -> bytes:
    return json_answer(request, 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"})


def _last_words(words: bytes) -> Callable[[Request], int]:
    def close(request: Request) -> int:
        request.channel.write(words)
        request.channel.loseConnection()
        return NOT_DONE_YET

    return close


close_without_a_word = _last_words(b"")
"""
Close the connection instead of answering.
"""


def _cut_off(request: Request) -> int:
    request.setHeader(b"content-length", b"%d" % _CUT_OFF_LENGTH)
    request.write(b'{"server": {"name": "Loop')
    request.channel.loseConnection()
    return NOT_DONE_YET


def _reset(request: Request) -> int:
    transport: Any = request.channel.transport
    transport.abortConnection()
    return NOT_DONE_YET


def _endless(beginning: bytes, piece: bytes) -> Callable[[Request], int]:
    def go_on(request: Request) -> int:
        request.channel.write(beginning)
        request.registerProducer(_Endless(request, piece), False)  # noqa: FBT003 (its signature is Twisted's)
        return NOT_DONE_YET

    return go_on


MISCONDUCT: Mapping[Fault, Callable[[Request], bytes | int]] = {
    Fault.SILENT: lambda _: NOT_DONE_YET,
    Fault.SERVER_ERROR: _server_error,
    Fault.NOT_HTTP: _last_words(b"220 mail.example ESMTP ready\r\n"),
    Fault.CUT_OFF: _cut_off,
    Fault.CUT_OFF_HEAD: _last_words(b"HTTP/1.1 200 OK\r\nContent-Type: application/js"),
    Fault.RESET: _reset,
    Fault.ENDLESS_HEAD: _endless(b"HTTP/1.1 200 OK\r\n", _PADDING),
    Fault.ENDLESS_INTERIM: _endless(b"", _INTERIM),
}
"""
What becomes of a request, completely received.
"""
