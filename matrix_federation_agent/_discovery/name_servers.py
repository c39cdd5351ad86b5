"""
The default resolver: C{twisted.names}, asking the system's name servers.

A C{twisted.names} resolver shares one lookup between callers and fails all of
them when the first is cancelled; it leaves its timers and sockets behind when
it is; it keeps a TCP connection open after a truncated answer; and it re-reads
C{resolv.conf} by a timer that never ends.  So every lookup here has a
resolver of its own, on a reactor that knows what the lookup opened and closes
all of it when the lookup ends, however it ends.
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUDP
from twisted.names import client, common, dns
from zope.interface import implementer

from .._descriptors import once_there_are_descriptors, run_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IConnector, IDelayedCall, IListeningPort
    from twisted.internet.protocol import DatagramProtocol

RESOLV_CONF = "/etc/resolv.conf"

TRIES = (1, 2, 3, 4)
"""
Seconds that each name server has for an answer, try by try.
"""

NameServer = tuple[str, int]


def read_resolv_conf(text: str) -> list[NameServer]:
    """
    List the name servers in a resolv.conf(5), in order.

    Servers on a scoped link-local address are left out: C{twisted.names}
    cannot send to them.

    @return: at least one; the local host when the file names none, as
        resolv.conf(5) says.
    """
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and _is_plain_address(words[1]):
            servers.append((words[1], dns.PORT))
    return servers or [("127.0.0.1", dns.PORT)]


def _is_plain_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


class SystemNameServers:
    """
    The name servers of resolv.conf(5), read again when the file has changed.
    """

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self._path = Path(path)
        self._changed: float | None = None
        self._servers = read_resolv_conf("")

    def __call__(self) -> list[NameServer]:
        """
        Tell the name servers of this moment.
        """
        try:
            changed = self._path.stat().st_mtime
            if changed != self._changed:
                self._servers = read_resolv_conf(self._path.read_text("utf-8", "replace"))
                self._changed = changed
        except OSError:
            # A missing file is an empty one; one that cannot be read now was
            # readable before.
            pass
        return self._servers


@implementer(IReactorTCP, IReactorTime, IReactorUDP)
class LookupScope:
    """
    As much of a reactor as one lookup needs; what the lookup opens through it
    ends with it.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: list[IDelayedCall] = []
        self._connectors: list[IConnector] = []

    def seconds(self) -> float:
        """
        The reactor's time.
        """
        return self._reactor.seconds()  # type: ignore[no-any-return]

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        """
        Schedule a call that is dropped when the lookup ends.
        """
        call: IDelayedCall = self._reactor.callLater(delay, callable, *args, **kw)
        self._calls.append(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        The pending calls of this lookup.
        """
        return [call for call in self._calls if call.active()]

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> IListeningPort:
        """
        Open a socket.  Twisted's resolver closes it itself, however its query
        ends.

        The operating system draws the port: it is as hard to guess as
        twisted's own draw, and that one hits ports that are taken, or that
        only root may use.

        @raise OSError: when there is no file descriptor left.
        """
        try:
            return self._reactor.listenUDP(0, protocol, interface, maxPacketSize)  # type: ignore[no-any-return]
        except CannotListenError as error:
            # twisted's resolver would try a thousand times if the system as a
            # whole has none.
            raise (error.socketError if run_out(error) else error) from None

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """
        Open a connection that is closed when the lookup ends.
        """
        connector: IConnector = self._reactor.connectTCP(host, port, factory, timeout, bindAddress)
        self._connectors.append(connector)
        return connector

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> IListeningPort:
        """
        Refuse: no lookup accepts connections.
        """
        raise RuntimeError("a lookup does not listen")

    def close(self) -> None:
        """
        End everything that the lookup opened.
        """
        for call in self.getDelayedCalls():
            call.cancel()
        for connector in self._connectors:
            connector.disconnect()


class _ScopedTCPFactory(client.DNSClientFactory):
    """
    Makes TCP protocols that keep their timers in the scope; twisted's own
    would take the global reactor.
    """

    def __init__(self, controller: client.Resolver, scope: LookupScope) -> None:
        super().__init__(controller)  # type: ignore[no-untyped-call]
        self._scope = scope

    def buildProtocol(self, addr: object) -> dns.DNSProtocol:
        """
        Make the protocol of one TCP query.
        """
        protocol = dns.DNSProtocol(self.controller, reactor=self._scope)
        protocol.factory = self
        return protocol


class NameServerResolver(common.ResolverBase):
    """
    An C{IResolver} that asks name servers, and leaves nothing behind.
    """

    def __init__(self, reactor: Any, servers: Callable[[], Sequence[NameServer]] | Sequence[NameServer]) -> None:
        """
        @param servers: the addresses and ports of the name servers, or a
            callable that tells them at each lookup.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._servers = servers if callable(servers) else lambda: servers

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Sequence[int] | None) -> Deferred[Any]:
        """
        Send one query; where no socket can be had for it, wait for one.
        C{ResolverBase} calls this for every kind of lookup.
        """
        query = dns.Query(name, type, cls)
        attempt = partial(self._attempt, query, timeout or TRIES)
        return Deferred.fromCoroutine(once_there_are_descriptors(self._reactor, attempt))

    def _attempt(self, query: dns.Query, timeout: Sequence[int]) -> Deferred[Any]:
        scope = LookupScope(self._reactor)
        resolver = client.Resolver(servers=list(self._servers()), timeout=TRIES, reactor=scope)
        resolver.factory = _ScopedTCPFactory(resolver, scope)
        resolver.factory.noisy = False
        # Through the public door of twisted's resolver; any error, even one
        # raised before there is a Deferred, is the lookup's.
        done = maybeDeferred(resolver.query, query, timeout)

        def close(result: Any) -> Any:
            scope.close()
            return result

        return done.addBoth(close)
