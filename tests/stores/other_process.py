"""
What tests have done by another process: C{python -m tests.stores.other_process
COMMAND ARGUMENTS}, which prints JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from matrix_federation_agent import MatrixFederationAgent
from matrix_federation_agent.stores import SQLiteStore
from matrix_federation_agent.testing import LoopbackFederation


def _limit_files(largest: str) -> None:
    """
    Let no file grow beyond some bytes, as a full disk does; 0 is no limit.
    """
    if largest != "0":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), resource.RLIM_INFINITY))


async def operate(path: str, largest: str, operations: str) -> list[Any]:
    """
    Have a store do something, one after the other.

    @param operations: JSON: a list of lists, each a method and its arguments.
    @return: what came of each: a result, or the name of an error.
    """
    store = SQLiteStore(reactor, path)
    results = []
    _limit_files(largest)
    for method, *arguments in json.loads(operations):
        try:
            results.append(await getattr(store, method)(*arguments))
        except Exception as error:  # noqa: BLE001
            results.append(type(error).__name__)
    await store.close()
    return results


async def many(path: str, prefix: str, number: str) -> int:
    """
    Save many texts, each on its own.
    """
    store = SQLiteStore(reactor, path)
    for count in range(int(number)):
        await store.save("srv", f"{prefix}{count}", f"text {count}", 600)
    await store.close()
    return int(number)


async def request(path: str, largest: str, names: str) -> dict[str, Any]:
    """
    Send requests by an agent with a store.

    @return: the statuses, and what was counted.
    """
    federation = LoopbackFederation.new(reactor)
    for name in names.split(","):
        federation.add_server(name)
    agent = federation.agent(store=SQLiteStore(reactor, path))
    _limit_files(largest)
    statuses = [await status(agent, name) for name in names.split(",")]
    await federation.stop()
    return {"statuses": statuses, **agent.counters.snapshot()}


async def status(agent: MatrixFederationAgent, name: str) -> int:
    """
    Ask a server for its version.
    """
    uri = f"matrix-federation://{name}/_matrix/federation/v1/version".encode("ascii")
    response = await agent.request(b"GET", uri)
    await treq.content(response)
    code: int = response.code
    return code


async def leave_open(path: str) -> str:
    """
    Save something, and end without waiting or closing.
    """
    SQLiteStore(reactor, path).save("srv", "last.example", "words", 600)
    return "left"


COMMANDS: dict[str, Callable[..., Coroutine[Deferred[Any], Any, Any]]] = {
    one.__name__: one for one in (operate, many, request, leave_open)
}


async def main(_: object, command: str, *arguments: str) -> None:
    """
    Do what the command line says.
    """
    sys.stdout.write(json.dumps(await COMMANDS[command](*arguments)))


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
