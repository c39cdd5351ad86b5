"""
Roots that change while the program runs: the files of a trust policy are
looked at from time to time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from .._deadlines import shielded
from .._descriptors import run_out
from .files import marks
from .trust import TrustGeneration, named_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .._reactor import IReactor
    from .files import Marks
    from .trust import Trust

    T = TypeVar("T")

_log = Logger()


class TrustWatch:
    """
    Looks at the files of a trust policy, and lets a new generation take over
    when they have changed.

    All that waits for a disk, or takes milliseconds, is done in a thread of
    the reactor's: to read the roots of a system takes tens of them.
    """

    def __init__(self, reactor: IReactor, trust: Trust) -> None:
        self._reactor = reactor
        self._trust = trust
        self._refused: Marks | None = None
        self._looking = LoopingCall(lambda: Deferred.fromCoroutine(self._look()))
        self._looking.clock = reactor
        self._ended: Deferred[Any] | None = None

    def start(self) -> None:
        """
        Begin to look, if the policy says how often.
        """
        interval = self._trust.generation.policy.watch_interval
        if interval is not None:
            self._ended = self._looking.start(interval, now=False)

    async def stop(self) -> None:
        """
        Look no more; wait for the thread where one is at work.
        """
        if self._looking.running:
            self._looking.stop()
        if self._ended is not None:
            await shielded(self._ended)

    async def _look(self) -> None:
        """
        Look once.  Files that cannot be used are tried again when they look
        different.
        """
        before = self._trust.generation
        seen = await self._in_thread(lambda: marks(named_files(before.policy)))
        if seen in (before.files, self._refused) or not self._looking.running:
            return
        try:
            loaded = await self._in_thread(lambda: TrustGeneration.load(before.policy))
        except Exception as error:  # noqa: BLE001 (whatever it is, what was trusted before stays)
            # That there was no file descriptor says nothing about the files.
            self._refused = None if run_out(error) else seen
            self._trust.note_failure()
            _log.failure("files of the trust policy have changed and cannot be used; what was trusted before stays")
            return
        # Where somebody else was faster, theirs is the newer one.
        if self._looking.running and self._trust.generation is before:
            self._trust.succeed(loaded)

    def _in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)
