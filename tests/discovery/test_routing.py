"""
Tests of C{matrix_federation_agent._discovery.routing}: where a server
listens.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.routing import (
    SERVICES,
    ServiceRecord,
    Target,
    default_target,
    fixed_target,
    in_order,
    is_decidedly_unavailable,
    step_number,
    usable_target,
)

from ..case import TestCase

DRAWS = 10_000


def record(target: bytes, *, priority: int = 10, weight: int = 0, port: int = 8443) -> ServiceRecord:
    """Make an SRV record."""
    return ServiceRecord(priority, weight, port, target)


def order(*records: ServiceRecord, seed: int = 0) -> list[str]:
    """Order records, and write their hosts."""
    return [str(target.host) for target in in_order(records, Random(seed))]


def shares(*records: ServiceRecord) -> dict[str, float]:
    """Tell in which share of many draws each host comes first."""
    rng = Random(1)
    first = Counter(str(in_order(records, rng)[0].host) for _ in range(DRAWS))
    return {host: count / DRAWS for host, count in first.items()}


# Name, and where it leads by itself (CONFORMANCE R1 to R7 say the same of
# delegated names).
FIXED = [
    ("R1", "1.2.3.4", "1.2.3.4:8448"),
    ("R2", "1.2.3.4:443", "1.2.3.4:443"),
    ("R3", "[::1]", "[::1]:8448"),
    ("R3", "[::1]:80", "[::1]:80"),
    ("R4", "ex.com:8443", "ex.com:8443"),
    ("R4", "ex.com:8448", "ex.com:8448"),
    ("R4", "EX.com:00443", "EX.com:443"),
    ("R13", "ex.com", "None"),
    ("R13", "EXAMPLE", "None"),
]

# Name, whether it was delegated, service that was found, step.
STEPS = [
    ("1.2.3.4", False, None, "1"),
    ("[::1]:80", False, None, "1"),
    ("ex.com:8443", False, None, "2"),
    ("1.2.3.4:443", True, None, "3.1"),
    ("[::1]", True, None, "3.1"),
    ("ex.com:8443", True, None, "3.2"),
    ("ex.com", True, "_matrix-fed._tcp", "3.3"),
    ("ex.com", True, "_matrix._tcp", "3.4"),
    ("ex.com", True, None, "3.5"),
    ("ex.com", False, "_matrix-fed._tcp", "4"),
    ("ex.com", False, "_matrix._tcp", "5"),
    ("ex.com", False, None, "6"),
]

# What an SRV target must not be, and a port.
UNUSABLE = [
    ("the root, as twisted.names decodes it", b"", 8443),
    ("the root", b".", 8443),
    ("an IPv4 literal", b"192.0.2.1", 8443),
    ("an IPv6 literal", b"[2001:db8::1]", 8443),
    ("IPv6 without brackets", b"2001:db8::1", 8443),
    ("a name with a port", b"t.example:8443", 8443),
    ("a name outside the grammar", b"t_t.example", 8443),
    ("a path", b"t.example/x", 8443),
    ("an empty label", b"t..example", 8443),
    ("two roots", b"t.example..", 8443),
    ("no ASCII", b"\xc3\xa9.example", 8443),
    ("port 0", b"t.example", 0),
]


class FixedTargetTests(TestCase):
    """L{fixed_target} and L{default_target}."""

    def test_r1_to_r4_literals_and_ports_fix_the_target(self) -> None:
        """Only a DNS name without a port leaves the target open."""
        for row, name, target in FIXED:
            self.assertEqual(str(fixed_target(ServerName(name))), target, f"{row} {name}")

    def test_r13_the_default_target(self) -> None:
        """Without SRV records the name itself is dialled, at port 8448."""
        self.assertEqual(default_target(ServerName("ex.com")), Target(ServerName("ex.com"), 8448))


class StepNumberTests(TestCase):
    """L{step_number}."""

    def test_each_case_has_its_step(self) -> None:
        """Name, delegation and service decide the specification's number."""
        for name, delegated, service, step in STEPS:
            found = step_number(ServerName(name), delegated=delegated, service=service)
            self.assertEqual(found, step, f"{step} {name}")

    def test_all_ten_steps_are_named(self) -> None:
        """The table above has every case of the specification."""
        self.assertEqual(" ".join(sorted({row[3] for row in STEPS})), "1 2 3.1 3.2 3.3 3.4 3.5 4 5 6")

    def test_the_deprecated_service_is_asked_last(self) -> None:
        """C{_matrix-fed} comes before C{_matrix}."""
        self.assertEqual(SERVICES, ("_matrix-fed._tcp", "_matrix._tcp"))


