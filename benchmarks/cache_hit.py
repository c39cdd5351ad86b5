"""
What discovery costs when everything is known, beside a whole request over a connection that is open.

Microseconds of CPU. The request goes to a far side in a process of its own; discovery is asked in this one, with the
same code.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.web.client import readBody

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation

from ._client import our_agent
from ._discovery import Wired, World, wire
from ._far_side import FarSideProcess
from ._frame import Contender, Cost, Numbers, Report, be_child, finish, in_child, interleaved, options, table

HITS = 5000
REQUESTS = 500
PLAIN = ServerName("plain.example")
DELEGATED = ServerName("delegated.example")
SERVER = {"name": "delegated.example", "step": "3.3"}

WORKS = (
    "who: delegated",
    "who: not delegated",
    "where: one SRV record",
    "where: none, port 8448",
    "addresses of the target",
    "all three (a new connection)",
)
REQUEST = "a whole request, connection open"

Work = Callable[[], Coroutine[Deferred[Any], Any, object]]


def _fetch(host: str) -> Delegation | NoDelegation:
    if host == "delegated.example":
        return Delegation(ServerName("matrix.delegated.example"))
    return NoDelegation("status 404", temporary=False)


def _records(name: str, kind: int) -> list[Any]:
    if kind == dns.SRV and name == "_matrix-fed._tcp.matrix.delegated.example":
        return [dns.Record_SRV(0, 0, 8443, b"fed.delegated.example", ttl=86400)]
    return [dns.Record_A("192.0.2.1", ttl=86400)] if kind == dns.A else []


async def _works(wired: Wired) -> dict[str, Work]:
    """
    Make what is measured, with everything known.
    """
    discovery = wired.discovery
    plain, delegated = await discovery.who(PLAIN), await discovery.who(DELEGATED)
    target = (await discovery.where(delegated, []))[0]
    works: list[Work] = [
        lambda: discovery.who(DELEGATED),
        lambda: discovery.who(PLAIN),
        lambda: discovery.where(delegated, []),
        lambda: discovery.where(plain, []),
        lambda: wired.hosts.addresses(target.host),
        lambda: wired.route(DELEGATED),
    ]
    return dict(zip(WORKS, works, strict=True))


async def _repeat(work: Work, times: int) -> Numbers:
    await work()
    with Cost() as cost:
        for _ in range(times):
            await work()
    return {"CPU us": cost.cpu * 1e6 / times, "wall us": cost.wall * 1e6 / times}


async def hit(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that asks for what is known, or profiles that.
    """
    works = await _works(wire(reactor, World(_fetch, _records)))
    await _repeat(works["all three (a new connection)"], 1)
    work = works[given["work"]]
    return {"profile": await _profiled(work, HITS)} if given["profile"] else dict(await _repeat(work, HITS))


async def request(reactor: Any, given: Any) -> dict[str, Any]:
    """
    Be the child that sends requests, one after the other over one connection.
    """
    agent = our_agent(reactor, given)

    async def visit() -> object:
        uri = b"matrix-federation://delegated.example/_matrix/federation/v1/version"
        return await readBody(await agent.request(b"GET", uri))

    found = dict(await _repeat(visit, REQUESTS))
    await agent.close()
    return found


async def _profiled(work: Work, times: int) -> list[str]:
    """
    Find the functions in which most of the time is spent.
    """
    profile = cProfile.Profile()
    with profile:
        await _repeat(work, times)
    written = io.StringIO()
    pstats.Stats(profile, stream=written).strip_dirs().sort_stats("tottime").print_stats(8)
    return [line for line in written.getvalue().splitlines() if line[:9].strip()[:1].isdigit()]


def _hit(work: str, *, profile: bool = False) -> dict[str, Any]:
    return in_child("benchmarks.cache_hit", "hit", {"work": work, "profile": profile})


def _request(far_side: FarSideProcess) -> Numbers:
    return in_child("benchmarks.cache_hit", "request", far_side.description)


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child({"hit": hit, "request": request}[chosen.child])
        return
    with FarSideProcess([SERVER]) as far_side:
        contenders = [Contender(work, partial(_hit, work)) for work in WORKS]
        contenders.append(Contender(REQUEST, partial(_request, far_side)))
        report = Report("cache_hit", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(table(report.samples))
    _explain(report)
    finish(report, chosen)


def _explain(report: Report) -> None:
    """
    Say what part of a request each is, and where the time goes.
    """
    for work in WORKS:
        part = report.ratio(work, REQUEST, "CPU us")
        report.notes[f"{work} / request"] = part
        print(f"{work}: {part:.1%} of a whole request")
    for work in ("who: delegated", "addresses of the target"):
        profile = _hit(work, profile=True)["profile"]
        report.notes[f"profile: {work}"] = profile
        print(f"\nprofile of {work}, {HITS} times: calls, seconds, ...", *profile, sep="\n")


if __name__ == "__main__":
    main()
