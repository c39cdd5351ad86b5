"""
Tests of C{matrix_federation_agent._agent}.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote

import treq
from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import FileBodyProducer
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface.verify import verifyObject

from matrix_federation_agent import (
    ConnectionPolicy,
    DiscoveryPolicy,
    FederationURL,
    MatrixFederationAgent,
    Route,
    ServerName,
    TrustPolicy,
    __version__,
    federation_url,
)
from matrix_federation_agent._uri import CheckedURI, parse_uri
from matrix_federation_agent.errors import (
    AddressDenied,
    AgentClosed,
    CertificateRejected,
    ConfigurationError,
    ConnectionFailed,
    FederationError,
    InvalidServerName,
    InvalidURI,
    ResolutionFailed,
    ServiceUnavailable,
    TimedOut,
    UnsupportedScheme,
)
from matrix_federation_agent.testing import Fault, LoopbackFederation, VirtualServer
from tests.conformance.case import VERSION, FederationCase, RawServer, until
from tests.connect.in_memory import Application, Applications

EX = "192.0.2.1"


class AgentCase(FederationCase):
    """
    An agent in a federation.
    """

    def setUp(self) -> None:
        """
        Make the agent.
        """
        super().setUp()
        self.agent = self.federation.agent()

    def server(self, **settings: Any) -> VirtualServer:
        """
        Place C{ex.com}.
        """
        return self.federation.add_server("ex.com", **settings)

    async def echo(self, sending: Deferred[Any]) -> dict[str, Any]:
        """
        Await a response of a server that echoes.
        """
        echoed: dict[str, Any] = json.loads(await treq.content(await sending))
        return echoed


class InterfaceTests(AgentCase):
    """
    What the agent is.
    """

    def test_interfaces(self) -> None:
        """
        It is an C{IAgent}, and its endpoints are endpoints.
        """
        self.assertTrue(verifyObject(IAgent, self.agent))
        self.assertTrue(verifyObject(IStreamClientEndpoint, self.agent.endpoint("ex.com")))

    async def test_schemes(self) -> None:
        """
        Both federation schemes lead to the server, in whatever case.
        """
        server = self.server()
        for scheme in ("matrix-federation", "matrix", "MATRIX-Federation", "Matrix"):
            await treq.content(await self.agent.request(b"GET", f"{scheme}://ex.com/{scheme}".encode()))
        self.assertEqual({request.host for request in server.requests}, {"ex.com"})
        self.assertEqual(len(server.requests), 4)

    async def test_a_uri_that_was_taken_apart(self) -> None:
        """
        One that was taken apart before is not once more.
        """
        server = self.server()
        checked = CheckedURI.check(b"matrix-federation://ex.com/a")
        checked.parsed = parse_uri(b"matrix-federation://ex.com/b")
        await treq.content(await self.agent.request(b"GET", checked))
        self.assertEqual([request.target for request in server.requests], [b"/b"])

    def refusals(self, uris: str) -> dict[str, type]:
        """
        Send requests that must be refused at once.
        """
        asked = [uri.replace("_", " ").replace("EMPTY", "") for uri in uris.split()]
        return {
            uri: self.failureResultOf(self.agent.request(b"GET", uri.encode()), FederationError).type for uri in asked
        }

    def test_unsupported_schemes(self) -> None:
        """
        Any other scheme is refused, by an error that is Twisted's own as well.
        """
        refused = self.refusals(
            "http://ex.com/ ftp://ex.com/ HTTP://ex.com matrix-federations://ex.com/ ex.com:8448/ x:"
        )
        self.assertEqual(set(refused.values()), {UnsupportedScheme})
        self.assertTrue(issubclass(UnsupportedScheme, SchemeNotSupported))

    def test_invalid_uris(self) -> None:
        """
        A URI that is empty, relative, without a host, with userinfo or with forbidden characters is refused.
        """
        refused = self.refusals("""
            EMPTY / /path //ex.com/ ?q # matrix-federation: matrix-federation:/x matrix-federation:// https:///x
            matrix-federation:///x matrix-federation://u@ex.com/ matrix://u:p@ex.com/ https://@ex.com/ matrix://ex.com/_x
            matrix-federation://ex.com/\u00e9 ://ex.com matrix://ex.com/\x00 matrix-federation://?x
        """)
        self.assertEqual({uri: kind for uri, kind in refused.items() if kind is not InvalidURI}, {})
        self.assertEqual(len(refused), 19)

    def test_invalid_names(self) -> None:
        """
        An authority that is no server name is refused, in every scheme.
        """
        names = (
            "a..b",
            "ex.com:",
            "ex.com:0",
            "ex.com:99999",
            "[::1",
            "[::1]x",
            "2001:db8::1",
            "a%62.com",
            "127.1",
            ":80",
        )
        for name in names:
            refused = self.refusals(f"matrix-federation://{name}/ matrix://{name}/ https://{name}/x")
            self.assertEqual(set(refused.values()), {InvalidServerName}, name)

    def test_passwords_are_not_repeated(self) -> None:
        """
        An error does not repeat what may be a password.
        """
        sending = self.agent.request(b"GET", b"matrix-federation://user:secret@ex.com/")
        error = self.failureResultOf(sending, InvalidURI).value
        self.assertNotIn("secret", f"{error} {error!r}")

    def test_nothing_was_dialled(self) -> None:
        """
        None of that reaches the network.
        """
        self.refusals("http://ex.com/ / matrix://u@ex.com/")
        self.assertEqual((self.federation.dialled, self.dns.queries), ([], []))

    def test_unusable_roots(self) -> None:
        """
        An agent without usable roots is not made.
        """
        trust = TrustPolicy(ca_files=[self.mktemp()])
        error = self.assertRaises(ConfigurationError, MatrixFederationAgent.new, reactor, trust=trust)
        self.assertEqual(error.setting, "ca_files")


class RequestTests(AgentCase):
    """
    What is sent.
    """

    async def test_user_agent(self) -> None:
        """
        We say who we are.
        """
        server = self.server()
        await self.get("ex.com", self.agent)
        self.assertIn(("user-agent", f"matrix_federation_agent/{__version__}"), server.requests[0].headers)

    async def test_own_user_agent(self) -> None:
        """
        The agent's own setting replaces that, and the caller's header replaces both.
        """
        server = self.server()
        agent = self.federation.agent(user_agent=b"Construct/2")
        await self.get("ex.com", agent)
        headers = Headers({b"USER-agent": [b"Curl"]})
        await self.echo(agent.request(b"GET", b"matrix-federation://ex.com/", headers))
        sent = [[value for name, value in one.headers if name == "user-agent"] for one in server.requests]
        self.assertEqual(sent, [["Construct/2"], ["Curl"]])

    async def test_headers_are_not_changed(self) -> None:
        """
        The caller's Headers stay as they were, and each of its values arrives.
        """
        self.server()
        headers = Headers({b"Authorization": [b"X-Matrix a", b"X-Matrix b"], b"X-Empty": [b""]})
        before = headers.copy()
        echoed = await self.echo(self.agent.request(b"GET", b"matrix-federation://ex.com/", headers))
        self.assertEqual(headers, before)
        sent = [tuple(pair) for pair in echoed["headers"] if pair[0] in ("authorization", "x-empty")]
        self.assertEqual(
            sorted(sent), [("authorization", "X-Matrix a"), ("authorization", "X-Matrix b"), ("x-empty", "")]
        )

    async def test_file_body(self) -> None:
        """
        The body of a producer arrives as it is.
        """
        self.server()
        body = FileBodyProducer(BytesIO(b'{"pdus": []}\x00\xff' * 10_000))
        uri = b"matrix-federation://ex.com/_matrix/federation/v1/send/1"
        echoed = await self.echo(self.agent.request(b"PUT", uri, None, body))
        self.assertEqual(
            (echoed["method"], echoed["body"].encode("latin-1")), ("PUT", b'{"pdus": []}\x00\xff' * 10_000)
        )

    async def test_any_method(self) -> None:
        """
        Methods are sent as they are.
        """
        server = self.server()
        for method in (b"DELETE", b"OPTIONS", b"get", b"X-Y_z!"):
            await treq.content(await self.agent.request(method, b"matrix-federation://ex.com/"))
        self.assertEqual([request.method for request in server.requests], ["DELETE", "OPTIONS", "get", "X-Y_z!"])

    async def test_a_response_without_a_body(self) -> None:
        """
        The answer to HEAD has none, and the connection can be used again.
        """
        server = self.server()
        for _ in range(2):
            response = await self.agent.request(b"HEAD", b"matrix-federation://ex.com/")
            self.assertEqual(await treq.content(response), b"")
        self.assertEqual(server.connections, 1)

    async def test_a_body_that_breaks_off(self) -> None:
        """
        A response whose body breaks off is a response, whose body fails.
        """
        self.server(fault=Fault.CUT_OFF)
        response = await self.ask("ex.com", self.agent)
        await self.assertFailure(treq.content(response), Exception)
        self.assertEqual((response.code, self.flushLoggedErrors()), (200, []))


class TreqTests(AgentCase):
    """
    Under C{treq}.
    """

    def setUp(self) -> None:
        """
        Make the client.
        """
        super().setUp()
        self.client = HTTPClient(self.agent)

    async def test_port(self) -> None:
        """
        A port in the URL arrives in Host.
        """
        self.federation.add_server("ex.com:8448", "2")
        echoed = await self.echo(self.client.get("matrix-federation://ex.com:8448/x"))
        self.assertEqual(echoed["host"], "ex.com:8448")

    async def test_json(self) -> None:
        """
        treq's JSON bodies arrive.
        """
        self.server()
        echoed = await self.echo(self.client.put("matrix-federation://ex.com/send", json={"pdus": []}))
        self.assertEqual((echoed["method"], json.loads(echoed["body"])), ("PUT", {"pdus": []}))

    async def test_ipv6_literals(self) -> None:
        """
        A L{federation_url} of an IPv6 literal is taken as it is.
        """
        self.federation.add_server("[2001:db8::7]:8449", "2")
        echoed = await self.echo(self.client.get(federation_url("[2001:db8::7]:8449", "/x")))
        self.assertEqual((echoed["host"], echoed["target"]), ("[2001:db8::7]:8449", "/x"))

    async def test_capitals(self) -> None:
        """
        A L{federation_url} keeps the case of the name.
        """
        self.server()
        self.dns.add_address("EX.com", EX)
        echoed = await self.echo(self.client.get(federation_url("EX.com", "/x")))
        self.assertEqual(echoed["host"], "EX.com")

    async def test_percent_encoding(self) -> None:
        """
        A percent-encoded user id arrives byte for byte, in the path and in the query, by either kind of URL.
        """
        self.server()
        user = quote("@alice/ü+ +:ex.com", safe="")
        target = f"/_matrix/federation/v1/user/devices/{user}?user_id={user}&x=%2f%2F&y"
        path, _, query = target.partition("?")
        urls: list[str | FederationURL] = [f"matrix-federation://ex.com{target}", federation_url("ex.com", path, query)]
        echoed = [await self.echo(self.client.get(url)) for url in urls]
        self.assertEqual([one["target"] for one in echoed], [target, target])

    async def test_the_agent_takes_federation_urls(self) -> None:
        """
        So does the agent itself.
        """
        self.server()
        url = federation_url("ex.com", "/%2Fa", {"b": "c d"})
        self.assertEqual((await self.echo(self.agent.request(b"GET", url)))["target"], "/%2Fa?b=c%20d")

    def redirecting(self, location: bytes) -> RawServer:
        """
        Let C{ex.com} redirect.
        """
        self.dns.add_address("ex.com", EX)
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location
        server = RawServer(head, closes=False)
        self.federation.listen_tls(EX, 8448, server, self.certificates.issue("ex.com"))
        return server

    async def test_relative_redirects(self) -> None:
        """
        A relative redirect, of which treq makes a relative URI, is settled cleanly.
        """
        self.redirecting(b"/elsewhere")
        await self.fails(self.client.get("matrix-federation://ex.com/x"), InvalidURI)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_redirects_to_http(self) -> None:
        """
        A redirect to http is refused.
        """
        self.redirecting(b"http://ex.com:8448/elsewhere")
        await self.fails(self.client.get("matrix-federation://ex.com/x"), UnsupportedScheme)

    async def test_redirects_to_a_federation_url(self) -> None:
        """
        Twisted cannot follow a redirect to a scheme that Python's urljoin does not know: settled cleanly as well.
        """
        self.redirecting(b"matrix-federation://other.example/y")
        await self.fails(self.client.get("matrix-federation://ex.com/x"), InvalidURI)
        self.assertEqual({address for address, _ in self.federation.dialled}, {EX})

    async def test_redirects_to_https(self) -> None:
        """
        A redirect to https is followed by treq, as an ordinary request.
        """
        self.redirecting(b"https://other.example/y")
        self.dns.add_address("other.example", "192.0.2.2")
        other = self.federation.serve_homeserver("other.example", "192.0.2.2", 443)
        await self.echo(self.client.get("matrix-federation://ex.com/x"))
        self.assertEqual([(request.host, request.target) for request in other.requests], [("other.example", b"/y")])

    async def test_redirects_are_not_followed_by_the_agent(self) -> None:
        """
        The agent itself hands a redirect to its caller.
        """
        self.redirecting(b"/elsewhere")
        response = await self.get("ex.com", self.agent)
        self.assertEqual(response.code, 302)


class CancellingTests(AgentCase):
    """
    Who cancels gets C{CancelledError}, in whichever phase, and a clean reactor.
    """

    async def cancelled(self, name: str, reached: Callable[[], bool]) -> None:
        """
        Send a request, and cancel it when a phase is reached.
        """
        sending = self.ask(name, self.agent)
        await until(reached)
        self.assertNoResult(sending)
        sending.cancel()
        await self.fails_with_cancelled(sending)

    async def fails_with_cancelled(self, sending: Deferred[Any]) -> None:
        """
        Await the one error, which is there at once.
        """
        failure = self.failureResultOf(sending, CancelledError)
        self.assertIs(failure.type, CancelledError)

    async def test_in_discovery(self) -> None:
        """
        While the document is awaited.
        """
        document = self.federation.serve_well_known("ex.com", {"m.server": "m.example"})
        document.silent = True
        await self.cancelled("ex.com", lambda: document.requests != [])
        self.assertEqual(self.services, [])

    async def test_in_dns(self) -> None:
        """
        While SRV records are awaited.
        """
        self.server()
        self.dns.silence("_matrix-fed._tcp.ex.com")
        await self.cancelled("ex.com", lambda: self.services != [])
        self.assertEqual(self.services, ["_matrix-fed._tcp.ex.com"])

    async def test_in_address_lookups(self) -> None:
        """
        While addresses are awaited.
        """
        self.dns.silence("ex.com")
        await self.cancelled("ex.com:8448", lambda: len(self.dns.queries) == 2)
        self.assertEqual(self.federation.dialled, [])

    async def test_in_tcp(self) -> None:
        """
        While TCP is connected; no further address is tried.
        """
        self.server(fault=Fault.BLACK_HOLE)
        self.dns.add_address("ex.com", EX)
        await self.cancelled("ex.com:8448", lambda: self.federation.dialled != [])
        self.assertEqual(len(self.federation.dialled), 1)

    async def test_in_tls(self) -> None:
        """
        While the handshake is awaited; no further address is tried.
        """
        server = self.server(fault=Fault.SILENT_TLS)
        self.dns.add_address("ex.com", EX)
        await self.cancelled("ex.com:8448", lambda: server.connections == 1)
        self.assertEqual(len(self.federation.dialled), 1)

    async def test_in_the_response(self) -> None:
        """
        While the response is awaited; its connection is dropped.
        """
        raw = RawServer(closes=False)
        self.dns.add_address("ex.com", EX)
        self.federation.listen_tls(EX, 8448, raw, self.certificates.issue("ex.com"))
        await self.cancelled("ex.com", lambda: raw.received != b"")
        await until(lambda: raw.connected == 0)

    async def test_at_once(self) -> None:
        """
        In the same moment.
        """
        sending = self.ask("ex.com", self.agent)
        sending.cancel()
        await self.fails_with_cancelled(sending)

    async def test_one_of_two(self) -> None:
        """
        When two requests wait for one document, cancelling the first leaves the second alone.
        """
        server = self.server(step="3.2")
        first, second = self.ask("ex.com", self.agent), self.ask("ex.com", self.agent)
        first.cancel()
        await self.fails_with_cancelled(first)
        await treq.content(await second)
        self.assertEqual(len(server.requests), 1)

    async def test_resolve(self) -> None:
        """
        A route can be cancelled as well.
        """
        self.dns.silence("ex.com")
        asking = self.agent.resolve("ex.com")
        await until(lambda: self.dns.queries != [])
        asking.cancel()
        await self.fails_with_cancelled(asking)


class CountedConnection(ProtocolWrapper):
    """
    A connection that is counted while it is open.
    """

    factory: CountingFactory

    def connectionMade(self) -> None:
        """
        Count.
        """
        self.factory.open_connections.add(self)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any = None) -> None:
        """
        Count.
        """
        self.factory.open_connections.discard(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class CountingFactory(WrappingFactory):
    """
    Counts open connections.
    """

    protocol = CountedConnection
    noisy = False

    def __init__(self, wrapped: Any, open_connections: set[object]) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.open_connections = open_connections


class ClosingTests(AgentCase):
    """
    L{MatrixFederationAgent.close}.
    """

    def setUp(self) -> None:
        """
        Count the connections that the agent has open.
        """
        super().setUp()
        self.open: set[object] = set()
        connect = self.federation.reactor.connectTCP

        def counted(host: str, port: int, factory: Any, *args: Any, **settings: Any) -> Any:
            return connect(host, port, CountingFactory(factory, self.open), *args, **settings)

        self.patch(self.federation.reactor, "connectTCP", counted)

    async def test_idle(self) -> None:
        """
        Idle connections are closed when it fires.
        """
        self.server()
        await self.get("ex.com", self.agent)
        self.assertEqual(len(self.open), 1)
        await self.agent.close()
        self.assertEqual(len(self.open), 0)

    async def test_requests_in_flight(self) -> None:
        """
        Whatever is under way is cancelled, in each phase.
        """
        faults = {"3.3": Fault.DNS_SILENT, "5": Fault.BLACK_HOLE, "6": Fault.SILENT_TLS, "3.2": Fault.SILENT}
        names = {f"s{step.replace('.', '-')}.example": (step, fault) for step, fault in faults.items()}
        servers = [self.federation.add_server(name, step, fault) for name, (step, fault) in names.items()]
        sending = [self.ask(name, self.agent) for name in names]
        _, hole, no_tls, silent = servers
        await until(lambda: "_matrix-fed._tcp.matrix.s3-3.example" in self.services)
        await until(lambda: (hole.address, hole.port) in self.federation.dialled)
        await until(lambda: no_tls.connections == 1 and len(silent.requests) == 1)
        await self.agent.close()
        kinds = [self.failureResultOf(one).type for one in sending]
        self.assertEqual((kinds, len(self.open)), ([CancelledError] * 4, 0))

    async def test_a_document_in_flight(self) -> None:
        """
        The connection over which a document is fetched is closed as well when it fires.
        """
        document = self.federation.serve_well_known("ex.com", {})
        document.silent = True
        sending = self.ask("ex.com", self.agent)
        await until(lambda: document.requests != [])
        self.assertEqual(len(self.open), 1)
        await self.agent.close()
        self.failureResultOf(sending, CancelledError)
        self.assertEqual(len(self.open), 0)

    async def test_unread_responses(self) -> None:
        """
        A response that nobody has read to its end does not hold it up.
        """
        raw = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi", closes=False)
        self.dns.add_address("ex.com", EX)
        self.federation.listen_tls(EX, 8448, raw, self.certificates.issue("ex.com"))
        response = await self.ask("ex.com", self.agent)
        await self.agent.close()
        self.assertEqual(len(self.open), 0)
        await self.assertFailure(treq.content(response), Exception)

    async def test_twice(self) -> None:
        """
        Closing again does nothing.
        """
        await gatherResults([self.agent.close(), self.agent.close()])
        self.assertIsNone(await self.agent.close())  # type: ignore[func-returns-value]

    async def test_afterwards(self) -> None:
        """
        Afterwards everything fails at once, and nothing is dialled.
        """
        await self.agent.close()
        work: list[Deferred[Any]] = [
            self.ask("ex.com", self.agent),
            self.agent.resolve("ex.com"),
            self.agent.connect("ex.com", Applications()),
            self.agent.endpoint("ex.com").connect(Applications()),
        ]
        self.assertEqual([self.failureResultOf(one).type for one in work], [AgentClosed] * 4)
        self.assertEqual((self.federation.dialled, self.dns.queries), ([], []))


class MemoryTests(AgentCase):
    """
    What an agent remembers.
    """

    def setUp(self) -> None:
        """
        Place a server that takes a document and an SRV record to find, and keep no connections.
        """
        super().setUp()
        self.place = self.server(step="3.3")
        self.agent = self.federation.agent(connections=ConnectionPolicy(idle_connections=0))

    async def asked(self, agent: MatrixFederationAgent | None = None) -> tuple[int, int]:
        """
        Send a request.

        @return: how often a document was fetched for it, and SRV records were asked for.
        """
        before = [port for _, port in self.federation.dialled].count(443), len(self.services)
        await self.get("ex.com", agent or self.agent)
        after = [port for _, port in self.federation.dialled].count(443), len(self.services)
        return after[0] - before[0], after[1] - before[1]

    async def test_the_second_request_asks_nobody(self) -> None:
        """
        Delegation and SRV records are remembered, also without a kept connection.
        """
        self.assertEqual([await self.asked() for _ in range(3)], [(1, 1), (0, 0), (0, 0)])
        self.assertEqual(self.place.connections, 3)

    async def test_forgetting_all(self) -> None:
        """
        Everything can be forgotten.
        """
        await self.asked()
        self.agent.forget()
        self.assertEqual(await self.asked(), (1, 1))

    async def test_forgetting_one(self) -> None:
        """
        One server can be forgotten, by any kind of name, and another one stays known.
        """
        told = []
        for name in ("ex.com", b"ex.com", ServerName.parse("EX.COM"), "other.example"):
            await self.asked()
            self.agent.forget(name)
            told.append(await self.asked())
        self.assertEqual(told, [(1, 1), (1, 1), (1, 1), (0, 0)])

    def test_forgetting_no_name(self) -> None:
        """
        What is no name cannot be forgotten.
        """
        self.assertRaises(InvalidServerName, self.agent.forget, "a b")

    async def test_two_agents_share_nothing(self) -> None:
        """
        A second agent asks for itself, and has its own connections.
        """
        first, second = self.federation.agent(), self.federation.agent()
        told = [await self.asked(agent) for agent in (first, second, first, second)]
        self.assertEqual((told, self.place.connections), ([(1, 1), (1, 1), (0, 0), (0, 0)], 2))

    async def test_closing_one_leaves_the_other(self) -> None:
        """
        A second agent does not mind when the first is closed.
        """
        other = self.federation.agent()
        await self.asked(other)
        await self.asked()
        await self.agent.close()
        self.assertEqual(await self.asked(other), (0, 0))


class ResolveTests(AgentCase):
    """
    L{MatrixFederationAgent.resolve}.
    """

    async def route(self, name: str, agent: MatrixFederationAgent | None = None) -> Route:
        """
        Explain.
        """
        return await (agent or self.agent).resolve(name)

    async def test_every_step(self) -> None:
        """
        Each of the ten cases is named, with Host, TLS name, target and address.
        """
        table = {
            "192.0.2.7": ("1", "192.0.2.7", "192.0.2.7", "192.0.2.7:8448"),
            "two.example:443": ("2", "two.example:443", "two.example", "two.example:443"),
            "a.example": ("3.1", "192.0.2.8:1", "192.0.2.8", "192.0.2.8:1"),
            "b.example": ("3.2", "m.b.example:2", "m.b.example", "m.b.example:2"),
            "c.example": ("3.3", "m.c.example", "m.c.example", "fed.m.c.example:8443"),
            "d.example": ("3.4", "m.d.example", "m.d.example", "fed.m.d.example:8443"),
            "e.example": ("3.5", "m.e.example", "m.e.example", "m.e.example:8448"),
            "f.example": ("4", "f.example", "f.example", "fed.f.example:8443"),
            "g.example": ("5", "g.example", "g.example", "fed.g.example:8443"),
            "h.example": ("6", "h.example", "h.example", "h.example:8448"),
        }
        for name, (step, host, tls_name, target) in table.items():
            delegated_to = host if step.startswith("3.") else None
            server = self.federation.add_server(name, step, delegated_to=delegated_to)
            route = await self.route(name)
            (located,) = route.targets
            told = (route.step, route.host_header, route.tls_name, str(located.target), located.addresses)
            self.assertEqual(told, (step, host, tls_name, target, (server.address,)))
            self.assertEqual((route.failure, located.refused, server.connections), (None, (), 0), name)

    async def test_the_names(self) -> None:
        """
        The route says who was asked for, and who must answer.
        """
        self.server(step="3.2", delegated_to="M.example:08443")
        route = await self.route("ex.com")
        self.assertEqual((str(route.server_name), str(route.effective)), ("ex.com", "M.example:08443"))
        self.assertEqual((route.host_header, route.tls_name), ("M.example:08443", "m.example"))

    async def test_the_steps(self) -> None:
        """
        Every step on the way is told, in order.
        """
        numbers = {}
        for name, step in {"a.example": "3.5", "b.example": "6", "c.example": "4"}.items():
            self.federation.add_server(name, step)
            numbers[name] = [one.number for one in (await self.route(name)).steps]
        expected = {
            "a.example": ["3", "3.3", "3.4", "3.5"],
            "b.example": ["3", "4", "5", "6"],
            "c.example": ["3", "4"],
        }
        self.assertEqual(numbers, expected)

    async def test_failures(self) -> None:
        """
        A way that ends nowhere is a route with a failure, and without targets.
        """
        self.server(step="4", fault=Fault.NO_SERVICE)
        self.federation.add_server("b.example", "4", Fault.DNS_FAILS)
        routes = [await self.route(name) for name in ("ex.com", "b.example")]
        self.assertEqual([type(route.failure) for route in routes], [ServiceUnavailable, ResolutionFailed])
        self.assertEqual([(route.step, route.targets) for route in routes], [("4", ()), ("4", ())])

    async def test_refusals(self) -> None:
        """
        Addresses that may not be dialled, and hosts without any, are told of each target.
        """
        self.dns.add_address("a.net", "10.0.0.1")
        self.dns.add_address("a.net", EX)
        for priority, host in enumerate(["a.net", "nowhere.net"]):
            self.dns.add_service("_matrix-fed._tcp.ex.com", host, 1, priority=priority)
        first, second = (await self.route("ex.com")).targets
        self.assertEqual((first.addresses, [type(one.error) for one in first.refused]), ((EX,), [AddressDenied]))
        self.assertEqual((second.addresses, [type(one.error) for one in second.refused]), ((), [ResolutionFailed]))

    async def test_exemptions(self) -> None:
        """
        Addresses at which the certificate is not checked are told, with the rule.
        """
        self.dns.add_address("ex.com", EX)
        self.dns.add_address("ex.com", "198.51.100.1")
        self.federation.trust = TrustPolicy(use_system_roots=False, exempt_networks=["192.0.2.0/24"])
        (located,) = (await self.route("ex.com:1", self.federation.agent())).targets
        self.assertEqual(located.exempt, ((EX, "network 192.0.2.0/24"),))

    async def test_it_is_printable(self) -> None:
        """
        Names, addresses and the step are in what is printed.
        """
        server = self.server(step="3.2", delegated_to="m.example:4242")
        text = str(await self.route("ex.com"))
        for part in ("ex.com", "m.example:4242", server.address, "3.2"):
            self.assertIn(part, text)

    async def test_a_route_is_a_value(self) -> None:
        """
        Asking twice gives equal, hashable values.
        """
        self.server(step="3.3")
        self.assertEqual(len({await self.route("ex.com"), await self.route("ex.com")}), 1)

    def test_no_name(self) -> None:
        """
        What is no name fails the Deferred.
        """
        for name in ("", "a b", b"\xff", "ex.com:", "https://ex.com"):
            self.failureResultOf(self.agent.resolve(name), InvalidServerName)


class EndpointTests(AgentCase):
    """
    L{MatrixFederationAgent.endpoint} and C{connect}.
    """

    async def test_a_verified_connection(self) -> None:
        """
        A connected endpoint is a TLS connection to the server, wherever it is.
        """
        server = self.server(step="3.3")
        protocol = Application()
        await connectProtocol(self.agent.endpoint("ex.com"), protocol)
        assert protocol.transport is not None
        protocol.transport.write(f"GET {VERSION} HTTP/1.1\r\nHost: by.hand\r\nConnection: close\r\n\r\n".encode())
        await until(lambda: protocol.events[-1] == "lost")
        self.assertEqual((protocol.data[:15], [one.host for one in server.requests]), (b"HTTP/1.1 200 OK", ["by.hand"]))

    async def test_a_bad_certificate(self) -> None:
        """
        A server that proves nothing is no connection, and no protocol is built.
        """
        self.server(fault=Fault.WRONG_NAME)
        applications = Applications()
        await self.fails(self.agent.endpoint("ex.com").connect(applications), CertificateRejected)
        self.assertEqual(applications.built, [])

    def test_no_name(self) -> None:
        """
        An endpoint of what is no name is not made.
        """
        self.assertRaises(InvalidServerName, self.agent.endpoint, "a b")

    def test_connecting_to_no_name(self) -> None:
        """
        Connecting to what is no name fails the Deferred.
        """
        self.failureResultOf(self.agent.connect("a b", Applications()), InvalidServerName)

    def test_it_says_where_it_leads(self) -> None:
        """
        Its representation names the server.
        """
        self.assertIn("ex.com:1", repr(self.agent.endpoint(b"ex.com:1")))


class HTTPSTests(AgentCase):
    """
    Ordinary https requests.
    """

    def setUp(self) -> None:
        """
        Place a server on port 443.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.web = self.federation.serve_homeserver("ex.com", EX, 443)

    async def test_no_discovery(self) -> None:
        """
        An https request goes where it says, without a document and without SRV records.
        """
        echoed = await self.echo(self.agent.request(b"GET", b"HTTPS://ex.com/a%2Fb?c"))
        self.assertEqual((echoed["host"], echoed["target"]), ("ex.com", "/a%2Fb?c"))
        self.assertEqual((self.services, self.federation.dialled), ([], [(EX, 443)]))

    async def test_ports(self) -> None:
        """
        Another port than 443 stands in Host, and 443 does not.
        """
        self.federation.serve_homeserver("ex.com", EX, 8443)
        echoed = [
            await self.echo(self.agent.request(b"GET", uri)) for uri in (b"https://ex.com:443", b"https://ex.com:8443")
        ]
        self.assertEqual([one["host"] for one in echoed], ["ex.com", "ex.com:8443"])

    async def test_literals(self) -> None:
        """
        Literals are dialled, and must be in the certificate.
        """
        self.federation.serve_homeserver("2001:db8::7", "2001:db8::7", 443)
        echoed = await self.echo(self.agent.request(b"GET", b"https://[2001:db8::7]/"))
        self.assertEqual(echoed["host"], "[2001:db8::7]")
        await self.fails(self.agent.request(b"GET", f"https://{EX}/".encode()), CertificateRejected)

    async def test_trust(self) -> None:
        """
        The certificate is checked, and exemptions hold.
        """
        self.dns.add_address("b.example", "192.0.2.2")
        self.federation.serve_homeserver("else.example", "192.0.2.2", 443)
        await self.fails(self.agent.request(b"GET", b"https://b.example/"), CertificateRejected)
        self.federation.trust = TrustPolicy(use_system_roots=False, exempt_domains=["b.example"])
        echoed = await self.echo(self.federation.agent().request(b"GET", b"https://b.example/"))
        self.assertEqual(echoed["host"], "b.example")

    async def test_own_host(self) -> None:
        """
        Host is ours here as well.
        """
        headers = Headers({b"Host": [b"evil.example"]})
        echoed = await self.echo(self.agent.request(b"GET", b"https://ex.com/", headers))
        self.assertEqual(echoed["host"], "ex.com")

    async def test_an_https_request_to_a_delegating_host(self) -> None:
        """
        A document does not lead an https request astray.
        """
        self.web.well_known = self.federation.serve_well_known("other.example", {"m.server": "m.example"})
        self.assertEqual((await self.echo(self.agent.request(b"GET", b"https://ex.com/")))["host"], "ex.com")


