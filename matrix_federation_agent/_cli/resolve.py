"""
C{matrix-federation resolve}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._failures import to_json
from ..errors import FederationError
from .report import (
    failure_lines,
    known_json,
    known_lines,
    no_route_json,
    route_json,
    route_lines,
    why_unreachable,
)
from .settings import Settings, in_time

if TYPE_CHECKING:
    from argparse import Namespace

    from .._discovery.remembering import Known
    from .._reactor import IReactor
    from .._route import Route
    from .._server_name import ServerName
    from .console import Console


@attrs.frozen
class Resolve:
    """
    Explains where a server name leads, without connecting to the server.

    As text: one line for each step of the specification, then C{Host}, the
    TLS name, and the targets with their addresses.  As JSON: one object,
    always with these keys:

      - C{server_name}: the name that was asked for;
      - C{effective}: the name that must answer;
      - C{delegated}: whether C{.well-known} named it;
      - C{step}: the number of the step that decided, C{"3.3"} for instance;
      - C{steps}: a list of objects with C{number} and C{found};
      - C{host_header}, C{tls_name}: what requests carry as C{Host}, and what
        the certificate must name;
      - C{targets}: a list of objects with C{host}, C{port}, C{addresses} (a
        list), C{refused} (a list of objects with C{address}, C{type},
        C{phase} and C{reason}), C{exempt} (a list of objects with
        C{address}, null for what a proxy finds, and the C{rule} by which its
        certificate is not checked) and C{proxy} (a URL without credentials,
        or null);
      - C{failure}: null, or an object with C{type}, C{phase}, C{reason} and
        C{attempts}, a list of objects with C{target}, C{address}, C{type},
        C{phase} and C{reason}.

    With C{--explain}, text has a line for each thing that is now remembered
    of the server, and JSON one more key: C{known}, a list of objects with
    C{kind}, C{name}, C{found}, C{age}, C{expires_in}, C{next_try_in} (in
    seconds) and C{failures}.

    Where the command was cut short by C{--timeout}, what is not known is
    null, or an empty list.  A failure is told on standard error as well, and
    the exit status is 1: also when there are targets, and no address that may
    be connected to.
    """

    name: ServerName
    settings: Settings
    json: bool = False
    explain: bool = False

    @classmethod
    def of(cls, options: Namespace) -> Resolve:
        """
        Read the options.

        @raise ConfigurationError: when one is not usable.
        """
        return cls(options.name, Settings.of(options), options.json, options.explain)

    async def run(self, reactor: IReactor, console: Console) -> int:
        """
        Resolve and explain.

        @return: the exit status.
        @raise ConfigurationError: when a file of roots cannot be used.
        """
        agent = self.settings.agent(reactor)
        try:
            route = await in_time(reactor, self.settings.timeout, str(self.name), agent.resolve(self.name))
        except FederationError as error:
            if self.json:
                console.say(to_json({**no_route_json(self.name, error), **known_json([] if self.explain else None)}))
            return _failed(error, console)
        finally:
            await agent.close()
        return self._tell(route, agent.known(self.name) if self.explain else None, console)

    def _tell(self, route: Route, known: list[Known] | None, console: Console) -> int:
        if self.json:
            console.say(to_json({**route_json(route), **known_json(known)}))
        else:
            for line in [*route_lines(route, console), *known_lines(known, console)]:
                console.say(line)
        failure = why_unreachable(route)
        return 0 if failure is None else _failed(failure, console)


def _failed(error: FederationError, console: Console) -> int:
    console.complain("\n".join(failure_lines(error)))
    return 1
