"""
Tests of C{matrix_federation_agent._discovery.cache}.
"""

from __future__ import annotations

from matrix_federation_agent._discovery.cache import BoundedMap

from ..case import TestCase


class BoundedMapTests(TestCase):
    """L{BoundedMap}, with room for three entries."""

    def setUp(self) -> None:
        """Make an empty map."""
        super().setUp()
        self.known: BoundedMap[int] = BoundedMap(3)

    def fill(self, keys: str) -> list[int]:
        """Remember one entry a letter, and tell how many left for each."""
        return [self.known.put(key, value) for value, key in enumerate(keys)]

    def keys(self) -> str:
        """List what is known, the least recently used first."""
        return "".join(key for key, _ in self.known.items())

    def test_what_was_put_is_found(self) -> None:
        """An entry has its value, also one that is false."""
        self.fill("ab")
        self.assertEqual([self.known.get(key) for key in "ab"], [0, 1])

    def test_what_was_not_put_is_not_found(self) -> None:
        """Nothing is made up."""
        self.assertEqual(self.known.get("a"), None)

    def test_the_newest_value_counts(self) -> None:
        """Putting a key again replaces the value, and takes no more room."""
        self.fill("aba")
        self.assertEqual((list(self.known.items()), len(self.known)), ([("b", 1), ("a", 2)], 2))

    def test_c15_the_number_of_entries_is_bounded(self) -> None:
        """However many keys a stranger chooses, no more than the limit are kept."""
        for number in range(1000):
            self.known.put(str(number), number)
        self.assertEqual(list(self.known.items()), [("997", 997), ("998", 998), ("999", 999)])

    def test_c15_who_leaves_is_counted(self) -> None:
        """Each entry beyond the limit makes one leave; one that is renewed does not."""
        self.assertEqual(self.fill("abcdde"), [0, 0, 0, 1, 0, 1])

    def test_c15_heavy_entries_make_several_leave(self) -> None:
        """The weights together stay within the limit, also when one changes or goes."""
        self.fill("abc")
        left = [self.known.put("d", 0, weight=3), self.known.put("d", 0, weight=2), self.known.put("e", 0)]
        self.known.forget("d")
        left += self.fill("fgh")
        self.assertEqual((left, self.keys()), ([3, 0, 0, 0, 0, 1], "fgh"))

    def test_c15_use_keeps_an_entry(self) -> None:
        """An entry that was found is younger than one that was only put."""
        self.fill("abc")
        self.known.get("a")
        self.known.put("d", 0)
        self.assertEqual(self.keys(), "cad")

    def test_c15_renewal_keeps_an_entry(self) -> None:
        """An entry that was put again is the youngest."""
        self.fill("abcad")
        self.assertEqual(self.keys(), "cad")

    def test_listing_is_no_use(self) -> None:
        """Who looks at everything changes nothing about who leaves next."""
        self.fill("abc")
        self.known.items()
        self.known.put("d", 0)
        self.assertEqual(self.keys(), "bcd")

    def test_a_listing_may_be_walked_while_entries_leave(self) -> None:
        """What is listed is a copy."""
        self.fill("abc")
        for key, value in self.known.items():
            self.known.put(key.upper(), value)
        self.assertEqual(self.keys(), "ABC")

    def test_a_map_without_room_remembers_nothing(self) -> None:
        """A limit of zero switches memory off."""
        nothing: BoundedMap[int] = BoundedMap(0)
        self.assertEqual((nothing.put("a", 1), nothing.get("a"), len(nothing)), (1, None, 0))

    def test_some_are_forgotten(self) -> None:
        """Exactly the keys that the caller means are dropped."""
        self.fill("abc")
        self.known.forget("a")
        self.known.forget("c")
        self.known.forget("d")
        self.assertEqual(self.keys(), "b")

    def test_c15_what_was_heavy_may_be_light(self) -> None:
        """An entry weighs what it weighed when it was put last, also after it had left."""
        weights = []
        for weight in (2, 1, 3):
            self.known.put("a", 0, weight)
            weights.append(self.known.weight)
        self.known.forget("a")
        self.known.put("a", 0)
        self.known.forget("a")
        self.assertEqual((weights, self.known.weight), ([2, 1, 3], 0))

    def test_all_are_forgotten(self) -> None:
        """Nothing stays, and there is room for as many again."""
        self.fill("abc")
        self.known.forget(None)
        self.assertEqual((self.keys(), self.fill("def")), ("", [0, 0, 0]))

    def test_the_repr_holds_no_contents(self) -> None:
        """A full map does not fill a log."""
        self.fill("abc")
        self.assertEqual(repr(self.known), "BoundedMap(limit=3)")

    def test_maps_are_not_shared(self) -> None:
        """Two maps of one size are two maps."""
        self.fill("a")
        other: BoundedMap[int] = BoundedMap(3)
        self.assertEqual((len(other), other == BoundedMap(3)), (0, False))
