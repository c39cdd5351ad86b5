"""
One request of a client, from its head to the last byte of its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import fail
from twisted.logger import Logger

from .._http.framing import persists
from .._http.watch import Deadline
from .answers import Answer
from .failures import deadline
from .intake import Intake
from .reading import Refused, expects_continue
from .refusals import answer_to, late_body, too_large
from .relay import Relay, account_of
from .writing import Framing, connection_line, framing, written

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from .._http.framing import Delimiter
    from .._http.sending import WholeBody
    from .._policies import GatewayPolicy
    from .forwarder import Exchange
    from .head import RequestHead
    from .upload import ClientBody
    from .wire import GatewayConnection

_log = Logger()

_NO_RESPONSE = "no response within"


class Turn:
    """
    Serves one request.
    """

    __slots__ = (
        "_asked",
        "_client",
        "_code",
        "_exchange",
        "_head",
        "_intake",
        "_over",
        "_persistent",
        "_policy",
        "_relay",
        "_sending",
    )

    def __init__(
        self,
        client: GatewayConnection,
        clock: IReactorTime,
        policy: GatewayPolicy,
        head: RequestHead,
        end: int | Delimiter,
    ) -> None:
        """
        @param end: of the body.
        """
        self._client = client
        self._policy = policy
        self._head = head
        self._persistent = persists(head.minor, head.fields)
        self._asked = clock.seconds()
        self._intake = None if end == 0 else Intake(self, client, clock, policy, end)
        self._exchange: Exchange | None = None
        self._sending: Deferred[None] | None = None
        self._relay: Relay | None = None
        self._code: int | None = None
        self._over = False

    @property
    def receiving(self) -> bool:
        """
        Whether the body of the request has not ended.
        """
        intake = self._intake
        return intake is not None and intake.receiving

    @property
    def held(self) -> bool:
        """
        Whether nothing of the body is to be read for now.
        """
        intake = self._intake
        return intake is not None and intake.held

    def receive(self, data: bytes) -> bytes:
        """
        Take a part of the body.

        @return: what follows the request.
        """
        intake = self._intake
        assert intake is not None  # noqa: S101 (for types: the body has not ended)
        rest = intake.receive(data)
        if not intake.receiving:
            self._client.hasten()
        return rest

    def begin(self, outcome: Answer | Exchange, data: bytes) -> bytes:
        """
        Begin.

        @param outcome: what becomes of the request.
        @param data: what arrived after the head.
        @return: what follows the request.
        """
        if isinstance(outcome, Answer):
            return self._answer_at_once(outcome, data)
        self._exchange = outcome
        refusal = self._refusal()
        if refusal is not None:
            return self._answer_at_once(refusal, data)
        if self._intake is None:
            self.send(None)
            return data
        return self._intake.receive(data)

    def _refusal(self) -> Answer | None:
        """
        Refuse what only a client with the secret is told of.
        """
        intake = self._intake
        if intake is not None and intake.length > self._policy.max_body_bytes:
            return too_large(self._policy.max_body_bytes)
        try:
            waits = expects_continue(self._head)
        except Refused as error:
            return answer_to(error)
        if intake is not None:
            intake.waits = waits
        return None

    def _answer_at_once(self, answer: Answer, data: bytes) -> bytes:
        """
        Answer without the body, which nobody wants.

        @return: what follows the request.
        """
        rest = data if self._intake is None else self._intake.pass_over(data)
        self._answer(answer)
        return rest

    def send(self, body: WholeBody | ClientBody | None) -> None:
        """
        Send the request on.
        """
        exchange = self._exchange
        assert exchange is not None  # noqa: S101 (for types)
        try:
            sending = exchange.send(body)
        except Exception:  # noqa: BLE001 (the client is owed an answer)
            sending = fail()
        self._sending = sending  # type: ignore[assignment]
        sending.addCallbacks(self._respond, self._fail).addErrback(self._collapse)

    def _respond(self, response: IResponse) -> None:
        """
        Pass on a response whose head has arrived.
        """
        self._sending = None
        head = self._head
        chosen = framing(head.method, head.minor, response.code, response.length)
        if chosen is Framing.CLOSE:
            self._persistent = False
        relay = Relay(self, response, chosen, self._connection_line())
        if self._over:
            relay.stop()
        else:
            self._settle_on(response.code)
            self._relay = relay
            if self._client.full:
                relay.pause()
        response.deliverBody(relay)
        relay.begin()

    def _settle_on(self, code: int) -> None:
        """
        Note the status that the client is sent; it waits for nothing else.
        """
        self._code = code
        if self._intake is not None:
            self._intake.waits = False

    def _connection_line(self) -> bytes:
        """
        Decide what becomes of the connection; it goes on after whole requests
        only.
        """
        self._persistent = self._persistent and not self.receiving and not self._client.last
        return connection_line(self._head.minor, persistent=self._persistent)

    def write(self, data: bytes) -> None:
        """
        Send the client a part of the response.
        """
        self._client.write(data)

    def relayed(self) -> None:
        """
        All of the response was written.
        """
        relay, whole = self._relay, not self.receiving
        self._conclude("ok", sent=0 if relay is None else relay.sent)
        self._client.proceed(persistent=self._persistent, whole=whole)

    def broken_off(self, reason: Failure) -> None:
        """
        The response is not complete, and must not look so.
        """
        relay = self._relay
        phase, text = account_of(reason)
        self._conclude("broken", sent=0 if relay is None else relay.sent, phase=phase, reason=text)
        self._client.abort()

    def _fail(self, reason: Failure) -> None:
        """
        There is no response.
        """
        self._sending = None
        exchange = self._exchange
        if not self._over and exchange is not None:
            self._answer(exchange.answer(reason.value or Exception()))

    def _collapse(self, reason: Failure) -> None:
        """
        Something here is wrong.
        """
        _log.failure("a response could not be passed on", reason)
        self.drop("internal")
        self._client.abort()

    def refuse(self, answer: Answer) -> None:
        """
        Answer the client in the middle of its request; once there is a
        response, break off.
        """
        if self._relay is not None:
            self.drop(answer.outcome, answer.reason)
            self._client.abort()
            return
        self._cancel()
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        """
        Let the client have an answer of our own.
        """
        self._settle_on(answer.code)
        message = written(answer, self._head.method, self._connection_line())
        sent = 0 if self._head.method == b"HEAD" else len(answer.body)
        whole = not self.receiving
        self._client.write(message)
        self._conclude(answer.outcome, sent=sent, phase=answer.phase, reason=answer.reason)
        self._client.proceed(persistent=self._persistent, whole=whole)

    def _conclude(self, outcome: str, sent: int, phase: str = "", reason: str = "") -> None:
        """
        Give account of the request, once, and let go of everything.
        """
        self._over = True
        self._relay = None
        received = 0
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.end()
            received = intake.received
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(self._code, received, sent, outcome, phase, reason)

    def _cancel(self) -> None:
        """
        Have the request that was sent on cancelled.
        """
        sending, self._sending = self._sending, None
        intake, relay = self._intake, self._relay
        # What follows from that is no news.
        self._over = True
        if sending is not None:
            try:
                sending.cancel()
            except Exception:  # noqa: BLE001 (the request has to end all the same)
                _log.failure("a request could not be cancelled")
        if intake is not None:
            intake.fail()
        if relay is not None:
            relay.stop()

    def drop(self, outcome: str, reason: str = "") -> None:
        """
        Give the request up, without an answer.
        """
        if self._over:
            return
        relay = self._relay
        sent = 0 if relay is None else relay.sent
        self._cancel()
        self._conclude(outcome, sent=sent, reason=reason)

    def pause(self) -> None:
        """
        The client takes nothing more for now.
        """
        if self._relay is not None:
            self._relay.pause()

    def resume(self) -> None:
        """
        The client takes more.
        """
        if self._relay is not None:
            self._relay.resume()

    def deadline(self) -> Deadline | None:
        """
        Tell what has to happen next.
        """
        intake = self._intake
        late = None if intake is None else intake.deadline()
        if late is not None or self._sending is None:
            return late
        # The remote is waited for once the client is not.
        since = self._asked if intake is None else intake.moved
        seconds = self._policy.response_timeout
        return Deadline(since + seconds, seconds, _NO_RESPONSE)

    def give_up(self, late: Deadline) -> None:
        """
        It is too late.
        """
        exchange = self._exchange
        if late.reason is _NO_RESPONSE and exchange is not None:
            self.refuse(deadline(exchange.server_name, late.seconds))
        else:
            self.refuse(late_body())
