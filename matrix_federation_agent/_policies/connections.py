"""
How connections are made and kept.
"""

from __future__ import annotations

import attrs

from .validation import count, positive_count, seconds


@attrs.frozen(kw_only=True)
class ConnectionPolicy:
    """
    How connections are made and kept.  Lengths of time are in seconds.

    @ivar attempt_delay: until the next attempt begins beside one that is
        still under way (RFC 8305, section 5: 250 ms).
    @ivar resolution_delay: for which IPv4 addresses wait for IPv6 ones (RFC
        8305, section 3: 50 ms).
    @ivar tcp_timeout: for one TCP connection to be accepted.
    @ivar tls_timeout: for one TLS handshake.
    @ivar proxy_timeout: for a proxy, once connected, to reach the server.
    @ivar connect_timeout: for all attempts of one connection.
    @ivar queue_timeout: for a request to wait until one of the connections
        that may be open is free.
    @ivar response_timeout: for the head of a response, once the request has a
        connection.
    @ivar silence_timeout: without a byte either way while a request or a
        response is under way.
    @ivar max_targets: SRV targets that are tried.
    @ivar max_addresses: addresses that are tried, over all targets.
    @ivar max_head_bytes: of the head of a response, informational responses
        before it included; in one C{.well-known} fetch, of all of them.
    @ivar max_headers: lines of headers in the head of one response.
    @ivar max_informational: responses with a status of 1xx before the
        response (RFC 9110, section 15.2).
    @ivar max_proxy_bytes: of what an HTTP proxy answers to CONNECT.
    @ivar max_repeatable_body: bytes of a request's body that are kept, so that
        it can be sent again over another connection.
    @ivar open_connections: to one destination.
    @ivar total_open_connections: to all of them.
    @ivar connecting: connections that are being made to one destination at
        the same time.
    @ivar idle_connections: kept to one destination (Synapse: 5).
    @ivar surplus_timeout: after which an idle connection beyond that is
        closed.
    @ivar total_idle_connections: kept to all of them.
    @ivar idle_timeout: after which an idle connection is closed (Synapse: 120
        seconds).
    @ivar connection_lifetime: after which a connection carries no further
        request.
    @raise ConfigurationError: when a setting is not usable.
    """

    attempt_delay: float = seconds(0.25)
    resolution_delay: float = seconds(0.05)
    tcp_timeout: float = seconds(10.0)
    tls_timeout: float = seconds(10.0)
    proxy_timeout: float = seconds(10.0)
    connect_timeout: float = seconds(30.0)
    queue_timeout: float = seconds(30.0)
    response_timeout: float = seconds(300.0)
    silence_timeout: float = seconds(90.0)
    max_targets: int = positive_count(8)
    max_addresses: int = positive_count(10)
    max_head_bytes: int = positive_count(64 * 1024)
    max_headers: int = positive_count(200)
    max_informational: int = count(16)
    max_proxy_bytes: int = positive_count(16 * 1024)
    max_repeatable_body: int = count(256 * 1024)
    open_connections: int = positive_count(50)
    total_open_connections: int = positive_count(2000)
    connecting: int = positive_count(2)
    idle_connections: int = count(5)
    surplus_timeout: float = seconds(5.0)
    total_idle_connections: int = count(1000)
    idle_timeout: float = seconds(120.0)
    connection_lifetime: float = seconds(3600.0)
