"""
Request targets: which of them are forwarded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._uri import HTTPS, CheckedURI
from ..errors import FederationError, UnsupportedScheme
from .answers import Answer, forbidden_scheme, no_tunnel, refused_target

if TYPE_CHECKING:
    from .._policies import GatewayPolicy


@attrs.frozen
class FederationTarget:
    """
    A target that is forwarded.

    @ivar uri: the target, byte for byte.
    @ivar server_name: whom it asks; for C{https} the host and the port.
    @ivar path: what follows the name, up to the query.
    """

    uri: CheckedURI = attrs.field(repr=False)
    server_name: str
    path: bytes


@attrs.frozen
class PageTarget:
    """
    A target in origin form (RFC 9112, section 3.2.1): it asks the gateway
    itself.

    @ivar path: as it was received.
    @ivar query: as it was received, or nothing.
    """

    path: bytes
    query: bytes = attrs.field(repr=False)


def read_page(target: bytes) -> PageTarget | None:
    """
    Read a target that is in origin form; L{None} when it is not.
    """
    if not target.startswith(b"/"):
        return None
    path, _, query = target.partition(b"?")
    return PageTarget(path, query)


def read_target(method: bytes, target: bytes, policy: GatewayPolicy) -> FederationTarget | Answer:
    """
    Read a target in absolute form (RFC 9112, section 3.2.2), or tell why it
    is not forwarded.
    """
    if method == b"CONNECT":
        return no_tunnel()
    if b"#" in target:
        return refused_target("the request target has a fragment")
    try:
        uri = CheckedURI.check(target)
    except UnsupportedScheme as error:
        return refused_target(error.reason, "M_UNRECOGNIZED")
    except FederationError as error:
        return refused_target(f"the request target is not usable: {error.reason}")
    parsed = uri.parsed
    if parsed.scheme == HTTPS and not policy.allow_https:
        return forbidden_scheme()
    return FederationTarget(uri, str(parsed.authority), parsed.target.partition(b"?")[0])
