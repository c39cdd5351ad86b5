"""
Tests of C{examples/} and of the example in C{README.rst}: each is run.
"""

from __future__ import annotations

import ast
import io
import os
import re
import signal
from contextlib import redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater
from twisted.web.iweb import IAgent
from zope.interface.verify import verifyObject

from matrix_federation_agent.errors import ConfigurationError
from matrix_federation_agent.testing import Fault
from tests.federation import FederationTestCase

ROOT = Path(__file__).parent.parent


def example(name: str) -> Any:
    """
    Load an example as if it were run, but not as the main program.
    """
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# trial finds it here and runs it.
KeyClientTests = example("test_homeserver").KeyClientTests


class TreqScriptTests(FederationTestCase):
    """
    C{examples/treq_script.py}.
    """

    async def report(self, *server_names: str) -> tuple[bool, list[str]]:
        """
        Run its main coroutine.

        @return: what it returned, and the lines that it printed.
        """
        printed = io.StringIO()
        agent = self.federation.agent()
        # What is printed comes at the end, with nothing awaited in between.
        with redirect_stdout(printed):
            answered = await example("treq_script").report(self.federation.reactor, agent, server_names)
        return answered, [re.sub(r"\d+ ms", "0 ms", line) for line in printed.getvalue().splitlines()]

    async def test_versions(self) -> None:
        """
        Each server has its line, in the order of the arguments.
        """
        self.federation.add_server("example.org", "3.3")
        self.federation.add_server("192.0.2.7:443", "2")
        answered, lines = await self.report("192.0.2.7:443", "example.org")
        self.assertEqual(
            (answered, lines),
            (True, ["192.0.2.7:443: LoopbackFederation 1 (0 ms)", "example.org: LoopbackFederation 1 (0 ms)"]),
        )

    async def test_failures(self) -> None:
        """
        What goes wrong is one line, with the phase in which it did.
        """
        self.federation.add_server("impostor.example", fault=Fault.WRONG_NAME)
        self.federation.add_server("broken.example", fault=Fault.SERVER_ERROR)
        answered, lines = await self.report("impostor.example", "broken.example", "no name")
        self.assertFalse(answered)
        self.assertEqual(
            [line.partition(":")[2][:25] for line in lines],
            [" failed in phase tls: cer", " status 500 (0 ms)", " failed in phase uri: ' '"],
        )


class HomeserverServiceTests(FederationTestCase):
    """
    C{examples/homeserver_service.py}.
    """

    def setUp(self) -> None:
        """
        Start the program around the sender.
        """
        super().setUp()
        self.program = MultiService()
        self.agent = self.federation.agent()
        self.before: list[int] = []
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, lambda number, _: self.before.append(number))
        module, reactor = example("homeserver_service"), self.federation.reactor
        self.sender = module.add_services(self.program, reactor, self.agent, "me.example")
        self.program.startService()
        self.addCleanup(self.program.stopService)

    async def hang_up(self) -> None:
        """
        Send the program a SIGHUP, and let the reactor see to it.
        """
        os.kill(os.getpid(), signal.SIGHUP)
        await deferLater(self.federation.reactor, 0)

    def federation_roots(self) -> Path:
        """
        The file of roots that the agent trusts.
        """
        return Path(self.federation.trust.ca_files[0])

    async def test_reloaded(self) -> None:
        """
        On SIGHUP the roots are read again, and who wanted to know of the signal before is told too.
        """
        before = self.agent._trust.generation
        await self.hang_up()
        self.assertEqual((before.retired, self.before), (True, [signal.SIGHUP]))

    async def test_broken_roots(self) -> None:
        """
        A broken file is logged, and changes nothing.
        """
        self.federation_roots().write_bytes(b"")
        before = self.agent._trust.generation
        await self.hang_up()
        self.assertEqual((len(self.flushLoggedErrors(ConfigurationError)), before.retired), (1, False))

    async def test_stopped(self) -> None:
        """
        A program that has stopped listens to the signal as it did before it started.
        """
        handler = signal.getsignal(signal.SIGHUP)
        await maybeDeferred(self.program.stopService)
        after = signal.getsignal(signal.SIGHUP)
        self.program.startService()
        self.assertNotEqual(handler, after)
        await self.hang_up()
        self.assertEqual(self.before, [signal.SIGHUP])

    async def test_delivered(self) -> None:
        """
        A transaction reaches the server, and the connection is used again.
        """
        server = self.federation.add_server("example.org", "4")
        results = [await self.sender.send("example.org", f"t{number}", []) for number in range(2)]
        self.assertEqual((results, self.sender.delivered), ([True, True], ["example.org", "example.org"]))
        self.assertEqual(
            ([(request.method, request.target) for request in server.requests], server.connections),
            ([("PUT", b"/_matrix/federation/v1/send/t%d" % number) for number in range(2)], 1),
        )

    async def test_not_delivered(self) -> None:
        """
        A server that is not reached, or objects, is an answer and no error.
        """
        self.federation.add_server("expired.example", fault=Fault.EXPIRED)
        self.federation.add_server("broken.example", fault=Fault.SERVER_ERROR)
        results = [await self.sender.send(name, "t", []) for name in ("expired.example", "broken.example")]
        self.assertEqual((results, self.sender.delivered), ([False, False], []))

    async def test_agent(self) -> None:
        """
        The agent that the program chooses is an agent.
        """
        agent = example("homeserver_service").make_agent(self.federation.reactor)
        self.addCleanup(agent.close)
        self.assertTrue(verifyObject(IAgent, agent))


class ReadmeTests(FederationTestCase):
    """
    The example in C{README.rst}.
    """

    def code(self) -> str:
        """
        Find it: the first block of Python.
        """
        text = (ROOT / "README.rst").read_text("utf-8")
        block = text.partition(".. code-block:: python\n\n")[2]
        return dedent("\n".join(iter_indented(block)))

    async def test_it_works(self) -> None:
        """
        Its coroutine prints the answer of a server.
        """
        self.federation.add_server("matrix.org", "3.2")
        names: dict[str, Any] = {"__name__": "readme"}
        exec(compile(self.code(), "README.rst", "exec"), names)
        printed = io.StringIO()
        with redirect_stdout(printed):
            await names["show_version"](self.federation.agent(), "matrix.org")
        self.assertIn("LoopbackFederation", printed.getvalue())

    def test_it_is_short(self) -> None:
        """
        It has the twenty lines that are promised.
        """
        lines = [line for line in ast.unparse(ast.parse(self.code())).splitlines() if line]
        self.assertTrue(len(lines) <= 20, lines)


def iter_indented(block: str) -> list[str]:
    """
    Take the lines of an indented block, up to the first that is not.
    """
    lines: list[str] = []
    for line in block.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return lines
