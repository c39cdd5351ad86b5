"""
A few https requests that belong together, and end together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._http.connection import HTTPConnection, Request
from .._http.request import request_head
from ..errors import ResponseFailed
from .destination import Destination, https_host_header
from .factory import HTTPFactory
from .handshake import ByteBudget

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from .._policies import ConnectionPolicy
    from .._uri import RequestURI
    from .dialer import Dialer
    from .slots import Slots

# OpenSSL accepts certificate chains of 100 KiB (SSL_CTX_set_max_cert_list(3));
# twice that covers the handshakes of a few redirects.
_TLS_BYTES = 200 * 1024


class Exchange:
    """
    Sends GET requests to https URIs, one after the other, each over a
    connection of its own.

    Nothing outlives it: whoever made it calls L{abort} at the end, also when
    everything went well.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        dialer: Dialer,
        policy: ConnectionPolicy,
        user_agent: bytes,
        limit: int,
        slots: Slots,
    ) -> None:
        """
        @param limit: bytes that all responses together may have; what TLS
            itself needs is not counted against it.
        @param slots: of which it takes one, at once: requests that wait for
            one may wait for this.
        """
        self._limit = limit
        self._budget = ByteBudget(limit + _TLS_BYTES)
        self._dialer = dialer.scoped(self._budget)
        self._factory = HTTPFactory(lambda: HTTPConnection(reactor, policy, HTTPConnection.leave, _unnoticed))
        self._user_agent = user_agent
        self._slots = slots
        self._has_slot = False

    async def get(self, uri: RequestURI) -> IResponse:
        """
        Fetch one URI, and give up the response to the one before; redirects
        are the caller's.

        @raise FederationError: when no response arrived.
        """
        self._dialer.open_connections.abort()
        if not self._has_slot:
            self._has_slot = True
            self._slots.take()
        destination = Destination.of_https(uri.authority)
        host = https_host_header(uri.authority)
        head = request_head(b"GET", uri.target, host, self._user_agent, None, None)
        request = Request(destination.asked, b"GET", head, b"", str(uri).encode("ascii"), None)
        made = await self._dialer.connect(destination.identity, await destination.targets(), self._factory)
        try:
            return await cast("HTTPConnection", made).send(request)
        except ResponseFailed as error:
            if self._budget.exceeded:
                reason = f"the responses are longer than {self._limit} bytes"
                raise ResponseFailed(destination.asked, reason) from error
            raise

    def abort(self) -> None:
        """
        Drop the connection if it is still open.
        """
        self._dialer.open_connections.abort()
        if self._has_slot:
            self._has_slot = False
            self._slots.release()


def _unnoticed(connection: HTTPConnection) -> None:
    """
    Nobody wants to know.
    """
