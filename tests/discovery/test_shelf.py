"""
Tests of C{matrix_federation_agent._discovery.shelf}: what a store that
fails, or is slow, does to discovery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from matrix_federation_agent import Counters
from matrix_federation_agent._discovery.records import RecordsEntry
from matrix_federation_agent._discovery.serial import dump_addresses, load_addresses
from matrix_federation_agent._discovery.shelf import StoreAccess, StoreShelf
from matrix_federation_agent.stores import IDiscoveryStore

from ..case import TestCase
from .kit import FakeStore

PATIENCE = 0.5
REST = 10 * PATIENCE


def failing() -> Deferred[Any]:
    """Fail."""
    return fail(ZeroDivisionError())


def raising() -> Deferred[Any]:
    """Fail without a Deferred."""
    raise ZeroDivisionError


def giving_up() -> Deferred[Any]:
    """Fail as a store does that cancels its own work."""
    return fail(CancelledError())


class ShelfTestCase(TestCase):
    """A store that holds one text, at second 1000."""

    def setUp(self) -> None:
        """Have a store, and listen to the log."""
        super().setUp()
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = FakeStore()
        self.store.texts["a", "ex.com"] = "text"
        self.counters = Counters()
        self.access = StoreAccess(self.clock, self.store, PATIENCE, self.counters)
        self.events = self.enterContext(capturedLogs())

    @property
    def logged(self) -> list[tuple[str, object]]:
        """List what the module has logged: level and store."""
        mine = [event for event in self.events if str(event.get("log_namespace")).endswith(".shelf")]
        return [(event["log_level"].name, event["store"]) for event in mine]

    def load(self) -> Deferred[str | None]:
        """Load the text."""
        return Deferred.fromCoroutine(self.access.load("a", "ex.com"))

    def loaded(self, instead: Callable[[], Deferred[Any]] | None = None) -> str | None:
        """Load the text, and have an answer at once."""
        self.store.instead = instead
        return self.successResultOf(self.load())


class StoreAccessTests(ShelfTestCase):
    """L{StoreAccess}."""

    def test_the_fake_is_a_store(self) -> None:
        """What these tests use provides the interface."""
        self.assertTrue(verifyObject(IDiscoveryStore, self.store))

    def test_a_text_is_found(self) -> None:
        """A store that works has its text heard, and nothing is logged or counted."""
        self.assertEqual((self.loaded(), self.logged, dict(self.counters.snapshot())), ("text", [], {}))

    def test_a_slow_store_is_not_waited_for(self) -> None:
        """After the patience there is no text, not before; the store's work is cancelled."""
        cancelled: list[Deferred[Any]] = []
        self.store.instead = lambda: Deferred(cancelled.append)
        loading = self.load()
        self.clock.advance(PATIENCE * 0.99)
        self.assertNoResult(loading)
        self.clock.advance(PATIENCE * 0.01)
        self.assertEqual((self.successResultOf(loading), len(cancelled)), (None, 1))

    def test_an_answer_that_comes_in_time_counts(self) -> None:
        """A store may take its time within the patience."""
        waiting: Deferred[str] = Deferred()
        self.store.instead = lambda: waiting
        loading = self.load()
        self.clock.advance(PATIENCE * 0.99)
        waiting.callback("late")
        self.assertEqual((self.successResultOf(loading), self.logged), ("late", []))

    def test_a_failing_store_is_no_text(self) -> None:
        """Whatever a store raises, and however, is "none", and counted."""
        for instead in (failing, raising, giving_up):
            self.assertEqual(self.loaded(instead), None)
            self.clock.advance(REST)
        self.assertEqual(dict(self.counters.snapshot()), {"store.failures": 3})

    def test_who_gives_up_is_cancelled(self) -> None:
        """Cancelling the caller cancels the store's work, and is no failure of the store."""
        cancelled: list[Deferred[Any]] = []
        self.store.instead = lambda: Deferred(cancelled.append)
        loading = self.load()
        loading.cancel()
        self.failureResultOf(loading, CancelledError)
        self.assertEqual((len(cancelled), self.logged), (1, []))

    def test_a_failed_store_rests(self) -> None:
        """It is left alone for ten times the patience, and asked again afterwards."""
        self.loaded(failing)
        calls = []
        for seconds in (0, REST * 0.99, REST * 0.01):
            self.clock.advance(seconds)
            self.loaded(None)
            calls.append(len(self.store.calls))
        self.assertEqual(calls, [1, 1, 2])

    def test_a_resting_store_is_not_written_to(self) -> None:
        """What nobody waits for is not done either."""
        self.loaded(failing)
        self.store.instead = None
        self.access.save("a", "ex.com", "new", 1.0)
        self.assertEqual(self.store.calls, ["load"])

    def test_a_store_that_is_back_is_used(self) -> None:
        """After its rest a store that works is used at once by everybody."""
        self.loaded(failing)
        self.clock.advance(REST)
        self.assertEqual([self.loaded(), self.loaded()], ["text", "text"])

    def test_one_tries_for_all(self) -> None:
        """When the rest is over and the store hangs, one caller waits and the others do not."""
        self.loaded(failing)
        self.clock.advance(REST)
        self.store.instead = Deferred
        waiting = [self.load() for _ in range(10)]
        self.assertEqual([one.called for one in waiting], [False] + [True] * 9)
        self.clock.advance(PATIENCE)
        self.successResultOf(waiting[0])

    def test_its_beginning_and_its_end_are_logged_once(self) -> None:
        """A warning when it fails first, a word when it is back, however long it lasts."""
        for instead in (failing, failing, raising, None, None, failing):
            self.loaded(instead)
            self.clock.advance(REST)
        self.assertEqual(self.logged, [("warn", self.store), ("info", self.store), ("warn", self.store)])

    def test_what_nobody_waits_for_is_done(self) -> None:
        """A save reaches the store."""
        self.access.save("a", "ex.com", "new", 60.0)
        self.assertEqual((self.store.texts, self.store.kept), ({("a", "ex.com"): "new"}, {("a", "ex.com"): 60.0}))

    def test_a_save_that_fails_is_a_failure(self) -> None:
        """It is counted and logged, and the store rests."""
        for instead in (failing, raising):
            self.store.instead = instead
            self.access.save("a", "ex.com", "new", 1.0)
        expected = ["save"], {"store.failures": 1}, [("warn", self.store)]
        self.assertEqual((self.store.calls, dict(self.counters.snapshot()), self.logged), expected)

    def test_a_save_that_fails_late_is_a_failure(self) -> None:
        """Nobody waits for a save, and its failure is heard all the same."""
        saving: Deferred[None] = Deferred()
        self.store.instead = lambda: saving
        self.access.save("a", "ex.com", "new", 1.0)
        saving.errback(ZeroDivisionError())
        self.assertEqual(self.logged, [("warn", self.store)])

    def test_closing_closes_the_store(self) -> None:
        """Closing is waited for."""
        closing: Deferred[None] = Deferred()
        self.store.instead = lambda: closing
        closed = Deferred.fromCoroutine(self.access.close())
        self.assertNoResult(closed)
        closing.callback(None)
        self.assertEqual((self.successResultOf(closed), self.store.calls), (None, ["close"]))

    def test_a_store_that_cannot_be_closed(self) -> None:
        """Its failure is logged, and goes no further."""
        self.store.instead = failing
        self.successResultOf(Deferred.fromCoroutine(self.access.close()))
        self.assertEqual(self.logged, [("warn", self.store)])


