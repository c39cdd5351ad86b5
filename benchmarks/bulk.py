"""
Large bodies: PUT of 1 MB, and GET of 50 MB, one after the other over one connection.

Seconds, CPU, and by how much the client's memory grows while it happens: the highest point that the system saw,
above what the process held before. The body of the PUT is in memory beforehand; that of the GET is counted as it comes,
and not kept.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable
from typing import Any

from ._contenders import AIOHTTP, EVERYBODY, OURS, PLAIN, SYNAPSE, TREQ, be_contender, present
from ._crowd import crowd
from ._frame import finish, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._memory import highest, highest_from_now
from ._nginx import LARGE, LARGE_BYTES, SEND, VERSION
from ._world import World, contender, reported, tell_ratios, world

PUTS, PUT_BYTES = 50, 1_000_000
GETS = 5
NAME = crowd(1)[0]
NUMBERS = ("PUT ms", "PUT CPU ms", "GET ms", "GET CPU ms")


async def _puts(client: Client, body: bytes) -> None:
    for number in range(PUTS):
        await client.ask(Question(NAME, f"{SEND}{number}", "PUT", body))


async def _gets(client: Client) -> None:
    for _ in range(GETS):
        if await client.download(Question(NAME, LARGE)) != LARGE_BYTES:
            raise RuntimeError("the body was cut short")


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Send, and receive.
    """
    await ask_all(client, [Question(NAME, VERSION)] * 5, 1)
    body = b"x" * PUT_BYTES
    puts = await _watched(given, PUTS, "PUT ", lambda: _puts(client, body))
    return {**puts, **await _watched(given, GETS, "GET ", lambda: _gets(client))}


async def _watched(given: Given, number: int, prefix: str, transfer: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    meter = Meter(given)
    gc.collect()
    before = highest_from_now(os.getpid())
    meter.start()
    await transfer()
    found = meter.stop(number, prefix)
    found[f"{prefix}MiB"] = max(0, highest(os.getpid()) - before) / 2**20
    found[f"{prefix}CPU ms"] = found.pop(f"{prefix}CPU us") / 1000
    found[f"{prefix}ms"] = 1000 / found.pop(f"{prefix}requests/s")
    return found


def told(far_side: World) -> dict[str, Any]:
    """
    Tell children where everything is.
    """
    return {**far_side.given, "names": [NAME], "at_once": 1}


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_contender(chosen.child, work)
        return
    with world() as far_side:
        everybody = present(EVERYBODY, chosen.synapse)
        rows = [contender("benchmarks.bulk", who, who, told(far_side), chosen) for who in everybody]
        report = reported("bulk", rows, chosen, far_side.homeservers)
    print(table(report.samples))
    for other in (PLAIN, TREQ, SYNAPSE, AIOHTTP):
        tell_ratios(report, OURS, other, *NUMBERS)
    finish(report, chosen)


if __name__ == "__main__":
    main()
