"""
How servers are found.
"""

from __future__ import annotations

import attrs

from .validation import count, fraction, positive_count, seconds, yes_or_no


@attrs.frozen(kw_only=True)
class DiscoveryPolicy:
    """
    How a server is found.  Lengths of time are in seconds.

    @ivar well_known_timeout: for the whole fetch, redirects included.
    @ivar well_known_fetches: that are under way at the same time; others wait
        in order, and the time limit counts from when they begin.
    @ivar well_known_share: how long a fetch may take while others wait for
        their turn.
    @ivar well_known_max_bytes: of a C{.well-known} body (Synapse: 50 KiB).
    @ivar well_known_max_redirects: hops that are followed.
    @ivar delegation_default: how long a delegation is remembered that says
        nothing of it (specification: 24 hours).
    @ivar delegation_minimum: and at least (Synapse: 5 minutes).
    @ivar delegation_maximum: and at most (specification: 48 hours).
    @ivar refresh_after: the part of its lifetime after which a delegation is
        fetched again, behind the requests.
    @ivar failure_lifetime: how long a host is left alone after a fetch that
        brought no delegation; doubles with each further one.
    @ivar failure_maximum: and at most (specification: an hour).
    @ivar jitter: the part by which defaults and back-off are spread.
    @ivar dns_timeout: for one lookup, retries included.
    @ivar dns_queries: that are under way at the same time; others wait in
        order, and the time limit counts from when they begin.
    @ivar dns_share: how long a lookup may take while others wait for their
        turn: time to ask each of three name servers once (resolv.conf(5)).
    @ivar dns_minimum: an answer is remembered by its TTL, and at least this
        long.
    @ivar dns_maximum: and at most this long.
    @ivar dns_negative_maximum: the absence of records is remembered by the
        SOA record, and at most this long (RFC 2308, section 5).
    @ivar dns_failure_lifetime: how long name servers are left alone after
        they had no answer for a name; doubles with each further time.
    @ivar dns_failure_maximum: and at most (RFC 2308, section 7: 5 minutes).
    @ivar dns_stale_maximum: how old an answer may be that is used while name
        servers have none (RFC 8767, section 5: 1 to 3 days).
    @ivar store_timeout: what a discovery store takes longer for is not waited
        for.
    @ivar guess_default_port: whether port 8448 is tried when the lookup of
        SRV records failed, instead of failing the request.
    @ivar max_remembered: names of each kind: delegations, SRV records, IPv4
        and IPv6 addresses.
    @raise ConfigurationError: when a setting is not usable.
    """

    well_known_timeout: float = seconds(15.0)
    well_known_fetches: int = positive_count(1000)
    well_known_share: float = seconds(5.0)
    well_known_max_bytes: int = count(50 * 1024)
    well_known_max_redirects: int = count(5)
    delegation_default: float = seconds(24 * 3600.0)
    delegation_minimum: float = seconds(300.0)
    delegation_maximum: float = seconds(48 * 3600.0)
    refresh_after: float = attrs.field(default=0.8, validator=fraction)
    failure_lifetime: float = seconds(60.0)
    failure_maximum: float = seconds(3600.0)
    jitter: float = attrs.field(default=0.1, validator=fraction)
    dns_timeout: float = seconds(10.0)
    dns_queries: int = positive_count(2000)
    dns_share: float = seconds(3.0)
    dns_minimum: float = seconds(30.0)
    dns_maximum: float = seconds(24 * 3600.0)
    dns_negative_maximum: float = seconds(3600.0)
    dns_failure_lifetime: float = seconds(30.0)
    dns_failure_maximum: float = seconds(300.0)
    dns_stale_maximum: float = seconds(24 * 3600.0)
    store_timeout: float = seconds(0.1)
    guess_default_port: bool = attrs.field(default=False, validator=yes_or_no)
    max_remembered: int = count(20_000)
