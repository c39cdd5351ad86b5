"""
A bounded map from which the least recently used entries leave.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

import attrs

V = TypeVar("V")


@attrs.define(eq=False)
class BoundedMap(Generic[V]):
    """
    Remembers a bounded number of values; heavy ones count more than once.

    @ivar limit: the number of entries, or the sum of their weights.
    """

    limit: int
    _entries: OrderedDict[str, tuple[V, int]] = attrs.field(init=False, factory=OrderedDict, repr=False)
    _weight: int = attrs.field(init=False, default=0, repr=False)

    def get(self, key: str) -> V | None:
        """
        Find what is known about a key, which thereby was used most recently.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: str, value: V, weight: int = 1) -> int:
        """
        Remember a value.

        @return: how many others had to leave.
        """
        self._drop(key)
        self._entries[key] = (value, weight)
        self._weight += weight
        evicted = 0
        while self._weight > self.limit:
            self.drop_oldest()
            evicted += 1
        return evicted

    def drop_oldest(self) -> None:
        """
        Drop the entry that was least recently used.
        """
        self._drop(next(iter(self._entries)))

    def forget(self, key: str | None) -> None:
        """
        Drop one entry, or all.
        """
        for one in list(self._entries) if key is None else [key]:
            self._drop(one)

    def _drop(self, key: str) -> None:
        _, weight = self._entries.pop(key, (None, 0))
        self._weight -= weight

    def items(self) -> Iterable[tuple[str, V]]:
        """
        List everything, the least recently used first.
        """
        return [(key, value) for key, (value, _) in self._entries.items()]

    @property
    def weight(self) -> int:
        """
        The sum of the weights.
        """
        return self._weight

    def __len__(self) -> int:
        return len(self._entries)
