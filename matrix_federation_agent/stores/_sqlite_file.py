"""
The file of L{SQLiteStore <matrix_federation_agent.stores.SQLiteStore>}, as
the one thread that may touch it sees it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import attrs

from ._set_aside import Identity, identity, opening, set_aside

T = TypeVar("T")

Row = tuple[str, str, str, float]
"""
Kind, name, text, and until when it is of use.
"""

APPLICATION_ID = 0x4D664164
"""
Marks the file as ours (C{PRAGMA application_id}).
"""

SCHEMA_VERSION = 1

_SCHEMA = (
    """
    CREATE TABLE entries (
        kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX entries_until ON entries (until)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# Seconds.  Who makes the file, or turns it to WAL, has it to itself while the disk writes, once.
_WAIT_FOR_LOCK, _WAIT_TO_OPEN = 0.05, 0.25
_TIDY_AFTER = 1000


class ForeignFileError(sqlite3.DatabaseError):
    """
    The file is a database of another program, or of another version.
    """


@attrs.define(eq=False)
class SQLiteFile:
    """
    A database that may be damaged, foreign, replaced, locked or out of reach
    at any time.

    @ivar limit: rows that are kept.
    @ivar _warn: told the path, what the file there is called now, and why,
        when it was set aside.
    """

    path: Path
    limit: int
    _warn: Callable[[Path, Path, sqlite3.Error], object]
    _connection: sqlite3.Connection | None = None
    _opened: Identity | None = None
    # The first of a process: one that lives for a short while tidies too.
    _until_tidy: int = 1

    def find(self, kind: str, name: str, now: float) -> str | None:
        """
        Find a text that has not expired.
        """
        query = "SELECT text FROM entries WHERE kind = ? AND name = ? AND until > ?"
        found = self._use(lambda connection: connection.execute(query, (kind, name, now)).fetchone())
        return None if found is None else str(found[0])

    def drop(self, kind: str, name: str | None) -> None:
        """
        Drop one text, or all of a kind.
        """
        if name is None:
            self._use(lambda connection: connection.execute("DELETE FROM entries WHERE kind = ?", (kind,)))
        else:
            one = "DELETE FROM entries WHERE kind = ? AND name = ?"
            self._use(lambda connection: connection.execute(one, (kind, name)))

    def save(self, rows: list[Row], now: float) -> None:
        """
        Keep rows, all in one transaction.
        """
        self._use(lambda connection: self._save(connection, rows, now))

    def _save(self, connection: sqlite3.Connection, rows: list[Row], now: float) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
        self._until_tidy -= len(rows)
        if self._until_tidy <= 0:
            self._until_tidy = _TIDY_AFTER
            self._tidy(connection, now)
        connection.execute("COMMIT")

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

    def close(self) -> None:
        """
        Let go of the file; what was not committed is undone.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Do something with the database.  After a failure the next use opens it
        again; a damaged or foreign one is set aside.

        @raise sqlite3.Error: whatever goes wrong.
        """
        try:
            return work(self._current())
        except sqlite3.Error as error:
            self.close()
            if isinstance(error, ForeignFileError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                self._set_aside(error)
            raise
        except Exception as error:
            self.close()
            raise sqlite3.InterfaceError(f"{type(error).__name__}: {error}") from error

    def _current(self) -> sqlite3.Connection:
        """
        Open the database, unless it is open and still the one at its path.
        """
        if self._connection is not None and identity(self.path) == self._opened:
            return self._connection
        self.close()
        with opening(self.path):
            connection = sqlite3.connect(self.path, timeout=_WAIT_TO_OPEN, isolation_level=None)
            try:
                self._opened = identity(self.path)
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return connection

    def _set_aside(self, error: sqlite3.Error) -> None:
        aside = set_aside(self.path, self._opened)
        if aside is not None:
            self._warn(self.path, aside, error)


def _prepare(connection: sqlite3.Connection) -> None:
    """
    Make a database ours if it is new, and ready for use.

    @raise ForeignFileError: when it is somebody else's.
    """
    if _owner(connection) == (0, 0):
        _create(connection)
    if _owner(connection) != (APPLICATION_ID, SCHEMA_VERSION):
        raise ForeignFileError("application {:#x}, version {}".format(*_owner(connection)))
    _check_table(connection)
    # Readers and one writer do not wait for each other, also those of other
    # processes.  It stays with the file, and must not be in anybody's way.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
    # What is lost in a power failure is fetched again; the file stays whole.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA busy_timeout = {_WAIT_FOR_LOCK * 1000:.0f}")
    # A text that was damaged is no entry, by the distrust of who reads it.
    connection.text_factory = lambda text: text.decode("utf-8", "replace")


def _create(connection: sqlite3.Connection) -> None:
    """
    Make the schema, unless another process has just done so.
    """
    connection.execute("BEGIN IMMEDIATE")
    if _owner(connection) == (0, 0):
        if _number(connection, "SELECT count(*) FROM sqlite_master"):
            raise ForeignFileError("a database of another program")
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _check_table(connection: sqlite3.Connection) -> None:
    """
    Look whether there is what the header promises.
    """
    try:
        connection.execute("SELECT kind, name, text, until FROM entries LIMIT 0")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise ForeignFileError(str(error)) from error
        raise


def _owner(connection: sqlite3.Connection) -> tuple[int, int]:
    return _number(connection, "PRAGMA application_id"), _number(connection, "PRAGMA user_version")


def _number(connection: sqlite3.Connection, query: str) -> int:
    with closing(connection.execute(query)) as found:
        return int(found.fetchone()[0])
