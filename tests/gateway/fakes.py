"""
An agent that does what tests say, and requests of clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from matrix_federation_agent import Connections, Counters, Known, MatrixFederationAgent, ServerName
from matrix_federation_agent._gateway.answers import Answer
from matrix_federation_agent._gateway.forwarder import Exchange, Forwarder
from matrix_federation_agent._gateway.head import RequestHead
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._policies import GatewayPolicy
from tests.case import TestCase

SECRET = b"s3cret"
PEER = "192.0.2.7"
TARGET = b"matrix-federation://ex.com/_matrix/federation/v1/version"


@attrs.frozen
class Asked:
    """
    What an agent was asked for.
    """

    method: bytes
    uri: bytes
    headers: Headers | None
    body: IBodyProducer | None
    response: Deferred[IResponse]


@implementer(IAgent)
class FakeAgent:
    """
    Keeps what it is asked for; tests answer.

    @ivar asked: the requests, in order.
    @ivar forgotten: the arguments of C{forget}, in order.
    @ivar remembered: what C{known} returns.
    @ivar listed: what C{connections} returns.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self.asked: list[Asked] = []
        self.forgotten: list[ServerName | None] = []
        self.known_of: list[ServerName | None] = []
        self.remembered: list[Known] = []
        self.listed: list[Connections] = []

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        Keep it.
        """
        response: Deferred[IResponse] = Deferred()
        self.asked.append(Asked(method, uri, headers, bodyProducer, response))
        return response

    def known(self, server_name: ServerName | None = None) -> list[Known]:
        """
        Return what the test says.
        """
        self.known_of.append(server_name)
        return self.remembered

    def forget(self, server_name: ServerName | None = None) -> None:
        """
        Keep the name.
        """
        self.forgotten.append(server_name)

    def connections(self) -> list[Connections]:
        """
        Return what the test says.
        """
        return self.listed


def head_of(
    method: bytes = b"GET",
    target: bytes = TARGET,
    headers: Mapping[bytes, Sequence[bytes]] | None = None,
    *,
    secret: bytes | None = SECRET,
) -> RequestHead:
    """
    Make the head of a request.

    @param secret: that it has, if it has one.
    """
    fields: dict[bytes, Sequence[bytes]] = {b"host": [b"ex.com:80"]}
    fields |= {name.lower(): values for name, values in (headers or {}).items()}
    if secret is not None:
        fields[b"proxy-authorization"] = [b"Bearer " + secret]
    return RequestHead(method, target, 1, fields)


class ForwarderCase(TestCase):
    """
    A forwarder before an agent that does what the test says.
    """

    policy = GatewayPolicy()

    def setUp(self) -> None:
        """
        Make both.
        """
        super().setUp()
        self.clock = Clock()
        self.agent = FakeAgent()
        agent = cast("MatrixFederationAgent", self.agent)
        self.forwarder = Forwarder(self.clock, agent, Secret.of(SECRET), self.policy)

    def answered(self, head: RequestHead) -> Answer:
        """
        Send what is answered at once.
        """
        answer = self.forwarder.receive(head, PEER)
        assert isinstance(answer, Answer), answer
        return answer

    def begun(self, head: RequestHead | None = None) -> Exchange:
        """
        Send what is forwarded.
        """
        exchange = self.forwarder.receive(head_of() if head is None else head, PEER)
        assert isinstance(exchange, Exchange), exchange
        return exchange
