"""
Between memory and a discovery store: entries on this side, texts on that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger

from .._deadlines import within
from ..errors import TimedOut

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from .._counters import Counters
    from .memory import Entry

E = TypeVar("E", bound="Entry")

_log = Logger()


@attrs.define(eq=False)
class StoreAccess:
    """
    A store that may fail or be slow without anybody noticing but the
    operator: once when it begins, and once when it is over.

    @ivar patience: how long to wait for it, in seconds; after a failure it is
        left alone for ten times as long.
    """

    _clock: IReactorTime
    _store: Any
    _patience: float
    _counters: Counters
    _failing: bool = attrs.field(init=False, default=False)
    _again: float = attrs.field(init=False, default=0.0)
    _saving: set[Deferred[Any]] = attrs.field(init=False, factory=set)

    async def load(self, kind: str, name: str) -> str | None:
        """
        Find a text; whatever goes wrong is "none".
        """
        if self._failing and self._clock.seconds() < self._again:
            return None
        try:
            loading = maybeDeferred(self._store.load, kind, name)
            found: str | None = await within(self._clock, self._patience, loading, _late)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (stores raise what they like)
            self._failed(error)
            return None
        self._worked()
        return found

    def do(self, work: Callable[..., Deferred[None]], *arguments: object) -> None:
        """
        Have the store do something that nobody waits for.
        """
        if self._failing and self._clock.seconds() < self._again:
            return
        doing = maybeDeferred(work, *arguments)
        self._saving.add(doing)

        def done(result: Failure | None) -> None:
            self._saving.discard(doing)
            if result is None:
                self._worked()
            elif not result.check(CancelledError):
                self._failed(result.value)

        doing.addBoth(done)

    def _failed(self, error: BaseException | None) -> None:
        self._counters.add("store.failures")
        self._again = self._clock.seconds() + 10 * self._patience
        if not self._failing:
            self._failing = True
            _log.warn("the discovery store {store!r} does not answer: {error}", store=self._store, error=error)

    def _worked(self) -> None:
        if self._failing:
            self._failing = False
            _log.info("the discovery store {store!r} answers again", store=self._store)

    async def close(self) -> None:
        """
        Let go of the store.
        """
        await maybeDeferred(self._store.close)


def _late(seconds: float) -> TimedOut:
    return TimedOut("", f"no answer within {seconds:g} s", seconds=seconds)


@attrs.frozen(eq=False)
class StoreShelf(Generic[E]):
    """
    The entries of one kind in a store.
    """

    _access: StoreAccess
    _store: Any
    _clock: IReactorTime
    _kind: str
    _dump: Callable[[E], str]
    _load: Callable[[str], E | None]

    async def load(self, name: str) -> E | None:
        """
        Find an entry; a damaged one is none.
        """
        text = await self._access.load(self._kind, name)
        return None if text is None else self._load(text)

    def save(self, name: str, entry: E) -> None:
        """
        Keep an entry for as long as it is of use.
        """
        keep = max(1.0, entry.expires - self._clock.seconds())
        self._access.do(self._store.save, self._kind, name, self._dump(entry), keep)

    def forget(self, name: str | None) -> None:
        """
        Drop one entry, or all.
        """
        self._access.do(self._store.forget, self._kind, name)
