"""
Tests of C{matrix_federation_agent._discovery.memory}, with entries, reducer
and shelf of its own.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from matrix_federation_agent import Counters
from matrix_federation_agent._discovery.memory import Memory

from ..case import TestCase
from .kit import ManualWork
from .test_sharing import ends_of


@attrs.frozen
class Note:
    """What is remembered: a text; due after 80 seconds, expired after 100."""

    summary: str
    fetched: float
    failures: int = 0

    @property
    def size(self) -> int:
        """How long the text is."""
        return len(self.summary)

    @property
    def barren(self) -> bool:
        """Whether there is no text."""
        return not self.summary

    @property
    def next_try(self) -> float:
        """When it is due."""
        return self.fetched + 80

    @property
    def expires(self) -> float:
        """When it expires."""
        return self.fetched + 100

    def usable(self, now: float) -> bool:
        """Whether it has not expired."""
        return now < self.expires

    def due(self, now: float) -> bool:
        """Whether it is due."""
        return now >= self.next_try


def advance(note: Note | None, outcome: str, now: float) -> Note:
    """Remember a text; an empty one is a failure, after which the old one is kept."""
    if outcome:
        return Note(outcome, now)
    return Note("", now, 1) if note is None else attrs.evolve(note, failures=note.failures + 1)


class FakeShelf:
    """A shelf that holds what the test puts there, and loads when the test says so."""

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self.forgotten: list[str | None] = []
        self.loading: Deferred[None] | None = None

    async def load(self, name: str) -> Note | None:
        """Find an entry."""
        if self.loading is not None:
            await self.loading
        return self.notes.get(name)

    def save(self, name: str, entry: Note) -> None:
        """Keep an entry."""
        self.notes[name] = entry

    def forget(self, name: str | None) -> None:
        """Drop one entry, or all."""
        self.forgotten.append(name)


class MemoryTestCase(TestCase):
    """A memory of at most three names, at second 1000."""

    shelf: FakeShelf | None = None

    def setUp(self) -> None:
        """Know nothing."""
        super().setUp()
        self.clock = Clock()
        self.clock.advance(1000)
        self.world = ManualWork()
        self.counters = Counters()
        self.memory: Memory[Note, str] = Memory("x", self.clock, self.world.do, advance, 3, self.counters, self.shelf)

    def ask(self, name: str = "a") -> Deferred[Note]:
        """Ask for an entry."""
        return Deferred.fromCoroutine(self.memory.entry(name))

    def learn(self, name: str = "a", outcome: str = "old") -> Note:
        """Have a name looked up."""
        asking = self.ask(name)
        self.world.end(name, outcome)
        return self.successResultOf(asking)

    def counted(self) -> dict[str, int]:
        """Tell what was counted."""
        return {name.removeprefix("x."): number for name, number in self.counters.snapshot().items()}


class MemoryTests(MemoryTestCase):
    """L{Memory} without a shelf."""

    def test_c2_what_is_unknown_is_looked_up(self) -> None:
        """A request waits for the lookup, and has what it brought."""
        asking = self.ask()
        self.assertNoResult(asking)
        self.clock.advance(3)
        self.world.end("a", "new")
        self.assertEqual(self.successResultOf(asking), Note("new", 1003))

    def test_c2_what_is_known_costs_nothing(self) -> None:
        """Until it is due, requests have their answer at once and nobody is asked."""
        known = self.learn()
        self.clock.advance(79.9)
        found = [self.successResultOf(self.ask()) for _ in range(100)]
        self.assertEqual((set(found), self.world.begun), ({known}, ["a"]))

    def test_what_is_at_hand(self) -> None:
        """What is known is told without waiting; what is not, or has expired, is not looked up for that."""
        known, unknown = self.learn(), self.memory.at_hand("b")
        self.clock.advance(79.9)
        found = self.memory.at_hand("a")
        self.clock.advance(20.1)
        self.assertEqual((found, unknown, self.memory.at_hand("a")), (known, None, None))
        self.assertEqual(self.world.begun, ["a"])

    def test_what_is_at_hand_and_due(self) -> None:
        """What is due is looked up behind who asks."""
        known = self.learn()
        self.clock.advance(80)
        self.assertEqual((self.memory.at_hand("a"), self.world.begun), (known, ["a", "a"]))

    def test_c2_what_has_expired_is_looked_up(self) -> None:
        """In the second of its expiry a request has to wait."""
        self.learn()
        self.clock.advance(100)
        asking = self.ask()
        self.assertNoResult(asking)
        self.world.end("a", "new")
        self.assertEqual(self.successResultOf(asking), Note("new", 1100))

    def test_c14_a_herd_costs_one_lookup(self) -> None:
        """A thousand requests for an unknown name cause one lookup, and share its entry."""
        herd = [self.ask() for _ in range(1000)]
        self.world.end("a", "new")
        found = {self.successResultOf(one) for one in herd}
        counts = {"lookups": 1, "shared": 999}
        self.assertEqual((found, self.world.begun, self.counted()), ({Note("new", 1000)}, ["a"], counts))

    def test_c14_names_do_not_share(self) -> None:
        """Each name has its own lookup."""
        first, second = self.ask("a"), self.ask("b")
        self.world.end("b", "new")
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second), Note("new", 1000))

    def test_the_first_may_leave(self) -> None:
        """Cancelling the request that caused the lookup leaves the others served."""
        first, second = self.ask(), self.ask()
        first.cancel()
        self.world.end("a", "new")
        self.failureResultOf(first, CancelledError)
        self.assertEqual((self.successResultOf(second), self.world.cancelled), (Note("new", 1000), []))

    def test_when_all_have_left_the_lookup_stops(self) -> None:
        """With the last request the lookup is cancelled, nothing is learned, and the next begins anew."""
        for one in (self.ask(), self.ask()):
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.learn()
        self.assertEqual((self.world.cancelled, self.world.begun), (["a"], ["a", "a"]))

    def test_c13_what_is_due_is_used_at_once(self) -> None:
        """Past the next try a request has what is known, and causes one lookup behind it."""
        known = self.learn()
        self.clock.advance(80)
        found = [self.successResultOf(self.ask()) for _ in range(100)]
        self.assertEqual((set(found), self.world.begun), ({known}, ["a", "a"]))

    def test_c13_the_refresh_is_what_is_known_next(self) -> None:
        """When the lookup behind the requests ends, its entry is used."""
        self.learn()
        self.clock.advance(80)
        self.ask()
        self.clock.advance(5)
        self.world.end("a", "new")
        self.assertEqual(self.successResultOf(self.ask()), Note("new", 1085))

    def test_c13_a_hanging_refresh_delays_nobody(self) -> None:
        """While it hangs, requests go by what is known, to the last second."""
        known = self.learn()
        self.clock.advance(80)
        self.ask()
        self.clock.advance(19.9)
        self.assertEqual((self.successResultOf(self.ask()), self.world.begun), (known, ["a", "a"]))

    def test_c13_after_expiry_a_hanging_refresh_is_joined(self) -> None:
        """A request that comes too late for the old entry waits for the lookup that is under way."""
        self.learn()
        self.clock.advance(80)
        self.ask()
        self.clock.advance(20)
        asking = self.ask()
        self.world.end("a", "new")
        self.assertEqual((self.successResultOf(asking), self.world.begun), (Note("new", 1100), ["a", "a"]))

    def test_c13_who_leaves_does_not_stop_the_refresh(self) -> None:
        """A refresh that a request has joined goes on when the request is cancelled."""
        self.learn()
        self.clock.advance(80)
        self.ask()
        self.clock.advance(20)
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.world.cancelled, [])

    def test_c11_a_failed_refresh_costs_nothing(self) -> None:
        """The reducer keeps what was known, and requests have it at once."""
        self.learn()
        self.clock.advance(80)
        self.ask()
        self.world.end("a", "")
        self.assertEqual(self.successResultOf(self.ask()), Note("old", 1000, failures=1))

    def test_an_unexpected_error_in_the_background_is_logged(self) -> None:
        """A lookup that raises costs no request anything, and is in the log."""
        known = self.learn()
        self.clock.advance(80)
        self.ask()
        self.world.end("a", ZeroDivisionError())
        logged = len(self.flushLoggedErrors(ZeroDivisionError))
        self.assertEqual((logged, self.successResultOf(self.ask())), (1, known))

    def test_an_unexpected_error_reaches_who_waits(self) -> None:
        """A lookup that raises fails the requests, and nothing is remembered."""
        asking = self.ask()
        self.world.end("a", ZeroDivisionError())
        self.failureResultOf(asking, ZeroDivisionError)
        self.assertEqual(self.memory.remembered("a"), None)

    def test_the_counters(self) -> None:
        """Everything that happens is counted, once."""
        self.learn()
        self.ask()
        self.clock.advance(80)
        for _ in range(3):
            self.ask()
        self.world.end("a", "")
        self.ask()
        self.clock.advance(20)
        self.ask()
        self.ask()
        counts = {"lookups": 3, "hits": 1, "stale_hits": 4, "failures": 1, "shared": 2}
        self.assertEqual(self.counted(), counts)

    def test_what_follows_a_failure_is_counted_as_stale(self) -> None:
        """An answer from memory that is not due is no clean hit after a lookup that brought nothing."""
        self.learn("a", "")
        self.ask()
        self.assertEqual(self.counted(), {"lookups": 1, "failures": 1, "stale_hits": 1})

    def test_c15_names_are_bounded(self) -> None:
        """The least recently used leave, and are counted."""
        for name in "abc":
            self.learn(name)
        self.ask("a")
        self.learn("d")
        self.learn("e")
        self.assertEqual(([name for name, _ in self.memory.items()], self.counted()["evictions"]), (["a", "d", "e"], 2))

    def test_who_subscribes_hears_of_replacements(self) -> None:
        """When an entry takes the place of another: the name, the older and the newer; not of what is new."""
        heard: list[tuple[str, Note, Note]] = []
        self.memory.subscribe(lambda *told: heard.append(told))
        self.learn("a")
        self.learn("b")
        self.clock.advance(100)
        self.learn("a", "new")
        self.assertEqual(heard, [("a", Note("old", 1000), Note("new", 1100))])

    def test_a_subscription_ends(self) -> None:
        """Who has ended it hears nothing any more, and others do."""
        heard: list[str] = []
        end = self.memory.subscribe(lambda *told: heard.append("one"))
        self.memory.subscribe(lambda *told: heard.append("other"))
        self.learn("a")
        self.clock.advance(100)
        end()
        self.learn("a")
        self.assertEqual(heard, ["other"])

    def test_a_subscriber_that_fails(self) -> None:
        """It is logged, and keeps nobody from hearing, nor the request from its answer."""
        heard: list[object] = []
        self.memory.subscribe(lambda *told: 1 / 0)
        self.memory.subscribe(lambda *told: heard.append(told))
        self.learn("a")
        self.clock.advance(100)
        found = self.learn("a", "new")
        failed = len(self.flushLoggedErrors(ZeroDivisionError))
        self.assertEqual((found, len(heard), failed), (Note("new", 1100), 1, 1))

    def test_c15_long_names_take_the_room_of_several(self) -> None:
        """Memory is bounded by what strangers chose, and not by entries alone."""
        for name in ("a", "b", "c" * 512):
            self.learn(name)
        self.assertEqual([name[0] for name, _ in self.memory.items()], ["b", "c"])

    def test_one_name_is_forgotten(self) -> None:
        """What is forgotten is looked up again; its neighbours stay."""
        self.learn("a")
        self.learn("b")
        self.memory.forget("a")
        self.assertEqual([self.memory.remembered(name) for name in "ab"], [None, Note("old", 1000)])

    def test_everything_is_forgotten(self) -> None:
        """Without a name, nothing stays."""
        self.learn("a")
        self.learn("b")
        self.memory.forget(None)
        self.assertEqual(self.memory.items(), [])

    def test_to_look_is_not_to_ask(self) -> None:
        """Listing what is known asks nobody and counts nothing."""
        self.learn()
        self.clock.advance(500)
        found = self.memory.items(), self.memory.remembered("a"), self.memory.remembered("b")
        expected = [("a", Note("old", 1000))], Note("old", 1000), None
        self.assertEqual((found, self.counted()), (expected, {"lookups": 1}))

    def test_closing_ends_the_lookups(self) -> None:
        """Lookups under way stop, those in the background too; who waits is cancelled."""
        self.learn("b")
        self.clock.advance(80)
        self.ask("b")
        ends = ends_of(self.ask("a"))
        self.memory.close()
        self.assertEqual((sorted(self.world.cancelled), ends), (["a", "b"], [CancelledError]))


class ShelfTests(MemoryTestCase):
    """L{Memory} with a shelf that other processes use as well."""

    def setUp(self) -> None:
        """Put the shelf up."""
        self.shelf = FakeShelf()
        super().setUp()

    def put(self, fetched: float, summary: str = "other", failures: int = 0) -> Note:
        """Have another process learn something about the name a."""
        assert self.shelf is not None
        self.shelf.notes["a"] = Note(summary, fetched, failures)
        return self.shelf.notes["a"]

    def test_what_is_learned_is_put_on_the_shelf(self) -> None:
        """The entry goes there as it is remembered."""
        note = self.learn()
        assert self.shelf is not None
        self.assertEqual(self.shelf.notes, {"a": note})

    def test_another_process_spares_the_lookup(self) -> None:
        """What is on the shelf is used, remembered and counted; nobody is asked."""
        note = self.put(990)
        found = [self.successResultOf(self.ask()) for _ in range(2)]
        self.assertEqual((found, self.world.begun, self.counted()), ([note, note], [], {"loaded": 1, "hits": 1}))

    def test_a_herd_costs_one_look_at_the_shelf(self) -> None:
        """Callers share the loading as they share the lookup."""
        assert self.shelf is not None
        self.shelf.loading = Deferred()
        note = self.put(990)
        herd = [self.ask() for _ in range(1000)]
        self.shelf.loading.callback(None)
        found = {self.successResultOf(one) for one in herd}
        self.assertEqual((found, self.counted()), ({note}, {"loaded": 1, "shared": 999}))

    def test_a_newer_entry_spares_the_refresh(self) -> None:
        """When this process's entry is due, what another one has learned since is enough."""
        self.learn()
        self.clock.advance(80)
        note = self.put(1070)
        self.ask()
        self.assertEqual((self.successResultOf(self.ask()), self.world.begun), (note, ["a"]))

    def test_who_subscribes_hears_of_what_another_process_learned(self) -> None:
        """What comes from the shelf takes the place of an entry as well."""
        heard: list[tuple[str, Note, Note]] = []
        self.memory.subscribe(lambda *told: heard.append(told))
        old = self.learn()
        self.clock.advance(80)
        new = self.put(1070)
        self.ask()
        self.assertEqual(heard, [("a", old, new)])

    def test_an_entry_that_is_not_newer_spares_nothing(self) -> None:
        """One's own entry, and older ones, are no reason not to ask the world."""
        known = self.learn()
        self.clock.advance(80)
        for fetched in (1000, 900):
            self.put(fetched)
            self.ask()
            self.world.end("a", "")
        kept = attrs.evolve(known, failures=2)
        self.assertEqual((self.memory.remembered("a"), self.counted().get("loaded")), (kept, None))

    def test_a_newer_entry_that_is_due_spares_no_refresh(self) -> None:
        """Behind the requests there is time to ask the world; meanwhile the newer entry is used."""
        self.learn()
        self.clock.advance(99)
        note = self.put(1010)
        self.ask()
        begun = list(self.world.begun)
        self.assertEqual((begun, self.successResultOf(self.ask())), (["a", "a"], note))

    def test_nobody_waits_when_something_usable_is_on_the_shelf(self) -> None:
        """A restarted process goes by an entry that is due, and has it refreshed by the next request."""
        note = self.put(915)
        found = [(self.successResultOf(self.ask()), list(self.world.begun)) for _ in range(2)]
        self.assertEqual(found, [(note, []), (note, ["a"])])

    def test_an_expired_entry_is_where_the_reducer_begins(self) -> None:
        """What is no longer usable is looked up, and kept when that fails."""
        self.put(800)
        asking = self.ask()
        self.world.end("a", "")
        self.assertEqual(self.successResultOf(asking), Note("other", 800, failures=1))

    def test_d6_c11_the_failure_of_another_process_is_not_learned(self) -> None:
        """That another process found nothing is no reason to forget what this one knows."""
        self.learn()
        self.clock.advance(100)
        self.put(1090, "", failures=1)
        asking = self.ask()
        self.world.end("a", "")
        self.assertEqual(self.successResultOf(asking), Note("old", 1000, failures=1))

    def test_c10_the_failure_of_another_process_spares_the_first_lookup(self) -> None:
        """Who knows nothing takes it that there was nothing to learn."""
        note = self.put(990, "", failures=1)
        self.assertEqual((self.successResultOf(self.ask()), self.world.begun), (note, []))

    def test_forgetting_reaches_the_shelf(self) -> None:
        """What is forgotten is not loaded again."""
        self.memory.forget("a")
        self.memory.forget(None)
        assert self.shelf is not None
        self.assertEqual(self.shelf.forgotten, ["a", None])

    def test_loaded_entries_are_bounded_too(self) -> None:
        """An entry from the shelf makes another leave."""
        assert self.shelf is not None
        self.shelf.notes = {name: Note("other", 990) for name in "abcd"}
        for name in "abcd":
            self.ask(name)
        self.assertEqual(self.counted(), {"loaded": 4, "evictions": 1})

    def test_leaving_while_the_shelf_is_asked(self) -> None:
        """When all have gone, the lookup does not begin."""
        assert self.shelf is not None
        self.shelf.loading = Deferred()
        asking: Deferred[Any] = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertEqual(self.world.begun, [])
