"""
How long a C{.well-known} response may be remembered.

Source: RFC 9111, section 5, for a private cache; the bounds are the
specification's and Synapse's.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._policies import DiscoveryPolicy

# RFC 9111, section 1.2.2: delta-seconds = 1*DIGIT.  More than ten digits are
# more than any cap.
_MAX_AGE = re.compile(r'max-age\s*=\s*"?([0-9]+)"?', re.IGNORECASE)
_SECONDS_CAP = 10**10


def delegation_lifetime(
    cache_control: Sequence[bytes], expires: Sequence[bytes], date: Sequence[bytes], policy: DiscoveryPolicy
) -> float:
    """
    Tell how many seconds a delegation is remembered.

    @param cache_control: the values of the C{Cache-Control} headers.
    @param expires: the values of the C{Expires} headers.
    @param date: the values of the C{Date} headers; C{Expires} counts from
        there, so that no clocks are compared (RFC 9111, section 4.2.1).
    """
    asked = _by_cache_control(cache_control)
    if asked is None:
        asked = _by_expires(expires, date)
    if asked is None:
        asked = policy.delegation_default
    return min(max(asked, policy.delegation_minimum), policy.delegation_maximum)


def _by_cache_control(values: Sequence[bytes]) -> float | None:
    """
    Read the directives that bear on a private cache; others are ignored.
    """
    directives = [part.strip() for value in values for part in value.decode("latin-1").split(",")]
    if any(directive.lower() in ("no-store", "no-cache") for directive in directives):
        return 0.0
    for directive in directives:
        if found := _MAX_AGE.fullmatch(directive):
            return float(min(int(found[1].lstrip("0")[:11] or "0"), _SECONDS_CAP))
    return None


def _by_expires(expires: Sequence[bytes], date: Sequence[bytes]) -> float | None:
    """
    Read C{Expires}: an invalid date, C{0} above all, has expired already
    (RFC 9111, section 5.3).

    @return: L{None} where there is none.
    """
    if not expires:
        return None
    end, start = _timestamp(expires[0]), _timestamp(date[0] if date else b"")
    return 0.0 if end is None or start is None else end - start


def _timestamp(value: bytes) -> float | None:
    """
    Read an HTTP date (RFC 9110, section 5.6.7).
    """
    try:
        date = parsedate_to_datetime(value.decode("latin-1"))
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
