"""
The base of this project's tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twisted.logger import globalLogPublisher
from twisted.trial import unittest

if TYPE_CHECKING:
    from twisted.logger import ILogObserver, LogEvent


class TestCase(unittest.TestCase):
    """
    A trial test in which a warning is a failure.
    """

    def setUp(self) -> None:
        """
        Look for warnings once everything else of the test is done.
        """
        # The first to be added is the last to run.
        self.addCleanup(self._assert_no_warnings)

    def flushWarnings(self, offendingFunctions: object = None) -> list[dict[str, Any]]:
        """
        Leave out three warnings. Two are Twisted's own: a port that is taken leaves a socket which was never bound to
        the garbage collector, in whatever test that comes by; and names of headers and paths of Unix sockets are
        compared both with bytes and with text. One is hypothesis's own: its cache compares numbers with bytes whose
        hashes happen to be equal.
        """
        found: list[dict[str, Any]] = super().flushWarnings(offendingFunctions)  # type: ignore[no-untyped-call]
        own = [one for one in found if "hypothesis" not in Path(one["filename"]).parts and not _is_comparison(one)]
        return [one for one in own if "laddr=('0.0.0.0', 0)" not in str(one["message"])]

    def keep_log(self) -> list[LogEvent]:
        """
        Keep what is logged from now until the end of the test.
        """
        events: list[LogEvent] = []
        observer = cast("ILogObserver", events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return events

    def _assert_no_warnings(self) -> None:
        self.assertEqual([], [(one["category"].__name__, one["message"]) for one in self.flushWarnings()])


def _is_comparison(warning: dict[str, Any]) -> bool:
    return Path(warning["filename"]).name in {"http_headers.py", "unix.py"} and warning["category"] is BytesWarning
