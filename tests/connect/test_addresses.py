"""
Tests of C{matrix_federation_agent._connect.addresses}: which addresses may be
connected to, and in which order.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from matrix_federation_agent import AddressPolicy
from matrix_federation_agent._connect.addresses import denied_by, interleaved
from matrix_federation_agent._policies import Address

from ..case import TestCase

DEFAULT = AddressPolicy()

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, as of
# 2025-10): every block whose "Globally Reachable" is not "True"; multicast
# (RFC 5771, RFC 4291) and site-local addresses (RFC 3879) beside them.
NOT_REACHABLE = """
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
    192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32 224.0.0.0/4
    ::1/128 ::/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:2::/48 2001:10::/28 2001:db8::/32 3fff::/20
    5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""

# The blocks of the same registries whose "Globally Reachable" is "True".
REACHABLE = """
    192.0.0.9/32 192.0.0.10/32 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24
    2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28 2620:4f:8000::/48
"""

# Just outside the blocks above.
NEIGHBOURS = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
    172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.88.98.255 192.88.100.0
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    223.255.255.255 64:ff9b:0:ffff:ffff:ffff:ffff:ffff 64:ff9b:2:: ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 100:0:0:2::
    2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
    3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000:: 5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 5f01::
    fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00:: fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""

# Between the reachable exceptions inside 192.0.0.0/24 and 2001::/23.
BETWEEN = """
    192.0.0.8 192.0.0.11 2001:1:: 2001:1::4 2001:2:ffff:ffff:ffff:ffff:ffff:ffff 2001:4:: 2001:4:111:ffff::
    2001:4:113:: 2001:1f:ffff:ffff:: 2001:40::
"""

# The address 10.1.2.3 inside IPv6, by every form that leads there.
FORMS = [
    ("mapped (RFC 4291)", "::ffff:10.1.2.3"),
    ("compatible (RFC 4291)", "::10.1.2.3"),
    ("translated (RFC 2765)", "::ffff:0:10.1.2.3"),
    ("NAT64 (RFC 6052)", "64:ff9b::10.1.2.3"),
    ("6to4 (RFC 3056)", "2002:a01:203::1"),
    ("Teredo server (RFC 4380)", "2001:0:a01:203:0:0:f7f7:f7f7"),
    ("Teredo client (RFC 4380)", "2001:0:808:808:0:0:f5fe:fdfc"),
]

# The same with 8.8.8.8, which is nobody's private address.
PUBLIC_FORMS = [
    ("mapped", "::ffff:8.8.8.8"),
    ("compatible", "::8.8.8.8"),
    ("translated", "::ffff:0:8.8.8.8"),
    ("NAT64", "64:ff9b::8.8.8.8"),
    ("6to4", "2002:808:808::1"),
    ("Teredo", "2001:0:808:808:0:0:f7f7:f7f7"),
]


def verdict(address: str, policy: AddressPolicy = DEFAULT) -> str | None:
    """Tell, as text, the network that denies an address."""
    network = denied_by(policy, ip_address(address))
    return None if network is None else str(network)


class DefaultPolicyTests(TestCase):
    """What is denied when nothing is set (CONFORMANCE A1 and A6)."""

    def test_a1_blocks_that_are_not_globally_reachable_are_denied(self) -> None:
        """Every such block of the registries is denied at its first and at its last address."""
        for text in NOT_REACHABLE.split():
            block = ip_network(text)
            found = [denied_by(DEFAULT, block[0]) is None, denied_by(DEFAULT, block[-1]) is None]
            self.assertEqual(found, [False, False], f"A1 {text}")

    def test_a1_the_denying_range_is_named(self) -> None:
        """The answer is the range that holds the address."""
        cases = [
            ("127.0.0.1", "127.0.0.0/8"),
            ("10.255.255.255", "10.0.0.0/8"),
            ("169.254.169.254", "169.254.0.0/16"),
            ("fd00::1", "fc00::/7"),
            ("::1", "::1/128"),
            ("fe80::1%eth0", "fe80::/10"),
        ]
        for address, network in cases:
            self.assertEqual(verdict(address), network, f"A1 {address}")

    def test_a1_what_lies_between_the_exceptions_is_denied(self) -> None:
        """The reachable exceptions inside a block leave no more than themselves open."""
        for address in BETWEEN.split():
            self.assertNotEqual(verdict(address), None, f"A1 {address}")

    def test_a1_globally_reachable_blocks_are_permitted(self) -> None:
        """Every such block of the registries is permitted at its first and at its last address."""
        for text in REACHABLE.split():
            block = ip_network(text)
            found = [denied_by(DEFAULT, block[0]), denied_by(DEFAULT, block[-1])]
            self.assertEqual(found, [None, None], f"A1 {text}")

    def test_a1_the_neighbours_of_denied_blocks_are_permitted(self) -> None:
        """No block reaches further than the registries say."""
        for address in NEIGHBOURS.split():
            self.assertEqual(verdict(address), None, f"A1 {address}")

    def test_a6_public_addresses_are_permitted(self) -> None:
        """Ordinary addresses of both families may be connected to."""
        for address in ("8.8.8.8", "2606:4700::1111", "2a00:1450:4001:81b::200e"):
            self.assertEqual(verdict(address), None, f"A6 {address}")

    def test_a5_ipv4_inside_ipv6_is_denied_by_its_own_range(self) -> None:
        """A private IPv4 address is denied in every form in which IPv6 can carry it."""
        for form, address in FORMS:
            self.assertEqual(verdict(address), "10.0.0.0/8", f"A5 {form}")

    def test_a5_public_ipv4_inside_ipv6_is_permitted(self) -> None:
        """Carrying IPv4 is not in itself a reason to be denied."""
        for form, address in PUBLIC_FORMS:
            self.assertEqual(verdict(address), None, f"A5 {form}")


