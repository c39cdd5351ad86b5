"""
DNS queries, a bounded number at a time, and what their answers say.

C{twisted.names} tells an answer as three lists of records, and everything
else as exceptions; here both become an L{Answer}, which may be "nothing", or
L{NoAnswer}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.names import dns
from twisted.names.error import AuthoritativeDomainError, DNSNameError, DomainError

from ..errors import TimedOut
from .places import Places
from .records import Answer, NoAnswer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .._policies import DiscoveryPolicy

R = TypeVar("R")


MAXIMUM_RECORDS = 16
"""
Records of one answer that are remembered: 64 KiB of DNS hold 1,600, and the
policies try 8 targets and 10 addresses.
"""


def _as_it_came(_: object) -> int:
    return 0


@attrs.frozen(eq=False)
class Query:
    """
    A kind of question.

    @ivar lookup: the method of an C{IResolver}.
    @ivar kind: the type of record, as C{dns.SRV}.
    @ivar read: makes what is remembered of one record.
    @ivar rank: orders what was read; the first of it is kept.
    """

    lookup: Callable[..., Deferred[Any]]
    kind: int
    read: Callable[[Any], Any]
    rank: Callable[[Any], int] = _as_it_came


class NameService:
    """
    Asks an C{IResolver}.
    """

    def __init__(self, clock: IReactorTime, policy: DiscoveryPolicy) -> None:
        self._places = Places(clock, policy.dns_queries, policy.dns_timeout, policy.dns_share, _late)

    async def ask(self, query: Query, name: str) -> Answer[Any] | NoAnswer:
        """
        Ask for the records of a name, in turn and within the time limit.
        """
        try:
            answers, authority, _ = await self._places.do(partial(maybeDeferred, query.lookup, name))
        except CancelledError:
            raise
        except TimedOut as error:
            return NoAnswer(error.reason)
        except Exception as error:  # noqa: BLE001 (resolvers raise what they like)
            if _says_nothing_there(error):
                return Answer((), _negative_ttl(_authority_of(error)))
            return NoAnswer(_words(error))
        return _answer(query, answers, authority)


def _late(seconds: float) -> TimedOut:
    return TimedOut("", f"no answer within {seconds:g} s", seconds=seconds, phase="dns")


def _answer(query: Query, answers: list[dns.RRHeader], authority: list[dns.RRHeader]) -> Answer[Any]:
    """
    Read the sections of a response.
    """
    found = [header for header in answers if header.type == query.kind]
    if not found:
        return Answer((), _negative_ttl(authority))
    # An answer holds for as long as every link of the chain that led to it
    # (RFC 1034, section 3.6.2).
    ttl = min(header.ttl for header in answers if header.type in {query.kind, dns.CNAME})
    records = sorted((query.read(header.payload) for header in found), key=query.rank)
    return Answer(tuple(records[:MAXIMUM_RECORDS]), ttl)


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
