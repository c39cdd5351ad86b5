"""
CONFORMANCE 2: who must answer, and where they listen.
"""

from __future__ import annotations

import attrs
import treq
from twisted.web.http_headers import Headers

from matrix_federation_agent import AddressPolicy
from matrix_federation_agent.errors import CertificateRejected
from matrix_federation_agent.testing import DOCUMENTATION_RANGES, STEPS
from tests.conformance.case import FederationCase, RawServer

EX = "192.0.2.1"
DELEGATE = "192.0.2.2"
TARGET = "192.0.2.3"
FED = "_matrix-fed._tcp."
OLD = "_matrix._tcp."


@attrs.frozen
class Seen:
    """
    What the network saw of one request.
    """

    host: str | None
    sni: bytes | None
    dialled: list[str]
    services: list[str] = attrs.field(factory=list)
    hosts: list[str] = attrs.field(factory=list)


class WhoAndWhereCase(FederationCase):
    """
    A federation in which C{ex.com} has an address.
    """

    def setUp(self) -> None:
        """
        Give the names their addresses.
        """
        super().setUp()
        for name, address in {"ex.com": EX, "m.ex.com": DELEGATE, "t.net": TARGET}.items():
            self.dns.add_address(name, address)

    def delegate(self, to: str) -> None:
        """
        Let C{ex.com} delegate.
        """
        self.federation.serve_well_known("ex.com", {"m.server": to})

    async def reach(self, name: str, identity: str, address: str, port: int) -> Seen:
        """
        Send one request to a server which proves one identity at one place.
        """
        server = self.serve(identity, address, port)
        allowed = AddressPolicy(allow=[*DOCUMENTATION_RANGES, "::1/128"])
        await self.get(name, self.federation.agent(addresses=allowed))
        (sni,) = self.sni
        (request,) = server.requests
        dialled = [f"{host} {port}" for host, port in self.federation.dialled]
        return Seen(request.host, sni, dialled, list(self.services), list(self.hosts))


class FixedTests(WhoAndWhereCase):
    """
    Names that say themselves where the server is.
    """

    async def test_R1_ipv4_literal(self) -> None:
        """
        An IPv4 literal is dialled at port 8448, and nothing is looked up.
        """
        seen = await self.reach("1.2.3.4", "1.2.3.4", "1.2.3.4", 8448)
        self.assertEqual(seen, Seen("1.2.3.4", None, ["1.2.3.4 8448"]))

    async def test_R2_ipv4_literal_with_port(self) -> None:
        """
        An IPv4 literal with a port is dialled there, and the port stays in Host.
        """
        seen = await self.reach("1.2.3.4:443", "1.2.3.4", "1.2.3.4", 443)
        self.assertEqual(seen, Seen("1.2.3.4:443", None, ["1.2.3.4 443"]))

    async def test_R3_ipv6_literal(self) -> None:
        """
        An IPv6 literal is dialled at port 8448, and keeps its brackets in Host.
        """
        self.assertEqual(await self.reach("[::1]", "::1", "::1", 8448), Seen("[::1]", None, ["::1 8448"]))

    async def test_R3_ipv6_literal_with_port(self) -> None:
        """
        An IPv6 literal with a port is dialled there, be it the port of http.
        """
        self.assertEqual(await self.reach("[::1]:80", "::1", "::1", 80), Seen("[::1]:80", None, ["::1 80"]))

    async def test_R4_name_with_port(self) -> None:
        """
        An explicit port saves both C{.well-known} and SRV.
        """
        seen = await self.reach("ex.com:8443", "ex.com", EX, 8443)
        self.assertEqual(seen, Seen("ex.com:8443", b"ex.com", [f"{EX} 8443"], [], ["ex.com"]))

    async def test_R4_name_with_the_default_port(self) -> None:
        """
        Port 8448 is an explicit port like any other, and stays in Host.
        """
        seen = await self.reach("ex.com:8448", "ex.com", EX, 8448)
        self.assertEqual(seen, Seen("ex.com:8448", b"ex.com", [f"{EX} 8448"], [], ["ex.com"]))

    async def test_R4_port_as_given(self) -> None:
        """
        The port stands in Host as it was written, leading zeros and all.
        """
        seen = await self.reach("ex.com:08443", "ex.com", EX, 8443)
        self.assertEqual(seen, Seen("ex.com:08443", b"ex.com", [f"{EX} 8443"], [], ["ex.com"]))


