"""
A part of the far side in a process of its own, and this end of its pipes.

The process reads one line of JSON (what to serve), writes one (where it is), and then answers each line "counts" with
what arrived since the last; it ends with its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Protocol, Self

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from ._frame import ROOT


class Served(Protocol):
    """
    What such a process serves.
    """

    def describe(self) -> dict[str, Any]:
        """
        Tell where everything is.
        """

    def counts(self) -> dict[str, Any]:
        """
        Tell what has arrived since the last time.
        """

    def stop(self) -> Deferred[None]:
        """
        End all of it.
        """


Make = Callable[[Any, Any], Served]


class _Control(LineOnlyReceiver):
    delimiter = b"\n"
    # The first line may list thousands of servers.
    MAX_LENGTH = 1 << 20

    def __init__(self, make: Callable[[Any], Served]) -> None:
        self._make = make
        self._served: Served | None = None
        self.done: Deferred[None] = Deferred()

    def lineReceived(self, line: bytes) -> None:
        """
        The first line says what to serve; each other asks for the counts.
        """
        if self._served is not None:
            self._say(self._served.counts())
            return
        self._served = self._make(json.loads(line))
        self._say(self._served.describe())

    def _say(self, what: object) -> None:
        self.sendLine(json.dumps(what).encode("ascii"))  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The parent is done with it.
        """
        if self._served is None:
            self.done.callback(None)
        else:
            self._served.stop().chainDeferred(self.done)


def serve(make: Make) -> None:
    """
    Be that process until standard input ends.

    @param make: is given the reactor and the first line.
    """

    def main(reactor: Any) -> Deferred[None]:
        control = _Control(lambda given: make(reactor, given))
        StandardIO(control, reactor=reactor)
        return control.done

    react(main)


class ServedProcess:
    """
    That process, seen from the one that started it; ends with the C{with} block.

    @ivar description: where everything is, to be handed to children.
    @ivar pid: of the process.
    """

    def __init__(self, module: str, given: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            bufsize=1,
        )
        self.pid = self._process.pid
        self.description = self._ask(json.dumps(given))

    def counts(self) -> dict[str, Any]:
        """
        Tell what has arrived since the last time.
        """
        return self._ask("counts")

    def _ask(self, line: str) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the far side has no pipes")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
