"""
The gateway between the homeservers, as C{twist} runs it.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from treq import content, get
from twisted.internet.error import ConnectError
from twisted.logger import LogEvent, eventsFromJSONLogFile
from twisted.web.client import ResponseNeverReceived

from ._program import Program, free_ports
from ._scenario import Shown
from ._synapse import Requests, Synapse
from ._ways import Names, Surroundings

LOCATIONS = ("tcp", "tls", "unix")
"""
How the homeservers connect to the gateway.
"""

_START = 30.0
_NAME = "fedproxy"

# What a homeserver asks another for in the course of the scenario.
_EXPECTED = (
    "/_matrix/key/v2/server",
    "/_matrix/federation/v1/query/directory",
    "/_matrix/federation/v1/make_join/",
    "/_matrix/federation/v2/send_join/",
    "/_matrix/federation/v1/send/",
    "/_matrix/federation/v1/query/profile",
    "/_matrix/federation/v1/media/download/",
    "/_matrix/federation/v1/user/",
    "/_matrix/federation/v1/publicRooms",
    "/_matrix/federation/v2/invite/",
    "/_matrix/federation/v1/make_leave/",
    "/_matrix/federation/v2/send_leave/",
)


class Gateway:
    """
    The gateway in a process of its own, which alone knows where C{hs1.test} and C{hs2.test} are.
    """

    def __init__(self, surroundings: Surroundings, location: str) -> None:
        """
        @param location: one of L{LOCATIONS}.
        """
        self._surroundings = surroundings
        self._location = location
        self._names = Names(surroundings.reactor)
        self._secret = secrets.token_urlsafe(32)
        self._port, self._plain_port = free_ports(2)
        self._program: Program | None = None

    def names(self, ports: Sequence[int]) -> list[str]:
        """
        Name the homeservers, in DNS that only the gateway asks.
        """
        return self._names.add(ports)

    def settings(self) -> Mapping[str, Any]:
        """
        What Synapse needs to know of a gateway.
        """
        places = {
            "tcp": {"host": "127.0.0.1", "port": self._port},
            "tls": {"host": "localhost", "port": self._port, "tls": True},
            "unix": {"path": str(self._path("gateway.sock"))},
        }
        return {
            "outbound_federation_restricted_to": [_NAME],
            "instance_map": {_NAME: places[self._location]},
            "worker_replication_secret": self._secret,
        }

    def environment(self) -> Mapping[str, str]:
        """
        Nothing.
        """
        return {}

    async def start(self) -> None:
        """
        Start it.

        @raise NotReady: when it does not come up.
        """
        self._configure()
        twist = str(Path(sys.executable).with_name("twist"))
        command = [twist, "--log-format=json", f"--log-file={self._path('gateway.log')}", "matrix-federation-gateway"]
        command += ["--config", str(self._path("gateway.toml"))]
        reactor, output = self._surroundings.reactor, self._path("gateway.txt")
        self._program = Program.start(reactor, "the gateway", command, output)
        await self._program.ready(self._is_healthy, _START)

    async def stop(self) -> None:
        """
        End it, and the DNS.
        """
        if self._program is not None:
            await self._program.stop()
        await self._names.stop()

    def evidence(self, servers: Sequence[Synapse]) -> list[Shown]:
        """
        Everything that arrived at a homeserver was sent by the gateway, and nothing got lost.
        """
        shown = [_compared(server, self._forwarded(server.name)) for server in servers]
        paths = [path for server in servers for _, path in server.arrived()]
        missing = [part for part in _EXPECTED if not any(path.startswith(part) for path in paths)]
        shown.append(Shown(f"{len(_EXPECTED)} kinds of requests, of which did not occur: {missing}", not missing))
        bad = [event for event in self._requests() if event["outcome"] != "ok"]
        shown.append(Shown(f"requests that the gateway could not forward: {len(bad)}", not bad))
        return shown

    def _configure(self) -> None:
        certificate = self._surroundings.certificates.issue("localhost")
        self._path("gateway.pem").write_bytes(certificate.certificate_pem)
        self._path("gateway.key").write_bytes(certificate.private_key_pem)
        secret = self._path("secret")
        secret.touch(0o600)
        secret.write_text(self._secret + "\n", "ascii")
        files = f":privateKey={self._path('gateway.key')}:certKey={self._path('gateway.pem')}"
        endpoints = {
            "tcp": f"tcp:{self._port}:interface=127.0.0.1",
            "tls": f"ssl:{self._port}:interface=127.0.0.1{files}",
            "unix": f"unix:{self._path('gateway.sock')}:mode=600",
        }
        # JSON's texts and lists are those of TOML. The second endpoint is for looking at its health.
        listen = json.dumps([endpoints[self._location], f"tcp:{self._plain_port}:interface=127.0.0.1"])
        lines = [
            "[gateway]",
            f"listen = {listen}",
            'secret_file = "secret"',
            "[trust]",
            f"ca_files = {json.dumps([str(self._surroundings.root)])}",
            "use_system_roots = false",
            "[addresses]",
            'allow = ["127.0.0.0/8"]',
            "[discovery]",
            f"dns = {json.dumps([self._names.address])}",
        ]
        self._path("gateway.toml").write_text("\n".join(lines) + "\n", "ascii")

    async def _is_healthy(self) -> bool:
        try:
            response = await get(f"http://127.0.0.1:{self._plain_port}/health", persistent=False)
            await content(response)
        except (ConnectError, ResponseNeverReceived):
            return False
        return bool(response.code == 200)

    def _forwarded(self, name: str) -> Requests:
        found = [event for event in self._requests() if event["server_name"] == name]
        return Counter((event["method"], event["path"]) for event in found)

    def _requests(self) -> Iterator[LogEvent]:
        with self._path("gateway.log").open("r", encoding="utf-8") as file:
            for event in eventsFromJSONLogFile(file):
                if event.get("server_name"):
                    yield event

    def _path(self, name: str) -> Path:
        return self._surroundings.directory / name


def _compared(server: Synapse, forwarded: Requests) -> Shown:
    arrived = server.arrived()
    what = f"{server.name}: {arrived.total()} requests arrived, {forwarded.total()} were sent by the gateway"
    stray, lost = arrived - forwarded, forwarded - arrived
    if stray or lost:
        what += f"; not by the gateway: {dict(stray)}; not arrived: {dict(lost)}"
    return Shown(what, bool(arrived) and not stray and not lost)
