"""
Clients of a gateway: lean ones, in a process of their own, all in one loop.

C{python -m benchmarks._clients} reads JSON (where the gateway is, whom to ask, how), sends the requests, and writes
JSON: what they cost the gateway. It fails when a single one is not answered as it should be.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from time import perf_counter, process_time
from typing import Any

import attrs

from ._load import cpu_seconds
from ._memory import resident
from ._nginx import SEND, VERSION
from ._raw_http import Reply, written

TRANSACTION = b'{"pdus": ["' + b"x" * 787 + b'"]}'
EXPECTED = {VERSION: 200, SEND: 2}
"""
The body of a PUT, 800 bytes; and the bytes of the bodies that come back.
"""

SEED = 5
PUTS = 3
"""
Of four requests.
"""


@attrs.frozen
class Sent:
    """
    A request to be sent.

    @ivar expected: bytes of the body of its response.
    """

    data: bytes
    expected: int


def traffic(servers: Sequence[str], *, keep: bool) -> Iterator[Sent]:
    """
    Draw requests without end, always the same ones: transactions for the most part, and between them what is asked of
    a server.

    @param keep: whether connections are to stay.
    """
    rng, number = Random(SEED), 0
    while True:
        server, number = rng.choice(servers), number + 1
        if rng.randrange(4) < PUTS:
            yield Sent(written("PUT", server, f"{SEND}{number}", TRANSACTION, keep=keep), EXPECTED[SEND])
        else:
            yield Sent(written("GET", server, VERSION, keep=keep), EXPECTED[VERSION])


class Clients:
    """
    So many clients at once.

    @ivar done: how many requests were answered.
    """

    def __init__(self, port: int, requests: Iterator[Sent], at_once: int, *, keep: bool) -> None:
        self._port = port
        self._requests = requests
        self._keep = keep
        self._poll = select.epoll()
        self._open: dict[int, _Client] = {}
        self._at_once = at_once
        self.done = 0

    def run(self, number: int) -> None:
        """
        Go on until so many more requests are answered; the others stay under way.
        """
        while len(self._open) < self._at_once:
            self._begin()
        until = self.done + number
        while self.done < until:
            for descriptor, _ in self._poll.poll(60):
                self._advance(self._open[descriptor])

    def close(self) -> None:
        """
        End all of them.
        """
        for client in self._open.values():
            client.connection.close()
        self._poll.close()

    def _begin(self) -> None:
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003 (that is its signature)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect_ex(("127.0.0.1", self._port))
        self._open[connection.fileno()] = _Client(connection, next(self._requests))
        self._poll.register(connection, select.EPOLLOUT)

    def _advance(self, client: _Client) -> None:
        if not client.written:
            client.connection.sendall(client.request.data)
            client.written = True
            self._poll.modify(client.connection, select.EPOLLIN)
            return
        data = client.connection.recv(65536)
        client.reply.feed(data) if data else client.reply.end()
        if client.reply.complete and (self._keep or not data):
            self._answered(client)
        elif not data:
            raise RuntimeError(f"the gateway ended the connection: {client.reply.code} {client.reply.body!r}")

    def _answered(self, client: _Client) -> None:
        reply = client.reply
        if reply.code != 200 or reply.count != client.request.expected:
            raise RuntimeError(f"{reply.code} {bytes(reply.body)!r} is the answer to {client.request.data[:100]!r}")
        self.done += 1
        if self._keep:
            client.request, client.reply = next(self._requests), Reply()
            client.connection.sendall(client.request.data)
            return
        self._poll.unregister(client.connection)
        del self._open[client.connection.fileno()]
        client.connection.close()
        self._begin()


@attrs.define
class _Client:
    connection: socket.socket
    request: Sent
    written: bool = False
    reply: Reply = attrs.field(factory=Reply)


def measured(given: Mapping[str, Any]) -> dict[str, float]:
    """
    Send what is wanted, and tell what it cost the gateway; what comes first is not counted.
    """
    clients = Clients(
        given["gateway"], traffic(given["servers"], keep=given["keep"]), given["at_once"], keep=given["keep"]
    )
    clients.run(given["warm_up"])
    pids: Mapping[str, int] = given["pids"]
    before, memory = {name: cpu_seconds(pid) for name, pid in pids.items()}, resident(pids["gateway"])
    start, own = perf_counter(), process_time()
    clients.run(given["requests"])
    wall, own = perf_counter() - start, process_time() - own
    used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    grown = (resident(pids["gateway"]) - memory) / 2**20
    clients.close()
    busy = {f"{name} %": seconds * 100 / wall for name, seconds in {**used, "clients": own}.items()}
    return {
        "CPU us": used["gateway"] * 1e6 / given["requests"],
        "requests/s": given["requests"] / wall,
        "grown MiB": grown,
        **busy,
    }


if __name__ == "__main__":
    print(json.dumps(measured(json.loads(sys.stdin.read()))))
