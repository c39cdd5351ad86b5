"""
What becomes of a request: an answer at once, or an exchange with a remote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IBodyProducer, IResponse

    from .._agent import MatrixFederationAgent
    from .._counters import Counters
    from .._policies import GatewayPolicy
    from .answers import Answer
    from .head import RequestHead
    from .secret import Secret


@attrs.define(eq=False)
class Clients:
    """
    Connections of clients, counted by who holds them.

    @ivar open: all of them.
    @ivar idle: those that carry no request.
    """

    open: int = 0
    idle: int = 0


class Forwarder:
    """
    Decides of each request, by its head, what becomes of it; and knows those
    that are under way.

    @ivar secret: what clients must know; may be replaced.
    @ivar policy: may be replaced; counts for requests from then on.
    @ivar draining: whether no further request is forwarded.
    @ivar clients: connections of clients; whoever accepts them counts here.
    @ivar counters: of requests by their outcome, and of statuses.
    """

    def __init__(
        self,
        clock: IReactorTime,
        agent: MatrixFederationAgent,
        secret: Secret,
        policy: GatewayPolicy | None = None,
        counters: Counters | None = None,
    ) -> None:
        """
        @param counters: by default those of the agent.
        """
        raise NotImplementedError

    def receive(self, head: RequestHead, peer: str) -> Answer | Exchange:
        """
        Take a request; it is decided at once, and nothing is raised.

        @param peer: the client, for the log.
        @return: the answer, which is counted and logged already; or an
            exchange, of which L{Exchange.end} has to be called.
        """
        raise NotImplementedError

    def refuse(self, answer: Answer, peer: str) -> None:
        """
        Count and log the answer to what never became a request.
        """
        raise NotImplementedError

    def under_way(self) -> int:
        """
        Count the exchanges that have not ended.
        """
        raise NotImplementedError

    def drain(self) -> Deferred[None]:
        """
        Forward no further request.

        @return: fires when no exchange is under way; may be cancelled.
        """
        raise NotImplementedError


class Exchange:
    """
    A request that is forwarded; it holds its place until L{end}.

    @ivar uri: what the agent is asked for: the target, byte for byte.
    @ivar server_name: as it is in the target.
    """

    uri: bytes
    server_name: str
    method: bytes

    def send(self, body: IBodyProducer | None) -> Deferred[IResponse]:
        """
        Send the request.

        @param body: L{None} when the request has none.
        @return: what the agent's C{request} returns.
        """
        raise NotImplementedError

    def answer(self, error: BaseException) -> Answer:
        """
        Make the answer to a request whose L{send} failed; L{end} has to be
        called all the same.
        """
        raise NotImplementedError

    def end(self, code: int | None, received: int, sent: int, outcome: str, phase: str = "", reason: str = "") -> None:
        """
        Free the place, count and log; all but the first call do nothing.

        @param code: the status that the client was sent, or L{None}.
        @param received: bytes of the body of the request.
        @param sent: bytes of the body of the response.
        @param outcome: one of C{OUTCOMES}.
        @param phase: by default that of the failure, if there was one.
        @param reason: for the log; by default that of the failure.
        """
        raise NotImplementedError
