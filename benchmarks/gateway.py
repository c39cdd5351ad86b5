"""
What a request costs the process that forwards it: the gateway, and Synapse's own worker doing the same job.

Clients speak to both as Synapse does, one connection for each request; and once more over connections that stay. They
are 1, 10, 50 and 1,000 at once, and send three transactions of 800 bytes for each GET of 200 bytes of JSON, to 40
servers. Servers are named by their addresses: nothing is to be looked up, which is a matter of other benchmarks. Beside
both the agent alone, called in its own process: what it costs is in the gateway's figure.

Only the forwarding process is counted, after a warm-up, and as the system counts it. Both log a line a request to a
file. The benchmark fails if a single request through the gateway does; where one through the worker fails, the worker
has no numbers in that round, and the notes say so.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any

import attrs

from ._chains import make_chain
from ._clients import PUTS, SEED, TRANSACTION
from ._contenders import OURS, be_contender, measure, versions
from ._frame import Contender, Numbers, Report, finish, in_child, interleaved, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import SEND, VERSION, Nginx, nginx
from ._our_gateway import our_gateway
from ._raw_http import SECRET
from ._synapse_worker import MainProcess, main_process, worker
from ._world import BUSY, tell_ratios

GATEWAY, WORKER, ALONE = "gateway", "Synapse's worker", "agent alone"
KEPT = ", connections kept"
SERVERS = 40
RUNS = {1: (300, 2000), 10: (500, 3000), 50: (500, 3000), 1000: (2000, 4000)}
"""
Requests of the warm-up, and those that are measured, by how many are under way at once.
"""

Running = AbstractContextManager[tuple[int, int]]


@attrs.frozen
class Place:
    """
    Where everything is.

    @ivar homeservers: the far side, which listens at all of C{hosts}.
    """

    homeservers: Nginx
    hosts: list[str]
    directory: Path

    @property
    def servers(self) -> list[str]:
        """
        The names of the servers.
        """
        return [f"{host}:{self.homeservers.port}" for host in self.hosts]

    @property
    def root_file(self) -> str:
        """
        Their certificate authority.
        """
        return str(self.homeservers.directory / "root.pem")


def number(at_once: int, name: str) -> str:
    """
    Name a number of the report.
    """
    return f"{at_once:,} at once: {name}"


@contextmanager
def place() -> Iterator[Place]:
    """
    Run the far side.
    """
    hosts = [f"127.0.0.{each}" for each in range(2, 2 + SERVERS)]
    with (
        nginx(make_chain("EC", 2, *hosts), hosts=("127.0.0.1", *hosts)) as homeservers,
        tempfile.TemporaryDirectory(prefix="gateway-") as directory,
    ):
        yield Place(homeservers, hosts, Path(directory))


def _through(where: Place, start: Callable[[], Running], keep: bool) -> Numbers:  # noqa: FBT001 (bound by its place)
    """
    Measure a forwarding process, a new one, at every load.
    """
    found: dict[str, float] = {}
    with start() as (port, pid):
        pids = {"gateway": pid, "nginx": where.homeservers.pid}
        given = {"gateway": port, "pids": pids, "servers": where.servers, "keep": keep}
        for at_once, (warm_up, requests) in RUNS.items():
            told = {**given, "at_once": at_once, "warm_up": warm_up, "requests": requests}
            numbers = in_child("benchmarks._clients", "", told)
            found |= {number(at_once, name): value for name, value in numbers.items()}
    return found


def _alone(where: Place) -> Numbers:
    """
    Measure the agent without a gateway, in a new process for each load.
    """
    found: dict[str, float] = {}
    for at_once in RUNS:
        given = {"pids": {"nginx": where.homeservers.pid}, "servers": where.servers, "at_once": at_once}
        # It looks nothing up.
        more = {"root_file": where.root_file, "names": [], "name_server": ["127.0.0.1", 1], "port": 0}
        numbers = measure("benchmarks.gateway", OURS, {**given, **more}, None)
        found |= {number(at_once, name): value for name, value in numbers.items()}
    return found


def _questions(servers: list[str]) -> Iterator[Question]:
    rng, each = Random(SEED), 0
    while True:
        server, each = rng.choice(servers), each + 1
        put = rng.randrange(4) < PUTS
        yield Question(server, f"{SEND}{each}", "PUT", TRANSACTION) if put else Question(server, VERSION)


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Send the same as the clients of a gateway do.
    """
    meter, questions = Meter(given), _questions(given["servers"])
    warm_up, requests = RUNS[given["at_once"]]
    asked = chain(islice(questions, warm_up), meter.from_here(islice(questions, requests)))
    await ask_all(client, asked, given["at_once"])
    return meter.stop(requests)


def contenders(where: Place, main: MainProcess | None) -> list[Contender]:
    """
    Make everybody.

    @param main: Synapse's main process, where there is one.
    """
    starts: dict[str, Callable[[], Running]] = {
        GATEWAY: partial(our_gateway, where.directory, where.root_file),
        **({WORKER: partial(worker, main)} if main else {}),
    }
    through = [
        Contender(who + (KEPT if keep else ""), partial(_through, where, start, keep))
        for keep in (False, True)
        for who, start in starts.items()
    ]
    return [*through, Contender(ALONE, partial(_alone, where))]


@contextmanager
def _synapse(where: Place, python: str | None) -> Iterator[MainProcess | None]:
    if python is None:
        yield None
        return
    with main_process(python, where.directory, where.root_file, SECRET) as main:
        yield main


def _tell(report: Report) -> None:
    for at_once in RUNS:
        cost, speed = number(at_once, "CPU us"), number(at_once, "requests/s")
        for kept in ("", KEPT):
            tell_ratios(report, GATEWAY + kept, WORKER + kept, cost, speed)
            tell_ratios(report, GATEWAY + kept, ALONE, cost)


def _insist(report: Report, chosen: argparse.Namespace) -> None:
    """
    Tell what makes the numbers worthless.

    @raise SystemExit: when a request of ours failed, or a contender has no numbers at all.
    """
    for row, found in report.samples.items():
        for name in sorted({name for one in found for name, value in one.items() if name.endswith("nginx %")}):
            if max(one.get(name, 0) for one in found) > BUSY:
                print(f"{row}: the far side may be the limit: {name}")
        failed = sum(not one for one in found)
        if failed:
            report.notes[f"{row}: rounds in which not every request was answered"] = failed
            print(f"{row}: not every request was answered in {failed} of {report.rounds} rounds")
            if row.startswith(GATEWAY) or failed == report.rounds:
                raise SystemExit(1)
    finish(report, chosen)


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_contender(chosen.child, work)
        return
    with place() as where, _synapse(where, chosen.synapse) as main_of_synapse:
        samples = interleaved(contenders(where, main_of_synapse), chosen.rounds)
        notes = {"nginx": where.homeservers.version, **versions(chosen.synapse)}
        report = Report("gateway", samples, chosen.rounds, notes)
    for name in ("CPU us", "requests/s", "grown MiB"):
        print(f"\n{name}\n{table(_only(report, name), [number(at_once, name) for at_once in RUNS])}")
    print(table({"(this machine)": samples["(this machine)"]}))
    _tell(report)
    _insist(report, chosen)


def _only(report: Report, name: str) -> dict[str, list[dict[str, float]]]:
    return {
        row: found for row, found in report.samples.items() if any(key.endswith(name) for one in found for key in one)
    }


if __name__ == "__main__":
    main()
