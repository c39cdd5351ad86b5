"""
Tests of what is found through Twisted's plugin system: C{matrix:example.org}
as an endpoint string, and the gateway.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, quoteStringArgument
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamClientEndpointStringParserWithReactor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.plugin import IPlugin, getPlugins
from twisted.python.failure import Failure
from twisted.python.usage import Options
from zope.interface.verify import verifyObject

from matrix_federation_agent.errors import AddressDenied, CertificateRejected, ConfigurationError, InvalidServerName
from matrix_federation_agent.testing import Fault, LoopbackFederation
from tests.case import TestCase

REQUEST = b"GET /_matrix/federation/v1/version HTTP/1.1\r\nHost: 192.0.2.7\r\nConnection: close\r\n\r\n"


class OneRequest(Protocol):
    """
    Speaks HTTP by hand.

    @ivar answer: fires with all bytes, once the server has closed.
    """

    def __init__(self) -> None:
        self._received = b""
        self.answer: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self.transport.write(REQUEST)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """
        Collect.
        """
        self._received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell.
        """
        self.answer.callback(self._received)


class DropinTests(TestCase):
    """
    The plugin itself.
    """

    def test_it_is_found(self) -> None:
        """
        Twisted's plugin system finds exactly one parser of C{matrix:}.
        """
        (plugin,) = [one for one in getPlugins(IStreamClientEndpointStringParserWithReactor) if one.prefix == "matrix"]
        self.assertTrue(verifyObject(IStreamClientEndpointStringParserWithReactor, plugin))
        self.assertTrue(IPlugin.providedBy(plugin))

    def test_the_gateway_is_found(self) -> None:
        """
        There is exactly one maker of gateways, and its options and its service are where it says.
        """
        (plugin,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "matrix-federation-gateway"]
        self.assertTrue(verifyObject(IServiceMaker, plugin))
        self.assertTrue(IPlugin.providedBy(plugin))
        self.assertTrue(issubclass(plugin.options, Options))

    def test_it_imports_nothing_of_the_package(self) -> None:
        """
        A program that only looks for plugins does not load this package.
        """
        program = (
            "import sys, twisted.plugins.matrix_federation_agent_dropin\n"
            "print([name for name in sys.modules if name.startswith('matrix_federation_agent')])"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        self.assertEqual((run.stdout, run.returncode), ("[]\n", 0), run.stderr)


class EndpointStringTests(TestCase):
    """
    C{clientFromString} with C{matrix:}.
    """

    def setUp(self) -> None:
        """
        Start a federation.  Its name server cannot be named in a string: the
        servers here are IP literals.
        """
        super().setUp()
        self.federation = LoopbackFederation.new(reactor)
        self.addCleanup(self.federation.stop)
        self.ca_file = quoteStringArgument(self.federation.trust.ca_files[0])

    def endpoint(self, description: str) -> IStreamClientEndpoint:
        """
        Parse a string, with the reactor of the federation.
        """
        endpoint: IStreamClientEndpoint = clientFromString(self.federation.reactor, description)
        return endpoint

    def assert_refused(self, description: str, setting: str) -> None:
        """
        Assert that one setting of a string is found to be wrong.
        """
        with self.assertRaises(ConfigurationError) as caught:
            self.endpoint(description)
        self.assertEqual(caught.exception.setting, setting)

    def test_names(self) -> None:
        """
        Whatever is a server name can be written, its colons escaped.
        """
        for text, name in [
            ("example.org", "example.org"),
            (r"example.org\:8448", "example.org:8448"),
            (r"[2001\:db8\:\:1]\:443", "[2001:db8::1]:443"),
        ]:
            endpoint = self.endpoint(f"matrix:{text}")
            self.assertTrue(verifyObject(IStreamClientEndpoint, endpoint))
            self.assertEqual(str(endpoint.server_name), name)  # type: ignore[attr-defined]

    def test_options(self) -> None:
        """
        All options are accepted together.
        """
        description = (
            rf"matrix:example.org:caFile={self.ca_file}:systemRoots=no:exemptDomain=*.onion,*.i2p"
            r":exemptNetwork=fc00\:\:/8:allowNetwork=10.0.0.0/8,fd00\:\:/8:minimumTLS=1.3"
        )
        self.assertTrue(IStreamClientEndpoint.providedBy(self.endpoint(description)))

    def test_client_certificate(self) -> None:
        """
        The key is in the same file, or in one of its own.
        """
        issued = self.federation.certificates.issue("client.test")
        both, certificate, key = (self.mktemp() for _ in range(3))
        Path(both).write_bytes(issued.certificate_pem + issued.private_key_pem)
        Path(certificate).write_bytes(issued.certificate_pem)
        Path(key).write_bytes(issued.private_key_pem)
        for options, expected in (
            (f"clientCertificate={both}", (both, None)),
            (f"clientCertificate={certificate}:clientKey={key}", (certificate, key)),
        ):
            endpoint: Any = self.endpoint(f"matrix:example.org:{options}")
            policy = endpoint._agent._trust.generation.policy
            self.assertEqual((policy.client_certificate, policy.client_key), expected)

    def test_no_server_name(self) -> None:
        """
        What is no server name is an error of the string, not of the connection.
        """
        for description in ("matrix:", "matrix:exa mple", r"matrix:example.org\:99999"):
            self.assertRaises(InvalidServerName, self.endpoint, description)

    def test_unknown_option(self) -> None:
        """
        An option that does not exist is named.
        """
        self.assert_refused("matrix:example.org:exemptDomains=*.onion", "exemptDomains")

    def test_bad_values(self) -> None:
        """
        A value that cannot be used is an error of the setting that it is for.
        """
        for option, setting in [
            ("systemRoots=perhaps", "systemRoots"),
            ("minimumTLS=1.1", "minimum_tls"),
            ("caFile=/does/not/exist.pem", "ca_files"),
            ("exemptNetwork=10.0.0.0/33", "exempt_networks"),
            ("allowNetwork=ten", "allow"),
            ("exemptDomain=münchen.example", "exempt_domains"),
            ("clientKey=key.pem", "client_key"),
        ]:
            self.assert_refused(f"matrix:example.org:{option}", setting)

    async def test_connection(self) -> None:
        """
        The endpoint leads to the server, with the roots and the networks of
        the string.
        """
        self.federation.add_server("192.0.2.7", "1")
        description = f"matrix:192.0.2.7:caFile={self.ca_file}:systemRoots=no:allowNetwork=192.0.2.0/24"
        protocol = await connectProtocol(self.endpoint(description), OneRequest())
        self.assertIn(b'"LoopbackFederation"', await protocol.answer)

    async def test_impostor(self) -> None:
        """
        A server that cannot prove its name is no connection.
        """
        server = self.federation.add_server("192.0.2.7", "1", fault=Fault.WRONG_NAME)
        description = f"matrix:192.0.2.7:caFile={self.ca_file}:systemRoots=no:allowNetwork=192.0.2.0/24"
        with self.assertRaises(CertificateRejected):
            await connectProtocol(self.endpoint(description), OneRequest())
        self.assertEqual(server.requests, [])

    async def test_exempt(self) -> None:
        """
        The same server is reached where the string exempts its network.
        """
        self.federation.add_server("192.0.2.7", "1", fault=Fault.WRONG_NAME)
        description = "matrix:192.0.2.7:exemptNetwork=192.0.2.0/24:allowNetwork=192.0.2.0/24"
        protocol = await connectProtocol(self.endpoint(description), OneRequest())
        self.assertIn(b'"LoopbackFederation"', await protocol.answer)

    async def test_denied(self) -> None:
        """
        Without C{allowNetwork} a special-purpose address is not dialled.
        """
        self.federation.add_server("192.0.2.7", "1")
        with self.assertRaises(AddressDenied):
            await connectProtocol(self.endpoint("matrix:192.0.2.7"), OneRequest())
        self.assertEqual(self.federation.dialled, [])
