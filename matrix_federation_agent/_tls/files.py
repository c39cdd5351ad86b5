"""
The files of a trust policy: what is in them, and whether they have changed.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILE_BYTES = 16 * 1024 * 1024
"""
Bytes of one file: seventy times the bundle of all public roots.
"""

MAX_FILES = 2000
"""
Files in one directory; Debian's C{/etc/ssl/certs} has 450, links included.
"""

# The endings that certificates have, and the names of OpenSSL's c_rehash.
_CERTIFICATE_NAME = re.compile(r"[^.].*\.(?:pem|crt|cer)|[0-9a-f]{8}\.\d+", re.IGNORECASE | re.DOTALL)

Marks = tuple[tuple[str, tuple[int, ...]], ...]
"""
What files looked like at one time, without having been read: of each its path
and what C{stat} says, or an error's number.
"""


def read_file(setting: str, path: str) -> bytes:
    """
    Read a file.

    @raise ConfigurationError: when it cannot be read, is no regular file, or
        is longer than L{MAX_FILE_BYTES}.
    """
    try:
        content = _beginning(path)
    except (OSError, ValueError) as error:
        raise unreadable(setting, path, error) from error
    if content is None:
        raise ConfigurationError.of(setting, f"{path} is no regular file")
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError.of(setting, f"{path} is longer than {MAX_FILE_BYTES} bytes")
    return content


def _beginning(path: str) -> bytes | None:
    # To open a pipe would wait for somebody who writes.
    if not stat.S_ISREG(Path(path).stat().st_mode):
        return None
    with Path(path).open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def unreadable(setting: str, path: str, error: Exception) -> ConfigurationError:
    """
    Say that a file or a directory cannot be read.
    """
    # A path with a NUL in it is a ValueError.
    words = error.strerror if isinstance(error, OSError) else str(error)
    return ConfigurationError.of(setting, f"{path} cannot be read: {words}")


def certificate_paths(directory: str) -> list[str]:
    """
    List the files in a directory that have the name of a certificate, in
    alphabetical order; not those of directories in it.

    @raise OSError: when it cannot be listed.
    """
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if _CERTIFICATE_NAME.fullmatch(entry.name) and not entry.is_dir()]
    return [os.path.join(directory, name) for name in sorted(names)]  # noqa: PTH118 (text in, text out)


def marks(paths: Iterable[str]) -> Marks:
    """
    Look at files, and at the certificates in directories, without reading
    them.
    """
    return tuple((seen, _mark(seen)) for path in paths for seen in _seen(path))


def _seen(path: str) -> list[str]:
    """
    List what there is to look at behind a path.
    """
    try:
        # One more than are read: that there are too many is then seen to end.
        return certificate_paths(path)[: MAX_FILES + 1] if Path(path).is_dir() else [path]
    except (OSError, ValueError):
        return [path]


def _mark(path: str) -> tuple[int, ...]:
    """
    Describe one file by what changes when it changes.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 (a path with a NUL in it is an error of this function only)
    except OSError as error:
        return (error.errno or 0,)
    except ValueError:
        return ()
    # The ctime tells of a permission that was granted, and of a file that was
    # written anew with the old one's size and mtime.
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
