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
    _entries: OrderedDict[str, V] = attrs.field(init=False, factory=OrderedDict, repr=False)
    # Of heavy ones only, and apart from them: what holds an entry is one more
    # object for the garbage collector.
    _heavy: dict[str, int] = attrs.field(init=False, factory=dict, repr=False)
    _weight: int = attrs.field(init=False, default=0, repr=False)

    def get(self, key: str) -> V | None:
        """
        Find what is known about a key, which thereby was used most recently.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, value: V, weight: int = 1) -> int:
        """
        Remember a value.

        @return: how many others had to leave.
        """
        self._drop(key)
        self._entries[key] = value
        self._weight += weight
        if weight != 1:
            self._heavy[key] = weight
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
        if key in self._entries:
            del self._entries[key]
            self._weight -= self._heavy.pop(key, 1)

    def items(self) -> Iterable[tuple[str, V]]:
        """
        List everything, the least recently used first.
        """
        return list(self._entries.items())

    @property
    def weight(self) -> int:
        """
        The sum of the weights.
        """
        return self._weight

    def __len__(self) -> int:
        return len(self._entries)