class AllowTests(TestCase):
    """C{allow} overrides C{deny} (CONFORMANCE A4)."""

    policy = AddressPolicy(allow=["10.1.0.0/16", "fd00:1::/32"])

    def test_a4_what_is_allowed_is_permitted(self) -> None:
        """Only the allowed part of a denied range opens."""
        cases = [
            ("10.1.2.3", None),
            ("10.2.0.1", "10.0.0.0/8"),
            ("fd00:1::1", None),
            ("fd00:2::1", "fc00::/7"),
            ("8.8.8.8", None),
        ]
        for address, expected in cases:
            self.assertEqual(verdict(address, self.policy), expected, f"A4 {address}")

    def test_a4_a5_what_is_allowed_is_permitted_inside_ipv6(self) -> None:
        """An allowed IPv4 address is permitted in every form."""
        for form, address in FORMS:
            self.assertEqual(verdict(address, self.policy), None, f"A4 {form}")

    def test_a4_a5_each_embedded_address_needs_its_own_permission(self) -> None:
        """An allowed Teredo server does not open a denied client, nor the reverse."""
        server_allowed, client_allowed = "2001:0:a01:203:0:0:f5fd:fdfc", "2001:0:a02:203:0:0:f5fe:fdfc"
        found = [verdict(server_allowed, self.policy), verdict(client_allowed, self.policy)]
        self.assertEqual(found, ["10.0.0.0/8", "10.0.0.0/8"])

    def test_a4_the_carrier_itself_can_be_allowed(self) -> None:
        """Whoever allows the translator's range by name allows what lies behind it."""
        policy = AddressPolicy(allow=["64:ff9b::/96"])
        self.assertEqual((verdict("64:ff9b::10.1.2.3", policy), verdict("10.1.2.3", policy)), (None, "10.0.0.0/8"))

    def test_a4_a5_a_mapped_network_is_its_ipv4(self) -> None:
        """Allowing a mapped range allows the IPv4 range."""
        self.assertEqual(verdict("10.1.2.3", AddressPolicy(allow=["::ffff:10.1.0.0/112"])), None)


class DenyTests(TestCase):
    """C{deny} replaces the default."""

    def test_only_what_is_listed_is_denied(self) -> None:
        """A list of one's own holds nothing else."""
        policy = AddressPolicy(deny=["8.8.0.0/16"])
        self.assertEqual((verdict("8.8.8.8", policy), verdict("10.0.0.1", policy)), ("8.8.0.0/16", None))

    def test_an_empty_list_denies_nothing(self) -> None:
        """Whoever denies nothing reaches the loopback."""
        self.assertEqual(verdict("127.0.0.1", AddressPolicy(deny=[])), None)

    def test_a5_a_denied_mapped_network_is_its_ipv4(self) -> None:
        """Denying a mapped range denies the IPv4 range, however it is carried."""
        policy = AddressPolicy(deny=["::ffff:8.8.0.0/112"])
        found = [verdict(address, policy) for address in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")]
        self.assertEqual(found, ["8.8.0.0/16"] * 3)


FOUR = [IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), IPv4Address("192.0.2.3")]
SIX = [IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"), IPv6Address("2001:db8::3")]


class InterleavedTests(TestCase):
    """L{interleaved} (CONFORMANCE D11)."""

    def test_d11_families_alternate(self) -> None:
        """IPv6 is first, and each family keeps its order."""
        mixed: list[Address] = [FOUR[1], SIX[2], SIX[0], FOUR[0], SIX[1], FOUR[2]]
        self.assertEqual(interleaved(mixed), [SIX[2], FOUR[1], SIX[0], FOUR[0], SIX[1], FOUR[2]])

    def test_d11_the_longer_family_ends_the_list(self) -> None:
        """What has no partner stands at the end."""
        found = [interleaved([*FOUR[:1], *SIX]), interleaved([*FOUR, *SIX[:1]])]
        self.assertEqual(found, [[SIX[0], FOUR[0], SIX[1], SIX[2]], [SIX[0], FOUR[0], FOUR[1], FOUR[2]]])

    def test_one_family_keeps_its_order(self) -> None:
        """Without a second family nothing moves."""
        found = [interleaved([FOUR[2], FOUR[0]]), interleaved([SIX[1], SIX[0]]), interleaved([])]
        self.assertEqual(found, [[FOUR[2], FOUR[0]], [SIX[1], SIX[0]], []])
