"""
A few https requests that belong together, and end together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.web.http_headers import Headers

from .._discovery.routing import Target
from .._identity import Identity
from .._server_name import ServerName
from ..errors import ResponseFailed
from .endpoint import VerifiedEndpoint
from .handshake import ByteBudget
from .pool import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from .._policies import ConnectionPolicy
    from .._uri import RequestURI
    from .dialer import Dialer

HTTPS_PORT = 443

# OpenSSL accepts certificate chains of 100 KiB (SSL_CTX_set_max_cert_list(3));
# twice that covers the handshakes of a few redirects.
_TLS_BYTES = 200 * 1024


def https_host_header(authority: ServerName) -> bytes:
    """
    Write the C{Host} header of an https request: the default port is left out
    (RFC 9110, section 4.2.2).
    """
    shown = authority.without_port if authority.port == HTTPS_PORT else authority
    return shown.host_header


def https_endpoint(authority: ServerName, dialer: Dialer) -> VerifiedEndpoint:
    """
    Make the endpoint of an https URI: no discovery, port 443 unless another
    is given.
    """

    async def locate() -> Sequence[Target]:
        return [Target(authority.without_port, authority.port or HTTPS_PORT)]

    return VerifiedEndpoint.of(b"https", Identity(authority, authority), locate, dialer)


class Exchange:
    """
    Sends GET requests to https URIs, each over a connection of its own.

    Nothing outlives it: whoever made it calls L{abort} at the end, also when
    everything went well.
    """

    def __init__(
        self, reactor: IReactorTime, dialer: Dialer, policy: ConnectionPolicy, user_agent: bytes, limit: int
    ) -> None:
        """
        @param limit: bytes that all responses together may have; what TLS
            itself needs is not counted against it.
        """
        self._limit = limit
        self._budget = ByteBudget(limit + _TLS_BYTES)
        self._dialer = dialer.scoped(self._budget)
        self._pool = ConnectionPool(reactor, attrs.evolve(policy, idle_connections=0))
        self._user_agent = user_agent

    async def get(self, uri: RequestURI) -> IResponse:
        """
        Fetch one URI; redirects are the caller's.

        @raise FederationError: when no response arrived.
        """
        host = https_host_header(uri.authority)
        headers = Headers({b"Host": [host], b"User-Agent": [self._user_agent]})
        endpoint = https_endpoint(uri.authority, self._dialer)
        try:
            return await self._pool.request(endpoint, b"GET", uri.target, headers, None)
        except ResponseFailed as error:
            if self._budget.exceeded:
                reason = f"the responses are longer than {self._limit} bytes"
                raise ResponseFailed(str(uri.authority), reason) from error
            raise

    def abort(self) -> None:
        """
        Drop the connections that are still open.
        """
        self._dialer.open_connections.abort()
