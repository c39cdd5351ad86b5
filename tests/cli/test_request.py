"""
Tests of C{matrix_federation_agent._cli.request} and C{body}.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from matrix_federation_agent._cli.console import Console
from matrix_federation_agent._cli.running import perform
from matrix_federation_agent.testing import Fault
from tests.cli.kit import FederationCase, MemoryConsole, command, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "/_matrix/federation/v1/version"


class ResponseTests(FederationCase):
    """
    What is answered.
    """

    async def test_head_and_body(self) -> None:
        """
        The head goes to standard error, the body, and nothing else, to standard output.
        """
        self.federation.add_server("a.test", "3.3")
        said = await self.run_command("request", "a.test", VERSION)
        self.assertEqual((0, {"server": {"name": "LoopbackFederation", "version": "1"}}), (said.status, said.json))
        head = said.errors.splitlines()
        self.assertEqual("HTTP/1.1 200 OK", head[0])
        self.assertIn("Content-Type: application/json", head)

    async def test_a_status_is_an_answer(self) -> None:
        """
        A server that answers with 500 was reached.
        """
        self.federation.add_server("a.test", fault=Fault.SERVER_ERROR)
        said = await self.run_command("request", "a.test", VERSION)
        self.assertEqual((0, "M_UNKNOWN"), (said.status, said.json["errcode"]))
        self.assertRegex(said.errors, "^HTTP/1.1 500 ")

    async def test_json_head(self) -> None:
        """
        With C{--json} the head is one object, on one line.
        """
        self.serve_bytes(b"HTTP/1.1 299 Well\r\nX: 1\r\nX: 2\r\nContent-Length: 2\r\n\r\n\x00\xff")
        said = await self.run_command("request", "192.0.2.7", "/", "--json")
        head = {"version": "HTTP/1.1", "status": 299, "phrase": "Well"}
        expected = {"server_name": "192.0.2.7", **head, "headers": [["X", "1"], ["X", "2"]]}
        self.assertEqual([expected], [json.loads(line) for line in said.errors.splitlines()])
        self.assertEqual(b"\x00\xff", said.output)

    async def test_a_body_without_a_length(self) -> None:
        """
        A body that ends with its connection is complete.
        """
        self.serve_bytes(b"HTTP/1.0 200 OK\r\n\r\n\x1b[2J")
        said = await self.run_command("request", "192.0.2.7", "/")
        self.assertEqual((0, b"\x1b[2J"), (said.status, said.output))

    async def test_control_characters(self) -> None:
        """
        They are escaped in the head, and in a body that goes to a terminal.
        """
        self.serve_bytes(b"HTTP/1.1 200 \x1b]0;a\x07\r\nX: \x1b[2J\x9b\r\nContent-Length: 7\r\n\r\n\x1b[2Jok\n")
        said = await self.run_command("request", "192.0.2.7", "/", terminal=True)
        self.assertEqual((0, b"\\x1b[2Jok\n"), (said.status, said.output))
        self.assertEqual([], [one for one in said.errors if not (one.isprintable() or one == "\n")])
        self.assertEqual([r"HTTP/1.1 200 \x1b]0;a\x07", r"X: \x1b[2J\x9b"], said.errors.splitlines()[:2])

    async def test_an_incomplete_character(self) -> None:
        """
        On a terminal the end of a body that breaks off inside a character is shown all the same.
        """
        self.serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na\xc3")
        said = await self.run_command("request", "192.0.2.7", "/", terminal=True)
        self.assertEqual(rb"a\xc3", said.output)


class SendingTests(FederationCase):
    """
    What is sent.
    """

    async def echo(self, *arguments: str) -> Any:
        """
        Let a server tell what it received.
        """
        self.federation.add_server("a.test")
        said = await self.run_command("request", "a.test", "/x%2Fy?z=%20&z", *arguments)
        self.assertEqual(0, said.status)
        return said.json

    async def test_get(self) -> None:
        """
        Method, path and query as they were given.
        """
        received = await self.echo()
        self.assertEqual(("GET", "/x%2Fy?z=%20&z", ""), tuple(received[key] for key in ("method", "target", "body")))

    async def test_body_and_headers(self) -> None:
        """
        A body with its length, and headers.
        """
        received = await self.echo("-X", "PUT", "--data", '{"a": 1}', "-H", "Authorization: X-Matrix a")
        self.assertEqual(("PUT", '{"a": 1}', "a.test"), tuple(received[key] for key in ("method", "body", "host")))
        for header in (["authorization", "X-Matrix a"], ["content-type", "application/json"], ["content-length", "8"]):
            self.assertIn(header, received["headers"])


class FailureTests(FederationCase):
    """
    What cannot be had.
    """

    async def test_every_attempt_is_told(self) -> None:
        """
        One line for each: target, address, phase, reason.
        """
        self.federation.add_server("a.test", "4", Fault.REFUSED_PORT, address="198.51.100.77")
        self.federation.name_server.add_service("_matrix-fed._tcp.a.test", "10.0.0.1.test", 1, priority=9)
        self.federation.name_server.add_address("10.0.0.1.test", "10.0.0.1")
        said = await self.run_command("request", "a.test", VERSION)
        denied = "address 10.0.0.1 was refused by the address policy (it lies in 10.0.0.0/8)"
        expected = [
            "matrix-federation: a.test: all attempts failed",
            "  fed.a.test:8443 (198.51.100.77) [tcp]: Connection was refused by other side",
            f"  10.0.0.1.test:1 (10.0.0.1) [policy]: {denied}",
        ]
        self.assertEqual((1, b"", expected), (said.status, said.output, said.errors.splitlines()))

    async def test_json(self) -> None:
        """
        With C{--json} a failure is one object, on one line.
        """
        self.federation.add_server("a.test", fault=Fault.EXPIRED)
        said = await self.run_command("request", "a.test", VERSION, "--json")
        (line,) = said.errors.splitlines()
        failure = json.loads(line)["failure"]
        self.assertEqual((1, "CertificateRejected", "tls"), (said.status, failure["type"], failure["phase"]))
        self.assertEqual(["a.test:8448"], [attempt["target"] for attempt in failure["attempts"]])

    async def test_a_body_that_breaks_off(self) -> None:
        """
        What arrived is passed on; the rest is a failure.
        """
        self.federation.add_server("a.test", fault=Fault.CUT_OFF)
        said = await self.run_command("request", "a.test", VERSION)
        self.assertEqual((1, b'{"server": {"name": "Loop'), (said.status, said.output))
        self.assertIn("matrix-federation: a.test: the body of the response broke off", said.errors)

    async def test_timeout(self) -> None:
        """
        C{--timeout} is for the whole, and says so.
        """
        self.federation.add_server("a.test", fault=Fault.SILENT)
        said = await self.run_command("request", "a.test", VERSION, "--timeout", "0.3")
        expected = "matrix-federation: a.test: cancelled: not done within 0.3 s (--timeout)\n"
        self.assertEqual((1, expected), (said.status, said.errors))

    async def test_unusable_requests(self) -> None:
        """
        What only the agent finds to be unusable is bad usage as well.
        """
        said = await self.run_command("request", "a.test", "/", "--ca-file", self.mktemp())
        self.assertEqual(2, said.status)
        self.assertRegex(said.errors, "^matrix-federation: error: argument --ca-file: .*No such file")


class _Trickle(Resource):
    """
    Answers in two pieces; the second waits.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.finish: Callable[[], None] = lambda: None

    def render(self, request: Request) -> int:
        # With a length: chunks make Twisted 26.10 itself compare bytes and text.
        request.setHeader(b"content-length", b"12")
        request.write(b"first ")

        def finish() -> None:
            request.write(b"second")
            request.finish()

        self.finish = finish
        return NOT_DONE_YET


