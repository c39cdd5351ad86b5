"""
Certificate Transparency over real sockets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import treq
from twisted.web.client import Agent, ResponseNeverReceived

from matrix_federation_agent import MatrixFederationAgent, TrustPolicy, https_policy
from matrix_federation_agent.errors import CertificateRejected, ConfigurationError
from tests.conformance.case import FederationCase, RawServer
from tests.tls.logs import Authority, SigningLog, log_list, write_log_list

EX = "192.0.2.1"
VALID = "valid SCTs of 2 logs; Alpha (Example): valid; Beta (Example): valid"
ONE = "valid SCTs of 1 log; Alpha (Example): valid"


class TransparencyCase(FederationCase):
    """
    A federation in which C{ex.com} has an address, and there are two logs.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.raw = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        self.authority = Authority()
        self.alpha, self.beta = SigningLog("Alpha"), SigningLog("Beta")
        self.root = Path(self.mktemp())
        self.root.write_bytes(self.authority.root_pem)
        self.list = Path(write_log_list(self.mktemp(), self.alpha.entry(), self.beta.entry()))

    def listen(self, *logs: SigningLog) -> None:
        """
        Let a server that keeps every byte show a certificate with SCTs of logs.
        """
        certificate = self.authority.issue(*[log.promise for log in logs])
        self.federation.listen_tls(EX, 8448, self.raw, self.authority.shown(certificate))

    def policy(self, required: int = 2, **settings: Any) -> TrustPolicy:
        """
        Require SCTs.
        """
        files = {"ca_files": [str(self.root)], "ct_log_list": str(self.list)}
        return TrustPolicy(**files, use_system_roots=False, required_scts=required, **settings)  # type: ignore[arg-type]

    def agent(self, required: int = 2, **settings: Any) -> MatrixFederationAgent:
        """
        Make an agent that requires SCTs.
        """
        return self.federation.agent(trust=self.policy(required, **settings))


class AgentTests(TransparencyCase):
    """
    L{MatrixFederationAgent}.
    """

    async def test_enough(self) -> None:
        """
        A server for which enough logs vouch is asked.
        """
        self.listen(self.alpha, self.beta)
        response = await self.get("ex.com", self.agent())
        self.assertEqual((response.code, self.raw.accepted), (200, 1))

    async def test_too_few(self) -> None:
        """
        A server for which too few vouch gets no byte of a request.
        """
        self.listen(self.alpha)
        error = await self.fails(self.get("ex.com", self.agent()), CertificateRejected)
        self.assertEqual((error.phase, error.depth, self.raw.accepted, self.raw.received), ("tls", 0, 1, b""))
        self.assertIn(f"it needs valid SCTs of 2 logs, but has {ONE} (", error.reason)

    async def test_none_required(self) -> None:
        """
        Where none is required a server without any is asked.
        """
        self.listen()
        self.assertEqual((await self.get("ex.com", self.agent(0))).code, 200)

    async def test_exempt(self) -> None:
        """
        So is a server whose certificate is not checked.
        """
        self.listen()
        self.assertEqual((await self.get("ex.com", self.agent(exempt_domains=["ex.com"]))).code, 200)

    async def test_every_connection_is_judged(self) -> None:
        """
        What fetches C{.well-known} requires SCTs as well: where the certificate has none, there is no delegation.
        """
        certificate = self.authority.shown(self.authority.issue())
        self.federation.listen_tls(EX, 443, self.raw, certificate)
        route = await self.agent().resolve("ex.com")
        self.assertEqual((str(route.effective), self.raw.accepted, self.raw.received), ("ex.com", 1, b""))

    async def test_reload(self) -> None:
        """
        After C{reload_trust} the logs of the new list count.
        """
        self.listen(self.alpha, self.beta)
        agent = self.agent()
        await self.get("ex.com", agent)
        self.list.write_bytes(log_list(self.alpha.entry(), self.beta.entry(state="rejected")))
        agent.reload_trust()
        error = await self.fails(self.get("ex.com", agent), CertificateRejected)
        self.assertIn("Beta (Example): the log was rejected", error.reason)

    async def test_a_broken_list(self) -> None:
        """
        A list that cannot be used leaves the logs of before.
        """
        self.listen(self.alpha, self.beta)
        agent = self.agent()
        self.list.write_bytes(b"{}")
        self.assertRaises(ConfigurationError, agent.reload_trust)
        self.assertEqual((await self.get("ex.com", agent)).code, 200)


class CheckTests(TransparencyCase):
    """
    L{MatrixFederationAgent.check}.
    """

    async def shown(self, agent: MatrixFederationAgent) -> str | None:
        """
        Look at the TLS of the server.
        """
        route = await agent.check("ex.com:8448")
        ((inspection,),) = [target.inspections for target in route.targets]
        self.assertIsNone(inspection.error)
        return inspection.transparency

    async def test_the_outcome(self) -> None:
        """
        It is told in words, also where a request went before it, whose session could be resumed.
        """
        self.listen(self.alpha, self.beta)
        agent = self.agent()
        await self.get("ex.com:8448", agent)
        self.assertEqual(await self.shown(agent), VALID)

    async def test_what_would_not_be_enough(self) -> None:
        """
        Where none is required the outcome shows what there is.
        """
        self.listen(self.alpha)
        self.assertEqual(await self.shown(self.agent(0)), ONE)

    async def test_exempt(self) -> None:
        """
        Nothing is known of what is not checked.
        """
        self.listen(self.alpha, self.beta)
        self.assertIsNone(await self.shown(self.agent(exempt_domains=["ex.com"])))


class PolicyTests(TransparencyCase):
    """
    L{https_policy}.
    """

    async def status(self) -> int:
        """
        Send a GET request by a plain C{Agent}.

        @return: the status.
        """
        agent = Agent(self.federation.reactor, contextFactory=https_policy(self.policy()))
        response = await agent.request(b"GET", b"https://ex.com:8448/")
        await treq.content(response)
        status: int = response.code
        return status

    async def test_enough(self) -> None:
        """
        A server for which enough logs vouch is asked.
        """
        self.listen(self.alpha, self.beta)
        self.assertEqual(await self.status(), 200)

    async def test_too_few(self) -> None:
        """
        A server for which too few vouch gets no byte.
        """
        self.listen(self.alpha)
        error = await self.fails(self.status(), ResponseNeverReceived)  # type: ignore[type-var]
        (reason,) = error.reasons
        self.assertEqual((reason.type, self.raw.received), (CertificateRejected, b""))
