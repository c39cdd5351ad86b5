"""
The configuration in C{docs/private_federation.rst}: it is run.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.conformance.case import FederationCase
from tests.test_examples import ROOT, iter_indented
from tests.tls.files import root


class PrivateFederationTests(FederationCase):
    """
    Two servers of a private federation.
    """

    def agent(self, directory: Path) -> Any:
        """
        Make the agent as the page does.
        """
        text = (ROOT / "docs" / "private_federation.rst").read_text("utf-8")
        names: dict[str, Any] = {}
        exec(dedent("\n".join(iter_indented(text.partition(".. code-block:: python\n\n")[2]))), names)
        reactor, resolver = self.federation.reactor, self.federation.resolver()
        agent = names["private_agent"](reactor, directory, resolver=resolver)
        self.addCleanup(agent.close)
        return agent

    async def test_it_works(self) -> None:
        """
        The agent reaches a server at a private address whose certificate comes from the directory's root.
        """
        ours = root("Our root")
        directory, own = Path(self.mktemp()), ours.below("hs1.internal", authority=False)
        (directory / "roots").mkdir(parents=True)
        for name, content in (("roots/root.pem", ours.pem), ("hs1.pem", own.pem), ("hs1.key", own.key_pem)):
            (directory / name).write_bytes(content)
        self.dns.add_address("hs2.internal", "10.1.2.3")
        shown = ours.server("hs2.internal")
        server = self.federation.serve_homeserver("hs2.internal", "10.1.2.3", 8448, certificate=shown)
        response = await self.get("hs2.internal", self.agent(directory))
        self.assertEqual((response.code, len(server.requests)), (200, 1))
