"""
A process that has no file descriptor left.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.filepath import FilePath
from twisted.web.server import Site
from twisted.web.static import Data

from matrix_federation_agent.testing import Certificates
from tests.conformance.case import SocketCase

ROOT = Path(__file__).parent.parent.parent


class OutOfSocketsTests(SocketCase):
    """
    Requests of another process, to a server of this one.
    """

    async def ask(self, seconds: float, asks: int) -> tuple[str, int]:
        """
        Have a request made.

        @param asks: how often room is asked for until there is some.
        @return: what came of it, and how often room was asked for.
        """
        certificates, root = Certificates(), FilePath(self.mktemp())
        root.setContent(certificates.root_pem)
        data = Data(b"hello", "text/plain")
        data.isLeaf = True
        site, context = Site(data), certificates.issue("127.0.0.1").context_factory()
        listening: Any = reactor.listenSSL(0, site, context, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(listening.stopListening)
        line = ["-m", "tests.conformance.out_of_sockets", listening.getHost().port, root.path, seconds, asks]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        output, errors, code = await getProcessOutputAndValue(
            sys.executable, list(map(str, line)), environment, str(ROOT), reactor
        )
        self.assertEqual((code, errors), (0, b""))
        result, asked = json.loads(output)
        return result, asked

    async def test_waiting(self) -> None:
        """
        The request waits until there is a socket, and asks for room meanwhile.
        """
        self.assertEqual(await self.ask(60, 3), ("hello", 3))

    async def test_in_vain(self) -> None:
        """
        Only at the end does it fail, in words.
        """
        result, asked = await self.ask(0.5, 1000)
        self.assertGreater(asked, 1)
        self.assertRegex(result, "^ConnectionFailed: .*no socket to connect with: too many open files$")
