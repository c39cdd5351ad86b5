"""
One process and 5,000 destinations, each delegated to another name by C{.well-known}.

Measured are memory, when connections are closed after each response, and when they stay open, within the default bounds
and with bounds that permit one for everybody; sockets; and the pauses of the reactor, system's roots and SQLite store
included, with what the garbage collector had of them. At last requests all at once to more destinations than the
process may have files.
"""

from __future__ import annotations

import gc
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.client import readBody

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, MatrixFederationAgent, TrustPolicy
from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent.stores import SQLiteStore
from matrix_federation_agent.testing import DOCUMENTATION_RANGES

from ._client import mapping_reactor
from ._frame import (
    Child,
    Contender,
    Cost,
    Numbers,
    Report,
    be_child,
    finish,
    in_child,
    interleaved,
    options,
    resident_bytes,
)
from ._frame import table as table_of
from ._groups import DELEGATED, GroupsProcess
from ._heartbeat import Heartbeat, Pause
from ._leftovers import sockets

CLOSED, FORGETFUL, DEFAULT, OPEN, FEW_FILES = (
    "closed",
    "closed, max_sessions=0",
    "open, default bounds",
    "open, one each",
    "few files",
)
DESTINATIONS = 5000
AT_ONCE = 20
WARM = 50
PATH = "/_matrix/federation/v1/version"
CHILD_LIMIT = 600
"""
Seconds that one of the processes may take.
"""
LIMIT = 0.050
"""
Seconds that the reactor may be kept from its timers.
"""
FILES, WANTED, PATIENCE = 256, 400, 30.0
"""
Files that a process may have open, how many destinations it asks at once, and the seconds that they may take.
"""
GOAL_KIB = 20

POLICIES = {
    CLOSED: ConnectionPolicy(idle_connections=0),
    FORGETFUL: ConnectionPolicy(idle_connections=0),
    DEFAULT: ConnectionPolicy(),
    OPEN: ConnectionPolicy(
        total_open_connections=DESTINATIONS + 100, total_idle_connections=DESTINATIONS + 100, idle_timeout=600
    ),
    FEW_FILES: ConnectionPolicy(),
}


def _names(prefix: str, number: int) -> list[str]:
    return [f"{prefix}{each}.{DELEGATED}.example" for each in range(number)]


class Process:
    """
    An agent, as a homeserver has one: with the system's roots and a store.

    @ivar answered: how many requests were answered.
    """

    def __init__(self, reactor: Any, far_side: Any, kind: str) -> None:
        self.answered = 0
        self._directory = tempfile.TemporaryDirectory(prefix="scale-")
        virtual = mapping_reactor(reactor, far_side)
        sessions: dict[str, Any] = {"max_sessions": 0} if kind == FORGETFUL else {}
        self.agent = MatrixFederationAgent.new(
            virtual,
            trust=TrustPolicy(ca_files=[far_side["root_file"]], use_system_roots=True, **sessions),
            addresses=AddressPolicy(allow=DOCUMENTATION_RANGES),
            connections=POLICIES[kind],
            resolver=NameServerResolver(virtual, [tuple(far_side["name_server"])]),
            store=SQLiteStore(reactor, Path(self._directory.name) / "store"),
        )
        # The kit would keep a list of all that was ever dialled.
        self._forgetting = LoopingCall(virtual.dialled.clear)
        self._forgetting.start(1)

    async def ask(self, names: Sequence[str], at_once: int = AT_ONCE) -> dict[str, int]:
        """
        Send a request to each.

        @return: how many failed, by the kind of error.
        """
        failed: dict[str, int] = {}
        left = iter(names)
        await gatherResults([Deferred.fromCoroutine(self._some(left, failed)) for _ in range(at_once)])
        return failed

    async def _some(self, names: Iterator[str], failed: dict[str, int]) -> None:
        for name in names:
            try:
                uri = f"matrix-federation://{name}{PATH}".encode("ascii")
                await readBody(await self.agent.request(b"GET", uri))
                self.answered += 1
            except Exception as error:  # noqa: BLE001 (whatever it is, it is counted)
                failed[type(error).__name__] = failed.get(type(error).__name__, 0) + 1

    async def close(self) -> None:
        """
        End it.
        """
        self._forgetting.stop()
        await self.agent.close()
        self._directory.cleanup()


class _Peak:
    """
    The most sockets that were open at a time.
    """

    def __init__(self) -> None:
        self.most = 0
        self._looking = LoopingCall(self._look)
        self._looking.start(0.25)

    def _look(self) -> None:
        # To count them takes a file; where there is none left, the next look counts.
        with suppress(OSError):
            self.most = max(self.most, sockets())

    def stop(self) -> None:
        """
        Look no longer.
        """
        self._look()
        self._looking.stop()


def _settled() -> int:
    gc.collect()
    return resident_bytes()


