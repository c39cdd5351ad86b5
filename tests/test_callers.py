"""
The agent under what callers put around it: Twisted's wrappers of agents, treq, and readers of bodies.
"""

from __future__ import annotations

import gzip
import io
import json
from http.cookiejar import CookieJar
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.web.client import (
    BrowserLikeRedirectAgent,
    ContentDecoderAgent,
    CookieAgent,
    FileBodyProducer,
    GzipDecoder,
    RedirectAgent,
    readBody,
)
from twisted.web.client import ResponseFailed as BodyFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy
from tests.conformance.case import FederationCase, RawServer, until

EX = "192.0.2.1"
URI = b"matrix-federation://ex.com/a"


def response(*lines: str, body: bytes = b"hi", status: str = "200 OK") -> bytes:
    """
    Write a response whose body has a length.
    """
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("ascii") + body


class CallersCase(FederationCase):
    """
    A server for C{ex.com} that answers with bytes.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.dns.add_address("ex.com", EX)
        self.agent = self.federation.agent()

    def raw(self, answer: bytes, address: str = EX, name: str = "ex.com") -> RawServer:
        """
        Let a server answer with bytes.
        """
        server = RawServer(answer, closes=False)
        self.federation.listen_tls(address, 8448, server, self.certificates.issue(name, address))
        return server


class WrappingTests(CallersCase):
    """
    Agents of Twisted's around this one.
    """

    async def test_gzip(self) -> None:
        """
        A compressed body is unpacked, its length unknown, and the connection kept.
        """
        server = self.raw(response("Content-Encoding: gzip", body=gzip.compress(b"hello")))
        agent = ContentDecoderAgent(self.agent, [(b"gzip", GzipDecoder)])
        for _ in range(2):
            answer = await agent.request(b"GET", URI)
            self.assertEqual((answer.length, await readBody(answer)), (UNKNOWN_LENGTH, b"hello"))
        self.assertEqual((server.accepted, server.received.count(b"Accept-Encoding: gzip\r\n")), (1, 2))

    async def test_redirects(self) -> None:
        """
        Redirects are resolved against the URI of the request, and the responses chained.
        """
        here, there = b"https://ex.com:8448/a", b"https://b.example:8448/b"
        self.dns.add_address("b.example", "192.0.2.2")
        self.raw(response("Location: //b.example:8448/b", status="302 Found"))
        self.raw(response(), "192.0.2.2", "b.example")
        for kind in (RedirectAgent, BrowserLikeRedirectAgent):
            answer = await kind(self.agent).request(b"GET", here)
            self.assertEqual((answer.code, await readBody(answer)), (200, b"hi"))
            self.assertEqual((answer.previousResponse.code, answer.request.absoluteURI), (302, there))

    async def test_cookies(self) -> None:
        """
        Cookies that a server sets are sent to it again.
        """
        server = self.raw(response("Set-Cookie: a=b"))
        agent: IAgent = CookieAgent(self.agent, CookieJar())
        for _ in range(2):
            await readBody(await agent.request(b"GET", b"https://ex.com:8448/"))
        self.assertEqual(server.received.count(b"Cookie: a=b\r\n"), 1)


class TreqTests(CallersCase):
    """
    treq's ways to send and to read.
    """

    def setUp(self) -> None:
        """
        Serve C{ex.com} with a server that echoes.
        """
        super().setUp()
        self.federation.serve_homeserver("ex.com", EX, 8448)
        self.client = HTTPClient(self.agent)
        # treq and Twisted's headers look names up as bytes and as strings.
        self.addCleanup(self.flushWarnings)

    async def echoed(self, method: str, **body: Any) -> Any:
        """
        Send a body, and read what the server had of it.
        """
        return await treq.json_content(await self.client.request(method, URI.decode("ascii"), **body))

    async def test_bodies(self) -> None:
        """
        JSON, bytes, forms and files arrive.
        """
        for method in ("PUT", "POST"):
            echoed = await self.echoed(method, json={"a": 1})
            self.assertEqual((echoed["method"], json.loads(echoed["body"])), (method, {"a": 1}))
            self.assertEqual((await self.echoed(method, data=b"bytes"))["body"], "bytes")
            self.assertEqual((await self.echoed(method, data={"k": "v w"}))["body"], "k=v+w")
            echoed = await self.echoed(method, files={"f": ("n.txt", "text/plain", io.BytesIO(b"in a file"))})
            self.assertIn("in a file", echoed["body"])

    async def test_a_large_file(self) -> None:
        """
        A body too large to be kept is streamed.
        """
        producer = FileBodyProducer(io.BytesIO(b"x" * 600_000))
        answer = await self.agent.request(b"PUT", URI, Headers(), producer)
        self.assertEqual(len((await treq.json_content(answer))["body"]), 600_000)

    async def test_collect(self) -> None:
        """
        treq's readers read one response as well as several times.
        """
        answer = await self.client.get(URI.decode("ascii"))
        parts: list[bytes] = []
        await treq.collect(answer, parts.append)
        self.assertEqual(json.loads(b"".join(parts))["target"], "/a")


class ResponseTests(CallersCase):
    """
    What callers see of a response, and what happens if they do not look.
    """

    async def test_control_headers(self) -> None:
        """
        What is said of the connection is no header of the response, as with Twisted's client; its length is.
        """
        self.raw(response("Connection: keep-alive", "Keep-Alive: timeout=9", "X-Mine: y"))
        answer = await self.agent.request(b"GET", URI)
        self.assertEqual((list(answer.headers.getAllRawHeaders()), answer.length), ([(b"X-Mine", [b"y"])], 2))

    async def test_a_body_that_nobody_reads(self) -> None:
        """
        A large body keeps its connection for as long as silence is borne; who reads it then learns why it ended.
        """
        server = self.raw(response(body=b"x" * 300_000))
        agent = self.federation.agent(connections=ConnectionPolicy(silence_timeout=0.2))
        answer = await agent.request(b"GET", URI)
        await until(lambda: server.connected == 0)
        self.assertEqual([str(one) for one in agent.connections()], [])
        error: Any = await self.assertFailure(treq.content(answer), BodyFailed)
        (reason,) = error.reasons
        self.assertEqual(str(reason.value), "ex.com: nobody read the body for 0.2 s")


class WiringTests(CallersCase):
    """
    What L{MatrixFederationAgent.new} connects with what.
    """

    async def test_a_delegation_that_changes(self) -> None:
        """
        The idle connection to the former server is closed.
        """
        document = self.federation.serve_well_known("d.example", {"m.server": "old.example:8448"})
        servers = []
        for name, address in (("old.example", "192.0.2.11"), ("new.example", "192.0.2.12")):
            self.dns.add_address(name, address)
            servers.append(self.raw(response(), address, name))
        old, new = servers
        agent = self.federation.agent(discovery=DiscoveryPolicy(delegation_minimum=0.01, delegation_default=0.05))
        await self.get("d.example", agent)
        self.assertEqual((old.connected, new.accepted), (1, 0))
        document.body = {"m.server": "new.example:8448"}
        while not new.accepted:
            await self.get("d.example", agent)
        await until(lambda: old.connected == 0)

    async def test_a_lack_of_sockets(self) -> None:
        """
        What makes room for a socket closes the connection that was idle for longest.
        """
        server = self.raw(response())
        await self.get("ex.com", self.agent)
        self.assertEqual(server.connected, 1)
        self.agent._dialer.room.make()
        await until(lambda: server.connected == 0)
