"""
What a test has done by another process: C{python -m tests.conformance.out_of_sockets PORT ROOT_FILE SECONDS ASKS},
a request without a file descriptor left.  It prints what came of it, and how often room was asked for.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import treq
from twisted.internet.task import deferLater, react

from matrix_federation_agent import AddressPolicy, ConnectionPolicy, MatrixFederationAgent, TrustPolicy
from matrix_federation_agent.errors import FederationError


def _take_all() -> list[int]:
    """
    Take all file descriptors that there are.
    """
    soft = len(list(Path("/proc/self/fd").iterdir())) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    taken: list[int] = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


async def request(reactor: Any, port: str, root_file: str, seconds: str, asks: str) -> None:
    """
    Ask a server on this machine.

    @param asks: how often room must be asked for until there is some.
    """
    agent = MatrixFederationAgent.new(
        reactor,
        trust=TrustPolicy(ca_files=[root_file], use_system_roots=False),
        addresses=AddressPolicy(allow=["127.0.0.0/8"]),
        connections=ConnectionPolicy(connect_timeout=float(seconds)),
    )
    await deferLater(reactor, 0)  # The reactor itself needs some first.
    taken, asked = _take_all(), []

    def make_room() -> None:
        asked.append("room")
        if len(asked) == int(asks):
            for one in taken:
                os.close(one)

    agent._dialer.room.make = make_room
    try:
        response = await agent.request(b"GET", b"matrix-federation://127.0.0.1:%b/" % port.encode("ascii"))
        result = await treq.text_content(response)
    except FederationError as error:
        result = f"{type(error).__name__}: {error}"
    await agent.close()
    sys.stdout.write(json.dumps([result, len(asked)]))


if __name__ == "__main__":
    react(request, sys.argv[1:])
