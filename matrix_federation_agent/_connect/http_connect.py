"""
HTTP CONNECT (RFC 9110, section 9.3.6), over HTTP/1.1.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING

from .negotiation import Refused

if TYPE_CHECKING:
    from .._discovery.routing import Target
    from .._policies import Proxy

MAXIMUM_INTERIM = 16
"""
Interim responses before the final one.
"""

_END = b"\r\n\r\n"
# RFC 9112, section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?")
_WORDS = {
    403: ": it does not permit this server",
    502: ": it could not connect to the server",
    503: ": it could not connect to the server",
    504: ": the server did not answer it in time",
}


class HTTPConnect:
    """
    Asks an HTTP proxy for a tunnel to a server.

    @ivar remainder: what came after the proxy's response.
    """

    def __init__(self, proxy: Proxy, target: Target, limit: int) -> None:
        """
        @param limit: bytes that all its responses together may have.
        """
        self.remainder: bytes | None = None
        self._credentials = proxy.credentials
        self._target = str(target).encode("ascii")
        self._left = limit
        self._limit = limit
        self._interim = 0
        self._received = b""

    def begin(self) -> bytes:
        """
        Make the request; the credentials are for the proxy, and stand in no
        other request.
        """
        lines = [b"CONNECT %b HTTP/1.1" % self._target, b"Host: %b" % self._target]
        if self._credentials is not None:
            # RFC 7617, section 2.1: UTF-8 is the only charset there is.
            plain = f"{self._credentials.user}:{self._credentials.password}".encode()
            lines.append(b"Proxy-Authorization: Basic %b" % b64encode(plain))
        return b"\r\n".join(lines) + _END

    def receive(self, data: bytes) -> bytes:
        """
        Take some of the response.

        @return: nothing: there is no more to be said.
        @raise Refused: when it is not a success, or longer than it may be.
        """
        self._received += data
        while self.remainder is None and (head := self._next_head()) is not None:
            status = _status(head)
            if status >= 200:
                self._conclude(status)
            else:
                self._skip(status)
        return b""

    def _next_head(self) -> bytes | None:
        """
        Take the next response out of what was received, if it is complete.
        """
        head, end, rest = self._received.partition(_END)
        if len(head) + len(end) > self._left:
            raise Refused(f"its response is longer than {self._limit} bytes")
        if not end:
            return None
        self._left -= len(head) + len(end)
        self._received = rest
        return head

    def _skip(self, status: int) -> None:
        """
        Pass over an interim response (RFC 9110, section 15.2); 101 is none,
        for it leaves HTTP.
        """
        self._interim += 1
        if status == 101 or self._interim > MAXIMUM_INTERIM:
            raise Refused("its interim responses lead nowhere", status)

    def _conclude(self, status: int) -> None:
        """
        Judge the final response.  Whatever it says of a length does not
        count: the tunnel begins after the head.
        """
        if status == 407:
            asked = "wants credentials, and it was given none"
            refused = "does not accept the credentials that it was given"
            raise Refused(f"it {asked if self._credentials is None else refused} (status 407)", status)
        if status >= 300:
            raise Refused(f"it answered CONNECT with status {status}{_WORDS.get(status, '')}", status)
        self.remainder = self._received


def _status(head: bytes) -> int:
    """
    Read the status of a response.
    """
    matched = _STATUS_LINE.fullmatch(head.partition(b"\r\n")[0])
    if matched is None:
        raise Refused("it did not answer in HTTP/1.1")
    return int(matched[1])
