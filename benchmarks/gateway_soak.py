"""
A gateway at load, with servers behind it that do everything wrong, and clients in front that do.

Who is asked for what, how clients behave, and what changes meanwhile, is drawn at random from a seed. It fails, with
the reasons and a status that is not 0, when a body that broke off looks whole; when a sound server's answer does not
arrive whole at a client that behaves; when a wrong secret gets anything but a refusal, or the right one 401; when
something does not end, or anything is logged as a failure; and when connections, timers, coroutines or Deferreds are
left, or memory grows.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from matrix_federation_agent._gateway.factory import GatewayFactory
from matrix_federation_agent._gateway.forwarder import Forwarder
from matrix_federation_agent._gateway.secret import Secret
from matrix_federation_agent._policies import GatewayPolicy
from matrix_federation_agent.stores import SQLiteStore

from ._client import our_agent
from ._groups import GroupsProcess
from ._raw_http import SECRET, Reply
from ._soaking import CONNECTIONS, DISCOVERY, STUCK, Changes, run_soak
from ._visits import DRIPS, LATE, SLOWLY, Outcome, Visit, outcome_of

CLIENTS = 40
POLICY = GatewayPolicy(
    max_connections=38,
    max_requests=34,
    max_requests_per_destination=6,
    head_timeout=1.0,
    idle_timeout=1.0,
    body_grace=1.0,
    minimum_rate=1000.0,
    write_timeout=1.5,
    response_timeout=4.0,
    retry_after=1,
)
"""
Limits that are met now and then: there are more clients than may be served.
"""

PIECES, PAUSE = 8, 0.05
"""
In how many pieces a client sends that drips, and the seconds between two of them.
"""


class _Client(Protocol):
    """
    One connection to the gateway.
    """

    def __init__(self, reactor: Any, visit: Visit) -> None:
        self._reactor = reactor
        self._visit = visit
        self._timers: list[Any] = []
        self._reply = Reply(keeps=False)
        self._answered: Deferred[Outcome] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def ask(self, *, last: bool) -> Deferred[Outcome]:
        """
        Send a request as this client does, and wait for the end of its answer, or of the connection.
        """
        self._reply, self._answered = Reply(keeps=False), Deferred()
        data = self._visit.written(last=last)
        step = -(-len(data) // PIECES) if self._visit.manner == DRIPS else len(data)
        for number, start in enumerate(range(0, len(data), step)):
            self._later(number * PAUSE, self.write, data[start : start + step])
        if self._visit.manner == LATE:
            self.stop()
            self._later(2 * POLICY.write_timeout, self.go_on)
        return self._answered

    def _later(self, seconds: float, what: Any, *arguments: object) -> None:
        if seconds:
            self._timers = [timer for timer in self._timers if timer.active()]
            self._timers.append(self._reactor.callLater(seconds, what, *arguments))
        else:
            what(*arguments)

    def connectionMade(self) -> None:
        """
        What there is to be done with it.
        """
        transport: Any = self.transport
        self.write, self.leave = transport.write, transport.abortConnection
        self.stop, self.go_on = transport.pauseProducing, transport.resumeProducing

    def dataReceived(self, data: bytes) -> None:
        """
        Read on, and rest, if it is slow.
        """
        self._reply.feed(data)
        if self._reply.complete:
            self._tell()
        elif self._visit.manner == SLOWLY:
            self.stop()
            self._later(0.02, self.go_on)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        This is the end of every answer.
        """
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._reply.end()
        self._tell()
        self.lost.callback(None)

    def _tell(self) -> None:
        if not self._answered.called:
            self._answered.callback(outcome_of(self._reply))


class GatewaySoak:
    """
    The gateway, the load, and what became of it.

    @ivar outcomes: how often requests ended in each way, as clients see it.
    @ivar wrong: what should not have happened.
    @ivar excused: requests to sound servers that failed about the time of a silence of the name server.
    """

    def __init__(self, reactor: Any, far_side: GroupsProcess, rng: Random, store: Path) -> None:
        self._reactor = reactor
        self._rng = rng
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.excused = 0
        self.agent = our_agent(
            reactor,
            far_side.description,
            connections=CONNECTIONS,
            discovery=DISCOVERY,
            store=SQLiteStore(reactor, store),
        )
        self._changes = Changes(reactor, self.agent, far_side, rng)
        self.forwarder = Forwarder(reactor, self.agent, Secret.of(SECRET.encode("ascii")), POLICY)
        self.factory = GatewayFactory(reactor, self.forwarder)
        self._port = reactor.listenTCP(0, self.factory, 1024, "127.0.0.1")
        # By server, why the last request that failed did.
        self._reasons: dict[str, str] = {}
        # To mypy, no method is an ILogObserver.
        self._observer = cast("ILogObserver", self._note)
        globalLogPublisher.addObserver(self._observer)

    async def run(self, seconds: float) -> None:
        """
        Keep coming, until the time is over and all has ended.
        """
        until = perf_counter() + seconds
        each = [self._keep_coming(until) for _ in range(CLIENTS)]
        await gatherResults([Deferred.fromCoroutine(one) for one in (*each, self._changes.keep_changing(until))])

    def left(self) -> dict[str, int]:
        """
        Count requests and clients.
        """
        return {
            "requests under way": self.forwarder.under_way(),
            "connections of clients": self.factory.connections.open,
        }

    async def close(self) -> None:
        """
        End the gateway as a service does.
        """
        await self._port.stopListening()
        self.factory.drain()
        await self.forwarder.drain()
        await self.agent.close()
        globalLogPublisher.removeObserver(self._observer)

    def _note(self, event: LogEvent) -> None:
        if event.get("reason") and event.get("server_name"):
            self._reasons[event["server_name"]] = f"{event.get('phase')}: {event['reason']}"

    async def _keep_coming(self, until: float) -> None:
        where = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._port.getHost().port)
        while perf_counter() < until:
            visit = Visit.draw(self._rng)
            client = await connectProtocol(where, _Client(self._reactor, visit))
            for left in reversed(range(visit.requests)):
                if client.lost.called or not await self._asked(client, visit, last=not left):
                    break
            client.leave()
            await client.lost

    async def _asked(self, client: _Client, visit: Visit, *, last: bool) -> bool:
        """
        Send one request.

        @return: whether another one may follow.
        """
        began = perf_counter()
        timer = self._reactor.callLater(STUCK if visit.patience is None else visit.patience, client.leave)
        outcome = await client.ask(last=last)
        left = not timer.active()
        if not left:
            timer.cancel()
        elif visit.patience is None:
            self.wrong[f"{visit.kind}, {visit.manner}, did not end in {STUCK:.0f} s"] += 1
        self._judge(visit, outcome, began, left=left)
        return outcome is not None and outcome[0] == 200

    def _judge(self, visit: Visit, outcome: Outcome, began: float, *, left: bool) -> None:
        shown = "left" if left else "no whole answer" if outcome is None else str(outcome[0])
        self.outcomes[shown] += 1
        objection = "" if left else visit.objection(outcome)
        # Who is too many is told so.
        if visit.sound and shown not in ("200", "503", "left") and not objection:
            objection = f"a sound server's ended in {shown}"
        if objection and visit.sound and self._changes.deaf_since(began):
            self.excused += 1
        elif objection:
            what = f"{visit.kind} of {visit.name.split('.')[1]}, {visit.manner}, {visit.sent}"
            self.wrong[f"{what}: {objection} ({self._reasons.get(visit.name)})"] += 1


if __name__ == "__main__":
    run_soak(__doc__, GatewaySoak)
