"""
Tests of C{examples/synapse_module.py}; what it takes of Synapse is stood in for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.util import module_from_spec, spec_from_file_location
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from twisted.internet.defer import maybeDeferred

from matrix_federation_agent import MatrixFederationAgent
from matrix_federation_agent._connect.addresses import denied_by
from tests.case import TestCase

PATH = Path(__file__).parent.parent.parent / "examples" / "synapse_module.py"


class Refused(Exception):
    """
    Synapse's C{ConfigError}.
    """


class SynapseModuleTests(TestCase):
    """
    C{FederationAgentModule}.
    """

    def setUp(self) -> None:
        """
        Load the example.
        """
        super().setUp()
        members: dict[str, dict[str, object]] = {
            "synapse": {},
            "synapse.logging": {},
            "synapse.logging.context": {"PreserveLoggingContext": nullcontext},
            "synapse.module_api": {},
            "synapse.module_api.errors": {"ConfigError": Refused},
        }
        for name, content in members.items():
            stand_in = ModuleType(name)
            vars(stand_in).update(content)
            self.assertNotIn(name, sys.modules)
            sys.modules[name] = stand_in
            self.addCleanup(sys.modules.pop, name)
        spec = spec_from_file_location("synapse_module", PATH)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        self.module: Any = module.FederationAgentModule

    def parse(self, config: Mapping[str, object]) -> dict[str, Any]:
        """
        Read settings.
        """
        found: dict[str, Any] = self.module.parse_config(config)
        return found

    def test_deny(self) -> None:
        """
        A network that is denied does not open the others.
        """
        found = self.parse({"addresses": {"allow": ["10.1.0.0/16"], "deny": ["8.8.8.0/24"]}})["policies"]["addresses"]
        addresses = ("127.0.0.1", "169.254.169.254", "8.8.8.8", "1.1.1.1", "10.1.0.1")
        permitted = [denied_by(found, ip_address(one)) is None for one in addresses]
        self.assertEqual(permitted, [False, False, False, True, True])

    def test_refused(self) -> None:
        """
        What is not usable is an error of Synapse's own kind.
        """
        configs: list[dict[str, object]] = [
            {"trsut": {}},
            {"trust": {"ca_file": "x"}},
            {"trust": None},
            {"addresses": {"deny": ["ten"]}},
            {"dns": "localhost:53"},
            {"dns": "127.0.0.1"},
            {"dns": 53},
        ]
        for config in configs:
            self.assertRaises(Refused, self.parse, config)

    def test_swapped(self) -> None:
        """
        The client has the agent, which is closed before the end.
        """
        made: list[dict[str, object]] = []
        triggers: list[tuple[object, ...]] = []
        agent = SimpleNamespace(close=lambda: None, request=lambda *given: given)

        def new(_: object, **given: object) -> object:
            made.append(given)
            return agent

        self.patch(MatrixFederationAgent, "new", new)
        client = SimpleNamespace(agent=None)
        reactor = SimpleNamespace(addSystemEventTrigger=lambda *given: triggers.append(given))
        homeserver = SimpleNamespace(get_reactor=lambda: reactor, get_federation_http_client=lambda: client)
        config = self.parse({"trust": {"minimum_tls": "1.3"}})
        self.module(config, SimpleNamespace(_hs=homeserver))
        self.assertEqual(made, [{"resolver": None, **config["policies"]}])
        self.assertEqual(triggers, [("before", "shutdown", agent.close)])
        sent = self.successResultOf(maybeDeferred(client.agent.request, b"GET", b"matrix-federation://a/"))
        self.assertEqual(sent, (b"GET", b"matrix-federation://a/", None, None))
