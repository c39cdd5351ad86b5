"""
An agent at load, among servers that do everything wrong, for as long as it is told to.

What is asked of whom, how bodies are read, who gives up when, and what changes meanwhile, is drawn at random from a
seed. It fails, with the reasons and a status that is not 0, when a request ends in anything but a response or one of
the package's errors, or does not end; when a sound server's answer does not arrive whole although nobody gave up; when
anything is logged as a failure; when a server that showed a certificate of somebody else hears a request; and when
sockets, timers, coroutines or Deferreds are left, or memory grows.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer, PartialDownloadError, ResponseDone, readBody
from twisted.web.client import ResponseFailed as BodyFailed
from twisted.web.http import PotentialDataLoss

from matrix_federation_agent import read_body
from matrix_federation_agent.errors import FederationError
from matrix_federation_agent.stores import SQLiteStore

from ._client import our_agent
from ._groups import GroupsProcess
from ._soaking import (
    CONNECTIONS,
    DISCOVERY,
    NAMES,
    STUCK,
    Changes,
    run_soak,
)
from ._unruly import BROKEN, ENDLESS, KINDS, SOUND, SOUND_KINDS

AT_ONCE = 30
LONGEST = 300_000
"""
Requests under way at the same time, and bytes of the longest body of a sound server.
"""


@attrs.frozen
class Plan:
    """
    One request.

    @ivar kind: what the server is to do.
    @ivar sent: bytes of its body; L{None} is GET.
    @ivar streamed: whether the body is too long to be kept, or said to be.
    @ivar reader: how the body of the response is read.
    @ivar cancelled: the seconds after which it is given up.
    """

    name: str
    kind: str
    size: int
    sent: int | None
    streamed: bool
    reader: str
    cancelled: float | None

    @classmethod
    def draw(cls, rng: Random) -> Plan:
        """
        Draw one.
        """
        group = rng.choice((*SOUND * 6, *BROKEN))
        size = rng.choice((0, 1, 100, 100, 10_000, LONGEST))
        kind = rng.choice((*SOUND_KINDS * 3, *KINDS))
        return cls(
            name=f"n{rng.randrange(NAMES)}.{group}.example",
            kind=kind,
            size=size,
            sent=rng.choice((None, None, 0, 200, 200, 400_000)),
            streamed=rng.random() < 0.2,
            reader=rng.choice(("at once", "at once", "at once", "limited", "slowly", "late", "gives up", "never")),
            # Some at once, most of them while something is under way, some too late.
            cancelled=rng.uniform(0, 1) ** 4 * 2 if kind in ENDLESS or rng.random() < 0.25 else None,
        )

    @property
    def uri(self) -> bytes:
        """
        Where it is sent.
        """
        return f"matrix-federation://{self.name}/{self.kind}?size={self.size}".encode("ascii")

    @property
    def sound(self) -> bool:
        """
        Whether it must succeed, when nobody gives it up: what was streamed cannot be sent again, if the server closes
        the connection at that moment.
        """
        repeatable = self.sent is None or not (self.streamed or self.sent > CONNECTIONS.max_repeatable_body)
        return self.name.split(".")[1] in SOUND and self.kind in SOUND_KINDS and repeatable

    @property
    def expected(self) -> int:
        """
        The bytes of the response's body.
        """
        return 8 if self.kind == "slow" else self.size

    def producer(self) -> FileBodyProducer | None:
        """
        Make the body of the request.
        """
        return None if self.sent is None else FileBodyProducer(BytesIO(b"y" * self.sent), readSize=4096)


class _Slow(Protocol):
    """
    Reads with pauses, or gives up at the first piece.
    """

    def __init__(self, reactor: Any, *, gives_up: bool) -> None:
        self._reactor = reactor
        self._gives_up = gives_up
        self._count = 0
        self._again: Any = None
        self.done: Deferred[int] = Deferred(lambda _: self._stop())

    def _stop(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Count, and rest.
        """
        self._count += len(data)
        if self._gives_up:
            self._stop()
        elif self._again is None:
            transport: Any = self.transport
            transport.pauseProducing()
            self._again = self._reactor.callLater(0.02, self._go_on)

    def _go_on(self) -> None:
        self._again = None
        transport: Any = self.transport
        transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell how much there was.
        """
        if self._again is not None:
            self._again.cancel()
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(self._count)
        else:
            self.done.errback(reason)


class Soak:
    """
    The load, and what became of it.

    @ivar outcomes: how often requests ended in each way.
    @ivar wrong: what should not have happened.
    @ivar excused: requests to sound servers that failed about the time of a silence of the name server.
    """

    def __init__(self, reactor: Any, far_side: GroupsProcess, rng: Random, store: Path) -> None:
        self._reactor = reactor
        self._rng = rng
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.excused = 0
        description = far_side.description
        self.agent = our_agent(
            reactor, description, connections=CONNECTIONS, discovery=DISCOVERY, store=SQLiteStore(reactor, store)
        )
        self._changes = Changes(reactor, self.agent, far_side, rng)

    async def run(self, seconds: float) -> None:
        """
        Keep asking, until the time is over and all has ended.
        """
        until = perf_counter() + seconds
        each = [self._keep_asking(until) for _ in range(AT_ONCE)]
        await gatherResults([Deferred.fromCoroutine(one) for one in (*each, self._changes.keep_changing(until))])

    def left(self) -> dict[str, int]:
        """
        Count nothing: what is under way has sockets and timers.
        """
        return {}

    async def close(self) -> None:
        """
        End the agent.
        """
        await self.agent.close()

    async def _keep_asking(self, until: float) -> None:
        while perf_counter() < until:
            await self._ask(Plan.draw(self._rng))

    async def _ask(self, plan: Plan) -> None:
        began = perf_counter()
        asked = Deferred.fromCoroutine(self._exchange(plan))
        timer = self._reactor.callLater(STUCK if plan.cancelled is None else plan.cancelled, asked.cancel)
        try:
            outcome = await asked
        except CancelledError:
            outcome = "cancelled"
        except Exception as error:  # noqa: BLE001 (that is what is to be found)
            outcome = f"{type(error).__name__}, not one of ours"
            self.wrong[f"{plan.kind}, read {plan.reader}, ended in {outcome}: {error}"[:300]] += 1
        given_up = not timer.active()
        if not given_up:
            timer.cancel()
        elif plan.cancelled is None:
            self.wrong[f"{plan.kind}, read {plan.reader}, did not end in {STUCK:.0f} s"] += 1
        self.outcomes[outcome] += 1
        if plan.sound and outcome != "200" and not (given_up or plan.reader == "gives up"):
            excused = self._changes.deaf_since(began)
            self.excused += excused
            self.wrong[f"a sound server's {plan.kind}, read {plan.reader}, ended in {outcome}"] += not excused

    async def _exchange(self, plan: Plan) -> str:
        try:
            method = b"GET" if plan.sent is None else b"PUT"
            response = await self.agent.request(method, plan.uri, None, plan.producer())
        except FederationError as error:
            return f"{type(error).__name__} ({error.phase})"
        try:
            count = await self._read(plan, response)
        except (BodyFailed, PartialDownloadError, PotentialDataLoss, FederationError) as error:
            return f"{response.code}, then {type(error).__name__}"
        if response.code == 200 and count != plan.expected and plan.kind in SOUND_KINDS:
            return f"200 with {count} instead of {plan.expected} bytes"
        return str(response.code)

    async def _read(self, plan: Plan, response: Any) -> int:
        if plan.reader == "never":
            return plan.expected
        if plan.reader == "limited":
            return len(await read_body(response, LONGEST))
        if plan.reader == "late":
            await deferLater(self._reactor, 0.2, lambda: None)
        if plan.reader in ("at once", "late"):
            return len(await readBody(response))
        response.deliverBody(slow := _Slow(self._reactor, gives_up=plan.reader == "gives up"))
        return await slow.done


if __name__ == "__main__":
    run_soak(__doc__, Soak)
