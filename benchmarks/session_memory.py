"""
The memory that a remembered TLS session holds, for chains of several shapes.

Each row is a process of its own that shakes hands in memory, with our own connections and sessions, and remembers
every session: its memory afterwards less that before, beside what the policy's bound counts.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import time
from typing import Any, cast

import attrs
from OpenSSL import SSL, crypto

from benchmarks._chains import Chain, make_chain
from benchmarks._frame import Contender, Numbers, Report, be_child, finish, in_child, interleaved, options, table
from benchmarks._frame import resident_bytes as resident
from matrix_federation_agent import ServerName, TrustPolicy
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._identity import Identity
from matrix_federation_agent._tls.trust import TrustGeneration
from matrix_federation_agent._tls.verification import VerifiedConnectionCreator

NAME = "matrix.example"
WARM = 100
SHAPES = {
    **{f"EC, {length} sent": ("EC", length, 0) for length in (1, 2, 3, 4)},
    **{f"RSA {bits}, {length} sent": (bits, length, 0) for bits in ("2048", "4096") for length in (2, 3)},
    "EC, 2 sent and 50 KB of crumbs": ("EC", 2, 50_000),
}
VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def server_context(chain: Chain, newest: int = SSL.TLS1_3_VERSION) -> SSL.Context:
    """
    Make the settings of a server that shows a chain.
    """
    directory = Path(tempfile.mkdtemp(prefix="chain-"))
    (directory / "key.pem").write_text(chain.key, "ascii")
    (directory / "chain.pem").write_text("".join(chain.shown), "ascii")
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey_file(str(directory / "key.pem"))
    context.use_certificate_chain_file(str(directory / "chain.pem"))
    context.set_session_id(b"benchmark")
    context.set_max_proto_version(newest)
    return context


def generation(chain: Chain, **settings: Any) -> TrustGeneration:
    """
    Trust the root of a chain.
    """
    loaded = TrustGeneration.load(TrustPolicy(use_system_roots=False, **settings))
    store = loaded.context.get_cert_store()
    assert store is not None
    store.add_cert(crypto.load_certificate(crypto.FILETYPE_PEM, chain.root.encode("ascii")))
    return loaded


def shake(client: SSL.Connection, context: SSL.Context) -> Iterator[int]:
    """
    Make the handshake of a client with a server, and let the server send a byte.

    @return: the bytes that the client received: of the handshake, then of what followed.
    """
    server = SSL.Connection(context, None)
    server.set_accept_state()
    client.set_connect_state()
    received = 0
    for one, other in ((client, server), (server, client)) * 2:
        done = _step(one)
        received += _move(one, other) if one is server else 0 * _move(one, other)
    _step(client)
    _move(client, server)
    assert done or _step(server)
    yield received
    server.send(b"x")
    received += _move(server, client)
    client.recv(1)
    yield received
    # What Twisted's transport does at the end of a connection.
    client.shutdown()


def _step(connection: SSL.Connection) -> bool:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return False
    return True


def _move(sender: SSL.Connection, receiver: SSL.Connection) -> int:
    moved = 0
    try:
        while data := sender.bio_read(65536):
            receiver.bio_write(data)
            moved += len(data)
    except SSL.WantReadError:
        pass
    return moved


def visit(trust: TrustGeneration, context: SSL.Context, port: int) -> bool:
    """
    Make a connection of ours, and remember its session.

    @return: whether it was resumed.
    """
    name = ServerName.parse(NAME)
    creator = VerifiedConnectionCreator(trust, Identity(name, name), Target(name, port), None, time)
    client = creator.clientConnectionForTLS(cast("Any", None))
    shaking = shake(client, context)
    next(shaking)
    if creator.conclude(client) is not None:
        raise AssertionError("refused")
    creator.keep_session(client, next(shaking))
    for _ in shaking:
        pass
    return creator.resumed


async def remember(_reactor: Any, given: Any) -> dict[str, float]:
    """
    Be the child that remembers.
    """
    chain, count = Chain.from_json(given["chain"]), given["count"]
    context = server_context(chain, VERSIONS[given["version"]])
    trust = generation(chain, max_sessions=count + WARM, max_session_bytes=2**40)
    for number in range(WARM):
        visit(trust, context, 60_000 + number)
    gc.collect()
    before, counted = resident(), trust.sessions.weight
    for number in range(count):
        visit(trust, context, 1 + number)
    gc.collect()
    return {
        "sent bytes": chain.der_bytes,
        "held bytes": (resident() - before) / count,
        "counted bytes": (trust.sessions.weight - counted) / count,
        "resumed": float(visit(trust, context, 1)),
    }


def _measure(chain: Chain, version: str, count: int) -> Numbers:
    given = {"chain": attrs.asdict(chain), "version": version, "count": count}
    found: Numbers = in_child("benchmarks.session_memory", "remember", given)
    return found


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__, rounds=1)
    if chosen.child:
        be_child(remember)
        return
    contenders = [
        Contender(f"{shape}, TLS {version}", partial(_measure, chain, version, 100 if superfluous else 2000))
        for shape, (kind, length, superfluous) in SHAPES.items()
        for chain in [make_chain(kind, length, NAME, superfluous=superfluous)]
        for version in VERSIONS
    ]
    report = Report("session_memory", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(table(report.samples))
    finish(report, chosen)


if __name__ == "__main__":
    main()
