"""
Tests of C{matrix_federation_agent._discovery.timetable}.
"""

from __future__ import annotations

from twisted.internet.task import Clock

from matrix_federation_agent._discovery.timetable import AT_ONCE, PAUSE, Timetable
from tests.case import TestCase


class TimetableTests(TestCase):
    """
    L{Timetable}.
    """

    def setUp(self) -> None:
        """
        Make one that notes what is called, and when.
        """
        super().setUp()
        self.clock = Clock()
        self.again: float | None = None
        self.called: list[tuple[str, float]] = []
        self.timetable: Timetable[str] = Timetable(self.clock, self.note)

    def note(self, item: str) -> None:
        """
        Note a call.
        """
        self.called.append((item, self.clock.seconds()))
        if self.again is not None:
            self.timetable.put(item, self.again)

    def put(self, **delays: float) -> None:
        """
        Have things wait.
        """
        for item, delay in delays.items():
            self.timetable.put(item, delay)

    def test_each_in_its_time(self) -> None:
        """
        What waits is called when it is due, whatever else waits, and once.
        """
        self.put(a=3, b=1, c=2)
        self.clock.advance(0.5)
        self.put(d=1)
        self.clock.pump([0.5] * 8)
        self.assertEqual(self.called, [("b", 1), ("d", 1.5), ("c", 2), ("a", 3)])

    def test_one_timer(self) -> None:
        """
        However many wait, there is one timer, for the first.
        """
        self.put(a=3, b=1, c=2)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], [1])

    def test_nothing_waits(self) -> None:
        """
        When nothing waits any more there is no timer.
        """
        self.put(a=3, b=1)
        self.timetable.drop("b")
        left = len(self.clock.getDelayedCalls())
        self.timetable.drop("a")
        self.assertEqual((left, self.clock.getDelayedCalls()), (1, []))

    def test_dropped(self) -> None:
        """
        What was dropped is not called, the others are; to drop what does not wait is nothing.
        """
        self.put(a=1, b=1, c=1)
        for item in ("a", "a", "x"):
            self.timetable.drop(item)
        self.clock.pump([1, PAUSE, 1])
        self.assertEqual([item for item, _ in self.called], ["b", "c"])

    def test_many_are_due(self) -> None:
        """
        They are called by and by.
        """
        self.put(**{str(number): 1 for number in range(2 * AT_ONCE + 1)})
        numbers = []
        for seconds in (1, PAUSE, PAUSE, PAUSE):
            self.clock.advance(seconds)
            numbers.append(len(self.called))
        self.assertEqual(numbers, [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 1])

    def test_it_waits_again(self) -> None:
        """
        What is called may wait again.
        """
        self.again = 2.0
        self.put(a=1)
        self.clock.pump([1, 1, 1, 2])
        self.assertEqual(self.called, [("a", 1), ("a", 3), ("a", 5)])
