"""
C{matrix-federation demo}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.error import CannotListenError

from .._failures import to_json
from .._text import escaped
from .settings import CommandTimedOut, in_time
from .table import footer, outcome_json, table

if TYPE_CHECKING:
    from argparse import Namespace

    from .._reactor import IReactor
    from .console import Console
    from .outcome import Outcome

_MISSING = "the demo needs trustme: pip install 'matrix_federation_agent[demo]'"


@attrs.frozen
class Demo:
    """
    Starts a federation on this machine, with a server for each step of the
    specification and for each fault, and lets one agent ask them all.

    As text: a table, and below a faulty server what is wrong with it and what
    the agent made of that.  As JSON: one object with C{as_expected},
    C{seconds} and C{servers}, a list of objects with C{server_name},
    C{fault} (or null), C{step}, C{host_header}, C{tls_name}, C{address},
    C{outcome} (C{answered} or C{refused}), C{status} (or null),
    C{failure} (or null; as L{Resolve
    <matrix_federation_agent._cli.resolve.Resolve>} describes it),
    C{milliseconds}, and C{differs}: what is not as expected, or null.

    The exit status is 0 when every outcome is the expected one, and 2 when an
    optional dependency is missing.

    @ivar timeout: for the whole, in seconds, or L{None}.
    """

    timeout: float | None = None
    json: bool = False

    @classmethod
    def of(cls, options: Namespace) -> Demo:
        """
        Read the options.
        """
        return cls(options.timeout, options.json)

    async def run(self, reactor: IReactor, console: Console) -> int:
        """
        Play and tell.

        @return: the exit status.
        """
        try:
            # The test kit needs what is not installed by default.
            from .stage import play  # noqa: PLC0415
        except ModuleNotFoundError as error:
            if error.name != "trustme":
                raise
            console.complain(_MISSING)
            return 2
        began = reactor.seconds()
        try:
            outcomes = await in_time(reactor, self.timeout, "", play(reactor))
        except (CommandTimedOut, CannotListenError) as error:
            console.complain(escaped(f"demo: {error}"))
            return 1
        self._tell(outcomes, reactor.seconds() - began, console)
        return 1 if any(outcome.differs for outcome in outcomes) else 0

    def _tell(self, outcomes: list[Outcome], seconds: float, console: Console) -> None:
        differing = [outcome for outcome in outcomes if outcome.differs]
        if self.json:
            servers = [outcome_json(outcome) for outcome in outcomes]
            console.say(to_json({"as_expected": not differing, "seconds": round(seconds, 3), "servers": servers}))
        else:
            for line in [*table(outcomes, console), *footer(outcomes, seconds, console)]:
                console.say(line)
        for outcome in differing:
            console.complain(escaped(f"demo: {outcome.server_name}: {outcome.differs}"))
