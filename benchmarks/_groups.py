"""
A far side of groups: every name C{anything.GROUP.example} is a server, and all of one group are alike.

Sound ones are one nginx, which must be on the path (Debian: C{nginx-light}). Dead ones are sockets on which nobody says
anything, so that whatever is asked of them costs this side next to nothing. C{python -m benchmarks._groups} writes one
line of JSON (where everything is), and ends with its standard input.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.names import dns
from twisted.python.failure import Failure

from matrix_federation_agent.testing import NameServer
from matrix_federation_agent.testing._zone import Reply, folded

from ._chains import make_chain
from ._frame import ROOT
from ._running import free_port, listens

PLAIN, DELEGATED = "plain", "delegated"
REFUSED, BLACK_HOLE, SILENT_TCP, SILENT_TLS, SILENT_DNS = "refused", "hole", "silent-tcp", "silent-tls", "silent-dns"
DEAD = (REFUSED, BLACK_HOLE, SILENT_TCP, SILENT_TLS, SILENT_DNS)
"""
Groups: one that answers at port 8448, one that delegates to C{m-NAME:8448}, and those that answer nothing.
"""

PORTS = (443, 8448)
_BACKLOG = 4096
_FILES = 20_000

_CONFIGURATION = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/log crit;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_timeout 3600; keepalive_requests 1000000; default_type application/json;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    ssl_certificate {directory}/chain.pem; ssl_certificate_key {directory}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{sound} ssl backlog={backlog};
        location /.well-known/ {{ return 404 "{{}}"; }}
        location / {{ return 200 "{{}}"; }}
    }}
    server {{
        listen 127.0.0.1:{sound} ssl; server_name *.delegated.example;
        location /.well-known/ {{ return 200 '{{"m.server": "m-$host:8448"}}'; }}
        location / {{ return 200 "{{}}"; }}
    }}
    server {{
        listen 127.0.0.1:{silent} ssl backlog={backlog};
        location / {{ proxy_pass http://127.0.0.1:{nobody}; proxy_read_timeout 3600; }}
    }}
}}
"""


class GroupNameServer(NameServer):
    """
    A name server to which all names of a group are the same, C{*.GROUP.example}.
    """

    def reply(self, name: str, record_type: int) -> Reply | None:
        """
        Answer for the group; names that begin with an underscore do not exist.
        """
        group = folded(name).split(".")[-2]
        if group == SILENT_DNS:
            return None
        return super().reply(f"*.{group}.example" if record_type in (dns.A, dns.AAAA) else name, record_type)


def full_socket() -> tuple[socket.socket, ...]:
    """
    Make a socket whose queue is full, so that Linux drops what arrives there: a black hole.

    @return: the socket, and those in its queue.
    """
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    queued = [socket.socket() for _ in range(4)]
    for each in queued:
        each.settimeout(0)
        each.connect_ex(listening.getsockname())
    return (listening, *queued)


class Groups:
    """
    All groups.
    """

    def __init__(self, reactor: Any) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="groups-"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self._hole = full_socket()
        silent = Factory.forProtocol(Protocol)
        silent.noisy = False
        self._nobody = reactor.listenTCP(0, silent, _BACKLOG, "127.0.0.1").getHost().port
        self._sound, self._silent = free_port(), free_port()
        self._nginx = self._start_nginx()
        self._name_server = GroupNameServer.new(reactor)
        self._places: dict[str, int | None] = {
            PLAIN: self._sound,
            DELEGATED: self._sound,
            REFUSED: None,
            BLACK_HOLE: self._hole[0].getsockname()[1],
            SILENT_TCP: self._nobody,
            SILENT_TLS: self._silent,
        }
        self._addresses = {group: f"198.51.100.{number}" for number, group in enumerate(self._places, 1)}
        for group, address in self._addresses.items():
            self._name_server.add_address(f"*.{group}.example", address, ttl=86400)

    def _start_nginx(self) -> subprocess.Popen[bytes]:
        chain = make_chain("EC", 2, *(f"*.{group}.example" for group in (PLAIN, DELEGATED, SILENT_TLS)))
        place = self._directory
        (place / "key.pem").write_text(chain.key, "ascii")
        (place / "chain.pem").write_text("".join(chain.shown), "ascii")
        (place / "root.pem").write_text(chain.root, "ascii")
        ports = {"sound": self._sound, "silent": self._silent, "nobody": self._nobody}
        text = _CONFIGURATION.format(directory=place, backlog=_BACKLOG, **ports)
        (place / "conf").write_text(text, "ascii")
        return subprocess.Popen(
            ["nginx", "-p", place, "-e", place / "log", "-c", place / "conf"], stdin=subprocess.DEVNULL
        )

    def describe(self) -> dict[str, Any]:
        """
        Tell where everything is, once it is there.
        """
        while self._nginx.poll() is None and not listens(self._silent):
            pass
        ports = [[self._addresses[group], port, real] for group, real in self._places.items() if real for port in PORTS]
        return {
            "name_server": self._name_server.address,
            "root_file": str(self._directory / "root.pem"),
            "ports": ports,
            "groups": self._addresses,
            "sound_port": self._sound,
            "addresses": {},
        }

    async def stop(self) -> None:
        """
        End all of it.
        """
        self._nginx.kill()
        self._nginx.wait()
        await self._name_server.stop()
        for path in self._directory.iterdir():
            path.unlink()
        self._directory.rmdir()


class UntilParentEnds(Protocol):
    """
    Waits for the end of standard input.
    """

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The parent is done with it.
        """
        self.done.callback(None)


class GroupsProcess:
    """
    Groups, seen from the process that started it; ends with the C{with} block.

    @ivar description: where everything is, to be handed to children.
    @ivar last_words: what it wrote besides, once it has ended.
    """

    def __init__(self, module: str = "benchmarks._groups") -> None:
        command = [sys.executable, "-W", "ignore", "-m", module]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
        )
        if self._process.stdout is None:
            raise RuntimeError("the far side has no pipe")
        self.description: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.last_words = ""

    def tell(self, what: object) -> None:
        """
        Write a line to it, as JSON.
        """
        if self._process.stdin is None:
            raise RuntimeError("the far side has no pipe")
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.last_words = self._process.communicate(timeout=10)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def with_names(description: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """
    Give a far side's description the addresses of some names, for contenders that find them in a table.
    """
    groups = description["groups"]
    found = {name: groups[group] for name in names if (group := name.split(".")[-2]) in groups}
    return {**description, "addresses": found}


async def main(reactor: Any) -> None:
    """
    Run until standard input ends.
    """
    groups = Groups(reactor)
    print(json.dumps(groups.describe()), flush=True)
    parent = UntilParentEnds()
    StandardIO(parent, reactor=reactor)
    await parent.done
    with suppress(OSError):
        await groups.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
