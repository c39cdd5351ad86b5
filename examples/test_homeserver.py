"""
How an imagined homeserver tests its federation client: against other
homeservers that exist only in the test.

    python -m twisted.trial test_homeserver.py
"""

# For this project's linters: trial's assertions are methods without annotations.
# ruff: noqa: PT009, PT027
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import treq
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorCore
from twisted.trial.unittest import TestCase

from matrix_federation_agent import federation_url
from matrix_federation_agent.errors import CertificateRejected
from matrix_federation_agent.testing import Fault, LoopbackFederation

if TYPE_CHECKING:
    from twisted.web.iweb import IAgent


class KeyClient:
    """
    The code under test: fetches the signing keys of other homeservers.
    """

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    async def keys_of(self, server_name: str) -> set[str]:
        """
        Fetch the ids of a server's keys.

        @raise ValueError: when another server's keys are shown.
        """
        url = federation_url(server_name, "/_matrix/key/v2/server")
        response = await self._agent.request(b"GET", bytes(url))
        shown = json.loads(await treq.content(response))
        if shown["server_name"] != server_name:
            raise ValueError(f"keys of {shown['server_name']!r} instead of {server_name!r}")
        return set(shown["verify_keys"])


class KeyClientTests(TestCase):
    """
    L{KeyClient}.
    """

    def setUp(self) -> None:
        """
        Start a federation: DNS, a certificate authority, no servers yet.
        """
        self.federation = LoopbackFederation.new(IReactorCore(reactor))
        self.addCleanup(self.federation.stop)
        self.client = KeyClient(self.federation.agent())

    async def test_keys(self) -> None:
        """
        The keys of a delegated server are fetched from where it lives.
        """
        server = self.federation.add_server("example.org", step="3.2", delegated_to="matrix.example.org:443")
        keys = await self.client.keys_of("example.org")
        self.assertEqual(len(keys), 1)
        self.assertEqual([request.host for request in server.requests], ["matrix.example.org:443"])

    async def test_impostor(self) -> None:
        """
        A server that cannot prove its name is never asked.
        """
        server = self.federation.add_server("example.org", fault=Fault.WRONG_NAME)
        with self.assertRaises(CertificateRejected):
            await self.client.keys_of("example.org")
        self.assertEqual(server.requests, [])
