"""
Ask Matrix servers for their versions, with treq.

    python treq_script.py matrix.org example.org:8448

One line for each server, in the order of the arguments; the exit status is 1
when one of them could not be reached.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from matrix_federation_agent import MatrixFederationAgent, federation_url
from matrix_federation_agent.errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.web.iweb import IAgent

VERSION = "/_matrix/federation/v1/version"


async def version_of(client: HTTPClient, server_name: str) -> str:
    """
    Ask one server for the name and the version of its software.

    @raise FederationError: when it was not reached, or its name is none.
    @raise ValueError: when the answer is not JSON.
    @raise LookupError: when the answer says something else.
    """
    response = await client.get(federation_url(server_name, VERSION))
    # Also where the body does not matter: once it was read, the connection
    # can be used again.
    body = await treq.content(response)
    if response.code != 200:
        return f"status {response.code}"
    server = json.loads(body)["server"]
    return f"{server['name']} {server['version']}"


async def line_of(reactor: Any, client: HTTPClient, server_name: str) -> tuple[bool, str]:
    """
    Write the line of one server.

    @return: whether it answered, and the line.
    """
    started = reactor.seconds()
    try:
        version = await version_of(client, server_name)
    except FederationError as error:
        return False, f"{server_name}: failed in phase {error.phase}: {error.reason}"
    except (ValueError, LookupError, TypeError):
        return False, f"{server_name}: the answer is not what the specification says"
    return True, f"{server_name}: {version} ({1000 * (reactor.seconds() - started):.0f} ms)"


async def report(reactor: Any, agent: IAgent, server_names: Sequence[str]) -> bool:
    """
    Ask all servers side by side, and print what they said.

    @return: whether all of them answered.
    """
    client = HTTPClient(agent)
    asked = [Deferred.fromCoroutine(line_of(reactor, client, name)) for name in server_names]
    lines = await gatherResults(asked)
    for _, line in lines:
        print(line)
    return all(answered for answered, _ in lines)


async def main(reactor: Any, *server_names: str) -> None:
    """
    Make the agent, ask, and close the agent.
    """
    agent = MatrixFederationAgent.new(reactor)
    try:
        answered = await report(reactor, agent, server_names)
    finally:
        await agent.close()
    if not answered:
        raise SystemExit(1)


if __name__ == "__main__":
    react(main, sys.argv[1:])
