"""
One request of a C{twisted.web} site, from its body to the end of its answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.web.http import NOT_MODIFIED
from twisted.web.iweb import UNKNOWN_LENGTH

from .._deadlines import within
from .._http.response import control_of
from ..errors import TimedOut
from .answers import Answer
from .forwarding import response_headers
from .passing_on import PassingOn, abort
from .received import ReceivedBody
from .refusals import too_large

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse
    from twisted.web.server import Request

    from .._policies import GatewayPolicy
    from .exchange import Exchange


_log = Logger()


def send_answer(request: Request, answer: Answer) -> None:
    """
    Send an answer of the gateway's own making.
    """
    request.setResponseCode(answer.code)
    for name, value in answer.headers:
        request.setHeader(name, value)
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    request.write(answer.body)
    request.finish()


class Rendering:
    """
    One request, which is forwarded.
    """

    def __init__(self, clock: IReactorTime, policy: GatewayPolicy, request: Request, exchange: Exchange) -> None:
        self._clock = clock
        self._policy = policy
        self._request = request
        self._exchange = exchange
        self._gone = False
        self._under_way: Deferred[Any] | None = None
        self._relay: PassingOn | None = None
        self._received = 0

    async def run(self) -> None:
        """
        Forward it, and end the exchange.
        """
        self._request.notifyFinish().addErrback(self._left)
        try:
            await self._answered(self._body())
        except Exception:  # noqa: BLE001 (the place has to be free again, and the client not to wait for ever)
            _log.failure("a request was not answered")
            self._exchange.end(None, self._received, 0, "internal")
            if not self._gone:
                abort(self._request)

    async def _answered(self, body: ReceivedBody | None) -> None:
        if self._received > self._policy.max_body_bytes:
            self._answer(too_large(self._policy.max_body_bytes))
            return
        try:
            response = await self._response(body)
        except Exception as error:  # noqa: BLE001 (whatever it is, the client is told)
            self._failed(error)
        else:
            await self._forward(response)

    def _body(self) -> ReceivedBody | None:
        request = self._request
        headers = request.requestHeaders
        if not (headers.hasHeader(b"content-length") or headers.hasHeader(b"transfer-encoding")):
            return None
        content: Any = request.content
        body = ReceivedBody(self._clock, content)
        self._received = body.length
        return body

    async def _response(self, body: ReceivedBody | None) -> IResponse:
        sending = self._under_way = self._exchange.send(body)
        try:
            return await within(self._clock, self._policy.response_timeout, sending, self._late)
        finally:
            self._under_way = None

    def _late(self, seconds: float) -> TimedOut:
        reason = f"no response within {seconds:g} seconds"
        return TimedOut(self._exchange.server_name, reason, phase="http", seconds=seconds)

    def _failed(self, error: Exception) -> None:
        if self._gone:
            self._exchange.end(None, self._received, 0, "gone")
        else:
            self._answer(self._exchange.answer(error))

    def _answer(self, answer: Answer) -> None:
        self._exchange.end(answer.code, self._received, len(answer.body), answer.outcome, answer.phase, answer.reason)
        send_answer(self._request, answer)

    async def _forward(self, response: IResponse) -> None:
        _begin(self._request, response)
        relay = self._relay = PassingOn(self._clock, self._policy.write_timeout, self._request)
        response.deliverBody(relay)
        whole = await relay.ended
        if self._gone:
            outcome = "gone"
        elif whole:
            outcome = "ok"
            self._request.finish()
        else:
            outcome = "broken"
            abort(self._request)
        self._exchange.end(response.code, self._received, relay.sent, outcome)

    def _left(self, _: Failure) -> None:
        """
        The client is gone: nobody waits for the remote any more.
        """
        self._gone = True
        if self._under_way is not None:
            self._under_way.cancel()
        if self._relay is not None:
            # Most transports have done so by now.
            self._relay.stopProducing()


def _begin(request: Request, response: IResponse) -> None:
    """
    Set status and headers as those of the response.
    """
    request.setResponseCode(response.code, response.phrase)
    # What a remote has not sent, nobody claims for it.
    request.defaultContentType = None
    request.responseHeaders.removeHeader(b"server")
    control = control_of(response)
    chosen = response_headers(response.headers, control)
    for name in {name for name, _ in chosen}:
        request.responseHeaders.removeHeader(name)
    for name, value in chosen:
        request.responseHeaders.addRawHeader(name, value)
    if request.method == b"HEAD" or response.code == NOT_MODIFIED:
        lengths = control.get(b"content-length", ())[:1]
    else:
        lengths = () if response.length is UNKNOWN_LENGTH else (b"%d" % response.length,)
    if lengths and response.code != 204:
        request.setHeader(b"Content-Length", lengths[0])
