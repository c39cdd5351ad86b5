"""
A request that is forwarded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import FederationError
from .access_log import Record
from .answers import Answer
from .failures import cancelled, failed
from .forwarding import request_headers

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent, IBodyProducer, IResponse

    from .head import RequestHead
    from .targets import FederationTarget

_log = Logger()


@attrs.define(eq=False)
class Exchange:
    """
    A request that is forwarded; it holds its place until L{end}.
    """

    _agent: IAgent = attrs.field(repr=False)
    _clock: IReactorTime = attrs.field(repr=False)
    _head: RequestHead = attrs.field(repr=False)
    _target: FederationTarget
    _peer: str
    _withheld: Collection[bytes] = attrs.field(repr=False)
    _retry_after: int = attrs.field(repr=False)
    _when_ended: Callable[[str, Record], None] = attrs.field(repr=False)
    _began: float = attrs.field(init=False, repr=False)
    _failure: Answer | None = attrs.field(init=False, repr=False, default=None)
    _over: bool = attrs.field(init=False, default=False)

    @_began.default
    def _now(self) -> float:
        return self._clock.seconds()

    @property
    def uri(self) -> bytes:
        """
        What the agent is asked for: the target, byte for byte.
        """
        return self._target.uri

    @property
    def server_name(self) -> str:
        """
        Whom the request asks, as it is in the target.
        """
        return self._target.server_name

    @property
    def method(self) -> bytes:
        """
        Of the request.
        """
        return self._head.method

    def send(self, body: IBodyProducer | None) -> Deferred[IResponse]:
        """
        Send the request.

        @param body: L{None} when the request has none.
        @return: what the agent's C{request} returns.
        """
        return self._agent.request(self.method, self.uri, request_headers(self._head, self._withheld), body)

    def answer(self, error: BaseException) -> Answer:
        """
        Make the answer to a request whose L{send} failed; L{end} has to be
        called all the same.
        """
        if isinstance(error, CancelledError):
            self._failure = cancelled(self._retry_after)
            return self._failure
        if not isinstance(error, FederationError):
            _log.failure("a request was not forwarded", Failure(error))
        self._failure = failed(error, self.server_name, self._retry_after)
        return self._failure

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
        if self._over:
            return
        self._over = True
        if self._failure is not None:
            phase, reason = phase or self._failure.phase, reason or self._failure.reason
        seconds = self._clock.seconds() - self._began
        target = self._target
        self._when_ended(
            target.server_name,
            Record(
                self._peer,
                self.method,
                target.server_name,
                target.path,
                code,
                outcome,
                phase,
                received,
                sent,
                seconds,
                reason,
            ),
        )
