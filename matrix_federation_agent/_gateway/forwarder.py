"""
What becomes of a request: an answer at once, or an exchange with a remote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from .._policies import GatewayPolicy
from .access_log import Record, log_request, shown_target
from .admission import Admission
from .answers import Answer, busy, draining, internal, unauthorised
from .counting import count
from .exchange import Exchange
from .pages import Pages
from .targets import read_page, read_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IReactorTime

    from .._agent import MatrixFederationAgent
    from .._connect.lane import Connections
    from .._counters import Counters
    from .head import RequestHead
    from .secret import Secret

__all__ = ["Clients", "Exchange", "Forwarder"]

_log = Logger()


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
        self.secret = secret
        self.policy = GatewayPolicy() if policy is None else policy
        self.counters = agent.counters if counters is None else counters
        self.clients = Clients()
        self.draining = False
        self._clock = clock
        self._agent = agent
        self._admission = Admission()
        self._pages = Pages(agent, self)
        self._waiting: list[Deferred[None]] = []

    @property
    def policy(self) -> GatewayPolicy:
        """
        What is accepted; may be replaced, for requests from then on.
        """
        return self._policy

    @policy.setter
    def policy(self, policy: GatewayPolicy) -> None:
        """
        Replace it.
        """
        self._policy = policy
        self._withheld = frozenset(name.encode("ascii") for name in policy.withheld_headers)

    def receive(self, head: RequestHead, peer: str) -> Answer | Exchange:
        """
        Take a request; it is decided at once, and nothing is raised.

        @param peer: the client, for the log.
        @return: the answer, which is counted and logged already; or an
            exchange, of which L{Exchange.end} has to be called.
        """
        page = read_page(head.target)
        try:
            taken = self._forwarded(head, peer) if page is None else self._pages.answer(head, page)
        except Exception:  # noqa: BLE001 (the client is owed an answer, and the others a gateway)
            _log.failure("a request was not taken")
            taken = internal()
        if isinstance(taken, Answer):
            path = shown_target(head.target) if page is None else page.path
            self._settle(_refusal(taken, peer, head.method, path))
        return taken

    def refuse(self, answer: Answer, peer: str) -> None:
        """
        Count and log the answer to what never became a request.
        """
        self._settle(_refusal(answer, peer, b"", b""))

    def under_way(self) -> int:
        """
        Count the exchanges that have not ended.
        """
        return self._admission.total

    def destinations(self) -> Mapping[str, int]:
        """
        Count them by the server name that they ask, in lower case.
        """
        return self._admission.by_destination()

    def connections(self) -> list[Connections]:
        """
        List the agent's connections.
        """
        return self._agent.connections()

    def drain(self) -> Deferred[None]:
        """
        Forward no further request.

        @return: fires when no exchange is under way; may be cancelled.
        """
        self.draining = True
        if not self._admission.total:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def _forwarded(self, head: RequestHead, peer: str) -> Answer | Exchange:
        """
        Begin to forward a request.  Nothing about it is looked at before its
        secret is.
        """
        objection = self.secret.check(head.fields.get(b"proxy-authorization"))
        if objection is not None:
            return unauthorised(objection, "Proxy-Authorization")
        policy = self._policy
        target = read_target(head.method, head.target, policy)
        if isinstance(target, Answer):
            return target
        if self.draining:
            return draining(policy.retry_after)
        limit = self._admission.enter(target.server_name.lower(), policy)
        if limit is not None:
            return busy(policy.retry_after, limit)
        return Exchange(self._agent, self._clock, head, target, peer, self._withheld, policy.retry_after, self._ended)

    def _ended(self, server_name: str, record: Record) -> None:
        self._admission.leave(server_name.lower())
        self._settle(record)
        if not self._admission.total:
            drained, self._waiting = self._waiting, []
            for waiting in drained:
                waiting.callback(None)

    def _settle(self, record: Record) -> None:
        count(self.counters, record)
        log_request(record)


def _refusal(answer: Answer, peer: str, method: bytes, path: bytes) -> Record:
    """
    Record an answer that was made at once.
    """
    sent = len(answer.body)
    return Record(peer, method, "", path, answer.code, answer.outcome, answer.phase, sent=sent, reason=answer.reason)
