"""
What is known, by name: asked for once, remembered, refreshed out of the way.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from twisted.logger import Logger

from .cache import BoundedMap
from .sharing import SharedWork

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from .._counters import Counters

_log = Logger()

_LIGHT = 512
"""
An entry with as many bytes of a stranger's choosing counts as two: names of
250 characters and answers of many records may not take more memory than
others.
"""


class Entry(Protocol):
    """
    What is remembered about one name.
    """

    @property
    def barren(self) -> bool:
        """
        Whether all that is known is that there was nothing to learn.
        """

    @property
    def failures(self) -> int:
        """
        Lookups in a row that brought nothing.
        """

    @property
    def fetched(self) -> float:
        """
        When the world last said so.
        """

    @property
    def expires(self) -> float:
        """
        Until when requests may go by it.
        """

    @property
    def next_try(self) -> float:
        """
        From when on it should be looked up again.
        """

    @property
    def size(self) -> int:
        """
        How many bytes it has, roughly, that a stranger chose.
        """

    @property
    def summary(self) -> str:
        """
        What is known, in words.
        """

    def usable(self, now: float) -> bool:
        """
        Whether requests may go by it.
        """

    def due(self, now: float) -> bool:
        """
        Whether it should be looked up again.
        """


E = TypeVar("E", bound=Entry)
O = TypeVar("O")  # noqa: E741 (an outcome)


class Shelf(Protocol[E]):
    """
    Where entries of one kind outlive this process; see L{StoreShelf
    <matrix_federation_agent._discovery.shelf.StoreShelf>}.
    """

    async def load(self, name: str) -> E | None:
        """
        Find an entry.  Whatever goes wrong is "not known".
        """

    def save(self, name: str, entry: E) -> None:
        """
        Keep an entry.  Whatever goes wrong is nobody's concern here.
        """

    def forget(self, name: str | None) -> None:
        """
        Drop one entry, or all.
        """


class Memory(Generic[E, O]):
    """
    Knowledge of one kind.

    A name that is known costs nothing; one that is not costs one lookup, for
    however many callers; one that is due is looked up behind the requests.
    """

    def __init__(
        self,
        kind: str,
        clock: IReactorTime,
        look_up: Callable[[str], Coroutine[Deferred[Any], Any, O]],
        advance: Callable[[E | None, O, float], E],
        limit: int,
        counters: Counters,
        shelf: Shelf[E] | None = None,
    ) -> None:
        """
        @param kind: names what is counted.
        @param look_up: asks the world about a name.
        @param advance: the reducer: what was remembered, what the lookup
            brought, and the time in seconds, to what is remembered next.
        @param limit: of entries.
        """
        self._kind = kind
        self._clock = clock
        self._look_up = look_up
        self._advance = advance
        self._counters = counters
        self._shelf = shelf
        self._known: BoundedMap[E] = BoundedMap(limit)
        self._lookups = SharedWork(self._update)
        self._subscribers: list[Callable[[str, E, E], object]] = []

    async def entry(self, name: str) -> E:
        """
        Tell what is known about a name, looking it up if need be.
        """
        entry = self.at_hand(name)
        if entry is not None:
            return entry
        if self._lookups.is_under_way(name):
            self._count("shared")
        return await self._lookups.join(name)

    def at_hand(self, name: str) -> E | None:
        """
        Tell what is known about a name, as L{entry} does.

        @return: L{None} where it would have to be looked up first.
        """
        now = self._clock.seconds()
        entry = self._known.get(name)
        if entry is None or not entry.usable(now):
            return None
        due = entry.due(now)
        self._count("stale_hits" if due or entry.failures else "hits")
        if due:
            self._lookups.kick(name)
        return entry

    async def _update(self, name: str) -> E:
        """
        Look a name up, unless another process has done so.
        """
        shared = await self._shared_entry(name)
        if shared is not None:
            return shared
        self._count("lookups")
        outcome = await self._look_up(name)
        entry = self._advance(self._known.get(name), outcome, self._clock.seconds())
        self._count("failures", 1 if entry.failures else 0)
        self._remember(name, entry)
        if self._shelf is not None:
            self._shelf.save(name, entry)
        return entry

    async def _shared_entry(self, name: str) -> E | None:
        """
        Find what another process has learned since, or this one before it was
        started again.

        @return: L{None} when it is no reason not to look up.
        """
        loaded = None if self._shelf is None else await self._shelf.load(name)
        known = self._known.get(name)
        if loaded is None or (known is not None and not _is_news(loaded, known)):
            return None
        self._count("loaded")
        self._remember(name, loaded)
        now = self._clock.seconds()
        # Who waits goes by an entry that is due, too: the next one to ask has
        # it refreshed.
        awaited = known is None or not known.usable(now)
        return loaded if loaded.usable(now) and (awaited or not loaded.due(now)) else None

    def _remember(self, name: str, entry: E) -> None:
        before = self._known.get(name)
        weight = 1 + (len(name) + entry.size) // _LIGHT
        self._count("evictions", self._known.put(name, entry, weight))
        if before is not None:
            self._tell(name, before, entry)

    def _tell(self, name: str, before: E, after: E) -> None:
        for subscriber in tuple(self._subscribers):
            # Whoever watches must not be able to break what is watched.
            try:
                subscriber(name, before, after)
            except Exception:  # noqa: BLE001 (it is the caller's code)
                _log.failure("a subscriber of what is known failed")

    def subscribe(self, subscriber: Callable[[str, E, E], object]) -> Callable[[], None]:
        """
        Have a callable called whenever an entry takes the place of an older
        one: with the name, the older and the newer.

        @return: ends the subscription.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _count(self, event: str, number: int = 1) -> None:
        self._counters.add(f"{self._kind}.{event}", number)

    def remembered(self, name: str) -> E | None:
        """
        Tell what is known about a name, without asking anybody.
        """
        return self._known.get(name)

    def items(self) -> Iterable[tuple[str, E]]:
        """
        List everything that is known.
        """
        return self._known.items()

    def forget(self, name: str | None) -> None:
        """
        Drop what is known about one name, or about all.
        """
        self._known.forget(name)
        if self._shelf is not None:
            self._shelf.forget(name)

    def close(self) -> None:
        """
        End the lookups that are under way.
        """
        self._lookups.cancel()


def _is_news(loaded: Entry, known: Entry) -> bool:
    """
    Tell whether what another process learned is better than what this one
    knows.  That it could not learn anything is no reason to forget.
    """
    return loaded.fetched > known.fetched and (known.barren or not loaded.barren)
