"""
What was to happen to one server of the demo, and what did happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .._route import Route
    from ..errors import FederationError, Phase


@attrs.frozen
class Expectation:
    """
    How the attempt to reach a server must end.

    @ivar status: what it answers with, or L{None} when it must be refused.
    @ivar error: the class of the error, exactly, when it must be refused.
    @ivar phase: the phase in which it is refused.
    """

    status: int | None = None
    error: type[FederationError] | None = None
    phase: Phase | None = None

    def differs(self, status: int | None, error: Exception | None) -> str:
        """
        Compare.

        @param status: what the server answered with, if it did.
        @param error: what failed, if something did.
        @return: in words what is not as expected, or nothing.
        """
        expected = f"{self.error.__name__} ({self.phase})" if self.error else f"status {self.status}"
        if error is None:
            found = f"status {status}"
        else:
            found = f"{type(error).__name__} ({getattr(error, 'phase', 'no phase')})"
        return "" if found == expected else f"expected {expected}, not {found}"


@attrs.frozen
class Outcome:
    """
    What became of one server.

    @ivar fault: what is wrong with the server, in words; empty when nothing.
    @ivar status: what it answered with, or L{None}.
    @ivar error: what failed, or L{None}.
    @ivar milliseconds: from the request to the end of the response, or to the
        failure.
    @ivar differs: what is not as expected, in words; empty when nothing.
    """

    server_name: str
    fault: str
    route: Route
    status: int | None
    error: Exception | None
    milliseconds: float
    differs: str

    @property
    def word(self) -> str:
        """
        C{answered} or C{refused}.
        """
        return "answered" if self.error is None else "refused"

    @property
    def reason(self) -> str:
        """
        Why it was refused, or nothing.
        """
        return "" if self.error is None else getattr(self.error, "reason", repr(self.error))

    @property
    def address(self) -> str | None:
        """
        Where the agent connects to first, or L{None} when there is no
        permitted address.
        """
        return next((address for target in self.route.targets for address in target.addresses), None)
