"""
The addresses behind one target, and what the address policy says of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..errors import AddressDenied, Attempt
from .addresses import denied_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._discovery.routing import Target
    from .._policies import Address, AddressPolicy, Proxy


@attrs.frozen
class Candidates:
    """
    The addresses behind one target.

    @ivar permitted: those that may be dialled, in order.
    @ivar refused: what is wrong with the others, or why there is none.
    @ivar proxy: through which they are dialled, or L{None}.
    """

    permitted: tuple[Address, ...]
    refused: tuple[Attempt, ...]
    proxy: Proxy | None = None

    @property
    def dialled(self) -> tuple[Address | None, ...]:
        """
        What to dial, in order; L{None} is the target itself, for a proxy to
        find.
        """
        return self.permitted if self.proxy is None or self.permitted or self.refused else (None,)


def judged(policy: AddressPolicy, asked: str, target: Target, found: Iterable[Address]) -> Candidates:
    """
    Ask the address policy.

    @param asked: the server that errors name.
    """
    permitted, refused = [], []
    for address in found:
        network = denied_by(policy, address)
        if network is None:
            permitted.append(address)
        else:
            denied = AddressDenied.by(asked, str(address), network)
            refused.append(Attempt(str(target), str(address), denied))
    return Candidates(tuple(permitted), tuple(refused))
