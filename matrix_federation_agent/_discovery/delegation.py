"""
What a C{.well-known} response says, and what is remembered of it.

Source: Matrix specification, Server-Server API, "Server discovery" and step 3
of "Resolving server names": whatever is not a valid delegation means "go on
with the name itself".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from .._server_name import ServerName
from ..errors import InvalidServerName

if TYPE_CHECKING:
    from random import Random

    from .._policies import DiscoveryPolicy
    from .freshness import Freshness

BODY_STATUS = 200


@attrs.frozen
class Delegation:
    """
    Another name answers for the server.

    @ivar asked: for how long this may be remembered, where the response says
        so.
    """

    to: ServerName
    asked: Freshness | None = None

    def __str__(self) -> str:
        return f"delegates to {self.to}"


@attrs.frozen
class NoDelegation:
    """
    The name answers for itself.

    @ivar reason: why there is no delegation.
    @ivar temporary: whether that may be otherwise in a moment: the response
        was missing or an error of the server, and not a decided answer.
    """

    reason: str
    temporary: bool

    def __str__(self) -> str:
        return f"no delegation: {self.reason}"


def read_delegation(status: int, body: bytes) -> Delegation | NoDelegation:
    """
    Read a response to the request for C{/.well-known/matrix/server}.

    @param status: the HTTP status of the last response, redirects followed.
    """
    if status != BODY_STATUS:
        return NoDelegation(f"status {status}", temporary=status >= 500)
    try:
        # RFC 8259, section 8.1: a BOM must not be sent but may be ignored.
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return NoDelegation(f"the body is not JSON ({type(error).__name__})", temporary=False)
    return _read_document(document)


def _refuse_constant(name: str) -> object:
    """
    Refuse C{NaN} and the infinities, which Python reads and JSON does not
    have (RFC 8259, section 6).
    """
    raise ValueError(f"{name} is not JSON")


def _read_document(document: object) -> Delegation | NoDelegation:
    """
    Find the delegated name in the JSON body.
    """
    if not isinstance(document, dict):
        return NoDelegation("the body is not a JSON object", temporary=False)
    name = document.get("m.server")
    if not isinstance(name, str):
        return NoDelegation("m.server is missing or not a text", temporary=False)
    try:
        return Delegation(ServerName.parse(name))
    except InvalidServerName as error:
        return NoDelegation(f"m.server is not a server name: {error.reason}", temporary=False)


@attrs.frozen
class DelegationEntry:
    """
    What is remembered about one host.  Times are seconds of one clock.

    @ivar delegation: the name that answers, or L{None}: the host itself.
    @ivar summary: what the last fetch brought, in words.
    @ivar fetched: when the delegation was last confirmed by its host.
    @ivar next_try: from then on a fetch is due; until C{expires} it happens
        behind the requests.
    @ivar expires: from then on a request has to wait for a fetch.
    @ivar failures: fetches in a row that brought no delegation.
    @ivar doubted: the host said once that there is no delegation any more.
    """

    delegation: ServerName | None
    summary: str
    fetched: float
    next_try: float
    expires: float
    failures: int = 0
    doubted: bool = False

    @property
    def size(self) -> int:
        """
        How many bytes it has, roughly, that a stranger chose.
        """
        return len(self.summary) + len(str(self.delegation or ""))

    @property
    def outcome(self) -> str:
        """
        What came of it, in words: without lifetimes where all is well.
        """
        sound = self.delegation is not None and not self.failures
        return f"delegates to {self.delegation}" if sound else self.summary

    @property
    def barren(self) -> bool:
        """
        Whether no delegation is known.
        """
        return self.delegation is None

    def usable(self, now: float) -> bool:
        """
        Whether requests may go by it.
        """
        return now < self.expires

    def due(self, now: float) -> bool:
        """
        Whether it should be fetched again.
        """
        return now >= self.next_try


def advance(
    entry: DelegationEntry | None,
    outcome: Delegation | NoDelegation,
    now: float,
    policy: DiscoveryPolicy,
    rng: Random,
) -> DelegationEntry:
    """
    Tell what is remembered after a fetch.  This is the only place where
    lifetimes, back-off, and the trust in old delegations are decided.

    @param entry: what was remembered before.
    @param now: in seconds.
    """
    if isinstance(outcome, Delegation):
        return _confirmed(outcome, now, policy, rng)
    known = entry is not None and entry.delegation is not None
    if entry is not None and known and now < entry.fetched + policy.delegation_maximum:
        if outcome.temporary:
            return _kept(entry, outcome, now, policy, rng, doubted=entry.doubted)
        if not entry.doubted:
            # One answer may come from a machine that was set up by mistake.
            return _kept(attrs.evolve(entry, failures=0), outcome, now, policy, rng, doubted=True)
    failures = 1 if entry is None or known else entry.failures + 1
    # It stays in use for as long as the specification lets errors be
    # remembered, so that only the first request waits for a host that is
    # down; the next try happens behind the requests.
    return DelegationEntry(
        delegation=None,
        summary=str(outcome),
        fetched=now,
        next_try=now + _backoff(failures, policy, rng),
        expires=now + policy.failure_maximum,
        failures=failures,
    )


def _confirmed(outcome: Delegation, now: float, policy: DiscoveryPolicy, rng: Random) -> DelegationEntry:
    """
    A delegation was fetched.
    """
    if outcome.asked is None:
        asked, said_by = _jittered(policy.delegation_default, policy, rng), "the default"
    else:
        asked, said_by = outcome.asked.seconds, outcome.asked.said_by
    lifetime = min(max(asked, policy.delegation_minimum), policy.delegation_maximum)
    return DelegationEntry(
        delegation=outcome.to,
        summary=f"{outcome} (for {lifetime:.0f} s, by {said_by})",
        fetched=now,
        next_try=now + policy.refresh_after * lifetime,
        expires=now + lifetime,
    )


def _kept(
    entry: DelegationEntry, outcome: NoDelegation, now: float, policy: DiscoveryPolicy, rng: Random, *, doubted: bool
) -> DelegationEntry:
    """
    Nothing better is known than the old delegation.
    """
    failures = entry.failures + 1
    return attrs.evolve(
        entry,
        summary=f"delegates to {entry.delegation} (but the last fetch: {outcome})",
        next_try=now + _backoff(failures, policy, rng),
        expires=entry.fetched + policy.delegation_maximum,
        failures=failures,
        doubted=doubted,
    )


def _backoff(failures: int, policy: DiscoveryPolicy, rng: Random) -> float:
    """
    Tell for how many seconds a host is left alone after failures in a row.
    """
    doubled = policy.failure_lifetime * 2.0 ** min(failures - 1, 32)
    return min(_jittered(doubled, policy, rng), policy.failure_maximum)


def _jittered(seconds: float, policy: DiscoveryPolicy, rng: Random) -> float:
    """
    Spread a time, so that what was learned together is not asked for together.
    """
    return seconds * rng.uniform(1 - policy.jitter, 1 + policy.jitter)
