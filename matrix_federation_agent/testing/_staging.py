"""
What a faulty server shows and answers: decisions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ._certificates import Certificate, Certificates
from ._faults import Fault
from ._placement import Placement
from ._well_known import WELL_KNOWN_PATH, WellKnownHost

_HUGE = 1024 * 1024
"""
Bytes: twenty times what an agent should read.
"""

_ISSUERS: Mapping[Fault | None, Callable[..., Certificate]] = {
    Fault.EXPIRED: Certificates.expired,
    Fault.NOT_YET_VALID: Certificates.not_yet_valid,
    Fault.UNKNOWN_ROOT: Certificates.unknown_root,
    Fault.SELF_SIGNED: Certificates.self_signed,
    Fault.NO_SAN: Certificates.without_san,
    Fault.OLD_TLS: Certificates.old_tls,
}


def homeserver_certificate(certificates: Certificates, fault: Fault | None, names: tuple[str, ...]) -> Certificate:
    """
    Issue the certificate of a homeserver.

    @param certificates: what issues it.
    @param fault: what is wrong with the server.
    @param names: the names that it should carry.
    """
    if fault is Fault.WRONG_NAME:
        return certificates.issue("another-server.invalid")
    return _ISSUERS.get(fault, Certificates.issue)(certificates, *names)


def well_known_certificate(certificates: Certificates, fault: Fault | None, host: str) -> Certificate:
    """
    Issue the certificate of a C{.well-known} host.

    @param certificates: what issues it.
    @param fault: what is wrong with the server.
    @param host: the host's name.
    """
    if fault is Fault.WELL_KNOWN_BAD_CERTIFICATE:
        return certificates.unknown_root(host)
    return certificates.issue(host)


def well_known_document(placement: Placement, fault: Fault | None) -> WellKnownHost | None:
    """
    Decide what the C{.well-known} host of a server answers.

    A faulty one delegates, where it can, to a name that does not exist: an agent that overlooks the fault goes astray.

    @param placement: where the server stands.
    @param fault: what is wrong with it.
    @return: the host; L{None} when nothing is to listen there.
    """
    host = placement.well_known_host
    address = None if host is None else placement.address_of(host)
    if host is None or address is None:
        return None
    if placement.delegation is not None:
        return WellKnownHost(host, address, {"m.server": placement.delegation})
    if fault is None or not fault.is_well_known:
        return None
    return _faulty(WellKnownHost(host, address, {"m.server": f"astray.{host}"}), fault)


def _faulty(document: WellKnownHost, fault: Fault) -> WellKnownHost:
    if fault is Fault.WELL_KNOWN_NOT_JSON:
        document.body = b"<!DOCTYPE html><title>Welcome</title>"
    elif fault is Fault.WELL_KNOWN_REDIRECT_LOOP:
        document.status = 302
        document.headers = {"location": f"https://{document.host}{WELL_KNOWN_PATH}"}
    elif fault is Fault.WELL_KNOWN_SERVER_ERROR:
        document.status = 500
    elif fault is Fault.WELL_KNOWN_SILENT:
        document.silent = True
    elif fault is Fault.WELL_KNOWN_HUGE:
        document.body = {"m.server": f"astray.{document.host}", "padding": "x" * _HUGE}
    return document
