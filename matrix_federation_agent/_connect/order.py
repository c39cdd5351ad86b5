"""
In which order the addresses of a server are tried.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .._discovery.routing import Target
from .._policies import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Place = tuple[Target, Address | None]
"""
What is dialled: a target, and its address, or L{None} where a proxy finds
that.
"""


class Untried:
    """
    The addresses of one target that were not tried yet.

    Families alternate, IPv6 first, each in the order in which it was given
    (RFC 8305, section 4), also where one of them arrives later.
    """

    def __init__(self) -> None:
        self._six: deque[Address | None] = deque()
        self._four: deque[Address | None] = deque()
        self._turn = self._six

    def __len__(self) -> int:
        return len(self._six) + len(self._four)

    def __contains__(self, address: Address | None) -> bool:
        return address in self._six or address in self._four

    def add(self, addresses: Iterable[Address | None]) -> None:
        """
        Let addresses join.
        """
        for address in addresses:
            family = self._four if address is not None and address.version == 4 else self._six
            family.append(address)

    def remove(self, address: Address | None) -> None:
        """
        Take an address out of its turn.
        """
        (self._six if address in self._six else self._four).remove(address)

    def take(self) -> Address | None:
        """
        Take the next; there must be one.
        """
        family = self._turn or (self._four if self._turn is self._six else self._six)
        self._turn = self._four if family is self._six else self._six
        return family.popleft()


class Order:
    """
    Tells what comes next: an address to dial, or a target whose addresses are
    to be looked up.

    @ivar targets: the different ones that are tried.
    """

    def __init__(self, targets: Sequence[Target], limit: int, first: Place | None = None) -> None:
        """
        @param targets: in their order.
        @param limit: addresses that are tried, over all targets.
        @param first: is tried before all others if it turns out to be among
            them.
        """
        self.targets = tuple(dict.fromkeys(targets))
        self._unopened = list(self.targets)
        self._untried: dict[Target, Untried] = {}
        self._left = limit
        self._found = 0
        self._first = first if first is not None and first[0] in self.targets else None

    @property
    def has_more(self) -> bool:
        """
        Whether L{next} has something to tell.
        """
        return self._left > 0 and (bool(self._unopened) or any(map(len, self._untried.values())))

    @property
    def has_choice(self) -> bool:
        """
        Whether there was more than one place, as far as is known.
        """
        return self._found > 1 or len(self.targets) > 1

    @property
    def exhausted(self) -> bool:
        """
        Whether no further address may be tried, whatever is found.
        """
        return self._left <= 0

    def add(self, target: Target, addresses: Sequence[Address | None]) -> None:
        """
        Let the addresses of a target join that was looked up.
        """
        self._found += len(addresses)
        self._untried[target].add(addresses)

    def waits(self, target: Target) -> bool:
        """
        Tell whether there are addresses of a target that were not tried yet.
        """
        return bool(self._untried[target])

    def next(self) -> Target | Place | None:
        """
        Tell what comes next, and take it off.

        @return: a target that is to be looked up, a place that is to be
            dialled, or L{None} when there is neither for now.
        """
        if self._left <= 0:
            return None
        if self._first is not None:
            preferred = self._preferred(self._first)
            if preferred is not None:
                return preferred
        for target in self.targets:
            untried = self._untried.get(target)
            if untried is None:
                return self._open(target)
            if untried:
                return self._dial(target, untried.take())
        return None

    def _preferred(self, first: Place) -> Target | Place | None:
        target, address = first
        untried = self._untried.get(target)
        if untried is None:
            return self._open(target)
        if address not in untried:
            return None
        self._first = None
        untried.remove(address)
        return self._dial(target, address)

    def _open(self, target: Target) -> Target:
        self._unopened.remove(target)
        self._untried[target] = Untried()
        return target

    def _dial(self, target: Target, address: Address | None) -> Place:
        self._left -= 1
        return target, address
