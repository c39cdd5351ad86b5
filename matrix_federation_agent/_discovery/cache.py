"""
A bounded map from which the least recently used entries leave.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import attrs

V = TypeVar("V")


@attrs.define(eq=False)
class BoundedMap(Generic[V]):
    """
    Remembers a bounded number of values.

    @ivar limit: the number of entries.
    """

    limit: int
    _entries: OrderedDict[str, V] = attrs.field(init=False, factory=OrderedDict, repr=False)

    def get(self, key: str) -> V | None:
        """
        Find what is known about a key, which thereby was used most recently.
        """
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: str, value: V) -> int:
        """
        Remember a value.

        @return: how many others had to leave.
        """
        self._entries[key] = value
        self._entries.move_to_end(key)
        evicted = max(0, len(self._entries) - self.limit)
        for _ in range(evicted):
            self._entries.popitem(last=False)
        return evicted

    def forget(self, concerns: Callable[[str], bool]) -> None:
        """
        Drop the entries whose key concerns somebody.
        """
        for key in [key for key in self._entries if concerns(key)]:
            del self._entries[key]

    def items(self) -> Iterable[tuple[str, V]]:
        """
        List everything, the least recently used first.
        """
        return list(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)
