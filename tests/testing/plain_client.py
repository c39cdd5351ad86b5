"""
A client made of Twisted's own parts, so that the kit is not tested by what it exists to test.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
from treq import content
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from matrix_federation_agent.testing import LoopbackFederation


def tls_options(federation: LoopbackFederation, identity: str) -> IOpenSSLClientConnectionCreator:
    """
    Verify like a browser, with the federation's root alone.

    @param federation: whose root is trusted.
    @param identity: the name that the certificate must carry.
    """
    root = Certificate.loadPEM(federation.certificates.root_pem)
    options: IOpenSSLClientConnectionCreator = optionsForClientTLS(identity, trustRoot=root)
    return options


@implementer(IAgentEndpointFactory)
@attrs.frozen
class OneEndpoint:
    """
    Leads every URI to one place, under one identity.
    """

    federation: LoopbackFederation
    dial: str
    port: int
    identity: str

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        Ignore the URI.
        """
        endpoint = HostnameEndpoint(self.federation.reactor, self.dial, self.port)
        return wrapClientTLS(tls_options(self.federation, self.identity), endpoint)


async def visit(
    federation: LoopbackFederation,
    dial: str,
    port: int,
    identity: str,
    target: bytes = b"/_matrix/federation/v1/version",
    host: str = "as.in.the.uri",
) -> IResponse:
    """
    Send one GET request.

    @param federation: where.
    @param dial: the name or virtual address to connect to.
    @param port: the virtual port.
    @param identity: the name that the certificate must carry.
    @param target: the path and query.
    @param host: the C{Host} header.
    """
    pool = HTTPConnectionPool(federation.reactor, persistent=False)
    factory = OneEndpoint(federation, dial, port, identity)
    agent = Agent.usingEndpointFactory(federation.reactor, factory, pool)
    headers = Headers({b"host": [host.encode("ascii")]})
    response: IResponse = await agent.request(b"GET", b"https://x.invalid" + target, headers)
    return response


async def json_of(response: IResponse) -> object:
    """
    Read a body as JSON.

    @param response: the response.
    """
    parsed: object = json.loads(await content(response))
    return parsed


class Listener(Protocol):
    """
    Collects what arrives.

    @ivar data: what arrived.
    @ivar lost: fires when the connection is lost.
    """

    def __init__(self) -> None:
        """
        Begin with nothing.
        """
        self.data = b""
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Tell.
        """
        self.lost.callback(None)


async def raw_exchange(federation: LoopbackFederation, address: str, port: int, request: bytes) -> Any:
    """
    Send bytes that no client would send, and read the JSON body of the answer.

    @param federation: where.
    @param address: the virtual address; the certificate must be for C{ex.example}.
    @param port: the virtual port.
    @param request: the request; it must ask for the connection to be closed.
    """
    listener = Listener()
    tcp = HostnameEndpoint(federation.reactor, address, port)
    await connectProtocol(wrapClientTLS(tls_options(federation, "ex.example"), tcp), listener)
    assert listener.transport is not None
    listener.transport.write(request)
    await listener.lost
    return json.loads(listener.data.partition(b"\r\n\r\n")[2])


class Answered(Protocol):
    """
    Says something, and waits for the answer.
    """

    def __init__(self, greeting: bytes) -> None:
        """
        Say C{greeting}.
        """
        self.greeting = greeting
        self.answered: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        """
        Say it.
        """
        assert self.transport is not None
        self.transport.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.answered.callback(data)


class OneClient(ClientFactory):
    """
    Builds one given protocol.
    """

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        """
        Build C{protocol}.
        """
        self.built = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        """
        Give it.
        """
        return self.built
