"""
Requests, made ready to be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.web.iweb import UNKNOWN_LENGTH

from .._http.connection import Request
from .._http.head import TOKEN_BYTES
from .._http.request import request_head
from .._http.sending import WholeBody, collected
from ..errors import InvalidRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer

    from .._policies import ConnectionPolicy

# RFC 9110, section 9.2.2: the idempotent ones among the methods that it defines.
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})


@attrs.frozen
class RequestWriter:
    """
    Writes requests, each once, also where it is sent twice.

    @ivar user_agent: the product that is named where the caller names none.
    """

    user_agent: bytes

    def written(
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
        @raise InvalidRequest: when it cannot be sent.
        """
        length = None if producer is None else producer.length
        if producer is not None and length is not UNKNOWN_LENGTH and (not isinstance(length, int) or length < 0):
            # The head would say something else than what is sent.
            raise InvalidRequest(asked, "the producer of the body has a length that is neither known nor unknown")
        try:
            head = request_head(method, target, host, self.user_agent, headers, length)
        except ValueError as error:
            raise InvalidRequest(asked, str(error)) from error
        return Request(asked, method, head, _body(producer), uri, headers)


def _body(producer: IBodyProducer | None) -> bytes | IBodyProducer:
    if producer is None:
        return b""
    return producer.content if isinstance(producer, WholeBody) else producer


async def with_body(request: Request, clock: IReactorTime, policy: ConnectionPolicy) -> Request:
    """
    Have the body of a request produced, if it is small enough to be kept: it
    is then sent in one go, and can be sent again.

    @raise FederationError: when it is not produced.
    """
    body = request.body
    if isinstance(body, bytes) or not isinstance(body.length, int) or body.length > policy.max_repeatable_body:
        return request
    produced = await collected(body, request.asked, clock, policy.response_timeout)
    return attrs.evolve(request, body=produced)


def may_be_repeated(request: Request) -> bool:
    """
    Tell whether a request may be sent again when nobody knows whether it was
    carried out.
    """
    return request.method in _REPEATABLE and isinstance(request.body, bytes)


def require_method(method: bytes, asked: str) -> None:
    """
    Refuse a method that no request can have (RFC 9110, section 9.1).

    @param asked: the server that errors name.
    @raise InvalidRequest: when it is no token; or CONNECT, which leaves HTTP
        (section 9.3.6) and is sent to proxies alone.
    """
    if method == b"CONNECT":
        raise InvalidRequest(asked, "CONNECT is a method for proxies")
    if not method or method.translate(None, TOKEN_BYTES):
        raise InvalidRequest(asked, "the method is no token")
