"""
Who must answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ._route import Step
    from ._server_name import ServerName


@attrs.frozen
class Identity:
    """
    Who must answer for a server.

    @ivar server_name: whom the caller asked for; errors name it.
    @ivar effective: fixes C{Host}, the certificate name, SNI and the key in
        the connection pool.  Nothing that DNS says is in it.
    @ivar delegated: whether C{.well-known} named C{effective}.
    @ivar step: what C{.well-known} said, where it was asked.
    """

    server_name: ServerName
    effective: ServerName
    delegated: bool = False
    step: Step | None = None

    @property
    def asked(self) -> str:
        """
        The name that was asked for, as text.
        """
        return str(self.server_name)
