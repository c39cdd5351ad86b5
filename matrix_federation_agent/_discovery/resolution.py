"""
Who must answer, and where they listen: the two questions of the
specification's "Resolving server names".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._identity import Identity
from .._route import Step
from ..errors import ResolutionFailed, ServiceUnavailable
from .delegation import Delegation
from .routing import SERVICES, Target, default_target, fixed_target, in_order, is_decidedly_unavailable, step_number

if TYPE_CHECKING:
    from random import Random

    from .._policies import DiscoveryPolicy
    from .._server_name import ServerName
    from .srv import ServiceLookup, Services
    from .well_known import WellKnownLookup


@attrs.frozen
class Discovery:
    """
    Answers both questions.
    """

    _well_known: WellKnownLookup
    _services: ServiceLookup
    _policy: DiscoveryPolicy
    _rng: Random

    async def who(self, name: ServerName) -> Identity:
        """
        Tell who must answer for a name (steps 1, 2 and 3).
        """
        if fixed_target(name) is not None:
            return Identity(name, name)
        outcome = await self._well_known.delegation(name)
        step = Step("3", f"https://{name}/.well-known/matrix/server: {outcome}")
        if isinstance(outcome, Delegation):
            return Identity(name, outcome.to, delegated=True, step=step)
        return Identity(name, name, step=step)

    async def where(self, identity: Identity, steps: list[Step]) -> list[Target]:
        """
        Tell where they listen (steps 1, 2, 3.1 to 3.5, 4 to 6).

        @param steps: what is found is appended here, also when the whole
            fails in the end.
        @raise FederationError: when that cannot be known.
        """
        effective = identity.effective
        fixed = fixed_target(effective)
        if fixed is not None:
            kind = "has an explicit port" if effective.literal is None else "is an IP literal"
            steps.append(_step(identity, None, f"{effective} {kind}"))
            return [fixed]
        for service in SERVICES:
            try:
                found = await self._services.services(service, effective.host)
            except ResolutionFailed as error:
                steps.append(_step(identity, service, error.reason))
                if not self._policy.guess_default_port:
                    raise error.concerning(identity.asked) from error
                break
            if found.records:
                return self._in_order(identity, service, found, steps)
            steps.append(_step(identity, service, f"no SRV record {found.query}"))
        target = default_target(effective)
        steps.append(_step(identity, None, f"{target}, the default port"))
        return [target]

    def _in_order(self, identity: Identity, service: str, found: Services, steps: list[Step]) -> list[Target]:
        """
        Use SRV records: once they exist, nothing else is tried.
        """
        records = list(found.records)
        if is_decidedly_unavailable(records):
            steps.append(_step(identity, service, f"{found.query} says that there is no such service"))
            reason = f"DNS says that the service is not available ({found.query} points at the root)"
            raise ServiceUnavailable(identity.asked, reason)
        targets = in_order(records, self._rng)
        if not targets:
            steps.append(_step(identity, service, f"{found.query} has no usable target"))
            reason = f"{found.query} has SRV records, but none with a usable target"
            raise ResolutionFailed(identity.asked, reason, name=found.query)
        steps.append(_step(identity, service, f"{found.query} leads to {', '.join(map(str, targets))}"))
        return targets

    def forget(self, name: ServerName | None) -> None:
        """
        Drop what is remembered about a name and the name that it delegates
        to, or about all.
        """
        if name is None:
            self._well_known.forget(None)
            self._services.forget(None)
            return
        known = self._well_known.remembered(name)
        self._well_known.forget(name.host)
        self._services.forget(name.host)
        if isinstance(known, Delegation):
            self._services.forget(known.to.host)


def _step(identity: Identity, service: str | None, found: str) -> Step:
    return Step(step_number(identity.effective, delegated=identity.delegated, service=service), found)
