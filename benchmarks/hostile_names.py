"""
100,000 names of a stranger's choosing, each looked up by a real discovery whose C{.well-known} hosts and name servers
are the stranger's too.

Measured: the process's memory (C{/proc/self/statm}, after a garbage collection) above what it was at the start.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.task import deferLater
from twisted.names import dns

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.delegation import Delegation, NoDelegation

from ._discovery import Wired, World, wire
from ._frame import (
    Contender,
    Cost,
    Numbers,
    Report,
    be_child,
    finish,
    in_child,
    interleaved,
    options,
    resident_bytes,
    table,
)

NAMES = 100_000
FILLING = 21_000
"""
Names that fill every memory: C{DiscoveryPolicy.max_remembered} is 20,000.
"""

LIMIT = 64
"""
MiB that memory may grow by.
"""

MIB = 1024 * 1024
SRV_IN_64_KIB = 64 * 1024 // 40
"""
SRV records in the largest answer that TCP carries: 12 bytes of header with a compressed owner, 6 of data, and a short
target.
"""


def _plain(number: int) -> str:
    return f"server{number}.example.org"


def _long(number: int) -> str:
    """
    Make a name of 230 characters: with a service before it, about the longest that DNS has (RFC 1035, section 2.3.4).
    """
    return ".".join([f"{number:x}".rjust(63, "n"), "a" * 63, "b" * 63, "c" * 38])


def _unreachable(_: str) -> NoDelegation:
    return NoDelegation("Connection was refused by other side: 111: Connection refused", temporary=True)


def _delegating(host: str) -> Delegation:
    return Delegation(ServerName(f"m.{host}"[:230]))


def _nothing(*_: object) -> list[Any]:
    return []


def _one_of_each(name: str, kind: int) -> list[Any]:
    if kind == dns.SRV:
        target = f"f.{name.removeprefix('_matrix-fed._tcp.')}"[:230]
        return [dns.Record_SRV(0, 0, 8443, target.encode("ascii"), ttl=86400)]
    if kind == dns.A:
        return [dns.Record_A("192.0.2.1", ttl=86400)]
    return [dns.Record_AAAA("2001:db8::1", ttl=86400)]


def _many(number: int, name: str, kind: int) -> list[Any]:
    """
    Answer with as many SRV records as one answer of a size holds.
    """
    if kind != dns.SRV:
        return _one_of_each(name, kind)
    parent = name.encode("ascii")[-16:]
    return [dns.Record_SRV(each, 0, 8443, b"t%d.%s" % (each, parent), ttl=86400) for each in range(number)]


Stranger = tuple[int, Callable[[int], str], Callable[[str], Any], Callable[[str, int], list[Any]]]

STRANGERS: dict[str, Stranger] = {
    "no such name": (NAMES, _plain, _unreachable, _nothing),
    "one SRV record, both addresses": (FILLING, _plain, _delegating, _one_of_each),
    "the same, names of 230 bytes": (NAMES, _long, _delegating, _one_of_each),
    "16 SRV records each (512 B)": (FILLING, _plain, _delegating, partial(_many, 16)),
    "1638 SRV records each (64 KiB)": (500, _plain, _delegating, partial(_many, SRV_IN_64_KIB)),
}


async def _ask(reactor: Any, given: Any) -> dict[str, Any]:
    number, name_of, fetch, records = STRANGERS[given["stranger"]]
    wired = wire(reactor, World(fetch, records))
    await wired.route(ServerName("warm.example.net"))
    before = _settled()
    with Cost() as cost:
        peak = await _ask_each(reactor, wired, map(name_of, range(number)))
    grown = _settled() - before
    entries = len(wired.remembering.known(None))
    return {
        "names": number,
        "entries": entries,
        "RSS above start MiB": grown / MIB,
        "peak MiB": (peak - before) / MIB,
        "bytes/entry": grown / entries,
        "bytes/name": grown / min(number, 20_000),
        "CPU us/name": cost.cpu * 1e6 / number,
    }


async def _ask_each(reactor: Any, wired: Wired, names: Iterable[str]) -> int:
    """
    Ask for one name after the other, as fast as it goes.

    @return: the most memory that there was meanwhile, in bytes.
    """
    peak = 0
    for number, name in enumerate(names):
        await wired.route(ServerName(name))
        if number % 100 == 0:
            # The reactor drops cancelled timers only when it has its turn.
            await deferLater(reactor, 0, lambda: None)
            peak = max(peak, resident_bytes())
    return peak


def _settled() -> int:
    gc.collect()
    return resident_bytes()


def _measure(stranger: str) -> Numbers:
    return in_child("benchmarks.hostile_names", "ask", {"stranger": stranger})


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__, rounds=1)
    if chosen.child:
        be_child(_ask)
        return
    contenders = [Contender(stranger, partial(_measure, stranger)) for stranger in STRANGERS]
    report = Report("hostile_names", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(table(report.samples))
    for stranger in STRANGERS:
        most = max(numbers["RSS above start MiB"] for numbers in report.samples[stranger])
        print(f"{stranger}: {most:.1f} MiB, {'under' if most < LIMIT else 'OVER'} the limit of {LIMIT} MiB")
    finish(report, chosen)


if __name__ == "__main__":
    main()