class DelegatedTests(WhoAndWhereCase):
    """
    Names that delegate by C{.well-known}.
    """

    async def test_R5_delegated_ipv4_literal(self) -> None:
        """
        A delegated IPv4 literal is dialled at port 8448.
        """
        self.delegate("42.42.42.42")
        seen = await self.reach("ex.com", "42.42.42.42", "42.42.42.42", 8448)
        self.assertEqual(seen, Seen("42.42.42.42", None, [f"{EX} 443", "42.42.42.42 8448"], [], ["ex.com"]))

    async def test_R5_delegated_ipv4_literal_with_port(self) -> None:
        """
        A delegated IPv4 literal with a port is dialled there.
        """
        self.delegate("42.42.42.42:443")
        seen = await self.reach("ex.com", "42.42.42.42", "42.42.42.42", 443)
        self.assertEqual(seen, Seen("42.42.42.42:443", None, [f"{EX} 443", "42.42.42.42 443"], [], ["ex.com"]))

    async def test_R6_delegated_ipv6_literal(self) -> None:
        """
        A delegated IPv6 literal is dialled at port 8448.
        """
        self.delegate("[2001:db8::1]")
        seen = await self.reach("ex.com", "2001:db8::1", "2001:db8::1", 8448)
        self.assertEqual(seen, Seen("[2001:db8::1]", None, [f"{EX} 443", "2001:db8::1 8448"], [], ["ex.com"]))

    async def test_R6_delegated_ipv6_literal_with_port(self) -> None:
        """
        A delegated IPv6 literal with a port is dialled there.
        """
        self.delegate("[2001:db8::1]:4443")
        seen = await self.reach("ex.com", "2001:db8::1", "2001:db8::1", 4443)
        self.assertEqual(seen, Seen("[2001:db8::1]:4443", None, [f"{EX} 443", "2001:db8::1 4443"], [], ["ex.com"]))

    async def test_R7_delegated_name_with_port(self) -> None:
        """
        A delegated name with a port needs no SRV record.
        """
        self.delegate("m.ex.com:4242")
        seen = await self.reach("ex.com", "m.ex.com", DELEGATE, 4242)
        dialled = [f"{EX} 443", f"{DELEGATE} 4242"]
        self.assertEqual(seen, Seen("m.ex.com:4242", b"m.ex.com", dialled, [], ["ex.com", "m.ex.com"]))

    async def test_R8_delegated_name_with_srv(self) -> None:
        """
        A delegated name is found by its SRV record, and answers as itself.
        """
        self.delegate("m.ex.com")
        self.dns.add_service(FED + "m.ex.com", "t.net", 8443)
        self.dns.add_service(OLD + "m.ex.com", "ex.com", 1)
        seen = await self.reach("ex.com", "m.ex.com", TARGET, 8443)
        dialled = [f"{EX} 443", f"{TARGET} 8443"]
        self.assertEqual(seen, Seen("m.ex.com", b"m.ex.com", dialled, [FED + "m.ex.com"], ["ex.com", "t.net"]))

    async def test_R9_delegated_name_with_deprecated_srv(self) -> None:
        """
        Without the current SRV record of a delegated name the deprecated one decides.
        """
        self.delegate("m.ex.com")
        self.dns.add_service(OLD + "m.ex.com", "t.net", 8443)
        seen = await self.reach("ex.com", "m.ex.com", TARGET, 8443)
        services = [FED + "m.ex.com", OLD + "m.ex.com"]
        dialled = [f"{EX} 443", f"{TARGET} 8443"]
        self.assertEqual(seen, Seen("m.ex.com", b"m.ex.com", dialled, services, ["ex.com", "t.net"]))

    async def test_R10_delegated_name_without_srv(self) -> None:
        """
        A delegated name without SRV records is dialled at port 8448.
        """
        self.delegate("m.ex.com")
        seen = await self.reach("ex.com", "m.ex.com", DELEGATE, 8448)
        services = [FED + "m.ex.com", OLD + "m.ex.com"]
        dialled = [f"{EX} 443", f"{DELEGATE} 8448"]
        self.assertEqual(seen, Seen("m.ex.com", b"m.ex.com", dialled, services, ["ex.com", "m.ex.com"]))

    async def test_R10_the_delegate_is_not_asked_whom_it_delegates_to(self) -> None:
        """
        A delegation is one step: what the delegated name says in turn is never fetched.
        """
        self.delegate("m.ex.com")
        second = self.federation.serve_well_known("m.ex.com", {"m.server": "t.net"})
        await self.reach("ex.com", "m.ex.com", DELEGATE, 8448)
        self.assertEqual(second.requests, [])


