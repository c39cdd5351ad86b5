"""
What can be wrong with a server, and what each of it does to the placement.
"""

from __future__ import annotations

import enum

import attrs

from ._placement import FED_SERVICE, Placement, Service


class Fault(enum.Enum):
    """
    One thing that is wrong with a server; the value says it for people.
    """

    WRONG_NAME = "the certificate names another server"
    EXPIRED = "the certificate has expired"
    NOT_YET_VALID = "the certificate is not valid yet"
    UNKNOWN_ROOT = "the certificate comes from an unknown authority"
    SELF_SIGNED = "the certificate is self-signed"
    NO_SAN = "the certificate names the server only in its commonName"
    OLD_TLS = "the server offers only TLS 1.1"
    REFUSED_PORT = "nothing listens on the federation port"
    BLACK_HOLE = "packets to the server vanish"
    SILENT_TLS = "the server accepts TCP and never answers the TLS handshake"
    SILENT = "the server never answers a request"
    SERVER_ERROR = "the server answers with status 500"
    NOT_HTTP = "the server answers with something that is not HTTP"
    CUT_OFF = "the answer breaks off in the middle of its body"
    CUT_OFF_HEAD = "the answer breaks off in the middle of its head"
    RESET = "the connection is reset instead of an answer"
    STALE = "the server closes a connection that is used again"
    EARLY_ANSWER = "the server refuses a body before it has all of it"
    ENDLESS_HEAD = "the head of the answer never ends"
    ENDLESS_INTERIM = "the server answers with status 103 for ever"
    WELL_KNOWN_NOT_JSON = "the .well-known document is not JSON"
    WELL_KNOWN_REDIRECT_LOOP = "the .well-known document redirects to itself"
    WELL_KNOWN_BAD_CERTIFICATE = "the .well-known host has an untrusted certificate"
    WELL_KNOWN_SERVER_ERROR = "the .well-known host answers with status 500"
    WELL_KNOWN_SILENT = "the .well-known host never answers"
    WELL_KNOWN_HUGE = "the .well-known document is a megabyte long"
    NO_ADDRESS = "the host does not exist in the DNS"
    DNS_SILENT = "the name server never answers"
    DNS_FAILS = "the name server answers SERVFAIL"
    NO_SERVICE = "the SRV record says that there is no such service"
    PRIVATE_ADDRESS = "the host resolves to a private address"

    @property
    def description(self) -> str:
        """
        What is wrong, in a few words.
        """
        return self.value

    @property
    def is_well_known(self) -> bool:
        """
        Whether it concerns the C{.well-known} host, so that the server itself is still to be reached.
        """
        return self.name.startswith("WELL_KNOWN_")


_NEEDS_A_NAME = frozenset({Fault.NO_ADDRESS, Fault.DNS_SILENT, Fault.DNS_FAILS, Fault.PRIVATE_ADDRESS})


def afflict(placement: Placement, fault: Fault | None) -> Placement:
    """
    Change what the DNS shall say about a server.

    @param placement: where a sound server would be.
    @param fault: what is wrong; L{None} or a fault that the DNS does not show changes nothing.
    @raise ValueError: when the fault cannot befall a server that is found in this way.
    """
    if fault in _NEEDS_A_NAME and placement.dial_name is None:
        raise ValueError(f"{fault} needs a server that is found by a name, not by an address")
    if fault is Fault.NO_SERVICE:
        return _without_service(placement)
    if fault is Fault.NO_ADDRESS:
        names = tuple(pair for pair in placement.names if pair[0] != placement.dial_name)
        return attrs.evolve(placement, names=names)
    if fault is not None and fault.is_well_known and placement.step not in ("4", "5", "6"):
        raise ValueError(f"{fault} needs a server that is found without .well-known, not by step {placement.step}")
    return placement


def _without_service(placement: Placement) -> Placement:
    if not placement.service_names:
        raise ValueError(f"{Fault.NO_SERVICE} needs a server that SRV records are asked about")
    # RFC 2782, "Target": "." means that the service is decidedly not available at this domain.
    owner = next(name for name in placement.service_names if name.startswith(FED_SERVICE))
    return attrs.evolve(placement, services=(Service(owner, ".", 0),))
