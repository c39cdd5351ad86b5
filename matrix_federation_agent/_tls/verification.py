"""
The certificate check, on every connection, in our own hands.

It runs inside OpenSSL's verify callback: the chain has OpenSSL's verdict, the
identity is checked by C{service_identity}.  It can only ever refuse what
OpenSSL accepts, never the reverse, and whatever is raised inside it refuses
as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from ..errors import CertificateRejected

if TYPE_CHECKING:
    from OpenSSL.crypto import X509
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from .._identity import Identity
    from .trust import TrustGeneration

_LISTED_NAMES = 10
_NAME_LENGTH = 255

# OpenSSL's X509_V_ERR_* (x509_vfy.h), in words; pyOpenSSL has no public
# function for its texts.
_REASONS = {
    9: "it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
    10: "it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
    18: "it is self-signed and not among the trusted roots",
    19: "its chain ends in a root that is not trusted",
    20: "its issuer is unknown: no trusted root signed it, or an intermediate certificate was not sent",
    21: "its issuer is unknown, and no chain was sent",
    24: "its issuer may not issue certificates",
    26: "it was not issued for TLS servers",
}
_NO_ROOTS = "no trusted root is known: this system has none installed, and no ca_files are set"


@implementer(IOpenSSLClientConnectionCreator)
class VerifiedConnectionCreator:
    """
    Makes one TLS connection and keeps the verdict on its certificate.

    @ivar identity: who must be on the other side.
    @ivar rejection: why the certificate was refused, or L{None} so far.
    @ivar identity_proven: whether the server's own certificate passed.
    """

    def __init__(self, generation: TrustGeneration, identity: Identity, exemption: str | None) -> None:
        """
        @param exemption: the rule by which this very connection goes
            unverified, or L{None}.
        """
        self._generation = generation
        self.identity = identity
        self._effective = identity.effective
        self._exemption = exemption
        self.rejection: CertificateRejected | None = None
        self.identity_proven = False

    @property
    def accepted(self) -> bool:
        """
        Whether bytes may be sent once the handshake is complete.
        """
        return self._exemption is not None or (self.identity_proven and self.rejection is None)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make the connection.  It holds this object, never the protocol, so
        that no cycle keeps closed connections alive.
        """
        connection = SSL.Connection(self._generation.context, None)
        if self._effective.literal is None:
            # RFC 6066, section 3: SNI carries DNS names, never addresses.
            connection.set_tlsext_host_name(self._effective.tls_name.encode("ascii"))
        if self._exemption is None:
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self.check)
        else:
            connection.set_verify(SSL.VERIFY_NONE)
        return connection

    def check(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """
        Judge one certificate of the chain: OpenSSL calls this from the root
        down to the server's own, at depth 0, with its own verdict in C{ok}.

        @return: whether the handshake may go on; never true where OpenSSL
            said no, nor after any earlier objection.
        """
        try:
            if self.rejection is None:
                self.rejection = self._objection(certificate, code, depth, ok)
                self.identity_proven = depth == 0 and self.rejection is None
        except BaseException as error:  # noqa: BLE001 (fail closed, whatever it is)
            self.rejection = self._rejected(f"the check failed with {type(error).__name__}", depth)
            self.rejection.__cause__ = error
        return self.rejection is None

    def _objection(self, certificate: X509, code: int, depth: int, ok: int) -> CertificateRejected | None:
        """
        Find what is wrong with a certificate.
        """
        if not ok:
            return self._chain_objection(certificate.to_cryptography(), code, depth)
        if depth != 0:
            return None
        return self._identity_objection(certificate.to_cryptography())

    def _chain_objection(self, certificate: x509.Certificate, code: int, depth: int) -> CertificateRejected:
        """
        Say in words why OpenSSL refused.
        """
        words = _REASONS.get(code, f"OpenSSL verification error {code}").format(certificate=certificate)
        if not self._generation.has_roots:
            words = f"{words}; {_NO_ROOTS}"
        where = "" if depth == 0 else f" (certificate {depth} of the chain)"
        return self._rejected(words + where, depth, code)

    def _identity_objection(self, certificate: x509.Certificate) -> CertificateRejected | None:
        """
        Check that the certificate names whom we mean.
        """
        effective = self._effective
        try:
            if effective.literal is None:
                verify_certificate_hostname(certificate, effective.tls_name)
            else:
                verify_certificate_ip_address(certificate, str(effective.literal))
        except (CertificateError, VerificationError) as error:
            named = ", ".join(_names(certificate)) or "nobody: it has no usable subjectAltName"
            rejection = self._rejected(f"it must name {effective.tls_name}, but names {named}", 0)
            rejection.__cause__ = error
            return rejection
        return None

    def _rejected(self, words: str, depth: int, code: int | None = None) -> CertificateRejected:
        return CertificateRejected(self.identity.asked, f"certificate rejected: {words}", depth=depth, code=code)


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
