"""
The hosts file, hosts(5), read again when it has changed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import maybeDeferred

from .._deadlines import within
from .._descriptors import once_there_are_descriptors, run_out
from ..errors import ResolutionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.internet.interfaces import IReactorTime

    from .._policies import Address
    from .._server_name import ServerName

HOSTS_FILE = "/etc/hosts"

# What separates words becomes a space, what separates lines a line feed.
_PLAIN = bytes.maketrans(b"\r\t\v\f" + ascii_uppercase.encode(), b"\n   " + ascii_lowercase.encode())
_COMMENT = re.compile(rb"#[^\n]*")

Mark = tuple[int, ...]
"""
What a file looks like from outside, or the number of the error.
"""


@attrs.define(eq=False)
class HostsFile:
    """
    Finds addresses in the hosts file.

    What is remembered is its text: to look for a name in it takes less than a
    microsecond where the file is as short as most, and some milliseconds in
    the longest lists of advertisers, whose lines would take megabytes as
    objects.

    @ivar _patience: how many seconds a lookup waits for a file descriptor.
    """

    _clock: IReactorTime
    _patience: float
    _path: str = HOSTS_FILE
    _mark: Mark | None = attrs.field(init=False, default=None)
    _text: bytes = attrs.field(init=False, default=b"", repr=False)

    async def addresses(self, host: ServerName) -> list[Address]:
        """
        List the addresses that the file has for a host, each once.

        That there is no file descriptor to read it with says nothing of what
        is in it: a name that it maps must not be asked of DNS.

        @raise ResolutionFailed: when there was no file descriptor for too
            long.
        """
        try:
            return self.found(host)
        except OSError:
            finding = once_there_are_descriptors(self._clock, partial(maybeDeferred, self.found, host))
            return await within(self._clock, self._patience, finding, partial(_late, host))

    def found(self, host: ServerName) -> list[Address]:
        """
        List the addresses of a host, without waiting.  A file that cannot be
        read is an empty one, as for the C library.

        @raise OSError: when there is no file descriptor to read it with.
        """
        mark = _mark(self._path)
        if mark != self._mark:
            self._text, self._mark = _plain(_content(self._path)), mark
        return list(dict.fromkeys(_found(self._text, host.tls_name.encode("ascii"))))


def _mark(path: str) -> Mark:
    try:
        found = os.stat(path)  # noqa: PTH116 (at every lookup: a path object costs as much again)
    except OSError as error:
        return (error.errno or 0,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _content(path: str) -> bytes:
    """
    Read a file.

    @raise OSError: when there is no file descriptor.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        if run_out(error):
            raise
        return b""


def _plain(text: bytes) -> bytes:
    """
    Write a hosts file so that every name in it stands between two spaces, in
    lower case.
    """
    return _COMMENT.sub(b"", text.translate(_PLAIN)).replace(b"\n", b" \n") + b" "


def _found(text: bytes, name: bytes) -> Iterator[Address]:
    """
    Find the addresses of a name.

    @param text: as L{_plain} writes it.
    """
    wanted = b" %b " % name
    at = text.find(wanted)
    while at >= 0:
        end = (text.find(b"\n", at) + 1 or len(text) + 1) - 1
        address = text[text.rfind(b"\n", 0, at) + 1 : end].split()[0]
        # A line that begins with the name begins with no address.
        with suppress(ValueError):
            yield ip_address(address.decode("latin-1"))
        at = text.find(wanted, end)


def _late(host: ServerName, seconds: float) -> ResolutionFailed:
    reason = f"{host}: the hosts file could not be read for {seconds:g} s, for lack of file descriptors"
    return ResolutionFailed("", reason, name=host.tls_name, temporary=True)
