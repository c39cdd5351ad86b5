"""
L{FederationGateway} in a site, over real sockets, with a federation behind it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from matrix_federation_agent._gateway.resource import _peer
from matrix_federation_agent.errors import ConfigurationError
from matrix_federation_agent.gateway import FederationGateway, GatewayPolicy, Secret
from matrix_federation_agent.testing import Fault
from tests.conformance.case import FederationCase, RawServer, until

from .fakes import FakeAgent

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure
    from twisted.web.server import Request

NAME = "hs.example"
URI = b"matrix-federation://hs.example/_matrix/echo"
AUTHORISED = b"Proxy-Authorization: Bearer of-the-site\r\n"


class Client(Protocol):
    """
    Keeps what it is sent.

    @ivar reason: why the connection has ended.
    """

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep why.
        """
        self.reason = reason


@attrs.frozen
class Answered:
    """
    A response, as it came.
    """

    status: bytes
    headers: dict[bytes, list[bytes]]
    body: bytes

    @classmethod
    def of(cls, received: bytes) -> Answered:
        """
        Read it.
        """
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers: dict[bytes, list[bytes]] = {}
        for line in lines:
            name, _, value = line.partition(b": ")
            headers.setdefault(name.lower(), []).append(value)
        return cls(status, headers, body)


class Leaf(Resource):
    """
    Tells what path it was asked for.
    """

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """
        Tell.
        """
        return b"%r %r" % (request.prepath, request.postpath)


class OddAgent(FakeAgent):
    """
    Answers with what is no response.
    """

    clock = reactor

    def request(self, *_: Any) -> Deferred[Any]:
        """
        Answer.
        """
        return succeed(object())


def branch() -> Resource:
    """
    Make a resource that has a child.
    """
    root = Resource()
    root.putChild(b"here", Leaf())
    return root


class SiteCase(FederationCase):
    """
    A test with a gateway in a site.
    """

    def setUp(self) -> None:
        """
        Have an agent for it.
        """
        super().setUp()
        self.agent = self.federation.agent()

    def gateway(self, otherwise: IResource | None = None, **policy: Any) -> FederationGateway:
        """
        Make one.
        """
        return FederationGateway(self.agent, b"of-the-site", GatewayPolicy(**policy), otherwise)

    def listen(self, gateway: FederationGateway) -> int:
        """
        Put it into a site.

        @return: the port.
        """
        port = reactor.listenTCP(0, self.site(gateway), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)  # type: ignore[attr-defined]

    def site(self, gateway: FederationGateway) -> Any:
        """
        Make its site.
        """
        site = Site(gateway)
        site.noisy = False
        return site

    async def connect(self, port: int) -> Client:
        """
        Connect to it.
        """
        client: Client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client())
        self.addCleanup(self.hang_up, client)
        return client

    async def hang_up(self, client: Client) -> None:
        """
        End a connection.
        """
        assert client.transport is not None
        client.transport.abortConnection()  # type: ignore[attr-defined]
        await until(lambda: client.reason is not None)

    async def say(self, gateway: FederationGateway, data: bytes) -> Client:
        """
        Connect, and send something.
        """
        client = await self.connect(self.listen(gateway))
        assert client.transport is not None
        client.transport.write(data)
        return client

    async def send(
        self, line: bytes, headers: bytes = AUTHORISED, body: bytes = b"", gateway: FederationGateway | None = None
    ) -> Answered:
        """
        Send one request, and read until the connection ends.
        """
        request = line + b" HTTP/1.1\r\nHost: hs.example:80\r\nConnection: close\r\n" + headers + b"\r\n" + body
        client = await self.say(gateway or self.gateway(), request)
        await until(lambda: client.reason is not None)
        return Answered.of(client.received)

    def raw(self, answer: bytes, *, closes: bool = False) -> RawServer:
        """
        Place a server that answers with bytes.
        """
        raw = RawServer(answer, closes=closes)
        self.federation.listen_tls("192.0.2.9", 8448, raw, self.certificates.issue(NAME))
        self.dns.add_address(NAME, "192.0.2.9")
        return raw


