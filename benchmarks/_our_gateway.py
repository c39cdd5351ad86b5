"""
The gateway of this package, as an operator starts it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._frame import ROOT
from ._raw_http import SECRET
from ._running import free_port, running

BACKLOG = 1024
"""
Connections that the system keeps until they are accepted. Twisted's 50 are too few for a thousand clients that come at
once: the system drops the others' first packet, and they send it again after a second.
"""

_SETTINGS = """
[gateway]
listen = ["tcp:{port}:interface=127.0.0.1:backlog={backlog}"]
secret_file = "secret"

[trust]
ca_files = ["{root_file}"]
use_system_roots = false

[addresses]
allow = ["127.0.0.0/8"]
"""


@contextmanager
def our_gateway(directory: Path, root_file: str) -> Iterator[tuple[int, int]]:
    """
    Run it.

    @param root_file: the certificate authority of the far side.
    @return: its port, and the id of its process.
    """
    port = free_port()
    (directory / "secret").write_text(SECRET, "ascii")
    (directory / "secret").chmod(0o600)
    settings = _SETTINGS.format(port=port, backlog=BACKLOG, root_file=root_file)
    (directory / "gateway.toml").write_text(settings, "utf-8")
    log = ["--log-format=text", f"--log-file={directory / 'gateway.log'}"]
    service = ["matrix-federation-gateway", "--config", str(directory / "gateway.toml")]
    command = [sys.executable, "-m", "twisted", *log, *service]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with running(command, port, directory / "gateway.out", environment) as process:
        yield port, process.pid
