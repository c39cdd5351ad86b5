"""
Requests to healthy servers, alone and beside 500 dead ones.

A hundred servers each refuse, swallow packets, are silent after TCP, are silent after TLS, and have name servers that
never answer. Healthy ones are asked at a fixed rate: known ones, over connections that are open, and new ones, never
asked before. One process measures both: first alone; then it asks the dead, gives all of them up and counts what is
left; then it asks the dead again, each anew some seconds after it failed, and measures once more. A request that has no
answer in time counts as long as it was waited for.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.client import readBody

from ._client import mapping_reactor, our_agent
from ._frame import Child, Contender, Numbers, Report, Samples, be_child, finish, in_child, interleaved, options, table
from ._groups import DEAD, PLAIN, GroupsProcess, with_names
from ._leftovers import Held
from ._plain import SilentHostnames, plain_agent

OURS, TWISTED, SYNAPSE = "ours", "plain Agent", "Synapse"
PATH = "/_matrix/federation/v1/version"
EACH = 100
"""
Dead servers of each kind.
"""
KNOWN = 50
KNOWN_EVERY, NEW_EVERY = 0.02, 0.03
MEASURED, PATIENCE = 3.0, 4.0
RAMP, AGAIN, GIVEN_UP, SETTLED = 0.003, 5.0, 2.0, 0.3
"""
Seconds: between two requests to known servers, to new ones; that are measured, and waited for after that; between two
requests to dead servers, until one that failed is asked again, until they are given up, and until it is counted what is
left of them.
"""

KNOWN_NAMES = [f"known{number}.{PLAIN}.example" for number in range(KNOWN)]
NEW = round(MEASURED / NEW_EVERY) + 10
Visit = Callable[[str], Deferred[bytes]]


def _dead_names(prefix: str) -> list[str]:
    """
    Name the dead, their kinds taking turns.
    """
    return [f"{prefix}{number}.{kind}.example" for number in range(EACH) for kind in DEAD]


def _new_names(prefix: str) -> list[str]:
    return [f"{prefix}{number}.{PLAIN}.example" for number in range(NEW)]


@attrs.define
class Latencies:
    """
    How long requests took.

    @ivar seconds: of those that were answered, and those given up.
    @ivar failed: how many were not answered.
    """

    seconds: list[float] = attrs.field(factory=list)
    failed: int = 0
    _pending: set[Deferred[Any]] = attrs.field(factory=set)

    def ask(self, visit: Visit, name: str) -> None:
        """
        Send a request, and note how it ends.
        """
        began = perf_counter()
        asked = visit(name)
        self._pending.add(asked)

        def ended(_: Any, *, well: bool) -> None:
            self._pending.discard(asked)
            self.failed += not well
            # One that fails at once did not answer sooner than one that is late.
            self.seconds.append(perf_counter() - began if well else max(PATIENCE, perf_counter() - began))

        asked.addCallbacks(partial(ended, well=True), partial(ended, well=False))

    async def end(self, reactor: Any) -> None:
        """
        Wait, as long as it is worth it.
        """
        until = perf_counter() + PATIENCE
        while self._pending and perf_counter() < until:
            await deferLater(reactor, 0.01, lambda: None)
        for asked in list(self._pending):
            asked.cancel()

    def numbers(self, what: str) -> dict[str, float]:
        """
        Tell the percentiles, in milliseconds.
        """
        ordered = sorted(self.seconds)
        shares = {f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] for share in (50, 90, 99)}
        return {
            **{f"{what} {share} ms": value * 1000 for share, value in shares.items()},
            f"{what} failed": self.failed,
        }


async def _measured(reactor: Any, visit: Visit, prefix: str) -> dict[str, float]:
    """
    Ask healthy servers at a fixed rate.
    """
    known, new = Latencies(), Latencies()
    names = iter(_new_names(prefix))
    loops = [
        LoopingCall(lambda: known.ask(visit, KNOWN_NAMES[len(known.seconds) % KNOWN])),
        LoopingCall(lambda: new.ask(visit, next(names))),
    ]
    for loop, every in zip(loops, (KNOWN_EVERY, NEW_EVERY), strict=True):
        loop.start(every)
    await deferLater(reactor, MEASURED, lambda: None)
    for loop in loops:
        loop.stop()
    await known.end(reactor)
    await new.end(reactor)
    return {**known.numbers("known"), **new.numbers("new")}


async def _keep_asking(reactor: Any, visit: Visit, name: str) -> None:
    while True:
        try:
            await visit(name)
        except CancelledError:
            raise
        except Exception:  # noqa: BLE001 (however it fails)
            await deferLater(reactor, AGAIN, lambda: None)


async def _begin(reactor: Any, ask: Callable[[str], Deferred[Any]], names: Iterable[str]) -> list[Deferred[Any]]:
    """
    Begin to ask the dead, not all in the same moment.
    """
    begun = []
    for name in names:
        begun.append(ask(name))
        await deferLater(reactor, RAMP, lambda: None)
    return begun


async def _give_up(reactor: Any, begun: Sequence[Deferred[Any]]) -> None:
    for one in begun:
        one.addErrback(lambda _: None)
        one.cancel()
    await deferLater(reactor, SETTLED, lambda: None)


async def _left(reactor: Any, visit: Visit) -> Numbers:
    """
    Ask the dead once, give them up, and count what is left.
    """
    before = Held.by(reactor)
    begun = await _begin(reactor, visit, _dead_names("x"))
    await deferLater(reactor, GIVEN_UP, lambda: None)
    await _give_up(reactor, begun)
    return Held.by(reactor).since(before)


async def _whole(reactor: Any, visit: Visit) -> dict[str, Any]:
    """
    Measure a contender.
    """
    await gatherResults([visit(name) for name in KNOWN_NAMES])
    alone = await _measured(reactor, visit, "a")
    left = await _left(reactor, visit)
    begun = await _begin(
        reactor, lambda name: Deferred.fromCoroutine(_keep_asking(reactor, visit, name)), _dead_names("y")
    )
    beside = await _measured(reactor, visit, "b")
    await _give_up(reactor, begun)
    return {"alone": alone, "beside": beside, "left": left}


def _visit(request: Callable[[bytes, bytes], Deferred[Any]], uri: str, name: str) -> Deferred[bytes]:
    async def visit() -> bytes:
        return await readBody(await request(b"GET", uri.format(name).encode("ascii")))

    return Deferred.fromCoroutine(visit())


async def ours(reactor: Any, far_side: Any) -> dict[str, Any]:
    """
    Be the child with our agent.
    """
    agent = our_agent(reactor, far_side)
    found = await _whole(reactor, partial(_visit, agent.request, "matrix-federation://{}" + PATH))
    await agent.close()
    return found


async def twisted(reactor: Any, far_side: Any) -> dict[str, Any]:
    """
    Be the child with Twisted's.
    """
    agent = plain_agent(reactor, far_side)
    return await _whole(reactor, partial(_visit, agent.request, "https://{}:8448" + PATH))


async def synapse(reactor: Any, far_side: Any) -> dict[str, Any]:
    """
    Be the child with Synapse's.
    """
    from ._synapse import synapse_agent_on  # noqa: PLC0415 (only that process has it)

    # Outside a homeserver it warns at every request that nobody collects its metrics.
    logging.disable(logging.CRITICAL)
    virtual = mapping_reactor(reactor, far_side)
    virtual.installNameResolver(SilentHostnames(far_side["addresses"]))
    agent = synapse_agent_on(virtual, far_side)
    return await _whole(reactor, partial(_visit, agent.request, "matrix-federation://{}" + PATH))


CHILDREN: dict[str, Child] = {OURS: ours, TWISTED: twisted, SYNAPSE: synapse}
GOALS = {"p50": 2, "p99": 3}
"""
How many times as long as alone a request may take.
"""


def _measure(given: dict[str, Any], python: str, name: str) -> Numbers:
    found = in_child("benchmarks.dead", name, given, python)
    return {f"{part}: {key}": number for part, numbers in found.items() for key, number in numbers.items()}


def _rows(samples: Samples) -> Samples:
    """
    Give each contender a row alone, and one beside the dead.
    """
    rows: Samples = {}
    for name, found in samples.items():
        for part in ("alone", "beside", "left"):
            cut = [{key[len(part) + 2 :]: each[key] for key in each if key.startswith(part)} for each in found]
            rows[f"{name}: {part}"] = cut
    return rows


def _judge(report: Report, name: str) -> None:
    """
    Compare with the goals; a ratio is that of one process.
    """
    for who in ("known", "new"):
        for share, goal in GOALS.items():
            number = f"{who} {share} ms"
            ratio = report.ratio(f"{name}: beside", f"{name}: alone", number)
            report.notes[f"{name}: {who} {share}, beside / alone"] = ratio
            word = "met" if ratio <= goal else "missed"
            print(f"{name}: {who} {share}: {ratio:.2f} of what it is alone (goal: {goal}, {word})")
    failed = sum(row[f"{who} failed"] for row in report.samples[f"{name}: beside"] for who in ("known", "new") if row)
    left = max((number for row in report.samples[f"{name}: left"] for number in row.values()), default=math.nan)
    report.notes[f"{name}: not answered beside the dead"], report.notes[f"{name}: left of the dead"] = failed, left
    print(
        f"{name}: {failed:.0f} requests to healthy servers not answered beside the dead; left of the dead: {left:.0f}"
    )


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child(CHILDREN[chosen.child])
        return
    pythons = {OURS: sys.executable, TWISTED: sys.executable, **({SYNAPSE: chosen.synapse} if chosen.synapse else {})}
    names = [*KNOWN_NAMES, *_new_names("a"), *_new_names("b"), *_dead_names("x"), *_dead_names("y")]
    with GroupsProcess() as far_side:
        given = with_names(far_side.description, names)
        contenders = [Contender(name, partial(_measure, given, python, name)) for name, python in pythons.items()]
        samples = interleaved(contenders, chosen.rounds)
    machine = {"(this machine)": samples.pop("(this machine)")}
    report = Report("dead", {**_rows(samples), **machine}, chosen.rounds)
    for part in ("alone", "beside"):
        print(table({name: found for name, found in report.samples.items() if name.endswith(part)}))
    print(table({name: found for name, found in report.samples.items() if name.endswith("left")}))
    print(table(machine))
    for name in pythons:
        _judge(report, name)
    finish(report, chosen)


if __name__ == "__main__":
    main()
