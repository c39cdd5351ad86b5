"""
C{matrix-federation check}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from .._failures import to_json
from ..errors import FederationError
from .inspections import check_lines, checked_json, failed_attempts, trouble_lines
from .report import failure_lines, no_route_json
from .settings import Settings, in_time

if TYPE_CHECKING:
    from argparse import Namespace

    from .._reactor import IReactor
    from .._route import Route
    from .._server_name import ServerName
    from .console import Console


@attrs.frozen
class Check:
    """
    Looks at the TLS of a server: connects to every address that it has, as
    many as a request would try, verifies it as any other connection, and
    hangs up without a request.

    As text: the lines of C{resolve}, and below each address what it showed;
    a warning where a certificate of the chain expires within 14 days.  As
    JSON: one object with the keys of L{Resolve
    <matrix_federation_agent._cli.resolve.Resolve>}, and C{passed}: whether
    the exit status is 0.  Each target has one more key, C{inspections}, a
    list of objects, always with these keys:

      - C{address}: the address, or null for what a proxy found;
      - C{failure}: null, or an object with C{type}, C{phase} and C{reason};
        then the rest is null or 0;
      - C{tls_version}, C{cipher}: as OpenSSL calls them;
      - C{certificate}: the server's own, an object with C{subject},
        C{issuer}, C{not_before}, C{not_after}, C{names} (a list, of at most
        20) and C{more_names} (how many there are beside them); or null where
        it is not checked and cannot be read;
      - C{chain_length}: how many certificates were sent;
      - C{valid_until}: when the first of the verified chain expires, or null;
      - C{exempt}: the rule by which the certificate is not checked, or null;
      - C{transparency}: what is known of Certificate Transparency, in words,
        or null.

    Times are those of ISO 8601, in UTC.

    The exit status is 0 when there was a connection to every address, and 1
    when one of them failed, was refused by the address policy, or was not
    found, or when there was none at all: one that is broken shall not hide
    behind the others.  A certificate that expires soon is no failure.
    """

    name: ServerName
    settings: Settings
    json: bool = False

    @classmethod
    def of(cls, options: Namespace) -> Check:
        """
        Read the options.

        @raise ConfigurationError: when one is not usable.
        """
        return cls(options.name, Settings.of(options), options.json)

    async def run(self, reactor: IReactor, console: Console) -> int:
        """
        Look and tell.

        @return: the exit status.
        @raise ConfigurationError: when a file cannot be used.
        """
        agent = self.settings.agent(reactor)
        try:
            route = await in_time(reactor, self.settings.timeout, str(self.name), agent.check(self.name))
        except FederationError as error:
            if self.json:
                console.say(to_json({"passed": False, **no_route_json(self.name, error)}))
            console.complain("\n".join(failure_lines(error)))
            return 1
        finally:
            await agent.close()
        return self._tell(route, datetime.fromtimestamp(reactor.seconds(), UTC), console)

    def _tell(self, route: Route, now: datetime, console: Console) -> int:
        attempts = failed_attempts(route)
        looked = any(target.inspections for target in route.targets)
        passed = looked and not attempts
        if self.json:
            console.say(to_json({"passed": passed, **checked_json(route)}))
        else:
            for line in check_lines(route, now, console):
                console.say(line)
        if not passed:
            console.complain("\n".join(trouble_lines(route, attempts)))
        return 0 if passed else 1
