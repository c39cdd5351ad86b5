"""
What the gateway accepts, and for how long it waits.
"""

from __future__ import annotations

import re

import attrs

from ..errors import ConfigurationError
from .validation import count, listed, positive_count, seconds, yes_or_no

# RFC 9110, section 5.6.2: token = 1*tchar
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")

TRACE_CONTEXTS = (
    "traceparent",
    "tracestate",
    "baggage",
    "uber-trace-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "sentry-trace",
)
"""
Headers by which tracing follows a request (W3C Trace Context and Baggage,
Jaeger, Zipkin, Sentry): they tell strangers about the inside.
"""


def _header_names(value: object) -> tuple[str, ...]:
    """
    Read names of headers, in lower case.
    """
    names = listed("withheld_headers", value)
    for name in names:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigurationError.of("withheld_headers", f"expected the name of a header, not {name!r}")
    return tuple(name.lower() for name in names)


@attrs.frozen(kw_only=True)
class GatewayPolicy:
    """
    What the gateway accepts, and for how long it waits.  Lengths of time are
    in seconds.

    @ivar allow_https: whether C{https://} targets are forwarded; they turn
        the gateway into a proxy to every address that the address policy
        permits.
    @ivar max_connections: of clients, open at the same time.
    @ivar max_requests: under way at the same time; further ones are refused.
    @ivar max_requests_per_destination: and of those, to one server name.
    @ivar max_head_bytes: of the head of a request.
    @ivar max_headers: lines of headers in the head of one request.
    @ivar max_body_bytes: of the body of a request.
    @ivar head_timeout: for the head of a request, from its first byte; for
        the first one on a connection, from when that was accepted.
    @ivar idle_timeout: after which a connection without a request is closed.
    @ivar body_grace: for the body of a request, before C{minimum_rate} counts.
    @ivar minimum_rate: bytes of a request's body a second; time in which the
        client was made to wait does not count.
    @ivar write_timeout: for a client to take anything of what it is sent.
    @ivar response_timeout: for the head of the response, from the end of the
        request (Synapse: 90 seconds, where its own patience is 60).
    @ivar drain_timeout: for what is under way when the gateway stops.
    @ivar retry_after: after which a client may come again that was refused
        because the gateway is full or stops; whole seconds.
    @ivar withheld_headers: names of request headers that are not forwarded,
        in lower case; by default L{TRACE_CONTEXTS}.
    @ivar show_server_names: whether metrics have server names in their
        labels.
    @raise ConfigurationError: when a setting is not usable.
    """

    allow_https: bool = attrs.field(default=False, validator=yes_or_no)
    max_connections: int = positive_count(4000)
    max_requests: int = positive_count(2000)
    max_requests_per_destination: int = positive_count(200)
    max_head_bytes: int = positive_count(64 * 1024)
    max_headers: int = positive_count(100)
    max_body_bytes: int = count(128 * 1024 * 1024)
    head_timeout: float = seconds(10.0)
    idle_timeout: float = seconds(60.0)
    body_grace: float = seconds(30.0)
    minimum_rate: float = seconds(1024.0)
    write_timeout: float = seconds(60.0)
    response_timeout: float = seconds(90.0)
    drain_timeout: float = seconds(30.0)
    retry_after: int = count(5)
    withheld_headers: tuple[str, ...] = attrs.field(default=TRACE_CONTEXTS, converter=_header_names)
    show_server_names: bool = attrs.field(default=False, validator=yes_or_no)
