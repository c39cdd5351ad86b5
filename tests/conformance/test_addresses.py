"""
CONFORMANCE 6: which addresses may be dialled.
"""

from __future__ import annotations

from ipaddress import ip_network

from matrix_federation_agent import AddressPolicy
from matrix_federation_agent.errors import AddressDenied, CertificateRejected, ConnectionFailed
from matrix_federation_agent.testing import DOCUMENTATION_RANGES
from tests.conformance.case import FederationCase

GOOD = "192.0.2.1"
INNER = "10.0.0.1"


class AddressCase(FederationCase):
    """
    A federation with a server at a permitted and one at a denied address.
    """

    def setUp(self) -> None:
        """
        Place both.
        """
        super().setUp()
        self.good = self.federation.serve_homeserver("ex.com", GOOD, 8448)
        names = ("ex.com", INNER, "inner.example")
        self.inner = self.federation.serve_homeserver("ex.com", INNER, 8448, certificate_names=names)

    @property
    def tried(self) -> list[str]:
        """
        The addresses that were dialled, whatever the port.
        """
        return [address for address, _ in self.federation.dialled]

    async def denied(self, name: str) -> AddressDenied:
        """
        Send a request that must not be dialled.
        """
        error = await self.fails(self.get(name), AddressDenied)
        self.assertEqual((error.server_name, error.phase, self.tried), (name, "policy", []))
        return error


class DenialTests(AddressCase):
    """
    A1 and A2: names.
    """

    async def test_A1_names_at_special_addresses(self) -> None:
        """
        A name that resolves to a special-purpose address is not dialled, and the error names address and range.
        """
        addresses = {
            "127.0.0.1": "127.0.0.0/8",
            "10.1.2.3": "10.0.0.0/8",
            "172.31.0.1": "172.16.0.0/12",
            "192.168.1.1": "192.168.0.0/16",
            "169.254.169.254": "169.254.0.0/16",
            "100.64.0.1": "100.64.0.0/10",
            "0.0.0.0": "0.0.0.0/8",
            "224.0.0.1": "224.0.0.0/4",
            "255.255.255.255": "240.0.0.0/4",
            "::1": "::1/128",
            "::": "::/128",
            "fd00::1": "fc00::/7",
            "fe80::1": "fe80::/10",
            "ff02::1": "ff00::/8",
        }
        for number, (address, network) in enumerate(addresses.items()):
            self.dns.add_address(name := f"n{number}.example", address)
            error = await self.denied(name)
            self.assertEqual((error.address, error.network), (address, ip_network(network)))

    async def test_A2_one_permitted_address(self) -> None:
        """
        Of a name's addresses the permitted one is dialled, and only that.
        """
        for address in (INNER, GOOD, "::1"):
            self.dns.add_address("ex.com", address)
        await self.get("ex.com")
        self.assertEqual((set(self.tried), len(self.good.requests)), ({GOOD}, 1))

    async def test_A2_the_permitted_address_is_dead(self) -> None:
        """
        When the permitted one does not answer, the error still tells of the denied one, which stays undialled.
        """
        for address in (INNER, "192.0.2.2"):
            self.dns.add_address("ex.com", address)
        error = await self.fails(self.get("ex.com"), ConnectionFailed)
        self.assertEqual([type(attempt.error) for attempt in error.attempts], [AddressDenied, ConnectionFailed])
        self.assertEqual(set(self.tried), {"192.0.2.2"})


