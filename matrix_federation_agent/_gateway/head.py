"""
The head of a request that a client sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen(eq=False)
class RequestHead:
    """
    The head of one request; its C{repr} tells no secrets.

    @ivar method: a token (RFC 9110, section 9.1).
    @ivar target: the request target, as it was received.
    @ivar minor: the minor version of HTTP/1: 0 or 1.
    @ivar fields: what the header lines say, by their names in lower case.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    minor: int
    fields: Mapping[bytes, Sequence[bytes]] = attrs.field(repr=False)
