"""
Tests of C{matrix_federation_agent.testing._federation}.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.web.client import ResponseFailed

from matrix_federation_agent import TrustPolicy, testing
from matrix_federation_agent.errors import FederationError
from matrix_federation_agent.testing import STEPS, LoopbackFederation, VirtualServer
from tests.case import TestCase
from tests.federation import FederationTestCase
from tests.testing.plain_client import Listener, json_of, visit

NAMES = {"1": "192.0.2.7", "2": "steady.example:8443"}


class FederationCase(FederationTestCase):
    """
    A test with a federation.
    """

    async def version(self, server: VirtualServer) -> Any:
        """
        Ask a server for its version, as it should be asked.
        """
        federation = self.federation
        response = await visit(federation, server.address, server.port, server.identity, host=server.host)
        return await json_of(response)


class PlacementTests(FederationCase):
    """
    L{LoopbackFederation.add_server} without a fault.
    """

    async def test_every_step_leads_to_an_answering_server(self) -> None:
        """
        Under the right identity each server can be reached at its address, and sees the Host header.
        """
        for step in STEPS:
            server = self.federation.add_server(NAMES.get(step, f"s{step.replace('.', '-')}.example"), step)
            answer = await self.version(server)
            self.assertEqual(answer["server"]["name"], "LoopbackFederation")
            self.assertEqual([request.host for request in server.requests], [server.host])
            self.assertEqual(server.connections, 1)

    async def test_the_document_delegates(self) -> None:
        """
        The C{.well-known} host of a delegated server is found by its name and says where to go.
        """
        self.federation.add_server("steady.example", "3.2", delegated_to="matrix.steady.example:443")
        response = await visit(self.federation, "steady.example", 443, "steady.example", b"/.well-known/matrix/server")
        self.assertEqual(await json_of(response), {"m.server": "matrix.steady.example:443"})

    async def test_the_document_and_the_homeserver_may_share_a_port(self) -> None:
        """
        Delegating to port 443 of the name itself, as most do, makes one listener of both.
        """
        server = self.federation.add_server("steady.example", "3.2", delegated_to="steady.example:443")
        response = await visit(self.federation, "steady.example", 443, "steady.example", b"/.well-known/matrix/server")
        self.assertEqual(await json_of(response), {"m.server": "steady.example:443"})
        await self.version(server)
        self.assertEqual(server.connections, 2)
        self.assertEqual(len(server.requests), 1)

    async def test_ipv6_servers_answer(self) -> None:
        """
        A virtual IPv6 address leads to the server, however it is spelt.
        """
        server = self.federation.add_server("[2001:db8::7]", "1")
        await visit(self.federation, "2001:db8:0:0::7", 8448, "2001:db8::7", host=server.host)
        self.assertEqual(server.requests[0].host, "[2001:db8::7]")
        self.assertEqual(self.federation.dialled, [("2001:db8::7", 8448)])

    def test_a_taken_place_is_an_error(self) -> None:
        """
        Two servers cannot listen at one address and port.
        """
        self.federation.add_server("192.0.2.7", "1")
        self.assertRaises(ValueError, self.federation.add_server, "192.0.2.7", "1")

    async def test_certificate_names_may_be_chosen(self) -> None:
        """
        The certificate can be made for other names than the right one.
        """
        server = self.federation.add_server("steady.example", certificate_names=("fed.example", "192.0.2.9"))
        await visit(self.federation, server.address, server.port, "192.0.2.9")
        await self.assertFailure(self.version_deferred(server), ResponseFailed)

    def version_deferred(self, server: VirtualServer) -> Any:
        """
        Ask, as a Deferred.
        """
        return Deferred.fromCoroutine(self.version(server))


class StopTests(TestCase):
    """
    L{LoopbackFederation.stop}.
    """

    async def test_connections_left_open_are_aborted(self) -> None:
        """
        Neither side of a connection that its owner forgot stays in the reactor.
        """
        federation = LoopbackFederation.new(reactor)
        server = federation.add_server("steady.example")
        forgotten = Listener()
        await connectProtocol(TCP4ClientEndpoint(federation.reactor, server.address, server.port), forgotten)
        await federation.stop()
        self.assertTrue(forgotten.lost.called)

    def test_the_root_file_is_removed(self) -> Deferred[None]:
        """
        Nothing is left in the file system.
        """
        federation = LoopbackFederation.new(reactor)
        (path,) = federation.trust.ca_files
        self.assertTrue(Path(path).exists())
        return federation.stop().addCallback(lambda _: self.assertFalse(Path(path).parent.exists()))

    async def test_stopping_twice_is_harmless(self) -> None:
        """
        A second stop does nothing.
        """
        federation = LoopbackFederation.new(reactor)
        await federation.stop()
        self.assertIsNone(await federation.stop())  # type: ignore[func-returns-value]


class ExampleTests(FederationCase):
    """
    The package's own example.
    """

    async def test_the_example(self) -> None:
        """
        The test in the docstring of the package passes.
        """
        example = dedent((testing.__doc__ or "").partition("::\n")[2].rpartition("\n\nAny other")[0])
        namespace: dict[str, Any] = {"__name__": "example"}
        exec(example, namespace)
        case = namespace["MyTests"]("test_delegation")
        case.federation = self.federation
        await case.test_delegation()

    async def test_agents_may_differ(self) -> None:
        """
        Settings of one agent take the place of the federation's own.
        """
        self.federation.add_server("example.org")
        agent = self.federation.agent(trust=TrustPolicy(ca_files=[], use_system_roots=True))
        asked = agent.request(b"GET", b"matrix-federation://example.org/")
        await self.assertFailure(asked, FederationError)
