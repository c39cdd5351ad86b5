"""
Tests of C{matrix_federation_agent._connect.places}.
"""

from __future__ import annotations

from ipaddress import ip_address

from matrix_federation_agent import ServerName
from matrix_federation_agent._connect.places import LIFETIME, Places
from matrix_federation_agent._discovery.routing import Target
from tests.case import TestCase

EX, ORG = ServerName.parse("ex.com"), ServerName.parse("ex.org")
MATRIX, WEB = Target(EX, 8448), Target(EX, 443)
PLACE, SITE = (MATRIX, ip_address("192.0.2.1")), (WEB, ip_address("192.0.2.2"))


class PlacesTests(TestCase):
    """
    L{Places}.
    """

    def setUp(self) -> None:
        """
        Know of one server.
        """
        super().setUp()
        self.places = Places(2)
        self.places.answered(EX, [MATRIX], PLACE, 1000)

    def test_for_a_while(self) -> None:
        """
        A place is remembered for ten minutes.
        """
        found = [self.places.last(EX, [MATRIX], 1000 + seconds) for seconds in (0, LIFETIME - 1, LIFETIME)]
        self.assertEqual((found, LIFETIME), ([PLACE, PLACE, None], 600))

    def test_an_https_site_of_the_same_name(self) -> None:
        """
        Ports keep the two apart.
        """
        self.places.answered(EX, [WEB], SITE, 1000)
        self.assertEqual([self.places.last(EX, [one], 1000) for one in (MATRIX, WEB)], [PLACE, SITE])

    def test_targets_in_another_order(self) -> None:
        """
        The order of SRV records is drawn anew each time, and does not matter.
        """
        self.places.answered(EX, [MATRIX, WEB], SITE, 1000)
        self.assertEqual(self.places.last(EX, [WEB, MATRIX], 1000), SITE)

    def test_forgotten(self) -> None:
        """
        One server is forgotten, and no other.
        """
        self.places.answered(ORG, [MATRIX], PLACE, 1000)
        self.places.forget(EX, [MATRIX])
        self.assertEqual([self.places.last(one, [MATRIX], 1000) for one in (EX, ORG)], [None, PLACE])

    def test_the_bound(self) -> None:
        """
        The least recently used leaves.
        """
        for name in ("a.example", "b.example"):
            self.places.answered(ServerName.parse(name), [MATRIX], PLACE, 1000)
        self.assertIsNone(self.places.last(EX, [MATRIX], 1000))
