"""
From targets to one verified connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.python.failure import Failure

from .._deadlines import within
from .._tls.sessions import SessionCache
from .._tls.trust import Trust
from .._tls.verification import VerifiedConnectionCreator
from ..errors import AddressDenied, Attempt, ConnectionFailed, FederationError, TimedOut, summarised
from .addresses import denied_by, interleaved
from .handshake import ByteBudget, HandshakeGate, OpenConnections, TrustReplaced, VerifiedTLSFactory
from .outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IProtocol, IProtocolFactory

    from .._discovery.hosts import HostLookup
    from .._discovery.routing import Target
    from .._identity import Identity
    from .._policies import Address, AddressPolicy, ConnectionPolicy
    from .._reactor import IReactor


@attrs.frozen
class Candidates:
    """
    The addresses behind one target.

    @ivar permitted: those that may be dialled, in order.
    @ivar refused: what is wrong with the others, or why there is none.
    """

    permitted: tuple[Address, ...]
    refused: tuple[Attempt, ...]


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
    open_connections: OpenConnections = attrs.field(factory=OpenConnections)
    budget: ByteBudget = attrs.field(factory=ByteBudget)
    outcomes: Outcomes = attrs.field(factory=Outcomes)

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
        Make a dialer that verifies by the roots of now, as this one does, but
        that neither offers TLS sessions nor remembers any.
        """
        apart = attrs.evolve(self._trust.generation, sessions=SessionCache(0, 0))
        return attrs.evolve(self, trust=Trust(apart))

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
            for address in candidates.permitted[:left]:
                left -= 1
                try:
                    return await self.dial(identity, target, address, factory)
                except FederationError as error:
                    attempts.append(Attempt(str(target), str(address), error))
        raise summarised(identity.asked, attempts)

    async def candidates(self, identity: Identity, target: Target) -> Candidates:
        """
        Find the addresses of a target, and ask the address policy about each.
        """
        try:
            found = await self._hosts.addresses(target.host)
        except FederationError as error:
            return Candidates((), (Attempt(str(target), None, error),))
        permitted, refused = [], []
        for address in interleaved(found):
            network = denied_by(self._addresses, address)
            if network is None:
                permitted.append(address)
            else:
                denied = AddressDenied.by(identity.asked, str(address), network)
                refused.append(Attempt(str(target), str(address), denied))
        return Candidates(tuple(permitted), tuple(refused))

    def exemption(self, identity: Identity, address: Address) -> str | None:
        """
        Tell the rule by which a connection to an address is not verified.
        """
        return self._trust.generation.policy.exemption(identity.effective, address)

    async def dial(self, identity: Identity, target: Target, address: Address, factory: IProtocolFactory) -> IProtocol:
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
        self, identity: Identity, target: Target, address: Address, factory: IProtocolFactory
    ) -> IProtocol:
        """
        Connect TCP, and await TLS.
        """
        exemption = self.exemption(identity, address)
        now = self._reactor.seconds
        creator = VerifiedConnectionCreator(self._trust.generation, identity, target, exemption, now)
        gate = HandshakeGate(creator, factory)
        await self._connect_tcp(address, target.port, creator, gate)

        def late(seconds: float) -> FederationError:
            reason = f"the TLS handshake was not finished within {seconds:g} s"
            return TimedOut(identity.asked, reason, seconds=seconds, phase="tls")

        with self.outcomes.noted(creator, address):
            return await within(self._reactor, self._policy.tls_timeout, gate.opened, late)

    async def _connect_tcp(
        self, address: Address, port: int, creator: VerifiedConnectionCreator, gate: HandshakeGate
    ) -> None:
        """
        Connect TCP, with TLS on it that begins its handshake.
        """
        kind = TCP4ClientEndpoint if address.version == 4 else TCP6ClientEndpoint
        seconds = self._policy.tcp_timeout
        endpoint = kind(self._reactor, str(address), port, timeout=seconds)
        tls = VerifiedTLSFactory(creator, gate, self._reactor, self.open_connections, self.budget)
        asked = creator.identity.asked
        try:
            await endpoint.connect(tls)
        except (CancelledError, ConnectingCancelledError) as error:
            raise CancelledError from error
        except TwistedTimeoutError as error:
            raise TimedOut(asked, f"TCP was not connected within {seconds:g} s", seconds=seconds) from error
        except Exception as error:
            raise ConnectionFailed(asked, Failure(error).getErrorMessage().rstrip(".")) from error
