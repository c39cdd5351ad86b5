"""
Who must answer, and where they listen: the two questions of the
specification's "Resolving server names".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._identity import Identity
from .._route import Step
from .._server_name import ServerName
from ..errors import ResolutionFailed, ServiceUnavailable
from .routing import (
    SERVICES,
    Target,
    default_target,
    fixed_target,
    in_order,
    is_decidedly_unavailable,
    is_fixed,
    step_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .._policies import DiscoveryPolicy
    from .delegation import Delegation, DelegationEntry, NoDelegation
    from .memory import Memory
    from .srv import ServiceLookup, Services


@attrs.frozen(eq=False)
class Discovery:
    """
    Answers both questions.
    """

    _delegations: Memory[DelegationEntry, Delegation | NoDelegation]
    _services: ServiceLookup
    _policy: DiscoveryPolicy
    _rng: Random

    async def who(self, name: ServerName) -> Identity:
        """
        Tell who must answer for a name (steps 1, 2 and 3).
        """
        if is_fixed(name):
            return Identity(name, name)
        entry = await self._delegations.entry(name.tls_name)
        if entry.delegation is None:
            return Identity(name, name, learned=entry)
        return Identity(name, entry.delegation, delegated=True, learned=entry)

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

    def hosts_of(self, name: ServerName) -> set[str]:
        """
        List the hosts that stand for a name, as far as is remembered: its
        own, that of the name it delegates to, and the targets of their SRV
        records.
        """
        known = self._delegations.remembered(name.tls_name)
        hosts = {name.tls_name}
        if known is not None and known.delegation is not None:
            hosts.add(known.delegation.tls_name)
        return hosts.union(*(self._services.remembered_targets(host) for host in hosts))

    def subscribe(self, subscriber: Callable[[ServerName], object]) -> Callable[[], None]:
        """
        Have a callable called with the name that answered for a server until
        now, the delegated one or its own, whenever another one does from now
        on, and nobody else is known to go by that name.

        @return: ends the subscription.
        """

        def replaced(host: str, before: DelegationEntry, after: DelegationEntry) -> None:
            left, found = (entry.delegation or ServerName(host) for entry in (before, after))
            if left != found and not self._is_in_use(left):
                subscriber(left)

        return self._delegations.subscribe(replaced)

    def _is_in_use(self, effective: ServerName) -> bool:
        """
        Tell whether a name is known to answer for somebody: for itself, or for
        whoever delegates to it.  A stranger who delegates to somebody else's
        name, now and then, must not have anything of theirs dropped.
        """
        own = None if is_fixed(effective) else self._delegations.remembered(effective.tls_name)
        if own is not None and own.delegation is None:
            return True
        return any(entry.delegation == effective for _, entry in self._delegations.items())


def _step(identity: Identity, service: str | None, found: str) -> Step:
    return Step(step_number(identity.effective, delegated=identity.delegated, service=service), found)
