"""
Tests of C{matrix_federation_agent.stores._sqlite}.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from time import monotonic
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from matrix_federation_agent.stores import IDiscoveryStore, SQLiteStore
from tests.stores.kit import StoreCase, a_database

FULL = 100_000
"""
Bytes: more than the file, less than what is written to it.
"""


class Recording(sqlite3.Connection):
    """
    Notes what it is told, and where.
    """

    statements: list[str]
    threads: set[int]

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """
        Note a statement.
        """
        self.statements.append(sql)
        self.threads.add(threading.get_ident())
        return super().execute(sql, *arguments)


class SQLiteStoreTests(StoreCase):
    """
    L{SQLiteStore} with a sound file.
    """

    def record(self) -> type[Recording]:
        """
        Have the next connections recorded.
        """
        connect = sqlite3.connect
        recording: type[Recording] = type("Recorded", (Recording,), {"statements": [], "threads": set()})
        self.patch(sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=recording, **kwargs))
        return recording

    def test_it_is_a_discovery_store(self) -> None:
        """
        It keeps to the interface.
        """
        self.assertTrue(verifyObject(IDiscoveryStore, self.store()))

    async def test_what_was_saved_is_loaded(self) -> None:
        """
        A text comes back as it was.
        """
        store = self.store()
        await store.save("srv", "a.example", '{"v": "ä\\u0000"}', 600)
        self.assertEqual(await store.load("srv", "a.example"), '{"v": "ä\\u0000"}')

    async def test_what_is_not_there_is_none(self) -> None:
        """
        Kind and name both count.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        self.assertEqual([await store.load("a", "a.example"), await store.load("srv", "b.example")], [None, None])

    async def test_what_is_not_written_yet_is_found(self) -> None:
        """
        Nobody has to wait for the file.
        """
        store = self.store()
        for number in range(3):
            store.save("srv", f"{number}.example", f"text {number}", 600)
        self.assertEqual(await store.load("srv", "2.example"), "text 2")

    async def test_what_has_expired_is_not_found(self) -> None:
        """
        Neither in the file nor on the way there.
        """
        store = self.store()
        saved = gatherResults([store.save("srv", f"{number}.example", "text", 0) for number in range(2)])
        unwritten = await store.load("srv", "1.example")
        await saved
        self.assertEqual([unwritten, await store.load("srv", "1.example")], [None, None])

    async def test_many_saves_are_few_transactions(self) -> None:
        """
        The first save is written at once, and those that come meanwhile together; one more makes the file.
        """
        recording, store = self.record(), self.store()
        await gatherResults([store.save("srv", f"{number}.example", "text", 600) for number in range(1000)])
        self.assertEqual(recording.statements.count("BEGIN IMMEDIATE"), 3)

    async def test_the_last_of_several_saves_wins(self) -> None:
        """
        Every save of a text that was replaced on its way is told as well.
        """
        store = self.store()
        await gatherResults([store.save("srv", "a.example", f"text {number}", 600) for number in range(10)])
        self.assertEqual(await store.load("srv", "a.example"), "text 9")

    async def test_the_reactors_thread_leaves_it_alone(self) -> None:
        """
        Everything happens in one other thread, closing included: SQLite would refuse any other.
        """
        recording, store = self.record(), self.store()
        await store.save("srv", "a.example", "text", 600)
        await store.load("srv", "a.example")
        await store.forget("srv", None)
        await store.close()
        self.assertEqual((len(recording.threads), threading.get_ident() in recording.threads), (1, False))

    async def test_a_restart_knows_what_was_known(self) -> None:
        """
        Another store on the same file finds what the first one saved.
        """
        first = self.store()
        await first.save("srv", "a.example", "text", 600)
        await first.close()
        self.assertEqual(await self.store().load("srv", "a.example"), "text")

    async def test_two_stores_share_a_file(self) -> None:
        """
        Both may write, and each finds at once what the other wrote.
        """
        first, second = self.store(), self.store()
        await gatherResults([first.save("srv", "a.example", "1", 600), second.save("srv", "b.example", "2", 600)])
        self.assertEqual([await first.load("srv", "b.example"), await second.load("srv", "a.example")], ["2", "1"])

    async def test_two_processes_share_a_file(self) -> None:
        """
        Two processes that make the same file at the same time lose nothing of what they write to it.
        """
        both = [self.other_process("many", self.path, prefix, 50) for prefix in "ab"]
        await gatherResults([Deferred.fromCoroutine(one) for one in both])
        store = self.store()
        found = [await store.load("srv", f"{prefix}{number}") for prefix in "ab" for number in range(50)]
        self.assertEqual(found, [f"text {number}" for number in range(50)] * 2)
        self.assertEqual(self.names(), {"discovery.sqlite"})

    async def test_forgetting_one(self) -> None:
        """
        What was written is dropped, and what was on the way; the others stay.
        """
        store = self.store()
        for name in ("a.example", "b.example", "c.example"):
            store.save("srv", name, "text", 600)
        await gatherResults([store.forget("srv", name) for name in ("a.example", "c.example")])
        found = [await store.load("srv", f"{letter}.example") for letter in "abc"]
        self.assertEqual(found, [None, "text", None])

    async def test_forgetting_a_kind(self) -> None:
        """
        Other kinds stay.
        """
        store = self.store()
        for kind in ("srv", "srv", "a"):
            store.save(kind, "a.example", "text", 600)
        await store.forget("srv", None)
        self.assertEqual([await store.load(kind, "a.example") for kind in ("srv", "a")], [None, "text"])

    async def test_whoever_saved_what_was_forgotten_is_told(self) -> None:
        """
        A text that is dropped on its way leaves nobody waiting.
        """
        store = self.store()
        saved = [store.save("srv", f"{number}.example", "text", 600) for number in range(3)]
        store.forget("srv", None)
        self.assertEqual(await gatherResults(saved), [None] * 3)

    async def test_the_limit_holds(self) -> None:
        """
        Beyond it the entries leave that expire first.
        """
        store = SQLiteStore(reactor, self.path, limit=3)
        self.addCleanup(store.close)
        await gatherResults([store.save("srv", f"{number}.example", "text", 600 + number) for number in range(1500)])
        found = [number for number in range(1500) if await store.load("srv", f"{number}.example")]
        self.assertEqual((len(found), found[-3:]), (3 + len(found[:-3]), [1497, 1498, 1499]))
        self.assertTrue(len(found) < 1000)

    async def test_a_cancelled_load_is_no_trouble(self) -> None:
        """
        Others get their answers.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        cancelled, other = store.load("srv", "b.example"), store.load("srv", "a.example")
        cancelled.cancel()
        self.assertEqual(await other, "text")
        await self.assertFailure(cancelled, CancelledError)

    async def test_a_cancelled_save_is_written(self) -> None:
        """
        Only the waiting ends.
        """
        store = self.store()
        saved = [store.save("srv", f"{number}.example", "text", 600) for number in range(2)]
        saved[1].cancel()
        await self.assertFailure(saved[1], CancelledError)
        await saved[0]
        self.assertEqual(await store.load("srv", "1.example"), "text")


class CloseTests(StoreCase):
    """
    L{SQLiteStore.close}.
    """

    async def test_what_is_on_its_way_is_written(self) -> None:
        """
        Closing loses nothing.
        """
        store = self.store()
        saved = [store.save("srv", f"{number}.example", "text", 600) for number in range(2500)]
        await store.close()
        self.assertEqual(await gatherResults(saved), [None] * 2500)
        self.assertEqual(await self.store().load("srv", "2499.example"), "text")

    async def test_a_load_under_way_is_answered(self) -> None:
        """
        What is in the thread is finished.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        loaded = store.load("srv", "a.example")
        await store.close()
        self.assertEqual(await loaded, "text")

    async def test_a_closed_store_does_nothing(self) -> None:
        """
        It does not open the file again.
        """
        store = self.store()
        await store.close()
        calls: list[Deferred[Any]] = [
            store.load("srv", "a"),
            store.save("srv", "a", "text", 600),
            store.forget("srv", None),
        ]
        results = await DeferredList(calls, consumeErrors=True)
        self.assertEqual([failure.check(sqlite3.Error) for _, failure in results], [sqlite3.Error] * 3)
        self.assertEqual(self.names(), set())

    async def test_the_thread_ends(self) -> None:
        """
        Nothing is left, however often it is closed.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        await gatherResults([store.close(), store.close()])
        await store.close()
        self.assertEqual([one.name for one in threading.enumerate() if "sqlite" in one.name], [])

    async def test_no_log_is_left(self) -> None:
        """
        A closed file is one file.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        await store.close()
        self.assertEqual([one.name for one in self.directory.iterdir()], ["discovery.sqlite"])

    async def test_the_end_of_the_reactor_closes(self) -> None:
        """
        A process that does not close its store ends all the same, and what it saved is written.
        """
        await self.other_process("leave_open", self.path)
        self.assertEqual(await self.store().load("srv", "last.example"), "words")


