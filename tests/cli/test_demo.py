"""
Tests of the demo: C{demo}, C{scenes}, C{outcome}, C{stage} and C{table} in C{matrix_federation_agent._cli}.
"""

from __future__ import annotations

from functools import partialmethod
from typing import Any

from twisted.internet.error import CannotListenError

from matrix_federation_agent import LocatedTarget, Route, ServerName, Step
from matrix_federation_agent._cli import stage
from matrix_federation_agent._cli.demo import Demo
from matrix_federation_agent._cli.outcome import Expectation, Outcome
from matrix_federation_agent._cli.scenes import FAULTY, Scene, scenes
from matrix_federation_agent._cli.table import footer, outcome_json, table
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent.errors import HandshakeFailed, TimedOut
from matrix_federation_agent.testing import STEPS, Fault, LoopbackFederation, VirtualServer
from tests.case import TestCase
from tests.cli.kit import MODULE, MemoryConsole, Said, reactor, run_process

WITHOUT_TRUSTME = """
import sys
sys.modules["trustme"] = None
from matrix_federation_agent.__main__ import main
main(["demo"])
"""


def outcome(**changes: Any) -> Outcome:
    """
    Make the outcome of a sound server.
    """
    name = ServerName.parse("a.test")
    route = Route(name, name, (Step("6", ""),), (LocatedTarget(Target(name, 8448), ("192.0.2.7",)),))
    plain: dict[str, Any] = {"fault": "", "route": route, "status": 200, "error": None, "differs": ""}
    return Outcome(**{"server_name": "a.test", "milliseconds": 1.26, **plain, **changes})


class SceneTests(TestCase):
    """
    What is played.
    """

    def test_every_step_and_every_fault(self) -> None:
        """
        There is a sound server for each step, and a faulty one for each fault.
        """
        self.assertEqual(set(STEPS), {scene.step for scene in scenes() if scene.fault is None})
        self.assertEqual(list(Fault), [scene.fault for scene in scenes() if scene.fault])

    def test_every_fault_has_an_expectation(self) -> None:
        """
        Only those of C{.well-known} do not need one of their own.
        """
        self.assertEqual({fault for fault in Fault if not fault.is_well_known}, set(FAULTY))

    def test_expectations(self) -> None:
        """
        The status, or class and phase of the error, must be exactly those.
        """
        late = Expectation(error=TimedOut, phase="tls")
        table: list[tuple[Expectation, int | None, Exception | None, str]] = [
            (Expectation(status=200), 200, None, ""),
            (Expectation(status=200), 500, None, "expected status 200, not status 500"),
            (late, None, TimedOut("", "", phase="tls"), ""),
            (late, None, TimedOut("", "", phase="tcp"), "expected TimedOut (tls), not TimedOut (tcp)"),
            (late, None, HandshakeFailed("", ""), "expected TimedOut (tls), not HandshakeFailed (tls)"),
            (late, 200, None, "expected TimedOut (tls), not status 200"),
            (late, None, KeyError(), "expected TimedOut (tls), not KeyError (no phase)"),
        ]
        for expectation, status, error, differs in table:
            self.assertEqual(differs, expectation.differs(status, error))


class TableTests(TestCase):
    """
    What is written.
    """

    def test_text(self) -> None:
        """
        Columns are aligned; below a faulty server stands what is wrong.
        """
        refused = outcome(status=None, error=TimedOut("", "no answer"), fault="it is silent", milliseconds=1500.4)
        lines = list(table([outcome(), refused], MemoryConsole().console()))
        expected = [
            "server name  step  Host    TLS name  address    outcome         ms",
            "a.test       6     a.test  a.test    192.0.2.7  answered 200     1",
            "a.test       6     a.test  a.test    192.0.2.7  refused       1500",
            "    it is silent -> no answer",
        ]
        self.assertEqual(expected, lines)

    def test_reasons_are_wrapped_and_escaped(self) -> None:
        """
        However long a reason is, and whatever it holds.
        """
        error = TimedOut("", "\x1b " + "word " * 90)
        lines = list(table([outcome(error=error, status=None)], MemoryConsole().console(width=80)))[2:]
        self.assertGreater(len(lines), 1)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertNotIn("\x1b", "".join(lines))

    def test_colours(self) -> None:
        """
        Green is answered, yellow is refused as expected, red is anything unexpected.
        """
        rows = [outcome(), outcome(status=None, error=TimedOut("", "")), outcome(differs="x")]
        lines = list(table(rows, MemoryConsole().console(colour=True)))
        self.assertEqual(
            ["\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[31m"], [line[: line.index("m") + 1] for line in lines[:4]]
        )

    def test_footer(self) -> None:
        """
        The last line counts.
        """
        console = MemoryConsole().console()
        found = [list(footer([outcome(), outcome(differs=text)], 1.04, console))[-1] for text in ("", "x")]
        self.assertEqual(["2 servers in 1.0 s, each as expected", "2 servers in 1.0 s, 1 not as expected"], found)

    def test_json(self) -> None:
        """
        A row for programs.
        """
        error = HandshakeFailed("a.test", "no")
        found = outcome_json(outcome(status=None, error=error, fault="f", differs="d"))
        expected = {
            "server_name": "a.test",
            "fault": "f",
            "step": "6",
            "host_header": "a.test",
            "tls_name": "a.test",
            "address": "192.0.2.7",
            "outcome": "refused",
            "status": None,
            "failure": {"type": "HandshakeFailed", "phase": "tls", "reason": "no", "attempts": []},
            "milliseconds": 1.3,
            "differs": "d",
        }
        self.assertEqual(expected, found)

    def test_errors_of_other_classes(self) -> None:
        """
        An error that the agent should not have raised is shown like every other.
        """
        broken = outcome(status=None, error=KeyError("k"))
        self.assertEqual("KeyError", outcome_json(broken)["failure"]["type"])
        self.assertEqual("KeyError('k')", broken.reason)


