"""
Servers of other makes, in processes of their own on free ports, until a C{with} block ends.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from ._frame import ROOT

STARTS = 60.0
"""
Seconds in which a server must listen.
"""


def free_port() -> int:
    """
    Find a port that nobody has at the moment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    """
    Tell whether somebody listens there.
    """
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a server from the moment in which it listens, to the end of the block.

    @param port: where it listens.
    @param log: the file for what it writes to its standard output and error.
    @raise RuntimeError: when it ends, or does not listen in time.
    """
    with log.open("ab") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=environment
        )
    try:
        _await(server, port, log)
        yield server
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = monotonic() + STARTS
    while not listens(port):
        if server.poll() is not None or monotonic() > until:
            raise RuntimeError(f"{server.args!r} does not listen: {log.read_text('utf-8', 'replace')[-2000:]}")
        sleep(0.01)
