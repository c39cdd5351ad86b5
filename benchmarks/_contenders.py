"""
Who is measured, each in a process of its own: this package, and what else sends requests.

Those that find servers by themselves are given names; the others are given what the names lead to. All of them verify
certificates, and send the same headers.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any

import attrs
import treq
from OpenSSL import SSL, crypto
from service_identity.cryptography import verify_certificate_hostname
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, MatrixFederationAgent, TrustPolicy
from matrix_federation_agent._discovery.name_servers import NameServerResolver

from ._client import PortMap, TabledHostnames
from ._crowd import PORTS, addresses, direct
from ._frame import be_child, in_child
from ._load import Client, Given, Question, Work

OURS, PLAIN, TREQ, SYNAPSE, AIOHTTP = "ours", "plain Agent", "treq", "Synapse", "aiohttp"
EVERYBODY = (OURS, PLAIN, TREQ, SYNAPSE, AIOHTTP)

HEADERS = {
    "Authorization": 'X-Matrix origin="here.example",destination="there.example",key="ed25519:1",sig="' + 86 * "x"
}
"""
What every request carries.
"""

Maker = Callable[[Any, Given], Client]


def port_map(reactor: Any, given: Given) -> PortMap:
    """
    Make the reactor on which the crowd's ports lead to the far side.
    """
    ports = dict.fromkeys(PORTS, int(given["port"]))
    return PortMap(reactor, TabledHostnames(addresses(given["names"])), ports)


def ours(reactor: Any, given: Given, trust: Mapping[str, Any] | None = None) -> Client:
    """
    Make the client that is our agent, which asks the crowd's name server.

    @param trust: settings of the trust policy that are not the default.
    """
    mapped = port_map(reactor, given)
    agent = MatrixFederationAgent.new(
        mapped,
        trust=TrustPolicy(ca_files=[given["root_file"]], use_system_roots=False, **(trust or {})),
        addresses=AddressPolicy(allow=["127.0.0.0/8"]),
        connections=ConnectionPolicy(**given.get("connections", {})),
        resolver=NameServerResolver(mapped, [tuple(given["name_server"])]),
    )
    return twisted_client(agent, lambda name: f"matrix-federation://{name}", agent.close)


def synapse(reactor: Any, given: Given) -> Client:
    """
    Make the client that is Synapse's agent, as Synapse sets it up; only its own Python has it.
    """
    from ._synapse import synapse_agent_on  # noqa: PLC0415 (only that process has it)

    # Outside a homeserver it warns at every request that nobody collects its metrics.
    logging.disable(logging.CRITICAL)
    agent = synapse_agent_on(port_map(reactor, given), given)
    return twisted_client(agent, lambda name: f"matrix-federation://{name}")


def verifying_context(root_file: str) -> SSL.Context:
    """
    Make the one context of contenders that have nothing of ours.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(root_file)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    return context


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class Verifying:
    """
    Makes connections that verify, all with one context.
    """

    context: SSL.Context
    hostname: str

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """
        Make one.
        """
        connection = SSL.Connection(self.context, None)
        connection.set_tlsext_host_name(self.hostname.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def _check(self, _connection: SSL.Connection, certificate: crypto.X509, _code: int, depth: int, ok: int) -> bool:
        if ok and depth == 0:
            verify_certificate_hostname(certificate.to_cryptography(), self.hostname)
        return bool(ok)


@implementer(IPolicyForHTTPS)
@attrs.frozen
class OneContext:
    """
    The policy of an C{Agent} that verifies, and does not make a context for each connection.
    """

    context: SSL.Context

    def creatorForNetloc(self, hostname: bytes, port: int) -> Verifying:
        """
        Make what makes the connections to a host.
        """
        return Verifying(self.context, hostname.decode("ascii"))


def plain_agent(reactor: Any, given: Given, policy: Callable[[SSL.Context], Any] = OneContext) -> Agent:
    """
    Make Twisted's agent; it keeps as many connections as there are requests at a time.
    """
    mapped = port_map(reactor, given)
    pool = HTTPConnectionPool(mapped, persistent=given.get("keep", True))
    pool.maxPersistentPerHost = given["at_once"]
    return Agent(mapped, policy(verifying_context(given["root_file"])), pool=pool)


def plain(reactor: Any, given: Given, policy: Callable[[SSL.Context], Any] = OneContext) -> Client:
    """
    Make the client that is Twisted's agent.
    """
    return twisted_client(plain_agent(reactor, given, policy), https_direct)


def https_direct(name: str) -> str:
    """
    Write the URI of what a server's name leads to.
    """
    return f"https://{direct(name)}"


class _Counter(Protocol):
    """
    Counts the bytes of a body, and keeps none.
    """

    def __init__(self) -> None:
        self.counted = 0
        self.done: Deferred[int] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.counted += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.done.callback(self.counted)


def twisted_client(
    agent: Any, base: Callable[[str], str], close: Callable[[], Deferred[Any]] = lambda: succeed(None)
) -> Client:
    """
    Make the client that is any C{IAgent}.

    @param base: makes the beginning of the URI from a server's name.
    """

    def sent(question: Question) -> Deferred[Any]:
        body = FileBodyProducer(BytesIO(question.body)) if question.body else None
        uri = (base(question.name) + question.path).encode("ascii")
        headers = Headers({name: [value] for name, value in HEADERS.items()})
        response: Deferred[Any] = agent.request(question.method.encode("ascii"), uri, headers, body)
        return response

    async def ask(question: Question) -> bytes:
        response = await sent(question)
        succeeded(response.code)
        return await readBody(response)

    async def download(question: Question) -> int:
        response = await sent(question)
        succeeded(response.code)
        counter = _Counter()
        response.deliverBody(counter)
        return await counter.done

    return Client(ask, download, _gather, close)


def under_treq(reactor: Any, given: Given) -> Client:
    """
    Make the client that is treq over Twisted's agent.
    """
    client = HTTPClient(plain_agent(reactor, given))
    headers: Any = HEADERS

    async def ask(question: Question) -> bytes:
        uri = https_direct(question.name) + question.path
        response = await client.request(question.method, uri, headers=headers, data=question.body or None)
        succeeded(response.code)
        body: bytes = await response.content()
        return body

    async def download(question: Question) -> int:
        uri = https_direct(question.name) + question.path
        # Otherwise treq keeps what it has delivered.
        response = await client.request(question.method, uri, headers=headers, unbuffered=True)
        succeeded(response.code)
        sizes: list[int] = []
        await treq.collect(response, lambda data: sizes.append(len(data)))
        return sum(sizes)

    return Client(ask, download, _gather, lambda: succeed(None))


def succeeded(code: int) -> None:
    """
    Insist on it: a contender that fails is not measured.
    """
    if code != 200:
        raise RuntimeError(f"status {code}")


def _gather(coroutines: Any) -> Deferred[Any]:
    return gatherResults([Deferred.fromCoroutine(each) for each in coroutines], consumeErrors=True)


MAKERS: Mapping[str, Maker] = {OURS: ours, PLAIN: plain, TREQ: under_treq, SYNAPSE: synapse}
"""
Who runs in Twisted's reactor.
"""


def be_contender(name: str, work: Work, more: Mapping[str, Maker] | None = None) -> None:
    """
    Be the child process of a contender, and do some work.

    @param more: contenders that only this benchmark has.
    """
    if name == AIOHTTP:
        from ._aiohttp import be_aiohttp  # noqa: PLC0415 (Synapse's Python does not have it)

        be_aiohttp(work)
    else:
        be_child(partial(_worked, {**MAKERS, **(more or {})}[name], work))


async def _worked(make: Maker, work: Work, reactor: Any, given: Given) -> dict[str, Any]:
    client = make(reactor, given)
    found = await work(client, given)
    await client.close()
    return found


def measure(module: str, contender: str, given: Given, synapse_python: str | None) -> dict[str, Any]:
    """
    Measure a contender in its process.

    @param module: the benchmark, as C{benchmarks.warm}.
    @param synapse_python: the Python that has Synapse.
    """
    python = synapse_python if contender == SYNAPSE and synapse_python else sys.executable
    return in_child(module, contender, given, python)


def present(contenders: tuple[str, ...], synapse_python: str | None) -> list[str]:
    """
    Leave out Synapse, where no Python has it.
    """
    return [name for name in contenders if name != SYNAPSE or synapse_python]


def versions(synapse_python: str | None) -> dict[str, str]:
    """
    Tell what is measured beside us, where it is not in this environment.
    """
    if not synapse_python:
        return {}
    code = (
        "from importlib.metadata import version as v; from OpenSSL import SSL;"
        "print(v('matrix-synapse'), 'with Twisted', v('Twisted'), 'and', SSL.SSLeay_version(0).decode())"
    )
    told = subprocess.run([synapse_python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {"Synapse": told.strip()}
