"""
Would it help to ask for SRV records while C{.well-known} is still being fetched?

A real discovery on a simulated clock (so there is no noise, and all rounds are alike), in a world where C{.well-known}
takes 1, 10, 50 or 200 ms and DNS 1, 10 or 50 ms a query. Three ways to ask: one after the other, as the package does;
C{overlapped}, both services of the name itself as soon as the name is known; C{side by side}, one after the other, but
both services at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.names import dns

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation
from matrix_federation_agent._discovery.routing import SERVICES

from ._discovery import Wired, World, wire
from ._frame import Contender, Numbers, Report, finish, interleaved, options, table

LATENCIES = (*product((1, 10, 50), (1, 10, 50)), (200, 10), (200, 50))
"""
Milliseconds of C{.well-known} and of one DNS query.
"""

NAME = ServerName("example.org")


@attrs.frozen
class Server:
    """
    How one server is set up.

    @ivar delegated: what C{.well-known} says, if there is one.
    @ivar service: the service that its effective name has an SRV record for.
    """

    delegated: str | None = None
    service: str | None = None

    def fetch(self, host: str) -> Delegation | NoDelegation:
        """
        Answer for C{.well-known}.
        """
        if self.delegated is None:
            return NoDelegation("status 404", temporary=False)
        return Delegation(ServerName(self.delegated))

    def records(self, name: str, kind: int) -> Sequence[Any]:
        """
        Answer for DNS.
        """
        if kind == dns.A:
            return [dns.Record_A("192.0.2.1", ttl=3600)]
        effective = (self.delegated or str(NAME)).partition(":")[0]
        if kind == dns.SRV and name == f"{self.service}.{effective}":
            return [dns.Record_SRV(0, 0, 8443, b"fed.example.org", ttl=3600)]
        return []


SERVERS = {
    "delegated, port given": Server("matrix.example.org:443"),
    "delegated, SRV": Server("matrix.example.org", SERVICES[0]),
    "delegated, no SRV": Server("matrix.example.org"),
    "itself, SRV": Server(None, SERVICES[0]),
    "itself, old SRV": Server(None, SERVICES[1]),
    "itself, port 8448": Server(),
}


async def _in_turn(wired: Wired) -> None:
    await wired.route(NAME)


async def _overlapped(wired: Wired) -> None:
    await gatherResults([*_ask_services(wired, NAME), Deferred.fromCoroutine(wired.route(NAME))])


async def _side_by_side(wired: Wired) -> None:
    identity = await wired.discovery.who(NAME)
    if identity.effective.port is None:
        await gatherResults(_ask_services(wired, identity.effective))
    await wired.route(NAME)


def _ask_services(wired: Wired, name: ServerName) -> list[Deferred[Any]]:
    return [Deferred.fromCoroutine(wired.services.services(service, name.host)) for service in SERVICES]


WAYS: dict[str, Callable[[Wired], Awaitable[None]]] = {
    "in turn": _in_turn,
    "overlapped": _overlapped,
    "side by side": _side_by_side,
}


def _measure(way: str, server: str) -> Numbers:
    """
    Find the server once for each pair of latencies.
    """
    numbers: dict[str, float] = {}
    for fetch_ms, dns_ms in LATENCIES:
        found = SERVERS[server]
        world = World(found.fetch, found.records, fetch_ms / 1000, dns_ms / 1000)
        numbers[f"{fetch_ms}/{dns_ms}"] = _milliseconds(way, world)
        queries = world.asked["SRV"]
    return {"SRV queries": queries, **numbers}


def _milliseconds(way: str, world: World) -> float:
    """
    Let simulated time pass until the server is found.
    """
    clock = Clock()

    async def find() -> None:
        await WAYS[way](wire(clock, world))

    found = Deferred.fromCoroutine(find())
    passed = 0
    while not found.called:
        passed += 1
        clock.advance(0.001)
    return passed


def _gains(report: Report, way: str) -> None:
    """
    Print what a way gains and costs beside the package's.
    """
    columns = [f"{fetch_ms}/{dns_ms}" for fetch_ms, dns_ms in LATENCIES]
    for server in SERVERS:
        one, other = report.samples[f"{server}: in turn"][0], report.samples[f"{server}: {way}"][0]
        gains = [one[column] - other[column] for column in columns]
        extra = other["SRV queries"] - one["SRV queries"]
        report.notes[f"{way}, {server}"] = {"gain ms": dict(zip(columns, gains, strict=True)), "extra queries": extra}
        share = max(gain / one[column] for gain, column in zip(gains, columns, strict=True))
        gained = f"{min(gains):.0f} to {max(gains):.0f} ms (at most {share:.0%})"
        print(f"{way}, {server}: gains {gained}, {extra:+.0f} queries")


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    contenders = [Contender(f"{server}: {way}", partial(_measure, way, server)) for server in SERVERS for way in WAYS]
    report = Report("srv_overlap", interleaved(contenders, chosen.rounds), chosen.rounds)
    print("milliseconds to the address of the server, at .well-known ms/DNS ms")
    print(table(report.samples))
    for way in ("overlapped", "side by side"):
        _gains(report, way)
    finish(report, chosen)


if __name__ == "__main__":
    main()