async def crowd(reactor: Any, given: Any, *, kind: str) -> dict[str, Any]:
    """
    Be the child that asks all of them.
    """
    beats = Heartbeat(reactor)
    await deferLater(reactor, 0.1, lambda: None)
    beats.during = "new"
    process = Process(reactor, given["far_side"], kind)
    await deferLater(reactor, 0.1, lambda: None)
    beats.during = "first requests"
    await process.ask(_names("warm", WARM))
    before, few = _settled(), sockets()
    await deferLater(reactor, 0.1, lambda: None)
    beats.during, peak = "requests", _Peak()
    with Cost() as cost:
        failed = await process.ask(_names("n", DESTINATIONS))
    peak.stop()
    beats.stop()
    growth, kept = _settled() - before, sockets() - few
    found = {
        "KiB/destination": growth / 1024 / DESTINATIONS,
        "entries": len(process.agent.known()),
        "sockets kept": kept,
        "sockets at most": peak.most,
        "failed": sum(failed.values()),
        "CPU ms/request": cost.cpu * 1000 / DESTINATIONS,
    }
    reload = await _reloaded(reactor, process)
    await process.close()
    return {**found, **_worst(beats), "reload ms": reload * 1000, "notes": _notes(beats, failed)}


async def _reloaded(reactor: Any, process: Process) -> float:
    """
    Tell how long C{reload_trust} keeps the reactor.
    """
    await deferLater(reactor, 0.2, lambda: None)
    with Cost() as cost:
        process.agent.reload_trust()
    return cost.wall


def _worst(beats: Heartbeat) -> dict[str, float]:
    """
    Tell the longest pauses. What the reactor's own thread worked in one is ours, but for what the collector took.
    """

    def ours(pause: Pause) -> float:
        return max(0.0, min(pause.wall, pause.cpu) - pause.collector)

    measures = {
        "pause ms": lambda pause: pause.wall,
        "of it worked": lambda pause: min(pause.wall, pause.cpu),
        "without collector": ours,
    }
    return {
        **{name: beats.longest(measure) * 1000 for name, measure in measures.items()},
        "collector ms": max(beats.collections) * 1000,
        f"over {LIMIT * 1000:.0f} ms": sum(ours(pause) > LIMIT for pause in beats.pauses),
    }


def _notes(beats: Heartbeat, failed: dict[str, int]) -> dict[str, Any]:
    longest = sorted(beats.pauses, key=lambda pause: pause.wall, reverse=True)[:10]
    return {
        "failed": failed,
        "longest pauses, ms": [pause.in_milliseconds() for pause in longest],
        "longest collections, ms": [round(seconds * 1000, 1) for seconds in beats.collections],
    }


async def few_files(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that may not have enough files.
    """
    process = Process(reactor, given["far_side"], FEW_FILES)
    await process.ask(_names("warm", 5))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    peak, before = _Peak(), process.answered
    with Cost() as cost:
        asked = Deferred.fromCoroutine(process.ask(_names("few", WANTED), at_once=WANTED))
        await _ended(reactor, asked)
    peak.stop()
    # One that does not end is none that was answered.
    failed = asked.result if asked.called else {"not ended": WANTED - process.answered + before}
    await _ended(reactor, Deferred.fromCoroutine(process.close()))
    found = {"failed": WANTED - process.answered + before, "sockets at most": peak.most}
    return {**found, "CPU ms/request": cost.cpu * 1000 / WANTED, "notes": {"failed": failed, "seconds": cost.wall}}


async def _ended(reactor: Any, waiting: Deferred[Any]) -> None:
    """
    Wait for something, but not for ever.
    """
    until = perf_counter() + PATIENCE
    while not waiting.called and perf_counter() < until:
        await deferLater(reactor, 0.05, lambda: None)


CHILDREN: dict[str, Child] = {
    **{kind: partial(crowd, kind=kind) for kind in (CLOSED, FORGETFUL, DEFAULT, OPEN)},
    FEW_FILES: few_files,
}


def _measure(far_side: GroupsProcess, notes: dict[str, list[Any]], kind: str) -> Numbers:
    found = in_child("benchmarks.scale", kind, {"far_side": far_side.description}, limit=CHILD_LIMIT)
    notes.setdefault(kind, []).append(found.pop("notes"))
    numbers: Numbers = found
    return numbers


def _judge(report: Report) -> None:
    for kind, what in ((CLOSED, "sessions included"), (FORGETFUL, "without sessions")):
        for kib in [row["KiB/destination"] for row in report.samples[kind] if row]:
            word = "met" if kib <= GOAL_KIB else "missed"
            print(f"{kib:.1f} KiB a destination with its connections closed, {what} (goal: {GOAL_KIB}, {word})")
    for kind in (CLOSED, DEFAULT, OPEN):
        for pause in (each for one in report.notes.get(kind, []) for each in one["longest pauses, ms"][:4]):
            print(f"{kind}: {pause}")
    for kind in CHILDREN:
        failed = [one["failed"] for one in report.notes.get(kind, []) if one["failed"]]
        print(f"{kind}: {f'failed: {failed}' if failed else 'no request failed'}")


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__, rounds=1)
    if chosen.child:
        be_child(CHILDREN[chosen.child])
        return
    notes: dict[str, list[Any]] = {}
    with GroupsProcess() as far_side:
        contenders = [Contender(kind, partial(_measure, far_side, notes, kind)) for kind in CHILDREN]
        report = Report("scale", interleaved(contenders, chosen.rounds), chosen.rounds, dict(notes))
    print(table_of(report.samples))
    _judge(report)
    finish(report, chosen)


if __name__ == "__main__":
    main()
