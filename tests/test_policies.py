"""
Tests of C{matrix_federation_agent._policies}.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, DiscoveryPolicy, ServerName, TrustPolicy
from matrix_federation_agent._policies import SPECIAL_PURPOSE, GatewayPolicy
from matrix_federation_agent.errors import ConfigurationError

from .case import TestCase

# Patterns of exempt_domains, a server name, and the rule that exempts it.
DOMAINS = [
    (["*.onion"], "abc.onion", "domain *.onion"),
    (["*.onion"], "a.b.onion", "domain *.onion"),
    (["*.onion"], "ABC.Onion:8448", "domain *.onion"),
    (["*.ONION"], "abc.onion", "domain *.onion"),
    (["*.onion"], "onion", None),
    (["*.onion"], "onion.example", None),
    (["*.onion"], "abc.onion.example", None),
    (["lon.ex.com"], "lon.ex.com", "domain lon.ex.com"),
    (["Lon.Ex.Com"], "LON.EX.COM", "domain lon.ex.com"),
    (["lon.ex.com"], "lonxexxcom.example", None),
    (["lon.ex.com"], "lonxex.com", None),
    (["lon.ex.com"], "a.lon.ex.com", None),
    (["lon.ex.com"], "lon.ex.com.example", None),
    (["lon.ex.com"], "ex.com", None),
    (["l?n.ex.com"], "lan.ex.com", "domain l?n.ex.com"),
    (["l?n.ex.com"], "lean.ex.com", None),
    (["xn--bcher-kva.example"], "xn--bcher-kva.example", "domain xn--bcher-kva.example"),
    (["a.example", "b.example"], "b.example", "domain b.example"),
    (["*.example", "b.example"], "b.example", "domain *.example"),
    (["*"], "ex.com", "domain *"),
    (["*"], "192.0.2.1", None),
    (["*"], "[2001:db8::1]", None),
    (["*.*.*.*"], "192.0.2.1", None),
    (["*1"], "192.0.2.1", None),
    (["*"], "[::ffff:192.0.2.1]:8448", None),
    (["?x.com"], "ex.com", "domain ?x.com"),
    (["?x.com"], "x.com", None),
    (["a?b.example"], "a.b.example", "domain a?b.example"),
    (["a*b.example"], "ab.example", "domain a*b.example"),
    (["a*b.example"], "a.x.b.example", "domain a*b.example"),
    (["*.example"], "a.examplex", None),
    (["*.example"], "xexample", None),
    (["ex.com"], "ex.com:443", "domain ex.com"),
    (["ex.com."], "ex.com", None),
    (["ex.com*"], "ex.com.evil.example", "domain ex.com*"),
    ([], "ex.com", None),
]

# T3 and T4 together: a server name, the address that is dialled, and the decision of four policies: one without
# exemptions, one with a domain, one with a network, one with both.
DECISIONS = [
    ("abc.onion", None, "-d-d"),
    ("abc.onion", "10.0.0.1", "-dnd"),
    ("abc.onion", "::ffff:10.0.0.1", "-dnd"),
    ("abc.onion", "192.0.2.1", "-d-d"),
    ("abc.onion", "2001:db8::1", "-d-d"),
    ("ex.com", None, "----"),
    ("ex.com", "10.0.0.1", "--nn"),
    ("ex.com", "::ffff:10.0.0.1", "--nn"),
    ("ex.com", "192.0.2.1", "----"),
    ("ex.com", "2001:db8::1", "----"),
    ("10.0.0.1", None, "----"),
    ("10.0.0.1", "10.0.0.1", "--nn"),
    ("10.0.0.1", "::ffff:10.0.0.1", "--nn"),
    ("10.0.0.1", "192.0.2.1", "----"),
    ("[::ffff:10.0.0.1]:8448", None, "----"),
    ("[::ffff:10.0.0.1]:8448", "::ffff:10.0.0.1", "--nn"),
    ("[2001:db8::1]", None, "----"),
    ("[2001:db8::1]", "2001:db8::1", "----"),
    ("[2001:db8::1]", "10.0.0.1", "--nn"),
]

RULES = {"-": None, "d": "domain *.onion", "n": "network 10.0.0.0/8"}

# Networks of exempt_networks, the address that is dialled, and the rule.
NETWORKS = [
    (["10.0.0.0/8"], "10.255.255.255", "network 10.0.0.0/8"),
    (["10.0.0.0/8"], "11.0.0.0", None),
    (["10.0.0.0/8"], "::ffff:10.1.2.3", "network 10.0.0.0/8"),
    (["10.0.0.0/8"], "::10.1.2.3", None),
    # Only the mapped form is the IPv4 address itself: the others leave it to somebody else where they lead.
    (["10.0.0.0/8"], "64:ff9b::10.1.2.3", None),
    (["10.0.0.0/8"], "64:ff9b:1::10.1.2.3", None),
    (["10.0.0.0/8"], "::ffff:0:10.1.2.3", None),
    (["10.0.0.0/8"], "2002:a01:203::1", None),
    (["10.0.0.0/8"], "2001:0:a01:203::", None),
    (["10.0.0.0/8"], "2001::f5fe:fdfc", None),
    (["10.0.0.0/8"], "fe80::5efe:10.1.2.3", None),
    (["64:ff9b::/96"], "64:ff9b::10.1.2.3", "network 64:ff9b::/96"),
    (["64:ff9b::/96"], "10.1.2.3", None),
    (["2002:a01::/32"], "2002:a01:203::1", "network 2002:a01::/32"),
    (["10.1.2.3"], "10.1.2.3", "network 10.1.2.3/32"),
    (["10.1.2.3"], "10.1.2.2", None),
    (["10.1.2.3"], "10.1.2.4", None),
    (["::ffff:0:0/96"], "192.0.2.1", "network 0.0.0.0/0"),
    (["::ffff:0:0/96"], "2001:db8::1", None),
    (["::/0"], "fc00::1", "network ::/0"),
    (["fc00::/8"], "fcff:ffff::1", "network fc00::/8"),
    (["fc00::/8"], "fd00::1", None),
    (["200::/7"], "3ff:ffff::1", "network 200::/7"),
    (["200::/7"], "400::1", None),
    (["200::/7"], "1ff:ffff::1", None),
    (["::ffff:10.0.0.0/104"], "10.1.2.3", "network 10.0.0.0/8"),
    (["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", "network 10.0.0.0/8"),
    (["::ffff:10.0.0.0/104"], "11.0.0.0", None),
    (["::/0"], "10.1.2.3", None),
    (["::/0"], "::ffff:10.1.2.3", None),
    (["0.0.0.0/0"], "fc00::1", None),
    (["fc00::/7"], "fd00::1", "network fc00::/7"),
    (["192.0.2.1"], "192.0.2.1", "network 192.0.2.1/32"),
    (["10.0.0.0/8", "192.0.2.0/24"], "192.0.2.1", "network 192.0.2.0/24"),
    ([], "10.1.2.3", None),
]

# What makes a policy, and the setting that the error names.
UNUSABLE: list[tuple[str, Callable[[], object]]] = [
    ("client_key", lambda: TrustPolicy(client_key="key.pem")),
    ("ca_files", lambda: TrustPolicy(ca_files="ca.pem")),
    ("ca_files", lambda: TrustPolicy(ca_files=Path("ca.pem"))),
    ("ca_files", lambda: TrustPolicy(ca_files=5)),
    ("ca_files", lambda: TrustPolicy(ca_files=[5])),
    ("ca_files", lambda: TrustPolicy(ca_files=[None])),
    ("use_system_roots", lambda: TrustPolicy(use_system_roots="no")),  # type: ignore[arg-type]
    ("use_system_roots", lambda: TrustPolicy(use_system_roots=None)),  # type: ignore[arg-type]
    ("exempt_domains", lambda: TrustPolicy(exempt_domains="*.onion")),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=b"*.onion")),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=[b"*.onion"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=[None])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=[""])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["ex.com:8448"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["ex.com\n"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["[a-z].ex.com"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["10.0.0.1"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["10.0.*.1"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["[::1]"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["*.bücher.example"])),
    ("exempt_domains", lambda: TrustPolicy(exempt_domains=["ü" * 70])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks="10.0.0.0/8")),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=["10.0.0.1/8"])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=["ex.com"])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=[""])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=[None])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=[()])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=[10])),
    ("exempt_networks", lambda: TrustPolicy(exempt_networks=ip_network("10.0.0.0/30"))),
    ("minimum_tls", lambda: TrustPolicy(minimum_tls="1.1")),  # type: ignore[arg-type]
    ("minimum_tls", lambda: TrustPolicy(minimum_tls=1.2)),  # type: ignore[arg-type]
    ("allow", lambda: AddressPolicy(allow="10.0.0.0/8")),
    ("allow", lambda: AddressPolicy(allow=["10.0.0.0/33"])),
    ("deny", lambda: AddressPolicy(deny="10.0.0.0/8")),
    ("deny", lambda: AddressPolicy(deny=["10.0.0.1/8"])),
    ("well_known_timeout", lambda: DiscoveryPolicy(well_known_timeout=0)),
    ("well_known_timeout", lambda: DiscoveryPolicy(well_known_timeout=-1)),
    ("well_known_timeout", lambda: DiscoveryPolicy(well_known_timeout=float("nan"))),
    ("well_known_timeout", lambda: DiscoveryPolicy(well_known_timeout="15")),  # type: ignore[arg-type]
    ("dns_timeout", lambda: DiscoveryPolicy(dns_timeout=None)),  # type: ignore[arg-type]
    ("failure_lifetime", lambda: DiscoveryPolicy(failure_lifetime=True)),
    ("well_known_max_bytes", lambda: DiscoveryPolicy(well_known_max_bytes=-1)),
    ("well_known_max_redirects", lambda: DiscoveryPolicy(well_known_max_redirects=1.5)),  # type: ignore[arg-type]
    ("max_remembered", lambda: DiscoveryPolicy(max_remembered=True)),
    ("well_known_fetches", lambda: DiscoveryPolicy(well_known_fetches=0)),
    ("well_known_share", lambda: DiscoveryPolicy(well_known_share=0)),
    ("dns_queries", lambda: DiscoveryPolicy(dns_queries=0)),
    ("dns_share", lambda: DiscoveryPolicy(dns_share=-1)),
    ("guess_default_port", lambda: DiscoveryPolicy(guess_default_port="no")),  # type: ignore[arg-type]
    ("tcp_timeout", lambda: ConnectionPolicy(tcp_timeout=0)),
    ("max_targets", lambda: ConnectionPolicy(max_targets=0)),
    ("max_addresses", lambda: ConnectionPolicy(max_addresses=0)),
    ("idle_connections", lambda: ConnectionPolicy(idle_connections=-1)),
    ("attempt_delay", lambda: ConnectionPolicy(attempt_delay=0)),
    ("surplus_timeout", lambda: ConnectionPolicy(surplus_timeout=0)),
    ("queue_timeout", lambda: ConnectionPolicy(queue_timeout=-1)),
    ("open_connections", lambda: ConnectionPolicy(open_connections=0)),
    ("connecting", lambda: ConnectionPolicy(connecting=0)),
    ("max_repeatable_body", lambda: ConnectionPolicy(max_repeatable_body=True)),
    ("allow_https", lambda: GatewayPolicy(allow_https="no")),  # type: ignore[arg-type]
    ("show_server_names", lambda: GatewayPolicy(show_server_names=1)),  # type: ignore[arg-type]
    ("max_connections", lambda: GatewayPolicy(max_connections=0)),
    ("max_requests", lambda: GatewayPolicy(max_requests=0)),
    ("max_requests_per_destination", lambda: GatewayPolicy(max_requests_per_destination=0)),
    ("max_head_bytes", lambda: GatewayPolicy(max_head_bytes=0)),
    ("max_headers", lambda: GatewayPolicy(max_headers=0)),
    ("max_body_bytes", lambda: GatewayPolicy(max_body_bytes=-1)),
    ("head_timeout", lambda: GatewayPolicy(head_timeout=0)),
    ("idle_timeout", lambda: GatewayPolicy(idle_timeout=0)),
    ("body_grace", lambda: GatewayPolicy(body_grace=0)),
    ("minimum_rate", lambda: GatewayPolicy(minimum_rate=0)),
    ("write_timeout", lambda: GatewayPolicy(write_timeout=0)),
    ("response_timeout", lambda: GatewayPolicy(response_timeout=0)),
    ("drain_timeout", lambda: GatewayPolicy(drain_timeout=0)),
    ("retry_after", lambda: GatewayPolicy(retry_after=0.5)),  # type: ignore[arg-type]
    ("withheld_headers", lambda: GatewayPolicy(withheld_headers="b3")),
    ("withheld_headers", lambda: GatewayPolicy(withheld_headers=["b3", 3])),
    ("withheld_headers", lambda: GatewayPolicy(withheld_headers=["uberctx *"])),
    ("withheld_headers", lambda: GatewayPolicy(withheld_headers=[""])),
    ("withheld_headers", lambda: GatewayPolicy(withheld_headers=["b3\n"])),
]


def setting_of(make: Callable[[], object]) -> str | None:
    """Tell which setting an error names."""
    try:
        make()
    except ConfigurationError as error:
        return error.setting
    return None


class ExemptionTests(TestCase):
    """L{TrustPolicy.exemption}."""

    def test_t3_exempt_domains(self) -> None:
        """A name is exempt when a pattern fits all of it, without regard to case; a literal never is."""
        for patterns, name, rule in DOMAINS:
            policy = TrustPolicy(exempt_domains=patterns)
            found = policy.exemption(ServerName(name), ip_address("192.0.2.1"))
            self.assertEqual(found, rule, f"T3 {patterns} {name}")

    def test_t4_exempt_networks(self) -> None:
        """A connection is exempt when the address that it dials lies in a network; mapped IPv6 is its IPv4."""
        for networks, address, rule in NETWORKS:
            policy = TrustPolicy(exempt_networks=networks)
            found = policy.exemption(ServerName("ex.com"), ip_address(address))
            self.assertEqual(found, rule, f"T4 {networks} {address}")

    def test_t4_the_dialled_address_decides(self) -> None:
        """A literal in an exempt network is verified when something else is dialled, or nothing known."""
        policy = TrustPolicy(exempt_networks=["10.0.0.0/8"])
        dialled = [ip_address("10.0.0.1"), ip_address("192.0.2.1"), None]
        found = [policy.exemption(ServerName("10.0.0.1"), address) for address in dialled]
        self.assertEqual(found, ["network 10.0.0.0/8", None, None])

    def test_t3_t4_decisions(self) -> None:
        """A domain counts before a network, and each only for what it is about."""
        domains, networks = ["*.onion"], ["10.0.0.0/8"]
        policies = [TrustPolicy(exempt_domains=d, exempt_networks=n) for n in ([], networks) for d in ([], domains)]
        for name, dialled, decisions in DECISIONS:
            address = None if dialled is None else ip_address(dialled)
            found = [policy.exemption(ServerName(name), address) for policy in policies]
            self.assertEqual(found, [RULES[one] for one in decisions], f"T3 T4 {name} {dialled}")

    def test_t3_names_are_exempt_wherever_they_live(self) -> None:
        """For a domain the address does not matter, not even when there is none."""
        policy = TrustPolicy(exempt_domains=["*.onion"])
        self.assertEqual(policy.exemption(ServerName("abc.onion"), None), "domain *.onion")

    def test_nothing_is_exempt_by_default(self) -> None:
        """Without settings, private addresses and names are verified like all others."""
        found = [TrustPolicy().exemption(ServerName(name), ip_address("10.0.0.1")) for name in ("a.onion", "10.0.0.1")]
        self.assertEqual(found, [None, None])


class SettingsTests(TestCase):
    """What settings may be."""

    def test_t3_none_is_empty(self) -> None:
        """L{None} for a list is the empty list."""
        self.assertEqual(
            (TrustPolicy(ca_files=None, exempt_domains=None, exempt_networks=None), AddressPolicy(None, None)),
            (TrustPolicy(), AddressPolicy((), ())),
        )

    def test_t3_unusable_settings_are_named(self) -> None:
        """Whatever cannot be used is a L{ConfigurationError} with the name of the setting."""
        for number, (setting, make) in enumerate(UNUSABLE):
            self.assertEqual(setting_of(make), setting, f"row {number}")

    def test_the_smallest_numbers_are_usable(self) -> None:
        """Parts of a second, no redirects, no idle connections and a single attempt are settings."""
        discovery = DiscoveryPolicy(dns_timeout=0.1, well_known_max_redirects=0)
        connections = ConnectionPolicy(max_targets=1, idle_connections=0)
        found = (discovery.dns_timeout, discovery.well_known_max_redirects)
        self.assertEqual((*found, connections.max_targets, connections.idle_connections), (0.1, 0, 1, 0))

    def test_t3_a_u_label_is_answered_with_its_a_label(self) -> None:
        """The error says what must be written instead, wildcards included."""
        error = self.assertRaises(ConfigurationError, TrustPolicy, exempt_domains=["*.Bücher.example"])
        self.assertIn("'*.xn--bcher-kva.example'", error.reason)

    def test_networks_are_taken_in_every_form(self) -> None:
        """Text, single addresses and objects of C{ipaddress} are networks, and mapped ones their IPv4."""
        given = ["10.0.0.0/8", "192.0.2.1", ip_network("fc00::/7"), ip_address("::1"), "::ffff:10.0.0.0/104"]
        expected = tuple(map(ip_network, ["10.0.0.0/8", "192.0.2.1", "fc00::/7", "::1", "10.0.0.0/8"]))
        self.assertEqual(TrustPolicy(exempt_networks=given).exempt_networks, expected)

    def test_any_iterable_is_a_list(self) -> None:
        """A generator is read once, and kept as a tuple."""
        policy = TrustPolicy(exempt_domains=(f"{letter}.example" for letter in "AB"))
        self.assertEqual(policy.exempt_domains, ("a.example", "b.example"))

    def test_paths_are_taken_in_every_form(self) -> None:
        """Paths may be text, bytes or C{Path} objects."""
        policy = TrustPolicy(ca_files=["a.pem", Path("b.pem"), b"c.pem"])
        self.assertEqual(policy.ca_files, ("a.pem", "b.pem", "c.pem"))

    def test_policies_are_values(self) -> None:
        """Equal settings are one key, and different ones are not."""
        makers: list[Callable[[], Any]] = [
            lambda: TrustPolicy(exempt_domains=["a.example"]),
            lambda: TrustPolicy(exempt_domains=["b.example"]),
            AddressPolicy,
            lambda: AddressPolicy(allow=["10.0.0.0/8"]),
            DiscoveryPolicy,
            ConnectionPolicy,
            GatewayPolicy,
        ]
        self.assertEqual(len({make() for make in makers * 2}), len(makers))

    def test_the_repr_is_fit_for_a_log(self) -> None:
        """The long default of C{deny} and compiled patterns are left out."""
        found = [repr(AddressPolicy(allow=["10.0.0.0/8"])), repr(TrustPolicy(exempt_domains=["*.onion"]))]
        addresses = "AddressPolicy(allow=(IPv4Network('10.0.0.0/8'),))"
        trust = (
            "TrustPolicy(ca_files=(), use_system_roots=True, exempt_domains=('*.onion',), exempt_networks=(), "
            "minimum_tls='1.2', client_certificate=None, client_key=None, watch_interval=None, max_sessions=5000, "
            "max_session_bytes=83886080, session_lifetime=86400.0, ct_log_list=None, required_scts=0)"
        )
        self.assertEqual(found, [addresses, trust])


class DefaultTests(TestCase):
    """The numbers of DESIGN.md."""

    def test_addresses(self) -> None:
        """Nothing is allowed beyond what is not special."""
        self.assertEqual((AddressPolicy().allow, AddressPolicy().deny), ((), SPECIAL_PURPOSE))

    def test_special_purpose_blocks_do_not_overlap(self) -> None:
        """Cutting the reachable exceptions out leaves each address in one block at most."""
        clashes = [
            (one, other)
            for index, one in enumerate(SPECIAL_PURPOSE)
            for other in SPECIAL_PURPOSE[index + 1 :]
            if one.version == other.version and one.overlaps(other)
        ]
        self.assertEqual(clashes, [])

    def test_well_known(self) -> None:
        """15 s, 50 KiB and 5 redirects; 24 h, between 5 min and 48 h; 1 min after a failure."""
        policy = DiscoveryPolicy()
        limits = (policy.well_known_timeout, policy.well_known_max_bytes, policy.well_known_max_redirects)
        lifetimes = (policy.delegation_default, policy.delegation_minimum, policy.delegation_maximum)
        found = (limits, lifetimes, policy.failure_lifetime)
        self.assertEqual(found, ((15, 51_200, 5), (86_400, 300, 172_800), 60))

    def test_under_pressure(self) -> None:
        """1000 fetches of 5 s and 2000 queries of 3 s while others wait."""
        policy = DiscoveryPolicy()
        found = (policy.well_known_fetches, policy.well_known_share, policy.dns_queries, policy.dns_share)
        self.assertEqual(found, (1000, 5, 2000, 3))

    def test_dns(self) -> None:
        """10 s a lookup, 2000 at a time; 30 s to a day, at most 1 h for an absence; no guesses; 20,000 entries."""
        policy = DiscoveryPolicy()
        bounds = (policy.dns_minimum, policy.dns_maximum, policy.dns_negative_maximum)
        found = (policy.dns_timeout, policy.dns_queries, bounds, policy.guess_default_port, policy.max_remembered)
        self.assertEqual(found, (10, 2000, (30, 86_400, 3_600), False, 20_000))

    def test_connections(self) -> None:
        """Each limit of a connection has the default that the design names."""
        policy = ConnectionPolicy()
        delays = (policy.attempt_delay, policy.resolution_delay)
        connecting = (policy.tcp_timeout, policy.tls_timeout, policy.proxy_timeout, policy.connect_timeout)
        waiting = (policy.queue_timeout, policy.response_timeout, policy.silence_timeout)
        heads = (policy.max_head_bytes, policy.max_headers, policy.max_informational)
        self.assertEqual((delays, connecting), ((0.25, 0.05), (10, 10, 10, 30)))
        self.assertEqual((waiting, heads), ((30, 300, 90), (65_536, 200, 16)))

    def test_pool(self) -> None:
        """8 targets and 10 addresses are tried; 50 and 2000 open, 2 at once connecting; 5 and 1000 idle; an hour."""
        policy = ConnectionPolicy()
        tried = (policy.max_targets, policy.max_addresses)
        opened = (policy.open_connections, policy.total_open_connections, policy.connecting)
        idle = (policy.idle_connections, policy.total_idle_connections, policy.idle_timeout, policy.connection_lifetime)
        self.assertEqual((tried, opened, idle), ((8, 10), (50, 2000, 2), (5, 1000, 120, 3600)))
        self.assertEqual(policy.surplus_timeout, 5)


class GatewayPolicyTests(TestCase):
    """
    L{GatewayPolicy}.
    """

    def test_headers_are_compared_without_case(self) -> None:
        """
        They are kept in lower case.
        """
        self.assertEqual(GatewayPolicy(withheld_headers=["X-Trace", "b3"]).withheld_headers, ("x-trace", "b3"))

    def test_none_can_be_withheld(self) -> None:
        """
        The default is not added to what is said.
        """
        self.assertEqual(GatewayPolicy(withheld_headers=[]).withheld_headers, ())

    def test_trace_contexts_are_withheld(self) -> None:
        """
        Synapse's proxy drops those that Synapse sends.
        """
        self.assertLessEqual({"traceparent", "uber-trace-id", "b3"}, {*GatewayPolicy().withheld_headers})

    def test_it_is_more_patient_than_its_clients(self) -> None:
        """
        Synapse waits for 60 seconds; whoever closes first must be the client.
        """
        self.assertGreater(GatewayPolicy().response_timeout, 60)
