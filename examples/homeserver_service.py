"""
A Twisted service that sends events to other homeservers, and the one place
in it that knows which agent it sends them with.

L{FederationSender} takes an C{IAgent} and never learns that it was exchanged;
L{make_agent} holds the line that changes.
"""

# For this project's linters: Twisted's services have no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import json
import signal
from io import BytesIO
from typing import TYPE_CHECKING, Any

import treq
from twisted.application.service import Service
from twisted.logger import Logger
from twisted.web.client import FileBodyProducer
from twisted.web.http_headers import Headers

from matrix_federation_agent import MatrixFederationAgent, federation_url
from matrix_federation_agent.errors import ConfigurationError, FederationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from twisted.internet.defer import Deferred
    from twisted.web.iweb import IAgent


class FederationSender(Service):
    """
    Sends transactions to other homeservers.

    @ivar delivered: the servers that accepted a transaction, in order.
    """

    name = "federation-sender"
    log = Logger()

    def __init__(self, agent: IAgent, origin: str) -> None:
        """
        @param agent: any agent that knows C{matrix-federation://}.
        @param origin: the name of this homeserver.
        """
        self._agent = agent
        self._origin = origin
        self.delivered: list[str] = []

    async def send(self, destination: str, transaction_id: str, pdus: Sequence[Mapping[str, Any]]) -> bool:
        """
        Send one transaction.

        @return: whether the other homeserver accepted it.
        """
        url = federation_url(destination, f"/_matrix/federation/v1/send/{transaction_id}")
        headers = Headers({b"Content-Type": [b"application/json"]})
        body = FileBodyProducer(BytesIO(json.dumps({"origin": self._origin, "pdus": list(pdus)}).encode("utf-8")))
        try:
            response = await self._agent.request(b"PUT", bytes(url), headers, body)
            # The connection goes back to the pool once the body was read.
            await treq.content(response)
        except FederationError as error:
            self.log.info("not delivered: {error}", error=error)
            return False
        if response.code != 200:
            self.log.info("not delivered: {name} said {code}", name=destination, code=response.code)
            return False
        self.delivered.append(destination)
        return True


class AgentService(Service):
    """
    Has the agent read its roots again on SIGHUP, and closes it when the
    program stops.
    """

    log = Logger()

    def __init__(self, reactor: Any, agent: MatrixFederationAgent) -> None:
        self._reactor = reactor
        self._agent = agent
        self._previous: Any = None

    def startService(self) -> None:
        """
        Start; this must be in the main thread, as all that sets handlers of
        signals.
        """
        super().startService()
        self._previous = signal.signal(signal.SIGHUP, self._hung_up)

    def stopService(self) -> Deferred[None]:
        """
        Stop, once every connection is closed.
        """
        super().stopService()
        signal.signal(signal.SIGHUP, self._previous)
        return self._agent.close()

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        # A signal may come between any two steps of the program: the work is
        # left to the reactor, which callFromThread also wakes up.
        self._reactor.callFromThread(self._reload)
        if callable(self._previous):
            self._previous(number, frame)

    def _reload(self) -> None:
        try:
            self._agent.reload_trust()
        except ConfigurationError:
            self.log.failure("the roots of before stay")


def make_agent(reactor: Any) -> MatrixFederationAgent:
    """
    Choose the agent of the whole program.

    Before, with C{twisted.web.client}, its one line was::

        return Agent(reactor, pool=HTTPConnectionPool(reactor))

    The sender wrote C{https://} URIs then; that scheme still means port 443
    of a host, and C{matrix-federation://} is the one that finds a server.
    """
    return MatrixFederationAgent.new(reactor)


def add_services(parent: Any, reactor: Any, agent: MatrixFederationAgent, origin: str) -> FederationSender:
    """
    Put the sender, and what looks after its agent, under a parent service.
    """
    AgentService(reactor, agent).setServiceParent(parent)
    sender = FederationSender(agent, origin)
    sender.setServiceParent(parent)
    return sender
