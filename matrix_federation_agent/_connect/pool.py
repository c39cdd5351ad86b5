"""
Requests over verified connections, which are kept for the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool, ProxyAgent, RequestGenerationFailed

from ..errors import FederationError, InvalidRequest, ResponseFailed, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
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
        self._pool = self._new_pool()
        self._retired: WeakSet[HTTPConnectionPool] = WeakSet()

    def _new_pool(self) -> HTTPConnectionPool:
        pool = HTTPConnectionPool(self._reactor, persistent=self._policy.idle_connections > 0)
        pool.maxPersistentPerHost = self._policy.idle_connections
        pool.cachedConnectionTimeout = self._policy.idle_timeout  # type: ignore[assignment]
        return pool

    def retire(self) -> None:
        """
        Use none of the connections of now for another request: idle ones are
        closed at once, the others after their response.
        """
        retired, self._pool = self._pool, self._new_pool()
        retired.cachedConnectionTimeout = 0
        retired.closeCachedConnections()
        self._retired.add(retired)

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
        deadline = _ResponseDeadline(self._reactor, self._policy)
        # To twisted.web a request whose target is not parsed, on an endpoint
        # that is given, is one to a proxy: its pool then keys connections by
        # the endpoint.
        sender = ProxyAgent(endpoint.telling(deadline.progress), self._reactor, self._pool)
        try:
            return await deadline.limiting(lambda: sender.request(method, target, headers, body))
        except _Late as late:
            reason = f"no response within {late.seconds:g} s"
            raise TimedOut(name, reason, seconds=late.seconds, phase="http") from late
        except (FederationError, CancelledError):
            raise
        except (TypeError, ValueError) as error:
            # The method is no token, or the target is one, such as "//[", in
            # which Twisted looks for an authority and finds a broken one.
            raise InvalidRequest(name, str(error)) from error
        except Exception as error:
            raise _translated(name, error) from error

    async def close(self) -> None:
        """
        Close the idle connections.
        """
        for pool in (self._pool, *self._retired):
            await pool.closeCachedConnections()


class _Late(Exception):
    """
    The response did not come in time.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _ResponseDeadline:
    """
    Ends a request whose response does not come: the time counts from when
    there is a connection, which has limits of its own.
    """

    def __init__(self, clock: IReactorTime, policy: ConnectionPolicy) -> None:
        self._clock = clock
        self._seconds = policy.response_timeout
        self._connecting = policy.connect_timeout
        self._late = False
        self._timer: IDelayedCall | None = None

    def progress(self, *, connected: bool) -> None:
        """
        A new connection is being made, or has been made.
        """
        if self._timer is not None and self._timer.active():
            self._timer.reset(self._seconds if connected else self._connecting + self._seconds)

    async def limiting(self, send: Callable[[], Deferred[IResponse]]) -> IResponse:
        """
        Send a request, and await the response.

        @raise _Late: when it does not come in time.
        """
        sending: Deferred[IResponse] | None = None

        def end() -> None:
            self._late = True
            if sending is not None:
                sending.cancel()

        self._timer = self._clock.callLater(self._seconds, end)
        try:
            sending = send()
            return await sending
        except Exception as error:
            if self._late:
                raise _Late(self._seconds) from error
            raise
        finally:
            if self._timer.active():
                self._timer.cancel()


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
