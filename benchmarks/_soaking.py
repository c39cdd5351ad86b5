"""
What is common to the soaks: limits of an agent for bad company, what changes around it meanwhile, and what must not be
left.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from time import perf_counter
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from matrix_federation_agent import ConnectionPolicy, DiscoveryPolicy, MatrixFederationAgent

from ._frame import resident_bytes
from ._groups import GroupsProcess
from ._leftovers import Held, waiting_coroutines, waiting_deferreds
from ._unruly import SOUND

NAMES = 12
"""
Names in each group.
"""

CONNECTIONS = ConnectionPolicy(
    tcp_timeout=1.0,
    tls_timeout=1.0,
    connect_timeout=2.5,
    queue_timeout=5.0,
    response_timeout=4.0,
    silence_timeout=1.5,
    idle_timeout=1.0,
    connection_lifetime=5.0,
    open_connections=10,
    total_open_connections=60,
    total_idle_connections=30,
)
DISCOVERY = DiscoveryPolicy(
    well_known_timeout=1.5, dns_timeout=2.0, dns_failure_lifetime=0.5, dns_failure_maximum=1.0, max_remembered=100
)
STUCK = 30.0
"""
Seconds after which a request should have ended, whatever happened: all that it may wait for, one after the other.
"""
DISTURBED = 3.0
"""
Seconds after the name server's silence, in which names that it did not answer for may still be remembered as failed.
"""
SETTLED = 1.0
GROWTH_BYTES, GROWTH_OBJECTS = 6 * 1024 * 1024, 5000
"""
What the process may have grown by in the second half: fragmentation, and remembered names that came and went.
"""

CHANGES = ("silence", *("certificates", "turncoats", "delegations", "services", "forget", "forget all", "reload") * 7)
EVERY, SILENCE = 0.5, 2.0
"""
Seconds between two changes, and that the name server is silent at most.
"""


class Changes:
    """
    What changes meanwhile, drawn at random.
    """

    def __init__(self, reactor: Any, agent: MatrixFederationAgent, far_side: GroupsProcess, rng: Random) -> None:
        self._reactor = reactor
        self._agent = agent
        self._far_side = far_side
        self._rng = rng
        self._deaf = False
        self._last_silence = float("-inf")

    def deaf_since(self, began: float) -> bool:
        """
        Tell whether the name server was silent after a moment, or shortly before.
        """
        return self._deaf or began < self._last_silence + DISTURBED

    async def keep_changing(self, until: float) -> None:
        """
        Change one thing after the other.

        @param until: when to end, as C{perf_counter} tells it.
        """
        while perf_counter() < until:
            await deferLater(self._reactor, EVERY, lambda: None)
            await self._change(self._rng.choice(CHANGES))

    async def _change(self, what: str) -> None:
        if what == "reload":
            self._agent.reload_trust()
        elif what == "forget":
            self._agent.forget(f"n{self._rng.randrange(NAMES)}.{self._rng.choice(SOUND)}.example")
        elif what == "forget all":
            self._agent.forget()
        elif what == "silence":
            await self._silence()
        else:
            self._far_side.tell({"do": what})

    async def _silence(self) -> None:
        self._deaf = True
        self._far_side.tell({"do": "silence"})
        await deferLater(self._reactor, self._rng.uniform(0.1, SILENCE), lambda: None)
        self._far_side.tell({"do": "speak"})
        self._deaf, self._last_silence = False, perf_counter()


@attrs.frozen
class Size:
    """
    How large the process is.
    """

    resident: int
    objects: int

    @classmethod
    async def at_rest(cls, reactor: Any) -> Size:
        """
        Measure it, when all has settled.
        """
        await deferLater(reactor, SETTLED, lambda: None)
        gc.collect()
        return cls(resident_bytes(), len(gc.get_objects()))


def failures(wrong: Counter[str]) -> Any:
    """
    Make an observer to whom everything that is logged as a failure is wrong.
    """

    def observe(event: LogEvent) -> None:
        level = event.get("log_level")
        if event.get("log_failure") is not None or level in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            shown = failure.getTraceback() if isinstance(failure, Failure) else event.get("log_format")
            wrong[f"logged: {shown}"[-1500:]] += 1

    return observe


def count_left(wrong: Counter[str], held: dict[str, int], deferreds: int) -> None:
    """
    Find what is left.
    """
    left = {**{what: number for what, number in held.items() if number > 0}, **Counter(waiting_coroutines())}
    if deferreds > 0:
        left["Deferreds"] = deferreds
    for what, number in left.items():
        wrong[f"left: {what}"] += number
    print(f"left: {left or 'nothing'}")


def compare(wrong: Counter[str], half: Size, whole: Size) -> None:
    """
    Find what has grown.
    """
    resident, objects = whole.resident - half.resident, whole.objects - half.objects
    print(f"grown in the second half: {resident / 1024:,.0f} KiB of {half.resident / 1024:,.0f}, {objects:,} objects")
    if resident > GROWTH_BYTES or objects > GROWTH_OBJECTS:
        wrong[f"grown by {resident} bytes and {objects} objects"] += 1


def heed(wrong: Counter[str], last_words: str) -> None:
    """
    Find what went to servers that nobody should have believed.
    """
    told = json.loads(last_words)
    print(f"{told['shown false']:,} handshakes with a certificate of somebody else")
    wrong["a server with a certificate of somebody else heard a request"] += told["believed"]


class Soaking(Protocol):
    """
    A soak, and what it finds.

    @ivar outcomes: how often requests ended in each way.
    @ivar wrong: what should not have happened.
    @ivar excused: requests that failed about the time of a silence of the name server.
    """

    outcomes: Counter[str]
    wrong: Counter[str]
    excused: int

    async def run(self, seconds: float) -> None:
        """
        Keep asking, until the time is over and all has ended.
        """

    def left(self) -> dict[str, int]:
        """
        Count what is still under way.
        """

    async def close(self) -> None:
        """
        End what was soaked.
        """


Maker = Callable[[Any, GroupsProcess, Random, Path], Soaking]


def run_soak(description: str | None, make: Maker) -> None:
    """
    Run a soak as the command line says.

    @param make: makes it, of the reactor, the far side, chance, and the path of a store.
    @raise SystemExit: with status 1 when something is wrong.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write how often requests ended in each way")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    react(lambda reactor: Deferred.fromCoroutine(_run(reactor, make, chosen)))


