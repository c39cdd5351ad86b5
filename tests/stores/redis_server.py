"""
A Redis of the test's own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from random import randrange
from typing import Any

# In the first test it would be imported, and under "-b" it compares bytes with text then.
import txredisapi  # noqa: F401
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from matrix_federation_agent.stores import RedisStore
from tests.case import TestCase

reactor: Any = global_reactor

PROGRAM = shutil.which("redis-server")
HOW_TO_GET_IT = "redis-server is not installed: apt-get install redis-server"


class _Server(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        """
        Look for the line that says it listens.
        """
        self.output += data
        if b"Ready to accept connections" in self.output and not self.ready.called:
            self.ready.callback(None)

    def processEnded(self, reason: Failure) -> None:
        """
        It is gone, reaped and all.
        """
        if not self.ready.called:
            self.ready.errback(RuntimeError(self.output.decode("utf-8", "replace")))
        self.ended.callback(None)


def _free_port() -> int:
    """
    Find a port that nobody gets by chance, so that it is still free when a
    Redis starts again.
    """
    while True:
        port = randrange(20_000, 30_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """
    A redis-server on a port of 127.0.0.1, which keeps nothing on disk.

    @ivar port: where it listens, again after each start.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        """
        Prepare one that does not run yet.

        @param options: of the command line.
        """
        self.port = _free_port()
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True)
        self._options = options
        self._server: _Server | None = None
        self._process: Any = None

    def path(self, name: str) -> str:
        """
        Tell where a file of its directory is: relative, because the names of
        UNIX sockets are short.
        """
        return os.path.relpath(self._directory / name)

    async def start(self) -> None:
        """
        Start it, and wait until it listens.
        """
        self._server = _Server()
        command = [str(PROGRAM), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self._directory), *self._options]
        self._process = reactor.spawnProcess(self._server, command[0], command, os.environ)
        await self._server.ready

    async def kill(self) -> None:
        """
        End it without a word, if it runs.
        """
        server, self._server = self._server, None
        if server is None:
            return
        with suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")
        await server.ended

    def freeze(self) -> None:
        """
        Let it neither answer nor go away.
        """
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """
        Let it go on.
        """
        os.kill(self._process.pid, signal.SIGCONT)


class RedisCase(TestCase):
    """
    A test that needs a Redis.  Without one it is skipped, but not where CI is
    to prove that nothing is.
    """

    skip = HOW_TO_GET_IT if PROGRAM is None and not os.environ.get("CI") else None

    async def redis(self, *options: str) -> RedisServer:
        """
        Start a Redis, which ends with the test.
        """
        if PROGRAM is None:
            self.fail(HOW_TO_GET_IT)
        server = RedisServer(Path(self.mktemp()), *options)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.kill()))
        await server.start()
        return server

    def redis_store(self, port: int, **settings: Any) -> RedisStore:
        """
        Make a store, which is closed after the test.
        """
        store = RedisStore.new(reactor, "127.0.0.1", port, **settings)
        self.addCleanup(store.close)
        return store
