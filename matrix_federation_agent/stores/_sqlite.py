"""
One memory for the processes of one machine, which outlives them: a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from .._reactor import IReactor
from ._interface import IDiscoveryStore

T = TypeVar("T")

_log = Logger()

APPLICATION_ID = 0x4D664164
"""
Marks the file as ours (C{PRAGMA application_id}).
"""

SCHEMA_VERSION = 1

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS entries (
        kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
"""
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WAIT_FOR_LOCK = 0.05
_TIDY_AFTER = 1000


class ForeignFileError(sqlite3.DatabaseError):
    """
    The file is a database of another program, or of another version.
    """


@attrs.define(eq=False)
class _File:
    """
    The file, as the one thread that may touch it sees it.

    @ivar limit: rows that are kept.
    """

    path: Path
    limit: int
    _connection: sqlite3.Connection | None = None
    _saved: int = 0

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Do something with the database; a damaged or foreign one is set aside,
        and the next use begins with a new one.
        """
        try:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            self.close()
            if isinstance(error, ForeignFileError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                self._set_aside(error)
            raise

    def _open(self) -> sqlite3.Connection:
        """
        Open the database, and make it ours if it is new.

        @raise ForeignFileError: when it is somebody else's.
        """
        connection = sqlite3.connect(self.path, timeout=_WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        owner = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        if owner == (APPLICATION_ID, SCHEMA_VERSION):
            return
        with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as found:
            if owner != (0, 0) or found.fetchone()[0]:
                raise ForeignFileError(f"application {owner[0]:#x}, version {owner[1]}")
        # Readers and one writer at a time do not wait for each other, also
        # those of another process.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def save(self, rows: list[tuple[str, str, str, float]], now: float) -> None:
        """
        Keep rows, all in one transaction.
        """
        self.use(lambda connection: self._save(connection, rows, now))

    def _save(self, connection: sqlite3.Connection, rows: list[tuple[str, str, str, float]], now: float) -> None:
        # What is lost in a power failure is fetched again.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
            self._saved += len(rows)
            if self._saved >= _TIDY_AFTER:
                self._saved = 0
                self._tidy(connection, now)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _tidy(self, connection: sqlite3.Connection, now: float) -> None:
        """
        Drop what has expired, and what is too much.
        """
        connection.execute("DELETE FROM entries WHERE until <= ?", (now,))
        connection.execute(
            "DELETE FROM entries WHERE (kind, name) IN "
            "(SELECT kind, name FROM entries ORDER BY until DESC LIMIT -1 OFFSET ?)",
            (self.limit,),
        )

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """
        Rename the file, and what SQLite keeps beside it.
        """
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.set-aside-{number}")).exists():
            number += 1
        for ending in ("", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self.path}{ending}").rename(f"{aside}{ending}")
        _log.warn(
            "{path} is not usable and was set aside as {aside}: {error}", path=self.path, aside=aside, error=error
        )

    def close(self) -> None:
        """
        Let go of the file.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    with closing(connection.execute(f"PRAGMA {name}")) as found:
        return int(found.fetchone()[0])


@implementer(IDiscoveryStore)
class SQLiteStore:
    """
    Keeps texts in an SQLite file, off the reactor's thread.

    Several processes may share the file.  One that is damaged, or belongs to
    another program, is set aside with a warning; a locked, read-only or full
    one keeps what it has.
    """

    def __init__(self, reactor: IReactor, path: str | Path, limit: int = 100_000) -> None:
        """
        The file is opened, and made if need be, when it is first used.

        @param limit: entries that are kept.
        """
        self._reactor = reactor
        self._file = _File(Path(path), limit)
        self._pool: ThreadPool | None = None
        self._pending: dict[tuple[str, str], tuple[str, float]] = {}
        self._waiting: list[Deferred[None]] = []
        self._flushing: Deferred[None] | None = None

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._file.path)!r})"

    def load(self, kind: str, name: str) -> Deferred[str | None]:
        """
        Find a text.
        """
        pending = self._pending.get((kind, name))
        if pending is not None:
            return Deferred.fromCoroutine(_immediately(pending[0]))
        now = self._reactor.seconds()
        return self._in_thread(self._file.use, lambda connection: _find(connection, kind, name, now))

    def save(self, kind: str, name: str, text: str, keep: float) -> Deferred[None]:
        """
        Keep a text, together with others that come while the thread is busy.

        @return: fires when it was written.
        """
        self._pending[kind, name] = (text, self._reactor.seconds() + keep)
        saved: Deferred[None] = Deferred()
        self._waiting.append(saved)
        if self._flushing is None:
            self._flushing = Deferred.fromCoroutine(self._flush())
        return saved

    async def _flush(self) -> None:
        """
        Write what is pending until nothing is.
        """
        while self._pending:
            pending, self._pending = self._pending, {}
            waiting, self._waiting = self._waiting, []
            rows = [(kind, name, text, until) for (kind, name), (text, until) in pending.items()]
            try:
                await self._in_thread(self._file.save, rows, self._reactor.seconds())
            except sqlite3.Error as error:
                failure = Failure(error)
                _each(waiting, lambda saved: saved.errback(failure))  # noqa: B023 (called at once)
            else:
                _each(waiting, lambda saved: saved.callback(None))
        self._flushing = None

    def forget(self, kind: str, name: str | None) -> Deferred[None]:
        """
        Drop one text, or all of a kind.
        """
        for key in [key for key in self._pending if key[0] == kind and name in (None, key[1])]:
            del self._pending[key]
        return self._in_thread(self._file.use, lambda connection: _drop(connection, kind, name))

    def close(self) -> Deferred[None]:
        """
        Write what is pending and let go of the file.
        """
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self._flushing is not None:
            await self._flushing
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await deferToThreadPool(self._reactor, pool, self._file.close)
            pool.stop()

    def _in_thread(self, work: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Do something in the one thread that may touch the file.
        """
        if self._pool is None:
            self._pool = ThreadPool(0, 1, name="matrix_federation_agent-sqlite")
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)


def _each(waiting: list[Deferred[None]], tell: Callable[[Deferred[None]], object]) -> None:
    for saved in waiting:
        if not saved.called:
            tell(saved)


async def _immediately(text: str) -> str:
    return text


def _find(connection: sqlite3.Connection, kind: str, name: str, now: float) -> str | None:
    found = connection.execute(
        "SELECT text FROM entries WHERE kind = ? AND name = ? AND until > ?", (kind, name, now)
    ).fetchone()
    return None if found is None else str(found[0])


def _drop(connection: sqlite3.Connection, kind: str, name: str | None) -> None:
    if name is None:
        connection.execute("DELETE FROM entries WHERE kind = ?", (kind,))
    else:
        connection.execute("DELETE FROM entries WHERE kind = ? AND name = ?", (kind, name))