class UndelegatedTests(WhoAndWhereCase):
    """
    Names that answer for themselves.
    """

    async def test_R11_srv(self) -> None:
        """
        Without a delegation the SRV record of the name itself decides.
        """
        self.dns.add_service(FED + "ex.com", "t.net", 8443)
        self.dns.add_service(OLD + "ex.com", "ex.com", 1)
        seen = await self.reach("ex.com", "ex.com", TARGET, 8443)
        dialled = [f"{EX} 443", f"{TARGET} 8443"]
        self.assertEqual(seen, Seen("ex.com", b"ex.com", dialled, [FED + "ex.com"], ["ex.com", "t.net"]))

    async def test_R12_deprecated_srv(self) -> None:
        """
        Without the current SRV record the deprecated one decides.
        """
        self.dns.add_service(OLD + "ex.com", "t.net", 8443)
        seen = await self.reach("ex.com", "ex.com", TARGET, 8443)
        dialled = [f"{EX} 443", f"{TARGET} 8443"]
        services = [FED + "ex.com", OLD + "ex.com"]
        self.assertEqual(seen, Seen("ex.com", b"ex.com", dialled, services, ["ex.com", "t.net"]))

    async def test_R13_default_port(self) -> None:
        """
        Without anything the name itself is dialled at port 8448.
        """
        seen = await self.reach("ex.com", "ex.com", EX, 8448)
        dialled = [f"{EX} 443", f"{EX} 8448"]
        services = [FED + "ex.com", OLD + "ex.com"]
        self.assertEqual(seen, Seen("ex.com", b"ex.com", dialled, services, ["ex.com"]))

    async def test_R14_srv_target_is_an_idna_name(self) -> None:
        """
        An A-label in an SRV record is dialled as it is, and the server name keeps its place.
        """
        self.dns.add_address("xn--bcher-kva.com", TARGET)
        self.dns.add_service(FED + "ex.com", "xn--bcher-kva.com", 8443)
        seen = await self.reach("ex.com", "ex.com", TARGET, 8443)
        dialled = [f"{EX} 443", f"{TARGET} 8443"]
        hosts = ["ex.com", "xn--bcher-kva.com"]
        self.assertEqual(seen, Seen("ex.com", b"ex.com", dialled, [FED + "ex.com"], hosts))

    async def test_R18_capitals(self) -> None:
        """
        A name in capitals stays so in Host, and is in lower case in SNI.
        """
        seen = await self.reach("EX.com", "ex.com", EX, 8448)
        self.assertEqual((seen.host, seen.sni), ("EX.com", b"ex.com"))

    async def test_names_that_hostname_endpoint_refuses(self) -> None:
        """
        N11: labels that are no IDNA can be dialled.
        """
        for number, name in enumerate(["r3---sn.example", "ab--cd.com", "a-.com", "-a.com"]):
            self.dns.add_address(name, address := f"192.0.2.{10 + number}")
            self.federation.serve_homeserver(name, address, 8448)
            self.assertEqual((await self.get(name)).code, 200, name)


class IdentityTests(WhoAndWhereCase):
    """
    The certificate must be the effective name's, and no other.
    """

    async def refused(self, name: str, address: str, port: int, *proven: str) -> bytes:
        """
        Send a request to a server which proves other identities.

        @return: the bytes that the server received inside TLS.
        """
        raw = RawServer()
        self.federation.listen_tls(address, port, raw, self.certificates.issue(*proven))
        await self.fails(self.get(name), CertificateRejected)
        return raw.received

    async def test_R15_certificate_of_the_original_name(self) -> None:
        """
        With a delegation, a certificate for the original name proves nothing.
        """
        self.delegate("m.ex.com")
        self.assertEqual(await self.refused("ex.com", DELEGATE, 8448, "ex.com"), b"")

    async def test_R16_certificate_of_the_srv_target(self) -> None:
        """
        A certificate for the SRV target proves nothing.
        """
        self.dns.add_service(FED + "ex.com", "t.net", 8443)
        self.assertEqual(await self.refused("ex.com", TARGET, 8443, "t.net", TARGET), b"")

    async def test_R16_certificate_of_a_delegated_names_srv_target(self) -> None:
        """
        Neither the original name nor the SRV target stands in for a delegated name.
        """
        self.delegate("m.ex.com")
        self.dns.add_service(FED + "m.ex.com", "t.net", 8443)
        self.assertEqual(await self.refused("ex.com", TARGET, 8443, "ex.com", "t.net", TARGET), b"")

    async def test_every_step_demands_the_effective_name(self) -> None:
        """
        By each step a server with a certificate for all names but the effective one is refused.
        """
        names = {"1": "192.0.2.7", "2": "two.example:8443"}
        for step in STEPS:
            name = names.get(step, f"s{step.replace('.', '-')}.example")
            wrong = (f"fed.{name}", "192.0.2.99", "example", f"x.{name}", *([name] if step.startswith("3.") else []))
            certificate_names = tuple(one.partition(":")[0] for one in wrong)
            server = self.federation.add_server(name, step, certificate_names=certificate_names)
            error = await self.fails(self.get(name), CertificateRejected)
            self.assertEqual((error.server_name, error.depth, error.code, server.requests), (name, 0, None, []))


class HostHeaderTests(FederationCase):
    """
    C{Host} is ours.
    """

    async def test_R17_the_callers_host_is_replaced(self) -> None:
        """
        However the caller's own Host is spelt, the server receives one, and it is ours.
        """
        server = self.federation.add_server("ex.com", "3.2", delegated_to="m.ex.com:4242")
        headers = Headers({b"HOST": [b"evil.example", b"other.example"], b"X-Kept": [b"1"]})
        uri = b"matrix-federation://ex.com/x"
        await treq.content(await self.federation.agent().request(b"GET", uri, headers))
        received = [value for name, value in server.requests[0].headers if name == "host"]
        self.assertEqual(received, ["m.ex.com:4242"])

    async def test_R17_the_callers_headers_stay_as_they_were(self) -> None:
        """
        The caller's Headers object is not changed.
        """
        self.federation.add_server("ex.com", "6")
        headers = Headers({b"Host": [b"evil.example"]})
        await treq.content(await self.federation.agent().request(b"GET", b"matrix-federation://ex.com/x", headers))
        self.assertEqual(headers, Headers({b"Host": [b"evil.example"]}))
