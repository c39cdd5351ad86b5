"""
What a DNS lookup brought, and what is remembered of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

if TYPE_CHECKING:
    from .._policies import DiscoveryPolicy

R = TypeVar("R")

# What Python needs for a record, beside its text.
_RECORD = 150


@attrs.frozen
class Answer(Generic[R]):
    """
    The records of the type that was asked for; none when DNS says so.

    @ivar ttl: seconds for which the answer holds, or L{None} when DNS did not
        say.
    """

    records: tuple[R, ...]
    ttl: int | None


@attrs.frozen
class NoAnswer:
    """
    Nothing was learned: the name servers failed, refused, or were silent.
    """

    reason: str


@attrs.frozen
class RecordsEntry(Generic[R]):
    """
    What is remembered about one name and type.  Times are seconds of one
    clock.

    @ivar records: the answer, or L{None} where there has not been any.
    @ivar fetched: when the answer came.
    @ivar expires: from then on a request has to wait for a lookup, unless one
        has failed since.
    @ivar next_try: after a failure, name servers are left alone until then.
    @ivar failures: lookups in a row without an answer.
    @ivar failure: what became of the last of them.
    """

    records: tuple[R, ...] | None
    fetched: float
    expires: float
    next_try: float
    failures: int = 0
    failure: str = ""

    @property
    def size(self) -> int:
        """
        How many bytes it has, roughly, that a stranger chose.
        """
        return len(self.failure) + sum(_RECORD + len(str(record)) for record in self.records or ())

    @property
    def barren(self) -> bool:
        """
        Whether there has not been any answer.
        """
        return self.records is None

    @property
    def summary(self) -> str:
        """
        What is known, in words.
        """
        known = "nothing" if self.records is None else ", ".join(map(str, self.records)) or "no records"
        return f"{known} (but the last lookup: {self.failure})" if self.failure else known

    def usable(self, now: float) -> bool:
        """
        Whether requests may go by it: by an answer that has not expired, by
        an older one after a failure (RFC 8767), or by the failure itself for
        a short while.
        """
        return now < self.expires

    def due(self, now: float) -> bool:
        """
        Whether it should be looked up again.
        """
        return now >= self.next_try


def advance_records(
    entry: RecordsEntry[R] | None, outcome: Answer[R] | NoAnswer, now: float, policy: DiscoveryPolicy
) -> RecordsEntry[R]:
    """
    Tell what is remembered after a lookup.

    @param entry: what was remembered before.
    @param now: in seconds.
    """
    if isinstance(outcome, Answer):
        expires = now + _lifetime(outcome, policy)
        return RecordsEntry(outcome.records, now, expires, next_try=expires)
    failures = 1 if entry is None else entry.failures + 1
    next_try = now + min(policy.dns_failure_lifetime * 2.0 ** min(failures - 1, 32), policy.dns_failure_maximum)
    if entry is not None and entry.records is not None and now < entry.fetched + policy.dns_stale_maximum:
        expires = entry.fetched + policy.dns_stale_maximum
        return RecordsEntry(entry.records, entry.fetched, expires, next_try, failures, outcome.reason)
    return RecordsEntry(None, now, next_try, next_try, failures, outcome.reason)


def _lifetime(answer: Answer[R], policy: DiscoveryPolicy) -> float:
    """
    Tell for how many seconds an answer is remembered: by its TTL, or for an
    absence by the SOA record (RFC 2308, section 5), within the policy's
    bounds.
    """
    if answer.records:
        return min(max(answer.ttl or 0, policy.dns_minimum), policy.dns_maximum)
    return min(policy.dns_minimum if answer.ttl is None else answer.ttl, policy.dns_negative_maximum)
