"""
Tests of C{matrix_federation_agent._tls.watching}.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from matrix_federation_agent import TrustPolicy
from matrix_federation_agent._tls.trust import Trust, TrustGeneration
from matrix_federation_agent._tls.watching import TrustWatch
from matrix_federation_agent.errors import ConfigurationError
from tests.tls.files import FilesCase, root

ONE, TWO = root("one"), root("two")


class ThreadlessReactor(Clock):
    """
    A clock with a pool of threads that work when the test says so.

    @ivar waiting: what the threads have not begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], object]] = []

    def getThreadPool(self) -> ThreadlessReactor:
        """
        It is its own pool.
        """
        return self

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, object], object], func: Callable[..., object], *args: Any, **kw: Any
    ) -> None:
        """
        Keep the work.
        """

        def work() -> None:
            try:
                result = func(*args, **kw)
            except Exception as error:  # noqa: BLE001 (handed over, as a pool does)
                onResult(False, error)
            else:
                onResult(True, result)

        self.waiting.append(work)

    def callFromThread(self, callable: Callable[..., object], *args: object, **kw: object) -> None:
        """
        Call at once.
        """
        callable(*args, **kw)

    def work(self) -> int:
        """
        Let the threads finish what they have, and what follows from it.

        @return: how much it was.
        """
        done = 0
        while self.waiting:
            self.waiting.pop(0)()
            done += 1
        return done


class WatchCase(FilesCase):
    """
    A watch over one file of roots, which is looked at every 10 seconds.
    """

    def setUp(self) -> None:
        """
        Begin with one root.
        """
        super().setUp()
        self.path = Path(self.file(ONE.pem))
        self.reactor = ThreadlessReactor()
        self.start(10)

    def start(self, interval: float | None) -> None:
        """
        Begin to watch.
        """
        policy = TrustPolicy(ca_files=[self.path], use_system_roots=False, watch_interval=interval)
        self.trust = Trust(TrustGeneration.load(policy))
        self.watch = TrustWatch(self.reactor, self.trust)
        self.watch.start()

    def tick(self) -> int:
        """
        Let one interval pass.

        @return: how often a thread had to work.
        """
        self.reactor.advance(10)
        return self.reactor.work()

    @property
    def names(self) -> list[str]:
        """
        Whom we trust.
        """
        return [one.subject.rfc4514_string() for one in self.trust.generation.roots]


class LookingTests(WatchCase):
    """
    What is done when files change.
    """

    def test_off(self) -> None:
        """
        Without an interval nothing is scheduled.
        """
        self.reactor = ThreadlessReactor()
        self.start(None)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_change(self) -> None:
        """
        Files that look as before are not read.
        """
        before = self.trust.generation
        self.assertEqual(([self.tick() for _ in range(3)], self.trust.generation), ([1, 1, 1], before))

    def test_the_interval(self) -> None:
        """
        They are looked at when the interval has passed, and not before.
        """
        self.reactor.advance(9.9)
        early = self.reactor.work()
        self.reactor.advance(0.2)
        self.assertEqual((early, self.reactor.work()), (0, 1))

    def test_a_change(self) -> None:
        """
        When a file changes it is read, once.
        """
        self.path.write_bytes(ONE.pem + TWO.pem)
        ticks = [self.tick() for _ in range(3)]
        self.assertEqual((ticks, self.names), ([2, 1, 1], ["CN=one", "CN=two"]))

    def test_a_change_right_after_the_start(self) -> None:
        """
        A file that changed between being read and the first look is noticed.
        """
        self.path.unlink()
        self.path.write_bytes(TWO.pem)
        self.tick()
        self.assertEqual(self.names, ["CN=two"])

    def test_a_broken_file(self) -> None:
        """
        A broken file changes nothing, and is logged and tried once.
        """
        before = self.trust.generation
        self.path.write_bytes(ONE.pem[:-30])
        ticks = [self.tick() for _ in range(3)]
        self.assertEqual((ticks, self.trust.generation, before.retired), ([2, 1, 1], before, False))
        self.assertEqual(len(self.flushLoggedErrors(ConfigurationError)), 1)

    def test_a_broken_file_that_is_mended(self) -> None:
        """
        It is tried again when it changes, and logged again when it is still broken.
        """
        for content in (b"", b"-", TWO.pem):
            self.path.write_bytes(content)
            self.tick()
        self.assertEqual((self.names, len(self.flushLoggedErrors(ConfigurationError))), (["CN=two"], 2))

    def test_any_error(self) -> None:
        """
        Whatever goes wrong in loading, the watch goes on.
        """

        def fail(_: object) -> TrustGeneration:
            raise MemoryError

        self.patch(TrustGeneration, "load", fail)
        self.path.write_bytes(TWO.pem * 2)
        self.tick()
        self.assertEqual((len(self.flushLoggedErrors(MemoryError)), self.tick()), (1, 1))

    def test_no_file_descriptors(self) -> None:
        """
        Files that could not be opened for lack of file descriptors are tried again, though they look the same.
        """
        original = Path.open

        def full(path: Path, *args: Any, **named: Any) -> Any:
            raise OSError(errno.EMFILE, "Too many open files", str(path))

        self.path.write_bytes(TWO.pem * 2)
        self.patch(Path, "open", full)
        self.tick()
        before = self.names, len(self.flushLoggedErrors(ConfigurationError))
        self.patch(Path, "open", original)
        self.tick()
        self.assertEqual((before, self.names), ((["CN=one"], 1), ["CN=two"]))

    def test_somebody_reloads_meanwhile(self) -> None:
        """
        What was loaded in the thread does not replace what was read after it.
        """
        self.path.write_bytes(ONE.pem + ONE.pem)
        self.reactor.advance(10)
        look, loading = self.reactor.waiting.pop(0), self.reactor.waiting
        look()
        work = loading.pop(0)
        self.path.write_bytes(TWO.pem)
        self.trust.reload()
        newest = self.trust.generation
        work()
        self.assertIs(self.trust.generation, newest)

    def test_a_slow_disk(self) -> None:
        """
        There is never more than one look at a time.
        """
        for _ in range(5):
            self.reactor.advance(10)
        self.assertEqual(len(self.reactor.waiting), 1)


class StoppingTests(WatchCase):
    """
    L{TrustWatch.stop}.
    """

    def stopping(self) -> Deferred[None]:
        """
        Stop.
        """
        return Deferred.fromCoroutine(self.watch.stop())

    def test_idle(self) -> None:
        """
        The timer ends, also when it is stopped twice.
        """
        for _ in range(2):
            self.successResultOf(self.stopping())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_never_started(self) -> None:
        """
        A watch that is off can be stopped.
        """
        self.reactor = ThreadlessReactor()
        self.start(None)
        self.successResultOf(self.stopping())

    def test_at_work(self) -> None:
        """
        Work in the thread is waited for, and what it brings is not used.
        """
        before = self.trust.generation
        self.path.write_bytes(TWO.pem * 2)
        self.reactor.advance(10)
        self.reactor.waiting.pop(0)()
        stopping = self.stopping()
        self.assertNoResult(stopping)
        self.reactor.work()
        self.successResultOf(stopping)
        self.assertEqual((self.trust.generation, self.reactor.getDelayedCalls()), (before, []))

    def test_while_looking(self) -> None:
        """
        Stopped while it looks, it does not begin to read.
        """
        self.path.write_bytes(TWO.pem * 2)
        self.reactor.advance(10)
        stopping = self.stopping()
        self.assertEqual(self.reactor.work(), 1)
        self.successResultOf(stopping)
