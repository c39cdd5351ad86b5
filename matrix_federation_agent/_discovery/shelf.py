"""
Between memory and a discovery store: entries on this side, texts on that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from .._deadlines import within
from ..errors import TimedOut
from .cache import BoundedMap

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .._counters import Counters
    from .memory import Entry

E = TypeVar("E", bound="Entry")

_log = Logger()

_REST = 10
_CLOCKS_DIFFER = 300.0
_DROPPED = 10_000


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

    async def load(self, kind: str, name: str) -> str | None:
        """
        Find a text; whatever goes wrong is "none".
        """
        if self._resting():
            return None
        try:
            loading = _giving_up_is_failing(maybeDeferred(self._store.load, kind, name))
            found: str | None = await within(self._clock, self._patience, loading, _late)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (stores raise what they like)
            self._failed(error)
            return None
        self._worked()
        return found

    def save(self, kind: str, name: str, text: str, keep: float) -> None:
        """
        Keep a text, unless the store has just failed.  Nobody waits for it.

        @param keep: for how many seconds it is of use.
        """
        if not self._resting():
            maybeDeferred(self._store.save, kind, name, text, keep).addBoth(self._done)

    def forget(self, kind: str, name: str | None) -> None:
        """
        Drop one text, or all of a kind, even if the store has just failed.
        Nobody waits for it.
        """
        maybeDeferred(self._store.forget, kind, name).addBoth(self._done)

    def _resting(self) -> bool:
        """
        Tell whether to leave the store alone.  When its rest is over, one
        caller tries for all.
        """
        if not self._failing:
            return False
        now = self._clock.seconds()
        if now < self._again:
            return True
        self._again = now + _REST * self._patience
        return False

    def _done(self, result: Failure | object) -> None:
        if isinstance(result, Failure):
            self._failed(result.value)
        else:
            self._worked()

    def _failed(self, error: BaseException | None) -> None:
        self._counters.add("store.failures")
        self._again = self._clock.seconds() + _REST * self._patience
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
        try:
            await maybeDeferred(self._store.close)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (stores raise what they like)
            _log.warn("the discovery store {store!r} did not close: {error}", store=self._store, error=error)


def _late(seconds: float) -> TimedOut:
    return TimedOut("", f"no answer within {seconds:g} s", seconds=seconds)


def _giving_up_is_failing(loading: Deferred[Any]) -> Deferred[Any]:
    """
    Tell a store that cancels its own work from a caller who stops waiting:
    only the second is cancelled.
    """

    def give_up(waiting: Deferred[Any]) -> None:
        waiting.errback(CancelledError())
        loading.cancel()

    waiting: Deferred[Any] = Deferred(give_up)

    def ended(result: Any) -> None:
        if waiting.called:
            return
        if isinstance(result, Failure) and result.check(CancelledError):
            result = Failure(RuntimeError("the store gave up"))
        waiting.callback(result)  # A Failure makes it fail.

    loading.addBoth(ended)
    return waiting


@attrs.define(eq=False)
class StoreShelf(Generic[E]):
    """
    The entries of one kind in a store.

    What was dropped stays dropped here, also when the store did not hear of
    it, or was already about to answer.

    @ivar _beyond: for how many seconds after its expiry an entry is still of
        use, while nothing newer can be had.
    """

    _access: StoreAccess
    _clock: IReactorTime
    _kind: str
    _dump: Callable[[E], str]
    _load: Callable[[str], E | None]
    _beyond: float
    _dropped: BoundedMap[float] = attrs.field(init=False, factory=lambda: BoundedMap(_DROPPED))
    _all_dropped: float = attrs.field(init=False, default=-math.inf)

    async def load(self, name: str) -> E | None:
        """
        Find an entry; a damaged one is none, and so is one that was dropped,
        or comes from a clock that is far ahead.
        """
        text = await self._access.load(self._kind, name)
        entry = None if text is None else self._load(text)
        if entry is None or entry.fetched > self._clock.seconds() + _CLOCKS_DIFFER:
            return None
        dropped = max(self._all_dropped, self._dropped.get(name) or -math.inf)
        return None if entry.fetched < dropped else entry

    def save(self, name: str, entry: E) -> None:
        """
        Keep an entry for as long as it is of use.
        """
        keep = max(1.0, entry.expires + self._beyond - self._clock.seconds())
        self._access.save(self._kind, name, self._dump(entry), keep)

    def forget(self, name: str | None) -> None:
        """
        Drop one entry, or all.
        """
        now = self._clock.seconds()
        if name is None:
            self._all_dropped = now
        else:
            self._dropped.put(name, now)
        self._access.forget(self._kind, name)
