"""
One request of a client, from its head to the last byte of its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import fail
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.iweb import UNKNOWN_LENGTH

from .._http.decoding import body_decoder
from .._http.failures import words
from .._http.framing import persists
from .._http.head import HeadLimits, MalformedMessage
from .._http.sending import WholeBody
from .._http.watch import Deadline
from ..errors import FederationError
from .answers import Answer, deadline, late_body, malformed, too_large
from .reading import Refused, expects_continue
from .refusals import answer_to
from .relay import Relay
from .upload import ClientBody
from .writing import CONTINUE, Framing, connection_line, framing, written

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from .._http.decoding import BodyDecoder
    from .._http.framing import Delimiter
    from .._policies import GatewayPolicy
    from .forwarder import Exchange
    from .head import RequestHead
    from .wire import GatewayConnection

_log = Logger()

GATHERED = 64 * 1024
"""
Bytes of a body that is taken in before the request is sent on: the agent can
repeat it, and no connection to a server waits for a slow client.
"""

_SLOW_BODY = "the body of the request did not arrive within"
_NO_RESPONSE = "no response within"


class Turn:
    """
    Serves one request.
    """

    __slots__ = (
        "_asked",
        "_client",
        "_clock",
        "_code",
        "_continue",
        "_decoder",
        "_end",
        "_exchange",
        "_gathered",
        "_head",
        "_held_since",
        "_held_time",
        "_moved",
        "_over",
        "_persistent",
        "_policy",
        "_received",
        "_relay",
        "_sending",
        "_unwanted",
        "_upload",
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
        self._clock = clock
        self._policy = policy
        self._head = head
        self._end = end
        self._persistent = persists(head.minor, head.control)
        self._asked = self._moved = clock.seconds()
        self._decoder: BodyDecoder | None = None
        if end != 0:
            self._decoder = body_decoder(end, HeadLimits(policy.max_head_bytes, policy.max_headers, 0))
        self._exchange: Exchange | None = None
        self._gathered: list[bytes] | None = None
        self._upload: ClientBody | None = None
        self._sending: Deferred[None] | None = None
        self._relay: Relay | None = None
        self._code: int | None = None
        self._received = 0
        self._held_since: float | None = None
        self._held_time = 0.0
        self._continue = self._over = self._unwanted = False

    @property
    def receiving(self) -> bool:
        """
        Whether the body of the request has not ended.
        """
        return self._decoder is not None

    @property
    def held(self) -> bool:
        """
        Whether nothing of the body is to be read for now.
        """
        return self._held_since is not None

    def begin(self, outcome: Answer | Exchange, data: bytes) -> bytes:
        """
        Begin.

        @param outcome: what becomes of the request.
        @param data: what arrived after the head.
        @return: what follows the request.
        """
        if isinstance(outcome, Answer):
            data = self._pass_over(data)
            self._answer(outcome)
            return data
        self._exchange = outcome
        refusal = self._refusal()
        if refusal is not None:
            data = self._pass_over(data)
            self._answer(refusal)
            return data
        if self._decoder is None:
            self._send(None)
            return data
        return self.receive(data)

    def _refusal(self) -> Answer | None:
        """
        Refuse what only a client with the secret is told of.
        """
        if isinstance(self._end, int) and self._end > self._policy.max_body_bytes:
            return too_large(self._policy.max_body_bytes)
        try:
            self._continue = expects_continue(self._head)
        except Refused as error:
            return answer_to(error)
        return None

    def _pass_over(self, data: bytes) -> bytes:
        """
        Read what there is of a body that nobody wants.
        """
        self._unwanted = True
        decoder = self._decoder
        if decoder is None:
            return data
        try:
            decoder.decode(data)
        except MalformedMessage:
            return b""
        return self._conclude_body(decoder) if decoder.finished else b""

    def _conclude_body(self, decoder: BodyDecoder) -> bytes:
        """
        Note that the body has ended.

        @return: what follows it.
        """
        self._decoder = None
        return decoder.excess

    def receive(self, data: bytes) -> bytes:
        """
        Take a part of the body.

        @return: what follows the request.
        """
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 (for types: the body has not ended)
        try:
            content = decoder.decode(data)
        except MalformedMessage as error:
            self._refuse(malformed(str(error)))
            return b""
        self._moved = self._clock.seconds()
        self._received += len(content)
        if self._received > self._policy.max_body_bytes:
            self._refuse(too_large(self._policy.max_body_bytes))
            return b""
        rest = self._conclude_body(decoder) if decoder.finished else b""
        if not self._unwanted:
            self._hand_on(content)
        return rest

    def _hand_on(self, content: bytes) -> None:
        """
        Let the agent have a part of the body; or keep it, while the body is
        small.
        """
        upload, gathered = self._upload, self._gathered
        if upload is not None:
            upload.receive(content)
            if self._decoder is None:
                upload.complete()
        elif self._decoder is None:
            self._gathered = None
            self._send(WholeBody(content if gathered is None else b"".join((*gathered, content))))
        elif gathered is not None:
            gathered.append(content)
        elif isinstance(self._end, int) and self._end <= GATHERED and not self._continue:
            self._gathered = [content]
        else:
            length = self._end if isinstance(self._end, int) else UNKNOWN_LENGTH
            self._upload = upload = ClientBody(self, length)
            upload.receive(content)
            if self._continue:
                # Who waits for leave is not late; that is given once the remote is reached.
                self.hold()
            self._send(upload)

    def _send(self, body: WholeBody | ClientBody | None) -> None:
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

    def body_wanted(self) -> None:
        """
        Let the client know, if it waits for that.
        """
        if self._continue and self._code is None and self._decoder is not None and not self._received:
            self._client.write(CONTINUE)
        self._continue = False

    def body_unwanted(self) -> None:
        """
        Leave out the rest of the body: the server has answered before it, or
        is gone.
        """
        self._upload = None
        self._unwanted = True
        self.release()

    def hold(self) -> None:
        """
        Read nothing more of the body.
        """
        if self._held_since is None and not self._over:
            self._held_since = self._clock.seconds()
            self._client.adjust_reading()
            self._client.hasten()

    def release(self) -> None:
        """
        Read on.
        """
        if self._held_since is not None:
            now = self._clock.seconds()
            self._held_time += now - self._held_since
            self._moved = now
            self._held_since = None
            if not self._over:
                self._client.adjust_reading()
                self._client.hasten()

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
            self._code = response.code
            self._relay = relay
            if self._client.full:
                relay.pause()
        response.deliverBody(relay)
        relay.begin()

    def _connection_line(self) -> bytes:
        """
        Decide what becomes of the connection; it goes on after whole requests
        only.
        """
        self._persistent = self._persistent and self._decoder is None and not self._client.last
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
        relay = self._relay
        self._conclude("ok", sent=0 if relay is None else relay.sent)
        self._client.proceed(persistent=self._persistent, whole=self._decoder is None)

    def broken_off(self, reason: Failure) -> None:
        """
        The response is not complete, and must not look so.
        """
        relay = self._relay
        phase, text = _account(reason)
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

    def _refuse(self, answer: Answer) -> None:
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
        self._code = answer.code
        message = written(answer, self._head.method, self._connection_line())
        sent = 0 if self._head.method == b"HEAD" else len(answer.body)
        self._client.write(message)
        self._conclude(answer.outcome, sent=sent, phase=answer.phase, reason=answer.reason)
        self._client.proceed(persistent=self._persistent, whole=self._decoder is None)

    def _conclude(self, outcome: str, sent: int, phase: str = "", reason: str = "") -> None:
        """
        Give account of the request, once, and let go of everything.
        """
        self._over = True
        upload = self._upload
        if upload is not None:
            upload.drop()
        self._relay = self._upload = self._gathered = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(self._code, self._received, sent, outcome, phase, reason)

    def _cancel(self) -> None:
        """
        Have the request that was sent on cancelled.
        """
        sending, self._sending = self._sending, None
        upload, self._upload = self._upload, None
        relay = self._relay
        # What follows from that is no news.
        self._over = True
        if sending is not None:
            try:
                sending.cancel()
            except Exception:  # noqa: BLE001 (the request has to end all the same)
                _log.failure("a request could not be cancelled")
        if upload is not None:
            upload.fail(Failure(ConnectionLost()))
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
        policy = self._policy
        if self._decoder is not None and not self._unwanted and self._held_since is None:
            seconds = policy.body_grace + self._received / policy.minimum_rate
            return Deadline(self._asked + self._held_time + seconds, seconds, _SLOW_BODY)
        if self._sending is not None:
            # The remote is waited for once the client is not.
            return Deadline(self._moved + policy.response_timeout, policy.response_timeout, _NO_RESPONSE)
        return None

    def give_up(self, late: Deadline) -> None:
        """
        It is too late.
        """
        exchange = self._exchange
        if late.reason is _NO_RESPONSE and exchange is not None:
            self._refuse(deadline(exchange.server_name, late.seconds))
        else:
            self._refuse(late_body())


def _account(reason: Failure) -> tuple[str, str]:
    """
    Tell in which phase a response was broken off, and why.
    """
    error = reason.value
    if isinstance(error, ResponseFailed) and error.reasons:
        reason = error.reasons[0]
    phase = reason.value.phase if isinstance(reason.value, FederationError) else "http"
    return phase, f"the response was broken off: {words(reason)}"
