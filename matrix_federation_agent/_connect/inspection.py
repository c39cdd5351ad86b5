"""
Looking at the TLS of a server: connections that are made as any other, and
that end before a request.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

import attrs
from cryptography import x509
from twisted.internet.protocol import Factory, Protocol

from .._deadlines import gathered
from .._route import Inspection, ShownCertificate
from ..errors import FederationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from OpenSSL import SSL
    from OpenSSL.crypto import X509

    from .._discovery.routing import Target
    from .._identity import Identity
    from .._policies import ConnectionPolicy
    from .._route import LocatedTarget
    from .dialer import Dialer
    from .handshake import BoundedTLSTransport

    Place = tuple[Target, str | None]

AT_ONCE = 4
"""
Addresses that are looked at side by side.
"""

LISTED_NAMES = 20
"""
Names of a certificate that are kept.
"""

TEXT_LENGTH = 255
"""
Characters of a text in a certificate that are kept.
"""


async def inspected(dialer: Dialer, identity: Identity, targets: Sequence[LocatedTarget]) -> tuple[LocatedTarget, ...]:
    """
    Connect to the addresses of targets, as many as a request would try, and
    keep what they show.

    @param dialer: its own limits and checks count.
    @param identity: who must answer.
    @return: the same targets, with their inspections.
    """
    chosen = list(_bounded(targets, dialer.policy))
    places = dict.fromkeys((target.target, address) for target, addresses in chosen for address in addresses)
    seen = await _all_seen(dialer.without_sessions(), identity, places)
    looked_at = [
        attrs.evolve(target, inspections=tuple(seen[target.target, address] for address in addresses))
        for target, addresses in chosen
    ]
    return (*looked_at, *targets[len(looked_at) :])


def _bounded(
    targets: Sequence[LocatedTarget], policy: ConnectionPolicy
) -> Iterator[tuple[LocatedTarget, Sequence[str | None]]]:
    """
    Choose the targets and addresses that a request would try.
    """
    left = policy.max_addresses
    for target in targets[: policy.max_targets]:
        chosen = target.dialled[:left]
        left -= len(chosen)
        yield target, chosen


async def _all_seen(dialer: Dialer, identity: Identity, places: Iterable[Place]) -> dict[Place, Inspection]:
    """
    Look at some places, a few at a time.
    """
    seen: dict[Place, Inspection] = {}
    left = iter(places)

    async def one_after_the_other() -> None:
        for target, address in left:
            seen[target, address] = await _look(dialer, identity, target, address)

    await gathered([one_after_the_other() for _ in range(AT_ONCE)])
    return seen


async def _look(dialer: Dialer, identity: Identity, target: Target, address: str | None) -> Inspection:
    """
    Connect, read what TLS knows, and hang up.
    """
    dialled = None if address is None else ip_address(address)
    try:
        silent = await dialer.dial(identity, target, dialled, Factory.forProtocol(Protocol))
    except FederationError as error:
        return Inspection(address, error)
    transport = cast("BoundedTLSTransport", cast("Protocol", silent).transport)
    try:
        return _seen(address, transport)
    finally:
        transport.abortConnection()  # type: ignore[no-untyped-call]


def _seen(address: str | None, transport: BoundedTLSTransport) -> Inspection:
    """
    Read what is known of a connection.
    """
    connection: SSL.Connection = transport.getHandle()  # type: ignore[no-untyped-call]
    creator = transport.factory.creator
    certificate = connection.get_peer_certificate()
    return Inspection(
        address,
        tls_version=connection.get_protocol_version_name(),
        cipher=connection.get_cipher_name() or "",
        certificate=None if certificate is None else shown(certificate),
        chain_length=len(connection.get_peer_cert_chain() or ()),
        valid_until=None if creator.exemption is not None else _first_end(connection.get_verified_chain() or ()),
        exempt=creator.exemption,
        transparency=None if creator.transparency is None else str(creator.transparency),
    )


def _first_end(chain: Sequence[X509]) -> datetime | None:
    """
    Tell when the first certificate of a verified chain expires.
    """
    try:
        return min((one.to_cryptography().not_valid_after_utc for one in chain), default=None)
    except (ValueError, x509.InvalidVersion):
        # Above the server's own, OpenSSL accepts certificates that
        # cryptography cannot read.
        return None


def shown(certificate: X509) -> ShownCertificate | None:
    """
    Read a certificate, which may be one that nobody verified.

    @return: L{None} where it cannot be read.
    """
    try:
        read = certificate.to_cryptography()
        names = _names(read)
        return ShownCertificate(
            _text(read.subject.rfc4514_string()),
            _text(read.issuer.rfc4514_string()),
            read.not_valid_before_utc,
            read.not_valid_after_utc,
            tuple(map(_text, names[:LISTED_NAMES])),
            len(names[LISTED_NAMES:]),
        )
    except Exception:  # noqa: BLE001 (whatever a stranger put into it, it is not shown)
        return None


def _names(certificate: x509.Certificate) -> list[str]:
    """
    List the DNS names and addresses in a certificate.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in extension.value if isinstance(one, (x509.DNSName, x509.IPAddress))]


def _text(text: str) -> str:
    """
    Make a stranger's text fit for a log.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text[:TEXT_LENGTH]
    )
