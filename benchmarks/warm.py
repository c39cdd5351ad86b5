"""
Requests to one server that is known and connected: what each costs the client, 1, 5 and 50 at a time.

A GET that is answered with 200 bytes of JSON, and a PUT of 1 KB, which the server reads to its end. Our agent and
Synapse's are given the server's name, and remember where it leads; the others are told. Everybody has its own settings
for connections, except that the plain C{Agent}, treq and aiohttp may keep as many as there are requests at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from ._contenders import AIOHTTP, EVERYBODY, OURS, PLAIN, SYNAPSE, be_contender, present
from ._crowd import crowd
from ._frame import finish, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import SEND, VERSION
from ._world import World, contender, reported, tell_ratios, world

REQUESTS = 2000
WARM_UP = 200
AT_ONCE = (1, 5, 50)
NAME = crowd(1)[0]
BODY = b'{"pdus": ["' + b"x" * 1011 + b'"]}'
NUMBERS = ("GET CPU us", "GET requests/s", "PUT CPU us", "PUT requests/s")


def _gets(number: int) -> Iterator[Question]:
    return (Question(NAME, VERSION) for _ in range(number))


def _puts(number: int) -> Iterator[Question]:
    return (Question(NAME, f"{SEND}{each}", "PUT", BODY) for each in range(number))


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Send both kinds of requests.
    """
    numbers: dict[str, Any] = {}
    for prefix, questions in (("GET ", _gets), ("PUT ", _puts)):
        meter = Meter(given)
        await ask_all(client, chain(questions(WARM_UP), meter.from_here(questions(REQUESTS))), given["at_once"])
        numbers |= meter.stop(REQUESTS, prefix)
    return numbers


def told(far_side: World, at_once: int) -> dict[str, Any]:
    """
    Tell children where everything is.
    """
    return {**far_side.given, "names": [NAME], "at_once": at_once}


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
            contender("benchmarks.warm", f"{at_once} at once: {who}", who, told(far_side, at_once), chosen)
            for at_once in AT_ONCE
            for who in present(EVERYBODY, chosen.synapse)
        ]
        report = reported("warm", rows, chosen, far_side.homeservers)
    print(table(report.samples))
    for at_once in AT_ONCE:
        for other in (PLAIN, SYNAPSE, AIOHTTP):
            tell_ratios(report, f"{at_once} at once: {OURS}", f"{at_once} at once: {other}", *NUMBERS)
    finish(report, chosen)


if __name__ == "__main__":
    main()