class RequestTests(SiteCase):
    """
    What the remote gets.
    """

    async def test_G2_1_forwarded(self) -> None:
        """
        Method, path and query are as the client wrote them, C{Host} is the remote's.
        """
        server = self.federation.add_server(NAME, "3.2", delegated_to="other.example:443")
        await self.send(b"DELETE " + URI + b"/%7e//a/../b;c?x=%2F&&x&y=+")
        (received,) = server.requests
        self.assertEqual(
            (received.method, received.target, received.host),
            ("DELETE", b"/_matrix/echo/%7e//a/../b;c?x=%2F&&x&y=+", "other.example:443"),
        )

    async def test_G4_1_headers(self) -> None:
        """
        Headers of the request arrive, and none that was for the gateway or the connection.
        """
        server = self.federation.add_server(NAME)
        headers = b"Authorization: X-Matrix a\r\nConnection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nUser-Agent: me\r\n"
        await self.send(b"GET " + URI, AUTHORISED + headers)
        (received,) = server.requests
        self.assertEqual(
            sorted(received.headers),
            [("authorization", "X-Matrix a"), ("host", NAME), ("user-agent", "me")],
        )

    async def test_G2_7_body(self) -> None:
        """
        A body arrives whole, with its length.
        """
        server = self.federation.add_server(NAME)
        body = bytes(range(256)) * 1000
        await self.send(b"PUT " + URI, AUTHORISED + b"Content-Length: %d\r\n" % len(body), body)
        (received,) = server.requests
        self.assertEqual((received.body, dict(received.headers)["content-length"]), (body, str(len(body))))

    async def test_G2_7_chunks(self) -> None:
        """
        A body that came in chunks goes on with its length.
        """
        server = self.federation.add_server(NAME)
        await self.send(
            b"PUT " + URI, AUTHORISED + b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        (received,) = server.requests
        self.assertEqual((received.body, dict(received.headers)["content-length"]), (b"abcde", "5"))

    async def test_empty_body(self) -> None:
        """
        A body of no bytes is one, and its length is told.
        """
        server = self.federation.add_server(NAME)
        await self.send(b"POST " + URI, AUTHORISED + b"Content-Length: 0\r\n")
        self.assertEqual(dict(server.requests[0].headers)["content-length"], "0")

    async def test_G3_2_wrong_secret(self) -> None:
        """
        Without the secret nothing is forwarded.
        """
        server = self.federation.add_server(NAME)
        answered = await self.send(b"GET " + URI, b"Proxy-Authorization: Bearer of-another\r\n")
        self.assertEqual((answered.status, server.requests), (b"HTTP/1.1 401 Unauthorized", []))
        self.assertEqual(json.loads(answered.body)["errcode"], "M_UNAUTHORIZED")

    async def test_too_long(self) -> None:
        """
        A body beyond the limit is not forwarded.
        """
        server = self.federation.add_server(NAME)
        gateway = self.gateway(max_body_bytes=3)
        answered = await self.send(b"PUT " + URI, AUTHORISED + b"Content-Length: 4\r\n", b"abcd", gateway)
        self.assertEqual((answered.status.split()[1], server.requests), (b"413", []))

    async def test_as_long_as_may_be(self) -> None:
        """
        A body of exactly the limit is forwarded.
        """
        server = self.federation.add_server(NAME)
        gateway = self.gateway(max_body_bytes=4)
        await self.send(b"PUT " + URI, AUTHORISED + b"Content-Length: 4\r\n", b"abcd", gateway)
        self.assertEqual([one.body for one in server.requests], [b"abcd"])


class ResponseTests(SiteCase):
    """
    What the client gets.
    """

    async def test_G5_1_head(self) -> None:
        """
        Status, phrase and headers are the remote's, and its length; there is no type and no server of our making.
        """
        self.raw(b"HTTP/1.1 429 Slow Down\r\nX-A: 1\r\nx-a: 2\r\nDate: then\r\nContent-Length: 2\r\n\r\nno")
        answered = await self.send(b"GET " + URI)
        expected = {b"x-a": [b"1", b"2"], b"date": [b"then"], b"content-length": [b"2"], b"connection": [b"close"]}
        self.assertEqual(answered, Answered(b"HTTP/1.1 429 Slow Down", expected, b"no"))

    async def test_G5_2_server(self) -> None:
        """
        C{Server} of the remote stands in place of ours, once.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nServer: theirs\r\nContent-Length: 0\r\n\r\n")
        answered = await self.send(b"GET " + URI)
        self.assertEqual(answered.headers[b"server"], [b"theirs"])

    async def test_G5_3_connection(self) -> None:
        """
        What the remote's C{Connection} names stays behind.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n", closes=True)
        answered = await self.send(b"GET " + URI)
        self.assertNotIn(b"x-hop", answered.headers)

    async def test_unknown_length(self) -> None:
        """
        A body of unknown length comes in chunks.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        answered = await self.send(b"GET " + URI)
        self.assertEqual((answered.headers.get(b"content-length"), answered.body), (None, b"2\r\nhi\r\n0\r\n\r\n"))

    async def test_G6_5_delimited_by_the_end(self) -> None:
        """
        A body that ends with the remote's connection is whole.
        """
        self.raw(b"HTTP/1.1 200 OK\r\n\r\nhi", closes=True)
        answered = await self.send(b"GET " + URI)
        self.assertEqual(answered.body, b"2\r\nhi\r\n0\r\n\r\n")

    async def test_G5_6_head_request(self) -> None:
        """
        The response to HEAD has a length and no body.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n")
        answered = await self.send(b"HEAD " + URI)
        self.assertEqual((answered.headers[b"content-length"], answered.body), ([b"42"], b""))

    async def test_G5_6_not_modified(self) -> None:
        """
        So has a 304.
        """
        self.raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n")
        answered = await self.send(b"GET " + URI)
        self.assertEqual((answered.headers[b"content-length"], answered.body), ([b"42"], b""))

    async def test_G5_6_no_content(self) -> None:
        """
        A 204 has neither.
        """
        self.raw(b"HTTP/1.1 204 No Content\r\n\r\n")
        answered = await self.send(b"GET " + URI)
        self.assertEqual((answered.headers.get(b"content-length"), answered.body), (None, b""))

    async def test_G5_8_head_at_once(self) -> None:
        """
        The head comes before there is a body.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n")
        client = await self.say(self.gateway(), b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n")
        await until(lambda: b"\r\n\r\n" in client.received)
        self.assertEqual(Answered.of(client.received).headers[b"content-length"], [b"5"])

    async def test_kept_alive(self) -> None:
        """
        A second request on the same connection is answered too.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        request = b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n"
        client = await self.say(self.gateway(), request + request)
        await until(lambda: client.received.count(b"\r\n\r\nhi") == 2)
        self.assertIs(client.reason, None)

    async def test_noted(self) -> None:
        """
        What was forwarded is counted and logged, with the bytes of both bodies.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        gateway, events = self.gateway(), self.keep_log()
        await self.send(b"PUT " + URI, AUTHORISED + b"Content-Length: 3\r\n", b"abc", gateway)
        (event,) = [event for event in events if "outcome" in event]
        noted = [event[name] for name in ("outcome", "code", "received", "sent")]
        self.assertEqual((noted, gateway.forwarder.under_way()), (["ok", 200, 3, 2], 0))


class FailureTests(SiteCase):
    """
    What goes wrong.
    """

    async def test_G6_1_unreachable(self) -> None:
        """
        A remote that cannot be trusted is 502, with the phase and every attempt.
        """
        self.federation.add_server(NAME, fault=Fault.WRONG_NAME)
        gateway = self.gateway()
        answered = await self.send(b"GET " + URI, gateway=gateway)
        self.assertEqual(dict(gateway.forwarder.counters.snapshot())["gateway.failed.tls"], 1)
        told = json.loads(answered.body)
        self.assertEqual(
            (answered.status.split()[1], answered.headers[b"content-type"], told["phase"], len(told["attempts"])),
            (b"502", [b"application/json"], "tls", 1),
        )

    async def test_failure_of_a_head_request(self) -> None:
        """
        An answer of our own to HEAD has a length and no body.
        """
        answered = await self.send(b"HEAD " + URI, b"")
        self.assertEqual((answered.status.split()[1], answered.body), (b"401", b""))
        self.assertGreater(int(answered.headers[b"content-length"][0]), 2)

    async def test_G6_2_late(self) -> None:
        """
        A remote without a response in time is 504, and is left alone then.
        """
        raw = self.raw(b"")
        gateway = self.gateway(response_timeout=0.3)
        answered = await self.send(b"GET " + URI, gateway=gateway)
        await until(lambda: raw.connected == 0)
        self.assertEqual((answered.status.split()[1], gateway.forwarder.under_way()), (b"504", 0))

    async def test_G6_4_broken_off(self) -> None:
        """
        Where the remote breaks off, the client's connection does too, and not cleanly.
        """
        self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", closes=True)
        gateway = self.gateway()
        client = await self.say(gateway, b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n")
        await until(lambda: client.reason is not None)
        assert client.reason is not None
        self.assertFalse(client.reason.check(ConnectionDone))
        self.assertEqual(dict(gateway.forwarder.counters.snapshot())["gateway.broken"], 1)

    async def test_G6_6_client_leaves_before_the_head(self) -> None:
        """
        Without a client the remote is not waited for.
        """
        raw = self.raw(b"")
        gateway = self.gateway()
        client = await self.say(gateway, b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n")
        await until(lambda: b"\r\n\r\n" in raw.received)
        await self.hang_up(client)
        await until(lambda: raw.connected == 0)
        self.assertEqual(
            (dict(gateway.forwarder.counters.snapshot())["gateway.gone"], gateway.forwarder.under_way()), (1, 0)
        )

    async def test_G6_7_client_leaves_in_the_body(self) -> None:
        """
        Nor is the rest of its body.
        """
        raw = self.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        gateway = self.gateway()
        client = await self.say(gateway, b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n")
        await until(lambda: client.received.endswith(b"ab"))
        await self.hang_up(client)
        await until(lambda: raw.connected == 0)
        self.assertEqual(
            (dict(gateway.forwarder.counters.snapshot())["gateway.gone"], gateway.forwarder.under_way()), (1, 0)
        )

    async def test_a_response_that_is_none(self) -> None:
        """
        What is wrong with the gateway itself ends the request, its place and the client's waiting.
        """
        gateway = FederationGateway(OddAgent(), b"of-the-site")  # type: ignore[arg-type]
        client = await self.say(gateway, b"GET " + URI + b" HTTP/1.1\r\n" + AUTHORISED + b"\r\n")
        await until(lambda: client.reason is not None)
        counted = dict(gateway.forwarder.counters.snapshot())
        self.assertEqual((client.received, counted["gateway.internal"], gateway.forwarder.under_way()), (b"", 1, 0))
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    async def test_agent_closed(self) -> None:
        """
        A closed agent is 503.
        """
        await self.agent.close()
        self.assertEqual((await self.send(b"GET " + URI)).status.split()[1], b"503")


class OtherwiseTests(SiteCase):
    """
    What is not for the gateway.
    """

    async def test_branch(self) -> None:
        """
        A path goes to the site's own root, which finds the rest.
        """
        gateway = self.gateway(branch())
        self.assertEqual((await self.send(b"GET /here/a%20b", b"", gateway=gateway)).body, b"[b'here'] [b'a b']")

    async def test_leaf(self) -> None:
        """
        A root that is a leaf sees the whole path.
        """
        gateway = self.gateway(Leaf())
        self.assertEqual((await self.send(b"GET /a/b", b"", gateway=gateway)).body, b"[] [b'a', b'b']")

    async def test_federation_beside_it(self) -> None:
        """
        Federation goes to the gateway all the same, however its scheme is spelled.
        """
        server = self.federation.add_server(NAME)
        for scheme in (b"matrix-federation", b"Matrix-Federation", b"matrix"):
            await self.send(b"GET " + scheme + b"://hs.example/", gateway=self.gateway(Leaf()))
        self.assertEqual(len(server.requests), 3)

    async def test_https(self) -> None:
        """
        A target of https is for the gateway only where it forwards those.
        """
        line = b"GET https://hs.example/"
        self.assertIn(b"hs.example", (await self.send(line, gateway=self.gateway(Leaf()))).body)
        answered = await self.send(line, b"", gateway=self.gateway(Leaf(), allow_https=True))
        self.assertEqual(answered.status.split()[1], b"401")

    async def test_http(self) -> None:
        """
        One of http never is.
        """
        answered = await self.send(b"GET http://hs.example/", b"", gateway=self.gateway(Leaf(), allow_https=True))
        self.assertEqual(answered.status, b"HTTP/1.1 200 OK")

    async def test_pages(self) -> None:
        """
        Without another root there are the gateway's own pages.
        """
        self.assertEqual(json.loads((await self.send(b"GET /health", b"")).body)["status"], "ready")

    async def test_put_child(self) -> None:
        """
        Children are the other root's.
        """
        gateway = self.gateway(branch())
        gateway.putChild(b"there", Leaf())
        self.assertEqual((await self.send(b"GET /there", b"", gateway=gateway)).body, b"[b'there'] []")

    def test_put_child_nowhere(self) -> None:
        """
        Without one there are none.
        """
        self.assertRaises(ValueError, self.gateway().putChild, b"there", Leaf())


class MakingTests(SiteCase):
    """
    What it is made of.
    """

    def test_interface(self) -> None:
        """
        It is a resource.
        """
        self.assertTrue(verifyObject(IResource, self.gateway()))

    async def test_secrets(self) -> None:
        """
        The secret may be text, bytes or a L{Secret}.
        """
        for secret in ("of-the-site", b"of-the-site", Secret.of(b"of-the-site")):
            gateway = FederationGateway(self.agent, secret)
            self.assertEqual((await self.send(b"GET " + URI, gateway=gateway)).status.split()[1], b"502")

    def test_no_secret(self) -> None:
        """
        What cannot be one is refused when the gateway is made.
        """
        for secret in ("", b"", "gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m", b"of the site"):
            self.assertRaises(ConfigurationError, FederationGateway, self.agent, secret)

    async def test_draining(self) -> None:
        """
        Once it is told to, it forwards nothing.
        """
        gateway = self.gateway()
        await gateway.forwarder.drain()
        self.assertEqual((await self.send(b"GET " + URI, gateway=gateway)).status.split()[1], b"503")

    def test_peers(self) -> None:
        """
        The log tells clients apart, where they have addresses.
        """
        addresses = [IPv4Address("TCP", "127.0.0.1", 5), UNIXAddress(None)]
        self.assertEqual([_peer(address) for address in addresses], ["127.0.0.1:5", "unix"])
