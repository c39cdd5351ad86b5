"""
Tests of C{matrix_federation_agent._connect.pool}, the whole way over sockets; its rules, with time and connections of
the test's own, are in C{test_pool_rules}.
"""

from __future__ import annotations

from collections.abc import Sequence

import treq
from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from matrix_federation_agent import ConnectionPolicy, MatrixFederationAgent
from matrix_federation_agent._connect.destination import Destination
from matrix_federation_agent._server_name import ServerName
from matrix_federation_agent.errors import FederationError, InvalidRequest, ResponseFailed, TimedOut
from matrix_federation_agent.testing import Fault
from tests.conformance.case import FederationCase, RawServer, Unhurried, until

KEEP_ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
EX = "192.0.2.1"
PATHS = """
    / /? /a? /?? /a?b?c /a; /a;b=c;d?e;f // //x //x//y/ /./a/../b/ /.. /%2F /%2f /%C3%A9 /%c3%a9 /%7Eu /~u /%zz /%
    /@alice:ex.com /%40alice%3Aex.com /a+b?c=d+e&f=%20&g&&h==i /a?=&=#nothing /:80 /a?b=http://x/y /|^`{}"<>\\
    /_matrix/key/v2/query//a?x=[1] /a'b(c)*! /?#x
"""
TARGETS = PATHS.split()


class PoolCase(FederationCase):
    """
    A federation in which C{ex.com} has an address.
    """

    def setUp(self) -> None:
        """
        Give the name its address.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.agent = self.federation.agent()

    def raw(self, answer: bytes = KEEP_ALIVE, *, closes: bool = False, port: int = 8448) -> RawServer:
        """
        Let a server for C{ex.com} answer with bytes.
        """
        server = RawServer(answer, closes=closes)
        self.federation.listen_tls(EX, port, server, self.certificates.issue("ex.com", EX))
        return server

    async def send(self, uri: str, agent: MatrixFederationAgent | None = None) -> IResponse:
        """
        Send a GET request to a URI, and read the response.
        """
        response = await (agent or self.agent).request(b"GET", uri.encode("ascii"))
        await treq.content(response)
        return response

    async def sends(self, *uris: str) -> None:
        """
        Send requests, one after the other.
        """
        for uri in uris:
            await self.send(uri)


class SharingTests(PoolCase):
    """
    Which requests share a connection.
    """

    async def test_the_same_name(self) -> None:
        """
        Requests to one server travel on one connection.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends("matrix-federation://ex.com/1", "matrix-federation://ex.com/2", "matrix://ex.com/3")
        self.assertEqual((server.connections, len(server.requests)), (1, 3))

    async def test_no_dns_on_a_kept_connection(self) -> None:
        """
        A request on a kept connection asks nobody anything.
        """
        self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.send("matrix-federation://ex.com/")
        before = len(self.dns.queries), len(self.federation.dialled)
        await self.send("matrix-federation://ex.com/")
        self.assertEqual((len(self.dns.queries), len(self.federation.dialled)), before)

    async def test_no_port_and_the_default_port(self) -> None:
        """
        No port and port 8448 lead to the same place, but are two identities.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends(*["matrix-federation://ex.com/", "matrix-federation://ex.com:8448/"] * 2)
        hosts = [request.host for request in server.requests]
        self.assertEqual((server.connections, hosts), (2, ["ex.com", "ex.com:8448"] * 2))

    async def test_port_80(self) -> None:
        """
        No port and port 80, which HTTP clients take for the same, are two places.
        """
        servers = [self.federation.serve_homeserver("ex.com", EX, port) for port in (8448, 80)]
        await self.sends(*["matrix-federation://ex.com/", "matrix-federation://ex.com:80/"] * 2)
        hosts = [[request.host for request in server.requests] for server in servers]
        self.assertEqual(hosts, [["ex.com"] * 2, ["ex.com:80"] * 2])

    async def test_capitals(self) -> None:
        """
        Names that differ in case are two Matrix servers.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends("matrix-federation://ex.com/", "matrix-federation://EX.com/")
        self.assertEqual((server.connections, [one.host for one in server.requests]), (2, ["ex.com", "EX.com"]))

    async def test_https_is_another_scheme(self) -> None:
        """
        An https request never travels on a federation connection, whose identity was found otherwise.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends("matrix-federation://ex.com:8448/", "https://ex.com:8448/", "https://ex.com:8448/")
        self.assertEqual((server.connections, len(server.requests)), (2, 3))

    async def test_two_names_with_one_delegate(self) -> None:
        """
        Names that delegate to the same server share its connection.
        """
        server = self.federation.add_server("m.example:4242", "2")
        for name in ("a.example", "b.example"):
            self.federation.serve_well_known(name, {"m.server": "m.example:4242"})
        await self.sends("matrix-federation://a.example/", "matrix-federation://b.example/")
        self.assertEqual((server.connections, len(server.requests)), (1, 2))

    async def test_concurrent_requests(self) -> None:
        """
        A connection carries one request at a time.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        work = [Deferred.fromCoroutine(self.send(f"matrix-federation://ex.com:8448/{n}")) for n in range(3)]
        await gatherResults(work)
        self.assertEqual((server.connections, len(server.requests)), (3, 3))

    def test_destinations_are_keys(self) -> None:
        """
        Destinations are equal when scheme and effective name are, and what they have besides does not count.
        """
        names = ("ex.com", "ex.com:80", "ex.com:443", "ex.com")
        keys = {Destination.of_https(ServerName.parse(name)) for name in names}
        self.assertEqual(len(keys), 3)