class EveryWayTests(AddressCase):
    """
    A3: the same rule on every way to an address.
    """

    async def test_A3_literals(self) -> None:
        """
        A literal, with or without a port, is judged as a name is.
        """
        for name in (INNER, f"{INNER}:8448", "[::1]", "[::1]:443", "[::ffff:10.0.0.1]", "127.0.0.1:22"):
            await self.denied(name)
        self.assertEqual(self.inner.connections, 0)

    async def test_A3_delegated_literals(self) -> None:
        """
        So is one that a document names.
        """
        for number, literal in enumerate([INNER, f"{INNER}:8448", "[::1]:443", "[::ffff:10.0.0.1]"]):
            name = f"n{number}.example"
            document = self.federation.serve_well_known(name, {"m.server": literal})
            await self.fails(self.get(name), AddressDenied)
            self.assertEqual(self.tried[number:], [document.address])

    async def test_A3_delegated_names(self) -> None:
        """
        So are the addresses of a delegated name.
        """
        self.dns.add_address("inner.example", INNER)
        self.federation.serve_well_known("ex.com", {"m.server": "inner.example:8448"})
        await self.fails(self.get("ex.com"), AddressDenied)
        self.assertNotIn(INNER, self.tried)

    async def test_A3_srv_targets(self) -> None:
        """
        So are those of an SRV target.
        """
        self.dns.add_address("inner.example", INNER)
        self.dns.add_address("ex.com", GOOD)
        self.dns.add_service("_matrix-fed._tcp.ex.com", "inner.example", 8448)
        error = await self.fails(self.get("ex.com"), AddressDenied)
        self.assertEqual((error.address, INNER in self.tried), (INNER, False))

    async def test_A3_well_known_hosts(self) -> None:
        """
        A document at a denied address is not fetched, and so there is no delegation.
        """
        self.dns.add_address("ex.com", INNER)
        self.dns.add_address("t.net", GOOD)
        self.dns.add_service("_matrix-fed._tcp.ex.com", "t.net", 8448)
        document = self.federation.serve_well_known("ex.com", {"m.server": "astray.example"})
        await self.get("ex.com")
        self.assertEqual((document.requests, self.tried, len(self.good.requests)), ([], [GOOD], 1))

    async def test_A3_redirects(self) -> None:
        """
        A redirect to a denied address is not followed.
        """
        self.dns.add_address("ex.com", GOOD)
        inner = self.federation.serve_well_known("inner.example", {"m.server": "astray.example"}, address="10.0.0.2")
        headers = {"location": "https://inner.example/.well-known/matrix/server"}
        self.federation.serve_well_known("ex.com", b"", status=302, headers=headers)
        await self.get("ex.com")
        self.assertEqual((inner.requests, self.tried), ([], [GOOD, GOOD]))

    async def test_A3_https_requests(self) -> None:
        """
        An https request stands under the same rule.
        """
        for uri in (b"https://10.0.0.1:8448/", b"https://[::ffff:a00:1]:8448/"):
            await self.fails(self.federation.agent().request(b"GET", uri), AddressDenied)
        self.assertEqual(self.tried, [])

    async def test_A3_at_the_moment_of_dialling(self) -> None:
        """
        A name that was permitted once is judged anew when it is dialled again.
        """
        self.dns.add_address("ex.com", GOOD)
        agent = self.federation.agent()
        await self.get("ex.com", agent)
        await self.federation.reactor.disconnect_all()
        self.dns.remove("ex.com")
        self.dns.add_address("ex.com", INNER)
        agent.forget("ex.com")
        await self.fails(self.get("ex.com", agent), AddressDenied)
        self.assertEqual(self.inner.connections, 0)


class AllowanceTests(AddressCase):
    """
    A4 to A6: what is allowed, and what hides inside IPv6.
    """

    async def test_A4_allow_overrides_for_names(self) -> None:
        """
        A name at an allowed private address is dialled.
        """
        self.dns.add_address("inner.example", INNER)
        allowed = AddressPolicy(allow=["10.0.0.0/24"])
        await self.get("inner.example:8448", self.federation.agent(addresses=allowed))
        self.assertEqual(len(self.inner.requests), 1)

    async def test_A4_allow_overrides_for_literals(self) -> None:
        """
        So is an allowed literal, and its neighbour outside the range is not.
        """
        agent = self.federation.agent(addresses=AddressPolicy(allow=[f"{INNER}/32"]))
        await self.get(INNER, agent)
        await self.fails(self.get("10.0.0.2", agent), AddressDenied)
        self.assertEqual((len(self.inner.requests), self.tried), (1, [INNER]))

    async def test_A4_own_deny_list(self) -> None:
        """
        A list of one's own replaces the default one.
        """
        addresses = AddressPolicy(deny=["192.0.2.0/31"], allow=["192.0.2.0/32"])
        agent = self.federation.agent(addresses=addresses)
        error = await self.fails(self.get(GOOD, agent), AddressDenied)
        self.assertEqual((error.network, self.tried), (ip_network("192.0.2.0/31"), []))

    async def test_A5_ipv4_inside_ipv6(self) -> None:
        """
        IPv6 that leads to a denied IPv4 address is denied, by name and by literal.
        """
        texts = """
            ::ffff:10.0.0.1 ::10.0.0.1 2002:a00:1:: 64:ff9b::10.0.0.1 2001:0:a00:1:: ::ffff:0:10.0.0.1
            2001:0:808:808:0:0:f5ff:fffe
        """
        for number, address in enumerate(texts.split()):
            self.dns.add_address(name := f"n{number}.example", address)
            await self.denied(name)
            await self.denied(f"[{address}]")

    async def test_A5_permitted_ipv4_inside_ipv6(self) -> None:
        """
        A mapped address of a permitted IPv4 address is dialled.
        """
        self.federation.serve_homeserver("::ffff:192.0.2.9", "::ffff:192.0.2.9", 8448)
        self.assertEqual((await self.get("[::ffff:192.0.2.9]")).code, 200)

    async def test_A6_public_ipv6(self) -> None:
        """
        Public IPv6 is permitted by default.
        """
        self.federation.serve_homeserver("2606:4700::1", "2606:4700::1", 8448)
        agent = self.federation.agent(addresses=AddressPolicy())
        self.assertEqual((await self.get("[2606:4700::1]", agent)).code, 200)

    async def test_the_policy_knows_no_identity(self) -> None:
        """
        An allowed address needs its certificate as every other does.
        """
        self.dns.add_address("other.example", INNER)
        agent = self.federation.agent(addresses=AddressPolicy(allow=[*DOCUMENTATION_RANGES, "10.0.0.0/8"]))
        await self.fails(self.get("other.example:8448", agent), CertificateRejected)
        self.assertEqual(self.inner.requests, [])
