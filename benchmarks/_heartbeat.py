"""
Moments in which the reactor was kept from its timers.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter, process_time, thread_time
from typing import Any

import attrs

BEAT = 0.005
"""
Seconds between two beats.
"""


@attrs.frozen
class Pause:
    """
    One such moment. All numbers are seconds.

    @ivar during: what was going on.
    @ivar wall: for how long no timer ran.
    @ivar cpu: how much of it the reactor's thread worked; the rest belongs to other processes, or to other threads.
    @ivar process: how much of it this process worked, with all its threads.
    @ivar collector: how much of it the interpreter's garbage collector took.
    """

    during: str
    wall: float
    cpu: float
    process: float
    collector: float

    def in_milliseconds(self) -> dict[str, Any]:
        """
        Describe it.
        """
        numbers = {"wall": self.wall, "cpu": self.cpu, "process": self.process, "collector": self.collector}
        return {"during": self.during, **{name: round(number * 1000, 1) for name, number in numbers.items()}}


class Heartbeat:
    """
    Beats as often as it can, and keeps the long pauses.

    @ivar during: what is going on; to be set by who knows.
    @ivar pauses: those that were longer than the shortest that counts.
    @ivar collections: the longest time that the garbage collector took at once, for each generation.
    """

    def __init__(self, reactor: Any, shortest: float = 0.025) -> None:
        self._reactor = reactor
        self._shortest = shortest
        self._collecting = self._collected = 0.0
        self.during = ""
        self.pauses: list[Pause] = []
        self.collections = [0.0, 0.0, 0.0]
        gc.callbacks.append(self._collection)
        self._schedule()

    def _schedule(self) -> None:
        began = (perf_counter(), thread_time(), process_time(), self._collected)
        self._call = self._reactor.callLater(BEAT, self._beat, *began)

    def _beat(self, began: float, worked: float, processed: float, collected: float) -> None:
        late = perf_counter() - began - BEAT
        if late > self._shortest:
            spent = (thread_time() - worked, process_time() - processed, self._collected - collected)
            self.pauses.append(Pause(self.during, late, *spent))
        self._schedule()

    def _collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = perf_counter()
            return
        took = perf_counter() - self._collecting
        self._collected += took
        generation = info["generation"]
        self.collections[generation] = max(self.collections[generation], took)

    def longest(self, measure: Callable[[Pause], float]) -> float:
        """
        Find the greatest of all pauses.

        @param measure: what of each pause.
        @return: 0, where no pause was long enough to be kept.
        """
        return max(map(measure, self.pauses), default=0.0)

    def stop(self) -> None:
        """
        Beat no longer.
        """
        self._call.cancel()
        gc.callbacks.remove(self._collection)
