"""
Connecting again to servers that close after each response: the CPU of the client's process.

Every contender asks 1000 names once, so that it knows what it can, and is measured when it asks them again; those that
remember no session need to ask only a few names first. The server is nginx, one process, which must be on the path
(Debian: C{nginx-light}); it answers whether the session was reused. All contenders find addresses in the same table, at
no cost, because a plain C{Agent} would ask the system in threads.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from OpenSSL import SSL, crypto
from service_identity.cryptography import verify_certificate_hostname
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from benchmarks._chains import Chain, make_chain
from benchmarks._client import TabledHostnames
from benchmarks._frame import (
    Child,
    Contender,
    Cost,
    Numbers,
    Report,
    be_child,
    finish,
    in_child,
    interleaved,
    options,
    table,
)
from matrix_federation_agent import AddressPolicy, ConnectionPolicy, MatrixFederationAgent, TrustPolicy

COUNT = 1000
AT_ONCE = 5
NAMES = [f"n{number}.crowd.example" for number in range(COUNT)]
FEW = NAMES[:50]
PATH = "/_matrix/federation/v1/version"
OURS, WITHOUT, PLAIN = "ours", "ours, max_sessions=0", "plain Agent, one context"
PLAIN_RESUMING = "plain Agent, made to resume"
RAW, RAW_WITHOUT = "raw pyOpenSSL, resuming", "raw pyOpenSSL"
CONTENDERS = (OURS, WITHOUT, PLAIN, PLAIN_RESUMING, RAW, RAW_WITHOUT)

CONFIGURATION = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_timeout 0;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {directory}/chain.pem; ssl_certificate_key {directory}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ return 200 "$ssl_session_reused"; }}
    }}
}}
"""


