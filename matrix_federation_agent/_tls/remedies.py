"""
What to do about a sound certificate of somebody else: the classic mistakes.

The words are for whoever runs the other server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._server_name import ServerName
from ..errors import InvalidServerName

if TYPE_CHECKING:
    from .._discovery.routing import Target
    from .._identity import Identity
    from .contents import Contents


@attrs.frozen
class Mismatch:
    """
    A certificate that does not name whom it must.

    @ivar target: where the connection went.
    @ivar contents: what the certificate says.
    """

    identity: Identity
    target: Target
    contents: Contents

    @property
    def wanted(self) -> str:
        """
        What it must name.
        """
        return self.identity.effective.tls_name

    @property
    def remedy(self) -> str:
        """
        What to do; empty where we do not know.
        """
        return next((words for rule in _RULES if (words := rule(self))), "")

    def delegation(self, name: ServerName) -> str:
        """
        Tell how C{.well-known} would let another name serve; empty where it
        is not asked: for IP literals, names with a port (specification, steps
        1 and 2) and https URIs.
        """
        if self.identity.learned is None:
            return ""
        document = f'{{"m.server": "{name}:{self.target.port}"}}'
        return f"https://{self.identity.asked}/.well-known/matrix/server with {document} would let {name} serve"


def _address_as_name(mismatch: Mismatch) -> str:
    literal = mismatch.identity.effective.literal
    if literal is None or not {str(literal), mismatch.wanted}.intersection(mismatch.contents.dns_names):
        return ""
    return "the address stands in a DNS name, and must stand in an iPAddress entry of the subjectAltName"


def _original_name(mismatch: Mismatch) -> str:
    identity = mismatch.identity
    if not identity.delegated or not mismatch.contents.covers(identity.server_name):
        return ""
    # Specification, "Resolving server names", 3.1 to 3.5: "must present a
    # valid certificate for" the delegated name.
    return (
        f"{identity.asked} delegates to {identity.effective} by .well-known, so that "
        f"the certificate must name {mismatch.wanted}, and the original name does not count"
    )


def _srv_target(mismatch: Mismatch) -> str:
    host = mismatch.target.host
    if not mismatch.contents.covers(host):
        return ""
    words = f"SRV records do not change which name the certificate must carry, and {host} is only their target"
    return "; ".join(filter(None, (words, mismatch.delegation(host))))


def _wildcard(mismatch: Mismatch) -> str:
    if mismatch.identity.effective.literal is not None:
        return ""
    for name in mismatch.contents.dns_names:
        above = name.rpartition("*")[2].removeprefix(".")
        if "*" in name and above and f".{mismatch.wanted}".endswith(f".{above}"):
            return f"the star in {name} must be its whole first label, and stands for one label that is not xn--..."
    return ""


def _common_name(mismatch: Mismatch) -> str:
    if mismatch.contents.names or mismatch.wanted not in mismatch.contents.common_names:
        return ""
    return "its commonName does not count (RFC 9525, section 2): the name must stand in the subjectAltName"


def _other_name(mismatch: Mismatch) -> str:
    below = f".{mismatch.identity.server_name.tls_name}"
    names = sorted(mismatch.contents.dns_names, key=lambda name: not name.endswith(below))
    host = next(filter(None, map(_host, names)), None)
    return mismatch.delegation(host) if host else ""


def _host(name: str) -> ServerName | None:
    """
    Read a name in a certificate to which one could delegate.
    """
    try:
        host = ServerName(name)
    except InvalidServerName:
        return None
    return host if host.port is None and host.literal is None else None


_RULES = (_address_as_name, _original_name, _srv_target, _wildcard, _common_name, _other_name)
