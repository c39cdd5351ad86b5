"""
Draws a chart of each benchmark from its numbers in C{benchmarks/results/}, and writes a table beside it, both into
C{docs/charts/}.

The same numbers give the same files. What a chart shows stands in C{_specs.py}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from statistics import median
from typing import Any, Final

import attrs
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ._frame import MACHINE, ROOT
from ._specs import CHARTS, Bar, Chart, Goal, Group, Value

RESULTS = ROOT / "benchmarks" / "results"
CHARTS_DIRECTORY = ROOT / "docs" / "charts"
OURS_COLOUR: Final = "#0b6e4f"
OTHERS_COLOUR: Final = "#aab4c0"
GOAL_COLOURS: Final = ("#c1121f", "#e07a00")
BAR_HEIGHT, GAP = 0.8, 0.9

# Numbers of elements are random otherwise; and text stays text, so that it can be searched and read aloud.
STYLE: Any = {
    "svg.hashsalt": "matrix_federation_agent",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
}


@attrs.frozen
class Found:
    """
    The numbers of one benchmark.
    """

    samples: Mapping[str, Sequence[Mapping[str, float]]]

    def each(self, value: Value) -> list[float]:
        """
        Tell a number round by round; not a number, where it was not measured.
        """
        return [row.get(value.number, nan) for row in self.samples.get(value.row, ())]

    def length(self, value: Value, over: Value | None) -> float:
        """
        Tell how long a bar is.
        """
        if over is None:
            return _median(self.each(value))
        pairs = zip(self.each(value), self.each(over), strict=False)
        return _median([one / other for one, other in pairs])

    def goal(self, goal: Goal, bar: Bar) -> float:
        """
        Tell where the line of a goal is, on the scale of a bar.
        """
        return goal.factor * (1.0 if goal.over is None else self.length(goal.over, bar.over))


def _median(numbers: Sequence[float]) -> float:
    known = [number for number in numbers if not isnan(number)]
    return median(known) if known else nan


def _bars(group: Group, found: Found) -> list[tuple[Bar, float]]:
    measured = [(bar, found.length(bar.value, bar.over)) for bar in group.bars]
    return [(bar, length) for bar, length in measured if not isnan(length)]


def _written(chart: Chart, bar: Bar, length: float, found: Found) -> str:
    number = _told(chart, _median(found.each(bar.value)))
    return f"{length:.2f} ({number})" if bar.over else number


def _told(chart: Chart, number: float) -> str:
    shown = number / chart.scale
    return f"{shown:,.0f} {chart.unit}" if shown >= 100 else f"{shown:.2g} {chart.unit}"


def drawn(chart: Chart, found: Found) -> Figure:
    """
    Draw a chart: groups from top to bottom, ours first in each.
    """
    groups = [(group, _bars(group, found)) for group in chart.groups]
    rows = sum(len(bars) for _, bars in groups)
    figure = Figure(figsize=(7.5, 1.1 + 0.22 * (rows + GAP * len(groups))), layout="constrained")
    axes = figure.add_subplot()
    longest = max((length for _, bars in groups for _, length in bars), default=1.0)
    bottom = _draw_groups(axes, chart, groups, found, longest * 0.28)
    axes.set_xlim(0, longest * 1.28)
    axes.set_ylim(bottom, -0.7)
    axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(chart.axis)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        unique = dict(zip(labels, handles, strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower right", frameon=False, ncols=len(unique))
    return figure


def _draw_groups(
    axes: Axes, chart: Chart, groups: Sequence[tuple[Group, Sequence[tuple[Bar, float]]]], found: Found, room: float
) -> float:
    top, ticks = 0.0, list[tuple[float, str]]()
    for group, bars in groups:
        if group.label:
            axes.text(0, top - 0.1, group.label, fontweight="bold", va="center")
            top += GAP
        for row, (bar, length) in enumerate(bars):
            axes.barh(top + row, length, BAR_HEIGHT, color=OTHERS_COLOUR if row else OURS_COLOUR)
            # Past the lines of goals that would cross it.
            lines = [] if row else [found.goal(goal, bar) for goal in group.goals]
            start = max([length, *(line for line in lines if length < line < length + room)])
            axes.text(start, top + row, f"  {_written(chart, bar, length, found)}", va="center", fontsize=8)
            ticks.append((top + row, bar.label))
        for colour, goal in zip(GOAL_COLOURS, group.goals, strict=False):
            if bars and not isnan(where := found.goal(goal, bars[0][0])):
                axes.plot([where] * 2, [top - 0.55, top + 0.55], color=colour, linewidth=2, label=goal.text)
        top += len(bars) + 0.2
    axes.set_yticks([where for where, _ in ticks], [label for _, label in ticks])
    return top - 0.5


def tabled(chart: Chart, found: Found, described: Mapping[str, Any]) -> str:
    """
    Write the numbers of a chart, what they were measured with, and which goals are met, as reStructuredText.
    """
    lines = [line for group in chart.groups for line in _lines(chart, group, found)]
    rows = [("", "", "median", "least", "part"), *lines]
    table = [f"   {'* -' if not column else '  -'} {cell}".rstrip() for row in rows for column, cell in enumerate(row)]
    goals = [f"* {told}" for group in chart.groups for told in _judged(group, found)]
    head = [".. list-table::", "   :header-rows: 1", ""]
    return "\n".join([*head, *table, "", *goals, "", _conditions(described), ""])


def _lines(chart: Chart, group: Group, found: Found) -> Iterator[tuple[str, ...]]:
    for bar, length in _bars(group, found):
        numbers = [number for number in found.each(bar.value) if not isnan(number)]
        told = (_told(chart, median(numbers)), _told(chart, min(numbers)))
        yield (group.label, bar.label, *told, f"{length:.2f}" if bar.over else "")


def _judged(group: Group, found: Found) -> Iterator[str]:
    bars = _bars(group, found)
    for goal in group.goals:
        if not bars or isnan(where := found.goal(goal, bars[0][0])):
            continue
        bar, length = bars[0]
        over = goal.over or bar.over
        ours = found.length(bar.value, over)
        verdict = "met" if length <= where else "missed"
        label = f"{group.label}, " if group.label else ""
        yield f"{label}{goal.text}: **{verdict}**, with {ours:.2f}."


def _conditions(described: Mapping[str, Any]) -> str:
    machine, notes = described["machine"], described["notes"]
    noise = [value for row in described["samples"][MACHINE] for value in row.values()]
    packages = ", ".join(f"{name} {machine[name]}" for name in ("Twisted", "pyOpenSSL", "aiohttp") if name in machine)
    openssl = ", ".join(f"{name}: {text}" for name, text in machine.items() if name.startswith("OpenSSL"))
    others = "; ".join(f"{name}: {notes[name]}" for name in ("Synapse", "nginx") if name in notes)
    return (
        f"{described['date'][:10]}, {machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, "
        f"{packages}. {openssl}. {others}. Rounds: {described['rounds']}; the fixed piece of work took "
        f"{min(noise):.0f} to {max(noise):.0f} ms."
    )


def _write(name: str, chart: Chart, results: Path) -> None:
    described = json.loads(results.read_text("utf-8"))
    found = Found(described["samples"])
    figure = drawn(chart, found)
    figure.savefig(CHARTS_DIRECTORY / f"{name}.svg", metadata={"Date": None, "Creator": None})
    (CHARTS_DIRECTORY / f"{name}.txt").write_text(tabled(chart, found, described), "utf-8")
    print(name)


def main() -> None:
    """
    Draw what there are results of.
    """
    mpl.rcParams.update(STYLE)
    CHARTS_DIRECTORY.mkdir(exist_ok=True)
    for name, chart in CHARTS.items():
        results = RESULTS / f"{name.partition('-')[0]}.json"
        if results.exists():
            _write(name, chart, results)


if __name__ == "__main__":
    main()