def _placed_on(federation: LoopbackFederation, add_server: Any, *placement: Any) -> VirtualServer:
    """
    Place a server, and say that it was placed on step 3.5.
    """
    server: VirtualServer = add_server(federation, *placement)
    server.step = "3.5"
    return server


class _FullReactor:
    """
    A reactor of a machine without free ports.
    """

    def seconds(self) -> float:
        return 0.0

    def listenTCP(self, *arguments: object, **settings: object) -> None:
        raise CannotListenError("127.0.0.1", 0, OSError("none left"))


class CommandTests(TestCase):
    """
    The whole demo.
    """

    async def run_demo(self, demo: Demo, reactor: Any = reactor) -> Said:
        """
        Run it in this process.
        """
        memory = MemoryConsole()
        return memory.said(await demo.run(reactor, memory.console()))

    async def test_text(self) -> None:
        """
        In a process of its own: every outcome is as expected, nothing is wider than 120 columns, and there is not
        one word of complaint.
        """
        said = await run_process(*MODULE, "demo")
        lines = said.output.decode().splitlines()
        self.assertEqual((0, ""), (said.status, said.errors))
        self.assertLessEqual(max(map(len, lines)), 120)
        self.assertRegex(lines[-1], f"^{len(scenes())} servers in .* s, each as expected$")
        for scene in scenes():
            self.assertEqual(1, sum(line.startswith(f"{scene.server_name} ") for line in lines), scene)

    async def test_json(self) -> None:
        """
        For programs: one object, with a row for each server.
        """
        said = await self.run_demo(Demo(json=True))
        self.assertEqual((0, True), (said.status, said.json["as_expected"]))
        self.assertEqual(
            [scene.server_name for scene in scenes()], [row["server_name"] for row in said.json["servers"]]
        )
        outcomes = [(row["outcome"], row["status"]) for row in said.json["servers"]]
        expected = [("refused" if s.expected.error else "answered", s.expected.status) for s in scenes()]
        self.assertEqual(expected, outcomes)

    async def test_a_difference_is_told(self) -> None:
        """
        A server that is not as expected is named, and the status is 1.
        """
        self.patch(stage, "scenes", lambda: [Scene("a.test", "6", Expectation(status=201))])
        said = await self.run_demo(Demo())
        self.assertEqual(1, said.status)
        self.assertIn(b"NOT AS EXPECTED: expected status 201, not status 200\n", said.output)
        self.assertEqual("matrix-federation: demo: a.test: expected status 201, not status 200\n", said.errors)

    async def test_another_way_is_a_difference(self) -> None:
        """
        An answer does not count when the server was found by another step than the one it was placed on.
        """
        self.patch(LoopbackFederation, "add_server", partialmethod(_placed_on, LoopbackFederation.add_server))
        self.patch(stage, "scenes", lambda: [Scene("a.test", "6", Expectation(status=200))])
        said = await self.run_demo(Demo(json=True))
        (row,) = said.json["servers"]
        differs = "expected step 3.5 and Host a.test, not step 6 and ['a.test']"
        self.assertEqual((1, "answered", differs), (said.status, row["outcome"], row["differs"]))

    async def test_timeout(self) -> None:
        """
        C{--timeout} holds for it too, and nothing is left behind.
        """
        said = await self.run_demo(Demo(timeout=0.2))
        expected = "matrix-federation: demo: cancelled: not done within 0.2 s (--timeout)\n"
        self.assertEqual((1, expected), (said.status, said.errors))

    async def test_no_port(self) -> None:
        """
        A machine on which nothing can listen is told of, without a traceback.
        """
        said = await self.run_demo(Demo(), _FullReactor())
        self.assertEqual(1, said.status)
        self.assertRegex(said.errors, "^matrix-federation: demo: .*none left")

    async def test_without_trustme(self) -> None:
        """
        One line says what to install.
        """
        said = await run_process("-c", WITHOUT_TRUSTME)
        expected = "matrix-federation: the demo needs trustme: pip install 'matrix_federation_agent[demo]'\n"
        self.assertEqual((2, b"", expected), (said.status, said.output, said.errors))
