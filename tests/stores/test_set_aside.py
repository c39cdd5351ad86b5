"""
Tests of C{matrix_federation_agent.stores._set_aside}.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3

from matrix_federation_agent.stores._set_aside import identity, opening, set_aside
from tests.stores.kit import StoreCase


class SetAsideTests(StoreCase):
    """
    L{set_aside}.
    """

    def contents(self) -> dict[str, str]:
        """
        Read every file.
        """
        return {one.name: one.read_text() for one in self.directory.iterdir()}

    def test_the_file_gets_another_name(self) -> None:
        """
        What was in the file is kept, and its place is free.
        """
        self.path.write_text("old")
        set_aside(self.path, identity(self.path))
        self.assertEqual(self.contents(), {"discovery.sqlite.set-aside-1": "old"})

    def test_what_lies_beside_it_goes_along(self) -> None:
        """
        A write-ahead log would otherwise belong to the next file of that name.
        """
        for ending in ("", "-wal", "-shm"):
            (self.directory / f"discovery.sqlite{ending}").write_text(ending)
        set_aside(self.path, identity(self.path))
        self.assertEqual(
            self.contents(), {f"discovery.sqlite.set-aside-1{ending}": ending for ending in ("", "-wal", "-shm")}
        )

    def test_another_file_is_left_alone(self) -> None:
        """
        Of two processes that find a file damaged, the second finds the new one of the first and keeps it.
        """
        self.path.write_text("old")
        condemned = identity(self.path)
        set_aside(self.path, condemned)
        self.path.write_text("new")
        self.assertIsNone(set_aside(self.path, condemned))
        self.assertEqual(self.path.read_text(), "new")

    def test_names_are_not_used_twice(self) -> None:
        """
        A second damaged file does not replace the first.
        """
        for text in ("first", "second"):
            self.path.write_text(text)
            set_aside(self.path, identity(self.path))
        self.assertEqual(
            self.contents(), {"discovery.sqlite.set-aside-1": "first", "discovery.sqlite.set-aside-2": "second"}
        )

    def test_the_disk_is_not_filled(self) -> None:
        """
        Where everything is damaged again and again, ten files are kept.
        """
        for _ in range(12):
            self.path.write_text("x")
            set_aside(self.path, identity(self.path))
        self.assertEqual(len(self.contents()), 11)

    def test_a_missing_file_is_none(self) -> None:
        """
        There may be nothing to rename any more.
        """
        self.assertIsNone(set_aside(self.path, (1, 1)))


class OpeningTests(StoreCase):
    """
    L{opening}.
    """

    def test_nothing_is_set_aside_while_a_file_is_opened(self) -> None:
        """
        Who opens a file has seen what is beside it too.
        """
        self.path.write_text("old")
        with opening(self.path):
            self.assertIsNone(set_aside(self.path, identity(self.path)))

    def test_two_may_open_at_once(self) -> None:
        """
        Opening excludes only renaming.
        """
        with opening(self.path), opening(self.path):
            self.assertFalse(self.path.exists())

    def test_who_cannot_open_does_not_wait_for_long(self) -> None:
        """
        A process that stopped in the middle of renaming is an error like any other.
        """
        directory = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        with self.assertRaises(sqlite3.OperationalError), opening(self.path):
            self.fail("opened")

    def test_a_missing_directory_is_not_its_concern(self) -> None:
        """
        Without a directory to lock, opening goes on and fails where it must.
        """
        with opening(self.directory / "missing" / "file"):
            self.assertFalse((self.directory / "missing").exists())