class FaultTests(StoreCase):
    """
    L{SQLiteStore} with a file that makes trouble.
    """

    async def outcomes(self, store: SQLiteStore) -> list[object]:
        """
        Save, load and forget: what comes, or the kind of error.
        """
        calls: list[Deferred[Any]] = [store.load("srv", "a.example"), store.save("srv", "b.example", "text", 600)]
        results = await DeferredList([*calls, store.forget("srv", "c.example")], consumeErrors=True)
        return [value if good else value.check(sqlite3.Error) for good, value in results]

    async def test_a_damaged_file_is_set_aside_with_a_warning(self) -> None:
        """
        One operation fails, and from then on there is a new file.
        """
        self.path.write_bytes(os.urandom(5000))
        store = self.store()
        with capturedLogs() as logs:
            first, second = await self.outcomes(store), await self.outcomes(store)
        self.assertEqual((first, second), ([sqlite3.Error, None, None], [None, None, None]))
        told = [(one["log_level"].name, one["path"], one["aside"].name) for one in logs if "aside" in one]
        self.assertEqual(told, [("warn", self.path, "discovery.sqlite.set-aside-1")])

    async def test_a_foreign_file_is_not_lost(self) -> None:
        """
        The other program's rows are all there, under another name.
        """
        a_database(self.path, "CREATE TABLE fruit (name TEXT)", "INSERT INTO fruit VALUES ('plum')")
        store = self.store()
        with capturedLogs():
            await self.outcomes(store)
        await store.close()
        database = sqlite3.connect(self.directory / "discovery.sqlite.set-aside-1")
        self.addCleanup(database.close)
        self.assertEqual(database.execute("SELECT name FROM fruit").fetchall(), [("plum",)])

    async def test_a_directory(self) -> None:
        """
        A directory in place of the file fails every operation, and closing works.
        """
        self.path.mkdir()
        self.assertEqual(await self.outcomes(self.store()), [sqlite3.Error] * 3)

    async def test_no_directory(self) -> None:
        """
        So does a path that leads nowhere.
        """
        store = self.store(self.directory / "missing" / "discovery.sqlite")
        self.assertEqual(await self.outcomes(store), [sqlite3.Error] * 3)

    async def test_a_locked_file(self) -> None:
        """
        While another process writes, loads are answered and saves fail.
        """
        store = self.store()
        await store.save("srv", "a.example", "text", 600)
        self.hold()
        self.assertEqual(await self.outcomes(store), ["text", sqlite3.Error, sqlite3.Error])

    async def test_a_locked_file_does_not_hold_the_reactor_up(self) -> None:
        """
        The reactor turns while a load waits for a lock.
        """
        self.hold_everybody()
        turns: list[int] = []
        turning = LoopingCall(turns.append, 1)
        turning.start(0)
        self.assertEqual(await self.outcomes(self.store()), [sqlite3.Error] * 3)
        turning.stop()
        self.assertTrue(len(turns) > 10)

    async def test_unwanted_work_is_skipped(self) -> None:
        """
        After a hundred loads that were given up, the next caller does not wait for a hundred locks.
        """
        self.hold_everybody()
        store = self.store()
        started = monotonic()
        await self.outcomes(store)
        alone = monotonic() - started
        given_up = [store.load("srv", f"{number}.example") for number in range(100)]
        started = monotonic()
        for one in given_up:
            one.cancel()
        await self.outcomes(store)
        self.assertTrue(monotonic() - started < 10 * alone)
        await DeferredList(given_up, consumeErrors=True)

    def hold_everybody(self) -> None:
        """
        Have another process keep the file for itself.
        """
        a_database(self.path, "PRAGMA journal_mode = DELETE")
        self.hold("EXCLUSIVE")

    async def test_a_read_only_file_is_read(self) -> None:
        """
        What is in it is known; what comes new is not kept, and nothing is set aside.
        """
        await self.operate(["save", "srv", "a.example", "text", 600])
        self.path.chmod(0o400)
        results = await self.operate(
            ["load", "srv", "a.example"], ["save", "srv", "b.example", "text", 600], powers=False
        )
        self.assertEqual(results, ["text", "OperationalError"])
        self.assertEqual(self.names(), {"discovery.sqlite"})

    async def test_a_read_only_directory(self) -> None:
        """
        Where SQLite cannot make its log, every operation fails and nothing is lost.
        """
        await self.operate(["save", "srv", "a.example", "text", 600])
        self.read_only()
        results = await self.operate(["load", "srv", "a.example"], ["forget", "srv", "a.example"], powers=False)
        self.assertEqual(results, ["OperationalError"] * 2)
        self.directory.chmod(0o700)
        self.assertEqual(await self.operate(["load", "srv", "a.example"]), ["text"])

    async def test_a_full_disk(self) -> None:
        """
        What was there stays known, what does not fit is not kept, and nothing is set aside.
        """
        await self.operate(["save", "srv", "a.example", "text", 600])
        large = ["save", "srv", "b.example", "x" * FULL, 600]
        small = ["save", "srv", "c.example", "text", 600]
        loads = [["load", "srv", f"{letter}.example"] for letter in "abc"]
        results = await self.operate(large, small, *loads, largest=FULL)
        self.assertEqual(results, ["OperationalError", None, "text", None, "text"])
        self.assertEqual(self.names(), {"discovery.sqlite"})

    async def test_no_room_at_all(self) -> None:
        """
        Not even a new file fits: all operations fail, and closing works.
        """
        results = await self.operate(
            ["save", "srv", "a.example", "text", 600], ["load", "srv", "a.example"], largest=1000
        )
        self.assertEqual(results, ["OperationalError"] * 2)
