"""
Tests of C{matrix_federation_agent.stores._thread}.
"""

from __future__ import annotations

import threading
from functools import partial

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults

from matrix_federation_agent.stores._thread import WorkThread
from tests.case import TestCase


class WorkThreadTests(TestCase):
    """
    L{WorkThread}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.thread = WorkThread(reactor, "test")
        self.addCleanup(self.thread.stop)
        self.done: list[int] = []

    async def test_it_is_one_thread_and_not_the_reactors(self) -> None:
        """
        All work is done in the same thread.
        """
        threads = {await self.thread.do(threading.get_ident) for _ in range(5)}
        self.assertEqual((len(threads), threading.get_ident() in threads), (1, False))

    async def test_work_is_done_in_order(self) -> None:
        """
        What was asked for first is done first.
        """
        await gatherResults([self.thread.do(partial(self.done.append, number)) for number in range(3000)])
        self.assertEqual(self.done, list(range(3000)))

    async def test_a_failure_is_handed_over(self) -> None:
        """
        Work that fails does not keep other work from being done.
        """
        failing, working = self.thread.do(lambda: 1 // 0), self.thread.do(lambda: 2)
        await self.assertFailure(failing, ZeroDivisionError)
        self.assertEqual(await working, 2)

    async def test_cancelled_work_is_not_done(self) -> None:
        """
        Work that nobody waits for any more holds nobody up.
        """
        gate = threading.Event()
        held = self.thread.do(gate.wait)
        cancelled = self.thread.do(partial(self.done.append, 1))
        cancelled.cancel()
        gate.set()
        await held
        await self.thread.do(partial(self.done.append, 2))
        self.assertEqual(self.done, [2])
        await self.assertFailure(cancelled, CancelledError)

    async def test_work_under_way_is_finished_before_it_stops(self) -> None:
        """
        L{WorkThread.stop} waits for what was asked for.
        """
        self.thread.do(partial(self.done.append, 1))
        await self.thread.stop()
        self.assertEqual(self.done, [1])

    async def test_it_can_begin_again(self) -> None:
        """
        A thread that was stopped is there again when it is needed.
        """
        await self.thread.do(int)
        await self.thread.stop()
        self.assertEqual(await self.thread.do(lambda: 5), 5)
