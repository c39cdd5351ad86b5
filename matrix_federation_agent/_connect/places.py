"""
Which place of a server answered last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._discovery.cache import BoundedMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._discovery.routing import Target
    from .._server_name import ServerName
    from .order import Place

LIMIT = 10_000
"""
Servers whose place is remembered; the least recently used leave.
"""

LIFETIME = 600.0
"""
Seconds for which a place goes before those that the priorities of SRV records
prefer (RFC 2782), counted from when it was last found by a connection.
"""


class Places:
    """
    Remembers which place of a server had the last verified connection.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        """
        @param limit: of servers.
        """
        self._places: BoundedMap[tuple[Place, float]] = BoundedMap(limit)

    def __len__(self) -> int:
        return len(self._places)

    def last(self, effective: ServerName, targets: Sequence[Target], now: float) -> Place | None:
        """
        Tell the place that answered last, unless that was long ago.

        @param now: in seconds.
        """
        known = self._places.get(_key(effective, targets))
        return known[0] if known is not None and now < known[1] else None

    def answered(self, effective: ServerName, targets: Sequence[Target], place: Place, now: float) -> None:
        """
        Remember a place that has just answered.
        """
        self._places.put(_key(effective, targets), (place, now + LIFETIME))

    def forget(self, effective: ServerName, targets: Sequence[Target]) -> None:
        """
        Forget the place of a server.
        """
        self._places.forget(_key(effective, targets))


def _key(effective: ServerName, targets: Sequence[Target]) -> str:
    """
    Keep apart what one name serves on different ports: a homeserver and an
    https site.
    """
    return f"{effective} {min(target.port for target in targets)}"
