"""
The first request to each of 1,000 servers, of which nothing is known, 50 at a time.

A third have neither C{.well-known} nor SRV records, a third delegate, a third have an SRV record. Our agent and
Synapse's find them: by C{.well-known} from port 443, and by the crowd's name server. Ours asks it for addresses too
(A and AAAA); Synapse's finds them in a table, at no cost, because the system's resolver, which it asks in threads,
cannot be sent elsewhere without root. The plain C{Agent} and aiohttp are told where the servers are: they make one TLS
connection a server where the others make two, and ask nobody.
"""

from __future__ import annotations

from typing import Any

from ._contenders import AIOHTTP, OURS, PLAIN, SYNAPSE, be_contender, present
from ._crowd import crowd
from ._frame import finish, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import VERSION
from ._world import World, contender, reported, tell_ratios, world

DESTINATIONS = 1000
AT_ONCE = 50
CONTENDERS = (OURS, SYNAPSE, PLAIN, AIOHTTP)
NAMES = crowd(DESTINATIONS)
BEFORE = [f"b{number}{NAMES[0][2:]}" for number in range(5)]
"""
Asked first, for what only the first requests load and open.
"""


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Ask everybody once.
    """
    await ask_all(client, [Question(name, VERSION) for name in BEFORE], 1)
    meter = Meter(given)
    meter.start()
    await ask_all(client, [Question(name, VERSION) for name in NAMES], given["at_once"])
    return meter.stop(DESTINATIONS)


def told(far_side: World) -> dict[str, Any]:
    """
    Tell children where everything is.
    """
    return {**far_side.given, "names": NAMES + BEFORE, "at_once": AT_ONCE}


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
            contender("benchmarks.first_contact", who, who, told(far_side), chosen)
            for who in present(CONTENDERS, chosen.synapse)
        ]
        report = reported("first_contact", rows, chosen, far_side.homeservers)
    print(table(report.samples))
    for other in (SYNAPSE, PLAIN, AIOHTTP):
        tell_ratios(report, OURS, other, "CPU us", "requests/s")
    finish(report, chosen)


if __name__ == "__main__":
    main()
