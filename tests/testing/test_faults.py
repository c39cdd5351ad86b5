"""
Tests of each L{Fault} as a client meets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treq import content
from twisted.internet import error, reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.task import deferLater
from twisted.names import dns
from twisted.web.client import PartialDownloadError, ResponseFailed, ResponseNeverReceived
from twisted.web.iweb import IResponse

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy
from matrix_federation_agent.errors import FederationError
from matrix_federation_agent.testing import STEPS, Fault, VirtualServer
from tests.federation import FederationTestCase
from tests.testing.plain_client import Listener, json_of, tls_options, visit

NAME = "ex.example"
PATH = b"/.well-known/matrix/server"
GET = b"GET / HTTP/1.1\r\nHost: ex.example\r\n\r\n"
ENOUGH = 200_000
CERTIFICATE_FAULTS = {
    Fault.WRONG_NAME: "DNSMismatch",
    Fault.EXPIRED: "certificate verify failed",
    Fault.NOT_YET_VALID: "certificate verify failed",
    Fault.UNKNOWN_ROOT: "certificate verify failed",
    Fault.SELF_SIGNED: "certificate verify failed",
    Fault.OLD_TLS: "unsupported protocol|protocol version",
}

ANSWERING = (Fault.SERVER_ERROR, Fault.CUT_OFF, Fault.STALE, Fault.EARLY_ANSWER)
HEARING = (
    Fault.SILENT,
    Fault.NOT_HTTP,
    Fault.CUT_OFF_HEAD,
    Fault.RESET,
    Fault.ENDLESS_HEAD,
    Fault.ENDLESS_INTERIM,
)

SHORT_CONNECTIONS = {"connections": ConnectionPolicy(connect_timeout=0.4, response_timeout=0.4)}
PATIENCE: dict[Fault | None, dict[str, Any]] = {
    Fault.BLACK_HOLE: SHORT_CONNECTIONS,
    Fault.SILENT_TLS: SHORT_CONNECTIONS,
    Fault.SILENT: SHORT_CONNECTIONS,
    Fault.ENDLESS_HEAD: SHORT_CONNECTIONS,
    Fault.ENDLESS_INTERIM: SHORT_CONNECTIONS,
    Fault.DNS_SILENT: {"discovery": DiscoveryPolicy(dns_timeout=0.4)},
    Fault.WELL_KNOWN_SILENT: {"discovery": DiscoveryPolicy(well_known_timeout=0.4)},
}


class FaultCase(FederationTestCase):
    """
    A test with a federation.
    """

    def visit(self, server: VirtualServer) -> Deferred[IResponse]:
        """
        Send a request to the place where the server should be.
        """
        return ensureDeferred(visit(self.federation, server.address, server.port, server.identity))

    def well_known(self) -> Deferred[IResponse]:
        """
        Ask for the document.
        """
        return ensureDeferred(visit(self.federation, NAME, 443, NAME, PATH))


class ServerFaultTests(FaultCase):
    """
    Faults of the homeserver.
    """

    async def test_bad_certificates_are_rejected(self) -> None:
        """
        A careful client sends no request, and names the reason.
        """
        for number, (fault, reason) in enumerate(CERTIFICATE_FAULTS.items()):
            server = self.federation.add_server(f"s{number}.example", fault=fault)
            failure: Any = await self.assertFailure(self.visit(server), ResponseNeverReceived, ResponseFailed)
            self.assertRegex(repr([reason.value for reason in failure.reasons]), reason, str(fault))
            self.assertEqual((server.requests, server.connections), ([], 1))

    async def test_unreachable_servers(self) -> None:
        """
        A refused port refuses, a black hole is silent, and a silent handshake accepts the connection alone.
        """
        refused = self.federation.add_server("a.example", fault=Fault.REFUSED_PORT)
        await self.assertFailure(self.visit(refused), error.ConnectionRefusedError)
        hole = self.federation.add_server("b.example", fault=Fault.BLACK_HOLE)
        silent = self.federation.add_server("c.example", fault=Fault.SILENT_TLS)
        waiting = [self.visit(hole), self.visit(silent)]
        await until(lambda: silent.connections == 1)
        for attempt in waiting:
            self.assertNoResult(attempt)
            attempt.cancel()
            await self.assertFailure(attempt, Exception)
        self.assertEqual(hole.connections, 0)

    async def test_silent_servers(self) -> None:
        """
        The request arrives, and is never answered.
        """
        server = self.federation.add_server(NAME, fault=Fault.SILENT)
        waiting = self.visit(server)
        await until(lambda: len(server.requests) == 1)
        self.assertNoResult(waiting)
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError, ResponseFailed, ResponseNeverReceived)

    async def test_server_errors(self) -> None:
        """
        Status 500 comes with a Matrix error object, and ends when the fault does.
        """
        server = self.federation.add_server(NAME, fault=Fault.SERVER_ERROR)
        response = await self.visit(server)
        self.assertEqual(response.code, 500)
        self.assertEqual(await json_of(response), {"errcode": "M_UNKNOWN", "error": "Internal server error"})
        server.fault = None
        self.assertEqual((await self.visit(server)).code, 200)

    async def test_not_http(self) -> None:
        """
        What comes back is no status line.
        """
        server = self.federation.add_server(NAME, fault=Fault.NOT_HTTP)
        failure: Any = await self.assertFailure(self.visit(server), ResponseFailed)
        self.assertIn("220 mail.example", str(failure.reasons[0].value))

    async def test_cut_off(self) -> None:
        """
        The head announces more than the body has.
        """
        response = await self.visit(self.federation.add_server(NAME, fault=Fault.CUT_OFF))
        self.assertEqual(response.length, 1000)
        failure = await self.assertFailure(content(response), ResponseFailed, PartialDownloadError)
        self.assertEqual(type(failure).__name__, "ResponseFailed")


class TalkFaultTests(FaultCase):
    """
    Faults of the homeserver that a client sees byte by byte.
    """

    async def talk(self, *requests: bytes) -> Listener:
        """
        Connect, send requests, each after some answer to the last, and give what was heard.
        """
        listener = Listener()
        tcp = HostnameEndpoint(self.federation.reactor, self.server.address, self.server.port)
        await connectProtocol(wrapClientTLS(tls_options(self.federation, NAME), tcp), listener)
        transport: Any = listener.transport
        self.addCleanup(transport.abortConnection)
        for number, request in enumerate(requests):
            await until(lambda expected=number: listener.data.count(b"HTTP/1.1 200 OK") == expected)  # type: ignore[misc]
            transport.write(request)
        return listener

    def place(self, fault: Fault) -> None:
        """
        Place a server.
        """
        self.server = self.federation.add_server(NAME, fault=fault)

    async def test_cut_off_in_the_head(self) -> None:
        """
        It begins well, and ends before its first empty line.
        """
        self.place(Fault.CUT_OFF_HEAD)
        listener = await self.talk(GET)
        await listener.lost
        self.assertEqual(listener.data, b"HTTP/1.1 200 OK\r\nContent-Type: application/js")

    async def test_reset(self) -> None:
        """
        The request arrives, and the connection goes as no orderly close would let it go.
        """
        self.place(Fault.RESET)
        failure: Any = await self.assertFailure(self.visit(self.server), ResponseNeverReceived)
        self.assertEqual([reason.type for reason in failure.reasons], [error.ConnectionLost])
        self.assertEqual(len(self.server.requests), 1)

    async def test_stale(self) -> None:
        """
        The first request over a connection is answered, the second only closes it.
        """
        self.place(Fault.STALE)
        listener = await self.talk(GET, GET)
        await listener.lost
        self.assertEqual((listener.data.count(b"HTTP/1.1"), len(self.server.requests)), (1, 2))

    async def test_stale_connections_are_closed_alone(self) -> None:
        """
        Each connection has its first request.
        """
        self.place(Fault.STALE)
        self.assertEqual([(await self.visit(self.server)).code for _ in range(2)], [200, 200])

    async def test_early_answer(self) -> None:
        """
        A part of the body is enough for the answer, and for the end of the connection.
        """
        self.place(Fault.EARLY_ANSWER)
        listener = await self.talk(b"PUT / HTTP/1.1\r\nHost: ex.example\r\nContent-Length: 1000\r\n\r\npart")
        await listener.lost
        head, _, body = listener.data.partition(b"\r\n\r\n")
        self.assertEqual(head.partition(b"\r\n")[0], b"HTTP/1.1 413 Content Too Large")
        self.assertIn(b"Content-Length: %d" % len(body), head)
        self.assertEqual(self.server.requests, [])

    async def test_early_answers_need_a_body(self) -> None:
        """
        What has no body is answered as ever; a whole body is refused once.
        """
        self.place(Fault.EARLY_ANSWER)
        self.assertEqual((await self.visit(self.server)).code, 200)
        listener = await self.talk(b"PUT / HTTP/1.1\r\nHost: ex.example\r\nContent-Length: 4\r\n\r\nfull")
        await listener.lost
        self.assertEqual((listener.data.count(b"HTTP/1.1"), len(self.server.requests)), (1, 1))

    async def test_endless_head(self) -> None:
        """
        Header follows header, never an empty line.
        """
        self.place(Fault.ENDLESS_HEAD)
        listener = await self.talk(GET)
        await until(lambda: len(listener.data) > ENOUGH)
        self.assertTrue(listener.data.startswith(b"HTTP/1.1 200 OK\r\nX-Padding: x"))
        self.assertNotIn(b"\r\n\r\n", listener.data)

    async def test_endless_interim(self) -> None:
        """
        Nothing but informational responses.
        """
        self.place(Fault.ENDLESS_INTERIM)
        listener = await self.talk(GET)
        await until(lambda: len(listener.data) > ENOUGH)
        self.assertEqual(set(listener.data[:ENOUGH].split(b"\r\n\r\n")[:-1]), {b"HTTP/1.1 103 Early Hints"})


class WellKnownFaultTests(FaultCase):
    """
    Faults of the document.
    """

    async def test_the_server_is_still_there(self) -> None:
        """
        Whatever is wrong with the document, the server answers for its own name.
        """
        faults = [fault for fault in Fault if fault.is_well_known]
        for number, fault in enumerate(faults):
            server = self.federation.add_server(f"s{number}.example", fault=fault)
            self.assertEqual((await self.visit(server)).code, 200)
        self.assertEqual(len(faults), 6)

    async def test_answers(self) -> None:
        """
        Each fault that answers answers as it says.
        """
        expected = {
            Fault.WELL_KNOWN_NOT_JSON: (200, None, b"<!DOCTYPE html><title>Welcome</title>"),
            Fault.WELL_KNOWN_REDIRECT_LOOP: (302, [b"https://s1.example" + PATH], b'{"m.server": "astray.s1.example"}'),
            Fault.WELL_KNOWN_SERVER_ERROR: (500, None, b'{"m.server": "astray.s2.example"}'),
        }
        for number, (fault, answer) in enumerate(expected.items()):
            self.federation.add_server(name := f"s{number}.example", fault=fault)
            response = await visit(self.federation, name, 443, name, PATH)
            location = response.headers.getRawHeaders(b"location")
            self.assertEqual((response.code, location, await content(response)), answer)

    async def test_a_huge_document_is_otherwise_good(self) -> None:
        """
        An agent without a limit would follow it.
        """
        self.federation.add_server(NAME, "5", Fault.WELL_KNOWN_HUGE)
        response = await self.well_known()
        document: Any = await json_of(response)
        self.assertGreater(response.length, 1024 * 1024)
        self.assertEqual(document["m.server"], "astray.ex.example")

    async def test_a_bad_certificate(self) -> None:
        """
        The document cannot be fetched by who looks at the certificate.
        """
        self.federation.add_server(NAME, "4", Fault.WELL_KNOWN_BAD_CERTIFICATE)
        await self.assertFailure(self.well_known(), ResponseNeverReceived)

    async def test_silence(self) -> None:
        """
        The document is asked for, and never answered.
        """
        document = self.federation.serve_well_known(NAME, {})
        document.silent = True
        waiting = self.well_known()
        await until(lambda: len(document.requests) == 1)
        self.assertNoResult(waiting)
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError, ResponseFailed, ResponseNeverReceived)


class NameFaultTests(FaultCase):
    """
    Faults of the DNS.
    """

    def rcodes(self, fault: Fault, step: str) -> list[int | str]:
        """
        Place a server, and give the answers to what an agent asks.
        """
        self.federation.add_server(NAME, step, fault)
        questions = [(f"_matrix-fed._tcp.{NAME}", dns.SRV), (NAME, dns.A), (f"fed.{NAME}", dns.A)]
        replies = [self.federation.name_server.reply(*question) for question in questions]
        return ["silence" if reply is None else reply.rcode for reply in replies]

    def test_no_address(self) -> None:
        """
        The target of the record is gone, the record is not.
        """
        self.assertEqual(self.rcodes(Fault.NO_ADDRESS, "4"), [dns.OK, dns.OK, dns.ENAME])

    def test_silence(self) -> None:
        """
        Every question about the server stays without an answer.
        """
        self.assertEqual(self.rcodes(Fault.DNS_SILENT, "4"), ["silence"] * 3)

    def test_failure(self) -> None:
        """
        Every question about the server fails.
        """
        self.assertEqual(self.rcodes(Fault.DNS_FAILS, "4"), [dns.ESERVER] * 3)

    def test_delegation_survives(self) -> None:
        """
        The name whose document delegates is not what fails.
        """
        self.federation.add_server(NAME, "3.3", Fault.DNS_FAILS)
        names = (NAME, f"matrix.{NAME}", f"fed.matrix.{NAME}")
        replies = [self.federation.name_server.reply(name, dns.A) for name in names]
        self.assertEqual([reply and reply.rcode for reply in replies], [dns.OK, dns.ESERVER, dns.ESERVER])

    async def test_private_addresses(self) -> None:
        """
        The name leads to a private address, where the server really is: only a policy can tell.
        """
        server = self.federation.add_server(NAME, fault=Fault.PRIVATE_ADDRESS)
        self.assertEqual(self.federation.name_server.address_of(NAME), "10.0.0.1")
        self.assertEqual((await self.visit(server)).code, 200)


class AgentTests(FaultCase):
    """
    The agent, in this federation.
    """

    def ask(self, server: VirtualServer) -> Deferred[IResponse]:
        """
        Send a request to a server by its name.
        """
        uri = b"matrix-federation://" + server.server_name.encode() + b"/_matrix/federation/v1/version"
        agent = self.federation.agent(**PATIENCE.get(server.fault, {}))
        asked: Deferred[IResponse] = agent.request(b"GET", uri)
        return asked

    async def test_every_step(self) -> None:
        """
        By each step the agent arrives, with the right Host header.
        """
        for number, step in enumerate(STEPS):
            name = {"1": "192.0.2.7", "2": "two.example:8443"}.get(step, f"s{number}.example")
            server = self.federation.add_server(name, step)
            self.assertEqual((await self.ask(server)).code, 200, step)
            self.assertEqual([request.host for request in server.requests], [server.host])

    async def test_every_fault(self) -> None:
        """
        A faulty document is overcome, a faulty answer is passed on, and anything else is an error.
        """
        for number, fault in enumerate(Fault):
            server = self.federation.add_server(f"s{number}.example", "4", fault)
            if fault.is_well_known or fault in ANSWERING:
                self.assertEqual((await self.ask(server)).code, 500 if fault is Fault.SERVER_ERROR else 200, str(fault))
            else:
                await self.assertFailure(self.ask(server), FederationError)
                self.assertEqual(len(server.requests), int(fault in HEARING), str(fault))
        self.assertEqual([place for place in self.federation.dialled if place[0].startswith("10.")], [])


async def until(condition: Callable[[], bool]) -> None:
    """
    Let the reactor run until a condition holds; trial's own timeout is the limit.
    """
    while not condition():
        await deferLater(reactor, 0.005)
