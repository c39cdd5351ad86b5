"""
CONFORMANCE 6: proxies.
"""

from __future__ import annotations

import treq
from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, MatrixFederationAgent, ProxyPolicy, TrustPolicy
from matrix_federation_agent.errors import (
    AddressDenied,
    CertificateRejected,
    ConnectionFailed,
    HandshakeFailed,
    ProxyError,
    ResolutionFailed,
    TimedOut,
)
from matrix_federation_agent.testing import DOCUMENTATION_RANGES
from tests.conformance.case import FederationCase, RawServer, until
from tests.proxies.scripted import CountingFactory, ScriptedProxy, WorkingProxy

EX = "192.0.2.1"
PROXY = "192.0.2.50"
HTTP = f"http://{PROXY}:3128"
SOCKS = f"socks5h://{PROXY}:3128"
TLS = "https://proxy.example:3128"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


class ProxyCase(FederationCase):
    """
    A federation with a proxy.
    """

    def setUp(self) -> None:
        """
        Let a proxy run that works.
        """
        super().setUp()
        self.onions: dict[str, str] = {}
        self.proxy = WorkingProxy(self.federation, lambda name: self.onions.get(name) or self.dns.address_of(name))

    def run_proxy(self, proxy: CountingFactory | None = None, address: str = PROXY) -> None:
        """
        Let a proxy listen, by default the one that works.
        """
        self.federation.listen_tcp(address, 3128, proxy or self.proxy)

    def through(self, url: str, *, resolve_here: bool = False, **settings: object) -> MatrixFederationAgent:
        """
        Make an agent for which a proxy leads everywhere.
        """
        return self.federation.agent(proxies=ProxyPolicy([("*", url)], resolve_here), **settings)

    def trusting(self, **settings: object) -> TrustPolicy:
        """
        Trust the federation's root, with further settings.
        """
        return TrustPolicy(self.federation.trust.ca_files, False, **settings)  # type: ignore[arg-type]


class ConnectTests(ProxyCase):
    """
    P1: HTTP CONNECT.
    """

    async def test_P1_connect_and_then_tls(self) -> None:
        """
        The proxy is asked for host and port, and the server proves its name inside.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.serve("ex.com", EX)
        response = await self.get("ex.com:8448", self.through(HTTP))
        self.assertEqual((response.code, self.proxy.asked, self.sni), (200, ["ex.com:8448"], [b"ex.com"]))
        self.assertEqual((self.dns.queries, self.federation.dialled), ([], [(PROXY, 3128), (EX, 8448)]))

    async def test_P1_credentials_go_to_the_proxy_only(self) -> None:
        """
        The server sees none of them.
        """
        self.run_proxy()
        server = self.serve(EX, EX)
        await self.get(EX, self.through(f"http://user:pass@{PROXY}:3128"))
        (request,) = server.requests
        self.assertIn(b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n", self.proxy.received)
        self.assertEqual([name for name, _ in request.headers if name.lower().startswith("proxy")], [])

    async def test_P1_ipv6_in_brackets(self) -> None:
        """
        A literal is asked for as a literal.
        """
        self.run_proxy()
        self.serve("2001:db8::1", "2001:db8::1")
        await self.get("[2001:db8::1]", self.through(HTTP))
        self.assertEqual(self.proxy.asked, ["[2001:db8::1]:8448"])

    async def test_P1_a_refusal(self) -> None:
        """
        What is no 2xx is a C{ProxyError} with its status, and the proxy's name without credentials.
        """
        proxy = ScriptedProxy(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        self.run_proxy(proxy)
        error = await self.fails(self.get(EX, self.through(f"http://user:pass@{PROXY}:3128")), ProxyError)
        self.assertEqual((error.status, error.proxy, error.phase), (403, HTTP, "proxy"))
        (attempt,) = error.attempts
        self.assertEqual((attempt.target, attempt.address, error.server_name), (f"{EX}:8448", None, EX))

    async def test_P1_the_certificate_counts_inside(self) -> None:
        """
        A proxy that leads to somebody else brings nothing.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.serve("ex.org", EX)
        await self.fails(self.get("ex.com:8448", self.through(HTTP)), CertificateRejected)

    async def test_P1_what_follows_the_response_is_the_server_s(self) -> None:
        """
        Bytes after the head go to TLS, at once.
        """
        self.run_proxy(ScriptedProxy(OK + b"no TLS at all"))
        error = await self.fails(self.get(EX, self.through(HTTP)), HandshakeFailed)
        self.assertEqual(error.phase, "tls")

    async def test_connections_are_reused(self) -> None:
        """
        A second request needs no proxy, for its connection exists.
        """
        self.run_proxy()
        server = self.serve(EX, EX)
        agent = self.through(HTTP)
        for _ in range(2):
            await self.get(EX, agent)
        self.assertEqual((self.proxy.accepted, len(server.requests)), (1, 2))


