"""
Tests of C{matrix_federation_agent._gateway.admission}.
"""

from __future__ import annotations

from matrix_federation_agent._gateway.admission import Admission
from matrix_federation_agent._policies import GatewayPolicy
from tests.case import TestCase

POLICY = GatewayPolicy(max_requests=3, max_requests_per_destination=2)


class AdmissionTests(TestCase):
    """
    L{Admission}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.admission = Admission()

    def enter(self, *names: str) -> list[bool]:
        """
        Try to take places, in order.
        """
        return [self.admission.enter(name, POLICY) is None for name in names]

    def test_one_destination_does_not_take_all(self) -> None:
        """
        Its own limit comes first, and others still have places.
        """
        self.assertEqual(self.enter("a", "a", "a", "b"), [True, True, False, True])

    def test_all_together(self) -> None:
        """
        The limit in all holds for a destination that has none.
        """
        self.assertEqual(self.enter("a", "b", "c", "d"), [True, True, True, False])

    def test_a_place_is_free_again(self) -> None:
        """
        Both that of the destination and that in all.
        """
        self.enter("a", "a", "b")
        self.admission.leave("a")
        self.assertEqual((self.enter("a", "c"), self.admission.total), ([True, False], 3))

    def test_who_is_refused_takes_no_place(self) -> None:
        """
        However often it tries.
        """
        self.enter("a", "a", *["a"] * 10)
        self.assertEqual((self.admission.total, self.admission.by_destination()), (2, {"a": 2}))

    def test_nothing_is_kept_of_a_destination(self) -> None:
        """
        Names are the choice of strangers.
        """
        for number in range(100):
            self.enter(str(number))
            self.admission.leave(str(number))
        self.assertEqual((self.admission.total, self.admission.by_destination()), (0, {}))

    def test_the_limit_is_named(self) -> None:
        """
        The operator knows which one to change.
        """
        self.enter("a", "a")
        first = self.admission.enter("a", POLICY)
        self.enter("b")
        self.assertEqual(
            (first, self.admission.enter("c", POLICY)),
            ("2 requests to a are under way", "3 requests are under way"),
        )
