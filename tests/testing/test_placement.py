"""
Tests of C{matrix_federation_agent.testing._placement} and C{._faults}.
"""

from __future__ import annotations

from typing import Any

from matrix_federation_agent.testing import Fault
from matrix_federation_agent.testing._faults import afflict
from matrix_federation_agent.testing._placement import Placement, Service, place, split_name
from tests.case import TestCase

NAME = "ex.example"
FED = Service("_matrix-fed._tcp.ex.example", "fed.ex.example", 8443)

V6_AT_80 = ("2001:db8::1", None, "2001:db8::1", 80)

CASES: list[tuple[str, str, dict[str, Any], tuple[object, ...]]] = [
    # step, name, options; then m.server, Host, identity, dial name, address, port
    ("1", "192.0.2.7", {}, (None, "192.0.2.7", "192.0.2.7", None, "192.0.2.7", 8448)),
    ("1", "[2001:db8::7]", {}, (None, "[2001:db8::7]", "2001:db8::7", None, "2001:db8::7", 8448)),
    ("2", "ex.example:443", {}, (None, "ex.example:443", NAME, NAME, "a0", 443)),
    ("2", "192.0.2.7:443", {}, (None, "192.0.2.7:443", "192.0.2.7", None, "192.0.2.7", 443)),
    ("3.1", NAME, {}, ("a0", "a0", "a0", None, "a0", 8448)),
    ("3.1", NAME, {"port": 4443}, ("a0:4443", "a0:4443", "a0", None, "a0", 4443)),
    ("3.1", NAME, {"delegated_to": "[2001:db8::1]:80"}, ("[2001:db8::1]:80",) * 2 + V6_AT_80),
    ("3.2", NAME, {}, ("matrix.ex.example:8443",) * 2 + ("matrix.ex.example",) * 2 + ("a0", 8443)),
    ("3.2", NAME, {"delegated_to": "ex.example:443"}, ("ex.example:443",) * 2 + (NAME,) * 2 + ("a0", 443)),
    ("3.3", NAME, {}, ("matrix.ex.example",) * 3 + ("fed.matrix.ex.example", "a0", 8443)),
    ("3.4", NAME, {"port": 444}, ("matrix.ex.example",) * 3 + ("fed.matrix.ex.example", "a0", 444)),
    ("3.5", NAME, {}, ("matrix.ex.example",) * 4 + ("a0", 8448)),
    ("4", NAME, {}, (None, NAME, NAME, "fed.ex.example", "a0", 8443)),
    ("5", NAME, {"address": "192.0.2.5"}, (None, NAME, NAME, "fed.ex.example", "192.0.2.5", 8443)),
    ("6", NAME, {}, (None, NAME, NAME, NAME, "a0", 8448)),
]

REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("7", NAME, {}),
    ("1", NAME, {}),
    ("2", NAME, {}),
    ("6", "ex.example:8448", {}),
    ("4", "192.0.2.7", {}),
    ("6", NAME, {"delegated_to": "m.example"}),
    ("6", NAME, {"port": 443}),
    ("3.1", NAME, {"delegated_to": "m.example"}),
    ("3.2", NAME, {"delegated_to": "m.example"}),
    ("3.2", NAME, {"delegated_to": "m.example:443", "port": 444}),
    ("3.5", NAME, {"delegated_to": "m.example:443"}),
    ("3.5", NAME, {"delegated_to": "192.0.2.1"}),
]


def placed(step: str, name: str = NAME, **options: object) -> Placement:
    """
    Place a server; fresh addresses are C{a0}, C{a1} and so on where no address is looked at.
    """
    fresh = iter(["198.51.100.0", "198.51.100.1", "198.51.100.2"])
    return place(name, step, lambda: next(fresh), **options)  # type: ignore[arg-type]


class PlaceTests(TestCase):
    """
    L{place}.
    """

    def test_each_step_has_its_place(self) -> None:
        """
        Delegation, Host header, identity and place follow from step and name.
        """
        for step, name, options, expected in CASES:
            found = placed(step, name, **options)
            seen = (found.delegation, found.host, found.identity, found.dial_name, found.address, found.port)
            shown = tuple(v.replace("198.51.100.", "a") if isinstance(v, str) else v for v in seen)
            self.assertEqual(shown[: len(expected)], expected, (step, name, options))

    def test_what_does_not_fit_is_refused(self) -> None:
        """
        A step, a name and options that contradict each other are an error.
        """
        for step, name, options in REFUSED:
            self.assertRaises(ValueError, placed, step, name, **options)

    def test_the_deprecated_service(self) -> None:
        """
        Steps 4 and 5 differ in the name of the service alone.
        """
        self.assertEqual(placed("4").services, (FED,))
        self.assertEqual(placed("5").services, (Service("_matrix._tcp.ex.example", "fed.ex.example", 8443),))

    def test_names_for_the_dns(self) -> None:
        """
        The host that is dialled and the host of the document each have an address.
        """
        self.assertEqual(dict(placed("6").names), {NAME: "198.51.100.0"})
        self.assertEqual(dict(placed("4").names), {"fed.ex.example": "198.51.100.0", NAME: "198.51.100.1"})
        self.assertEqual(dict(placed("1", "192.0.2.7").names), {})
        self.assertEqual(dict(placed("3.1").names), {NAME: "198.51.100.1"})

    def test_names_are_split(self) -> None:
        """
        Brackets belong to neither host nor port.
        """
        names = ("a.example", "a.example:1", "192.0.2.1:2", "[2001:db8::1]", "[2001:db8::1]:3")
        expected = [("a.example", None), ("a.example", 1), ("192.0.2.1", 2), ("2001:db8::1", None), ("2001:db8::1", 3)]
        self.assertEqual([split_name(name) for name in names], expected)


class AfflictTests(TestCase):
    """
    L{afflict}.
    """

    def test_no_fault_changes_nothing(self) -> None:
        """
        A sound server stays where it is.
        """
        self.assertEqual(afflict(placed("4"), None), placed("4"))

    def test_no_address(self) -> None:
        """
        The host that would be dialled is not in the DNS; the host of the document is.
        """
        self.assertEqual(dict(afflict(placed("4"), Fault.NO_ADDRESS).names), {NAME: "198.51.100.1"})

    def test_no_service(self) -> None:
        """
        One record, which points to the root, takes the place of every other.
        """
        expected = (Service("_matrix-fed._tcp.ex.example", ".", 0),)
        self.assertEqual(afflict(placed("5"), Fault.NO_SERVICE).services, expected)
        self.assertEqual(afflict(placed("6"), Fault.NO_SERVICE).services, expected)

    def test_faults_that_cannot_happen(self) -> None:
        """
        A literal has no DNS fault, an explicit port no SRV record, and a delegation needs its document.
        """
        for fault in (Fault.NO_ADDRESS, Fault.DNS_SILENT, Fault.DNS_FAILS, Fault.PRIVATE_ADDRESS, Fault.NO_SERVICE):
            self.assertRaises(ValueError, afflict, placed("1", "192.0.2.7"), fault)
        self.assertRaises(ValueError, afflict, placed("3.2"), Fault.NO_SERVICE)
        self.assertRaises(ValueError, afflict, placed("3.5"), Fault.WELL_KNOWN_SILENT)

    def test_every_fault_describes_itself(self) -> None:
        """
        The descriptions are short, and no two are alike.
        """
        descriptions = {fault.description for fault in Fault}
        self.assertEqual(len(descriptions), 31)
        self.assertLess(max(map(len, descriptions)), 70)
