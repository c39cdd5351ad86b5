"""
The certificate check, on every connection, in our own hands.

It runs inside OpenSSL's verify callback: the chain has OpenSSL's verdict, the
identity is checked by C{service_identity}.  It can only ever refuse what
OpenSSL accepts, never the reverse, and whatever is raised inside it refuses
as well.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.x509 import InvalidVersion
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from ..errors import HandshakeFailed
from .checked import CheckedConnection, unchecked
from .contents import contents_of
from .objections import chain_objection, failed_check, identity_objection, transparency_objection
from .reasons import ChainFault
from .remedies import Mismatch
from .sessions import Proof, RememberedSession
from .transparency import TransparencyOutcome, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL.crypto import X509
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from .._discovery.routing import Target
    from .._identity import Identity
    from ..errors import CertificateRejected
    from .trust import TrustGeneration


@implementer(IOpenSSLClientConnectionCreator)
class VerifiedConnectionCreator:
    """
    Makes one TLS connection and keeps the verdict on its certificate.

    @ivar generation: the roots that count on this connection.
    @ivar identity: who must be on the other side.
    @ivar target: where the connection goes.
    @ivar exemption: the rule by which this very connection goes unverified,
        or L{None}.
    @ivar rejection: why the certificate was refused, or L{None} so far.
    @ivar identity_proven: whether the server's own certificate passed.
    @ivar resumed: whether it passed in an earlier handshake, whose session
        was resumed.
    @ivar transparency: what is known of its Certificate Transparency, where
        there is a list of logs.
    """

    def __init__(
        self,
        generation: TrustGeneration,
        identity: Identity,
        target: Target,
        exemption: str | None,
        now: Callable[[], float],
        *,
        resumes: bool = True,
    ) -> None:
        """
        @param now: tells the seconds since the epoch.
        @param resumes: whether a session may be offered, and remembered.
        """
        self.generation = generation
        self.identity = identity
        self.target = target
        self.exemption = exemption
        self.rejection: CertificateRejected | None = None
        self.identity_proven = False
        self.resumed = False
        self.transparency: TransparencyOutcome | None = None
        self._effective = identity.effective
        self._now = now
        self._resumes = resumes and generation.policy.max_sessions > 0
        self._session_key = f"{self._effective.tls_name}:{target.port}"
        self._offered: RememberedSession | None = None
        self._proof: Proof | None = None
        self._issuer: X509 | None = None

    @property
    def accepted(self) -> bool:
        """
        Whether bytes may be sent once the handshake is complete.
        """
        return self.exemption is not None or (self.identity_proven and self.rejection is None)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make the connection.  It holds this object, never the protocol, so
        that no cycle keeps closed connections alive.
        """
        connection = self.new_connection()
        if self._effective.literal is None:
            # RFC 6066, section 3: SNI carries DNS names, never addresses.
            connection.set_tlsext_host_name(self._effective.tls_name.encode("ascii"))
        if self.exemption is None:
            # The context has it checked.
            self._offer_session(connection)
        else:
            connection.set_verify(SSL.VERIFY_NONE, unchecked)
        return connection

    def new_connection(self) -> SSL.Connection:
        """
        Make a connection that nothing is set on yet.
        """
        return CheckedConnection(self.generation.context, self)

    def _offer_session(self, connection: SSL.Connection) -> None:
        """
        Offer to go on from an earlier handshake, in which this same name was
        proven at this port under these same roots.
        """
        if not self._resumes:
            return
        self._offered = self.generation.sessions.take(self._session_key, self._now())
        if self._offered is not None:
            connection.set_session(self._offered.session)

    def check(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """
        Judge one certificate of the chain: OpenSSL calls this from the root
        down to the server's own, at depth 0, with its own verdict in C{ok}.

        @return: whether the handshake may go on; never true where OpenSSL
            said no, nor after any earlier objection.
        """
        try:
            if self.rejection is None:
                self.rejection = self._objection(connection, certificate, code, depth, ok)
                self.identity_proven = depth == 0 and self.rejection is None
        except BaseException as error:  # noqa: BLE001 (fail closed, whatever it is)
            self.rejection = failed_check(self.identity, error, depth)
        return self.rejection is None

    def _objection(
        self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int
    ) -> CertificateRejected | None:
        """
        Find what is wrong with a certificate.
        """
        if not ok:
            sent = tuple(map(contents_of, connection.get_peer_cert_chain() or ()))
            now = datetime.fromtimestamp(self._now(), UTC)
            fault = ChainFault(code, depth, contents_of(certificate), sent, now)
            return chain_objection(self.identity, fault, has_roots=self.generation.has_roots)
        if depth == 0:
            return self._identity_objection(certificate) or self._transparency_objection(certificate)
        if depth == 1 and self.generation.logs is not None:
            self._issuer = certificate
        return None

    def _identity_objection(self, certificate: X509) -> CertificateRejected | None:
        """
        Check that the certificate names whom we mean.
        """
        effective = self._effective
        try:
            readable = certificate.to_cryptography()
            if effective.literal is None:
                verify_certificate_hostname(readable, effective.tls_name)
            else:
                verify_certificate_ip_address(readable, str(effective.literal))
        except Exception as error:  # noqa: BLE001 (a hostile certificate has cryptography raise whatever there is)
            # Without its frames, which would keep the connection alive.
            cause = error.with_traceback(None)
            return identity_objection(Mismatch(self.identity, self.target, contents_of(certificate)), cause)
        return None

    def _transparency_objection(self, certificate: X509) -> CertificateRejected | None:
        """
        Find which logs vouch for the certificate, and whether they are enough.
        """
        generation = self.generation
        if generation.logs is None:
            return None
        issuer, self._issuer = self._issuer, None
        self.transparency = judge(certificate, issuer, generation.logs, self._now())
        required = generation.policy.required_scts
        if self.transparency.valid_logs >= required:
            return None
        return transparency_objection(self.identity, contents_of(certificate), self.transparency, required)

    def conclude(self, connection: SSL.Connection) -> HandshakeFailed | None:
        """
        Judge a handshake that is complete.

        @return: why the connection may not be used, or L{None} where it may.
        """
        try:
            if self.exemption is None and self.rejection is None:
                self._prove(connection)
        except BaseException as error:  # noqa: BLE001 (fail closed, whatever it is)
            self.rejection = failed_check(self.identity, error, 0)
        if self.accepted:
            return None
        # Without a rejection, OpenSSL completed a handshake without having
        # asked our check: then there is no proof, and no connection.
        reason = "the handshake ended without a verified certificate"
        return self.rejection or HandshakeFailed(self.identity.asked, reason)

    def _prove(self, connection: SSL.Connection) -> None:
        """
        Keep what the check found; or where OpenSSL never asked it, because
        the session that we offered was resumed, find that it still stands.
        """
        if self.identity_proven:
            self._proof = self._proof_of(connection)
            self._offered = None
        elif self._offered is not None:
            proof = self._offered.proof
            certificate = connection.get_peer_certificate()
            sound = proof.stands(self._now()) and certificate is not None and proof.is_of(_encoded(certificate))
            self.identity_proven = self.resumed = sound
            # The session that follows stands no longer than this one: its
            # certificate was not shown again.
            self._proof = proof if sound else None
            self.transparency = proof.transparency if sound else None

    def _proof_of(self, connection: SSL.Connection) -> Proof | None:
        """
        Make the proof of a full handshake, where sessions are remembered.
        """
        if not self._resumes:
            return None
        verified, sent = connection.get_verified_chain(), connection.get_peer_cert_chain()
        if not verified or not sent:
            return None
        chain, shown = [*map(_encoded, verified)], [*map(_encoded, sent)]
        try:
            return Proof.of(chain, shown, self._now(), self.generation.policy.session_lifetime, self.transparency)
        except (ValueError, InvalidVersion):
            # OpenSSL accepted a certificate above the server's own that
            # cryptography cannot read: nothing to refuse, nothing to remember.
            return None

    def keep_session(self, connection: SSL.Connection, received: int) -> None:
        """
        Remember the session of a verified connection, once.  In TLS 1.3 it
        comes after the handshake (RFC 8446, section 4.6.1), so that this is
        called when something arrived from the server.

        A TLS 1.2 session that was resumed is remembered again.  That each is
        used once hinders observers from linking connections (RFC 8446,
        appendix C.4), but here a server may give no other; who we are, our
        requests say anyway.

        @param received: the bytes that arrived so far, TLS included.
        """
        proof, self._proof = self._proof, None
        offered, self._offered = self._offered, None
        if proof is None or self.generation.retired:
            return
        session = connection.get_session()
        if session is not None:
            remembered = RememberedSession.of(session, proof, received, offered)
            self.generation.sessions.keep(self._session_key, remembered)


def _encoded(certificate: X509) -> bytes:
    return dump_certificate(FILETYPE_ASN1, certificate)
