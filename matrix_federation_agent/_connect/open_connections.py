"""
Which connections are open, so that all of them can be dropped.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred


class Abortable(Protocol):
    """
    A connection that can be dropped.
    """

    def abortConnection(self) -> object:
        """
        Drop it at once.
        """


class OpenConnections:
    """
    Every TLS connection that is open, verified or not yet, and every one to a
    proxy on which TLS has not begun.
    """

    def __init__(self, parent: OpenConnections | None = None) -> None:
        """
        @param parent: takes account of the same connections, among others.
        """
        self._parent = parent
        self._transports: set[Abortable] = set()
        self._emptied: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._transports)

    def add(self, transport: Abortable) -> None:
        """
        Take a new connection into account.
        """
        self._transports.add(transport)
        if self._parent is not None:
            self._parent.add(transport)

    def discard(self, transport: Abortable) -> None:
        """
        Forget a connection that was lost.
        """
        self._transports.discard(transport)
        if self._parent is not None:
            self._parent.discard(transport)
        if not self._transports:
            waiting, self._emptied = self._emptied, []
            for emptied in waiting:
                emptied.callback(None)

    def abort(self) -> Deferred[None]:
        """
        Drop every connection at once.

        @return: fires when the last is gone.
        """
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        for transport in list(self._transports):
            transport.abortConnection()
        if not self._transports:
            self._emptied.remove(emptied)
            emptied.callback(None)
        return emptied
