"""
Tests of C{matrix_federation_agent._discovery.hosts_file}.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from matrix_federation_agent import ServerName
from matrix_federation_agent._discovery.hosts_file import HostsFile
from matrix_federation_agent.errors import ResolutionFailed

from ..case import TestCase

# What stands in the file, and what it says of a.com.
FILES = [
    (b"", []),
    (b"192.0.2.1 a.com", ["192.0.2.1"]),
    (b"192.0.2.1 A.com b.com\n", ["192.0.2.1"]),
    (b"192.0.2.1\tb.com\ta.com\r\n", ["192.0.2.1"]),
    (b"  192.0.2.1  a.com  \n", ["192.0.2.1"]),
    (b"192.0.2.1 b.com\r192.0.2.2 a.com\r", ["192.0.2.2"]),
    (b"192.0.2.1 a.com\n\n2001:DB8::1 a.com\n192.0.2.1 a.com", ["192.0.2.1", "2001:db8::1"]),
    (b"192.0.2.1 a.com a.com", ["192.0.2.1"]),
    (b"192.0.2.1 a.com# here\n192.0.2.2 b.com # a.com\n# 192.0.2.3 a.com", ["192.0.2.1"]),
    (b"192.0.2.1 xa.com a.comx a.co.m b.a.com a.com.b", []),
    (b"a.com a.com\n192.0.2 a.com\n\xff\x00 a.com\n192.0.2.1.a a.com", []),
    (b"a.com 192.0.2.1", []),
    (b"192.0.2.1 b.com\n a.com \n192.0.2.2 c.com", []),
]


class HostsFileTests(TestCase):
    """L{HostsFile}, waiting for ten seconds at most."""

    def setUp(self) -> None:
        """Name a file that does not exist."""
        super().setUp()
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.hosts = HostsFile(self.clock, 10, str(self.path))

    def asking(self, host: str = "a.com") -> Deferred[list[str]]:
        """Ask for the addresses of a host, as texts."""
        found = Deferred.fromCoroutine(self.hosts.addresses(ServerName(host)))
        return found.addCallback(lambda addresses: list(map(str, addresses)))

    def found(self, host: str = "a.com") -> list[str]:
        """Find them at once."""
        return self.successResultOf(self.asking(host))

    def write(self, text: bytes, changed: int = 1) -> None:
        """Write the file, as if it were in some second."""
        self.path.write_bytes(text)
        os.utime(self.path, (changed, changed))

    def fail_with(self, *numbers: int) -> list[str]:
        """Have reading fail so often, and keep account of what is read."""
        read: list[str] = []
        left = list(numbers)
        original = Path.read_bytes

        def read_bytes(path: Path) -> bytes:
            read.append(str(path))
            if left:
                raise OSError(left.pop(0), "")
            return original(path)

        self.patch(Path, "read_bytes", read_bytes)
        return read

    def test_what_a_file_says(self) -> None:
        """Names stand after the address, in any case, between spaces; comments and nonsense say nothing."""
        found = []
        for number, (text, _) in enumerate(FILES):
            self.write(text, number)
            found.append(self.found())
        self.assertEqual(found, [expected for _, expected in FILES])

    def test_twisted_reads_it_in_the_same_way(self) -> None:
        """C{twisted.names} finds the same addresses."""
        theirs = []
        for text, _ in FILES:
            self.write(text)
            addresses: Any = searchFileForAll(FilePath(str(self.path)), b"a.com")
            theirs.append([one.lower() for one in dict.fromkeys(addresses)])
        self.assertEqual(theirs, [expected for _, expected in FILES])

    def test_case_does_not_matter(self) -> None:
        """Names are DNS names."""
        self.write(b"192.0.2.1 a.com")
        self.assertEqual(self.found("A.COM"), ["192.0.2.1"])

    def test_no_file(self) -> None:
        """A missing file, or a directory, is an empty one."""
        found = [self.found()]
        self.path.mkdir()
        self.assertEqual([*found, self.found()], [[], []])

    def test_changes(self) -> None:
        """A file that appears, changes, becomes older, is replaced or disappears is noticed."""
        found = [self.found()]
        for number, changed in enumerate([5, 6, 2]):
            self.write(b"192.0.2.%d a.com" % number, changed)
            found.append(self.found())
        other = self.path.with_suffix(".new")
        other.write_bytes(b"192.0.2.9 a.com")
        os.utime(other, (2, 2))
        other.rename(self.path)
        found.append(self.found())
        self.path.unlink()
        expected = [[], ["192.0.2.0"], ["192.0.2.1"], ["192.0.2.2"], ["192.0.2.9"], []]
        self.assertEqual([*found, self.found()], expected)

    def test_an_unchanged_file_is_read_once(self) -> None:
        """What it says is remembered."""
        self.write(b"192.0.2.1 a.com")
        read = self.fail_with()
        self.assertEqual(([self.found() for _ in range(3)], len(read)), ([["192.0.2.1"]] * 3, 1))

    def test_a_file_that_may_not_be_read(self) -> None:
        """It is an empty one, until it changes."""
        self.write(b"192.0.2.1 a.com")
        self.fail_with(errno.EACCES)
        found = [self.found(), self.found()]
        self.write(b"192.0.2.1 a.com", 2)
        self.assertEqual([*found, self.found()], [[], [], ["192.0.2.1"]])

    def test_no_file_descriptors(self) -> None:
        """A lookup waits until the file can be read: a name in it is no business of DNS."""
        self.write(b"192.0.2.1 a.com")
        self.fail_with(errno.EMFILE, errno.ENFILE)
        asking = self.asking()
        self.assertNoResult(asking)
        self.clock.pump([0.05, 0.1])
        self.assertEqual((self.successResultOf(asking), self.clock.getDelayedCalls()), (["192.0.2.1"], []))

    def test_no_file_descriptors_for_too_long(self) -> None:
        """The lookup fails for the moment, and nothing is left; the next may find it."""
        self.write(b"192.0.2.1 a.com")
        read = self.fail_with(*[errno.EMFILE] * 100)
        asking = self.asking()
        self.clock.pump([0.1] * 101)
        error = self.failureResultOf(asking, ResolutionFailed).value
        assert isinstance(error, ResolutionFailed)
        self.assertEqual((error.temporary, error.name, self.clock.getDelayedCalls()), (True, "a.com", []))
        self.assertGreater(len(read), 10)

    def test_a_known_file_needs_no_descriptor(self) -> None:
        """One that has not changed is not opened."""
        self.write(b"192.0.2.1 a.com")
        self.found()
        self.fail_with(errno.EMFILE)
        self.assertEqual(self.found(), ["192.0.2.1"])
