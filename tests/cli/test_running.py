"""
Tests of C{matrix_federation_agent._cli.running} and C{__main__}, in processes of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from matrix_federation_agent import __version__
from matrix_federation_agent._cli.running import observer
from matrix_federation_agent.testing import LoopbackFederation
from tests.case import TestCase
from tests.cli.kit import MODULE, Child, MemoryConsole, environment, reactor, run_process

if TYPE_CHECKING:
    from matrix_federation_agent.testing import Certificate

LOOPBACK = "127.0.0.1"


class StatusTests(TestCase):
    """
    Exit statuses.
    """

    async def test_version(self) -> None:
        """
        0, and the version alone.
        """
        said = await run_process(*MODULE, "--version")
        self.assertEqual(
            (0, f"matrix-federation {__version__}\n", ""), (said.status, said.output.decode(), said.errors)
        )

    async def test_usage(self) -> None:
        """
        2 for what cannot be used, whenever that is found.
        """
        for line in ([], ["check"], ["resolve", "a b"], ["resolve", "a", "--ca-file", "/nowhere/at/all"]):
            said = await run_process(*MODULE, *line)
            self.assertEqual((2, b""), (said.status, said.output), line)
            self.assertRegex(said.errors, "matrix-federation.*: error: ")
            self.assertNotIn("Traceback", said.errors)

    async def test_failure(self) -> None:
        """
        1 for what failed.
        """
        said = await run_process(*MODULE, "request", LOOPBACK, "/")
        self.assertEqual(1, said.status)
        self.assertRegex(said.errors, "^matrix-federation: 127.0.0.1: address 127.0.0.1 was refused")

    async def test_closed_streams(self) -> None:
        """
        A process that was started without standard streams is no reason for a traceback.
        """
        script = "import os, sys; os.closerange(0, 3); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        for line, status in (("resolve 127.0.0.1 --allow-network 127.0.0.1", 0), ("resolve 127.0.0.1", 1)):
            said = await run_process("-c", script, *MODULE, *line.split())
            self.assertEqual((status, b"", ""), (said.status, said.output, said.errors))


class LogTests(TestCase):
    """
    What Twisted logs.
    """

    def test_only_what_nobody_handled(self) -> None:
        """
        One line, escaped, without a traceback; the rest is not for users.
        """
        memory = MemoryConsole()
        log = Logger(observer=observer(memory.console()))
        log.info("starting")
        log.failure("bad", Failure(KeyError("\x1b")))
        log.critical("very bad: {what}", what="\x07")
        expected = (
            "matrix-federation: internal error: KeyError: '\\x1b'\nmatrix-federation: internal error: very bad: \\x07\n"
        )
        self.assertEqual(expected, memory.errors.getvalue())


class _Silence(DatagramProtocol):
    """
    A name server that tells when it is asked, and nothing else.
    """

    def __init__(self) -> None:
        self.asked: Deferred[None] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: object) -> None:
        if not self.asked.called:
            self.asked.callback(None)


class InterruptionTests(TestCase):
    """
    Ctrl-C.
    """

    def setUp(self) -> None:
        """
        Start a name server that never answers.
        """
        super().setUp()
        self.silence = _Silence()
        port = reactor.listenUDP(0, self.silence, LOOPBACK)
        self.addCleanup(port.stopListening)
        self.dns = f"{LOOPBACK}:{port.getHost().port}"

    async def test_while_waiting(self) -> None:
        """
        130, as shells count, and one line.
        """
        child = Child.start("resolve", "a.test", "--dns", self.dns)
        await self.silence.asked
        child.transport.signalProcess("INT")  # type: ignore[union-attr]
        said = await child.ended
        self.assertEqual((130, "matrix-federation: interrupted\n"), (said.status, said.errors))

    async def test_in_the_demo(self) -> None:
        """
        The federation is stopped first: its temporary directory is gone.
        """
        directory = FilePath(self.mktemp())
        directory.makedirs()
        child = Child.start("demo", "--json", env=environment(TMPDIR=directory.path))
        while not directory.children():
            await deferLater(reactor, 0.02)
        child.transport.signalProcess("INT")  # type: ignore[union-attr]
        said = await child.ended
        self.assertEqual((130, "matrix-federation: interrupted\n"), (said.status, said.errors))
        self.assertEqual([], directory.children())


class _Endless(Resource):
    """
    Answers with a terabyte, for as long as somebody reads.
    """

    isLeaf = True

    def render(self, request: Request) -> int:
        # With a length: chunks make Twisted 26.10 itself compare bytes and text.
        request.setHeader(b"content-length", b"%d" % 2**40)
        request.registerProducer(self, False)
        self.request = request
        return NOT_DONE_YET

    def resumeProducing(self) -> None:
        self.request.write(b"x" * 65536)

    def stopProducing(self) -> None:
        pass


class PipeTests(TestCase):
    """
    Real sockets, real pipes.
    """

    def setUp(self) -> None:
        """
        Start a homeserver on 127.0.0.1 itself.
        """
        super().setUp()
        self.federation = LoopbackFederation.new(reactor)
        self.addCleanup(self.federation.stop)
        certificate: Certificate = self.federation.certificates.issue(LOOPBACK)
        site = Site(_Endless(), reactor=reactor)
        site.noisy = False
        port = reactor.listenSSL(0, site, certificate.context_factory(), interface=LOOPBACK)
        self.addCleanup(port.stopListening)
        self.name = f"{LOOPBACK}:{port.getHost().port}"

    def start(self) -> Child:
        """
        Request the endless body.
        """
        trust = ["--no-system-roots", "--ca-file", self.federation.trust.ca_files[0]]
        return Child.start("request", self.name, "/", "--allow-network", LOOPBACK, *trust)

    async def test_a_broken_pipe(self) -> None:
        """
        Who no longer reads, as C{head} does, gets no complaint.
        """
        child = self.start()
        self.assertRegex(await child.wrote, b"^x+$")
        child.transport.closeStdout()  # type: ignore[union-attr]
        said = await child.ended
        self.assertEqual(1, said.status)
        self.assertRegex(said.errors, "^HTTP/1.1 200 OK\n")
        self.assertNotRegex(said.errors, "matrix-federation|Traceback|Exception")

    async def test_interrupted_in_the_body(self) -> None:
        """
        130, and the connection is closed.
        """
        child = self.start()
        await child.wrote
        child.transport.signalProcess("INT")  # type: ignore[union-attr]
        said = await child.ended
        self.assertEqual(130, said.status)
        self.assertEqual("matrix-federation: interrupted", said.errors.splitlines()[-1])