class StoreShelfTests(ShelfTestCase):
    """L{StoreShelf}, of IPv4 addresses."""

    entry = RecordsEntry(("192.0.2.1",), 990.0, 1050.0, 1050.0)

    def setUp(self) -> None:
        """Put the shelf into the store."""
        super().setUp()
        self.shelf: StoreShelf[RecordsEntry[str]] = StoreShelf(
            self.access, self.clock, "a", dump_addresses, load_addresses, beyond=7.0
        )

    def found(self) -> RecordsEntry[str] | None:
        """Load the entry."""
        return self.successResultOf(Deferred.fromCoroutine(self.shelf.load("ex.com")))

    def test_an_entry_comes_back(self) -> None:
        """What was saved is loaded, by another process too."""
        self.shelf.save("ex.com", self.entry)
        self.assertEqual(self.found(), self.entry)

    def test_an_entry_is_kept_while_it_is_of_use(self) -> None:
        """The store hears for how many seconds that is, and at least one."""
        kept = []
        for seconds in (0, 49.5, 100):
            self.clock.advance(seconds)
            self.shelf.save("ex.com", self.entry)
            kept.append(self.store.kept["a", "ex.com"])
        self.assertEqual(kept, [57.0, 7.5, 1.0])

    def test_a_damaged_entry_is_none(self) -> None:
        """What cannot be read is not known, and the store has not failed."""
        self.assertEqual((self.found(), self.logged), (None, []))

    def test_an_unknown_entry_is_none(self) -> None:
        """A store that has nothing has not failed."""
        self.store.texts = {}
        self.assertEqual((self.found(), self.logged), (None, []))

    def test_kinds_are_apart(self) -> None:
        """Another kind of the same name is another entry."""
        self.store.texts = {("aaaa", "ex.com"): dump_addresses(self.entry)}
        self.assertEqual(self.found(), None)

    def test_one_entry_is_dropped(self) -> None:
        """Forgetting a name drops it from the store, and nothing else."""
        self.store.texts["a", "b.com"] = "text"
        self.shelf.forget("ex.com")
        self.assertEqual(self.store.texts, {("a", "b.com"): "text"})

    def test_a_kind_is_dropped(self) -> None:
        """Forgetting everything leaves other kinds alone."""
        self.store.texts["srv", "ex.com"] = "text"
        self.shelf.forget(None)
        self.assertEqual(self.store.texts, {("srv", "ex.com"): "text"})

    def test_dropping_is_insisted_on(self) -> None:
        """A store that rests after a failure is told all the same."""
        self.loaded(failing)
        self.store.instead = None
        self.shelf.forget("ex.com")
        self.assertEqual(self.store.texts, {})

    def test_what_was_dropped_stays_dropped(self) -> None:
        """A store that did not hear of it does not bring it back; what is learned afterwards counts."""
        found = []
        for name in ("ex.com", None):
            self.store.instead = failing
            self.shelf.forget(name)
            self.clock.advance(REST)
            self.store.instead = None
            for fetched in (990.0, self.clock.seconds()):
                self.store.texts["a", "ex.com"] = dump_addresses(attrs.evolve(self.entry, fetched=fetched))
                found.append(self.found() is not None)
        self.assertEqual(found, [False, True, False, True])

    def test_an_entry_from_the_future_is_none(self) -> None:
        """Clocks of processes may differ by five minutes; what comes from beyond is not believed."""
        found = []
        for ahead in (0.0, 300.0, 300.1, 1e300):
            entry = attrs.evolve(self.entry, fetched=self.clock.seconds() + ahead)
            self.store.texts["a", "ex.com"] = dump_addresses(entry)
            found.append(self.found() is not None)
        self.assertEqual(found, [True, True, False, False])