@contextmanager
def nginx(chain: Chain) -> Iterator[dict[str, Any]]:
    """
    Run a server.

    @return: where it is, as JSON for children.
    """
    directory = Path(tempfile.mkdtemp(prefix="reconnect-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "key.pem").write_text(chain.key, "ascii")
    (directory / "chain.pem").write_text("".join(chain.shown), "ascii")
    (directory / "root.pem").write_text(chain.root, "ascii")
    (directory / "conf").write_text(CONFIGURATION.format(directory=directory, port=port), "ascii")
    server = subprocess.Popen(["nginx", "-p", directory, "-e", directory / "log", "-c", directory / "conf"])
    try:
        while server.poll() is None and not _listens(port):
            pass
        yield {"port": port, "root_file": str(directory / "root.pem")}
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _each(visit: Callable[[str], Awaitable[bytes]], names: Sequence[str], port: int) -> int:
    """
    Ask all names, a few at once.

    @return: how many said that the session was reused.
    """
    left = iter(names)

    async def some() -> int:
        return sum([await visit(f"{name}:{port}{PATH}") == b"r" for name in left])

    return sum(await gatherResults([Deferred.fromCoroutine(some()) for _ in range(AT_ONCE)]))


async def _measured(visit: Callable[[str], Awaitable[bytes]], port: int, *, resuming: bool = False) -> dict[str, float]:
    await _each(visit, NAMES if resuming else FEW, port)
    with Cost() as cost:
        resumed = await _each(visit, NAMES, port)
    return {"CPU us": cost.cpu * 1e6 / COUNT, "resumed": resumed}


async def ours(reactor: Any, given: Any, *, resuming: bool) -> dict[str, float]:
    """
    Be the child with our agent.
    """
    settings: dict[str, Any] = {} if resuming else {"max_sessions": 0}
    agent = MatrixFederationAgent.new(
        reactor,
        trust=TrustPolicy(ca_files=[given["root_file"]], use_system_roots=False, **settings),
        addresses=AddressPolicy(allow=["127.0.0.0/8"]),
        connections=ConnectionPolicy(idle_connections=0),
        hostnames=TabledHostnames(dict.fromkeys(NAMES, "127.0.0.1")),
    )

    async def visit(place: str) -> bytes:
        return await readBody(await agent.request(b"GET", b"matrix-federation://" + place.encode("ascii")))

    found = await _measured(visit, given["port"], resuming=resuming)
    await agent.close()
    return found


def _context(root_file: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(root_file)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    return context


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class _Verifying:
    context: SSL.Context
    hostname: str

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = SSL.Connection(self.context, None)
        connection.set_tlsext_host_name(self.hostname.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def _check(self, _connection: SSL.Connection, certificate: crypto.X509, _code: int, depth: int, ok: int) -> bool:
        if ok and depth == 0:
            verify_certificate_hostname(certificate.to_cryptography(), self.hostname)
        return bool(ok)


@implementer(IPolicyForHTTPS)
@attrs.frozen
class _OneContext:
    context: SSL.Context

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Verifying:
        return _Verifying(self.context, hostname.decode("ascii"))


@attrs.frozen
class _Resuming(_Verifying):
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
class _OneContextResuming(_OneContext):
    connections: dict[str, SSL.Connection] = attrs.field(factory=dict)

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Verifying:
        return _Resuming(self.context, hostname.decode("ascii"), self.connections)


async def plain(reactor: Any, given: Any, *, resuming: bool) -> dict[str, float]:
    """
    Be the child with Twisted's agent.
    """
    reactor.installNameResolver(TabledHostnames(dict.fromkeys(NAMES, "127.0.0.1")))
    policy = _OneContextResuming if resuming else _OneContext
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = Agent(reactor, policy(_context(given["root_file"])), pool=pool)

    async def visit(place: str) -> bytes:
        return await readBody(await agent.request(b"GET", b"https://" + place.encode("ascii")))

    return await _measured(visit, given["port"], resuming=resuming)


async def raw(_reactor: Any, given: Any, *, resuming: bool) -> dict[str, float]:
    """
    Be the child with nothing but pyOpenSSL and blocking sockets: what the handshake itself costs.
    """
    context = _context(given["root_file"])
    sessions: dict[str, SSL.Session | None] = {}

    async def visit(place: str) -> bytes:
        name, _, path = place.partition(f":{given['port']}")
        connection = _Verifying(context, name).clientConnectionForTLS(None)
        if (session := sessions.get(name)) is not None:
            connection.set_session(session)
        with socket.create_connection(("127.0.0.1", given["port"])) as tcp:
            body = _request(connection, tcp, name, path)
        if resuming:
            sessions[name] = connection.get_session()
        connection.set_shutdown(SSL.SENT_SHUTDOWN)
        return body

    return await _measured(visit, given["port"], resuming=resuming)


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


CHILDREN: dict[str, Child] = {
    OURS: partial(ours, resuming=True),
    WITHOUT: partial(ours, resuming=False),
    PLAIN: partial(plain, resuming=False),
    PLAIN_RESUMING: partial(plain, resuming=True),
    RAW: partial(raw, resuming=True),
    RAW_WITHOUT: partial(raw, resuming=False),
}


def _measure(contender: str, given: dict[str, Any]) -> Numbers:
    found: Numbers = in_child("benchmarks.reconnect", contender, given)
    return found


def main() -> None:
    """
    Run it.
    """
    chosen = options(__doc__)
    if chosen.child:
        be_child(CHILDREN[chosen.child])
        return
    kinds = {"EC": "EC", "RSA 2048": "2048"}
    chains = {name: make_chain(kind, 2, "*.crowd.example") for name, kind in kinds.items()}
    with nginx(chains["EC"]) as elliptic, nginx(chains["RSA 2048"]) as rsa:
        contenders = [
            Contender(f"{kind}: {contender}", partial(_measure, contender, given))
            for kind, given in (("EC", elliptic), ("RSA 2048", rsa))
            for contender in CONTENDERS
        ]
        report = Report("reconnect", interleaved(contenders, chosen.rounds), chosen.rounds)
    print(table(report.samples))
    for kind in chains:
        for contender in (OURS, WITHOUT, PLAIN_RESUMING, RAW, RAW_WITHOUT):
            ratio = report.ratio(f"{kind}: {contender}", f"{kind}: {PLAIN}", "CPU us")
            report.notes[f"{kind}: {contender} / plain"] = ratio
            print(f"{kind}: {contender}: {ratio:.2f} of a plain Agent's")
    finish(report, chosen)


if __name__ == "__main__":
    main()
