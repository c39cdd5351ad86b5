"""
Many requests at once for one name that nobody has asked for before.

Counted at the far side: C{.well-known} connections (one each fetch), queries, connections to the homeserver. Measured
here: the client's CPU, in a process of its own each time.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.web.client import readBody

from ._client import our_agent
from ._far_side import FarSideProcess
from ._frame import Contender, Cost, Numbers, Report, be_child, finish, in_child, interleaved, options, table

WORK = (("delegated.example", 250), ("delegated.example", 1000), ("plain.example", 250))
"""
Names, and how many ask for each at once: one that delegates and has an SRV record, one that has neither.
"""

SERVERS: tuple[dict[str, Any], ...] = (
    {"name": "delegated.example", "step": "3.3"},
    {"name": "plain.example", "step": "6", "missing": True},
    {"name": "warm.example", "step": "6"},
)
TARGET = "/_matrix/federation/v1/version"


async def _visit(agent: Any, name: str) -> int:
    response = await agent.request(b"GET", f"matrix-federation://{name}{TARGET}".encode("ascii"))
    await readBody(response)
    return int(response.code)


async def _herd(agent: Any, name: str, callers: int) -> dict[str, float]:
    """
    Send the requests, after one to another server, which loads and opens what only the first request needs.
    """
    await _visit(agent, "warm.example")
    with Cost() as cost:
        found = await DeferredList(
            [Deferred.fromCoroutine(_visit(agent, name)) for _ in range(callers)], consumeErrors=True
        )
    failed = sum(not good or code != 200 for good, code in found)
    return {"failed": failed, "seconds": cost.wall, "CPU ms/request": cost.cpu * 1000 / callers}


async def ours(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child with our agent.
    """
    agent = our_agent(reactor, given["far_side"])
    numbers = await _herd(agent, given["name"], given["callers"])
    await agent.close()
    return {**numbers, "asked": {}}


async def synapse(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child with Synapse's.
    """
    from ._synapse import synapse_agent  # noqa: PLC0415 (only that process has it)

    # Outside a homeserver it warns at every request that nobody collects its metrics.
    logging.disable(logging.CRITICAL)
    agent, hostnames = synapse_agent(reactor, given["far_side"])
    return {**await _herd(agent, given["name"], given["callers"]), "asked": hostnames.asked}


def _most(queries: dict[str, int], name: str, *kinds: str) -> int:
    """
    Tell how often the same question about a server was asked at most.
    """
    return max(
        (number for asked, number in queries.items() if asked.startswith(kinds) and asked.endswith(name)), default=0
    )


def _measure(far_side: FarSideProcess, python: str, contender: str, name: str, callers: int) -> Numbers:
    far_side.counts()
    given = {"far_side": far_side.description, "name": name, "callers": callers}
    numbers = in_child("benchmarks.herd", contender, given, python)
    counts, asked = far_side.counts(), numbers.pop("asked")
    addresses = far_side.description["addresses"]
    fetched_from = f"{addresses[name]} 443"
    connections = {
        place: number for place, number in counts["connections"].items() if addresses["warm.example"] not in place
    }
    queries = {**counts["queries"], **{f"A {host}": number for host, number in asked.items()}}
    return {
        "fetches": connections.pop(fetched_from, 0),
        "queries/service": _most(queries, name, "SRV "),
        "A queries/name": _most(queries, name, "A ", "AAAA "),
        "connections": sum(connections.values()),
        **numbers,
    }


def _contenders(far_side: FarSideProcess, pythons: dict[str, str]) -> list[Contender]:
    return [
        Contender(f"{callers} at once, {name}: {who}", partial(_measure, far_side, python, who, name, callers))
        for name, callers in WORK
        for who, python in pythons.items()
    ]


def _ratios(report: Report) -> None:
    for name, callers in WORK:
        row = f"{callers} at once, {name}"
        ratios = {key: report.ratio(f"{row}: ours", f"{row}: synapse", key) for key in ("CPU ms/request", "seconds")}
        report.notes[f"{row}: ours / synapse"] = ratios
        print(f"{row}: ours / synapse:", ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items()))


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child({"ours": ours, "synapse": synapse}[chosen.child])
        return
    pythons = {"ours": sys.executable, **({"synapse": chosen.synapse} if chosen.synapse else {})}
    with FarSideProcess(SERVERS) as far_side:
        report = Report("herd", interleaved(_contenders(far_side, pythons), chosen.rounds), chosen.rounds)
    print(table(report.samples))
    if chosen.synapse:
        _ratios(report)
    finish(report, chosen)


if __name__ == "__main__":
    main()
