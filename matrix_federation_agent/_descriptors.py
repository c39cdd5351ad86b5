"""
File descriptors that have run out: what needs one waits until there is one.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.task import deferLater

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

_NONE_LEFT = {errno.EMFILE, errno.ENFILE}

FIRST_PAUSE = 0.05
LAST_PAUSE = 1.0


def run_out(error: BaseException | None) -> bool:
    """
    Tell whether an error, or what caused it, means that the process or the
    system has no file descriptor left.
    """
    while error is not None:
        # Twisted's CannotListenError and ConnectError keep the cause, or its
        # number, in attributes of their own.
        cause = getattr(error, "socketError", error)
        if {getattr(cause, "errno", None), getattr(cause, "osError", None)} & _NONE_LEFT:
            return True
        error = error.__cause__
    return False


def nothing() -> None:
    """
    There is nothing that could be done meanwhile.
    """


async def once_there_are_descriptors(
    clock: IReactorTime,
    attempt: Callable[[], Awaitable[T]],
    *,
    is_shortage: Callable[[Exception], bool] = run_out,
    make_room: Callable[[], object] = nothing,
    until: float = math.inf,
) -> T:
    """
    Do something that needs a file descriptor, again and again until there is
    one: after 50 milliseconds, doubling to a second.

    @param is_shortage: tells whether the attempt failed for want of one.
    @param make_room: is called before each pause.
    @param until: after which there is no further attempt, as the clock
        counts.
    @raise Exception: whatever else the attempt fails with, or failed with
        last.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not is_shortage(error) or clock.seconds() + pause >= until:
                raise
        make_room()
        await deferLater(clock, pause)
        pause = min(2 * pause, LAST_PAUSE)
