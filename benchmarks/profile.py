"""
Where the time of a contender goes, in one of the benchmarks of speed: C{python -m benchmarks.profile warm}.

It shows what part of the time each package takes, without what it calls, and the functions that take most. A profiler
makes calls of Python functions dearer than they are, and leaves what C does as it is: parts are to be compared with
other profiles, not with seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import bulk, first_contact, reconnect, warm
from ._contenders import EVERYBODY, OURS, measure
from ._world import World, world

WORKS: Mapping[str, Callable[[World, str], dict[str, Any]]] = {
    "warm": lambda far_side, _who: warm.told(far_side, 1),
    "first_contact": lambda far_side, _who: first_contact.told(far_side),
    "reconnect": reconnect.told,
    "bulk": lambda far_side, _who: bulk.told(far_side),
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--contender", choices=EVERYBODY, default=OURS)
    parser.add_argument("--synapse", metavar="PYTHON", help="a Python that has matrix-synapse and trustme")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found here")
    return parser.parse_args()


def _show(name: str, profile: Mapping[str, Any]) -> None:
    print(f"\n{name}: shares of the time")
    for package, share in profile["shares"].items():
        print(f"  {share:6.1%}  {package}")
    print("calls, seconds in it, per call, seconds with what it calls, per call", *profile["top"], sep="\n")


def main() -> None:
    """
    Run it.
    """
    chosen = _options()
    with world(keep=chosen.work != "reconnect") as far_side:
        given = {**WORKS[chosen.work](far_side, chosen.contender), "profile": True}
        found = measure(f"benchmarks.{chosen.work}", chosen.contender, given, chosen.synapse)
    for key, value in found.items():
        if key.endswith("profile"):
            _show(f"{chosen.work}, {key.removesuffix('profile')}{chosen.contender}", value)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