class ResolverTests(AgentCase):
    """
    Resolvers that are handed in.
    """

    async def test_hostnames(self) -> None:
        """
        With C{hostnames} no address is asked of the name server, but SRV records are.
        """
        server = self.server(step="3.3")
        agent = self.federation.agent(hostnames=self.federation.reactor.nameResolver)
        await self.get("ex.com", agent)
        self.assertEqual((len(server.requests), self.hosts), (1, []))
        self.assertEqual(self.services, ["_matrix-fed._tcp.matrix.ex.com"])

    async def test_hostnames_stand_under_the_address_policy(self) -> None:
        """
        Where an address comes from does not matter.
        """
        self.server(fault=Fault.PRIVATE_ADDRESS)
        agent = self.federation.agent(hostnames=self.federation.reactor.nameResolver)
        await self.fails(self.get("ex.com", agent), AddressDenied)


class ErrorTests(AgentCase):
    """
    Errors that callers of an C{IAgent} already know.
    """

    async def test_twisteds_own_classes(self) -> None:
        """
        DNS failures, failed connections and timeouts are Twisted's classes as well.
        """
        hasty = self.federation.agent(
            discovery=DiscoveryPolicy(dns_timeout=0.2), connections=ConnectionPolicy(connect_timeout=0.2)
        )
        expected: dict[Fault, tuple[type[Exception], type[Exception]]] = {
            Fault.NO_ADDRESS: (ResolutionFailed, DNSLookupError),
            Fault.DNS_FAILS: (ResolutionFailed, DNSLookupError),
            Fault.REFUSED_PORT: (ConnectionFailed, ConnectError),
            Fault.WRONG_NAME: (CertificateRejected, ConnectError),
            Fault.PRIVATE_ADDRESS: (AddressDenied, ConnectError),
            Fault.NO_SERVICE: (ServiceUnavailable, ConnectError),
            Fault.BLACK_HOLE: (TimedOut, TwistedTimeoutError),
        }
        for number, (fault, (ours, twisteds)) in enumerate(expected.items()):
            server = self.federation.add_server(f"s{number}.example", "4", fault)
            failure: Any = await self.assertFailure(self.ask(server.server_name, hasty), twisteds)
            self.assertEqual((type(failure), failure.server_name), (ours, server.server_name), fault.name)

    async def test_the_federation_can_be_stopped_with_requests_in_flight(self) -> None:
        """
        A federation whose agents are at work stops cleanly.
        """
        federation = LoopbackFederation.new(reactor)
        server = federation.add_server("ex.com", fault=Fault.SILENT)
        sending = self.ask("ex.com", federation.agent())
        await until(lambda: server.requests != [])
        await federation.stop()
        self.failureResultOf(sending, CancelledError)
