"""
Tests of C{matrix_federation_agent._connect.order}.
"""

from __future__ import annotations

from ipaddress import ip_address

from matrix_federation_agent import ServerName
from matrix_federation_agent._connect.order import Order, Untried
from matrix_federation_agent._discovery.routing import Target
from tests.case import TestCase

A, B = (Target(ServerName.parse(host), 8448) for host in ("a.example", "b.example"))

# What joins, each time before one is taken; and what is taken.
TURNS = [
    ([["::1", "::2", "4.0.0.1", "4.0.0.2"]], ["::1", "4.0.0.1", "::2", "4.0.0.2"]),
    ([["4.0.0.1", "4.0.0.2", "::1"]], ["::1", "4.0.0.1", "4.0.0.2"]),
    ([["4.0.0.1", "4.0.0.2", "4.0.0.3"], ["::1", "::2"]], ["4.0.0.1", "::1", "4.0.0.2", "::2", "4.0.0.3"]),
    ([["::1", "::2"], ["4.0.0.1"]], ["::1", "4.0.0.1", "::2"]),
]


class UntriedTests(TestCase):
    """
    L{Untried}.
    """

    def test_D11_families_take_turns(self) -> None:
        """
        IPv6 first, each family in its order, also where one comes later.
        """
        for joining, expected in TURNS:
            untried, taken, left = Untried(), [], list(joining)
            while left or untried:
                untried.add(map(ip_address, left.pop(0) if left else []))
                taken.append(str(untried.take()))
            self.assertEqual(taken, expected)

    def test_what_a_proxy_finds(self) -> None:
        """
        An address that only a proxy knows is one, too.
        """
        untried = Untried()
        untried.add([None])
        self.assertEqual((len(untried), None in untried, untried.take(), len(untried)), (1, True, None, 0))

    def test_out_of_turn(self) -> None:
        """
        One that is removed does not come any more, of either family.
        """
        for text in ("::1", "4.0.0.1"):
            untried = Untried()
            untried.add(map(ip_address, ["::1", "::2", "4.0.0.1", "4.0.0.2"]))
            untried.remove(ip_address(text))
            self.assertEqual((ip_address(text) in untried, len(untried)), (False, 3))


class OrderTests(TestCase):
    """
    L{Order}.
    """

    def taken(self, order: Order, **known: list[str]) -> list[str]:
        """
        Take everything off, looking targets up on the way.
        """
        steps = []
        while (step := order.next()) is not None:
            if isinstance(step, Target):
                steps.append(f"{step.host.host[0]}?")
                order.add(step, [ip_address(text) for text in known[step.host.host[0]]])
            else:
                steps.append(str(step[1]))
        return steps

    def test_targets_in_order(self) -> None:
        """
        A target is looked up when all addresses of the one before it were taken.
        """
        found = self.taken(Order([A, B], 10), a=["::1", "4.0.0.1"], b=["::2"])
        self.assertEqual(found, ["a?", "::1", "4.0.0.1", "b?", "::2"])

    def test_the_limit(self) -> None:
        """
        It counts addresses, over all targets, and behind it nothing is looked up.
        """
        order = Order([A, B], 2)
        self.assertEqual(self.taken(order, a=["::1", "4.0.0.1"], b=["::2"]), ["a?", "::1", "4.0.0.1"])
        self.assertEqual((order.exhausted, order.has_more), (True, False))

    def test_what_answered_last(self) -> None:
        """
        The place that is to be first is, and then the order is as ever.
        """
        order = Order([A, B], 10, (B, ip_address("4.0.0.2")))
        found = self.taken(order, a=["::1"], b=["::2", "4.0.0.2"])
        self.assertEqual(found, ["b?", "4.0.0.2", "a?", "::1", "::2"])

    def test_an_address_that_is_gone(self) -> None:
        """
        A first place whose address is none of the target's any more changes nothing.
        """
        order = Order([A, B], 10, (B, ip_address("4.0.0.3")))
        self.assertEqual(self.taken(order, a=["::1"], b=["::2"]), ["b?", "a?", "::1", "::2"])

    def test_a_target_that_is_gone(self) -> None:
        """
        Nor does one whose target is none any more.
        """
        order = Order([A], 10, (B, ip_address("::2")))
        self.assertEqual(self.taken(order, a=["::1"]), ["a?", "::1"])

    def test_repeated_targets(self) -> None:
        """
        A target that comes twice is tried once.
        """
        self.assertEqual(self.taken(Order([A, A], 10), a=["::1"]), ["a?", "::1"])

    def test_a_choice(self) -> None:
        """
        There is one where there are two targets, or two addresses.
        """
        found = []
        for targets, addresses in (([A], ["::1"]), ([A], ["::1", "::2"]), ([A, B], ["::1"])):
            order = Order(targets, 10)
            order.next()
            order.add(A, list(map(ip_address, addresses)))
            found.append(order.has_choice)
        self.assertEqual(found, [False, True, True])
