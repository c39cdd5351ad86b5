"""
Tests of C{matrix_federation_agent._discovery.cache}.
"""

from __future__ import annotations

from matrix_federation_agent._discovery.cache import Entry, ExpiringMap

from ..case import TestCase


class ExpiringMapTests(TestCase):
    """L{ExpiringMap}, with room for three entries."""

    def setUp(self) -> None:
        """Make an empty map."""
        super().setUp()
        self.known: ExpiringMap[str, int] = ExpiringMap(3)

    def fill(self, keys: str) -> None:
        """Remember one entry a letter, all until second 100."""
        for value, key in enumerate(keys):
            self.known.put(key, value, 100.0)

    def keys(self, candidates: str = "abcdefgh", now: float = 0.0) -> str:
        """List what is known."""
        return "".join(key for key in candidates if self.known.get(key, now) is not None)

    def test_what_was_put_is_found(self) -> None:
        """An entry has its value and the second in which it expires."""
        self.known.put("a", 7, 100.0)
        self.assertEqual(self.known.get("a", 0.0), Entry(7, 100.0))

    def test_what_was_not_put_is_not_found(self) -> None:
        """Nothing is made up."""
        self.assertEqual(self.known.get("a", 0.0), None)

    def test_entries_expire(self) -> None:
        """An entry is found until, and not in, the second in which it expires."""
        self.fill("a")
        self.assertEqual([self.known.get("a", now) is None for now in (99.9, 100.0)], [False, True])

    def test_expired_entries_are_dropped(self) -> None:
        """Time that goes backwards does not bring an entry back."""
        self.fill("a")
        self.known.get("a", 100.0)
        self.assertEqual((self.known.get("a", 0.0), len(self.known)), (None, 0))

    def test_the_newest_value_counts(self) -> None:
        """Putting a key again replaces value and expiry, and takes no more room."""
        self.fill("ab")
        self.known.put("a", 9, 50.0)
        self.assertEqual((self.known.get("a", 0.0), len(self.known)), (Entry(9, 50.0), 2))

    def test_c15_the_number_of_entries_is_bounded(self) -> None:
        """However many keys a stranger chooses, no more than the limit are kept."""
        for number in range(1000):
            self.known.put(str(number), number, 100.0)
        self.assertEqual(len(self.known), 3)

    def test_the_oldest_leave_first(self) -> None:
        """What has not been touched since longest makes room."""
        self.fill("abcd")
        self.assertEqual(self.keys(), "bcd")

    def test_use_keeps_an_entry(self) -> None:
        """An entry that was found is younger than one that was only put."""
        self.fill("abc")
        self.known.get("a", 0.0)
        self.known.put("d", 0, 100.0)
        self.assertEqual(self.keys(), "acd")

    def test_renewal_keeps_an_entry(self) -> None:
        """An entry that was put again is the youngest."""
        self.fill("abca")
        self.known.put("d", 0, 100.0)
        self.assertEqual(self.keys(), "acd")

    def test_a_map_without_room_remembers_nothing(self) -> None:
        """A limit of zero switches memory off."""
        nothing: ExpiringMap[str, int] = ExpiringMap(0)
        nothing.put("a", 1, 100.0)
        self.assertEqual((nothing.get("a", 0.0), len(nothing)), (None, 0))

    def test_some_are_forgotten(self) -> None:
        """Exactly the keys that the caller means are dropped."""
        self.fill("abc")
        self.known.forget(lambda key: key != "b")
        self.assertEqual(self.keys(), "b")

    def test_the_repr_holds_no_contents(self) -> None:
        """A full map does not fill a log."""
        self.fill("abc")
        self.assertEqual(repr(self.known), "ExpiringMap(limit=3)")

    def test_maps_are_not_shared(self) -> None:
        """Two maps of one size are two maps."""
        self.fill("a")
        other: ExpiringMap[str, int] = ExpiringMap(3)
        self.assertEqual((len(other), other == ExpiringMap(3)), (0, False))
