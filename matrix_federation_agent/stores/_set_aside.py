"""
Taking a file that cannot be used out of the way, while other processes do the
same.

All of it happens in the thread that may block.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SIDECARS = ("-wal", "-shm", "-journal")
_MOST = 10
_ATTEMPTS = 10
_PAUSE = 0.01

Identity = tuple[int, int]
"""
Device and inode: the file itself, whatever it is called.
"""


def identity(path: Path) -> Identity | None:
    """
    Tell which file a path leads to.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """
    Keep others from setting a file aside.

    @raise sqlite3.OperationalError: when one of them is about to.
    """
    with _locked(path.parent, fcntl.LOCK_SH):
        yield


def set_aside(path: Path, condemned: Identity | None) -> Path | None:
    """
    Rename a file, and what SQLite keeps beside it.

    @param condemned: the file that was found unusable.
    @return: its new name, or L{None} when another process did it before, or
        when it cannot be done.
    """
    with suppress(OSError, sqlite3.OperationalError), _locked(path.parent, fcntl.LOCK_EX):
        aside = _free_name(path)
        if condemned is None or identity(path) != condemned or aside is None:
            return None
        # The file itself goes last: a new one must not find the log of the
        # old one beside it.
        for ending in _SIDECARS:
            with suppress(FileNotFoundError):
                Path(f"{path}{ending}").rename(f"{aside}{ending}")
        path.rename(aside)
        return aside
    return None


def _free_name(path: Path) -> Path | None:
    """
    Find a name; there are only some, lest a disk that damages everything be
    filled as well.
    """
    names = (path.with_name(f"{path.name}.set-aside-{number}") for number in range(1, _MOST + 1))
    return next((name for name in names if not name.exists()), None)


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """
    Lock a directory against others who do so, where that is possible at all.
    """
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        _lock(opened, how)
        yield
    finally:
        os.close(opened)


def _lock(opened: int, how: int) -> None:
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(opened, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:
            # This file system has no locks.
            return
        else:
            return
    raise sqlite3.OperationalError("another process is setting the file aside")
