"""
What the tests of stores share.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from matrix_federation_agent.stores import SQLiteStore
from tests.case import TestCase

ROOT = Path(__file__).parents[2]

# Permissions do not stop root, unless it gives up the power to ignore them.
_POWERS = "-dac_override,-dac_read_search"
_WITHOUT_POWERS = ["/usr/bin/setpriv", f"--bounding-set={_POWERS}", f"--inh-caps={_POWERS}"]

_HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA locking_mode = " + sys.argv[2])
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


class StoreCase(TestCase):
    """
    A test with a place for a file.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        self.path = self.directory / "discovery.sqlite"

    def store(self, path: Path | None = None) -> SQLiteStore:
        """
        Make a store, which is closed after the test.
        """
        store = SQLiteStore(reactor, path or self.path)
        self.addCleanup(store.close)
        return store

    def names(self) -> set[str]:
        """
        List the files, but for those that SQLite keeps beside another.
        """
        return {one.name for one in self.directory.iterdir() if not one.name.endswith(("-wal", "-shm", "-journal"))}

    def hold(self, locking_mode: str = "NORMAL") -> subprocess.Popen[bytes]:
        """
        Have another process lock the file until the end of the test.

        @param locking_mode: C{"EXCLUSIVE"} to keep readers out as well.
        """
        command = [sys.executable, "-c", _HOLD, str(self.path), locking_mode]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(holder.communicate)
        assert holder.stdout is not None
        self.assertEqual(holder.stdout.readline(), b"held\n")
        return holder

    async def other_process(self, command: str, *arguments: object, powers: bool = True) -> Any:
        """
        Have another process do something.

        @param powers: whether root may ignore permissions.
        @return: what it printed.
        """
        prefix = [] if powers or os.geteuid() else _WITHOUT_POWERS
        line = [*prefix, sys.executable, "-m", "tests.stores.other_process", command, *map(str, arguments)]
        output, errors, code = await getProcessOutputAndValue(
            line[0], line[1:], {**os.environ, "PYTHONPATH": str(ROOT)}, str(ROOT), reactor
        )
        self.assertEqual((code, errors), (0, b""))
        return json.loads(output)

    async def operate(self, *operations: object, largest: int = 0, powers: bool = True) -> Any:
        """
        Have a store in another process do something.
        """
        return await self.other_process("operate", self.path, largest, json.dumps(operations), powers=powers)

    def read_only(self) -> None:
        """
        Let nobody write to the file nor to its directory.
        """
        modes = {one: one.stat().st_mode for one in (self.directory, *self.directory.iterdir())}
        for one, mode in modes.items():
            self.addCleanup(one.chmod, mode)
            one.chmod(mode & 0o555)


def a_database(path: Path, *statements: str) -> None:
    """
    Make a database by hand.
    """
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


def pause(seconds: float) -> Deferred[None]:
    """
    Let time pass.
    """
    return deferLater(reactor, seconds)


async def until(attempt: Callable[[], Awaitable[object]]) -> None:
    """
    Try again and again for some seconds, until something works.
    """
    for _ in range(100):
        try:
            await attempt()
        except Exception:  # noqa: BLE001
            await pause(0.1)
        else:
            return
    await attempt()
