"""
Tests of C{matrix_federation_agent._route}: a route explains itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network

from matrix_federation_agent import Inspection, LocatedTarget, Route, ServerName, ShownCertificate, Step
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent.errors import AddressDenied, Attempt, ServiceUnavailable

from .case import TestCase

EXAMPLE = ServerName("ex.example")
DELEGATED = ServerName("M.ex.example:443")
STEPS = (Step("3", "m.server says M.ex.example:443"), Step("3.2", "an explicit port"))
TARGET = Target(ServerName("M.ex.example"), 443)
DENIED = Attempt("M.ex.example:443", "10.0.0.1", AddressDenied.by("ex.example", "10.0.0.1", IPv4Network("10.0.0.0/8")))


class RouteTests(TestCase):
    """L{Route}."""

    def test_identity_follows_from_the_effective_name(self) -> None:
        """C{Host} is the effective name as given; the certificate names its host in lower case."""
        route = Route(EXAMPLE, DELEGATED, STEPS)
        self.assertEqual((route.host_header, route.tls_name), ("M.ex.example:443", "m.ex.example"))

    def test_the_last_step_decided(self) -> None:
        """The step of a route is the last that was taken."""
        self.assertEqual(Route(EXAMPLE, DELEGATED, STEPS).step, "3.2")

    def test_a_route_is_printed_line_by_line(self) -> None:
        """Name, steps, identity and targets each have a line."""
        route = Route(EXAMPLE, DELEGATED, STEPS, (LocatedTarget(TARGET, ("192.0.2.1",)),))
        expected = [
            "ex.example",
            "  step 3: m.server says M.ex.example:443",
            "  step 3.2: an explicit port",
            "  Host: M.ex.example:443",
            "  certificate must name: m.ex.example",
            "  connect to M.ex.example:443: 192.0.2.1",
        ]
        self.assertEqual(str(route).splitlines(), expected)

    def test_a_route_that_leads_nowhere_says_why(self) -> None:
        """The failure is the last line."""
        route = Route(EXAMPLE, EXAMPLE, (Step("4", "the root"),), failure=ServiceUnavailable("ex.example", "not there"))
        self.assertEqual(str(route).splitlines()[-1], "  failed: ex.example: not there")

    def test_the_repr_holds_every_field(self) -> None:
        """The C{repr} is log text: nothing of the route is left out."""
        route = Route(EXAMPLE, EXAMPLE, (Step("6", "the default port"),), (LocatedTarget(TARGET),))
        expected = (
            "Route(server_name=ServerName('ex.example'), effective=ServerName('ex.example'), "
            "steps=(Step(number='6', found='the default port'),), "
            "targets=(LocatedTarget(target=Target(host=ServerName('M.ex.example'), port=443), "
            "addresses=(), refused=(), exempt=(), inspections=(), proxy=None),), failure=None)"
        )
        self.assertEqual(repr(route), expected)

    def test_routes_are_values(self) -> None:
        """Equal routes are one key."""
        self.assertEqual(len({Route(EXAMPLE, EXAMPLE, STEPS), Route(EXAMPLE, EXAMPLE, STEPS)}), 1)


class LocatedTargetTests(TestCase):
    """L{LocatedTarget}."""

    def test_addresses_come_in_the_order_of_dialling(self) -> None:
        """Addresses are listed as they will be tried."""
        located = LocatedTarget(TARGET, ("2001:db8::1", "192.0.2.1"))
        self.assertEqual(str(located), "M.ex.example:443: 2001:db8::1, 192.0.2.1")

    def test_exempt_addresses_name_their_rule(self) -> None:
        """Where no certificate is checked, the rule that says so stands beside the address."""
        located = LocatedTarget(TARGET, ("10.0.0.1",), exempt=(("10.0.0.1", "network 10.0.0.0/8"),))
        expected = "M.ex.example:443: 10.0.0.1 (certificate not checked: network 10.0.0.0/8)"
        self.assertEqual(str(located), expected)

    def test_refused_addresses_give_their_reason(self) -> None:
        """An address that may not be dialled is told with the reason of its error."""
        self.assertEqual(str(LocatedTarget(TARGET, (), (DENIED,))), f"M.ex.example:443: {DENIED.error.reason}")

    def test_proxies_stand_before_addresses(self) -> None:
        """What a proxy finds is told by the proxy, with the rule that exempts it."""
        located = LocatedTarget(TARGET, exempt=((None, "domain *"),), proxy="socks5h://127.0.0.1:9050")
        expected = "M.ex.example:443: through socks5h://127.0.0.1:9050 (certificate not checked: domain *)"
        self.assertEqual(str(located), expected)

    def test_what_is_dialled(self) -> None:
        """A proxy needs no address, unless what it would connect to was refused."""
        proxy = "http://127.0.0.1:3128"
        cases = [
            (LocatedTarget(TARGET), False),
            (LocatedTarget(TARGET, ("192.0.2.1",)), True),
            (LocatedTarget(TARGET, (), (DENIED,)), False),
            (LocatedTarget(TARGET, proxy=proxy), True),
            (LocatedTarget(TARGET, (), (DENIED,), proxy=proxy), False),
            (LocatedTarget(TARGET, ("192.0.2.1",), (DENIED,), proxy=proxy), True),
        ]
        self.assertEqual([one.is_dialled for one, _ in cases], [expected for _, expected in cases])

    def test_a_proxy_that_is_not_asked_is_not_told(self) -> None:
        """Where the target was refused, nothing goes through the proxy."""
        located = LocatedTarget(TARGET, (), (DENIED,), proxy="http://127.0.0.1:3128")
        self.assertEqual(str(located), f"M.ex.example:443: {DENIED.error.reason}")


SHOWN = ShownCertificate(
    "CN=a", "O=Root", datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 3, 4, tzinfo=UTC), ("a", "b")
)


class InspectionTests(TestCase):
    """L{Inspection}."""

    def test_what_was_seen(self) -> None:
        """Version, cipher, certificate, and what is known beside."""
        seen = Inspection("192.0.2.1", None, "TLSv1.3", "AES", SHOWN, 2, None, "domain *", "2 valid timestamps")
        expected = (
            "192.0.2.1: TLSv1.3 AES; certificate for a, b, issued by O=Root, valid from 2026-01-02 00:00 to "
            "2027-03-04 00:00 UTC; certificate not checked: domain *; 2 valid timestamps"
        )
        self.assertEqual(str(seen), expected)

    def test_what_is_not_known(self) -> None:
        """What nobody knows is left out."""
        self.assertEqual(str(Inspection("192.0.2.1", None, "TLSv1.2", "AES")), "192.0.2.1: TLSv1.2 AES")

    def test_a_failure(self) -> None:
        """It has its phase and its reason."""
        self.assertEqual(str(Inspection("10.0.0.1", DENIED.error)), f"10.0.0.1 [policy]: {DENIED.error.reason}")

    def test_names_that_were_left_out(self) -> None:
        """Their number is told; and that there is none at all."""
        names = [str(ShownCertificate("", "", SHOWN.not_before, SHOWN.not_after, *rest)) for rest in ((("a",), 3), ())]
        self.assertEqual(
            [text.split(",")[0] for text in names], ["certificate for a and 3 more", "certificate for nobody"]
        )

    def test_a_route_lists_them(self) -> None:
        """They stand below their target."""
        located = LocatedTarget(TARGET, ("192.0.2.1",), inspections=(Inspection("192.0.2.1", None, "TLSv1.2", "AES"),))
        lines = str(Route(EXAMPLE, DELEGATED, STEPS, (located,))).splitlines()
        self.assertEqual(lines[-2:], ["  connect to M.ex.example:443: 192.0.2.1", "    192.0.2.1: TLSv1.2 AES"])