async def _run(reactor: Any, make: Maker, chosen: argparse.Namespace) -> None:
    with GroupsProcess("benchmarks._unruly") as far_side, tempfile.TemporaryDirectory() as directory:
        found = await _soaked(
            reactor, lambda: make(reactor, far_side, Random(chosen.seed), Path(directory) / "store"), chosen.seconds
        )
    heed(found.wrong, far_side.last_words)
    _say(found, chosen.seed)
    if chosen.json is not None:
        numbers = {"seed": chosen.seed, "outcomes": found.outcomes, "wrong": found.wrong}
        chosen.json.write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
    if found.wrong.total():
        raise SystemExit(1)


async def _soaked(reactor: Any, make: Callable[[], Soaking], seconds: float) -> Soaking:
    """
    Run all of it.
    """
    # Before it has turned once, the reactor is not complete.
    await deferLater(reactor, 0, lambda: None)
    held, deferreds = Held.by(reactor), waiting_deferreds()
    running = make()
    observer = failures(running.wrong)
    globalLogPublisher.addObserver(observer)
    await running.run(seconds / 2)
    half = await Size.at_rest(reactor)
    await running.run(seconds / 2)
    whole = await Size.at_rest(reactor)
    left = running.left()
    await running.close()
    await deferLater(reactor, SETTLED, lambda: None)
    count_left(running.wrong, {**Held.by(reactor).since(held), **left}, waiting_deferreds() - deferreds)
    compare(running.wrong, half, whole)
    globalLogPublisher.removeObserver(observer)
    return running


def _say(found: Soaking, seed: int) -> None:
    for outcome, number in found.outcomes.most_common():
        print(f"{number:7,}  {outcome}")
    print(f"{found.outcomes.total():7,}  requests, {found.excused} excused by a silent name server; seed {seed}")
    for what, number in (+found.wrong).most_common():
        print(f"WRONG, {number} times: {what}", file=sys.stderr)