class CheckTests(ProxyCase):
    """
    C{agent.check} goes through the proxy as well.
    """

    async def test_what_the_proxy_finds_is_looked_at(self) -> None:
        """
        There is one inspection, without an address.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.serve("ex.com", EX)
        route = await self.through(SOCKS).check("ex.com:8448")
        (seen,) = route.targets[0].inspections
        self.assertEqual(
            (seen.address, seen.error, seen.certificate and seen.certificate.names), (None, None, ("ex.com",))
        )

    async def test_a_proxy_that_refuses(self) -> None:
        """
        Its refusal is what is found.
        """
        self.run_proxy(ScriptedProxy(b"HTTP/1.1 403 Forbidden\r\n\r\n"))
        route = await self.through(HTTP).check(EX)
        (seen,) = route.targets[0].inspections
        self.assertEqual((seen.address, type(seen.error)), (None, ProxyError))

    async def test_the_log_names_the_target(self) -> None:
        """
        Of an exempt connection that a proxy made, where it goes is told.
        """
        self.run_proxy()
        self.onions["a.onion"] = EX
        self.serve("nobody.example", EX)
        with capturedLogs() as events:
            await self.get("a.onion", self.through(SOCKS, trust=self.trusting(exempt_domains=["*.onion"])))
        self.assertEqual([event["address"] for event in events if "rule" in event][-1], "a.onion:8448")


class TLSProxyTests(ProxyCase):
    """
    P1: proxies that are spoken to in TLS.
    """

    def run_tls(self, *names: str) -> None:
        """
        Let the proxy show a certificate.
        """
        self.dns.add_address("proxy.example", PROXY)
        self.federation.listen_tls(PROXY, 3128, self.proxy, self.certificates.issue(*names))

    async def test_P1_tls_in_tls(self) -> None:
        """
        The proxy proves its name, and the server its own inside.
        """
        self.run_tls("proxy.example")
        self.serve(EX, EX)
        agent = self.through(TLS)
        responses = [await self.get(EX, agent) for _ in range(2)]
        self.assertEqual(([one.code for one in responses], self.proxy.asked), ([200, 200], [f"{EX}:8448"]))

    async def test_T7_roots_that_are_replaced_meanwhile(self) -> None:
        """
        A handshake with the proxy under the old roots is made anew.
        """
        self.run_tls("proxy.example")
        server = self.serve(EX, EX)
        agents = [agent := self.through(TLS)]

        def reload_once() -> None:
            while agents:
                agents.pop().reload_trust()

        self.proxy.at_connection = reload_once
        await self.get(EX, agent)
        self.assertEqual((self.proxy.accepted, self.proxy.asked, len(server.requests)), (2, [f"{EX}:8448"], 1))

    async def test_large_bodies_in_both_directions(self) -> None:
        """
        More than any buffer holds passes through both.
        """
        self.run_tls("proxy.example")
        raw = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000, closes=False)
        self.federation.listen_tls(EX, 8448, raw, self.certificates.issue(EX))
        response = await self.ask(EX, self.through(TLS))
        self.assertEqual(len(await treq.content(response)), 3_000_000)

    async def test_P1_a_proxy_that_is_another_gets_no_credentials(self) -> None:
        """
        With the wrong certificate it is a failed proxy, exempt or not, and nothing was said to it.
        """
        self.run_tls("ex.org")
        trust = self.trusting(exempt_domains=["*"], exempt_networks=["192.0.2.0/24"])
        agent = self.through("https://user:pass@proxy.example:3128", trust=trust)
        error = await self.fails(self.get(EX, agent), ProxyError)
        self.assertEqual((error.proxy, error.status, self.proxy.received), (TLS, None, b""))
        self.assertIsInstance(error.attempts[0].error.__cause__, CertificateRejected)

    async def test_a_proxy_without_tls(self) -> None:
        """
        One that does not finish the handshake is late in the phase of the proxy.
        """
        self.dns.add_address("proxy.example", PROXY)
        proxy = ScriptedProxy()
        self.run_proxy(proxy)
        agent = self.through(TLS, connections=ConnectionPolicy(tls_timeout=0.1))
        error = await self.fails(self.get(EX, agent), TimedOut)
        await until(lambda: proxy.connected == 0)
        self.assertEqual((error.phase, error.reason.count("proxy.example")), ("proxy", 1))


class SocksTests(ProxyCase):
    """
    P2: SOCKS5, and .onion names.
    """

    async def test_P2_the_proxy_resolves(self) -> None:
        """
        No query for the name leaves this machine but the proxy's own.
        """
        self.run_proxy()
        self.onions["ex.com"] = EX
        self.serve("ex.com", EX)
        response = await self.get("ex.com:8448", self.through(SOCKS))
        self.assertEqual((response.code, self.proxy.asked, self.dns.queries), (200, ["ex.com:8448"], []))

    async def test_P2_onion_names(self) -> None:
        """
        They work, C{.well-known} included, without any query; by SOCKS and by CONNECT.
        """
        self.run_proxy()
        self.onions["abc.onion"] = EX
        server = self.serve("abc.onion", EX)
        for url in (SOCKS, HTTP):
            agent = self.federation.agent(proxies=ProxyPolicy([("*.onion", url)], resolve_here=True))
            await self.get("abc.onion", agent)
        self.assertEqual((len(server.requests), self.dns.queries), (2, []))
        self.assertEqual(self.proxy.asked, ["abc.onion:443", "abc.onion:8448"] * 2)

    async def test_D9_onion_names_without_a_proxy(self) -> None:
        """
        The error says what is missing, and nobody is asked.
        """
        agent = self.federation.agent(proxies=ProxyPolicy([("*.com", SOCKS)]))
        error = await self.fails(self.get("abc.onion", agent), ResolutionFailed)
        self.assertEqual((self.dns.queries, "proxy rule" in error.reason), ([], True))

    async def test_P2_literals(self) -> None:
        """
        Addresses of either family are sent as addresses.
        """
        self.run_proxy()
        for address in (EX, "2001:db8::1"):
            self.serve(address, address)
        agent = self.through(SOCKS)
        codes = [(await self.get(name, agent)).code for name in (EX, "[2001:db8::1]")]
        self.assertEqual((codes, self.proxy.asked), ([200, 200], [f"{EX}:8448", "2001:db8::1:8448"]))

    async def test_P2_a_refusal(self) -> None:
        """
        The code of the reply is in the error.
        """
        self.run_proxy(ScriptedProxy(b"\x05\x00", b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"))
        error = await self.fails(self.get(EX, self.through(SOCKS)), ProxyError)
        self.assertEqual((error.status, error.proxy), (2, SOCKS))


class RuleTests(ProxyCase):
    """
    Which connections go through which proxy.
    """

    async def test_well_known_obeys_the_rules(self) -> None:
        """
        The document and the server that it names are both fetched through the proxy.
        """
        self.run_proxy()
        server = self.federation.add_server("ex.com", "3.2", delegated_to="m.ex.com:4242")
        await self.get("ex.com", self.through(HTTP))
        self.assertEqual((self.proxy.asked, len(server.requests)), (["ex.com:443", "m.ex.com:4242"], 1))

    async def test_https_obeys_the_rules(self) -> None:
        """
        An ordinary request goes the same way.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.serve("ex.com", EX, 443)
        response = await self.through(SOCKS).request(b"GET", b"https://ex.com/")
        await treq.content(response)
        self.assertEqual(self.proxy.asked, ["ex.com:443"])

    async def test_the_host_that_is_connected_to_decides(self) -> None:
        """
        Rules are asked about the target of an SRV record, and not about the name before it.
        """
        self.run_proxy()
        self.federation.add_server("ex.com", "4")
        rules = [("ex.com", "direct"), ("fed.ex.com", HTTP)]
        await self.get("ex.com", self.federation.agent(proxies=ProxyPolicy(rules)))
        self.assertEqual(self.proxy.asked, ["fed.ex.com:8443"])

    async def test_ports_of_the_environment(self) -> None:
        """
        An exception may be for one port.
        """
        self.run_proxy()
        for port in (443, 8448):
            self.serve(EX, EX, port)
        proxies = ProxyPolicy.from_environment({"https_proxy": HTTP, "no_proxy": f"{EX}:443"})
        agent = self.federation.agent(proxies=proxies)
        for port in (443, 8448):
            await self.get(f"{EX}:{port}", agent)
        self.assertEqual(self.proxy.asked, [f"{EX}:8448"])

    async def test_the_next_target_after_a_proxy_that_refused(self) -> None:
        """
        A failed proxy is one failed attempt.
        """
        self.run_proxy(ScriptedProxy(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"))
        for number, address in enumerate(["192.0.2.7", EX]):
            self.dns.add_address(f"t{number}.net", address)
            self.dns.add_service("_matrix-fed._tcp.ex.com", f"t{number}.net", 8448, priority=number)
        self.serve("ex.com", EX)
        response = await self.get("ex.com", self.federation.agent(proxies=ProxyPolicy([("t0.net", HTTP)])))
        self.assertEqual((response.code, self.federation.dialled[-2:]), (200, [(PROXY, 3128), (EX, 8448)]))


class PolicyTests(ProxyCase):
    """
    The address and trust policies, where a proxy dials.
    """

    async def test_denied_literals(self) -> None:
        """
        The proxy is not even asked for an address that is denied.
        """
        self.run_proxy()
        for url in (HTTP, SOCKS):
            error = await self.fails(self.get("10.0.0.1", self.through(url)), AddressDenied)
            self.assertEqual((error.address, self.proxy.accepted), ("10.0.0.1", 0))

    async def test_the_proxy_itself_may_be_anywhere(self) -> None:
        """
        The operator named it: the address policy is not asked.
        """
        self.run_proxy(address="10.0.0.1")
        self.serve(EX, EX)
        self.assertEqual((await self.get(EX, self.through("http://10.0.0.1:3128"))).code, 200)

    async def test_resolve_here(self) -> None:
        """
        With it a CONNECT proxy is asked for addresses, the permitted ones in turn.
        """
        self.run_proxy()
        for address in ("10.0.0.1", "192.0.2.7", EX):
            self.dns.add_address("ex.com", address)
        self.serve("ex.com", EX)
        await self.get("ex.com:8448", self.through(HTTP, resolve_here=True))
        self.assertEqual(set(self.proxy.asked) - {"192.0.2.7:8448"}, {f"{EX}:8448"})

    async def test_resolve_here_ipv6(self) -> None:
        """
        An IPv6 address is asked for in brackets, and errors tell it.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", "2001:db8::1")
        error = await self.fails(self.get("ex.com:8448", self.through(HTTP, resolve_here=True)), ProxyError)
        self.assertEqual(self.proxy.asked, ["[2001:db8::1]:8448"])
        self.assertEqual((error.status, error.attempts[0].address), (502, "2001:db8::1"))

    async def test_resolve_here_denies(self) -> None:
        """
        A name with denied addresses only is not asked for.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", "10.0.0.1")
        await self.fails(self.get("ex.com:8448", self.through(HTTP, resolve_here=True)), AddressDenied)
        self.assertEqual(self.proxy.accepted, 0)

    async def test_P2_resolve_here_is_not_for_socks(self) -> None:
        """
        A SOCKS proxy resolves all the same.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.serve("ex.com", EX)
        await self.get("ex.com:8448", self.through(SOCKS, resolve_here=True))
        self.assertEqual((self.proxy.asked, self.hosts), (["ex.com:8448"], []))

    async def test_T4_no_network_is_exempt_through_a_proxy(self) -> None:
        """
        Neither for a literal nor for an address that was resolved here: what the proxy dials is not known.
        """
        self.run_proxy()
        self.dns.add_address("ex.com", EX)
        self.federation.serve_homeserver("x", EX, 8448, certificate=self.certificates.self_signed("nobody"))
        trust = self.trusting(exempt_networks=["0.0.0.0/0"])
        for name in (EX, "ex.com:8448"):
            agent = self.through(HTTP, resolve_here=True, trust=trust)
            await self.fails(self.get(name, agent), CertificateRejected)

    async def test_T3_domains_are_exempt_through_a_proxy(self) -> None:
        """
        A name is a name wherever it is resolved.
        """
        self.run_proxy()
        self.onions["abc.onion"] = EX
        self.federation.serve_homeserver("x", EX, 8448, certificate=self.certificates.self_signed("nobody"))
        agent = self.through(SOCKS, trust=self.trusting(exempt_domains=["*.onion"]))
        self.assertEqual((await self.get("abc.onion:8448", agent)).code, 200)

    async def test_T7_roots_that_are_replaced_meanwhile(self) -> None:
        """
        A handshake through a proxy under the old roots is made anew.
        """
        agents: list[MatrixFederationAgent] = []

        def reloading(name: str) -> str:
            while agents:
                agents.pop().reload_trust()
            return EX

        self.proxy = WorkingProxy(self.federation, reloading)
        self.run_proxy()
        server = self.serve("ex.com", EX)
        agent = self.through(HTTP)
        agents.append(agent)
        await self.get("ex.com:8448", agent)
        self.assertEqual((len(self.proxy.asked), len(server.requests)), (2, 1))


class UnreachableTests(ProxyCase):
    """
    Proxies that are not there.
    """

    async def test_nobody_listens(self) -> None:
        """
        It is the proxy that was not reached, and not the server.
        """
        error = await self.fails(self.get(EX, self.through(SOCKS)), ProxyError)
        self.assertEqual((error.proxy, error.phase, self.federation.dialled), (SOCKS, "proxy", [(PROXY, 3128)]))

    async def test_its_name_has_no_address(self) -> None:
        """
        That is told with the name.
        """
        error = await self.fails(self.get(EX, self.through("http://proxy.example:3128")), ProxyError)
        self.assertIsInstance(error.attempts[0].error.__cause__, ResolutionFailed)

    async def test_the_next_address(self) -> None:
        """
        Of a proxy with several addresses the first that answers is used.
        """
        for address in ("2001:db8::50", PROXY):
            self.dns.add_address("proxy.example", address)
        self.run_proxy()
        self.serve(EX, EX)
        await self.get(EX, self.through("http://proxy.example:3128"))
        self.assertEqual(self.federation.dialled[:2], [("2001:db8::50", 3128), (PROXY, 3128)])

    async def test_not_more_addresses_than_of_a_server(self) -> None:
        """
        The limit of addresses is one for proxies as well.
        """
        for address in ("2001:db8::50", PROXY):
            self.dns.add_address("proxy.example", address)
        agent = self.through("http://proxy.example:3128", connections=ConnectionPolicy(max_addresses=1))
        await self.fails(self.get(EX, agent), ProxyError)
        self.assertEqual(self.federation.dialled, [("2001:db8::50", 3128)])

    async def test_a_black_hole(self) -> None:
        """
        TCP to the proxy has its limit.
        """
        self.federation.black_hole(PROXY, 3128)
        agent = self.through(HTTP, connections=ConnectionPolicy(tcp_timeout=0.1))
        error = await self.fails(self.get(EX, agent), TimedOut)
        self.assertEqual((error.phase, error.seconds), ("proxy", 0.1))


class HostileTests(ProxyCase):
    """
    Proxies that say what no proxy says.
    """

    async def test_each_is_a_proxy_error(self) -> None:
        """
        Whatever it says, the error is typed, and the connection is dropped.
        """
        scripts: list[tuple[str, tuple[bytes | None, ...]]] = [
            (HTTP, (None,)),
            (HTTP, (b"HTTP/1.1 200", None)),
            (HTTP, (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,)),
            (HTTP, (b"HTTP/1.1 103 Hints\r\n\r\n" * 50,)),
            (HTTP, (b"\x05\x00", None)),
            (SOCKS, (None,)),
            (SOCKS, (b"HTTP/1.1 400 Bad Request\r\n\r\n",)),
            (SOCKS, (b"\x05\x02",)),
            (SOCKS, (b"\x05\x00", None)),
            (SOCKS, (b"\x05\x00", b"\x05\x00\x00\x03\xff" + b"x" * 256)),
            (SOCKS, (b"\x05\x00", b"x" * 1_000_000)),
        ]
        self.run_proxy(proxy := ScriptedProxy())
        policy = ConnectionPolicy(proxy_timeout=0.2)
        for url, answers in scripts:
            proxy.answers = answers
            error = await self.assertFailure(
                self.ask(EX, self.through(url, connections=policy)), ConnectionFailed, TimedOut
            )
            await until(lambda: proxy.connected == 0)
            phase = getattr(error, "phase", None)
            self.assertEqual((phase, b"GET" in proxy.received), ("proxy", False), answers)

    async def test_long_answers(self) -> None:
        """
        The limit of the answer is the policy's.
        """
        self.run_proxy(ScriptedProxy(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100))
        agent = self.through(HTTP, connections=ConnectionPolicy(max_proxy_bytes=100))
        error = await self.fails(self.get(EX, agent), ProxyError)
        self.assertIn("longer than 100 bytes", error.reason)

    async def test_silence(self) -> None:
        """
        A proxy that says nothing, or not enough, has its own limit, and is left.
        """
        for url, answers in ((HTTP, (b"HTTP/1.1 200 OK\r\n",)), (SOCKS, (b"\x05\x00", b"\x05\x00\x00"))):
            proxy = ScriptedProxy(*answers)
            self.run_proxy(proxy)
            agent = self.through(url, connections=ConnectionPolicy(proxy_timeout=0.1))
            error = await self.fails(self.get(EX, agent), TimedOut)
            await until(lambda proxy=proxy: proxy.connected == 0)  # type: ignore[misc]
            self.assertEqual((error.phase, error.seconds), ("proxy", 0.1))
            await self.federation.close(PROXY, 3128)

    async def test_a_server_behind_it_that_is_silent(self) -> None:
        """
        Once the proxy has led there, the limit of TLS holds.
        """
        proxy = ScriptedProxy(OK)
        self.run_proxy(proxy)
        agent = self.through(HTTP, connections=ConnectionPolicy(tls_timeout=0.1))
        error = await self.fails(self.get(EX, agent), TimedOut)
        await until(lambda: proxy.connected == 0)
        self.assertEqual((error.phase, error.seconds), ("tls", 0.1))


class EndTests(ProxyCase):
    """
    Who gives up, drops the connection to the proxy.
    """

    async def test_cancelling(self) -> None:
        """
        Before and after the proxy's answer, in the clear and in TLS.
        """
        self.dns.add_address("proxy.example", PROXY)
        for url, answers in ((HTTP, ()), (HTTP, (OK,)), (SOCKS, (b"\x05\x00",)), (TLS, ())):
            proxy = ScriptedProxy(*answers)
            self.run_proxy(proxy)
            asking = self.ask(EX, self.through(url))
            await until(lambda proxy=proxy, answers=answers: len(proxy.received) > len(answers))  # type: ignore[misc]
            asking.cancel()
            await self.assertFailure(asking, CancelledError)
            await until(lambda proxy=proxy: proxy.connected == 0)  # type: ignore[misc]
            self.assertEqual(proxy.accepted, 1)
            await self.federation.close(PROXY, 3128)

    async def test_cancelling_tls_in_tls(self) -> None:
        """
        In the negotiation with a proxy that proved its name, and in the handshake with the server behind it.
        """
        self.dns.add_address("proxy.example", PROXY)
        for answers, begun in (((), b"\r\n\r\n"), ((OK,), b"\r\n\r\n\x16\x03")):
            proxy = ScriptedProxy(*answers)
            self.federation.listen_tls(PROXY, 3128, proxy, self.certificates.issue("proxy.example"))
            agent = self.through(TLS)
            asking = self.ask(EX, agent)
            await until(lambda proxy=proxy, begun=begun: begun in proxy.received)  # type: ignore[misc]
            asking.cancel()
            await self.assertFailure(asking, CancelledError)
            await agent.close()
            await until(lambda proxy=proxy: proxy.connected == 0)  # type: ignore[misc]
            await self.federation.close(PROXY, 3128)

    async def test_closing_the_agent(self) -> None:
        """
        Nothing is left of a negotiation when the agent is closed.
        """
        for url in (HTTP, SOCKS):
            proxy = ScriptedProxy()
            self.run_proxy(proxy)
            agent = self.through(url)
            asking = self.ask(EX, agent)
            await until(lambda proxy=proxy: proxy.received != b"")  # type: ignore[misc]
            closing = agent.close()
            await self.assertFailure(asking, CancelledError)
            await closing
            await until(lambda proxy=proxy: proxy.connected == 0)  # type: ignore[misc]
            await self.federation.close(PROXY, 3128)


class RouteTests(ProxyCase):
    """
    What the explained route says.
    """

    async def test_through(self) -> None:
        """
        The proxy stands in the place of addresses, without credentials, and exemptions are those of names.
        """
        trust = self.trusting(exempt_domains=["*.onion"], exempt_networks=["0.0.0.0/0"])
        agent = self.through(f"socks5h://user:pass@{PROXY}:3128", trust=trust)
        routes = [await agent.resolve(name) for name in ("abc.onion:1", "192.0.2.9")]
        expected = [
            f"abc.onion:1: through {SOCKS} (certificate not checked: domain *.onion)",
            f"192.0.2.9:8448: through {SOCKS}",
        ]
        self.assertEqual([str(route.targets[0]) for route in routes], expected)

    async def test_addresses_that_were_resolved_here(self) -> None:
        """
        They are shown, the denied ones with their reason.
        """
        for address in ("10.0.0.1", EX):
            self.dns.add_address("ex.com", address)
        addresses = AddressPolicy(allow=DOCUMENTATION_RANGES)
        trust = self.trusting(exempt_networks=["0.0.0.0/0"])
        agent = self.through(HTTP, resolve_here=True, addresses=addresses, trust=trust)
        (target,) = (await agent.resolve("ex.com:8448")).targets
        self.assertEqual((target.proxy, target.addresses, len(target.refused)), (HTTP, (EX,), 1))
        self.assertEqual(target.exempt, ())
