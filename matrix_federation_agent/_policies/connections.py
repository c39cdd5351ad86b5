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

    @ivar tcp_timeout: for one TCP connection to be accepted.
    @ivar tls_timeout: for one TLS handshake.
    @ivar proxy_timeout: for a proxy, once connected, to reach the server.
    @ivar connect_timeout: for all attempts of one connection.
    @ivar response_timeout: for the head of a response, once connected.
    @ivar max_targets: SRV targets that are tried.
    @ivar max_addresses: addresses that are tried, over all targets.
    @ivar max_head_bytes: of the heads of all responses in one C{.well-known}
        fetch, redirects included.
    @ivar max_proxy_bytes: of what an HTTP proxy answers to CONNECT.
    @ivar idle_connections: kept to one destination (Synapse: 5).
    @ivar idle_timeout: after which an idle connection is closed (Synapse: 120
        seconds).
    @raise ConfigurationError: when a setting is not usable.
    """

    tcp_timeout: float = seconds(10.0)
    tls_timeout: float = seconds(10.0)
    proxy_timeout: float = seconds(10.0)
    connect_timeout: float = seconds(30.0)
    response_timeout: float = seconds(90.0)
    max_targets: int = positive_count(8)
    max_addresses: int = positive_count(10)
    max_head_bytes: int = positive_count(64 * 1024)
    max_proxy_bytes: int = positive_count(16 * 1024)
    idle_connections: int = count(5)
    idle_timeout: float = seconds(120.0)
