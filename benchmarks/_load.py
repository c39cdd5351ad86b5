"""
The same work for every contender: so many questions, so many at a time.
"""

from __future__ import annotations

import cProfile
import gc
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import attrs

from ._frame import Cost
from ._shares import described

Given = Mapping[str, Any]
"""
What a child is told, as JSON.
"""


@attrs.frozen
class Question:
    """
    A request that is to be sent.

    @ivar name: the server's name.
    """

    name: str
    path: str
    method: str = "GET"
    body: bytes = b""


@attrs.frozen
class Client:
    """
    A contender that is ready to ask.

    @ivar ask: sends a request, and gives the body of the response, which must be a success.
    @ivar download: asks for something large, counts its bytes as they come, and keeps none.
    @ivar gather: runs coroutines side by side.
    @ivar close: ends it.
    """

    ask: Callable[[Question], Awaitable[bytes]]
    download: Callable[[Question], Awaitable[int]]
    gather: Callable[[Sequence[Coroutine[Any, Any, None]]], Awaitable[object]]
    close: Callable[[], Awaitable[object]]


Work = Callable[[Client, Given], Coroutine[Any, Any, dict[str, Any]]]


async def ask_all(client: Client, questions: Iterable[Question], at_once: int) -> list[bytes]:
    """
    Ask everything, so many at a time.

    @return: the answers, in the order in which they came.
    """
    left, answers = iter(questions), list[bytes]()

    async def some() -> None:
        for question in left:
            answers.append(await client.ask(question))

    await client.gather([some() for _ in range(at_once)])
    return answers


class Meter:
    """
    Measures what requests cost this process, how many it makes in a second, and how busy the far side is meanwhile.
    """

    def __init__(self, given: Given) -> None:
        self._pids: Mapping[str, int] = given["pids"]
        # Of CPU: by the clock, whatever wakes another process would seem dear.
        self._profile = cProfile.Profile(process_time) if given.get("profile") else None
        self._cost = Cost()
        self._busy: dict[str, float] = {}

    def start(self) -> None:
        """
        Begin.
        """
        gc.collect()
        self._busy = {name: -cpu_seconds(pid) for name, pid in self._pids.items()}
        self._cost.__enter__()
        if self._profile:
            self._profile.enable()

    def from_here(self, questions: Iterable[Question]) -> Iterator[Question]:
        """
        Begin when the first of these questions is asked, with the ones before still under way: who would wait for
        their end would find connections closed that were idle for a moment.
        """
        self.start()
        yield from questions

    def stop(self, number: int, prefix: str = "") -> dict[str, Any]:
        """
        End.

        @param number: of requests that were measured.
        @param prefix: of the numbers' names.
        """
        if self._profile:
            self._profile.disable()
        self._cost.__exit__()
        wall = self._cost.wall
        busy = {
            f"{prefix}{name} %": (self._busy[name] + cpu_seconds(pid)) * 100 / wall for name, pid in self._pids.items()
        }
        found = {f"{prefix}CPU us": self._cost.cpu * 1e6 / number, f"{prefix}requests/s": number / wall, **busy}
        return {**found, f"{prefix}profile": described(self._profile)} if self._profile else found


def cpu_seconds(pid: int) -> float:
    """
    Tell how much CPU a process has used, to 10 ms.
    """
    # The name of the program may hold spaces; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
