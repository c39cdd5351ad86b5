"""
Requests over verified connections, which are kept for the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool, ProxyAgent, RequestGenerationFailed

from .._deadlines import within
from ..errors import FederationError, InvalidRequest, ResponseFailed, TimedOut

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

    from .._policies import ConnectionPolicy
    from .endpoint import VerifiedEndpoint


class ConnectionPool:
    """
    Sends requests, over an idle connection to the same server where there is
    one.
    """

    def __init__(self, reactor: IReactorTime, policy: ConnectionPolicy) -> None:
        self._reactor = reactor
        self._policy = policy
        self._pool = HTTPConnectionPool(reactor, persistent=policy.idle_connections > 0)
        self._pool.maxPersistentPerHost = policy.idle_connections
        self._pool.cachedConnectionTimeout = policy.idle_timeout  # type: ignore[assignment]

    async def request(
        self,
        endpoint: VerifiedEndpoint,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: IBodyProducer | None,
    ) -> IResponse:
        """
        Send one request and await the head of the response.

        @param target: the request target, sent byte for byte.
        @param headers: with C{Host}.
        @raise FederationError: when no response arrived.
        """
        name = endpoint.identity.asked

        def late(seconds: float) -> FederationError:
            return TimedOut(name, f"no response within {seconds:g} s", seconds=seconds, phase="http")

        # To twisted.web a request whose target is not parsed, on an endpoint
        # that is given, is one to a proxy: its pool then keys connections by
        # the endpoint.
        sender = ProxyAgent(endpoint, self._reactor, self._pool)
        try:
            sending: Deferred[IResponse] = sender.request(method, target, headers, body)
        except ValueError as error:
            # The method is no token, or the target is one, such as "//[", in
            # which Twisted looks for an authority and finds a broken one.
            raise InvalidRequest(name, str(error)) from error
        try:
            return await within(self._reactor, self._policy.response_timeout, sending, late)
        except (FederationError, CancelledError):
            raise
        except Exception as error:
            raise _translated(name, error) from error

    def close(self) -> Deferred[None]:
        """
        Close the idle connections.
        """
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def _translated(name: str, error: Exception) -> Exception:
    """
    Unwrap what C{twisted.web} raised, which holds its reasons in a list.
    """
    reasons: list[Failure] = getattr(error, "reasons", [])
    if any(reason.check(CancelledError) for reason in reasons):
        return CancelledError()
    if isinstance(error, RequestGenerationFailed) and reasons:
        return ResponseFailed(name, f"the body of the request could not be produced: {_words(reasons[0])}")
    words = "; ".join(map(_words, reasons)) or _words(Failure(error))
    return ResponseFailed(name, f"no usable response: {words}")


def _words(reason: Failure) -> str:
    """
    Name an error without repeating what a remote sent.
    """
    if reason.type is None or not reason.type.__module__.startswith("twisted.internet"):
        return f"{getattr(reason.type, '__name__', reason.type)}"
    return reason.getErrorMessage().rstrip(".")
