"""
How long a C{.well-known} response asks to be remembered.

Source: RFC 9111, section 5, for a private cache (so C{s-maxage} says nothing
to it).  Whatever stands in the headers, the result is a L{Freshness} or
nothing.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# More than any cap, and less than a float can hold exactly.
_LONGEST = 10**10

_READ = 4096
"""
Bytes of a header's values that are read; no honest one has as many.
"""

# RFC 9110, section 5.6.1 and 5.6.4: a list of members, in which a comma
# inside a quoted string separates nothing.  One that is not closed goes on to
# the end: to look for its end again at every quote takes quadratic time.
_MEMBER = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
# RFC 9111, section 5.2: cache-directive = token [ "=" ( token / quoted-string ) ]
_DIRECTIVE = re.compile(r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",;]+))?""")
_SECONDS = re.compile(r"[0-9]+")


@attrs.frozen
class Freshness:
    """
    What the headers of a response ask for.

    @ivar seconds: from the moment of the response; zero when it may not be
        remembered, or has expired already.
    @ivar said_by: the header that decided, in a few words.
    """

    seconds: float
    said_by: str


def freshness(
    cache_control: Sequence[bytes], expires: Sequence[bytes], date: Sequence[bytes], age: Sequence[bytes], now: float
) -> Freshness | None:
    """
    Read the headers of a response.

    @param cache_control: the values of C{Cache-Control}; likewise the others.
    @param now: the time of the response in seconds since the epoch, for
        C{Expires} without C{Date}.
    @return: L{None} when they say nothing.
    """
    asked = _by_cache_control(cache_control) or _by_expires(expires, date, now)
    if asked is None:
        return None
    # RFC 9111, section 4.2.3: what a cache on the way has used up already.
    return attrs.evolve(asked, seconds=max(0.0, asked.seconds - _age(age)))


def _by_cache_control(values: Sequence[bytes]) -> Freshness | None:
    """
    Read the directives that bear on a private cache; others are ignored.
    """
    directives = list(_directives(values))
    for name, argument in directives:
        # With an argument, no-cache speaks of single header fields only
        # (RFC 9111, section 5.2.2.4).
        if name == "no-store" or (name == "no-cache" and argument is None):
            return Freshness(0.0, name)
    for name, argument in directives:
        if name == "max-age" and argument is not None and _SECONDS.fullmatch(argument):
            seconds = _bounded(argument)
            return Freshness(seconds, f"max-age={seconds:.0f}")
    return None


def _directives(values: Sequence[bytes]) -> Iterator[tuple[str, str | None]]:
    """
    Take C{Cache-Control} apart; members that are none of the grammar are
    passed over.

    @return: names in lower case, and arguments without their quotes.
    """
    text = b",".join(values)[:_READ].decode("latin-1")
    for member in _MEMBER.findall(text):
        found = _DIRECTIVE.fullmatch(member.strip())
        if found:
            yield found[1].lower(), None if found[2] is None else found[2].strip('"')


def _by_expires(expires: Sequence[bytes], date: Sequence[bytes], now: float) -> Freshness | None:
    """
    Read C{Expires}, which counts from C{Date}, so that no clocks are compared
    (RFC 9111, section 4.2.1).  An invalid one, C{0} above all, has expired
    already (section 5.3).
    """
    if not expires:
        return None
    end = _timestamp(expires[0])
    start = _timestamp(date[0]) if date else now
    seconds = 0.0 if end is None or start is None else max(0.0, end - start)
    return Freshness(min(seconds, _LONGEST), "Expires")


def _timestamp(value: bytes) -> float | None:
    """
    Read an HTTP date (RFC 9110, section 5.6.7).
    """
    try:
        date = parsedate_to_datetime(value[:_READ].decode("latin-1"))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _age(values: Sequence[bytes]) -> float:
    """
    Read C{Age} (RFC 9111, section 5.1); an invalid one is ignored.
    """
    text = values[0][:_READ].decode("latin-1").strip() if values else ""
    return _bounded(text) if _SECONDS.fullmatch(text) else 0.0


def _bounded(digits: str) -> float:
    """
    Read delta-seconds (RFC 9111, section 1.2.2), however many digits.
    """
    significant = digits.lstrip("0")
    return float(min(int(significant[:11] or "0"), _LONGEST))
