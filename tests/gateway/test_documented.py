"""
The configurations in C{docs/gateway.rst}: each is read.
"""

from __future__ import annotations

import re
import shlex
from configparser import ConfigParser
from pathlib import Path
from textwrap import dedent

from twisted.internet import reactor
from twisted.internet.interfaces import IStreamServerEndpoint

from matrix_federation_agent._gateway.assembly import server_endpoint
from matrix_federation_agent._gateway.config_file import ConfigFile
from matrix_federation_agent._gateway.configuration import Configuration
from matrix_federation_agent._gateway.options import GatewayOptions
from matrix_federation_agent._gateway.settings import TABLES, settings
from tests.case import TestCase

PAGE = Path(__file__).parent.parent.parent / "docs" / "gateway.rst"


def blocks(language: str) -> list[str]:
    """
    Find the code of a language in the page.
    """
    pattern = rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    return [dedent(block) for block in re.findall(pattern, PAGE.read_text("utf-8"))]


class DocumentedTests(TestCase):
    """
    C{gateway.rst}.
    """

    def configuration(self, text: str) -> Configuration:
        """
        Read a file of the page.
        """
        path = Path(self.mktemp())
        path.write_text(text, "utf-8")
        return Configuration.of(ConfigFile.read(str(path)).given(settings()), {})

    def test_files(self) -> None:
        """
        Each file of settings can be used; the first has every table.
        """
        files = blocks("toml")
        found = [self.configuration(text) for text in files]
        self.assertEqual(re.findall(r"^\[(\w+)\]$", files[0], re.MULTILINE), list(TABLES))
        self.assertEqual([bool(one.store.redis) for one in found], [False, True, False])

    def test_commands(self) -> None:
        """
        The command that starts the gateway, and the one of the unit, can be parsed.
        """
        unit = ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(blocks("ini")[0])
        started = [line for line in blocks("shell")[0].splitlines() if line.startswith("twist ")]
        path = Path(self.mktemp())
        path.write_text(blocks("toml")[0])
        for line in (*started, unit["Service"]["ExecStart"]):
            arguments = shlex.split(line.partition(" matrix-federation-gateway ")[2])
            options = GatewayOptions()
            options.parseOptions([str(path) if one.endswith(".toml") else one for one in arguments])
            self.assertIn("tcp:8009:interface=127.0.0.1", options.configuration.entrance.listen)

    def test_endpoints(self) -> None:
        """
        Each description of an endpoint that needs nothing else is one.
        """
        found = re.findall(r"^`((?:tcp6?|unix):[^`]+)`", PAGE.read_text("utf-8"), re.MULTILINE)
        self.assertEqual(len(found), 3)
        for text in found:
            self.assertTrue(IStreamServerEndpoint.providedBy(server_endpoint(reactor, text)), text)

    def test_the_error(self) -> None:
        """
        The error that the page shows is what the mistake leads to.
        """
        (shown,) = re.findall(r"Error: (\S+), (line \d+: \[trust\] exempt_domain: .*)\n", PAGE.read_text("utf-8"))
        text = blocks("toml")[0].replace("exempt_domains", "exempt_domain")
        path = Path(self.mktemp())
        path.write_text(text)
        error = self.assertRaises(ValueError, lambda: ConfigFile.read(str(path)).given(settings()))
        self.assertEqual(str(error), f"{path}, {shown[1]}")
