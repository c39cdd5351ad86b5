"""
What the benchmarks of speed run against: nginx, and the crowd's name server, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs

from ._chains import make_chain
from ._contenders import measure, versions
from ._crowd import CROWD, WILDCARD
from ._frame import Contender, Report, interleaved
from ._name_server import NameServerProcess
from ._nginx import Nginx, nginx

BUSY = 90.0
"""
Per cent of a core from which on the far side may be what is measured.
"""


@attrs.frozen
class World:
    """
    The far side.

    @ivar given: what every child must know.
    """

    homeservers: Nginx
    names: NameServerProcess

    @property
    def given(self) -> dict[str, Any]:
        """
        Where everything is, as JSON for children.
        """
        pids = {"nginx": self.homeservers.pid, "DNS": self.names.pid}
        return {**self.homeservers.description, **self.names.description, "pids": pids}


@contextmanager
def world(key: str = "EC", *, keep: bool = True) -> Iterator[World]:
    """
    Run it.

    @param key: kind of the server's key, for L{make_chain}.
    @param keep: whether connections stay open after a response.
    """
    with nginx(make_chain(key, 2, WILDCARD, CROWD), keep=keep) as homeservers, NameServerProcess() as names:
        yield World(homeservers, names)


def contender(module: str, row: str, who: str, given: Mapping[str, Any], chosen: argparse.Namespace) -> Contender:
    """
    Make what measures one row.
    """
    return Contender(row, partial(measure, module, who, given, chosen.synapse))


def reported(name: str, contenders: list[Contender], chosen: argparse.Namespace, homeservers: Nginx) -> Report:
    """
    Measure everybody, and tell against what; and say so, where the far side was too busy to be left out.
    """
    notes = {"nginx": homeservers.version, **versions(chosen.synapse)}
    report = Report(name, interleaved(contenders, chosen.rounds), chosen.rounds, notes)
    for row, found in report.samples.items():
        busy = {key for numbers in found for key, value in numbers.items() if key.endswith(" %") and value > BUSY}
        if busy:
            report.notes.setdefault("far side too busy", {})[row] = sorted(busy)
            print(f"{row}: the far side may be the limit: {', '.join(sorted(busy))}", file=sys.stderr)
    return report


def tell_ratios(report: Report, row: str, other: str, *numbers: str) -> None:
    """
    Print, and note, what part one row's numbers are of another's; nothing where one of them was not measured.
    """
    if row not in report.samples or other not in report.samples:
        return
    ratios = {number: report.ratio(row, other, number) for number in numbers}
    report.notes[f"{row} / {other}"] = ratios
    print(f"{row} / {other}:", ", ".join(f"{number} {ratio:.2f}" for number, ratio in ratios.items()))
