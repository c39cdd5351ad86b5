"""
The public API as a caller's type checker sees it.

Nothing here runs: mypy reads it, strictly, together with the rest. What must be refused is marked with the error that
mypy must find; a mark without an error is itself an error (C{warn_unused_ignores}).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any, assert_type

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from twisted.web.resource import IResource
from twisted.web.server import Site

from matrix_federation_agent import (
    AddressPolicy,
    ConnectionPolicy,
    Connections,
    Counters,
    DiscoveryPolicy,
    FederationURL,
    Inspection,
    Known,
    LocatedTarget,
    MatrixFederationAgent,
    ProxyPolicy,
    Route,
    ServerName,
    ShownCertificate,
    Step,
    TrustPolicy,
    __version__,
    federation_url,
    https_policy,
    read_body,
    read_json,
)
from matrix_federation_agent.errors import AddressDenied, Attempt, FederationError, ResolutionFailed
from matrix_federation_agent.gateway import FederationGateway, Forwarder, GatewayFactory, GatewayPolicy, Secret


def settings() -> tuple[TrustPolicy, AddressPolicy, DiscoveryPolicy, ConnectionPolicy]:
    """Lists may be of any kind, and what is read back is a tuple."""
    trust = TrustPolicy(
        ca_files=["/etc/fed/ca.pem", Path("ca.pem")],
        use_system_roots=True,
        exempt_domains=["*.onion"],
        exempt_networks=["fc00::/7", IPv4Network("10.0.0.0/8")],
        minimum_tls="1.3",
        client_certificate=Path("us.pem"),
        client_key="us.key",
        watch_interval=60,
    )
    assert_type(trust.client_certificate, str | None)
    assert_type(trust.watch_interval, float | None)
    assert_type(trust.ca_files, tuple[str, ...])
    assert_type(trust.exempt_networks, tuple[IPv4Network | IPv6Network, ...])
    assert_type(trust.exemption(ServerName("ex.com"), ip_address("10.0.0.1")), str | None)
    TrustPolicy(minimum_tls="1.1")  # type: ignore[arg-type]
    TrustPolicy(use_system_roots="yes")  # type: ignore[arg-type]
    addresses = AddressPolicy(allow=["10.1.0.0/16"])
    assert_type(addresses.deny, tuple[IPv4Network | IPv6Network, ...])
    discovery = DiscoveryPolicy(well_known_timeout=5, guess_default_port=True)
    assert_type(discovery.well_known_timeout, float)
    DiscoveryPolicy(5)  # type: ignore[call-arg]
    connections = ConnectionPolicy(max_addresses=4)
    assert_type(connections.max_addresses, int)
    trust.use_system_roots = False  # type: ignore[misc]
    return trust, addresses, discovery, connections


def proxies(environ: dict[str, str]) -> ProxyPolicy:
    """Rules are pairs of texts, and the environment is handed over."""
    ProxyPolicy.from_environment()  # type: ignore[call-arg]
    assert_type(ProxyPolicy.from_environment(environ), ProxyPolicy)
    policy = ProxyPolicy(rules=[("*.onion", "socks5h://127.0.0.1:9050"), ("10.0.0.0/8", "direct")], resolve_here=True)
    policy.proxy_for("ex.com")  # type: ignore[arg-type]
    policy.resolve_here = False  # type: ignore[misc]
    return policy


def names(text: bytes | str) -> None:
    """A name is parsed from bytes or text, and its parts have their types."""
    name = ServerName.parse(text)
    assert_type(name, ServerName)
    assert_type(name.host, str)
    assert_type(name.port, int | None)
    assert_type(name.literal, IPv4Address | IPv6Address | None)
    assert_type(name.host_header, bytes)
    ServerName.parse(8448)  # type: ignore[arg-type]
    assert_type(__version__, str)


def make(reactor: Any) -> MatrixFederationAgent:
    """Everything but the reactor is optional, and named."""
    MatrixFederationAgent.new(reactor)
    MatrixFederationAgent.new()  # type: ignore[call-arg]
    MatrixFederationAgent.new(reactor, TrustPolicy())  # type: ignore[call-arg]
    trust, addresses, discovery, connections = settings()
    agent = MatrixFederationAgent.new(
        reactor,
        trust=trust,
        addresses=addresses,
        discovery=discovery,
        connections=connections,
        proxies=proxies({"https_proxy": "http://proxy.example:3128"}),
        resolver=None,
        hostnames=reactor.nameResolver,
        user_agent=b"homeserver/1.0",
    )
    return assert_type(agent, MatrixFederationAgent)


def interchangeable(agent: MatrixFederationAgent, plain: Agent) -> list[IAgent]:
    """The agent stands where any other does."""
    return [agent, plain]


async def requests(agent: MatrixFederationAgent, body: IBodyProducer) -> IResponse:
    """Requests are as with any agent, and may have the URL of C{federation_url}."""
    uri = b"matrix-federation://ex.com/_matrix/federation/v1/version"
    assert_type(agent.request(b"GET", uri), Deferred[IResponse])
    await agent.request(b"PUT", uri, Headers({b"X": [b"y"]}), body)
    agent.request("GET", uri)  # type: ignore[arg-type]
    url = federation_url("ex.com", "/a", {"b": "c"})
    assert_type(url, FederationURL)
    federation_url(ServerName("ex.com"), "/a", [("b", "c"), ("b", "d")])
    federation_url(b"ex.com", "/a", "b=c")
    federation_url("ex.com", b"/a")  # type: ignore[arg-type]
    client = HTTPClient(agent)
    await client.get(url)
    return assert_type(await agent.request(b"GET", url), IResponse)


async def bodies(response: IResponse) -> None:
    """A body is bytes, or whatever the JSON in it says; the limit is always given."""
    assert_type(read_body(response, 1000), Deferred[bytes])
    assert_type(await read_json(response, max_bytes=1000), Any)
    read_body(response)  # type: ignore[call-arg]
    read_json(response, "1000")  # type: ignore[arg-type]


async def routes(agent: MatrixFederationAgent) -> None:
    """A route is a value."""
    assert_type(agent.resolve("ex.com"), Deferred[Route])
    route = await agent.resolve(b"ex.com")
    assert_type(route.effective, ServerName)
    assert_type(route.steps, tuple[Step, ...])
    assert_type(route.targets, tuple[LocatedTarget, ...])
    assert_type(route.targets[0].addresses, tuple[str, ...])
    assert_type(route.targets[0].target.port, int)
    assert_type(route.host_header, str)
    assert_type(route.failure, FederationError | None)
    route.steps = ()  # type: ignore[misc]


async def checks(agent: MatrixFederationAgent) -> None:
    """What a check has seen stands in the route."""
    assert_type(agent.check("ex.com"), Deferred[Route])
    (inspection,) = (await agent.check(ServerName("ex.com"))).targets[0].inspections
    assert_type(inspection, Inspection)
    assert_type(inspection.error, FederationError | None)
    assert_type(inspection.exempt, str | None)
    assert_type(inspection.valid_until, datetime | None)
    assert_type(inspection.certificate, ShownCertificate | None)
    if inspection.certificate is not None:
        assert_type(inspection.certificate.names, tuple[str, ...])
        assert_type(inspection.certificate.not_after, datetime)


def memory(agent: MatrixFederationAgent) -> None:
    """What is remembered can be listed, and what discovery does is counted."""
    assert_type(agent.known(), list[Known])
    assert_type(agent.known("ex.com")[0].expires_in, float)
    assert_type(agent.counters, Counters)
    assert_type(agent.counters.snapshot(), Mapping[str, int])
    agent.counters.subscribe(lambda name, number: None)()


async def connections(agent: MatrixFederationAgent, factory: IProtocolFactory) -> None:
    """Other protocols than HTTP, and the end."""
    assert_type(agent.endpoint("ex.com"), IStreamClientEndpoint)
    assert_type(agent.connect(ServerName("ex.com"), factory), Deferred[IProtocol])
    assert_type(agent.connections(), list[Connections])
    assert_type(agent.connections()[0].effective, ServerName)
    assert_type(agent.connections()[0].waiting, int)
    agent.forget()
    agent.forget("ex.com")
    assert_type(agent.close(), Deferred[None])


def alone(reactor: Any) -> IPolicyForHTTPS:
    """Trust goes where an C{IPolicyForHTTPS} does."""
    https_policy()  # type: ignore[call-arg]
    policy = https_policy(TrustPolicy())
    creator = policy.creatorForNetloc(b"ex.com", 443)
    assert_type(creator, IOpenSSLClientConnectionCreator)
    policy.creatorForNetloc("ex.com", 443)  # type: ignore[arg-type]
    wrapClientTLS(creator, HostnameEndpoint(reactor, b"ex.com", 443))
    HTTPClient(Agent(reactor, contextFactory=policy))
    policy.reload_trust()
    return policy


async def failures(agent: MatrixFederationAgent) -> str:
    """What is known of an error is typed."""
    try:
        await agent.request(b"GET", b"matrix-federation://ex.com/")
    except AddressDenied as error:
        assert_type(error.network, IPv4Network | IPv6Network | None)
    except ResolutionFailed as error:
        assert_type(error.temporary, bool)
    except FederationError as error:
        assert_type(error.attempts, tuple[Attempt, ...])
        return assert_type(error.server_name, str)
    return ""


def gateways(agent: MatrixFederationAgent, reactor: Any, root: IResource) -> Site:
    """A gateway is a resource, beside another or alone, or the factory of a server."""
    secret = Secret.of(b"secret")
    FederationGateway(agent, None)  # type: ignore[arg-type]
    GatewayFactory(agent.clock, Forwarder(reactor, agent, secret, GatewayPolicy(max_requests=5)))
    gateway = FederationGateway(agent, "secret", GatewayPolicy(), otherwise=root)
    gateway.forwarder.secret = Secret.load("/etc/gateway/secret")
    assert_type(gateway.forwarder.drain(), Deferred[None])
    return Site(FederationGateway(agent, secret))
