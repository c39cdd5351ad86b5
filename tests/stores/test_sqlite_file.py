"""
Tests of C{matrix_federation_agent.stores._sqlite_file}.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from matrix_federation_agent.stores._sqlite_file import APPLICATION_ID, SQLiteFile
from tests.stores.kit import StoreCase, a_database

ASIDE = "discovery.sqlite.set-aside-1"


class FileCase(StoreCase):
    """
    A test with a file, in the thread of the test.
    """

    def setUp(self) -> None:
        """
        Make one that collects its warnings.
        """
        super().setUp()
        self.warnings: list[tuple[Path, Path, str]] = []
        self.file = self.another()

    def another(self, limit: int = 10_000) -> SQLiteFile:
        """
        Open the file once more.
        """
        file = SQLiteFile(self.path, limit, lambda *warning: self.warnings.append((*warning[:2], str(warning[2]))))
        self.addCleanup(file.close)
        return file

    def keep(self, *names: str, until: float = 600, file: SQLiteFile | None = None) -> None:
        """
        Save texts.
        """
        (file or self.file).save([("srv", name, f"text of {name}", until) for name in names], 0)

    def found(self, *names: str, now: float = 0, file: SQLiteFile | None = None) -> list[str]:
        """
        Find which names are known.
        """
        return [name for name in names if (file or self.file).find("srv", name, now) == f"text of {name}"]


class RowsTests(FileCase):
    """
    L{SQLiteFile} with a sound file.
    """

    def test_what_was_saved_is_found(self) -> None:
        """
        A text is found by its kind and name.
        """
        self.file.save([("srv", "a.example", "one", 600), ("a", "a.example", "two", 600)], 0)
        self.assertEqual([self.file.find(kind, "a.example", 0) for kind in ("srv", "a", "aaaa")], ["one", "two", None])

    def test_the_newer_text_replaces_the_older(self) -> None:
        """
        There is one text of a kind and name.
        """
        self.file.save([("srv", "a.example", "old", 600)], 0)
        self.file.save([("srv", "a.example", "new", 600)], 0)
        self.assertEqual(self.file.find("srv", "a.example", 0), "new")

    def test_expired_texts_are_not_found(self) -> None:
        """
        A text is of use until its time, and not at it.
        """
        self.keep("a.example", until=600)
        self.assertEqual(self.found("a.example", now=599.9), ["a.example"])
        self.assertEqual(self.found("a.example", now=600), [])

    def test_expired_rows_are_deleted(self) -> None:
        """
        The first save of a process tidies, and so does one in a thousand.
        """
        self.keep("old.example", until=10)
        self.file.close()
        self.another().save([("srv", "new.example", "text", 600)], 20)
        self.assertEqual(self.rows(), ["new.example"])

    def test_the_rows_that_last_longest_are_kept(self) -> None:
        """
        Beyond the limit, those leave that would be the next to expire.
        """
        file = self.another(limit=2)
        file.save([("srv", f"{until}.example", "text", until) for until in (30, 10, 40, 20)], 0)
        self.assertEqual(self.rows(), ["30.example", "40.example"])

    def test_a_thousand_rows_later_it_tidies_again(self) -> None:
        """
        A process that runs for long keeps the limit.
        """
        file = self.another(limit=5)
        for number in range(1001):
            file.save([("srv", f"{number}.example", "text", 600 + number)], 0)
        self.assertEqual(len(self.rows()), 5)

    def test_one_is_dropped(self) -> None:
        """
        Others of the kind stay.
        """
        self.keep("a.example", "b.example")
        self.file.drop("srv", "a.example")
        self.assertEqual(self.found("a.example", "b.example"), ["b.example"])

    def test_a_kind_is_dropped(self) -> None:
        """
        Other kinds stay.
        """
        self.file.save([("srv", "a.example", "one", 600), ("a", "a.example", "two", 600)], 0)
        self.file.drop("srv", None)
        self.assertEqual([self.file.find(kind, "a.example", 0) for kind in ("srv", "a")], [None, "two"])

    def test_two_connections_see_each_other(self) -> None:
        """
        What one saved the other finds at once.
        """
        self.keep("a.example")
        self.assertEqual(self.found("a.example", file=self.another()), ["a.example"])

    def test_half_a_save_is_none(self) -> None:
        """
        When one row cannot be saved, none of its transaction is.
        """
        rows = [("srv", "a.example", "text of a.example", 600.0), ("srv", "b.example", "text", float("nan"))]
        self.assertRaises(sqlite3.IntegrityError, self.file.save, rows, 0)
        self.assertEqual(self.found("a.example"), [])

    def test_what_cannot_be_a_text_is_an_sqlite_error(self) -> None:
        """
        Whatever goes wrong is of one family.
        """
        self.assertRaises(sqlite3.Error, self.file.save, [("srv", "\ud800", "", 600.0)], 0)

    def test_a_power_failure_leaves_the_file_whole(self) -> None:
        """
        The journal is a write-ahead log that is synchronized with the file.
        """
        database = self.file._current()
        pragmas = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        self.assertEqual(pragmas, ["wal", 1])

    def rows(self) -> list[str]:
        """
        List the names in the table.
        """
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        return [name for (name,) in database.execute("SELECT name FROM entries ORDER BY name")]


class DamagedTests(FileCase):
    """
    L{SQLiteFile} with a file that is not usable.
    """

    def assert_set_aside(self, content: bytes | None = None) -> None:
        """
        The next use fails, the one after it works with a new file, and somebody is told.
        """
        self.assertRaises(sqlite3.DatabaseError, self.found, "a.example")
        self.keep("new.example")
        self.assertEqual(self.found("a.example", "new.example"), ["new.example"])
        self.assertEqual([warning[:2] for warning in self.warnings], [(self.path, self.directory / ASIDE)])
        if content is not None:
            self.assertEqual((self.directory / ASIDE).read_bytes(), content)

    def test_random_bytes(self) -> None:
        """
        A file that is no database is set aside.
        """
        content = os.urandom(10_000)
        self.path.write_bytes(content)
        self.assert_set_aside(content)

    def test_a_text(self) -> None:
        """
        A file of another kind is set aside and not overwritten.
        """
        self.path.write_bytes(b"key: value\n")
        self.assert_set_aside(b"key: value\n")

    def test_a_header_and_then_garbage(self) -> None:
        """
        A file that only looks like a database is set aside.
        """
        self.keep("a.example")
        self.file.close()
        content = self.path.read_bytes()[:100] + os.urandom(10_000)
        self.path.write_bytes(content)
        self.assert_set_aside(content)

    def test_a_header_and_then_nothing(self) -> None:
        """
        A header that promises a table which is not there is not believed.
        """
        a_database(self.path, f"PRAGMA application_id = {APPLICATION_ID}", "PRAGMA user_version = 1")
        self.assert_set_aside()

    def test_another_table(self) -> None:
        """
        A table of the same name but with other columns is not ours.
        """
        a_database(
            self.path,
            "CREATE TABLE entries (fruit TEXT)",
            f"PRAGMA application_id = {APPLICATION_ID}",
            "PRAGMA user_version = 1",
        )
        self.assert_set_aside()

    def test_another_program(self) -> None:
        """
        The database of another program is set aside.
        """
        a_database(self.path, "CREATE TABLE fruit (name TEXT)", "PRAGMA application_id = 7")
        self.assert_set_aside()

    def test_an_unmarked_database(self) -> None:
        """
        Most programs do not mark their databases; these are theirs all the same.
        """
        a_database(self.path, "CREATE TABLE fruit (name TEXT)")
        self.assert_set_aside()

    def test_a_newer_version_of_ours(self) -> None:
        """
        What this version does not know it does not touch.
        """
        self.keep("a.example")
        self.file.close()
        a_database(self.path, "PRAGMA user_version = 2")
        self.assert_set_aside()

    def test_cut_off_while_closed(self) -> None:
        """
        A file that lost its second half is set aside.
        """
        self.keep(*(f"{number}.example" for number in range(1000)))
        self.file.close()
        os.truncate(self.path, self.path.stat().st_size // 8192 * 4096)
        self.assertRaises(sqlite3.DatabaseError, self.drop_all)
        self.drop_all()
        self.assertEqual(self.names(), {"discovery.sqlite", ASIDE})

    def test_cut_off_while_open(self) -> None:
        """
        Also when that happens to a file in use.
        """
        self.keep(*(f"{number}.example" for number in range(1000)))
        other = self.another()
        self.found("1.example", file=other)
        self.file.close()
        other._current().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(self.path, self.path.stat().st_size // 8192 * 4096)
        self.file = other
        self.assertRaises(sqlite3.DatabaseError, self.drop_all)
        self.drop_all()
        self.assertEqual(self.names(), {"discovery.sqlite", ASIDE})

    def test_cut_off_entirely_while_open(self) -> None:
        """
        An emptied file is a new one, at the latest at the second use.
        """
        self.keep("a.example")
        self.file._current().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.truncate(self.path, 0)
        for _ in range(2):
            try:
                self.keep("new.example")
            except sqlite3.DatabaseError:
                continue
        self.assertEqual(self.found("new.example"), ["new.example"])

    def test_one_damaged_text_is_a_damaged_text(self) -> None:
        """
        Bytes that are no text cost one entry, not the file.
        """
        self.keep("a.example", "b.example")
        self.file._current().execute("UPDATE entries SET text = CAST(x'ff' AS TEXT) WHERE name = 'a.example'")
        self.assertEqual(self.file.find("srv", "a.example", 0), "\ufffd")
        self.assertEqual(self.names(), {"discovery.sqlite"})

    def drop_all(self) -> None:
        """
        Read and write every page.
        """
        self.file.drop("srv", None)
        self.keep("new.example")


class ReplacedTests(FileCase):
    """
    L{SQLiteFile} whose file others replace.
    """

    def test_a_removed_file_is_made_again(self) -> None:
        """
        Somebody may delete it at any time.
        """
        self.keep("a.example")
        for one in list(self.directory.iterdir()):
            one.unlink()
        self.keep("new.example")
        self.assertEqual(self.found("a.example", "new.example", file=self.another()), ["new.example"])

    def test_two_find_the_same_damage(self) -> None:
        """
        The second to notice goes on with the new file of the first.
        """
        self.path.write_bytes(b"garbage, garbage, garbage")
        other = self.another()
        self.assertRaises(sqlite3.DatabaseError, self.keep, "a.example")
        self.keep("a.example")
        self.assertEqual(self.found("a.example", file=other), ["a.example"])
        self.assertEqual(self.names(), {"discovery.sqlite", ASIDE})

    def test_both_have_it_open_when_it_is_damaged(self) -> None:
        """
        Who still has the old file open leaves it for the new one, and the new one's log alone.
        """
        other = self.another()
        self.keep(*(f"{number}.example" for number in range(1000)))
        self.found("1.example", file=other)
        self.file._current().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with self.path.open("r+b") as damaged:
            damaged.write(b"\0" * 8192)
        self.file.close()
        self.assertRaises(sqlite3.DatabaseError, self.keep, "a.example")
        self.keep("a.example")
        self.keep("b.example", file=other)
        self.assertEqual(self.found("a.example", "b.example", file=self.another()), ["a.example", "b.example"])
        self.assertEqual(self.names(), {"discovery.sqlite", ASIDE})

    def test_closing_an_old_file_leaves_the_log_of_the_new(self) -> None:
        """
        SQLite deletes a log by its name; it must not be that of another file.
        """
        self.keep("old.example")
        self.path.rename(self.directory / "old")
        (self.directory / "discovery.sqlite-wal").unlink()
        (self.directory / "discovery.sqlite-shm").unlink()
        other = self.another()
        self.keep("new.example", file=other)
        self.file.close()
        self.assertEqual(self.found("new.example", file=self.another()), ["new.example"])

    def test_the_log_of_a_lost_file_is_not_believed(self) -> None:
        """
        A crash may leave a log without its file.
        """
        self.keep("old.example")
        self.path.unlink()
        self.keep("new.example", file=self.another())
        self.assertEqual(self.found("old.example", "new.example", file=self.another()), ["new.example"])


class UnreachableTests(FileCase):
    """
    L{SQLiteFile} where there is no file to be had.
    """

    def test_a_directory_in_its_place(self) -> None:
        """
        A directory is left alone.
        """
        self.path.mkdir()
        self.assertRaises(sqlite3.OperationalError, self.keep, "a.example")
        self.assertEqual((self.names(), self.warnings), ({"discovery.sqlite"}, []))

    def test_no_directory(self) -> None:
        """
        Directories are not made.
        """
        self.directory.rmdir()
        self.assertRaises(sqlite3.OperationalError, self.keep, "a.example")
        self.assertFalse(self.directory.exists())

    def test_a_path_that_is_none(self) -> None:
        """
        A path that no system can open is an SQLite error as well.
        """
        self.file.path = Path("a\0b")
        self.assertRaises(sqlite3.Error, self.keep, "a.example")

    def test_it_works_as_soon_as_it_can(self) -> None:
        """
        No failure is remembered.
        """
        self.path.mkdir()
        self.assertRaises(sqlite3.OperationalError, self.keep, "a.example")
        self.path.rmdir()
        self.keep("a.example")
        self.assertEqual(self.found("a.example"), ["a.example"])

    def test_locked_for_writing(self) -> None:
        """
        Who cannot write can still read.
        """
        self.keep("a.example")
        self.hold()
        self.assertRaises(sqlite3.OperationalError, self.keep, "b.example")
        self.assertEqual(self.found("a.example", "b.example"), ["a.example"])

    def test_locked_for_everybody(self) -> None:
        """
        A file that another process keeps for itself is not set aside.
        """
        self.keep("a.example")
        self.file.close()
        holder = self.hold("EXCLUSIVE")
        self.assertRaises(sqlite3.OperationalError, self.found, "a.example")
        holder.communicate()
        self.assertEqual(self.found("a.example"), ["a.example"])
        self.assertEqual((self.names(), self.warnings), ({"discovery.sqlite"}, []))

    def test_a_new_file_that_another_still_makes(self) -> None:
        """
        Opening waits longer than an operation on an open file: a slow disk takes its time for the first pages.
        """
        maker = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(maker.close)
        maker.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.1, maker.execute, ["COMMIT"])
        self.addCleanup(done.join)
        done.start()
        self.keep("a.example")
        self.assertEqual(self.found("a.example"), ["a.example"])

    def test_a_new_file_is_made_by_one(self) -> None:
        """
        A file that another process is just making is not foreign.
        """
        a_database(self.path, "PRAGMA journal_mode = DELETE")
        self.hold()
        self.assertRaises(sqlite3.OperationalError, self.keep, "a.example")
        self.assertEqual((self.names(), self.warnings), ({"discovery.sqlite"}, []))
