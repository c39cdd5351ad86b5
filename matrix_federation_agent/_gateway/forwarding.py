"""
Which headers go on to the other side (RFC 9110, section 7.6.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from twisted.web.http_headers import Headers

    from .head import RequestHead


def request_headers(head: RequestHead, withheld: Collection[bytes]) -> Headers:
    """
    Choose the headers of a request that the remote is sent.

    @param withheld: names, in lower case, that are left out besides.
    """
    raise NotImplementedError


def response_headers(headers: Headers, control: Mapping[bytes, Sequence[bytes]]) -> list[tuple[bytes, bytes]]:
    """
    Choose the headers of a response that the client is sent.

    @param control: what the response says of its own connection, by names in
        lower case.
    """
    raise NotImplementedError
