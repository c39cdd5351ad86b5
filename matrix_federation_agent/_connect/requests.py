"""
Requests, made ready to be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._http.connection import Request
from .._http.head import TOKEN
from .._http.request import request_head
from .._http.sending import collected
from ..errors import InvalidRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer

    from .._policies import ConnectionPolicy


@attrs.frozen(eq=False)
class RequestWriter:
    """
    Writes requests, each once, also where it is sent twice.

    @ivar user_agent: the product that is named where the caller names none.
    """

    _clock: IReactorTime
    _policy: ConnectionPolicy
    user_agent: bytes

    async def written(
        self,
        asked: str,
        host: bytes,
        method: bytes,
        uri: bytes,
        target: bytes,
        headers: Headers | None,
        producer: IBodyProducer | None,
    ) -> Request:
        """
        Write a request.

        @param asked: the server that errors name.
        @param host: what C{Host} says, whatever the caller's headers say.
        @param target: the request target, sent byte for byte.
        @raise FederationError: when it cannot be sent, or its body not be
            produced.
        """
        length = None if producer is None else producer.length
        try:
            head = request_head(method, target, host, self.user_agent, headers, length)
        except ValueError as error:
            raise InvalidRequest(asked, str(error)) from error
        if producer is None:
            return Request(asked, method, head, b"", uri, headers)
        body: bytes | IBodyProducer = producer
        if self._is_repeatable(length):
            body = await collected(producer, asked, self._clock, self._policy.response_timeout)
        return Request(asked, method, head, body, uri, headers)

    def _is_repeatable(self, length: int | str | None) -> bool:
        return isinstance(length, int) and length <= self._policy.max_repeatable_body


def require_method(method: bytes, asked: str) -> None:
    """
    Refuse a method that no request can have (RFC 9110, section 9.1).

    @param asked: the server that errors name.
    @raise InvalidRequest: when it is no token.
    """
    if not method or method.translate(None, TOKEN):
        raise InvalidRequest(asked, "the method is no token")