class _Watched(BytesIO):
    """
    Tells of the first write.
    """

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__()
        self.error = error
        self.began: Deferred[None] = Deferred()

    def write(self, data: object) -> int:
        if self.error is not None:
            raise self.error
        written = super().write(data)  # type: ignore[arg-type]
        if not self.began.called:
            self.began.callback(None)
        return written


class StreamingTests(FederationCase):
    """
    A body while it arrives.
    """

    def setUp(self) -> None:
        """
        Place a server that answers slowly.
        """
        super().setUp()
        self.trickle = _Trickle()
        certificate = self.federation.certificates.issue("192.0.2.7")
        site = Site(self.trickle, reactor=self.federation.reactor)
        self.federation.listen_tls("192.0.2.7", 8448, site, certificate)

    def start(self, output: _Watched) -> tuple[MemoryConsole, Deferred[int]]:
        """
        Send the request.
        """
        memory = MemoryConsole(output)
        invoked = command("request", "192.0.2.7", "/", *self.options)
        console: Console = memory.console()
        return memory, Deferred.fromCoroutine(perform(self.federation.reactor, invoked, console))

    async def test_pieces_are_passed_on_as_they_arrive(self) -> None:
        """
        The first is there before the server has sent the last.
        """
        memory, done = self.start(_Watched())
        await memory.output.began  # type: ignore[attr-defined]
        self.assertEqual(b"first ", memory.output.getvalue())
        self.trickle.finish()
        self.assertEqual((0, b"first second"), (await done, memory.output.getvalue()))

    async def test_a_reader_who_goes_away(self) -> None:
        """
        Nobody waits for the rest of the body, and not a word is said.
        """
        memory, done = self.start(_Watched(BrokenPipeError(32, "Broken pipe")))
        self.assertEqual(1, await done)
        self.assertNotIn("matrix-federation:", memory.errors.getvalue())

    async def test_a_full_disk(self) -> None:
        """
        That the output is lost is told.
        """
        memory, done = self.start(_Watched(OSError(28, "No space left on device")))
        self.assertEqual(1, await done)
        expected = "matrix-federation: cannot write the output: No space left on device\n"
        self.assertEqual(expected, memory.errors.getvalue().splitlines(keepends=True)[-1])

    async def test_cancelled(self) -> None:
        """
        Cancelling in the middle of a body leaves nothing behind: trial looks for what is left in the reactor.
        """
        memory, done = self.start(_Watched())
        await memory.output.began  # type: ignore[attr-defined]
        done.cancel()
        with self.assertRaises(Exception) as caught:
            await done
        self.assertEqual("CancelledError", type(caught.exception).__name__)
        self.assertTrue(reactor.running)
