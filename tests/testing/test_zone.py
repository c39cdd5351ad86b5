"""
Tests of C{matrix_federation_agent.testing._zone}.
"""

from __future__ import annotations

from typing import Any

from twisted.names import dns

from matrix_federation_agent.testing._zone import Reply, Zone
from tests.case import TestCase


def payload(header: dns.RRHeader) -> Any:
    """
    Take the content of a record, whose class depends on its type.
    """
    return header.payload


def shown(reply: Reply | None) -> tuple[object, ...]:
    """
    Write a reply as (rcode, answers' types, authority's owners and minimum TTLs).
    """
    if reply is None:
        return ("silence",)
    answers = [dns.QUERY_TYPES[header.type] for header in reply.answers]
    return reply.rcode, answers, [(header.name.name, header.ttl, payload(header).minimum) for header in reply.authority]


class ZoneTests(TestCase):
    """
    L{Zone.reply}.
    """

    def setUp(self) -> None:
        """
        Know one host and one service.
        """
        super().setUp()
        self.zone = Zone(negative_ttl=17)
        self.zone.add_address("host.example", "192.0.2.1", ttl=60)
        self.zone.add_service("_matrix-fed._tcp.ex.example", "host.example", 8443)

    def test_what_is_known_is_answered(self) -> None:
        """
        Names compare without case, and the TTL is the record's.
        """
        reply = self.zone.reply("HOST.example", dns.A)
        assert reply is not None
        self.assertEqual([(payload(h).dottedQuad(), h.ttl) for h in reply.answers], [("192.0.2.1", 60)])

    def test_negative_answers_carry_the_soa(self) -> None:
        """
        An unknown name is NXDOMAIN, a known one without that type is NODATA; both say for how long.
        """
        soa = [(b"example", 17, 17)]
        self.assertEqual(shown(self.zone.reply("gone.example", dns.A)), (dns.ENAME, [], soa))
        self.assertEqual(shown(self.zone.reply("host.example", dns.AAAA)), (dns.OK, [], soa))

    def test_a_name_with_names_below_it_exists(self) -> None:
        """
        C{ex.example} has no record of its own and is no NXDOMAIN (RFC 8020).
        """
        self.assertEqual(shown(self.zone.reply("ex.example", dns.A))[:2], (dns.OK, []))

    def test_aliases_are_followed(self) -> None:
        """
        A CNAME record comes with what it leads to; a circle of them ends.
        """
        self.zone.add_alias("alias.example", "host.example.")
        self.assertEqual(shown(self.zone.reply("alias.example", dns.A)), (dns.OK, ["CNAME", "A"], []))
        self.zone.add_alias("circle.example", "circle.example")
        self.assertEqual(shown(self.zone.reply("circle.example", dns.A)), (dns.OK, ["CNAME"] * 8, []))

    def test_failures_begin_and_end(self) -> None:
        """
        A name can fail, be silent and recover; its neighbours do not notice.
        """
        self.zone.fail("host.example", dns.EREFUSED)
        self.assertEqual(shown(self.zone.reply("host.example", dns.A)), (dns.EREFUSED, [], []))
        self.zone.silence("host.example")
        self.assertEqual(shown(self.zone.reply("host.example", dns.A)), ("silence",))
        self.assertEqual(shown(self.zone.reply("_matrix-fed._tcp.ex.example", dns.SRV))[1], ["SRV"])
        self.zone.recover("host.example")
        self.assertEqual(shown(self.zone.reply("host.example", dns.A)), (dns.OK, ["A"], []))

    def test_records_can_be_removed(self) -> None:
        """
        A removed name does not exist.
        """
        self.zone.remove("host.example")
        self.assertEqual(shown(self.zone.reply("host.example", dns.A))[0], dns.ENAME)

    def test_the_address_of_a_name(self) -> None:
        """
        The first address is found, of either family.
        """
        self.zone.add_address("six.example", "2001:DB8::7")
        names = ("six.example", "host.example", "_matrix-fed._tcp.ex.example", "gone.example")
        self.assertEqual([self.zone.address_of(name) for name in names], ["2001:db8::7", "192.0.2.1", None, None])
