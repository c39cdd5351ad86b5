"""
What all benchmarks share: contenders that take turns, child processes, a table, JSON.

A contender is measured once in each round, and all of them in every round, so that a slow moment of the machine
falls on each; ratios are taken inside a round. A contender whose CPU or memory counts is a child process:
C{python -m benchmarks.herd --child NAME}, which reads JSON and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from math import nan
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Self

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.task import react

ROOT = Path(__file__).resolve().parent.parent
CHILD_LIMIT = 180
"""
Seconds after which a child process is given up.
"""

MACHINE = "(this machine)"
"""
The row of the fixed work.
"""

Numbers = Mapping[str, float]
Samples = dict[str, list[dict[str, float]]]
Child = Callable[[Any, Any], Coroutine[Deferred[Any], Any, dict[str, Any]]]


@attrs.frozen
class Contender:
    """
    Something that is measured.

    @ivar name: what its row in the table is called.
    @ivar measure: measures it once.
    """

    name: str
    measure: Callable[[], Numbers]


@attrs.define
class Cost:
    """
    The seconds, of the clock and of this process's CPU, that pass in a C{with} block.
    """

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> Self:
        self.wall, self.cpu = -perf_counter(), -process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += perf_counter()
        self.cpu += process_time()


@attrs.frozen
class Report:
    """
    What a benchmark found.

    @ivar samples: for each contender, its numbers round by round.
    @ivar notes: what else is to be said.
    """

    benchmark: str
    samples: Samples
    rounds: int
    notes: dict[str, Any] = attrs.field(factory=dict)

    def ratio(self, contender: str, other: str, number: str) -> float:
        """
        Divide one contender's number by another's: the median of the rounds in which both were measured.

        @return: not a number, where there is none.
        """
        pairs = zip(self.samples[contender], self.samples[other], strict=True)
        ratios = [one[number] / two[number] for one, two in pairs if number in one and number in two]
        return median(ratios) if ratios else nan

    def to_json(self) -> dict[str, Any]:
        """
        Describe everything.
        """
        return {
            "benchmark": self.benchmark,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "rounds": self.rounds,
            "samples": self.samples,
            "notes": self.notes,
        }


def machine() -> dict[str, Any]:
    """
    Describe the machine, and what runs on it.
    """
    packages = ("Twisted", "pyOpenSSL", "cryptography", "attrs", "treq", "aiohttp")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
        "OpenSSL of Twisted": SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii"),
        "OpenSSL of the standard library (aiohttp's)": ssl.OPENSSL_VERSION,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def interleaved(contenders: Sequence[Contender], rounds: int) -> Samples:
    """
    Measure every contender in every round; each round begins with another one. The row L{MACHINE} is a fixed piece
    of work: how it varies is the noise.
    """
    everybody = [*contenders, Contender(MACHINE, _fixed_work)]
    samples: Samples = {contender.name: [] for contender in everybody}
    for number in range(rounds):
        start = number % len(everybody)
        for contender in everybody[start:] + everybody[:start]:
            samples[contender.name].append(_measured(contender))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return samples


def _measured(contender: Contender) -> dict[str, float]:
    try:
        return dict(contender.measure())
    except subprocess.SubprocessError as error:
        print(f"{contender.name}: {error}", file=sys.stderr)
        return {}


def _fixed_work() -> Numbers:
    with Cost() as cost:
        sum(number * number % 7 for number in range(1_000_000))
    return {"noise ms": cost.wall * 1000}


def table(samples: Samples, columns: Sequence[str] = ()) -> str:
    """
    Draw a table: a row a contender, in each cell the median of the rounds and, where they differ, the smallest.

    @param columns: the numbers to show; all of them by default.
    """
    shown = list(columns) or list(dict.fromkeys(key for rows in samples.values() for row in rows for key in row))
    rows = [
        [name, *(_cell([row[key] for row in found if key in row]) for key in shown)] for name, found in samples.items()
    ]
    lines = [["median (minimum)", *shown], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(_padded(line, widths)).rstrip() for line in lines)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))]


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle, least = _short(median(values)), _short(min(values))
    return middle if middle == least == _short(max(values)) else f"{middle} ({least})"


def _short(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def options(description: str, rounds: int = 5) -> argparse.Namespace:
    """
    Read the command line that all benchmarks have.

    @param rounds: how many there are unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured here")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--synapse", metavar="PYTHON", help="a Python that has matrix-synapse and trustme")
    parser.add_argument("--child", metavar="CONTENDER", help=argparse.SUPPRESS)
    return parser.parse_args()


def finish(report: Report, chosen: argparse.Namespace) -> None:
    """
    Write the JSON, if it is wanted.
    """
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(report.to_json(), indent=1) + "\n", "utf-8")


def in_child(
    module: str, contender: str, given: object, python: str = sys.executable, limit: float = CHILD_LIMIT
) -> dict[str, Any]:
    """
    Measure a contender in a process of its own.

    @param module: the benchmark, as C{benchmarks.herd}.
    @param given: what the child is to know, as JSON.
    @param limit: seconds after which it is given up.
    """
    command = [python, "-W", "ignore", "-m", module, "--child", contender]
    done = subprocess.run(
        command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True, timeout=limit, cwd=ROOT
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def be_child(work: Child) -> None:
    """
    Be that process: read JSON, do the work in the reactor, write JSON.
    """
    given = json.loads(sys.stdin.read())

    async def answer(reactor: Any) -> None:
        print(json.dumps(await work(reactor, given)))

    react(lambda reactor: Deferred.fromCoroutine(answer(reactor)))


def resident_bytes() -> int:
    """
    Tell how much memory this process holds.
    """
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
