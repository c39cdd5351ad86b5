"""
Which headers go on to the other side (RFC 9110, section 7.6.1).

There is no C{Via}: other than section 7.6.3 has it, for the gateway is no
party of its own to them but the homeserver's agent, in another place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.web.http_headers import Headers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .head import RequestHead

# RFC 9110, section 7.6.1, and RFC 7540, section 3.2.1: what is said of one
# connection; most never gets here, because it is C{control} already.
_OF_CONNECTIONS = frozenset({
    b"connection",
    b"content-length",
    b"http2-settings",
    b"keep-alive",
    b"te",
    b"trailer",
    b"trailers",
    b"transfer-encoding",
    b"upgrade",
})  # fmt: skip
# RFC 9110, sections 7.2 (the agent says whom it asks), 7.6.2 and 10.1.1: for
# the gateway itself.
_FOR_US = frozenset({b"expect", b"host", b"max-forwards"})
_NOT_OF_REQUESTS = _OF_CONNECTIONS | _FOR_US
# RFC 9110, section 11.7, and older ones of that kind: between client and
# proxy.
_OF_PROXIES = b"proxy-"


def request_headers(head: RequestHead, withheld: Collection[bytes]) -> Headers:
    """
    Choose the headers of a request that the remote is sent.

    @param withheld: names, in lower case, that are left out besides.
    """
    named = _named(head.fields)
    chosen = Headers()
    for name, values in head.fields.items():
        ours = name in _NOT_OF_REQUESTS or name.startswith(_OF_PROXIES)
        if not (ours or name in withheld or name in named):
            chosen.setRawHeaders(name, values)
    return chosen


def response_headers(headers: Headers, control: Mapping[bytes, Sequence[bytes]]) -> list[tuple[bytes, bytes]]:
    """
    Choose the headers of a response that the client is sent.

    @param control: what the response says of its own connection, by names in
        lower case.
    """
    named = _named(control)
    chosen: list[tuple[bytes, bytes]] = []
    for name, values in headers.getAllRawHeaders():
        lowered = name.lower()
        if not (lowered in _OF_CONNECTIONS or lowered in named or lowered.startswith(_OF_PROXIES)):
            chosen += [(name, value) for value in values]
    return chosen


def _named(control: Mapping[bytes, Sequence[bytes]]) -> Collection[bytes]:
    """
    Find the headers that C{Connection} names.
    """
    lines = control.get(b"connection", ())
    return {option.strip(b" \t").lower() for line in lines for option in line.split(b",")} if lines else ()
