"""
Fetching C{/.well-known/matrix/server}.

An ordinary https request, under the same trust and address policies as every
other; bounded in bytes, redirects and seconds.  It has its own redirect loop:
twisted's resolves the second relative hop against the first URL, and would
follow https to http.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from .._deadlines import within
from .._uri import HTTPS, RequestURI, follow_location
from ..errors import FederationError, ResponseFailed, TimedOut
from .cache import ExpiringMap
from .delegation import Delegation, NoDelegation, read_delegation
from .freshness import delegation_lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure
    from twisted.web.iweb import IResponse

    from .._connect.exchange import Exchange
    from .._policies import DiscoveryPolicy
    from .._server_name import ServerName

PATH = b"/.well-known/matrix/server"
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@attrs.frozen
class Fetched:
    """
    What a fetch brought.

    @ivar lifetime: for how many seconds the outcome may be remembered.
    """

    outcome: Delegation | NoDelegation
    lifetime: float


class WellKnownLookup:
    """
    Tells whether a host delegates, and remembers it.
    """

    def __init__(self, clock: IReactorTime, new_exchange: Callable[[], Exchange], policy: DiscoveryPolicy) -> None:
        """
        @param new_exchange: makes what sends the requests of one fetch.
        """
        self._clock = clock
        self._new_exchange = new_exchange
        self._policy = policy
        self._known: ExpiringMap[str, Fetched] = ExpiringMap(policy.max_remembered)

    async def delegation(self, name: ServerName) -> Delegation | NoDelegation:
        """
        Tell whom a host name delegates to.  There is no failure: whatever
        goes wrong is the lack of a delegation, with its reason.
        """
        known = self.remembered(name)
        if known is not None:
            return known
        fetched = await self._fetch(name)
        self._known.put(name.tls_name, fetched, self._clock.seconds() + fetched.lifetime)
        return fetched.outcome

    def remembered(self, name: ServerName) -> Delegation | NoDelegation | None:
        """
        Tell what is known about a host name, without asking anybody.
        """
        known = self._known.get(name.tls_name, self._clock.seconds())
        return None if known is None else known.value.outcome

    def forget(self, host: str | None) -> None:
        """
        Drop what is known about one host, or about all.
        """
        self._known.forget(lambda known: host is None or known == host.lower())

    async def _fetch(self, name: ServerName) -> Fetched:
        """
        Fetch, within the time limit; whatever fails is no delegation.
        """
        exchange = self._new_exchange()

        def late(seconds: float) -> FederationError:
            return TimedOut(str(name), f"the whole fetch took longer than {seconds:g} s", seconds=seconds, phase="http")

        start = RequestURI(HTTPS, name, PATH)
        try:
            return await within(self._clock, self._policy.well_known_timeout, self._follow(exchange, start), late)
        except CancelledError:
            raise
        except FederationError as error:
            return self._failed(error.reason)
        finally:
            exchange.abort()

    async def _follow(self, exchange: Exchange, uri: RequestURI) -> Fetched:
        """
        Send the request, and again wherever redirects lead.
        """
        for _ in range(self._policy.well_known_max_redirects + 1):
            response = await exchange.get(uri)
            if response.code not in REDIRECTS:
                return await self._read(response)
            # RFC 9110, section 10.2.2: one Location; of several the first.
            location = response.headers.getRawHeaders(b"location", [b""])[0]
            uri = follow_location(uri, location)
        return self._failed(f"more than {self._policy.well_known_max_redirects} redirects")

    async def _read(self, response: IResponse) -> Fetched:
        """
        Read a response that is no redirect.
        """
        body = b""
        if response.code == 200:
            body = await read_bounded(response, self._policy.well_known_max_bytes)
        outcome = read_delegation(response.code, body)
        if isinstance(outcome, NoDelegation):
            return Fetched(outcome, self._policy.failure_lifetime)
        cache_control, expires, date = (
            response.headers.getRawHeaders(name, []) for name in (b"cache-control", b"expires", b"date")
        )
        return Fetched(outcome, delegation_lifetime(cache_control, expires, date, self._policy))

    def _failed(self, reason: str) -> Fetched:
        return Fetched(NoDelegation(reason, temporary=True), self._policy.failure_lifetime)


async def read_bounded(response: IResponse, limit: int) -> bytes:
    """
    Read a body that may not be longer than a limit.

    @param limit: in bytes.
    @raise ResponseFailed: when it is longer, or ends too early.
    """
    reader = _BoundedBody(limit)
    response.deliverBody(reader)
    return await reader.done


class _BoundedBody(Protocol):
    """
    Collects a body up to a limit.  Who gives up has the connection aborted by
    the exchange that it came from.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep some of the body, or fail once it is too much.
        """
        self._limit -= len(data)
        self._parts.append(data)
        if self._limit < 0 and not self.done.called:
            self._parts = []
            self.done.errback(ResponseFailed("", "the body is too long"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body is complete: a response without a length ends with its
        connection (RFC 9112, section 6.3).
        """
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(ResponseFailed("", "the body broke off"))
