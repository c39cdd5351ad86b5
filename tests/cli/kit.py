"""
What the tests of the command line share.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.internet.utils import getProcessOutputAndValue

import matrix_federation_agent
from matrix_federation_agent._cli.console import Console
from matrix_federation_agent._cli.parser import Command, parse
from matrix_federation_agent._cli.running import perform
from matrix_federation_agent.testing import DOCUMENTATION_RANGES
from tests.federation import FederationTestCase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.python.failure import Failure

reactor = cast("Any", real_reactor)

MODULE = ("-m", "matrix_federation_agent")


@attrs.frozen
class Said:
    """
    What a command wrote, and its exit status.
    """

    status: int
    output: bytes
    errors: str

    @property
    def json(self) -> Any:
        """
        The JSON on standard output.
        """
        return json.loads(self.output)


@attrs.frozen
class MemoryConsole:
    """
    A console in memory.
    """

    output: BytesIO = attrs.field(factory=BytesIO)
    errors: StringIO = attrs.field(factory=StringIO)

    def console(self, **settings: Any) -> Console:
        """
        Make the console that writes here.
        """
        return Console(self.output, self.errors, **settings)

    def said(self, status: int) -> Said:
        """
        Read all that was written.
        """
        return Said(status, self.output.getvalue(), self.errors.getvalue())


def command(*arguments: str) -> Command:
    """
    Parse a command line.
    """
    return parse(arguments).command


def refused(*arguments: str) -> Said:
    """
    Parse a command line that ends the process.
    """
    memory = StringIO(), StringIO()
    with redirect_stdout(memory[0]), redirect_stderr(memory[1]):
        try:
            parse(arguments)
        except SystemExit as ended:
            return Said(cast("int", ended.code), memory[0].getvalue().encode(), memory[1].getvalue())
    raise AssertionError(f"{arguments} was accepted")


class FederationCase(FederationTestCase):
    """
    A test that runs commands, in this process, inside a federation.
    """

    @property
    def options(self) -> list[str]:
        """
        The options with which a command finds and trusts the federation.
        """
        host, port = self.federation.name_server.address
        networks = [f"--allow-network={network}" for network in DOCUMENTATION_RANGES]
        return ["--ca-file", self.federation.trust.ca_files[0], "--no-system-roots", f"--dns={host}:{port}", *networks]

    async def run_command(self, *arguments: str, **console: Any) -> Said:
        """
        Run a command.

        @param console: settings of the L{Console}.
        """
        memory = MemoryConsole()
        invoked = command(*arguments, *self.options)
        return memory.said(await perform(self.federation.reactor, invoked, memory.console(**console)))

    def serve_bytes(self, response: bytes, address: str = "192.0.2.7") -> None:
        """
        Answer every request to an address with the same bytes.
        """
        factory = Factory.forProtocol(_Parrot)
        factory.noisy = False
        factory.response = response  # type: ignore[attr-defined]
        self.federation.listen_tls(address, 8448, factory, self.federation.certificates.issue(address))


class _Parrot(Protocol):
    def dataReceived(self, data: bytes) -> None:
        """
        Answer, and hang up.
        """
        self.transport.write(self.factory.response)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


def environment(**variables: str) -> dict[str, str]:
    """
    Make the environment of a child process, which finds the same package.
    """
    location = str(Path(matrix_federation_agent.__file__).parent.parent)
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "TERM")}
    path = os.pathsep.join(filter(None, [location, inherited.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path, **variables}


async def run_process(*arguments: str, env: Mapping[str, str] | None = None) -> Said:
    """
    Run the interpreter in a process of its own.
    """
    output, errors, status = await getProcessOutputAndValue(
        sys.executable, arguments, env or environment(), reactor=reactor
    )
    return Said(status, output, errors.decode())


class Child(ProcessProtocol):
    """
    A command in a process of its own, while it runs.

    @ivar wrote: fires with its first output.
    @ivar ended: fires with what it said, once it has ended.
    """

    def __init__(self) -> None:
        """
        Prepare; L{start} makes the process.
        """
        self.wrote: Deferred[bytes] = Deferred()
        self.ended: Deferred[Said] = Deferred()
        self._output: list[bytes] = []
        self._errors: list[bytes] = []

    @classmethod
    def start(cls, *arguments: str, terminal: bool = False, env: Mapping[str, str] | None = None) -> Child:
        """
        Run C{matrix-federation}.

        @param terminal: whether its standard streams are a terminal.
        """
        child = cls()
        line = [sys.executable, *MODULE, *arguments]
        reactor.spawnProcess(child, sys.executable, line, env or environment(), usePTY=terminal)
        return child

    def outReceived(self, data: bytes) -> None:
        """
        Keep some output.
        """
        self._output.append(data)
        if not self.wrote.called:
            self.wrote.callback(data)

    def errReceived(self, data: bytes) -> None:
        """
        Keep some of what goes to standard error.
        """
        self._errors.append(data)

    def processEnded(self, reason: Failure = connectionDone) -> None:
        """
        Tell.
        """
        status = cast("Any", reason.value).exitCode
        self.ended.callback(Said(status, b"".join(self._output), b"".join(self._errors).decode()))