class UsableTargetTests(TestCase):
    """L{usable_target}."""

    def test_a_host_name_is_usable(self) -> None:
        """A target is read without its final dot, in the record's spelling."""
        found = [usable_target(record(name)) for name in (b"t.example", b"T.example.", b"xn--t-zfa.example")]
        expected = [Target(ServerName(name), 8443) for name in ("t.example", "T.example", "xn--t-zfa.example")]
        self.assertEqual(found, expected)

    def test_what_names_no_host_is_not_usable(self) -> None:
        """Roots, literals, names outside the grammar and port 0 are no targets."""
        for reason, name, port in UNUSABLE:
            self.assertEqual(usable_target(record(name, port=port)), None, reason)

    def test_unusable_records_are_skipped(self) -> None:
        """Records without a usable target leave the others as they are."""
        bad = [record(name, port=port, weight=100) for _, name, port in UNUSABLE]
        self.assertEqual(order(*bad, record(b"t.example"), *bad), ["t.example"])


class InOrderTests(TestCase):
    """L{in_order} (RFC 2782, "Usage rules")."""

    def test_d3_all_of_a_priority_come_before_the_next(self) -> None:
        """The lower number is first, whatever the weights."""
        records = [
            record(b"c.example", priority=20, weight=65535),
            record(b"a.example"),
            record(b"b.example", weight=5),
        ]
        found = {(tuple(sorted(names[:2])), names[2]) for seed in range(50) for names in [order(*records, seed=seed)]}
        self.assertEqual(found, {(("a.example", "b.example"), "c.example")})

    def test_d3_priorities_are_numbers(self) -> None:
        """Every 16-bit priority stands in its place."""
        priorities = [65535, 9, 100, 0, 10]
        records = [record(b"t%d.example" % priority, priority=priority) for priority in priorities]
        self.assertEqual(order(*records), ["t0.example", "t9.example", "t10.example", "t100.example", "t65535.example"])

    def test_d4_weights_are_chances(self) -> None:
        """Weights 10 and 30 are first in a quarter and in three quarters of the draws."""
        found = shares(record(b"a.example", weight=10), record(b"b.example", weight=30))
        # Four standard deviations of 10,000 draws.
        self.assertApproximates(found["a.example"], 0.25, 0.018)

    def test_d4_the_rest_is_drawn_by_weight_as_well(self) -> None:
        """After the first, the others have chances in the ratio of their weights."""
        rng = Random(2)
        records = [record(b"a.example", weight=10), record(b"b.example", weight=30), record(b"c.example", weight=60)]
        draws = [[str(target.host) for target in in_order(records, rng)] for _ in range(DRAWS)]
        seconds = [draw[1] for draw in draws if draw[0] == "c.example"]
        self.assertApproximates(seconds.count("a.example") / len(seconds), 0.25, 0.025)

    def test_d4_equal_weights_share(self) -> None:
        """Without weights every target is first equally often."""
        found = shares(*(record(b"%c.example" % letter) for letter in b"abcd"))
        self.assertEqual([round(found[f"{letter}.example"] * 20) for letter in "abcd"], [5, 5, 5, 5])

    def test_d4_weight_zero_yields_to_others(self) -> None:
        """A record of weight 0 beside weighty ones is as good as never first, yet it is there."""
        records = [record(b"zero.example"), record(b"heavy.example", weight=1)]
        found = {tuple(order(*records, seed=seed)) for seed in range(500)}
        self.assertEqual(found, {("heavy.example", "zero.example")})

    def test_every_target_comes_once(self) -> None:
        """The order is a permutation, of records in one host too."""
        records = [record(b"t.example", port=port, weight=port % 3, priority=port % 2) for port in range(1, 30)]
        ports = [target.port for target in in_order(records, Random(3))]
        self.assertEqual(sorted(ports), list(range(1, 30)))

    def test_chance_is_handed_in(self) -> None:
        """Equal seeds draw equally."""
        records = [record(b"t.example", port=port, weight=port) for port in range(1, 30)]
        self.assertEqual(in_order(records, Random(4)), in_order(records, Random(4)))

    def test_the_caller_s_records_stay_as_they_are(self) -> None:
        """What was looked up may be remembered by the caller."""
        records = [record(b"b.example", priority=20), record(b"a.example")]
        in_order(records, Random(5))
        self.assertEqual([one.target for one in records], [b"b.example", b"a.example"])

    def test_nothing_leads_nowhere(self) -> None:
        """No records are no targets."""
        self.assertEqual(order(), [])


class DecidedlyUnavailableTests(TestCase):
    """L{is_decidedly_unavailable} (CONFORMANCE D8)."""

    def test_d8_a_single_root_says_no(self) -> None:
        """One record that points at the root means that there is no service."""
        found = [is_decidedly_unavailable([record(target, port=port)]) for target in (b"", b".") for port in (0, 8443)]
        self.assertEqual(found, [True] * 4)

    def test_d8_nothing_else_says_no(self) -> None:
        """No records, another target, or a root beside others leave the service open."""
        cases = [[], [record(b"t.example")], [record(b""), record(b"t.example")], [record(b""), record(b"")]]
        self.assertEqual([is_decidedly_unavailable(records) for records in cases], [False] * 4)
