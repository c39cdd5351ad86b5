"""
Tests of C{matrix_federation_agent._counters}.
"""

from __future__ import annotations

from matrix_federation_agent import Counters

from .case import TestCase


class CountersTests(TestCase):
    """L{Counters}."""

    def setUp(self) -> None:
        """Count nothing yet."""
        super().setUp()
        self.counters = Counters()
        self.heard: list[tuple[str, int]] = []

    def hear(self, name: str, number: int) -> None:
        """Keep what is counted."""
        self.heard.append((name, number))

    def test_nothing_was_counted(self) -> None:
        """At first there are no numbers."""
        self.assertEqual(dict(self.counters.snapshot()), {})

    def test_numbers_grow(self) -> None:
        """What is counted adds up, name by name."""
        for name, number in (("srv.hits", 1), ("srv.hits", 2), ("a.hits", 5)):
            self.counters.add(name, number)
        self.assertEqual(dict(self.counters.snapshot()), {"srv.hits": 3, "a.hits": 5})

    def test_one_is_what_is_counted(self) -> None:
        """Without a number, something happened once."""
        self.counters.add("srv.hits")
        self.assertEqual(dict(self.counters.snapshot()), {"srv.hits": 1})

    def test_nothing_is_not_counted(self) -> None:
        """Zero leaves no trace."""
        self.counters.subscribe(self.hear)
        self.counters.add("srv.hits", 0)
        self.assertEqual((dict(self.counters.snapshot()), self.heard), ({}, []))

    def test_a_snapshot_stays(self) -> None:
        """It is of one moment."""
        snapshot = self.counters.snapshot()
        self.counters.add("srv.hits")
        self.assertEqual(dict(snapshot), {})

    def test_a_snapshot_cannot_be_changed(self) -> None:
        """Nobody counts by way of it."""
        with self.assertRaises(TypeError):
            self.counters.snapshot()["srv.hits"] = 1  # type: ignore[index]

    def test_a_subscriber_hears_what_is_counted(self) -> None:
        """From then on, name and number of each event."""
        self.counters.add("srv.hits")
        self.counters.subscribe(self.hear)
        self.counters.add("srv.hits", 2)
        self.counters.add("a.hits")
        self.assertEqual(self.heard, [("srv.hits", 2), ("a.hits", 1)])

    def test_a_subscriber_sees_the_new_number(self) -> None:
        """When it is told, the number has grown already."""
        seen: list[int] = []
        self.counters.subscribe(lambda name, number: seen.append(self.counters.snapshot()[name]))
        self.counters.add("srv.hits", 2)
        self.assertEqual(seen, [2])

    def test_a_subscription_ends(self) -> None:
        """Who has ended it hears nothing more, and others do."""
        end = self.counters.subscribe(lambda name, number: self.heard.append((name, -number)))
        self.counters.subscribe(self.hear)
        end()
        self.counters.add("srv.hits")
        self.assertEqual(self.heard, [("srv.hits", 1)])

    def test_a_subscription_ends_while_it_is_told(self) -> None:
        """Whoever ends it in that moment keeps no other from hearing."""
        end = self.counters.subscribe(lambda name, number: end())
        self.counters.subscribe(self.hear)
        self.counters.add("srv.hits")
        self.assertEqual(self.heard, [("srv.hits", 1)])

    def test_counters_share_nothing(self) -> None:
        """Two are two."""
        self.counters.add("srv.hits")
        self.assertEqual(dict(Counters().snapshot()), {})

    def test_a_subscriber_that_fails(self) -> None:
        """It is logged, and keeps nobody from hearing or counting."""
        self.counters.subscribe(lambda name, number: 1 / 0)
        self.counters.subscribe(self.hear)
        self.counters.add("srv.hits")
        self.assertEqual((self.heard, len(self.flushLoggedErrors(ZeroDivisionError))), ([("srv.hits", 1)], 1))
