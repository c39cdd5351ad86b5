"""
Connections that a proxy makes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
from twisted.internet.protocol import Factory

from .._deadlines import within
from .._discovery.routing import Target
from .._discovery.srv import is_onion
from .._identity import Identity
from .._tls.verification import VerifiedConnectionCreator
from ..errors import ConnectionFailed, FederationError, ProxyError, TimedOut
from .addresses import interleaved
from .handshake import ByteBudget, HandshakeGate, TrustReplaced, VerifiedTLSFactory
from .http_connect import HTTPConnect
from .socks5 import Socks5
from .tcp import connect_tcp
from .tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory

    from .._discovery.hosts import HostLookup
    from .._policies import Address, ConnectionPolicy, Proxy, ProxyPolicy
    from .._reactor import IReactor
    from .._server_name import ServerName
    from .._tls.trust import Trust
    from .negotiation import Negotiation
    from .open_connections import OpenConnections
    from .tcp import Patience


def resolves_here(policy: ProxyPolicy, proxy: Proxy, host: ServerName) -> bool:
    """
    Tell whether a name is resolved before a proxy is asked for it; SOCKS
    proxies resolve themselves, and .onion names have no address (RFC 7686).
    """
    return policy.resolve_here and proxy.scheme != "socks5h" and host.literal is None and not is_onion(host.host)


@attrs.frozen
class ProxyDialer:
    """
    Connects to proxies.  The address policy is not asked: they are the
    operator's own.
    """

    _reactor: IReactor
    _trust: Trust
    _policy: ConnectionPolicy
    _hosts: HostLookup
    _open_connections: OpenConnections
    _patience: Patience

    async def connect(self, asked: str, proxy: Proxy, target: Target, tls: IProtocolFactory) -> None:
        """
        Let a proxy connect to a server.

        @param asked: the server that errors name.
        @param tls: builds the protocol that talks with the server.
        @raise FederationError: when it does not; C{phase} is C{proxy}.
        """
        objection = partial(_objection, asked, proxy)
        tunnel = await self._any(
            asked, proxy, lambda: Tunnel(self._negotiation(proxy, target), tls, self._open_connections, objection)
        )
        late = _lateness(asked, "it did not reach the server")
        waiting = within(self._reactor, self._policy.proxy_timeout, tunnel.established, late)
        await _blaming(asked, proxy, waiting)

    def _negotiation(self, proxy: Proxy, target: Target) -> Negotiation:
        if proxy.scheme == "socks5h":
            return Socks5(proxy, target)
        return HTTPConnect(proxy, target, self._policy.max_proxy_bytes)

    async def _any(self, asked: str, proxy: Proxy, build: Callable[[], Tunnel]) -> Tunnel:
        """
        Connect to the first address of a proxy that can be reached.
        """
        reach = self._in_tls if proxy.scheme == "https" else self._in_the_clear
        failure: FederationError = _objection(asked, proxy, "it has no address", None)
        for address in (await self._addresses(asked, proxy))[: self._policy.max_addresses]:
            tunnel = build()
            try:
                await reach(asked, proxy, address, tunnel)
            except (ProxyError, TimedOut) as error:
                failure = error
            else:
                return tunnel
        raise failure

    async def _addresses(self, asked: str, proxy: Proxy) -> list[Address]:
        try:
            return interleaved(await self._hosts.addresses(proxy.host))
        except FederationError as error:
            raise _objection(asked, proxy, error.reason, None) from error

    async def _in_the_clear(self, asked: str, proxy: Proxy, address: Address, tunnel: Tunnel) -> None:
        """
        Connect TCP.
        """
        await self._tcp(asked, proxy, address, _factory(tunnel))

    async def _in_tls(self, asked: str, proxy: Proxy, address: Address, tunnel: Tunnel) -> None:
        """
        Connect TCP, and TLS in which the proxy proves its name; nothing
        exempts it, for it may be given credentials.
        """
        target = Target(proxy.host, proxy.port)
        identity = Identity(proxy.host, proxy.host)
        creator = VerifiedConnectionCreator(self._trust.generation, identity, target, None, self._reactor.seconds)
        gate = HandshakeGate(creator, _factory(tunnel))
        factory = VerifiedTLSFactory(creator, gate, self._reactor, self._open_connections, ByteBudget())
        await self._tcp(asked, proxy, address, factory)
        late = _lateness(asked, "its TLS handshake was not finished")
        opened: Deferred[object] = gate.opened  # type: ignore[assignment]
        await _blaming(asked, proxy, within(self._reactor, self._policy.tls_timeout, opened, late))

    async def _tcp(self, asked: str, proxy: Proxy, address: Address, factory: IProtocolFactory) -> None:
        place, seconds = (address, proxy.port), self._policy.tcp_timeout
        await _blaming(asked, proxy, connect_tcp(self._reactor, asked, place, factory, seconds, self._patience))


def _factory(tunnel: Tunnel) -> Factory:
    factory: Factory = Factory.forProtocol(lambda: tunnel)
    factory.noisy = False
    return factory


async def _blaming(asked: str, proxy: Proxy, work: Awaitable[object]) -> None:
    """
    Await what is done with a proxy; its failures are the proxy's, and not the
    server's.
    """
    try:
        await work
    except (TrustReplaced, ProxyError):
        raise
    except TimedOut as error:
        reason = _words(proxy, error.reason)
        raise TimedOut(asked, reason, seconds=error.seconds, phase="proxy") from error
    except ConnectionFailed as error:
        raise _objection(asked, proxy, error.reason, None) from error


def _objection(asked: str, proxy: Proxy, words: str, status: int | None) -> ProxyError:
    return ProxyError(asked, _words(proxy, words), proxy=str(proxy), status=status)


def _words(proxy: Proxy, words: str) -> str:
    return f"proxy {proxy}: {words}"


def _lateness(asked: str, words: str) -> Callable[[float], FederationError]:
    def late(seconds: float) -> FederationError:
        return TimedOut(asked, f"{words} within {seconds:g} s", seconds=seconds)

    return late
