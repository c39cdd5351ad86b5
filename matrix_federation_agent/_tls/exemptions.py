"""
Connections whose certificate is not checked, in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from .._discovery.cache import BoundedMap

if TYPE_CHECKING:
    from .._server_name import ServerName

REMEMBERED = 1000
"""
Destinations that are known to have been told of.
"""

_log = Logger()


class ExemptionLog:
    """
    Tells the log of exempt connections, once a destination: the name that
    must answer, and the rule by which it need not prove itself.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        """
        @param limit: destinations that are remembered; one that had to leave
            is told of again.
        """
        self._told: BoundedMap[bool] = BoundedMap(limit)

    def note(self, effective: ServerName, rule: str, address: object) -> None:
        """
        Tell of a connection that was made, unless its destination is known.

        @param address: where it goes.
        """
        destination = f"{effective} {rule}"
        if self._told.get(destination):
            return
        self._told.put(destination, True)  # noqa: FBT003 (the map remembers keys)
        _log.info(
            "The certificate of {effective} is not checked, by the rule {rule} (connected to {address})",
            effective=str(effective),
            rule=rule,
            address=str(address),
        )

    def forget(self) -> None:
        """
        Tell of every destination anew.
        """
        self._told.forget(None)
