"""
Many requests at once for one name that nobody has asked for before.

Counted at the far side: fetches of C{.well-known}, queries, connections. Measured here: the client's CPU, in a process
of its own each time. The plain C{Agent} discovers nothing, and is told where the server is; addresses are given to it
and to Synapse's from a table, at no cost.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from ._contenders import OURS, PLAIN, SYNAPSE, be_contender, measure, present
from ._crowd import CROWD, SERVICE, crowd
from ._frame import Contender, Numbers, finish, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import VERSION, accepted
from ._world import World, reported, tell_ratios, world

BOTH, NEITHER = f"b1.{CROWD}", f"n1.{CROWD}"
WORK = {
    "100 at once, delegated with SRV": (BOTH, 100),
    "1000 at once, delegated with SRV": (BOTH, 1000),
    "1000 at once, neither": (NEITHER, 1000),
}
"""
Names, and how many ask for each at once.
"""

CONTENDERS = (OURS, PLAIN, SYNAPSE)
BEFORE = crowd(10)[9]
"""
Asked first, for what only the first request loads and opens.
"""


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Send the requests.
    """
    await ask_all(client, [Question(BEFORE, VERSION)], 1)
    callers, before = given["at_once"], accepted(given["status"])
    meter = Meter(given)
    meter.start()
    answers = await ask_all(client, [Question(given["name"], VERSION) for _ in range(callers)], callers)
    found = meter.stop(callers)
    # One of them asked for this number.
    return {"answers": len(answers), "accepted": accepted(given["status"]) - before - 1, **found}


def _measure(far_side: World, who: str, row: str, chosen: argparse.Namespace) -> Numbers:
    name, callers = WORK[row]
    given = {**far_side.given, "names": [name, BEFORE], "name": name, "at_once": callers}
    far_side.homeservers.fetches(name)
    far_side.names.counts()
    numbers = measure("benchmarks.herd", who, given, chosen.synapse)
    queries, fetches = far_side.names.counts()["queries"], far_side.homeservers.fetches(name)
    return {
        "fetches": fetches,
        # b1 delegates to s1.
        "queries/service": queries.get(f"SRV {SERVICE}{name.replace('b', 's', 1)}", 0),
        # Nobody keeps a connection to a C{.well-known} host for a second fetch while the first is under way.
        "connections": numbers.pop("accepted") - fetches,
        **numbers,
    }


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_contender(chosen.child, work)
        return
    with world() as far_side:
        rows = [
            Contender(f"{row}: {who}", partial(_measure, far_side, who, row, chosen))
            for row in WORK
            for who in present(CONTENDERS, chosen.synapse)
        ]
        report = reported("herd", rows, chosen, far_side.homeservers)
    print(table(report.samples))
    for row in WORK:
        for other in (PLAIN, SYNAPSE):
            tell_ratios(report, f"{row}: {OURS}", f"{row}: {other}", "CPU us", "requests/s")
    finish(report, chosen)


if __name__ == "__main__":
    main()
