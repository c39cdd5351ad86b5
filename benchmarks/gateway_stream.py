"""
Large bodies through the gateway: an upload and a download of 100 MiB, and how much the gateway grows meanwhile.

Each as fast as it goes, and beside a client, then a server, that is slower than the other side: if nobody waited for
the slower one, all of it would be in the gateway. Memory is the highest that the system saw, above what the process
held before. It fails when a body is not whole, or when the gateway grows by 8 MiB or more.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

import attrs

from ._chains import make_chain
from ._frame import Contender, Numbers, Report, finish, interleaved, options, table
from ._load import cpu_seconds
from ._memory import highest, highest_from_now
from ._our_gateway import our_gateway
from ._raw_http import Reply, written
from ._slow_server import BUFFER, MIB, PIECE, SlowServer, send_paced, slow_server, take_paced

SIZE = 100 * MIB
SLOW = 12.5 * MIB
"""
Bytes of a body, and bytes a second of the side that is slow.
"""

LIMIT = 8.0
"""
MiB by which the gateway may grow.
"""

FAST, SLOW_CLIENT, SLOW_SERVER = "both fast", "slow client", "slow server"
LIMIT_OF_TIME = 60.0


@attrs.frozen
class Way:
    """
    From the client, through the gateway, to the server.

    @ivar gateway: its port.
    @ivar pid: of its process.
    @ivar server_name: of the server.
    """

    gateway: int
    pid: int
    server: SlowServer
    server_name: str


Transfer = Callable[[socket.socket, str, int, float], int]


def upload(connection: socket.socket, server_name: str, size: int, rate: float) -> int:
    """
    Send a body.

    @return: how much of it arrived.
    """
    connection.sendall(written("PUT", server_name, "/upload", b"", length=size))
    send_paced(connection.sendall, size, rate)
    reply = _read(connection, Reply())
    return int(reply.body)


def download(connection: socket.socket, server_name: str, size: int, rate: float) -> int:
    """
    Receive one.

    @return: how long it was.
    """
    connection.sendall(written("GET", server_name, f"/{size}"))
    reply = Reply(keeps=False)

    def read(most: int) -> bytes:
        data = connection.recv(most)
        reply.feed(data)
        return data

    # All of it, with what stands around the body.
    take_paced(read, 2 * size, rate)
    return _whole(reply).count


def _read(connection: socket.socket, reply: Reply) -> Reply:
    while data := connection.recv(65536):
        reply.feed(data)
    return _whole(reply)


def _whole(reply: Reply) -> Reply:
    reply.end()
    if reply.code != 200 or not reply.complete:
        raise RuntimeError(f"{reply.code} after {reply.count} bytes: {bytes(reply.body[:300])!r}")
    return reply


def _connected(port: int, *, slow: bool) -> socket.socket:
    connection = socket.socket()
    connection.settimeout(LIMIT_OF_TIME)
    if slow:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    connection.connect(("127.0.0.1", port))
    return connection


def _measured(way: Way, transfer: Transfer, who: str) -> Numbers:
    way.server.rate = SLOW if who == SLOW_SERVER else 0.0
    before, used, began = highest_from_now(way.pid), cpu_seconds(way.pid), monotonic()
    with _connected(way.gateway, slow=who == SLOW_CLIENT) as connection:
        count = transfer(connection, way.server_name, SIZE, SLOW if who == SLOW_CLIENT else 0.0)
    if count != SIZE:
        raise RuntimeError(f"{count} bytes of {SIZE} arrived")
    return {
        "MiB": max(0, highest(way.pid) - before) / MIB,
        "seconds": monotonic() - began,
        "CPU ms": (cpu_seconds(way.pid) - used) * 1000,
    }


@contextmanager
def _way() -> Iterator[Way]:
    with tempfile.TemporaryDirectory(prefix="gateway-") as name:
        directory, chain = Path(name), make_chain("EC", 2, "127.0.0.1")
        root = directory / "root.pem"
        root.write_text(chain.root, "ascii")
        with slow_server(chain, directory) as (server, port), our_gateway(directory, str(root)) as (ours, pid):
            way = Way(ours, pid, server, f"127.0.0.1:{port}")
            for transfer in (upload, download):
                # A short one, for what is made at the first time.
                with _connected(ours, slow=False) as connection:
                    transfer(connection, way.server_name, PIECE, 0.0)
            yield way


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__, rounds=3)
    with _way() as way:
        contenders = [
            Contender(f"{transfer.__name__}, {who}", partial(_measured, way, transfer, who))
            for transfer in (upload, download)
            for who in (FAST, SLOW_CLIENT, SLOW_SERVER)
        ]
        report = Report("gateway_stream", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(table(report.samples))
    finish(report, chosen)
    grown = max(numbers.get("MiB", 0.0) for found in report.samples.values() for numbers in found)
    if grown >= LIMIT:
        raise SystemExit(f"the gateway grew by {grown:.1f} MiB")


if __name__ == "__main__":
    main()
