"""
A connection pool whose connections and time are the test's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from matrix_federation_agent import ConnectionPolicy, Counters, ServerName
from matrix_federation_agent._connect.destination import FEDERATION, Destination
from matrix_federation_agent._connect.dialer import Dialer
from matrix_federation_agent._connect.pool import ConnectionPool
from matrix_federation_agent._discovery.routing import Target
from matrix_federation_agent._http.connection import HTTPConnection, Request
from matrix_federation_agent._identity import Identity
from matrix_federation_agent.errors import ConnectionFailed, ResponseFailed


def target(name: str) -> Target:
    """
    Make the target of a host at the default port.
    """
    return Target(ServerName(name), 8448)


class ScriptedConnection(Protocol):
    """
    A connection that does what the test says.

    @ivar end: how it ended: C{"left"}, C{"aborted"}, C{"lost"}; empty while it is open.
    """

    def __init__(
        self, clock: Clock, policy: ConnectionPolicy, idle: Callable[[Any], object], lost: Callable[[Any], object]
    ) -> None:
        self.born = clock.seconds()
        self.target = target("ex.com")
        self.requests = 0
        self.heard = False
        self.end = ""
        self.path = ""
        self._idle = idle
        self._lost = lost
        self._answered: Deferred[IResponse] | None = None

    def send(self, request: Request) -> Deferred[IResponse]:
        """
        Keep a request until the test answers it.
        """
        assert self._answered is None
        assert not self.end, self.end
        self.requests += 1
        self.path = request.head.decode("ascii")
        self._answered = Deferred(lambda _: self.abort())
        return self._answered

    def answer(self) -> None:
        """
        Let the server answer.
        """
        answered, self._answered, path = self._answered, None, self.path
        assert answered is not None
        self._idle(self)
        answered.callback(cast("IResponse", path))

    def break_off(self, *, heard: bool = False) -> None:
        """
        Let the server close the connection.

        @param heard: whether it had begun to answer.
        """
        self.heard = heard
        answered, self._answered = self._answered, None
        self._go("lost")
        if answered is not None:
            answered.errback(ResponseFailed("ex.com", "no usable response"))

    def abort(self) -> None:
        """
        Be dropped.
        """
        self._go("aborted")

    def leave(self) -> None:
        """
        Be closed.
        """
        self._go("left")

    def _go(self, how: str) -> None:
        if not self.end:
            self.end = how
            self._lost(self)


@attrs.define(eq=False)
class Dialled:
    """
    A connection that a pool wants to be made.
    """

    identity: Identity
    targets: Sequence[Target]
    factory: IProtocolFactory
    outcome: Deferred[ScriptedConnection] = attrs.field(factory=Deferred)

    def succeed(self) -> ScriptedConnection:
        """
        Make it.
        """
        connection = self.build()
        self.outcome.callback(connection)
        return connection

    def build(self) -> ScriptedConnection:
        """
        Build the protocol only.
        """
        built: Any = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 8448))
        built.target = self.targets[0]
        return cast("ScriptedConnection", built)

    def fail(self, error: Exception | None = None) -> None:
        """
        Let nobody answer.
        """
        self.outcome.errback(error or ConnectionFailed(self.identity.asked, "nobody listens"))


class ScriptedDialer:
    """
    Makes connections when the test says so.

    @ivar made: everything that was ever asked for, in order.
    @ivar under_way: what is being made.
    @ivar at_once: an error with which every attempt fails at once.
    @ivar is_stubborn: whether attempts succeed when they are cancelled.
    """

    def __init__(self) -> None:
        self.made: list[Dialled] = []
        self.under_way: list[Dialled] = []
        self.at_once: Exception | None = None
        self.is_stubborn = False
        self.stubborn: list[ScriptedConnection] = []

    async def connect(
        self, identity: Identity, targets: Sequence[Target], factory: IProtocolFactory
    ) -> ScriptedConnection:
        """
        Make one, or be cancelled.
        """
        if self.at_once is not None:
            raise self.at_once
        dialled = Dialled(identity, targets, factory)
        self.made.append(dialled)
        self.under_way.append(dialled)
        try:
            return await dialled.outcome
        except CancelledError:
            if not self.is_stubborn:
                raise
            self.stubborn.append(dialled.build())
            return self.stubborn[-1]
        finally:
            self.under_way.remove(dialled)

    @property
    def names(self) -> list[str]:
        """
        The servers to which connections are being made.
        """
        return [str(dialled.identity.effective) for dialled in self.under_way]


class Pooling:
    """
    A pool, and the requests that are sent by way of it.

    @ivar told: how requests ended, in order: their path, or the path and the name of the error.
    """

    def __init__(self, **settings: Any) -> None:
        """
        @param settings: of the connection policy.
        """
        self.clock = Clock()
        self.dialer = ScriptedDialer()
        self.counters = Counters()
        self.targets: list[Target] = [target("ex.com")]
        self.locating: list[Deferred[None]] | None = None
        policy = ConnectionPolicy(**settings)
        connection = cast("type[HTTPConnection]", ScriptedConnection)
        self.pool = ConnectionPool(self.clock, cast("Dialer", self.dialer), policy, self.counters, connection)
        self.told: list[str] = []
        self.errors: list[Any] = []

    def destination(self, name: str = "ex.com", asked: str | None = None) -> Destination:
        """
        Make the destination of a server.

        @param asked: the name that delegates to it.
        """
        effective = ServerName.parse(name)
        return Destination.of(FEDERATION, Identity(ServerName.parse(asked or name), effective), self._where)

    async def _where(self, _: Identity) -> Sequence[Target]:
        if self.locating is not None:
            found: Deferred[None] = Deferred()
            self.locating.append(found)
            await found
        return list(self.targets)

    def send(
        self,
        path: str = "/",
        name: str = "ex.com",
        *,
        method: bytes = b"GET",
        body: Any = b"",
        asked: str | None = None,
    ) -> Deferred[Any]:
        """
        Send a request, and keep what becomes of it.

        @param asked: the name that was asked for, if another one answers.
        """
        destination = self.destination(name, asked)
        request = Request(destination.asked, method, path.encode("ascii"), body, b"", None)
        sending = Deferred.fromCoroutine(self.pool.request(destination, request))
        sending.addCallbacks(lambda response: self.told.append(str(response)), self._failed, errbackArgs=(path,))
        return sending

    def _failed(self, failure: Failure, path: str) -> None:
        self.told.append(f"{path} {type(failure.value).__name__}")
        self.errors.append(failure.value)

    def sends(self, count: int, name: str = "ex.com") -> list[Deferred[Any]]:
        """
        Send requests to the paths C{/0}, C{/1} and so on.
        """
        return [self.send(f"/{number}", name) for number in range(count)]

    def connect(self) -> ScriptedConnection:
        """
        Let the first of the connections that are being made succeed.
        """
        return self.dialer.under_way[0].succeed()

    def counted(self, event: str) -> int:
        """
        Tell how often something happened.
        """
        return self.counters.snapshot().get(f"pool.{event}", 0)

    @property
    def status(self) -> list[str]:
        """
        What the pool has.
        """
        return [str(one).removeprefix("matrix-federation://") for one in self.pool.status()]
