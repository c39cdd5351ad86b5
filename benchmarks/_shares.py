"""
Where the time of a profile goes: by function, and by package.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from collections import Counter
from typing import Any

PACKAGES = {
    "/matrix_federation_agent/": "ours",
    "/benchmarks/": "the benchmark",
    "/twisted/protocols/tls": "twisted.protocols.tls",
    "/twisted/internet/": "twisted.internet",
    "/twisted/web/": "twisted.web",
    "/twisted/logger/": "twisted.logger",
    "/twisted/python/": "twisted.python",
    "/twisted/names/": "twisted.names",
    "/twisted/": "twisted, the rest",
    "/OpenSSL/": "OpenSSL (pyOpenSSL and the library)",
    "/service_identity/": "service_identity",
    "/cryptography/": "cryptography",
    "/zope/": "zope.interface",
    "/attr/": "attrs",
    "/synapse/": "synapse",
    "/site-packages/": "other packages",
}
"""
Parts of paths, and what is in them; the first that is found counts.
"""

# Functions in C have no path: the library is called through these.
_BUILT_IN = {
    "cryptography": "OpenSSL (pyOpenSSL and the library)",
    "_openssl": "OpenSSL (pyOpenSSL and the library)",
    "_cffi": "OpenSSL (pyOpenSSL and the library)",
    "Lib object": "OpenSSL (pyOpenSSL and the library)",
    "_socket": "the system: sockets",
    "epoll": "the system: epoll",
    "twisted": "twisted, the rest",
    "zope": "zope.interface",
}
TOP = 25


def package(path: str, function: str) -> str:
    """
    Tell which package a function belongs to.
    """
    if path == "~":
        return next((name for part, name in _BUILT_IN.items() if part in function), "built in, stdlib")
    return next((name for part, name in PACKAGES.items() if part in path), "built in, stdlib")


def described(profile: cProfile.Profile) -> dict[str, Any]:
    """
    Describe a profile: the functions in which most of the time is spent, and the share of each package.
    """
    written = io.StringIO()
    stats = pstats.Stats(profile, stream=written)
    entries: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    seconds: Counter[str] = Counter()
    for (path, _, function), entry in entries.items():
        # The time in a function itself, without what it calls.
        seconds[package(path, function)] += entry[2]  # type: ignore[assignment]
    whole = sum(seconds.values())
    stats.strip_dirs().sort_stats("tottime").print_stats(TOP)
    lines = [line for line in written.getvalue().splitlines() if line[:9].strip()[:1].isdigit()]
    return {"shares": {name: part / whole for name, part in seconds.most_common()}, "top": lines}
