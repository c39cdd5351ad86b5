"""
A bounded map whose entries expire.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen
class Entry(Generic[V]):
    """
    What is remembered, and until when.

    @ivar expires: in the seconds of whoever passes C{now}.
    """

    value: V
    expires: float


@attrs.define(eq=False)
class ExpiringMap(Generic[K, V]):
    """
    Remembers a bounded number of values, each for its own time; when it is
    full, the least recently used leaves.

    @ivar limit: the number of entries.
    """

    limit: int
    _entries: OrderedDict[K, Entry[V]] = attrs.field(init=False, factory=OrderedDict, repr=False)

    def get(self, key: K, now: float) -> Entry[V] | None:
        """
        Find what is known about a key, unless it has expired.

        @param now: in seconds.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= now:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: K, value: V, expires: float) -> None:
        """
        Remember a value.
        """
        self._entries[key] = Entry(value, expires)
        self._entries.move_to_end(key)
        while len(self._entries) > self.limit:
            self._entries.popitem(last=False)

    def forget(self, concerns: Callable[[K], bool]) -> None:
        """
        Drop the entries whose key concerns somebody.
        """
        for key in [key for key in self._entries if concerns(key)]:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)
