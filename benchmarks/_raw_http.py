"""
HTTP/1.1 as Synapse writes it to a gateway, and just enough of a reader for what comes back.

Nothing of the package is in it: what a gateway says is read by somebody else.
"""

from __future__ import annotations

import re

SECRET = "0123456789abcdef0123456789abcdef"
"""
Of the gateways here; it opens nothing.
"""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_SIGNATURE = f'X-Matrix origin="here.example",key="ed25519:a_here",sig="{"x" * 86}",destination="%s"'


def written(
    method: str,
    server_name: str,
    path: str,
    body: bytes | None = None,
    *,
    keep: bool = False,
    secret: str = SECRET,
    length: int | None = None,
) -> bytes:
    """
    Write a request with the fields that Synapse sends, in its order.

    @param keep: whether the connection is to stay, which Synapse does not want.
    @param length: what C{Content-Length} says; that of the body by default.
    """
    lines = [f"{method} matrix-federation://{server_name}{path} HTTP/1.1"]
    lines += [] if keep else ["Connection: close"]
    lines += [] if body is None else [f"Content-Length: {len(body) if length is None else length}"]
    lines += ["User-Agent: Synapse/1.163.2"]
    lines += [] if body is None else ["Content-Type: application/json"]
    lines += [f"Authorization: {_SIGNATURE % server_name}", f"Proxy-Authorization: Bearer {secret}"]
    # Twisted's Agent believes that the port of this scheme is 80.
    lines += [f"Host: {server_name}{':80' if ':' not in server_name else ''}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + (body or b"")


class Reply:
    """
    A response that is being read.

    @ivar code: its status; 0 until its head is there.
    @ivar count: the bytes of its body until now.
    @ivar complete: whether all of it is there.
    @ivar keeps: whether the bytes of the body are kept, in C{body}.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self.code = 0
        self.count = 0
        self.complete = False
        self.keeps = keeps
        self.body = bytearray()
        self._received = bytearray()
        self._chunked = False
        self._left: int | None = None

    def feed(self, data: bytes) -> None:
        """
        Read on. What follows a complete response is left out.
        """
        self._received += data
        if not self.code and not self._read_head():
            return
        if self._chunked:
            self._read_chunks()
        else:
            self._read_sized()

    def end(self) -> None:
        """
        The connection has ended, which is the end of a body that does not tell its length.
        """
        self.complete = self.complete or bool(self.code and not self._chunked and self._left is None)

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._received[: end + 2])
        del self._received[: end + 4]
        self.code = int(head[9:12])
        self._chunked = bool(_CHUNKED.search(head))
        found = _LENGTH.search(head)
        self._left = int(found[1]) if found and not self._chunked else None
        return True

    def _read_sized(self) -> None:
        self._take(len(self._received) if self._left is None else min(self._left, len(self._received)))
        if self._left is not None:
            self.complete = not self._left

    def _read_chunks(self) -> None:
        while not self.complete:
            if self._left:
                self._take(min(self._left, len(self._received)))
                if self._left:
                    return
            start = 2 if self._left == 0 else 0
            end = self._received.find(b"\r\n", start)
            if end < 0 or len(self._received) < end + 4:
                return
            self._left = int(self._received[start:end], 16)
            del self._received[: end + 2]
            self.complete = not self._left

    def _take(self, count: int) -> None:
        self.count += count
        if self.keeps:
            self.body += self._received[:count]
        del self._received[:count]
        if self._left is not None:
            self._left -= count
