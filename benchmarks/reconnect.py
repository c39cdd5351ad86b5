"""
Connecting again to 1,000 servers that close after each response, 50 at a time: the CPU of the client's process.

Every contender that remembers anything asks all of them once, and is measured when it asks them again: it then has
delegations, SRV records, addresses and TLS sessions, as far as it keeps them. Those that remember nothing ask only a
few names first. A third of the servers have neither C{.well-known} nor SRV records, a third delegate, a third have an
SRV record; contenders that discover nothing are told where they are. The server answers whether the session was reused.
Our agent's addresses come from DNS, and are remembered; those of the others from a table, at no cost, because they
would ask the system in threads. Contenders that only explain the others ask fewer.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred, gatherResults, succeed

from ._contenders import (
    AIOHTTP,
    OURS,
    PLAIN,
    SYNAPSE,
    TREQ,
    OneContext,
    Verifying,
    be_contender,
    ours,
    plain,
    present,
    verifying_context,
)
from ._crowd import crowd, direct
from ._frame import Contender, finish, options, table
from ._load import Client, Given, Meter, Question, ask_all
from ._nginx import REUSED
from ._world import World, contender, reported, tell_ratios, world

COUNT, FEWER = 1000, 300
"""
Servers, and how many of them are asked by contenders that only explain the others.
"""

AT_ONCE = 50
NAMES = crowd(COUNT)
FEW = 60
WITHOUT = "ours, max_sessions=0"
PLAIN_RESUMING = "plain Agent, made to resume"
RAW, RAW_WITHOUT = "raw pyOpenSSL, resuming", "raw pyOpenSSL"
KINDS = {
    "EC": ("EC", (OURS, WITHOUT, PLAIN, PLAIN_RESUMING, TREQ, SYNAPSE, AIOHTTP, RAW, RAW_WITHOUT)),
    "RSA 2048": ("2048", (OURS, PLAIN, RAW)),
}
"""
Keys of the server, and who is measured with each.
"""

THOSE_COMPARED = (OURS, PLAIN, SYNAPSE)
REMEMBERING = (OURS, WITHOUT, SYNAPSE, PLAIN_RESUMING, RAW)


async def work(client: Client, given: Given) -> dict[str, Any]:
    """
    Ask everybody again.
    """
    questions = [Question(name, REUSED) for name in given["names"]]
    await ask_all(client, questions[: given["before"]], given["at_once"])
    meter = Meter(given)
    meter.start()
    answers = await ask_all(client, questions, given["at_once"])
    return {**meter.stop(len(answers)), "resumed": answers.count(b"r") / len(answers)}


@attrs.frozen
class _Resuming(Verifying):
    """
    Goes on from the session of the last connection to the name, without any check: the least that it can cost.
    """

    connections: dict[str, SSL.Connection]

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = super().clientConnectionForTLS(tlsProtocol)
        last = self.connections.get(self.hostname)
        session = None if last is None else last.get_session()
        if session is not None:
            connection.set_session(session)
        self.connections[self.hostname] = connection
        return connection


@attrs.frozen
class _OneContextResuming(OneContext):
    connections: dict[str, SSL.Connection] = attrs.field(factory=dict)

    def creatorForNetloc(self, hostname: bytes, port: int) -> Verifying:
        return _Resuming(self.context, hostname.decode("ascii"), self.connections)


def raw(_reactor: Any, given: Given, *, resuming: bool) -> Client:
    """
    Make the client that is nothing but pyOpenSSL and blocking sockets: what the handshake itself costs.
    """
    context = verifying_context(given["root_file"])
    sessions: dict[str, SSL.Session | None] = {}

    async def ask(question: Question) -> bytes:
        name = direct(question.name).partition(":")[0]
        connection = Verifying(context, name).clientConnectionForTLS(None)
        if (session := sessions.get(name)) is not None:
            connection.set_session(session)
        with socket.create_connection(("127.0.0.1", given["port"])) as tcp:
            body = _request(connection, tcp, name, question.path)
        if resuming:
            sessions[name] = connection.get_session()
        connection.set_shutdown(SSL.SENT_SHUTDOWN)
        return body

    async def download(question: Question) -> int:
        return len(await ask(question))

    def gather(coroutines: Sequence[Any]) -> Deferred[Any]:
        return gatherResults([Deferred.fromCoroutine(each) for each in coroutines])

    return Client(ask, download, gather, lambda: succeed(None))


def _request(connection: SSL.Connection, tcp: socket.socket, name: str, path: str) -> bytes:
    connection.set_connect_state()
    while not _attempt(connection.do_handshake, connection, tcp):
        pass
    connection.send(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii"))
    received = b""
    try:
        while True:
            if (data := _attempt(partial(connection.recv, 65536), connection, tcp)) is not False:
                received += data
    except SSL.ZeroReturnError:
        return received.partition(b"\r\n\r\n")[2]


def _attempt(step: Callable[[], Any], connection: SSL.Connection, tcp: socket.socket) -> Any:
    """
    Do something that may need bytes from the server first.

    @return: False where it did; what came of it otherwise.
    """
    try:
        return step() or True
    except SSL.WantReadError:
        try:
            tcp.sendall(connection.bio_read(65536))
        except SSL.WantReadError:
            connection.bio_write(tcp.recv(65536))
        return False


MORE = {
    WITHOUT: partial(ours, trust={"max_sessions": 0}),
    PLAIN_RESUMING: partial(plain, policy=_OneContextResuming),
    RAW: partial(raw, resuming=True),
    RAW_WITHOUT: partial(raw, resuming=False),
}


def told(far_side: World, who: str) -> dict[str, Any]:
    """
    Tell a contender's child where everything is, and how many servers to ask first.
    """
    names = NAMES if who in THOSE_COMPARED else NAMES[:FEWER]
    settings = {"names": names, "at_once": AT_ONCE, "keep": False, "connections": {"idle_connections": 0}}
    return {**far_side.given, **settings, "before": len(names) if who in REMEMBERING else FEW}


def _rows(kind: str, far_side: World, chosen: argparse.Namespace) -> list[Contender]:
    return [
        contender("benchmarks.reconnect", f"{kind}: {who}", who, told(far_side, who), chosen)
        for who in present(KINDS[kind][1], chosen.synapse)
    ]


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_contender(chosen.child, work, MORE)
        return
    with ExitStack() as stack:
        sides = {kind: stack.enter_context(world(key, keep=False)) for kind, (key, _) in KINDS.items()}
        rows = [row for kind, far_side in sides.items() for row in _rows(kind, far_side, chosen)]
        report = reported("reconnect", rows, chosen, sides["EC"].homeservers)
    print(table(report.samples))
    for kind, (_, contenders) in KINDS.items():
        for who in (each for each in contenders if each != PLAIN):
            tell_ratios(report, f"{kind}: {who}", f"{kind}: {PLAIN}", "CPU us", "requests/s")
        tell_ratios(report, f"{kind}: {OURS}", f"{kind}: {SYNAPSE}", "CPU us", "requests/s")
    finish(report, chosen)


if __name__ == "__main__":
    main()
