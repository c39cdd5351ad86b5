"""
The configurations of the documentation do what it says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import treq

from matrix_federation_agent import ConnectionPolicy, MatrixFederationAgent, ProxyPolicy
from tests.conformance.case import FederationCase
from tests.proxies.scripted import WorkingProxy

DOCS = Path(__file__).parent.parent.parent / "docs"
EX = "192.0.2.1"


def blocks(page: str) -> list[str]:
    """
    Find the Python in a page.
    """
    text = (DOCS / page).read_text("utf-8")
    return [dedent(block) for block in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)]


class DocumentedTests(FederationCase):
    """
    C{proxies.rst} and C{onion.rst}.
    """

    def run_block(self, block: str) -> dict[str, Any]:
        """
        Run some Python of a page; an agent that it makes is closed.
        """
        names: dict[str, Any] = {"reactor": self.federation.reactor, "ProxyPolicy": ProxyPolicy}
        exec(block, names)
        if "agent" in names:
            self.addCleanup(names["agent"].close)
        return names

    def run_proxy(self, address: str, port: int) -> WorkingProxy:
        """
        Let a proxy listen where the page says.
        """
        proxy = WorkingProxy(self.federation, lambda _: EX)
        self.federation.listen_tcp(address, port, proxy)
        return proxy

    async def test_behind_a_proxy(self) -> None:
        """
        Each rule leads where the page says, with its credentials.
        """
        proxies: ProxyPolicy = self.run_block(blocks("proxies.rst")[0])["proxies"]
        self.dns.add_address("proxy.example", "192.0.2.50")
        web, tor = self.run_proxy("192.0.2.50", 3128), self.run_proxy("127.0.0.1", 9050)
        for name in ("ex.com", "abc.onion"):
            self.federation.name_server.add_address(name, EX)
        trust = attrs.evolve(self.federation.trust, exempt_domains=["*"])
        agent = self.federation.agent(proxies=proxies, trust=trust)
        self.serve("ex.com", EX)
        for name in ("ex.com:8448", "abc.onion:8448"):
            await self.get(name, agent)
        self.assertEqual((web.asked, tor.asked), (["ex.com:8448"], ["abc.onion:8448"]))
        self.assertIn(b"Basic dXNlcjpwYXNzd29yZA==", web.received)

    def test_from_the_environment(self) -> None:
        """
        The second block reads what is set.
        """
        self.patch(os, "environ", {"https_proxy": "http://h:1"})
        self.assertEqual(self.run_block(blocks("proxies.rst")[1])["proxies"], ProxyPolicy([("*", "http://h:1")]))

    async def test_tor_and_onion(self) -> None:
        """
        An onion service without a certificate is reached by the agent of the page, and no query is sent.
        """
        agent: MatrixFederationAgent = self.run_block(blocks("onion.rst")[0])["agent"]
        tor = self.run_proxy("127.0.0.1", 9050)
        self.federation.serve_homeserver("x", EX, 8448, certificate=self.certificates.self_signed("nobody"))
        response = await self.ask("abc.onion", agent)
        await treq.content(response)
        self.assertEqual((response.code, tor.asked), (200, ["abc.onion:443", "abc.onion:8448"]))
        self.assertEqual(self.dns.queries, [])

    def test_limits(self) -> None:
        """
        The limits are those that the page names.
        """
        self.assertEqual((ConnectionPolicy().proxy_timeout, ConnectionPolicy().max_proxy_bytes), (10.0, 16 * 1024))
