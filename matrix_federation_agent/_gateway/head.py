"""
The head of a request that a client sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from twisted.web.http_headers import Headers


@attrs.frozen(eq=False)
class RequestHead:
    """
    The head of one request; its C{repr} tells no secrets.

    @ivar method: a token (RFC 9110, section 9.1).
    @ivar target: the request target, as it was received.
    @ivar minor: the minor version of HTTP/1: 0 or 1.
    @ivar headers: what the header lines say.
    @ivar control: what those say that are for the connection alone, or for
        how the message is framed, by their names in lower case; they are not
        among C{headers}.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    minor: int
    headers: Headers = attrs.field(repr=False)
    control: Mapping[bytes, Sequence[bytes]] = attrs.field(factory=dict)
