"""
Programs that a run starts, and ends again by their own process ids.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

_PATIENCE = 15.0
_PAUSE = 0.1
"""
Seconds: for a program to end when it is asked to, and between two looks at something that is waited for.
"""
_LAST_LINES = 15


class NotReady(Exception):
    """
    What was waited for did not happen.
    """


class Program(ProcessProtocol):
    """
    One child process. What it says is kept in a file.

    @ivar name: how a run calls it.
    """

    def __init__(self, reactor: Any, name: str, output: Path) -> None:
        """
        @param output: the file.
        """
        self.name = name
        self._reactor = reactor
        self._output = output
        self._ended: Deferred[None] | None = Deferred()

    @classmethod
    def start(
        cls, reactor: Any, name: str, command: Sequence[str], output: Path, environment: Mapping[str, str] | None = None
    ) -> Program:
        """
        Start a program.

        @param output: a file for what it says.
        @param environment: what is added to our own.
        """
        program = cls(reactor, name, output)
        with output.open("ab") as said, Path(os.devnull).open("rb") as nothing:
            descriptors = {0: nothing.fileno(), 1: said.fileno(), 2: said.fileno()}
            env = {**os.environ, **(environment or {})}
            reactor.spawnProcess(
                program, command[0], list(command), env=env, path=str(output.parent), childFDs=descriptors
            )
        return program

    @property
    def running(self) -> bool:
        """
        Whether it has not ended.
        """
        return self._ended is not None

    def processEnded(self, reason: Failure) -> None:
        """
        Note the end.
        """
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.callback(None)

    async def ready(self, condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """
        Wait until a condition holds.

        @raise NotReady: when it does not within the time, or when the program ends.
        """
        deadline = self._reactor.seconds() + seconds
        while not await condition():
            if not self.running or self._reactor.seconds() > deadline:
                raise NotReady(f"{self.name} {'is late' if self.running else 'has ended'}:\n{self._last_lines()}")
            await deferLater(self._reactor, _PAUSE)

    async def stop(self) -> None:
        """
        End it: first it is asked to, then it is killed.
        """
        self._signal(signal.SIGTERM)
        late = self._reactor.callLater(_PATIENCE, self._signal, signal.SIGKILL)
        try:
            if self._ended is not None:
                await self._ended
        except CancelledError:
            self._signal(signal.SIGKILL)
            raise
        finally:
            if late.active():
                late.cancel()

    def _signal(self, number: int) -> None:
        if self.transport is None:
            return
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def _last_lines(self) -> str:
        return "\n".join(self._output.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])


def free_ports(count: int) -> list[int]:
    """
    Find ports of 127.0.0.1 that nobody has.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
