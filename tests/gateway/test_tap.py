"""
Tests of C{twist matrix-federation-gateway}: the real program, in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from matrix_federation_agent import read_body
from tests.conformance.case import RawServer, SocketCase, until

NAME = "matrix-federation-gateway"


class Process(ProcessProtocol):
    """
    A process.

    @ivar output: what it wrote, to standard output and error.
    @ivar ended: fires with how it ended: a status, or the negative number of a signal.
    """

    def __init__(self) -> None:
        self.output = ""
        self.ended: Deferred[int] = Deferred()
        self.running = False

    def connectionMade(self) -> None:
        """
        It runs.
        """
        self.running = True

    def outReceived(self, data: bytes) -> None:
        """
        Keep what it writes.
        """
        self.output += data.decode("utf-8")

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """
        Tell how it ended.
        """
        self.running = False
        end: Any = reason.value
        self.ended.callback(-end.signal if end.signal else end.exitCode)

    def kill(self) -> None:
        """
        End it whatever it does.
        """
        if self.running:
            self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        """
        Send it a signal.
        """
        assert self.transport is not None
        self.transport.signalProcess(number)


class ProcessCase(SocketCase):
    """
    A test with a process.
    """

    timeout = 30

    def setUp(self) -> None:
        """
        Write a secret.
        """
        super().setUp()
        self.secret = Path(self.mktemp())
        self.write_secret("hunter-1")

    def write_secret(self, secret: str) -> None:
        """
        Write the file that the process reads.
        """
        self.secret.write_text(secret)
        self.secret.chmod(0o600)

    def twist(self, *arguments: str, form: str = "text") -> Process:
        """
        Start C{twist}.
        """
        process = Process()
        path = os.pathsep.join(filter(None, sys.path))
        argv = [sys.executable, "-m", "twisted", f"--log-format={form}", NAME, *arguments]
        reactor.spawnProcess(process, sys.executable, argv, {**os.environ, "PYTHONPATH": path})
        self.addCleanup(lambda: process.ended if process.running else None)
        self.addCleanup(process.kill)
        return process

    async def gateway(self, *arguments: str, form: str = "text") -> Process:
        """
        Start a gateway on a free port, and wait until it listens: C{self.port}.
        """
        listen = ("--listen", "tcp:0:interface=127.0.0.1", "--secret-file", str(self.secret))
        process = self.twist(*listen, *arguments, form=form)
        pattern = r"listens on 127\.0\.0\.1:(\d+)" if form == "text" else r'"address": "127\.0\.0\.1:(\d+)"'
        await until(lambda: re.search(pattern, process.output) is not None or not process.running)
        found = re.search(pattern, process.output)
        assert found is not None, process.output
        self.port = int(found[1])
        return process

    async def get(self, path: str, secret: str = "") -> tuple[int, Any]:
        """
        Ask the gateway for one of its pages.
        """
        headers = Headers({b"Authorization": [b"Bearer %s" % secret.encode("ascii")]})
        uri = f"http://127.0.0.1:{self.port}{path}".encode("ascii")
        response = await Agent(reactor).request(b"GET", uri, headers)
        return response.code, json.loads(await read_body(response, 64 * 1024))


class RunningTests(ProcessCase):
    """
    A gateway that runs.
    """

    async def test_health(self) -> None:
        """
        It is ready, and ends by SIGTERM in order.
        """
        process = await self.gateway()
        code, found = await self.get("/health")
        process.send(signal.SIGTERM)
        self.assertEqual((code, found["status"], await process.ended), (200, "ready", -signal.SIGTERM))
        self.assertIn("the gateway has stopped", process.output)
        self.assertNotIn("Traceback", process.output)

    async def test_reload(self) -> None:
        """
        After SIGHUP the new secret counts, and the old one does no more.
        """
        process = await self.gateway()
        before = [(await self.get("/known", secret))[0] for secret in ("hunter-1", "hunter-2")]
        self.write_secret("hunter-2")
        process.send(signal.SIGHUP)
        await until(lambda: "the secret was read again" in process.output)
        after = [(await self.get("/known", secret))[0] for secret in ("hunter-1", "hunter-2")]
        self.assertEqual((before, after), ([200, 401], [401, 200]))
        self.assertNotIn("hunter", process.output)

    async def test_broken_secret(self) -> None:
        """
        A secret that cannot be used changes nothing, and trust is read again all the same.
        """
        process = await self.gateway()
        self.write_secret("")
        process.send(signal.SIGHUP)
        await until(lambda: "the secret stays as it was" in process.output)
        self.assertIn("trust was read again", process.output)
        self.assertEqual((await self.get("/known", "hunter-1"))[0], 200)

    async def test_log(self) -> None:
        """
        Each request is one line, as text and as JSON.
        """
        for form, begin in (("text", "path=/health code=200"), ("json", '"path": "/health"')):
            process = await self.gateway(form=form)
            await self.get("/health")
            await until(lambda process=process, begin=begin: begin in process.output)  # type: ignore[misc]
            process.send(signal.SIGTERM)
            await process.ended
            self.assertEqual(len([line for line in process.output.splitlines() if begin in line]), 1)


class DrainTests(ProcessCase):
    """
    The end of a gateway that is busy.
    """

    async def busy(self, *arguments: str) -> Process:
        """
        Start a gateway that waits for a server which never says anything.
        """
        server = RawServer()
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(server)
        self.addCleanup(port.stopListening)
        process = await self.gateway("--allow-network", "127.0.0.0/8", *arguments)
        client = await connectProtocol(clientFromString(reactor, f"tcp:127.0.0.1:{self.port}"), Protocol())
        target = f"matrix-federation://127.0.0.1:{port.getHost().port}/"
        client.transport.write(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer hunter-1\r\n\r\n".encode("ascii")
        )
        await until(lambda: server.accepted > 0)
        process.send(signal.SIGTERM)
        await until(lambda: "requests under way: 1" in process.output)
        return process

    async def test_limit(self) -> None:
        """
        What takes longer than the policy allows is cut off.
        """
        process = await self.busy("--drain-timeout", "0.1")
        self.assertEqual(await process.ended, -signal.SIGTERM)
        self.assertIn("requests that are cut off, for they took too long: 1", process.output)

    async def test_second_signal(self) -> None:
        """
        A second SIGTERM ends the waiting, without a traceback.
        """
        process = await self.busy("--drain-timeout", "600")
        process.send(signal.SIGTERM)
        self.assertEqual(await process.ended, -signal.SIGTERM)
        self.assertIn("the gateway has stopped", process.output)
        self.assertNotIn("Traceback", process.output)


class NotRunningTests(ProcessCase):
    """
    A gateway that does not start.
    """

    async def assert_ends(self, status: int, expected: str, *arguments: str) -> None:
        """
        Assert how the process ends, and the beginning of what it says.
        """
        process = self.twist(*arguments)
        self.assertEqual(await process.ended, status, process.output)
        self.assertEqual(process.output[: len(expected)], expected)
        self.assertNotIn("Traceback", process.output)

    async def test_without_a_secret(self) -> None:
        """
        Without a secret, or one that is empty, it does not start.
        """
        await self.assert_ends(64, "Error: secret_file: without a secret", "--listen", "tcp:0")
        self.write_secret("")
        given = ("--listen", "tcp:0", "--secret-file", str(self.secret))
        await self.assert_ends(1, f"{NAME}: argument --secret-file: what ", *given)

    async def test_broken_roots(self) -> None:
        """
        A file of trust that cannot be used is named, with its option.
        """
        given = ("--listen", "tcp:0", "--secret-file", str(self.secret), "--ca-file", str(self.secret))
        await self.assert_ends(1, f"{NAME}: argument --ca-file: {self.secret}", *given)

    async def test_control_characters(self) -> None:
        """
        What is told of a file cannot control a terminal.
        """
        given = ("--listen", "tcp:0", "--secret-file", str(self.secret), "--ca-file", "no\x1b[2J")
        await self.assert_ends(1, f"{NAME}: argument --ca-file: no\\x1b[2J cannot be read", *given)

    async def test_not_listening(self) -> None:
        """
        An endpoint that is none, or cannot be listened on, is named.
        """
        secret = ("--secret-file", str(self.secret))
        expected = f"{NAME}: argument --listen: 'tpc:1' is no server endpoint: "
        await self.assert_ends(1, expected, "--listen", "tpc:1", *secret)
        there = "tcp:8009:interface=192.0.2.1"
        await self.assert_ends(1, f"{NAME}: listen: {there}: Couldn't listen", "--listen", there, *secret)

    async def test_help(self) -> None:
        """
        C{--help} is the help of the gateway, and status 0.
        """
        await self.assert_ends(0, f"usage: twist {NAME} ", "--help")
