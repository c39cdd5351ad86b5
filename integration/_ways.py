"""
The ways that requests from one homeserver to the other may take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from matrix_federation_agent.testing import Certificates, NameServer

from ._scenario import Shown
from ._synapse import Synapse


@attrs.frozen
class Surroundings:
    """
    What a way has to work with.

    @ivar directory: for its files.
    @ivar root: the file of the authority that issues the certificates of the homeservers.
    """

    reactor: Any
    directory: Path
    certificates: Certificates
    root: Path


class Way(Protocol):
    """
    How one homeserver reaches the other.
    """

    def names(self, ports: Sequence[int]) -> list[str]:
        """
        Name the homeservers that listen for others on these ports.
        """

    def settings(self) -> Mapping[str, Any]:
        """
        Tell what the configuration of each Synapse has beyond the usual.
        """

    def environment(self) -> Mapping[str, str]:
        """
        Tell what the environment of each Synapse has beyond the usual.
        """

    async def start(self) -> None:
        """
        Start what stands between them.

        @raise NotReady: when it does not come up.
        """

    async def stop(self) -> None:
        """
        End it, once both have ended.
        """

    def evidence(self, servers: Sequence[Synapse]) -> list[Shown]:
        """
        Compare what has arrived with what was sent on this way, when everything has ended.
        """


class Direct:
    """
    Synapse's own agent: the control, which tells whether everything else of a run is sound.

    It asks the system's resolver, hence the names.
    """

    def names(self, ports: Sequence[int]) -> list[str]:
        """
        Name them by their ports on this machine.
        """
        return [f"localhost:{port}" for port in ports]

    def settings(self) -> Mapping[str, Any]:
        """
        Nothing.
        """
        return {}

    def environment(self) -> Mapping[str, str]:
        """
        Nothing.
        """
        return {}

    async def start(self) -> None:
        """
        Nothing.
        """

    async def stop(self) -> None:
        """
        Nothing.
        """

    def evidence(self, servers: Sequence[Synapse]) -> list[Shown]:
        """
        Nothing.
        """
        return []


class Names:
    """
    DNS that nobody asks but what is told to: C{hs1.test} and C{hs2.test} are known in no other.
    """

    def __init__(self, reactor: Any) -> None:
        self._server = NameServer.new(reactor)

    @property
    def address(self) -> str:
        """
        The host and port to ask.
        """
        host, port = self._server.address
        return f"{host}:{port}"

    def add(self, ports: Sequence[int]) -> list[str]:
        """
        Name the homeservers that listen on these ports, by SRV records.
        """
        names = [f"hs{number}.test" for number, _ in enumerate(ports, 1)]
        for name, port in zip(names, ports, strict=True):
            self._server.add_address(name, "127.0.0.1")
            self._server.add_service(f"_matrix-fed._tcp.{name}", name, port)
        return names

    def asked(self) -> list[str]:
        """
        List the names whose SRV records were asked for.
        """
        return sorted({name for name, kind in self._server.queries if kind == "SRV"})

    async def stop(self) -> None:
        """
        End it.
        """
        await self._server.stop()
