"""
The homeservers: one nginx, one process, which must be on the path (Debian: C{nginx-light}).

It is all servers of the crowd at once, by a certificate for all their names.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import attrs

from ._chains import Chain
from ._running import free_port, listens

VERSION = "/_matrix/federation/v1/version"
"""
A path that answers with 200 bytes of JSON.
"""

REUSED = "/reused"
"""
A path that answers whether the session was reused: C{r}, or C{.}.
"""

SEND = "/_matrix/federation/v1/send/"
"""
Below this path a request is read to its end, and answered with an empty object.
"""

LARGE = "/large"
LARGE_BYTES = 50 * 1000 * 1000
"""
The path and the size of a large file.
"""

PATHS = ("/usr/sbin", "/usr/local/sbin")

_CONFIGURATION = r"""
daemon off; master_process off; pid @directory@/pid; error_log @directory@/log crit;
events { worker_connections 8192; }
http {
    access_log off; keepalive_timeout @keepalive@; keepalive_requests 10000000;
    client_body_buffer_size 2m; client_max_body_size 64m;
    client_body_temp_path @directory@; proxy_temp_path @directory@; fastcgi_temp_path @directory@;
    uwsgi_temp_path @directory@; scgi_temp_path @directory@;
    log_format host '$host';
    map $host $delegation {
        default "";
        ~^d(?<delegating>[0-9]+)\.crowd\.example$ '{"m.server": "m$delegating.crowd.example:443"}';
        ~^b(?<both>[0-9]+)\.crowd\.example$ '{"m.server": "s$both.crowd.example"}';
    }
    upstream swallowing { server unix:@directory@/socket; keepalive 64; }
    server { listen unix:@directory@/socket; default_type application/json; location / { return 200 '{}'; } }
    server { listen 127.0.0.1:@status@; location / { stub_status; } }
    server {
        @listen@ default_type application/json; root @directory@/files;
        ssl_certificate @directory@/chain.pem; ssl_certificate_key @directory@/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        location = /.well-known/matrix/server {
            access_log @directory@/fetches host;
            if ($delegation = "") { return 404; }
            return 200 $delegation;
        }
        location = /_matrix/federation/v1/version { return 200 '@version@'; }
        location = /reused { return 200 "$ssl_session_reused"; }
        location /_matrix/federation/v1/send/ {
            proxy_pass http://swallowing/; proxy_http_version 1.1; proxy_pass_request_body off;
            proxy_set_header Connection ""; proxy_set_header Content-Length "";
        }
        location = /large { }
    }
}
"""


@attrs.frozen
class Nginx:
    """
    A server that runs.

    @ivar pid: of its process.
    @ivar version: of nginx, and of its OpenSSL.
    """

    directory: Path
    port: int
    status: int
    pid: int
    version: str

    @property
    def description(self) -> dict[str, Any]:
        """
        Where it is, as JSON for children.
        """
        return {"port": self.port, "status": self.status, "root_file": str(self.directory / "root.pem")}

    def fetches(self, name: str) -> int:
        """
        Tell how often C{.well-known} of a name was fetched; it is counted from zero afterwards.
        """
        log = self.directory / "fetches"
        number = log.read_text("ascii").split().count(name)
        os.truncate(log, 0)
        return number


def accepted(status: int) -> int:
    """
    Tell how many connections an nginx has accepted, the one that asks included.

    @param status: the port that tells.
    """
    connection = HTTPConnection("127.0.0.1", status)
    connection.request("GET", "/")
    text = connection.getresponse().read().decode("ascii")
    connection.close()
    found = re.search(r"requests\s+(\d+)", text)
    if found is None:
        raise RuntimeError("nginx does not tell its status")
    return int(found[1])


@contextmanager
def nginx(chain: Chain, *, keep: bool = True, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[Nginx]:
    """
    Run a server.

    @param keep: whether it keeps connections open after a response.
    @param hosts: the addresses of this machine that it listens at, all at the same port.
    """
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        directory = Path(name)
        port, status = free_port(), free_port()
        _prepare(directory, chain)
        settings = {
            "directory": name,
            "listen": " ".join(f"listen {host}:{port} ssl backlog=4096;" for host in hosts),
            "status": status,
            "keepalive": 600 if keep else 0,
            "version": _version_body(),
        }
        (directory / "conf").write_text(_filled(settings), "ascii")
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *PATHS])
        command = ["nginx", "-p", name, "-e", f"{name}/log", "-c", f"{name}/conf"]
        server = subprocess.Popen(command, env={**os.environ, "PATH": path})
        try:
            while server.poll() is None and not listens(port):
                pass
            yield Nginx(directory, port, status, server.pid, _told_version(path))
        finally:
            server.terminate()
            server.wait()


def _filled(settings: dict[str, Any]) -> str:
    return re.sub(r"@(\w+)@", lambda found: str(settings[found[1]]), _CONFIGURATION)


def _version_body() -> str:
    body = '{"server": {"name": "Example", "version": "%s"}}'
    return body % "1".ljust(200 - len(body) + 2, "0")


def _prepare(directory: Path, chain: Chain) -> None:
    (directory / "key.pem").write_text(chain.key, "ascii")
    (directory / "chain.pem").write_text("".join(chain.shown), "ascii")
    (directory / "root.pem").write_text(chain.root, "ascii")
    (directory / "files").mkdir()
    with (directory / "files" / "large").open("wb") as file:
        file.truncate(LARGE_BYTES)


def _told_version(path: str) -> str:
    command = ["nginx", "-V"]
    told = subprocess.run(command, env={"PATH": path}, stderr=subprocess.PIPE, text=True, check=True).stderr
    return ", ".join(line.removeprefix("nginx version: ") for line in told.splitlines()[:2])
