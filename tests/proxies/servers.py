"""
Real proxies, as processes of the test's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from random import randrange
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import ProcessProtocol, Protocol, ServerFactory
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from matrix_federation_agent import AddressPolicy, MatrixFederationAgent, ProxyPolicy
from matrix_federation_agent.testing import DOCUMENTATION_RANGES, Certificate
from tests.conformance.case import FederationCase, RawServer

reactor: Any = global_reactor

LOOPBACK = "127.0.0.1"
VIRTUAL = "192.0.2.50"
"""
Where the agent believes the proxy to be.
"""

USER, PASSWORD = "zaphod", "b33blebrox"

# Debian has daemons where a user's path does not lead.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
PROGRAMS = {name: shutil.which(name, path=_PATH) for name in ("tinyproxy", "microsocks", "danted", "squid")}
MISSING = [name for name, path in PROGRAMS.items() if path is None]
HOW_TO_GET_THEM = f"not installed: {', '.join(MISSING)}: apt-get install tinyproxy-bin microsocks dante-server squid"

TINYPROXY = """
Listen {address}
Port {port}
MaxClients 20
Timeout 60
LogFile "{directory}/log"
PidFile "{directory}/pid"
BasicAuth {user} {password}
"""

DANTE = """
logoutput: {directory}/log
internal: {address} port = {port}
external: {address}
socksmethod: none
clientmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }}
"""

SQUID = """
{listening}
http_access allow all
cache deny all
access_log none
cache_log /dev/null
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
"""


# Some have children: with a process group of their own they end together.
_LEADER = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"


class _Process(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        """
        Keep what is said.
        """
        self.output += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """
        It is gone, reaped and all.
        """
        self.ended.callback(None)


def free_port() -> int:
    """
    Find a port on which nobody listens.
    """
    while True:
        port = randrange(20_000, 30_000)
        with socket.socket() as free, suppress(OSError):
            free.bind((LOOPBACK, port))
            return port


class RealProxyCase(FederationCase):
    """
    A test with real proxies.  Without their programs it is skipped, but not where CI is to prove that nothing is.
    """

    skip = HOW_TO_GET_THEM if MISSING and not os.environ.get("CI") else None
    timeout = 60

    def setUp(self) -> None:
        """
        Find a place for a proxy, and let a server listen for it to connect to.
        """
        super().setUp()
        if MISSING:
            self.fail(HOW_TO_GET_THEM)
        self.port = free_port()
        self.federation.reactor.map(VIRTUAL, 3128, self.port)
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.server = RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", closes=False)
        self.server_port = self.listen(self.certificates.issue("localhost", LOOPBACK))

    def listen(self, certificate: Certificate) -> int:
        """
        Let the server listen, at an address that a real proxy can connect to.
        """
        factory: ServerFactory = TLSMemoryBIOFactory(certificate.context_factory(), False, self.server)  # type: ignore[assignment]
        listening = reactor.listenTCP(0, factory, interface=LOOPBACK)
        self.addCleanup(listening.stopListening)
        return int(listening.getHost().port)

    def through(self, url: str) -> MatrixFederationAgent:
        """
        Make an agent for which the proxy leads everywhere.

        @param url: with C{HOST} where the proxy is.
        """
        return self.federation.agent(
            proxies=ProxyPolicy([("*", url.replace("HOST", f"{VIRTUAL}:3128"))]),
            addresses=AddressPolicy(allow=[*DOCUMENTATION_RANGES, "127.0.0.0/8"]),
        )

    async def status(self, url: str, host: str = "localhost", port: int | None = None) -> int:
        """
        Send a request through the proxy.
        """
        response = await self.get(f"{host}:{port or self.server_port}", self.through(url))
        return int(response.code)

    async def tinyproxy(self) -> None:
        """
        Run tinyproxy, which wants credentials.
        """
        await self.run_configured("tinyproxy", TINYPROXY, "-d", "-c")

    async def dante(self) -> None:
        """
        Run Dante, which wants none.
        """
        await self.run_configured("danted", DANTE, "-p", str(self.directory / "pid"), "-f")

    async def squid(self, listening: str = "http_port {address}:{port}") -> None:
        """
        Run Squid.
        """
        await self.run_configured(
            "squid", SQUID.replace("{listening}", listening), "-N", "-n", f"test{self.port}", "-f"
        )

    async def microsocks(self) -> None:
        """
        Run microsocks, which wants credentials.
        """
        await self.run_program("microsocks", "-i", LOOPBACK, "-p", str(self.port), "-u", USER, "-P", PASSWORD)

    async def run_configured(self, name: str, configuration: str, *options: str) -> None:
        """
        Run a program with a configuration of its own, whose path comes after its options.
        """
        path = self.directory / "configuration"
        values = {"address": LOOPBACK, "port": self.port, "directory": self.directory}
        path.write_text(configuration.format(**values, user=USER, password=PASSWORD))
        await self.run_program(name, *options, str(path))

    async def run_program(self, name: str, *options: str) -> None:
        """
        Run a program until the test ends, and wait until it listens.
        """
        process = _Process()
        command = [sys.executable, "-c", _LEADER, str(PROGRAMS[name]), *options]
        transport = reactor.spawnProcess(process, command[0], command, os.environ, path=str(self.directory))

        async def end() -> None:
            if not process.ended.called:
                # Squid then leaves nothing in /dev/shm.
                os.killpg(transport.pid, signal.SIGTERM)
            await process.ended

        self.addCleanup(lambda: Deferred.fromCoroutine(end()))
        while not await self._listens():
            self.assertFalse(process.ended.called, process.output)
            await deferLater(reactor, 0.02)

    async def _listens(self) -> bool:
        endpoint = TCP4ClientEndpoint(reactor, LOOPBACK, self.port)
        try:
            connected = await connectProtocol(endpoint, Protocol())
        except ConnectError:
            return False
        assert connected.transport is not None
        connected.transport.loseConnection()
        return True
