"""
CONFORMANCE 6: which TLS sessions are resumed over real sockets, and which are not.
"""

from __future__ import annotations

from pathlib import Path
from ssl import SSLContext

from twisted.internet.defer import gatherResults

from matrix_federation_agent import MatrixFederationAgent, TrustPolicy
from matrix_federation_agent.errors import CertificateRejected
from tests.conformance.case import FederationCase
from tests.tls.ticket_server import TicketServer, server_context

EX = "192.0.2.1"


class SessionCase(FederationCase):
    """
    A federation with servers that close after each response, so that every request is a new connection.
    """

    def context(self, *names: str, newest: str = "1.3", tickets: bool = True) -> SSLContext:
        """
        Make the TLS settings of a server with a good certificate.
        """
        return server_context(self.certificates.issue(*names), Path(self.mktemp()), newest=newest, tickets=tickets)

    def place(self, context: SSLContext, address: str = EX, port: int = 8448, *, farewell: bool = True) -> TicketServer:
        """
        Let a server listen.
        """
        server = TicketServer(context, farewell=farewell)
        self.federation.listen_tcp(address, port, server)
        return server

    def agent(self, **settings: object) -> MatrixFederationAgent:
        """
        Make an agent that trusts the federation's root, with further settings.
        """
        trusted = {"ca_files": self.federation.trust.ca_files, "use_system_roots": False}
        return self.federation.agent(trust=TrustPolicy(**{**trusted, **settings}))  # type: ignore[arg-type]

    async def visits(self, server: TicketServer, *names: str, agent: MatrixFederationAgent | None = None) -> list[bool]:
        """
        Send requests one after the other.

        @return: which of them were resumed.
        """
        agent = agent or self.agent()
        for name in names:
            await self.get(name, agent)
        return server.resumed


class ResumptionTests(SessionCase):
    """
    Reconnecting goes on from the last handshake.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)

    async def test_reconnecting_resumes(self) -> None:
        """
        Only the first of several connections shows a certificate: TLS 1.3 with tickets and with a state that the
        server keeps, TLS 1.2 with a ticket and with a session id.
        """
        for number, (newest, tickets) in enumerate((("1.3", True), ("1.3", False), ("1.2", True), ("1.2", False))):
            address = f"192.0.2.{10 + number}"
            self.dns.add_address(f"ex{number}.com", address)
            server = self.place(self.context(f"ex{number}.com", newest=newest, tickets=tickets), address)
            resumed = await self.visits(server, *[f"ex{number}.com"] * 4)
            self.assertEqual(resumed, [False, True, True, True], f"TLS {newest}, tickets: {tickets}")

    async def test_a_server_without_farewell(self) -> None:
        """
        A server that closes TCP without closing TLS is resumed as well.
        """
        for number, newest in enumerate(("1.2", "1.3")):
            address = f"192.0.2.{10 + number}"
            self.dns.add_address(f"ex{number}.com", address)
            server = self.place(self.context(f"ex{number}.com", newest=newest), address, farewell=False)
            self.assertEqual(await self.visits(server, *[f"ex{number}.com"] * 3), [False, True, True], newest)

    async def test_no_ticket_is_used_twice(self) -> None:
        """
        Of two connections at once, one is offered the session; the other makes one of its own.
        """
        server, agent = self.place(self.context("ex.com")), self.agent()
        await self.get("ex.com", agent)
        await gatherResults([self.ask("ex.com", agent), self.ask("ex.com", agent)])
        self.assertEqual(sorted(server.resumed), [False, False, True])

    async def test_none_are_remembered(self) -> None:
        """
        With C{max_sessions=0} every handshake is a full one.
        """
        server = self.place(self.context("ex.com"))
        self.assertEqual(await self.visits(server, *["ex.com"] * 3, agent=self.agent(max_sessions=0)), [False] * 3)

    async def test_well_known_is_not_resumed(self) -> None:
        """
        The connections that fetch C{.well-known} are made once a day: they remember no session.
        """
        self.dns.add_address("wk.com", "192.0.2.9")
        server, agent = self.place(self.context("wk.com"), "192.0.2.9", 443), self.agent()
        for _ in range(2):
            await agent.resolve("wk.com")
            agent.forget("wk.com")
        self.assertEqual(server.resumed, [False, False])


class BoundaryTests(SessionCase):
    """
    A session is offered nowhere but where it was made.
    """

    def setUp(self) -> None:
        """
        Give two names one address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.dns.add_address("ex.org", EX)

    async def test_another_name(self) -> None:
        """
        Two names on one address, port and certificate do not share a session.
        """
        server = self.place(self.context("ex.com", "ex.org"))
        self.assertEqual(await self.visits(server, "ex.com", "ex.org", "ex.org", "ex.com"), [False, False, True, True])

    async def test_another_port(self) -> None:
        """
        Nor do two ports of one name, although the servers share their keys.
        """
        context = self.context("ex.com")
        first, second, agent = self.place(context), self.place(context, port=8449), self.agent()
        for name in ("ex.com:8448", "ex.com:8449"):
            await self.get(name, agent)
        self.assertEqual((first.resumed, second.resumed), ([False], [False]))

    async def test_other_roots(self) -> None:
        """
        After a reload of the roots the server proves itself anew.
        """
        server, agent = self.place(self.context("ex.com")), self.agent()
        await self.get("ex.com", agent)
        agent.reload_trust()
        self.assertEqual(await self.visits(server, "ex.com", "ex.com", agent=agent), [False, False, True])

    async def test_another_server_that_cannot_resume(self) -> None:
        """
        Who answers the offer of a session with a full handshake and a bad certificate is refused, in both versions.
        """
        for number, newest in enumerate(("1.2", "1.3")):
            name, address = f"ex{number}.com", f"192.0.2.{10 + number}"
            self.dns.add_address(name, address)
            server, agent = self.place(self.context(name, newest=newest), address), self.agent()
            await self.get(name, agent)
            bad = self.certificates.unknown_root(name)
            server.context = server_context(bad, Path(self.mktemp()), newest=newest)
            error = await self.fails(self.get(name, agent), CertificateRejected)
            self.assertEqual((error.code, server.resumed), (20, [False]), newest)

    async def test_T5_exempt_connections_have_no_sessions(self) -> None:
        """
        An exempt connection is neither offered a session nor leaves one, in both versions.
        """
        for number, newest in enumerate(("1.2", "1.3")):
            name, address = f"ex{number}.com", f"192.0.2.{10 + number}"
            self.dns.add_address(name, address)
            server = self.place(self.context(name, newest=newest), address)
            resumed = await self.visits(server, *[name] * 3, agent=self.agent(exempt_domains=["*"]))
            self.assertEqual(resumed, [False] * 3, newest)

    async def test_T5_exempt_by_address(self) -> None:
        """
        Of one name, the connections to an exempt address and those to another share no session.
        """
        context = self.context("ex.com")
        agent = self.agent(exempt_networks=["192.0.2.2/32"])
        verified, exempt = self.place(context), self.place(context, "192.0.2.2")
        await self.get("ex.com", agent)
        self.dns.remove("ex.com")
        self.dns.add_address("ex.com", "192.0.2.2")
        agent.forget()
        await self.get("ex.com", agent)
        self.assertEqual((verified.resumed, exempt.resumed), ([False], [False]))
