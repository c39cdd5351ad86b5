"""
What the dialer builds HTTP connections with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.protocol import Factory

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IProtocol


class HTTPFactory(Factory):
    """
    Builds what speaks HTTP on a connection.
    """

    noisy = False

    def __init__(self, build: Callable[[], IProtocol]) -> None:
        """
        @param build: makes one.
        """
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> IProtocol:  # type: ignore[override]
        """
        Build one.
        """
        return self._build()
