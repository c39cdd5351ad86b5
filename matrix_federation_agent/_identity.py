"""
Who must answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ._route import Step

if TYPE_CHECKING:
    from ._discovery.delegation import DelegationEntry
    from ._server_name import ServerName


@attrs.frozen
class Identity:
    """
    Who must answer for a server.

    @ivar server_name: whom the caller asked for; errors name it.
    @ivar effective: fixes C{Host}, the certificate name, SNI and the key in
        the connection pool.  Nothing that DNS says is in it.
    @ivar delegated: whether C{.well-known} named C{effective}.
    @ivar learned: what is remembered of its C{.well-known}, where that was
        asked.
    """

    server_name: ServerName
    effective: ServerName
    delegated: bool = False
    learned: DelegationEntry | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def asked(self) -> str:
        """
        The name that was asked for, as text.
        """
        return str(self.server_name)

    @property
    def step(self) -> Step | None:
        """
        What C{.well-known} said, where it was asked.
        """
        if self.learned is None:
            return None
        # Put into words here, because no request needs them.
        return Step("3", f"https://{self.server_name}/.well-known/matrix/server: {self.learned.outcome}")
