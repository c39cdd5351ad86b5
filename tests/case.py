"""
The base of this project's tests.
"""

from __future__ import annotations

from twisted.trial import unittest


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

    def _assert_no_warnings(self) -> None:
        self.assertEqual([], [(one["category"].__name__, one["message"]) for one in self.flushWarnings()])