class IdleTests(PoolCase):
    """
    How long connections are kept, and how many.
    """

    async def test_a_connection_is_kept(self) -> None:
        """
        After a response the connection stays open.
        """
        server = self.raw()
        await self.send("matrix-federation://ex.com/")
        await self.federation.resolver().lookupAddress("ex.com", [1])
        self.assertEqual(server.connected, 1)

    async def test_idle_timeout(self) -> None:
        """
        An idle connection is closed when its time is over.
        """
        server = self.raw()
        agent = self.federation.agent(connections=ConnectionPolicy(idle_timeout=0.05))
        await self.send("matrix-federation://ex.com/", agent)
        await until(lambda: server.connected == 0)
        await self.send("matrix-federation://ex.com/", agent)
        self.assertEqual(server.accepted, 2)

    async def test_only_so_many_are_kept(self) -> None:
        """
        Of several connections to one server only so many are kept.
        """
        server = self.raw()
        agent = self.federation.agent(connections=ConnectionPolicy(idle_connections=1, surplus_timeout=0.1))
        uris = [f"matrix-federation://ex.com:8448/{n}" for n in range(3)]
        await gatherResults([Deferred.fromCoroutine(self.send(uri, agent)) for uri in uris])
        await until(lambda: server.connected == 1)
        self.assertEqual(server.accepted, 3)

    async def test_none_is_kept(self) -> None:
        """
        With a limit of none every request has its own connection.
        """
        server = self.raw()
        agent = self.federation.agent(connections=ConnectionPolicy(idle_connections=0))
        for _ in range(2):
            await self.send("matrix-federation://ex.com/", agent)
        await until(lambda: server.connected == 0)
        self.assertEqual(server.accepted, 2)

    async def test_a_server_that_closes(self) -> None:
        """
        A connection that the server closes after its response is not used again.
        """
        server = self.raw(KEEP_ALIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), closes=True)
        await self.sends("matrix-federation://ex.com/", "matrix-federation://ex.com/")
        self.assertEqual(server.accepted, 2)

    async def test_a_connection_that_was_lost_while_idle(self) -> None:
        """
        A kept connection that broke is replaced, and the request succeeds.
        """
        server = self.raw()
        await self.send("matrix-federation://ex.com/")
        await self.federation.reactor.disconnect_all()
        await self.send("matrix-federation://ex.com/")
        self.assertEqual(server.accepted, 2)

    async def test_more_than_one_response(self) -> None:
        """
        What a server says beyond the response to a request is not the response to the next one.
        """
        self.raw(KEEP_ALIVE + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        for _ in range(3):
            response = await self.agent.request(b"GET", b"matrix-federation://ex.com/")
            self.assertEqual(await treq.content(response), b"hi")


class BoundTests(PoolCase):
    """
    How many connections there are.
    """

    async def test_a_burst(self) -> None:
        """
        Many requests at once share the connections that there may be, and all are answered.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        agent = self.federation.agent(connections=ConnectionPolicy(open_connections=3))
        uris = [f"matrix-federation://ex.com:8448/{n}" for n in range(30)]
        await gatherResults([Deferred.fromCoroutine(self.send(uri, agent)) for uri in uris])
        self.assertEqual((server.connections, len(server.requests)), (3, 30))
        (found,) = agent.connections()
        self.assertEqual(str(found), "matrix-federation://ex.com:8448: 3 idle, 0 busy, 0 connecting, 0 waiting")

    async def test_queue_timeout(self) -> None:
        """
        A request for which no connection comes free fails in the pool, and is not sent.
        """
        server = self.raw(b"")
        policy = ConnectionPolicy(open_connections=1, queue_timeout=0.2)
        agent = self.federation.agent(connections=policy)
        first = agent.request(b"GET", b"matrix-federation://ex.com:8448/1")
        await until(lambda: server.received.endswith(b"\r\n\r\n"))
        error = await self.fails(self.send("matrix-federation://ex.com:8448/2", agent), TimedOut)
        self.assertEqual((error.phase, error.seconds, error.server_name), ("pool", 0.2, "ex.com:8448"))
        self.assertNotIn(b"/2", server.received)
        first.cancel()
        await self.assertFailure(first, CancelledError)

    async def test_idle_connections_of_others_make_room(self) -> None:
        """
        At the bound of all connections an idle one is closed for another server.
        """
        server = self.raw()
        self.federation.serve_homeserver("other.example", "192.0.2.2", 8448)
        self.dns.add_address("other.example", "192.0.2.2")
        agent = self.federation.agent(connections=ConnectionPolicy(total_open_connections=1))
        await self.send("matrix-federation://ex.com:8448/", agent)
        await self.send("matrix-federation://other.example:8448/", agent)
        await until(lambda: server.connected == 0)
        self.assertEqual([str(one.effective) for one in agent.connections()], ["other.example:8448"])

    async def test_discovery_at_the_bound(self) -> None:
        """
        A request whose document must be fetched does not wait for itself.
        """
        self.federation.add_server("a.example", "3.2", delegated_to="m.example:4242")
        agent = self.federation.agent(connections=ConnectionPolicy(total_open_connections=1))
        self.assertEqual((await self.send("matrix-federation://a.example/", agent)).code, 200)
        self.assertEqual(agent._pool.slots.taken, 1)


class RetiringTests(PoolCase):
    """
    L{ConnectionPool.retire}.
    """

    async def test_nothing_remains(self) -> None:
        """
        After connections were retired, again and again, there is none, and no destination.
        """
        server = self.raw()
        for _ in range(3):
            await self.send("matrix-federation://ex.com:8448/")
            self.agent._pool.retire()
        await until(lambda: server.connected == len(self.agent._dialer.open_connections) == 0)
        self.assertEqual(self.agent.connections(), [])

    async def test_closing_after_retiring(self) -> None:
        """
        Closing the agent also ends a response that a retired connection is waiting for.
        """
        server = self.raw(b"")
        waiting = Deferred.fromCoroutine(self.send("matrix-federation://ex.com:8448/"))
        await until(lambda: server.received.endswith(b"\r\n\r\n"))
        self.agent._pool.retire()
        await self.agent.close()
        await self.assertFailure(waiting, CancelledError)
        await until(lambda: server.connected == 0)


class TargetTests(PoolCase):
    """
    The request target reaches the server byte for byte.
    """

    async def test_targets(self) -> None:
        """
        Nothing is decoded, encoded, normalised or left out.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends(*[f"matrix-federation://ex.com{target}" for target in TARGETS])
        sent = [target.partition("#")[0].encode("ascii") for target in TARGETS]
        self.assertEqual([request.target for request in server.requests], sent)

    async def test_no_path(self) -> None:
        """
        An empty path is a slash, with or without a query.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        await self.sends("matrix-federation://ex.com", "matrix-federation://ex.com?a=b", "matrix-federation://ex.com#c")
        self.assertEqual([request.target for request in server.requests], [b"/", b"/?a=b", b"/"])

    async def test_targets_that_look_like_authorities(self) -> None:
        """
        A target that begins with two slashes is a path: sent as it is, or refused as a whole, never dialled.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        targets = ("//evil.example/x", "//u@evil.example:1/", "//[::1]/", "//evil.example:99999/", "//x:y/")
        await self.sends(*[f"matrix-federation://ex.com{target}" for target in targets])
        self.assertEqual([request.target for request in server.requests], [target.encode() for target in targets])
        self.assertEqual({address for address, _ in self.federation.dialled}, {EX})

    async def test_half_an_authority(self) -> None:
        """
        A target that a parser of URIs stumbles over is sent like any other.
        """
        server = self.federation.serve_homeserver("ex.com", EX, 8448)
        targets = ("//[", "//[::1", "//x:port/")
        await self.sends(*[f"matrix-federation://ex.com:8448{target}" for target in targets])
        self.assertEqual([request.target for request in server.requests], [target.encode() for target in targets])

    async def test_methods(self) -> None:
        """
        A method that is no token is refused before anything is dialled.
        """
        for method in (b"", b"G ET", b"GET\r\nX: y", b"G\x00", b"G\xc3\xa9T"):
            sending = self.agent.request(method, b"matrix-federation://ex.com/")
            await self.fails(sending, InvalidRequest)
        self.assertEqual((self.federation.dialled, self.dns.queries), ([], []))


class FailureTests(PoolCase):
    """
    Responses that do not arrive.
    """

    async def test_response_timeout(self) -> None:
        """
        A server that never answers is given up, and its connection dropped.
        """
        server = self.raw(b"")
        agent = self.federation.agent(connections=ConnectionPolicy(response_timeout=0.2))
        error = await self.fails(self.send("matrix-federation://ex.com/", agent), TimedOut)
        self.assertEqual((error.phase, error.seconds, error.server_name), ("http", 0.2, "ex.com"))
        await until(lambda: server.connected == 0)

    async def test_connecting_does_not_count(self) -> None:
        """
        The limit is for the response: what it took to connect is another limit's.
        """
        self.dns.add_address("ex.com", "2001:db8::1")
        self.federation.black_hole("2001:db8::1", 8448)
        self.federation.serve_homeserver("ex.com", EX, 8448)
        slow = ConnectionPolicy(response_timeout=0.3, tcp_timeout=0.5)
        response = await self.send("matrix-federation://ex.com:8448/", self.federation.agent(connections=slow))
        self.assertEqual(response.code, 200)

    async def failures(self, answers: Sequence[bytes]) -> list[str]:
        """
        Let a server answer with bytes, and tell the errors.
        """
        server = self.raw(b"", closes=True)
        told = []
        for answer in answers:
            server.answer = answer
            error = await self.fails(self.send("matrix-federation://ex.com/"), ResponseFailed)
            told.append(f"{error.server_name} {error.phase}")
        return told

    async def test_no_http(self) -> None:
        """
        What is no HTTP is one typed error, and nothing is logged.
        """
        answers = [b"", b"HTTP/1.1", b"220 hello\r\n\r\n", b"\x00" * 99, b"HTTP/1.1 200 OK\r\n x: y\r\n\r\n"]
        self.assertEqual(await self.failures(answers), ["ex.com http"] * len(answers))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_an_error_from_the_server(self) -> None:
        """
        Any status is a response.
        """
        self.federation.add_server("a.example", fault=Fault.SERVER_ERROR)
        self.assertEqual((await self.send("matrix-federation://a.example/")).code, 500)

    async def test_a_body_that_cannot_be_produced(self) -> None:
        """
        When the producer of the request's body fails, so does the request, with its error as the cause.
        """
        self.raw()
        sending = self.agent.request(b"PUT", b"matrix-federation://ex.com/", None, FailingProducer())
        error = await self.fails(sending, ResponseFailed)
        self.assertEqual((error.server_name, isinstance(error, FederationError)), ("ex.com", True))
        self.assertIsNotNone(error.__cause__)


@implementer(IBodyProducer)
class FailingProducer(Unhurried):
    """
    A body that cannot be read.
    """

    length = 5

    def startProducing(self, consumer: object) -> Deferred[None]:
        """
        Fail.
        """
        return fail(Failure(OSError("the disk is gone")))
