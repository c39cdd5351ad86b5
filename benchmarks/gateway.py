"""
What a request costs the process that forwards it: the gateway, and Synapse's own worker doing the same job.

Clients speak to both as Synapse does, one connection for each request; and once more over connections that stay. They
are 1, 10, 50 and 1,000 at once, and send three transactions of 800 bytes for each GET of 200 bytes of JSON, to 40
servers. Servers are named by their addresses: nothing is to be looked up, which is a matter of other benchmarks. Beside
both the agent alone, called in its own process: what it costs is in the gateway's figure.

Only the forwarding process is counted, after a warm-up, and as the system counts it. Both log a line a request to a
file. The benchmark fails if a single request through the gateway does; where one through the worker fails, the worker
has no numbers in that round, and the notes say so. Two that are compared take turns at each load, so that a slow minute
of the machine is a slow minute of both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Any

import attrs

from ._chains import make_chain
from ._clients import PUTS, SEED, TRANSACTION
from ._contenders import OURS, be_contender, measure, versions
from ._frame import MACHINE, Contender, Numbers, Report, Samples, finish, in_child, interleaved, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import SEND, VERSION, Nginx, nginx
from ._our_gateway import our_gateway
from ._raw_http import SECRET
from ._synapse_worker import main_process, worker
from ._world import BUSY, tell_ratios

GATEWAY, WORKER, ALONE = "gateway", "Synapse's worker", "agent alone"
KEPT = ", connections kept"
SERVERS = 40
RUNS = {1: (100, 800), 10: (200, 1200), 50: (200, 1200), 1000: (1200, 2000)}
"""
Requests of the warm-up, and those that are measured, by how many are under way at once.
"""

Entrance = tuple[int, int]
"""
The port of a process that forwards, and its id.
"""


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


def _through(where: Place, entrance: Entrance, at_once: int, keep: bool) -> Numbers:  # noqa: FBT001 (bound by its place)
    """
    Measure a forwarding process at one load.
    """
    port, pid = entrance
    warm_up, requests = RUNS[at_once]
    given = {"gateway": port, "pids": {"gateway": pid, "nginx": where.homeservers.pid}, "servers": where.servers}
    told = {**given, "keep": keep, "at_once": at_once, "warm_up": warm_up, "requests": requests}
    return _named(at_once, in_child("benchmarks._clients", "", told))


def _alone(where: Place, at_once: int) -> Numbers:
    """
    Measure the agent without a gateway, in a new process.
    """
    given = {"pids": {"nginx": where.homeservers.pid}, "servers": where.servers, "at_once": at_once}
    # It looks nothing up.
    more = {"root_file": where.root_file, "names": [], "name_server": ["127.0.0.1", 1], "port": 0}
    return _named(at_once, measure("benchmarks.gateway", OURS, {**given, **more}, None))


def _named(at_once: int, numbers: Numbers) -> Numbers:
    return {number(at_once, name): value for name, value in numbers.items()}


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


def contenders(where: Place, entrances: Mapping[str, Entrance], at_once: int) -> list[Contender]:
    """
    Make everybody, for one load.

    @param entrances: of the forwarding processes.
    """
    through = [
        Contender(who + (KEPT if keep else ""), partial(_through, where, entrance, at_once, keep))
        for keep in (False, True)
        for who, entrance in entrances.items()
    ]
    return [*through, Contender(ALONE, partial(_alone, where, at_once))]


@contextmanager
def running(where: Place, synapse: str | None) -> Iterator[dict[str, Entrance]]:
    """
    Run what forwards.

    @param synapse: a Python that has Synapse; without one there is no worker.
    """
    with ExitStack() as stack:
        found = {GATEWAY: stack.enter_context(our_gateway(where.directory, where.root_file))}
        if synapse is not None:
            main = stack.enter_context(main_process(synapse, where.directory, where.root_file, SECRET))
            found[WORKER] = stack.enter_context(worker(main))
        yield found


def measured(where: Place, entrances: Mapping[str, Entrance], rounds: int) -> Samples:
    """
    Measure everybody, load by load: so that two that are compared are measured within seconds of each other.
    """
    samples: Samples = {}
    for at_once in RUNS:
        for row, found in interleaved(contenders(where, entrances, at_once), rounds).items():
            told = [_named(at_once, one) for one in found] if row == MACHINE else found
            samples[row] = [{**one, **more} for one, more in zip(samples.get(row, [{}] * rounds), told, strict=True)]
    return samples


def _tell(report: Report) -> None:
    for at_once in RUNS:
        cost, speed = number(at_once, "CPU us"), number(at_once, "requests/s")
        for kept in ("", KEPT):
            tell_ratios(report, GATEWAY + kept, WORKER + kept, cost, speed)
            tell_ratios(report, GATEWAY + kept, ALONE, cost)


def _insist(report: Report, chosen: argparse.Namespace) -> None:
    """
    Tell what makes the numbers worthless.

    @raise SystemExit: when a request through the gateway failed, or the agent's own.
    """
    for row, found in report.samples.items():
        for name in sorted({name for one in found for name, value in one.items() if name.endswith("nginx %")}):
            if max(one.get(name, 0) for one in found) > BUSY:
                print(f"{row}: the far side may be the limit: {name}")
        for at_once in RUNS:
            failed = sum(not any(key.startswith(number(at_once, "")) for key in one) for one in found)
            if failed:
                said = f"{row}: rounds in which not every request was answered, {number(at_once, '')}".rstrip(": ")
                report.notes[said] = failed
                print(f"{said}: {failed} of {report.rounds}")
                if not row.startswith(WORKER):
                    raise SystemExit(1)
    finish(report, chosen)


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__, rounds=15)
    if chosen.child:
        be_contender(chosen.child, work)
        return
    with place() as where, running(where, chosen.synapse) as entrances:
        samples = measured(where, entrances, chosen.rounds)
        notes = {"nginx": where.homeservers.version, **versions(chosen.synapse)}
        report = Report("gateway", samples, chosen.rounds, notes)
    for name in ("CPU us", "requests/s", "grown MiB"):
        print(f"\n{name}\n{table(_only(report, name), [number(at_once, name) for at_once in RUNS])}")
    print(table({MACHINE: samples[MACHINE]}))
    _tell(report)
    _insist(report, chosen)


def _only(report: Report, name: str) -> dict[str, list[dict[str, float]]]:
    return {
        row: found for row, found in report.samples.items() if any(key.endswith(name) for one in found for key in one)
    }


if __name__ == "__main__":
    main()
