"""
Tests of C{matrix_federation_agent._connect.slots}.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from matrix_federation_agent._connect.slots import Claim, Slots
from tests.case import TestCase


class SlotsTests(TestCase):
    """
    L{Slots}.
    """

    def setUp(self) -> None:
        """
        Have two, and nothing that could be spared.
        """
        super().setUp()
        self.slots = Slots(2, lambda: False)

    def claim(self, number: int, *, first: bool = True) -> Claim:
        """
        Ask for one.
        """
        claim = self.slots.claim(number, first=first)
        claim.granted.addErrback(lambda _: None)
        return claim

    def test_so_many(self) -> None:
        """
        There are no more than there are.
        """
        claims = [self.claim(number) for number in range(3)]
        self.assertEqual([claim.granted.called for claim in claims], [True, True, False])
        self.assertEqual((self.slots.taken, self.slots.wanted), (2, True))

    def test_many_that_fail_at_once(self) -> None:
        """
        However many wait, that each gives its slot back as soon as it has it takes no more of the stack than one.
        """
        for number in range(2):
            self.claim(number)
        claims, errors = [self.claim(number) for number in range(2, 2000)], list[Failure]()
        for claim in claims:
            claim.granted.addCallback(lambda _: self.slots.release()).addErrback(errors.append)
        self.slots.release()
        self.assertEqual((errors, {claim.granted.called for claim in claims}, self.slots.taken), ([], {True}, 1))

    def test_order(self) -> None:
        """
        First those who have none, in order of arrival, then the others.
        """
        for number in range(2):
            self.claim(number)
        claims = [self.claim(2, first=False), self.claim(3), self.claim(4)]
        granted = []
        for _ in range(3):
            self.slots.release()
            granted.append([claim.number for claim in claims if claim.granted.called])
        self.assertEqual(granted, [[3], [3, 4], [2, 3, 4]])

    def test_promoted(self) -> None:
        """
        Who has lost the last connection stands with those who have none.
        """
        for number in range(2):
            self.claim(number)
        claims = [self.claim(2, first=False), self.claim(3, first=False)]
        self.slots.promote(claims[1])
        self.slots.release()
        self.assertEqual([claim.granted.called for claim in claims], [False, True])

    def test_room_for_one(self) -> None:
        """
        Room that is made, and that goes to the first who waits, is no room for the next.
        """
        room: list[Slots] = []

        def make_room() -> bool:
            if not room:
                return False
            room.pop().release()
            return True

        slots = Slots(1, make_room)
        slots.take()
        claims = [slots.claim(number, first=True) for number in (1, 2)]
        room.append(slots)
        claims.append(slots.claim(3, first=True))
        self.assertEqual((slots.taken, [claim.granted.called for claim in claims]), (1, [True, False, False]))

    def test_promoted_and_granted(self) -> None:
        """
        A claim that was promoted is granted once.
        """
        slots = Slots(1, lambda: False)
        slots.take()
        claim = slots.claim(1, first=False)
        slots.promote(claim)
        slots.release()
        self.assertEqual((claim.granted.called, slots.wanted, slots.taken), (True, False, 1))

    def test_withdrawn(self) -> None:
        """
        A claim that was cancelled gets nothing, and takes nothing.
        """
        claims = [self.claim(number) for number in range(4)]
        claims[2].granted.cancel()
        self.slots.release()
        self.assertEqual((claims[3].granted.called, self.slots.taken, self.slots.wanted), (True, 2, False))

    def test_who_is_owed(self) -> None:
        """
        A request may not be served before an older claim of one who has none.
        """
        for number in range(2):
            self.claim(number)
        self.claim(3, first=False)
        self.claim(5)
        self.assertEqual([self.slots.is_owed_before(number) for number in (4, 6)], [False, True])

    def test_room_is_made(self) -> None:
        """
        What can be spared is closed for a claim, and for a slot that is taken.
        """
        spare = [1, 2]

        def make_room() -> bool:
            if spare:
                spare.pop()
                slots.release()
                return True
            return False

        slots = Slots(1, make_room)
        slots.take()
        claim = slots.claim(1, first=True)
        self.assertEqual((claim.granted.called, slots.taken, spare), (True, 1, [1]))
        slots.take()
        slots.take()
        self.assertEqual((slots.taken, spare), (2, []))
