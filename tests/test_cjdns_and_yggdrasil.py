"""
What C{docs/cjdns_and_yggdrasil.rst} shows is run.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol

from matrix_federation_agent import MatrixFederationAgent
from matrix_federation_agent.errors import AddressDenied, CertificateRejected
from matrix_federation_agent.testing import VirtualServer
from tests.cli.kit import FederationCase as CommandCase
from tests.conformance.case import FederationCase

PAGE = (Path(__file__).parent.parent / "docs" / "cjdns_and_yggdrasil.rst").read_text("utf-8")

CJDNS = "fc93:1145:f24c:ee59:4a09:288e:ada8:901"
YGGDRASIL = "200:1111::7"


def shown(beginning: str) -> str:
    """
    Find the line that begins so.
    """
    (found,) = re.findall(rf"^    ({re.escape(beginning)}.*)$", PAGE, re.MULTILINE)
    return str(found)


class AgentTests(FederationCase):
    """
    The agent of the page.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        (block,) = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", PAGE)
        names: dict[str, Any] = {"reactor": self.federation.reactor}
        exec(dedent(block), names)
        self.agent: MatrixFederationAgent = names["agent"]
        self.addCleanup(self.agent.close)

    def place(self, address: str) -> VirtualServer:
        """
        Place a server whose certificate proves nothing.
        """
        certificate = self.certificates.self_signed("nobody")
        return self.federation.serve_homeserver(f"[{address}]", address, 8448, certificate=certificate)

    async def test_T4_the_address_is_the_proof(self) -> None:
        """
        Servers of both networks, and of yggdrasil's subnets, are reached without a certificate.
        """
        for address in (CJDNS, YGGDRASIL, "300:1111:2222:3333::7"):
            server = self.place(address)
            await self.get(f"[{address}]", self.agent)
            self.assertEqual([request.host for request in server.requests], [f"[{address}]"])

    async def test_T4_others_are_verified(self) -> None:
        """
        Beside these networks a certificate is needed.
        """
        for address in ("1ff:ffff::1", "400::1", "9.9.9.9"):
            server = self.place(address)
            name = f"[{address}]" if ":" in address else address
            await self.fails(self.get(name, self.agent), CertificateRejected)
            self.assertEqual(server.requests, [])

    async def test_A4_private_addresses_stay_refused(self) -> None:
        """
        The other half of the unique local addresses is not permitted.
        """
        self.place("fd93::1")
        await self.fails(self.get("[fd93::1]", self.agent), AddressDenied)

    async def test_A1_cjdns_must_be_allowed(self) -> None:
        """
        Without C{allow} its addresses are not dialled, and those of yggdrasil are, as the table says.
        """
        agent = self.federation.agent(trust=self.agent._trust.generation.policy)
        self.place(CJDNS)
        self.place(YGGDRASIL)
        await self.fails(self.get(f"[{CJDNS}]", agent), AddressDenied)
        self.assertEqual((await self.get(f"[{YGGDRASIL}]", agent)).code, 200)

    async def test_the_endpoint_string(self) -> None:
        """
        It connects.
        """
        self.place(YGGDRASIL)
        endpoint = clientFromString(self.federation.reactor, shown("matrix:"))
        protocol = await connectProtocol(endpoint, Protocol())
        transport: Any = protocol.transport
        self.addCleanup(transport.abortConnection)
        self.assertEqual(transport.getPeer().port, 8448)

    async def test_DNS_decides_for_names(self) -> None:
        """
        The page warns of it: a name that leads there is not verified.
        """
        server = self.place(YGGDRASIL)
        self.dns.add_address("ex.com", YGGDRASIL)
        agent = self.federation.agent(trust=self.agent._trust.generation.policy)
        await self.get("ex.com", agent)
        self.assertEqual([request.host for request in server.requests], ["ex.com"])


class CommandTests(CommandCase):
    """
    The command of the page.
    """

    async def test_check(self) -> None:
        """
        The server passes, and why is said.
        """
        certificate = self.federation.certificates.self_signed("nobody")
        self.federation.serve_homeserver(f"[{CJDNS}]", CJDNS, 8448, certificate=certificate)
        program, *arguments = shlex.split(shown("matrix-federation "))
        said = await self.run_command(*arguments)
        self.assertEqual((program, said.status), ("matrix-federation", 0))
        self.assertIn(b"certificate not checked: network fc00::/8\n", said.output)
