"""
Tests of C{matrix_federation_agent._discovery.resolv_conf}.
"""

from __future__ import annotations

import os
from pathlib import Path

from matrix_federation_agent._discovery.resolv_conf import NameServer, SystemNameServers, read_resolv_conf
from tests.case import TestCase

LOCAL = [("127.0.0.1", 53)]


class ResolvConfTests(TestCase):
    """
    L{read_resolv_conf}.
    """

    def test_table(self) -> None:
        """
        Every line that names a plain address counts, in order, and nothing else does.
        """
        table: dict[str, list[NameServer]] = {
            "": LOCAL,
            "nameserver 192.0.2.1": [("192.0.2.1", 53)],
            "nameserver 192.0.2.1\nnameserver 2001:db8::1\n": [("192.0.2.1", 53), ("2001:db8::1", 53)],
            "\tnameserver\t192.0.2.1 # office\r\n": [("192.0.2.1", 53)],
            "nameserver 192.0.2.1 192.0.2.2": [("192.0.2.1", 53)],
            "# nameserver 192.0.2.1": LOCAL,
            ";nameserver 192.0.2.1": LOCAL,
            "#nameserver 192.0.2.1": LOCAL,
            "search example\noptions ndots:5\nnameserver 192.0.2.1": [("192.0.2.1", 53)],
            "nameserver": LOCAL,
            "nameserver dns.example": LOCAL,
            "nameserver 999.0.0.1": LOCAL,
            "nameserver fe80::1%eth0\nnameserver 192.0.2.1": [("192.0.2.1", 53)],
            "nameservers 192.0.2.1": LOCAL,
            "\x00\ufffd\nnameserver 192.0.2.1": [("192.0.2.1", 53)],
        }
        self.assertEqual({text: read_resolv_conf(text) for text in table}, table)


class SystemTests(TestCase):
    """
    L{SystemNameServers}.
    """

    def setUp(self) -> None:
        """
        Name a file that does not exist.
        """
        super().setUp()
        self.path = Path(self.mktemp())
        self.servers = SystemNameServers(str(self.path))

    def write(self, text: str, changed: int) -> None:
        """
        Write the file.
        """
        self.path.write_text(text)
        os.utime(self.path, (changed, changed))

    def test_no_file(self) -> None:
        """
        Without a file it is the local host.
        """
        self.assertEqual(self.servers(), LOCAL)

    def test_a_file_that_appears(self) -> None:
        """
        A file that appears later is read.
        """
        self.servers()
        self.write("nameserver 192.0.2.1", 1)
        self.assertEqual(self.servers(), [("192.0.2.1", 53)])

    def test_changes(self) -> None:
        """
        A file that has changed is read again, also when it became older.
        """
        seen = []
        for number, changed in enumerate([100, 200, 50]):
            self.write(f"nameserver 192.0.2.{number}", changed)
            seen += self.servers()
        self.assertEqual([host for host, _ in seen], ["192.0.2.0", "192.0.2.1", "192.0.2.2"])

    def test_an_unchanged_file(self) -> None:
        """
        A file that has not changed is not read again.
        """
        self.write("nameserver 192.0.2.1", 100)
        first = self.servers()
        self.assertIs(self.servers(), first)

    def test_a_file_that_disappears(self) -> None:
        """
        What was known stays known.
        """
        self.write("nameserver 192.0.2.1", 100)
        self.servers()
        self.path.unlink()
        self.assertEqual(self.servers(), [("192.0.2.1", 53)])

    def test_a_directory(self) -> None:
        """
        What cannot be read is as good as missing.
        """
        self.path.mkdir()
        self.assertEqual(self.servers(), LOCAL)

    def test_no_text(self) -> None:
        """
        Bytes that are no UTF-8 do not matter.
        """
        self.path.write_bytes(b"\xff\xfe\nnameserver 192.0.2.1\n")
        self.assertEqual(self.servers(), [("192.0.2.1", 53)])
