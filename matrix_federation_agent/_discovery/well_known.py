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

from .._reading import read_body
from .._server_name import ServerName
from .._uri import HTTPS, RequestURI, follow_location
from ..errors import FederationError, TimedOut
from .delegation import BODY_STATUS, NoDelegation, read_delegation
from .freshness import freshness
from .places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from .._connect.exchange import Exchange
    from .._policies import DiscoveryPolicy
    from .delegation import Delegation

PATH = b"/.well-known/matrix/server"
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@attrs.frozen(eq=False)
class WellKnownFetcher:
    """
    Asks a host whether it delegates.

    @ivar new_exchange: makes what sends the requests of one fetch.
    """

    _clock: IReactorTime
    _new_exchange: Callable[[], Exchange]
    _policy: DiscoveryPolicy
    _places: Places = attrs.field(init=False)

    @_places.default
    def _bound(self) -> Places:
        policy = self._policy
        return Places(self._clock, policy.well_known_fetches, policy.well_known_timeout, policy.well_known_share, _late)

    async def fetch(self, host: str) -> Delegation | NoDelegation:
        """
        Fetch, in turn and within the time limit.  There is no failure:
        whatever goes wrong is the lack of a delegation, with its reason.

        @param host: a DNS name.
        """
        try:
            return await self._places.do(lambda: Deferred.fromCoroutine(self._fetch(host)))
        except CancelledError:
            raise
        except FederationError as error:
            return NoDelegation(error.reason, temporary=True)

    async def _fetch(self, host: str) -> Delegation | NoDelegation:
        start = RequestURI(HTTPS, ServerName(host), PATH)
        exchange = self._new_exchange()
        try:
            return await self._follow(exchange, start)
        finally:
            exchange.abort()

    async def _follow(self, exchange: Exchange, uri: RequestURI) -> Delegation | NoDelegation:
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
        return NoDelegation(f"more than {self._policy.well_known_max_redirects} redirects", temporary=True)

    async def _read(self, response: IResponse) -> Delegation | NoDelegation:
        """
        Read a response that is no redirect.
        """
        body = b""
        if response.code == BODY_STATUS:
            body = await read_body(response, self._policy.well_known_max_bytes)
        outcome = read_delegation(response.code, body)
        if isinstance(outcome, NoDelegation):
            return outcome
        cache_control, expires, date, age = (
            response.headers.getRawHeaders(name, []) for name in (b"cache-control", b"expires", b"date", b"age")
        )
        return attrs.evolve(outcome, asked=freshness(cache_control, expires, date, age, self._clock.seconds()))


def _late(seconds: float) -> FederationError:
    return TimedOut("", f"the whole fetch took longer than {seconds:g} s", seconds=seconds, phase="http")
