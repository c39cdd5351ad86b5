"""
What is said to a proxy before it leads to a server: bytes in, bytes out.
"""

from __future__ import annotations

from typing import Protocol


class Refused(Exception):
    """
    A proxy does not lead to the server.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        """
        @param reason: in words; nothing that the proxy sent, and no
            credentials.
        @param status: the HTTP status or SOCKS reply code, if there was one.
        """
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Negotiation(Protocol):
    """
    One side of a negotiation: ours.
    """

    def begin(self) -> bytes:
        """
        Make what is sent first.
        """

    def receive(self, data: bytes) -> bytes:
        """
        Take what the proxy sent.

        @return: what is sent next.
        @raise Refused: when the proxy does not lead to the server.
        """

    @property
    def remainder(self) -> bytes | None:
        """
        What came after the proxy's last word, for whom the proxy led to;
        L{None} while the negotiation goes on.
        """
