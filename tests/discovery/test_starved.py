"""
What discovery does in a process without file descriptors, with the limit of the operating system itself.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from matrix_federation_agent.testing import NameServer
from tests.conformance.case import SocketCase

ROOT = Path(__file__).parents[2]


class StarvedTests(SocketCase):
    """
    A process in which every descriptor is taken for a moment.
    """

    def directory(self) -> Path:
        """
        Make a directory.
        """
        made = Path(self.mktemp()).absolute()
        made.mkdir()
        return made

    async def outcome(self) -> dict[str, Any]:
        """
        Have the process do its work.
        """
        server = NameServer.new(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        server.add_address("ex.com", "192.0.2.1")
        arguments = ["-m", "tests.discovery.starved", str(server.address[1]), str(self.directory())]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        output, errors, code = await getProcessOutputAndValue(sys.executable, arguments, environment, str(ROOT))
        self.assertEqual((code, errors), (0, b""))
        found: dict[str, Any] = json.loads(output)
        return found

    async def test_lookups_wait_and_stores_fail(self) -> None:
        """
        DNS and the hosts file are heard afterwards; a store that cannot be opened is an error and set aside by nobody,
        one that is open goes on.
        """
        expected = {
            "waited": [True, True],
            "answer": ["192.0.2.1"],
            "hosts": ["192.0.2.2"],
            "store": ["OperationalError", "text", "text"],
            "files": ["hosts", "one.sqlite"],
        }
        self.assertEqual(await self.outcome(), expected)
