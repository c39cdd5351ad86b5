"""
What the answer to a DNS query says.

C{twisted.names} tells an answer as three lists of records, and everything
else as exceptions; here both become "these records" or "decidedly nothing",
with the seconds for which that may be remembered, or a L{ResolutionFailed}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs
from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.names import dns
from twisted.names.error import AuthoritativeDomainError, DNSNameError, DomainError

from ..errors import ResolutionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.defer import Deferred


@attrs.frozen
class Answer:
    """
    The records of the type that was asked for; none when there are none.

    @ivar records: their payloads.
    @ivar ttl: seconds for which the answer holds, or L{None} when DNS did not
        say.
    """

    records: tuple[Any, ...]
    ttl: int | None


async def answer_of(lookup: Callable[..., Deferred[Any]], name: str, kind: int) -> Answer:
    """
    Look one name up.

    @param lookup: a lookup method of an C{IResolver}.
    @param name: the name that is looked up.
    @param kind: the type of record, as C{dns.SRV}.
    @raise ResolutionFailed: when there is no answer, not even "nothing".
    """
    try:
        answers, authority, _ = await maybeDeferred(lookup, name)
    except CancelledError:
        raise
    except Exception as error:
        if _says_nothing_there(error):
            return Answer((), _negative_ttl(_authority_of(error)))
        raise ResolutionFailed("", f"{name}: {_words(error)}", name=name, temporary=True) from error
    found = [header for header in answers if header.type == kind]
    if not found:
        return Answer((), _negative_ttl(authority))
    return Answer(tuple(header.payload for header in found), min(header.ttl for header in found))


def _says_nothing_there(error: Exception) -> bool:
    """
    Tell "there is no such name" from a failure to answer.

    C{DNSServerError} and its like are C{DomainError}s as well; plain ones
    come from resolvers that look into files.
    """
    return isinstance(error, (DNSNameError, AuthoritativeDomainError)) or type(error) is DomainError


def _authority_of(error: Exception) -> Iterable[dns.RRHeader]:
    """
    Find the authority section of the message behind an exception, if there
    is one.
    """
    message = error.args[0] if error.args else None
    return message.authority if isinstance(message, dns.Message) else ()


def _negative_ttl(authority: Iterable[dns.RRHeader]) -> int | None:
    """
    Tell how long an absence holds: the smaller of the SOA record's own TTL
    and its minimum field (RFC 2308, section 5).
    """
    for header in authority:
        if header.type == dns.SOA:
            return min(int(header.ttl), int(cast("dns.Record_SOA", header.payload).minimum))
    return None


_WORDS = {
    "DNSServerError": "the name server failed (SERVFAIL)",
    "DNSQueryRefusedError": "the name server refused (REFUSED)",
    "DNSFormatError": "the name server did not understand the query (FORMERR)",
    "DNSNotImplementedError": "the name server does not implement the query (NOTIMP)",
    "TimeoutError": "the name server did not answer",
    "DNSQueryTimeoutError": "the name server did not answer",
}


def _words(error: Exception) -> str:
    """
    Say what became of the query.
    """
    kind = type(error).__name__
    return _WORDS.get(kind, f"the lookup failed with {kind}")
