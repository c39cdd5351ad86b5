"""
Counters of what discovery did, of how TLS handshakes ended, and of what
became of connections and of a gateway's requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted.logger import Logger

EVENTS = ("hits", "stale_hits", "shared", "lookups", "failures", "loaded", "evictions")
"""
What is counted for each kind of knowledge: answered from memory; answered
from memory although a lookup is due or has failed; waited for somebody else's
lookup; lookups that were made; lookups that brought nothing; entries that the
store knew; entries that had to leave.
"""

TLS = "tls"
"""
The kind of what is counted of TLS.
"""

TLS_EVENTS = ("verified", "resumed", "exempt", "rejected", "failed", "reloads", "reload_failures")
"""
What is counted of TLS: handshakes in which the certificate was verified, in
which a session was resumed, and whose certificate is not checked; those that
ended because the certificate was refused, or for another reason; trust that
was loaded again, and attempts at it that failed.
"""

POOL = "pool"
"""
The kind of what is counted of the connection pool.
"""

POOL_EVENTS = (
    "opened",
    "failures",
    "reused",
    "waited",
    "timeouts",
    "retried",
    "retired",
    "evicted",
)
"""
What is counted of the pool: connections that were made, and that could not be
made; requests on a connection that was used before; requests for which there
was no idle connection, and those that waited for one in vain; requests that
were sent again; connections that were given up because of their age, or
because roots, delegation or SRV records have changed; idle ones that were
closed because there are too many.
"""

EXEMPT = "exempt"
"""
The kind under which connections are counted by the rule that exempts them.
"""

GATEWAY = "gateway"
"""
The kind of what is counted of the gateway's requests: the outcome, and after
another dot the phase, where there is one.
"""

GATEWAY_STATUS = "gateway_status"
"""
The kind of what is counted of the statuses that the gateway's clients were
sent: C{2xx} and so on.
"""

_log = Logger()


class Counters:
    """
    Numbers that only grow, by name: C{"well_known.hits"} for instance.  The
    first part is one of the kinds of knowledge (C{well_known}, C{srv},
    C{a}, C{aaaa}), the second one of L{EVENTS}; C{store.failures} counts what
    the discovery store could not do.  After C{tls} comes one of
    L{TLS_EVENTS}, and after C{exempt} a rule of the trust policy:
    C{"exempt.domain *.onion"}.  A gateway counts C{gateway.ok},
    C{gateway.failed.tls} and C{gateway_status.2xx}.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._subscribers: list[Callable[[str, int], object]] = []

    def add(self, name: str, number: int = 1) -> None:
        """
        Count something, and tell those who subscribed.
        """
        if number:
            self._counts[name] = self._counts.get(name, 0) + number
            for subscriber in tuple(self._subscribers):
                # Whoever watches must not be able to break what is watched.
                try:
                    subscriber(name, number)
                except Exception:  # noqa: BLE001 (it is the caller's code)
                    _log.failure("a subscriber of the counters failed")

    def snapshot(self) -> Mapping[str, int]:
        """
        Tell the numbers of this moment.
        """
        return MappingProxyType(dict(self._counts))

    def subscribe(self, subscriber: Callable[[str, int], object]) -> Callable[[], None]:
        """
        Have a callable called with the name and the number of whatever is
        counted from now on.

        @return: ends the subscription.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)
