"""
Work that is done when the process gets a signal.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from ._reactor import IReactor


def on_signal(
    reactor: IReactor, number: signal.Signals, work: Callable[[], object], *, instead: bool = False
) -> Callable[[], None]:
    """
    Have the reactor do some work whenever a signal comes; this must be in the
    main thread, as all that sets handlers of signals.

    @param instead: whether the handler of before is left out, rather than
        called as well.
    @return: puts the handler of before back.
    """

    def received(number: int, frame: FrameType | None) -> None:
        # A signal may come between any two steps of the program: the work is
        # left to the reactor, which callFromThread also wakes up.
        reactor.callFromThread(work)
        if callable(previous) and not instead:
            previous(number, frame)

    previous = signal.signal(number, received)

    def restore() -> None:
        signal.signal(number, previous)

    return restore
