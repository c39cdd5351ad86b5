"""
The other side: a federation in a process of its own.

The first line of JSON that C{python -m benchmarks._far_side} reads says which servers.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort

from matrix_federation_agent.testing import (
    LoopbackFederation,
    LoopbackReactor,
    NameServer,
    VirtualServer,
    WellKnownHost,
)
from matrix_federation_agent.testing._connections import TrackedFactory
from matrix_federation_agent.testing._hostnames import ZoneHostnameResolver
from matrix_federation_agent.testing._zone import Reply, folded

from ._process import ServedProcess, serve

CROWD = "crowd.example"
"""
Every name below it is a server that delegates to this one, port 443.
"""

_BACKLOG = 4096


class RecordingReactor(LoopbackReactor):
    """
    A reactor that knows which virtual addresses lead where, and has room for many connections at once.

    @ivar places: the real port and the factory behind each virtual address and port.
    """

    def __init__(self, reactor: Any, name_resolver: Any) -> None:
        super().__init__(reactor, name_resolver)
        self.places: dict[tuple[str, int], tuple[int, TrackedFactory]] = {}
        self._factories: dict[int, TrackedFactory] = {}

    def listenTCP(self, port: int, factory: Any, backlog: int = _BACKLOG, interface: str = "") -> IListeningPort:
        """
        Listen, and remember what listens.
        """
        listening = super().listenTCP(port, factory, max(backlog, _BACKLOG), interface)
        self._factories[listening.getHost().port] = factory  # type: ignore[attr-defined]
        return listening

    def map(self, address: str, port: int, real_port: int) -> None:
        """
        Remember where it leads.
        """
        super().map(address, port, real_port)
        self.places[address, port] = (real_port, self._factories[real_port])


class CrowdNameServer(NameServer):
    """
    A name server that knows every name below L{CROWD}.
    """

    def reply(self, name: str, record_type: int) -> Reply | None:
        """
        Answer for all of them alike.
        """
        crowd = folded(name).endswith("." + CROWD)
        return super().reply(f"*.{CROWD}" if crowd else name, record_type)


class FarSide:
    """
    The federation, and what has arrived there.
    """

    def __init__(self, reactor: Any) -> None:
        self._name_server = CrowdNameServer.new(reactor)
        virtual = RecordingReactor(reactor, ZoneHostnameResolver(self._name_server))
        directory = Path(tempfile.mkdtemp(prefix="far-side-"))
        self._federation = LoopbackFederation(virtual, self._name_server, directory)
        self._places = virtual.places
        self._servers: list[VirtualServer] = []
        self._documents: list[WellKnownHost] = []
        self._accepted: Counter[str] = Counter()

    def add(self, server: Mapping[str, Any]) -> None:
        """
        Add what one element of the JSON describes: a C{name}, a C{step}, and whether C{.well-known} is C{missing}
        (404) there.
        """
        name = server["name"]
        if name == CROWD:
            self._add_crowd()
            return
        self._servers.append(self._federation.add_server(name, server["step"]))
        if server.get("missing"):
            self._documents.append(self._federation.serve_well_known(name, {}, status=404))

    def _add_crowd(self) -> None:
        body = {"m.server": f"{CROWD}:443"}
        certificate = self._federation.certificates.issue(f"*.{CROWD}", CROWD)
        document = self._federation.serve_well_known(f"*.{CROWD}", body, certificate=certificate)
        self._name_server.add_address(CROWD, document.address)

    def describe(self) -> dict[str, Any]:
        """
        Tell where everything is.
        """
        return {
            "name_server": self._name_server.address,
            "root_file": self._federation.trust.ca_files[0],
            "ports": [[address, port, real] for (address, port), (real, _) in self._places.items()],
            "addresses": {
                name: self._name_server.address_of(name)
                for name in self._name_server._records  # noqa: SLF001
                if self._name_server.address_of(name)
            },
        }

    def counts(self) -> dict[str, Any]:
        """
        Tell what has arrived since the last time.
        """
        queries = Counter(f"{kind} {name}" for name, kind in self._name_server.queries)
        self._name_server.queries.clear()
        accepted = Counter({f"{host} {port}": tracked.accepted for (host, port), (_, tracked) in self._places.items()})
        since, self._accepted = accepted - self._accepted, accepted
        return {"queries": queries, "connections": since}

    def stop(self) -> Deferred[None]:
        """
        End all of it.
        """
        return self._federation.stop()


def _made(reactor: Any, servers: Sequence[Mapping[str, Any]]) -> FarSide:
    far_side = FarSide(reactor)
    for server in servers:
        far_side.add(server)
    return far_side


class FarSideProcess(ServedProcess):
    """
    A far side, seen from the process that started it; ends with the C{with} block.
    """

    def __init__(self, servers: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("benchmarks._far_side", list(servers))


if __name__ == "__main__":
    serve(_made)
