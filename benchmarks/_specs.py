"""
Which numbers of which benchmark a chart shows; a new benchmark is one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from . import gateway, herd, reconnect, warm
from ._contenders import AIOHTTP, EVERYBODY, OURS, PLAIN, SYNAPSE
from .scale import CLOSED, DEFAULT, FORGETFUL, OPEN


@attrs.frozen
class Value:
    """
    One number of one row of a report.
    """

    row: str
    number: str


@attrs.frozen
class Bar:
    """
    One bar, as long as the median of the rounds.

    @ivar over: what it is divided by, round by round; nothing for the number itself.
    """

    label: str
    value: Value
    over: Value | None = None


@attrs.frozen
class Goal:
    """
    What the first bar of a group should not be longer than.

    @ivar factor: of C{over}, or a number by itself.
    @ivar over: what the factor belongs to.
    @ivar text: in the legend.
    """

    text: str
    factor: float
    over: Value | None = None


@attrs.frozen
class Group:
    """
    Bars that belong together; ours is the first.
    """

    label: str
    bars: Sequence[Bar]
    goals: Sequence[Goal] = ()


@attrs.frozen
class Chart:
    """
    One chart.

    @ivar axis: what the length of a bar is.
    @ivar unit: of the numbers beside the bars, divided by C{scale}.
    """

    title: str
    axis: str
    groups: Sequence[Group]
    unit: str
    scale: float = 1.0


OF_PLAIN: Final = "CPU of the client, parts of the plain Agent's"


def compared(
    label: str,
    rows: Mapping[str, str],
    number: str,
    reference: str,
    goals: Mapping[str, float] | None = None,
) -> Group:
    """
    Make a group of bars that are parts of one contender's.

    @param rows: the row of each contender.
    @param reference: that contender.
    @param goals: parts of contenders' numbers that are not to be passed.
    """
    over = Value(rows[reference], number)
    bars = [Bar(who, Value(row, number), over) for who, row in rows.items()]
    wanted = [
        Goal(f"goal: {factor:g} of {who}", factor, Value(rows[who], number))
        for who, factor in (goals or {}).items()
        if who in rows
    ]
    return Group(label, bars, wanted)


def _rows(prefix: str, contenders: Sequence[str]) -> dict[str, str]:
    return {who: f"{prefix}: {who}" for who in contenders}


def _itself(contenders: Sequence[str]) -> dict[str, str]:
    return {who: who for who in contenders}


def _alone(who: str, share: str, goal: float) -> Group:
    number = f"{who} {share} ms"
    bars = [
        Bar(name, Value(f"{name}: beside", number), Value(f"{name}: alone", number)) for name in (OURS, PLAIN, SYNAPSE)
    ]
    return Group(f"{who} servers, {share}", bars, [Goal(f"goal: {goal:g} times", goal)])


CHARTS: Mapping[str, Chart] = {
    "warm": Chart(
        "Requests over connections that are open",
        OF_PLAIN,
        [
            compared(
                f"{method}, {at_once} at once",
                _rows(f"{at_once} at once", EVERYBODY),
                f"{method} CPU us",
                PLAIN,
                {PLAIN: 0.75},
            )
            for method in ("GET", "PUT")
            for at_once in warm.AT_ONCE
        ],
        "µs",
    ),
    "first_contact": Chart(
        "First contact with 1,000 servers",
        "CPU of the client, parts of Synapse's",
        [compared("", _itself((OURS, SYNAPSE, PLAIN, AIOHTTP)), "CPU us", SYNAPSE, {SYNAPSE: 0.6})],
        "ms",
        1000,
    ),
    "reconnect": Chart(
        "Connecting again to 1,000 servers",
        OF_PLAIN,
        [
            compared(f"key: {kind}", _rows(kind, contenders), "CPU us", PLAIN, {PLAIN: 0.45, SYNAPSE: 0.35})
            for kind, (_, contenders) in reconnect.KINDS.items()
        ],
        "ms",
        1000,
    ),
    "herd": Chart(
        "Many requests at once for one unknown name",
        OF_PLAIN,
        [compared(row, _rows(row, herd.CONTENDERS), "CPU us", PLAIN, {PLAIN: 0.3}) for row in herd.WORK],
        "ms",
        1000,
    ),
    "bulk": Chart(
        "Large bodies: seconds",
        "time, parts of the plain Agent's",
        [
            compared(label, _itself(EVERYBODY), number, PLAIN, {PLAIN: 1.0})
            for label, number in (("PUT 1 MB", "PUT ms"), ("GET 50 MB", "GET ms"))
        ],
        "ms",
    ),
    "bulk-memory": Chart(
        "Large bodies: memory",
        "MiB that the client grows by",
        [
            Group(
                label,
                [Bar(who, Value(who, number)) for who in EVERYBODY],
                [Goal("goal: 2 MiB", 2.0)],
            )
            for label, number in (("PUT 1 MB", "PUT MiB"), ("GET 50 MB", "GET MiB"))
        ],
        "MiB",
    ),
    "dead": Chart(
        "Healthy servers beside 500 dead ones",
        "time until the answer, times what it is without the dead ones",
        [_alone(who, share, goal) for who in ("known", "new") for share, goal in (("p50", 2.0), ("p99", 3.0))],
        "ms",
    ),
    "gateway": Chart(
        "Requests through the gateway",
        "CPU of the forwarding process, parts of Synapse's worker's",
        [
            compared(
                f"{at_once:,} at once{kept}",
                {
                    gateway.GATEWAY: gateway.GATEWAY + kept,
                    gateway.WORKER: gateway.WORKER + kept,
                    gateway.ALONE: gateway.ALONE,
                },
                gateway.number(at_once, "CPU us"),
                gateway.WORKER,
                {gateway.WORKER: 0.5},
            )
            for kept in ("", gateway.KEPT)
            for at_once in gateway.RUNS
        ],
        "µs",
    ),
    "scale": Chart(
        "5,000 servers in one process",
        "KiB of memory for each",
        [
            Group(
                "",
                [Bar(kind, Value(kind, "KiB/destination")) for kind in (CLOSED, FORGETFUL, DEFAULT, OPEN)],
                [Goal("goal: 20 KiB, closed", 20.0)],
            )
        ],
        "KiB",
    ),
}
"""
By their names, which begin with those of the benchmarks, up to a dash.
"""
