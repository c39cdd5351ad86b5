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
from ..errors import Attempt, FederationError, TimedOut
from .addresses import interleaved
from .attempts import Begun
from .candidates import Candidates, judged
from .course import ConnectionCourse
from .handshake import ByteBudget, HandshakeGate, TrustReplaced, VerifiedTLSFactory
from .open_connections import OpenConnections
from .order import Order
from .outcomes import Outcomes
from .places import Places
from .proxies import ProxyDialer, resolves_here
from .race import Race
from .tcp import Patience, Room, connect_tcp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from twisted.internet.interfaces import IProtocol, IProtocolFactory

    from .._discovery.hosts import HostLookup
    from .._identity import Identity
    from .._policies import Address, AddressPolicy, ConnectionPolicy, Proxy
    from .._reactor import IReactor
    from .._tls.trust import Trust
    from .families import Lookup


@attrs.frozen(eq=False)
class Dialer:
    """
    Connects to a server: attempts to its addresses race each other, and the
    first connection whose certificate is verified wins.

    @ivar open_connections: those that this dialer made and that are open.
    @ivar budget: what peers may send on them, all together.
    @ivar outcomes: notes how handshakes end.
    @ivar places: where servers answered last.
    @ivar room: is asked to make room when the system is out of sockets; whoever
        keeps idle connections sets its C{make}.
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
    places: Places = attrs.field(factory=Places, kw_only=True)
    room: Room = attrs.field(factory=Room, kw_only=True)
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
        tried, effective = targets[: self._policy.max_targets], identity.effective
        first = self.places.last(effective, tried, self._reactor.seconds())
        order = Order(tried, self._policy.max_addresses, first)
        race = Race(self._reactor, self._policy, order, ConnectionCourse(self, identity, factory))
        try:
            protocol = await race.run()
        except FederationError:
            self.places.forget(effective, tried)
            raise
        if race.winner is not None and order.has_choice:
            self.places.answered(effective, tried, race.winner.place, self._reactor.seconds())
        return protocol

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
        if proxy is not None and not resolves_here(self._proxies, proxy, target.host):
            return self._left_to(proxy, identity, target)
        try:
            found = await self._hosts.addresses(target.host)
        except FederationError as error:
            return Candidates((), (Attempt(str(target), None, error),), proxy)
        return attrs.evolve(judged(self._addresses, identity.asked, target, interleaved(found)), proxy=proxy)

    def lookups(self, identity: Identity, target: Target) -> list[Lookup]:
        """
        Find the candidates of a target, as L{candidates} does, by the families
        of addresses.
        """
        proxy = self.proxy_for(target)
        if proxy is not None and not resolves_here(self._proxies, proxy, target.host):
            return [self._left_to(proxy, identity, target)]
        return [
            judged(self._addresses, identity.asked, target, family)
            if isinstance(family, list)
            else self._judged(identity, target, family)
            for family in self._hosts.families(target.host)
        ]

    async def _judged(self, identity: Identity, target: Target, family: Awaitable[list[Address]]) -> Candidates:
        return judged(self._addresses, identity.asked, target, await family)

    def _left_to(self, proxy: Proxy, identity: Identity, target: Target) -> Candidates:
        """
        Leave a name to a proxy; what a literal is, is known without it.
        """
        literal = target.host.literal
        found = () if literal is None else (literal,)
        return Candidates((), judged(self._addresses, identity.asked, target, found).refused, proxy)

    def exemption(self, identity: Identity, target: Target, address: Address | None) -> str | None:
        """
        Tell the rule by which a connection to an address is not verified.
        """
        return self._exemption(identity, address, self.proxy_for(target))

    def _exemption(self, identity: Identity, address: Address | None, proxy: Proxy | None) -> str | None:
        """
        What a proxy says that it connected to proves nothing: through one, no
        network counts.
        """
        return self._trust.generation.policy.exemption(identity.effective, address if proxy is None else None)

    async def dial(
        self, identity: Identity, target: Target, address: Address | None, factory: IProtocolFactory
    ) -> IProtocol:
        """
        Make one attempt: TCP, then TLS with the check.

        @raise FederationError: when it fails.
        """
        until = self._reactor.seconds() + self._policy.connect_timeout
        return await self.attempt(identity, Begun(target, address, "tcp", until), factory)

    async def attempt(self, identity: Identity, begun: Begun, factory: IProtocolFactory) -> IProtocol:
        """
        Make one attempt; anew where the roots were replaced meanwhile.

        @raise FederationError: when it fails.
        """
        while True:
            try:
                return await self._handshake(identity, begun, factory)
            except TrustReplaced:
                begun.phase = "tcp"

    async def _handshake(self, identity: Identity, begun: Begun, factory: IProtocolFactory) -> IProtocol:
        """
        Connect TCP, be it through a proxy, and await TLS.
        """
        target, address, proxy = begun.target, begun.address, self.proxy_for(begun.target)
        exemption = self._exemption(identity, address, proxy)
        now, generation = self._reactor.seconds, self._trust.generation
        creator = VerifiedConnectionCreator(generation, identity, target, exemption, now, resumes=self._resumes)
        gate = HandshakeGate(creator, factory)
        tls = VerifiedTLSFactory(creator, gate, self._reactor, self.open_connections, self.budget)
        await self._reach(identity.asked, begun, proxy, tls)
        begun.phase = "tls"

        def late(seconds: float) -> FederationError:
            reason = f"the TLS handshake was not finished within {seconds:g} s"
            return TimedOut(identity.asked, reason, seconds=seconds, phase="tls")

        with self.outcomes.noted(creator, target if address is None else address):
            return await within(self._reactor, self._policy.tls_timeout, gate.opened, late)

    async def _reach(self, asked: str, begun: Begun, proxy: Proxy | None, tls: VerifiedTLSFactory) -> None:
        """
        Connect TCP, with TLS on it that begins its handshake.
        """
        target, address, patience = begun.target, begun.address, Patience(self.room, begun.until)
        if proxy is not None:
            begun.phase = "proxy"
            place = target if address is None else Target(_literal(address), target.port)
            known = (self._reactor, self._trust, self._policy, self._hosts, self.open_connections)
            await ProxyDialer(*known, patience).connect(asked, proxy, place, tls)
        elif address is not None:
            place_here = (address, target.port)
            await connect_tcp(self._reactor, asked, place_here, tls, self._policy.tcp_timeout, patience)


def _literal(address: Address) -> ServerName:
    return ServerName(f"[{address}]" if address.version == 6 else str(address))
