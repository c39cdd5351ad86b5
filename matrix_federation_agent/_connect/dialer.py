"""
From targets to one verified connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._deadlines import within
from .._discovery.routing import Target
from .._policies import ProxyPolicy
from .._server_name import ServerName
from .._tls.verification import VerifiedConnectionCreator
from ..errors import AddressDenied, Attempt, FederationError, TimedOut, summarised
from .addresses import denied_by, interleaved
from .handshake import ByteBudget, HandshakeGate, TrustReplaced, VerifiedTLSFactory
from .open_connections import OpenConnections
from .outcomes import Outcomes
from .proxies import ProxyDialer, resolves_here
from .tcp import connect_tcp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IProtocol, IProtocolFactory

    from .._discovery.hosts import HostLookup
    from .._identity import Identity
    from .._policies import Address, AddressPolicy, ConnectionPolicy, Proxy
    from .._reactor import IReactor
    from .._tls.trust import Trust


@attrs.frozen
class Candidates:
    """
    The addresses behind one target.

    @ivar permitted: those that may be dialled, in order.
    @ivar refused: what is wrong with the others, or why there is none.
    @ivar proxy: through which they are dialled, or L{None}.
    """

    permitted: tuple[Address, ...]
    refused: tuple[Attempt, ...]
    proxy: Proxy | None = None

    @property
    def dialled(self) -> tuple[Address | None, ...]:
        """
        What to dial, in order; L{None} is the target itself, for a proxy to
        find.
        """
        return self.permitted if self.proxy is None or self.permitted or self.refused else (None,)


@attrs.frozen(eq=False)
class Dialer:
    """
    Connects to a server: its targets in order, for each its addresses, and
    the first connection whose certificate is verified.

    @ivar open_connections: those that this dialer made and that are open.
    @ivar budget: what peers may send on them, all together.
    @ivar outcomes: notes how handshakes end.
    """

    _reactor: IReactor
    _trust: Trust
    _addresses: AddressPolicy
    _policy: ConnectionPolicy
    _hosts: HostLookup
    _proxies: ProxyPolicy = attrs.field(factory=ProxyPolicy, kw_only=True)
    open_connections: OpenConnections = attrs.field(factory=OpenConnections)
    budget: ByteBudget = attrs.field(factory=ByteBudget)
    outcomes: Outcomes = attrs.field(factory=Outcomes)
    _resumes: bool = attrs.field(default=True, kw_only=True)

    @property
    def policy(self) -> ConnectionPolicy:
        """
        The limits of what this dialer does.
        """
        return self._policy

    def scoped(self, budget: ByteBudget) -> Dialer:
        """
        Make a dialer that keeps account of its own connections, beside this
        one.
        """
        return attrs.evolve(self, open_connections=OpenConnections(self.open_connections), budget=budget)

    def without_sessions(self) -> Dialer:
        """
        Make a dialer like this one, but that neither offers TLS sessions to
        servers nor remembers theirs.
        """
        return attrs.evolve(self, resumes=False)

    async def connect(self, identity: Identity, targets: Sequence[Target], factory: IProtocolFactory) -> IProtocol:
        """
        Make one verified connection.

        @param identity: who must answer.
        @param targets: where to try, in order.
        @param factory: builds the protocol, after verification.
        @raise FederationError: when no attempt succeeded; holds them all.
        """
        attempts: list[Attempt] = []

        def late(seconds: float) -> FederationError:
            reason = f"no connection within {seconds:g} s" + "".join(f"; {attempt}" for attempt in attempts)
            return TimedOut(identity.asked, reason, seconds=seconds, attempts=tuple(attempts))

        connecting = self._first(identity, targets[: self._policy.max_targets], factory, attempts)
        return await within(self._reactor, self._policy.connect_timeout, connecting, late)

    async def _first(
        self, identity: Identity, targets: Sequence[Target], factory: IProtocolFactory, attempts: list[Attempt]
    ) -> IProtocol:
        """
        Try one target after the other, keeping every failure.
        """
        left = self._policy.max_addresses
        for target in targets:
            candidates = await self.candidates(identity, target)
            attempts.extend(candidates.refused)
            for address in candidates.dialled[:left]:
                left -= 1
                try:
                    return await self.dial(identity, target, address, factory)
                except FederationError as error:
                    attempts.append(Attempt(str(target), None if address is None else str(address), error))
        raise summarised(identity.asked, attempts)

    def proxy_for(self, target: Target) -> Proxy | None:
        """
        Tell the proxy that leads to a target.
        """
        return self._proxies.proxy_for(target.host, target.port)

    async def candidates(self, identity: Identity, target: Target) -> Candidates:
        """
        Find the addresses of a target, and ask the address policy about each;
        of a name that a proxy resolves there are none.
        """
        proxy = self.proxy_for(target)
        if proxy is None or resolves_here(self._proxies, proxy, target.host):
            return attrs.evolve(await self._resolved(identity, target), proxy=proxy)
        literal = target.host.literal
        refused = () if literal is None else self._judged(identity, target, [literal]).refused
        return Candidates((), refused, proxy)

    async def _resolved(self, identity: Identity, target: Target) -> Candidates:
        try:
            found = await self._hosts.addresses(target.host)
        except FederationError as error:
            return Candidates((), (Attempt(str(target), None, error),))
        return self._judged(identity, target, interleaved(found))

    def _judged(self, identity: Identity, target: Target, found: list[Address]) -> Candidates:
        """
        Ask the address policy.
        """
        permitted, refused = [], []
        for address in found:
            network = denied_by(self._addresses, address)
            if network is None:
                permitted.append(address)
            else:
                denied = AddressDenied.by(identity.asked, str(address), network)
                refused.append(Attempt(str(target), str(address), denied))
        return Candidates(tuple(permitted), tuple(refused))

    def exemption(self, identity: Identity, target: Target, address: Address | None) -> str | None:
        """
        Tell the rule by which a connection to an address is not verified.
        What a proxy says that it connected to proves nothing: through one, no
        network counts.
        """
        dialled = address if self.proxy_for(target) is None else None
        return self._trust.generation.policy.exemption(identity.effective, dialled)

    async def dial(
        self, identity: Identity, target: Target, address: Address | None, factory: IProtocolFactory
    ) -> IProtocol:
        """
        Make one attempt: TCP, then TLS with the check; anew where the roots
        were replaced meanwhile.

        @raise FederationError: when it fails.
        """
        while True:
            try:
                return await self._handshake(identity, target, address, factory)
            except TrustReplaced:
                continue

    async def _handshake(
        self, identity: Identity, target: Target, address: Address | None, factory: IProtocolFactory
    ) -> IProtocol:
        """
        Connect TCP, be it through a proxy, and await TLS.
        """
        exemption = self.exemption(identity, target, address)
        now, generation = self._reactor.seconds, self._trust.generation
        creator = VerifiedConnectionCreator(generation, identity, target, exemption, now, resumes=self._resumes)
        gate = HandshakeGate(creator, factory)
        tls = VerifiedTLSFactory(creator, gate, self._reactor, self.open_connections, self.budget)
        await self._reach(identity.asked, target, address, tls)

        def late(seconds: float) -> FederationError:
            reason = f"the TLS handshake was not finished within {seconds:g} s"
            return TimedOut(identity.asked, reason, seconds=seconds, phase="tls")

        with self.outcomes.noted(creator, target if address is None else address):
            return await within(self._reactor, self._policy.tls_timeout, gate.opened, late)

    async def _reach(self, asked: str, target: Target, address: Address | None, tls: VerifiedTLSFactory) -> None:
        """
        Connect TCP, with TLS on it that begins its handshake.
        """
        proxy = self.proxy_for(target)
        if proxy is not None:
            place = target if address is None else Target(_literal(address), target.port)
            through = ProxyDialer(self._reactor, self._trust, self._policy, self._hosts, self.open_connections)
            await through.connect(asked, proxy, place, tls)
        elif address is not None:
            await connect_tcp(self._reactor, asked, (address, target.port), tls, self._policy.tcp_timeout)


def _literal(address: Address) -> ServerName:
    return ServerName(f"[{address}]" if address.version == 6 else str(address))
