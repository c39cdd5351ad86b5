"""
A process that has no file descriptor left for a while: C{python -m tests.discovery.starved PORT DIRECTORY} asks a name
server on a port, reads a hosts file and uses a store, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from matrix_federation_agent import DiscoveryPolicy, ServerName
from matrix_federation_agent._discovery.answers import NameService
from matrix_federation_agent._discovery.hosts import address_queries
from matrix_federation_agent._discovery.hosts_file import HostsFile
from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent.stores import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 64
SECONDS = 0.3


@contextmanager
def starved() -> Iterator[None]:
    """
    Use up every file descriptor.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(0))
    try:
        yield
    finally:
        for one in taken:
            os.close(one)


async def outcome(reactor: Any, port: int, directory: Path) -> dict[str, Any]:
    """
    Do everything once while there are descriptors, so that what Python loads is loaded, and once while there are none.
    """
    names = NameService(reactor, DiscoveryPolicy())
    _, ipv4 = address_queries(NameServerResolver(reactor, [("127.0.0.1", port)]))
    path = directory / "hosts"
    hosts, store = HostsFile(reactor, 10, str(path)), SQLiteStore(reactor, directory / "one.sqlite")

    async def addresses() -> list[IPv4Address]:
        return [one for one in await hosts.addresses(ServerName("a.com")) if isinstance(one, IPv4Address)]

    await names.ask(ipv4, "ex.com")
    await addresses()
    await store.save("a", "ex.com", "text", 600)
    path.write_text("192.0.2.2 a.com")
    other = SQLiteStore(reactor, directory / "one.sqlite")
    with starved():
        asking: list[Deferred[Any]] = list(map(Deferred.fromCoroutine, (names.ask(ipv4, "ex.com"), addresses())))
        failure = await _word(other.load("a", "ex.com"))
        kept = await store.load("a", "ex.com")
        await deferLater(reactor, SECONDS)
        waited = [not one.called for one in asking]
    answer, found = [await one for one in asking]
    loaded = await other.load("a", "ex.com")
    for one in (store, other):
        await one.close()
    return {
        "waited": waited,
        "answer": answer.records,
        "hosts": list(map(str, found)),
        "store": [failure, kept, loaded],
        "files": _names(directory),
    }


def _names(directory: Path) -> list[str]:
    """
    List the files of a directory.
    """
    return sorted(one.name for one in directory.iterdir())


async def _word(loading: Deferred[Any]) -> Any:
    """
    Tell the result, or the name of the error.
    """
    try:
        return await loading
    except Exception as error:  # noqa: BLE001 (shown as it is)
        return type(error).__name__


async def main(reactor: Any, port: str, directory: str) -> None:
    """
    Print the outcome.
    """
    sys.stdout.write(json.dumps(await outcome(reactor, int(port), Path(directory))))


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
