"""
A process that starts again with 10,000 delegations remembered in SQLite or in Redis, beside one that starts with
nothing.

Each is asked for all 10,000 names, 50 at a time, and all of them at once. A lookup that is not answered by the store
takes 30 ms here, which is little; C{lookups} counts them.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter, sleep, thread_time
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Cooperator, deferLater

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation
from matrix_federation_agent.stores import RedisStore, SQLiteStore

from ._discovery import Wired, World, wire
from ._far_side import CROWD, FarSideProcess
from ._frame import Contender, Cost, Numbers, Report, be_child, finish, in_child, interleaved, options, table
from ._running import free_port

NAMES = 10_000
FETCHED = 200
"""
Names that are really fetched, over TLS from a far side, by the contender that starts with nothing.
"""

AT_ONCE = (50, NAMES)
FETCH_SECONDS = 0.03
TICK = 0.002


class LongestBlock:
    """
    How long the reactor was kept from its timers.

    @ivar seconds: at most.
    @ivar cpu: the most CPU that its thread took in between, which other processes on the machine do not change.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.seconds = self.cpu = 0.0
        self._tick(perf_counter(), thread_time())

    def _tick(self, due: float, used: float) -> None:
        now, cpu = perf_counter(), thread_time()
        self.seconds, self.cpu = max(self.seconds, now - due), max(self.cpu, cpu - used)
        self._call = self._reactor.callLater(TICK, self._tick, now + TICK, cpu)

    def stop(self) -> None:
        """
        Watch no longer.
        """
        self._call.cancel()


def _fetch(host: str) -> Delegation:
    return Delegation(ServerName(f"matrix.{host}:443"))


def _names(number: int = NAMES) -> list[ServerName]:
    return [ServerName(f"server{each}.{CROWD}") for each in range(number)]


def _store(reactor: Any, given: Mapping[str, Any]) -> Any:
    if given["store"] == "sqlite":
        return SQLiteStore(reactor, given["path"])
    if given["store"] == "redis":
        return RedisStore.new(reactor, "127.0.0.1", given["port"])
    return None


async def _each(
    reactor: Any, work: Callable[[ServerName], Deferred[Any]], names: list[ServerName], at_once: int
) -> Numbers:
    """
    Do some work for every name, so many at the same time.
    """
    first: list[float] = []
    start = perf_counter()

    def steps() -> Iterator[Deferred[Any]]:
        for name in waiting:
            yield work(name).addCallback(lambda _: first.append(perf_counter() - start) if not first else None)

    waiting = iter(names)
    block = LongestBlock(reactor)
    # It begins a few at a time, so that it does not itself keep the reactor.
    cooperator = Cooperator(scheduler=partial(reactor.callLater, 0))
    with Cost() as cost:
        await gatherResults([cooperator.coiterate(steps()) for _ in range(at_once)])
    block.stop()
    return {
        "first ms": first[0] * 1000,
        "all s": cost.wall,
        "ms/name": cost.wall * 1000 / len(names),
        "CPU ms/name": cost.cpu * 1000 / len(names),
        "longest block ms": block.seconds * 1000,
        "in CPU ms": block.cpu * 1000,
    }


async def remembering(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that learns everything, and leaves it in the store.
    """
    wired = wire(reactor, World(_fetch), _store(reactor, given))
    for start in range(0, NAMES, 100):
        for name in _names()[start : start + 100]:
            await wired.discovery.who(name)
        await deferLater(reactor, 0.01, lambda: None)
    await deferLater(reactor, 1, lambda: None)
    await wired.remembering.close()
    return {}


async def asked(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that was started again.
    """
    world = World(_fetch, fetch_seconds=FETCH_SECONDS)
    wired = wire(reactor, world, _store(reactor, given))
    # Redis is connected to in the background.
    await deferLater(reactor, 0.2, lambda: None)

    def ask(name: ServerName) -> Deferred[Any]:
        return Deferred.fromCoroutine(wired.discovery.who(name))

    numbers = await _each(reactor, ask, _names(), given["at_once"])
    found = {**numbers, "lookups": world.asked["fetch"], "store failures": _failures(wired)}
    await wired.remembering.close()
    return found


def _failures(wired: Wired) -> int:
    return wired.counters.snapshot().get("store.failures", 0)


async def fetched(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that knows nothing, and really fetches.
    """
    from ._client import our_agent  # noqa: PLC0415 (the others do not need TLS)

    agent = our_agent(reactor, given["far_side"])
    numbers = await _each(reactor, agent.resolve, _names(FETCHED), given["at_once"])
    await agent.close()
    return {**numbers, "lookups": FETCHED, "store failures": 0}


@contextmanager
def _redis(binary: str, directory: str) -> Iterator[int]:
    """
    Run a Redis of our own.
    """
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        sleep(0.05)
    raise RuntimeError("redis-server does not listen")


def _measure(child: str, given: Mapping[str, Any]) -> Numbers:
    return in_child("benchmarks.restart", child, given)


def _stores(stack: ExitStack) -> list[dict[str, Any]]:
    """
    Prepare the stores, with everything in them.
    """
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    stores: list[dict[str, Any]] = [{"store": "sqlite", "path": str(Path(directory) / "known.sqlite")}]
    binary = shutil.which("redis-server")
    if binary is None:
        print("no redis-server: without Redis", file=sys.stderr)
    else:
        stores.append({"store": "redis", "port": stack.enter_context(_redis(binary, directory))})
    for store in stores:
        in_child("benchmarks.restart", "remembering", store)
    return stores


def _contenders(stores: list[dict[str, Any]], far_side: FarSideProcess) -> list[Contender]:
    nothing = {"store": "nothing"}
    found = [
        Contender(f"{store['store']}, {at_once} at once", partial(_measure, "asked", {**store, "at_once": at_once}))
        for store, at_once in [*product(stores, AT_ONCE), (nothing, 50)]
    ]
    given = {"far_side": far_side.description, "at_once": 50}
    return [*found, Contender(f"nothing, {FETCHED} real fetches", partial(_measure, "fetched", given))]


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child({"remembering": remembering, "asked": asked, "fetched": fetched}[chosen.child])
        return
    with ExitStack() as stack:
        stores = _stores(stack)
        far_side = stack.enter_context(FarSideProcess([{"name": CROWD}]))
        report = Report("restart", interleaved(_contenders(stores, far_side), chosen.rounds), chosen.rounds)
    print(table(report.samples))
    finish(report, chosen)


if __name__ == "__main__":
    main()
