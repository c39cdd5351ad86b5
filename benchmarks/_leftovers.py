"""
What a process holds that it should have let go.
"""

from __future__ import annotations

import gc
from pathlib import Path
from types import CoroutineType
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from ._frame import ROOT


def sockets() -> int:
    """
    Count the sockets of this process.
    """
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except OSError:
            # That of the folder itself is gone by now.
            continue
    return found


@attrs.frozen
class Held:
    """
    What is held at one moment.
    """

    sockets: int
    timers: int
    readers: int
    writers: int

    @classmethod
    def by(cls, reactor: Any) -> Held:
        """
        Count.
        """
        return cls(sockets(), len(reactor.getDelayedCalls()), len(reactor.getReaders()), len(reactor.getWriters()))

    def since(self, earlier: Held) -> dict[str, int]:
        """
        Tell what is held now and was not then.
        """
        then = attrs.asdict(earlier)
        return {name: number - then[name] for name, number in attrs.asdict(self).items()}


def waiting_coroutines() -> list[str]:
    """
    Name the coroutines of the package that have begun and not ended.
    """
    gc.collect()
    # By their types: to be asked for its class, a proxy of what is gone raises.
    package = str(ROOT / "matrix_federation_agent")
    return sorted(
        one.__qualname__
        for one in gc.get_objects()
        if type(one) is CoroutineType and one.cr_frame and one.cr_code.co_filename.startswith(package)
    )


def waiting_deferreds() -> int:
    """
    Count the Deferreds that have not fired.
    """
    gc.collect()
    return sum(issubclass(type(one), Deferred) and not one.called for one in gc.get_objects())
