"""
What is wrong with a certificate, in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from ..errors import CertificateRejected

if TYPE_CHECKING:
    from .._discovery.routing import Target
    from .._identity import Identity

_LISTED_NAMES = 10
_NAME_LENGTH = 255

# OpenSSL's X509_V_ERR_* (x509_vfy.h), in words; pyOpenSSL has no public
# function for its texts.
REASONS = {
    9: "it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
    10: "it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
    18: "it is self-signed and not among the trusted roots",
    19: "its chain ends in a root that is not trusted",
    20: "its issuer is unknown: no trusted root signed it, or an intermediate certificate was not sent",
    21: "its issuer is unknown, and no chain was sent",
    24: "its issuer may not issue certificates",
    26: "it was not issued for TLS servers",
}
NO_ROOTS = "no trusted root is known: this system has none installed, and no ca_files are set"


def chain_objection(
    identity: Identity, certificate: x509.Certificate, code: int, depth: int, *, has_roots: bool
) -> CertificateRejected:
    """
    Say in words why OpenSSL refused.

    @param code: OpenSSL's number for the verification error.
    @param depth: the place of the certificate in the chain.
    """
    words = REASONS.get(code, f"OpenSSL verification error {code}").format(certificate=certificate)
    if not has_roots:
        words = f"{words}; {NO_ROOTS}"
    where = "" if depth == 0 else f" (certificate {depth} of the chain)"
    return _rejected(identity, words + where, depth, code)


def identity_objection(
    identity: Identity, target: Target, certificate: x509.Certificate, error: Exception
) -> CertificateRejected:
    """
    Say whom a certificate names instead of whom it must name.

    @param error: what C{service_identity} said.
    """
    named = ", ".join(_names(certificate)) or "nobody: it has no usable subjectAltName"
    rejection = _rejected(identity, f"it must name {identity.effective.tls_name}, but names {named}", 0)
    rejection.__cause__ = error
    return rejection


def failed_check(identity: Identity, error: BaseException, depth: int) -> CertificateRejected:
    """
    Refuse a certificate because the check itself failed.
    """
    rejection = _rejected(identity, f"the check failed with {type(error).__name__}", depth)
    rejection.__cause__ = error
    return rejection


def _rejected(identity: Identity, words: str, depth: int, code: int | None = None) -> CertificateRejected:
    return CertificateRejected(identity.asked, f"certificate rejected: {words}", depth=depth, code=code)


def _names(certificate: x509.Certificate) -> list[str]:
    """
    List the DNS names and addresses in a certificate, as many as an error can
    hold.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    found = [general.value for general in extension.value if isinstance(general, (x509.DNSName, x509.IPAddress))]
    shown = [str(name)[:_NAME_LENGTH] for name in found[:_LISTED_NAMES]]
    return [*shown, f"and {len(found) - _LISTED_NAMES} more"] if len(found) > _LISTED_NAMES else shown
