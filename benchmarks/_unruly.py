"""
The far side of the soak: homeservers that do what the path of a request says, and hosts that are not even that.

C{/KIND?size=BYTES} is answered as L{KINDS} has it. C{python -m benchmarks._unruly} writes one line of JSON (where
everything is); each line of JSON that it reads changes something: C{{"do": "silence"}}, and what else L{Side} does. At
the end it writes another one: how many connections showed a certificate that nobody should accept, and how many of them
carried a request all the same.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from matrix_federation_agent.testing import Certificates, NameServer
from matrix_federation_agent.testing._zone import Reply, folded

from ._groups import full_socket

PLAIN, DELEGATED, SERVICE = "plain", "delegated", "service"
SOUND = (PLAIN, DELEGATED, SERVICE)
REFUSED, BLACK_HOLE, SILENT, GARBAGE, HANGS_UP, RESETS, STRANGER, TURNCOAT, NAMELESS = (
    "refused",
    "hole",
    "silent",
    "garbage",
    "hangs-up",
    "resets",
    "stranger",
    "turncoat",
    "nameless",
)
BROKEN = (REFUSED, BLACK_HOLE, SILENT, GARBAGE, HANGS_UP, RESETS, STRANGER, TURNCOAT, NAMELESS)
"""
Groups of names, C{anything.GROUP.example}: sound servers, found in three ways; those of which no response comes; and
one that at times shows another server's certificate.
"""

_PIECE = 65536
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


class Talk(Protocol):
    """
    One connection to a homeserver.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self._received = b""
        self._missing = 0
        self.requests = 0
        self._answer: Callable[[], None] | None = None
        self._timers: set[Any] = set()
        self.write: Callable[[bytes], None]

    def connectionMade(self) -> None:
        """
        Nothing is said before a request.
        """
        transport: Any = self.transport
        self.write, self.close, self.reset = transport.write, transport.loseConnection, transport.abortConnection

    def dataReceived(self, data: bytes) -> None:
        """
        Read heads, count bodies.
        """
        transport: Any = self.transport
        self.side.heard(transport.getHandle().get_context())
        if self._answer is not None:
            self._read_body(len(data))
            return
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        self._received = b""
        self.requests += 1
        line, *fields = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
        self._begin(line.split(b" ")[1], headers, len(rest))

    def _begin(self, target: bytes, headers: Mapping[bytes, bytes], rest: int) -> None:
        path, _, size = target.decode("ascii").partition("?size=")
        host = headers.get(b"host", b"").decode("ascii")
        kind = KINDS.get(path.strip("/"), KINDS["sized"])
        if path == "/.well-known/matrix/server":
            kind, self.body = KINDS["sized"], self.side.well_known(host)
        else:
            self.body = b"x" * int(size or 0)
        self._missing = int(headers.get(b"content-length", b"0"))
        self._answer = partial(kind, self)
        if path == "/early":
            kind(self)
            self._answer = partial(_silent, self)
        self._read_body(rest)

    def _read_body(self, count: int) -> None:
        self._missing -= count
        if self._missing <= 0 and self._answer is not None:
            answer, self._answer = self._answer, None
            answer()

    def later(self, seconds: float, what: Callable[..., object], *arguments: object) -> None:
        """
        Do something, unless the connection is lost by then.
        """
        self._timers = {timer for timer in self._timers if timer.active()}
        self._timers.add(self.side.reactor.callLater(seconds, what, *arguments))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nothing more is said.
        """
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()


def _sized(talk: Talk) -> None:
    talk.write(_HEAD + b"Content-Length: %d\r\n\r\n" % len(talk.body) + talk.body)


def _chunked(talk: Talk) -> None:
    talk.write(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for start in range(0, len(talk.body), _PIECE):
        piece = talk.body[start : start + _PIECE]
        talk.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    talk.write(b"0\r\n\r\n")


def _closing(talk: Talk) -> None:
    talk.write(_HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(talk.body) + talk.body)
    talk.close()


def _forgetful(talk: Talk) -> None:
    _sized(talk)
    talk.later(0.02, _close_idle, talk, talk.requests)


def _close_idle(talk: Talk, requests: int) -> None:
    # What has arrived is answered; what is on the way is not.
    if talk.requests == requests:
        talk.close()


def _hinting(talk: Talk) -> None:
    talk.write(3 * b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    _sized(talk)


def _slow(talk: Talk) -> None:
    answer = _HEAD + b"Content-Length: 8\r\n\r\nabcdefgh"
    for number, start in enumerate(range(0, len(answer), 8)):
        talk.later(0.05 * number, talk.write, answer[start : start + 8])


def _silent(_: Talk) -> None:
    pass


def _for_ever(talk: Talk, beginning: bytes, piece: bytes, seconds: float = 0.0) -> None:
    talk.write(beginning)

    def again() -> None:
        talk.write(piece)
        talk.later(seconds, again)

    again()


def _stalls(talk: Talk) -> None:
    talk.write(_HEAD + b"Content-Length: 1000\r\n\r\nhalf")


def _last_words(talk: Talk, words: bytes) -> None:
    talk.write(words)
    talk.close()


def _endless(talk: Talk, seconds: float) -> None:
    _for_ever(talk, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n", seconds)


def _cut_off(talk: Talk) -> None:
    _last_words(talk, _HEAD + b"Content-Length: %d\r\n\r\n" % (len(talk.body) + 10) + talk.body)


def _reset_in_body(talk: Talk) -> None:
    talk.write(_HEAD + b"Content-Length: %d\r\n\r\n" % (len(talk.body) + 10) + talk.body)
    talk.later(0.02, talk.reset)


def _early(talk: Talk) -> None:
    _last_words(talk, b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


KINDS: Mapping[str, Callable[[Talk], None]] = {
    "sized": _sized,
    "chunked": _chunked,
    "closing": _closing,
    "forgetful": _forgetful,
    "hinting": _hinting,
    "slow": _slow,
    "silent": _silent,
    "stalls": _stalls,
    "cut-off": _cut_off,
    "cut-off-head": lambda talk: _last_words(talk, b"HTTP/1.1 200 OK\r\nContent-Le"),
    "hang-up": lambda talk: talk.close(),
    "reset": lambda talk: talk.reset(),
    "reset-in-body": _reset_in_body,
    "garbage": lambda talk: _last_words(talk, bytes(range(256)) * 8),
    "huge-head": lambda talk: talk.write(_HEAD + b"X-Padding: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "many-headers": lambda talk: talk.write(_HEAD + b"X-Many: 1\r\n" * 3000 + b"Content-Length: 0\r\n\r\n"),
    "endless-head": lambda talk: _for_ever(talk, _HEAD, b"X-Padding: " + b"x" * 4000 + b"\r\n"),
    "endless-hints": lambda talk: _for_ever(talk, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "dripping-head": lambda talk: _for_ever(talk, _HEAD + b"X-Drip: ", b"x", 0.1),
    "early": _early,
    "dripping-body": lambda talk: _for_ever(talk, _HEAD + b"Content-Length: 100000\r\n\r\n", b"x", 0.1),
    "endless-body": partial(_endless, seconds=0.001),
}
"""
What can be asked for. The first six are sound.
"""
SOUND_KINDS = ("sized", "chunked", "closing", "forgetful", "hinting", "slow")
ENDLESS = ("dripping-body", "endless-body")
"""
Those whose bodies have no end, and are never silent.
"""


class _SaysAtOnce(Protocol):
    """
    No TLS server: says something, or ends the connection, as soon as the handshake begins.
    """

    def __init__(self, words: bytes | None) -> None:
        self._words = words

    def dataReceived(self, _data: bytes) -> None:
        """
        Answer a ClientHello.
        """
        transport: Any = self.transport
        if self._words is None:
            transport.abortConnection()
            return
        transport.write(self._words)
        transport.loseConnection()


class GroupNameServer(NameServer):
    """
    A name server to which all names of a group are the same, and which can be silent.
    """

    deaf = False

    def reply(self, name: str, record_type: int) -> Reply | None:
        """
        Answer for the group.
        """
        labels = folded(name).split(".")
        if self.deaf or labels[-2] == NAMELESS:
            return None
        service = labels[0].startswith("_")
        asked = f"{labels[0]}._tcp.{labels[-2]}.example" if service else f"*.{labels[-2]}.example"
        return super().reply(asked, record_type)


@implementer(IOpenSSLServerConnectionCreator)
class _Shown:
    """
    The certificate that is shown, which may change while a port listens.
    """

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """
        Show it.
        """
        return SSL.Connection(self.context, None)


def _factory(make: Any) -> Any:
    factory = Factory.forProtocol(make)
    factory.noisy = False
    return factory


class Side:
    """
    All of it.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._certificates = Certificates()
        self._root = Path(tempfile.mkdtemp(prefix="unruly-")) / "root.pem"
        self._root.write_bytes(self._certificates.root_pem)
        self._name_server = GroupNameServer(reactor)
        self._name_server.listen()
        self._delegation = 0
        self._hole = full_socket()
        self._false: set[SSL.Context] = set()
        self.shown_false = self.believed = 0
        self._shown = [_Shown(self._context(SOUND)) for _ in range(2)]
        sound, also_sound = (self._secured(shown) for shown in self._shown)
        self._shown_by_turncoat = _Shown(self._context((TURNCOAT,)))
        stranger, turncoat = self._secured(_Shown(self._stranger())), self._secured(self._shown_by_turncoat)
        self._ports = {
            **dict.fromkeys(SOUND, (sound, sound, also_sound)),
            BLACK_HOLE: (self._hole[0].getsockname()[1],) * 3,
            SILENT: (self._listen(_factory(Protocol)),) * 3,
            GARBAGE: (self._listen(_factory(partial(_SaysAtOnce, b"220 mail.example ESMTP\r\n"))),) * 3,
            HANGS_UP: (self._listen(_factory(partial(_SaysAtOnce, b""))),) * 3,
            RESETS: (self._listen(_factory(partial(_SaysAtOnce, None))),) * 3,
            STRANGER: (stranger,) * 3,
            TURNCOAT: (turncoat,) * 3,
        }
        self._addresses = {group: f"198.51.100.{number}" for number, group in enumerate((*SOUND, *BROKEN), 1)}
        for group, address in self._addresses.items():
            self._name_server.add_address(f"*.{group}.example", address, ttl=30)
        self.services()

    def _listen(self, factory: Any) -> int:
        port: int = self.reactor.listenTCP(0, factory, 4096, "127.0.0.1").getHost().port
        return port

    def _secured(self, shown: _Shown) -> int:
        secured = TLSMemoryBIOFactory(shown, isClient=False, wrappedFactory=_factory(partial(Talk, self)))
        return self._listen(secured)

    def _context(self, groups: tuple[str, ...]) -> SSL.Context:
        return self._certificates.issue(*(f"*.{group}.example" for group in groups)).context_factory().getContext()

    def _stranger(self) -> SSL.Context:
        """
        Make a context that shows a certificate of somebody else.
        """
        context = self._context(("elsewhere",))
        self._false.add(context)
        context.set_info_callback(self._count_false)
        return context

    def _count_false(self, _: SSL.Connection, where: int, _returned: int) -> None:
        self.shown_false += bool(where & SSL.SSL_CB_HANDSHAKE_START)

    def heard(self, context: SSL.Context) -> None:
        """
        Note whether a client sent something although it was shown another server's certificate.
        """
        self.believed += context in self._false

    def well_known(self, host: str) -> bytes:
        """
        Delegate, at times to one name, at times to another.
        """
        if host.split(".")[-2] != DELEGATED:
            return b"this is no delegation"
        return json.dumps({"m.server": f"m{self._delegation}-{host}:8448"}).encode("ascii")

    def describe(self) -> dict[str, Any]:
        """
        Tell where everything is.
        """
        places = [
            [self._addresses[group], virtual, real]
            for group, ports in self._ports.items()
            for virtual, real in zip((443, 8448, 8449), ports, strict=True)
        ]
        name_server = self._name_server.address
        return {"name_server": name_server, "root_file": str(self._root), "ports": places, "addresses": {}}

    def silence(self) -> None:
        """
        Let the name server answer nothing.
        """
        self._name_server.deaf = True

    def speak(self) -> None:
        """
        Let it answer again.
        """
        self._name_server.deaf = False

    def certificates(self) -> None:
        """
        Show other certificates from now on, which are as good.
        """
        for shown in self._shown:
            shown.context = self._context(SOUND)

    def turncoats(self) -> None:
        """
        Show another server's certificate where there was a good one, and the other way round.
        """
        shown = self._shown_by_turncoat
        shown.context = self._context((TURNCOAT,)) if shown.context in self._false else self._stranger()

    def delegations(self) -> None:
        """
        Delegate to other names.
        """
        self._delegation = 1 - self._delegation

    def services(self) -> None:
        """
        Publish other SRV records.
        """
        owner, old = f"_matrix-fed._tcp.{SERVICE}.example", getattr(self, "_service_port", 8449)
        self._service_port = 8448 if old == 8449 else 8449
        self._name_server.remove(owner)
        self._name_server.add_service(owner, f"target.{SERVICE}.example", self._service_port, ttl=30)

    def clean(self) -> None:
        """
        Remove the files.
        """
        self._root.unlink()
        self._root.parent.rmdir()


class _Control(LineOnlyReceiver):
    delimiter = b"\n"

    def __init__(self, side: Side) -> None:
        self._side = side
        self.done: Deferred[None] = Deferred()

    def lineReceived(self, line: bytes) -> None:
        """
        Do what it says.
        """
        getattr(self._side, json.loads(line)["do"])()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The parent is done with it.
        """
        self._side.clean()
        print(json.dumps({"shown false": self._side.shown_false, "believed": self._side.believed}), flush=True)
        self.done.callback(None)


def main(reactor: Any) -> Deferred[None]:
    """
    Run until standard input ends.
    """
    side = Side(reactor)
    print(json.dumps(side.describe()), flush=True)
    control = _Control(side)
    StandardIO(control, reactor=reactor)
    return control.done


if __name__ == "__main__":
    react(main)
