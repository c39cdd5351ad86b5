"""
One memory for the processes of one machine, which outlives them: a file.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .._deadlines import shielded
from .._reactor import IReactor
from ._interface import IDiscoveryStore
from ._sqlite_file import SQLiteFile
from ._thread import WorkThread

_log = Logger()

_AT_ONCE = 1000
_MOST_UNWRITTEN = 50_000


@attrs.define(eq=False)
class _Unwritten:
    """
    A text that is on its way to the file.

    @ivar waiting: who wants to know that it was written.
    """

    text: str
    until: float
    waiting: list[Deferred[None]]

    def tell(self, result: Failure | None) -> None:
        """
        It was written, or could not be.
        """
        for saved in self.waiting:
            if not saved.called:
                saved.callback(result)  # A Failure makes it fail.


@implementer(IDiscoveryStore)
class SQLiteStore:
    """
    Keeps texts in an SQLite file, off the reactor's thread.

    Several processes may share the file.  One that is damaged, or belongs to
    another program, is set aside with a warning; a locked, read-only or full
    one keeps what it has.  Whatever goes wrong is an C{sqlite3.Error}.
    """

    def __init__(self, reactor: IReactor, path: str | Path, limit: int = 100_000) -> None:
        """
        The file is opened, and made if need be, when it is first used; its
        directory must be there.

        @param reactor: one with threads.  A store that is still open when it
            stops is closed by then.
        @param limit: entries that are kept.
        """
        self._reactor = reactor
        self._file = SQLiteFile(Path(path), limit, partial(reactor.callFromThread, _warn))
        self._thread = WorkThread(reactor, "matrix_federation_agent-sqlite")
        self._unwritten: dict[tuple[str, str], _Unwritten] = {}
        self._flushing: Deferred[None] | None = None
        self._closing: Deferred[None] | None = None
        # The thread would keep the process from ending.
        self._at_shutdown: Any = reactor.addSystemEventTrigger("before", "shutdown", self._reactor_stops)

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._file.path)!r})"

    def load(self, kind: str, name: str) -> Deferred[str | None]:
        """
        Find a text.
        """
        now = self._reactor.seconds()
        unwritten = self._unwritten.get((kind, name))
        if unwritten is not None:
            return succeed(unwritten.text if unwritten.until > now else None)
        return self._closed() or self._thread.do(partial(self._file.find, kind, name, now))

    def save(self, kind: str, name: str, text: str, keep: float) -> Deferred[None]:
        """
        Keep a text, together with others that come while the thread is busy.

        @return: fires when it was written.
        """
        closed = self._closed()
        if closed is not None:
            return closed
        key = (kind, name)
        if key not in self._unwritten and len(self._unwritten) >= _MOST_UNWRITTEN:
            return fail(sqlite3.OperationalError("too much waits to be written"))
        saved: Deferred[None] = Deferred()
        older = self._unwritten.pop(key, None)
        waiting = [saved] if older is None else [*older.waiting, saved]
        self._unwritten[key] = _Unwritten(text, self._reactor.seconds() + keep, waiting)
        if self._flushing is None:
            flushing = self._flushing = Deferred.fromCoroutine(self._flush())
            flushing.addBoth(self._flushed)
        return saved

    async def _flush(self) -> None:
        """
        Write until everything is written; loads get their turn in between.
        """
        while self._unwritten:
            batch = {key: self._unwritten.pop(key) for key in list(islice(self._unwritten, _AT_ONCE))}
            rows = [(kind, name, one.text, one.until) for (kind, name), one in batch.items()]
            result: Failure | None = None
            try:
                await self._thread.do(partial(self._file.save, rows, self._reactor.seconds()))
            except sqlite3.Error:
                result = Failure()
            for one in batch.values():
                one.tell(result)

    def _flushed(self, result: None) -> None:
        self._flushing = None

    def forget(self, kind: str, name: str | None) -> Deferred[None]:
        """
        Drop one text, or all of a kind.
        """
        for key in [key for key in self._unwritten if key[0] == kind and name in {None, key[1]}]:
            self._unwritten.pop(key).tell(None)
        return self._closed() or self._thread.do(partial(self._file.drop, kind, name))

    def close(self) -> Deferred[None]:
        """
        Write what is unwritten and let go of the file.
        """
        if self._closing is None:
            self._closing = Deferred.fromCoroutine(self._close())
        return shielded(self._closing)

    async def _close(self) -> None:
        trigger, self._at_shutdown = self._at_shutdown, None
        if trigger is not None:
            self._reactor.removeSystemEventTrigger(trigger)
        if self._flushing is not None:
            await shielded(self._flushing)
        await self._thread.do(self._file.close)
        await self._thread.stop()

    def _reactor_stops(self) -> Deferred[None]:
        self._at_shutdown = None
        return self.close()

    def _closed(self) -> Deferred[Any] | None:
        """
        Refuse what comes after L{close}.
        """
        return None if self._closing is None else fail(sqlite3.ProgrammingError("the store is closed"))


def _warn(path: Path, aside: Path, error: sqlite3.Error) -> None:
    _log.warn("{path} is not usable and was set aside as {aside}: {error}", path=path, aside=aside, error=error)
