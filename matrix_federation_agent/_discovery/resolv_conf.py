"""
Which name servers the system uses: resolv.conf(5).
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from twisted.names import dns

RESOLV_CONF = "/etc/resolv.conf"

NameServer = tuple[str, int]
"""
The address and the port of a name server.
"""


def read_resolv_conf(text: str) -> list[NameServer]:
    """
    List the name servers in a resolv.conf(5), in order.

    Servers on a scoped link-local address are left out.

    @return: at least one; the local host when the file names none, as
        resolv.conf(5) says.
    """
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_plain_address(words[1]):
            servers.append((words[1], dns.PORT))
    return servers or [("127.0.0.1", dns.PORT)]


def _is_plain_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


class SystemNameServers:
    """
    The name servers of resolv.conf(5), read again when the file has changed.
    """

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self._path = Path(path)
        self._changed: float | None = None
        self._servers = read_resolv_conf("")

    def __call__(self) -> list[NameServer]:
        """
        Tell the name servers of this moment.
        """
        try:
            changed = self._path.stat().st_mtime
            if changed != self._changed:
                self._servers = read_resolv_conf(self._path.read_text("utf-8", "replace"))
                self._changed = changed
        except OSError:
            # A missing file is an empty one; one that cannot be read now was
            # readable before.
            pass
        return self._servers
