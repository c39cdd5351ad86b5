"""
A connection whose handshake is complete only once it was judged.

Twisted's TLS endpoints hand the connection to the application when TCP is
connected.  What the application writes waits until C{do_handshake} returns;
here it does not return before the check has passed.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from weakref import ref

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.python.failure import Failure

from .._policies import unmapped
from ..errors import HandshakeFailed
from .checked import CheckedConnection
from .objections import failed_check
from .verification import VerifiedConnectionCreator

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL.crypto import X509
    from twisted.internet.interfaces import IAddress
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from .._discovery.routing import Target
    from .._identity import Identity
    from .._policies import Address
    from ..errors import FederationError
    from .exemptions import ExemptionLog
    from .trust import TrustGeneration


class GatedConnectionCreator(VerifiedConnectionCreator):
    """
    Makes one TLS connection for an application that is connected already.
    """

    _protocol: ref[TLSMemoryBIOProtocol]

    def __init__(
        self,
        generation: TrustGeneration,
        identity: Identity,
        target: Target,
        now: Callable[[], float],
        exemptions: ExemptionLog,
    ) -> None:
        """
        @param now: tells the seconds since the epoch.
        @param exemptions: is told of connections that go unverified.
        """
        # The address is not known yet: Twisted connects the transport after
        # it has asked for the connection.
        exemption = generation.policy.exemption(identity.effective, None)
        super().__init__(generation, identity, target, exemption, now)
        self._exemptions = exemptions

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make the connection.
        """
        # Weak: the protocol holds the connection, and that one holds us.
        self._protocol = ref(tlsProtocol)
        return super().clientConnectionForTLS(tlsProtocol)

    def new_connection(self) -> SSL.Connection:
        """
        Make a connection that asks us before it is complete.
        """
        return GatedConnection(self.generation.context, self)

    def check(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """
        Judge one certificate of the chain, unless the address that was
        dialled exempts this very connection.
        """
        try:
            if self.exemption is None and self.rejection is None:
                self.exemption = self._network_rule()
        except BaseException as error:  # noqa: BLE001 (fail closed, whatever it is)
            self.rejection = failed_check(self.identity, error, depth)
        return self.exemption is not None or super().check(connection, certificate, code, depth, ok)

    def _network_rule(self) -> str | None:
        """
        Find the rule that exempts the address at the other end.
        """
        policy = self.generation.policy
        address = self._dialled() if policy.exempt_networks else None
        return None if address is None else policy.exemption(self.identity.effective, address)

    def _dialled(self) -> Address | None:
        """
        Find the address at the other end, if it can be the server's.
        """
        protocol = self._protocol()
        return None if protocol is None else dialled_address(protocol.getPeer(), self.target)

    def conclude(self, connection: SSL.Connection) -> HandshakeFailed | None:
        """
        Judge a handshake that OpenSSL has completed.
        """
        if self.generation.retired:
            # Nothing is sent over roots that were replaced meanwhile.
            return HandshakeFailed(self.identity.asked, "the trusted roots were replaced during the handshake")
        refusal = super().conclude(connection)
        if refusal is None and self.exemption is not None:
            self._exemptions.note(self.identity.effective, self.exemption, self._dialled())
        return refusal

    def refuse(self, error: HandshakeFailed) -> None:
        """
        End the connection, and tell the application why.
        """
        fail_connection(self._protocol, error)


class GatedConnection(CheckedConnection):
    """
    A connection that is complete when its creator says so.

    OpenSSL alone does not say so: with an anonymous cipher, which a
    configuration file of the system may permit, a client's C{VERIFY_PEER} is
    ignored and no check is asked (SSL_CTX_set_verify(3)).  No session is ever
    offered here, so that no handshake is resumed without a check either.
    """

    def __init__(self, context: SSL.Context, creator: GatedConnectionCreator) -> None:
        """
        @param creator: judges; it does not hold this connection.
        """
        super().__init__(context, creator)
        self._creator = creator

    def do_handshake(self) -> None:
        """
        Go on with the handshake.

        @raise SSL.Error: when it failed, or was refused; then the application
            is told of the refusal instead.
        """
        try:
            super().do_handshake()
        except SSL.WantReadError:
            raise
        except SSL.Error:
            if self._creator.rejection is not None:
                self._creator.refuse(self._creator.rejection)
            raise
        refusal = self._creator.conclude(self)
        if refusal is not None:
            self._creator.refuse(refusal)
            raise_refusal()


class RefusedConnection(SSL.Connection):
    """
    A connection that fails before its handshake begins.
    """

    def __init__(self, context: SSL.Context, protocol: TLSMemoryBIOProtocol, error: FederationError) -> None:
        """
        @param error: is what the application is told.
        """
        super().__init__(context, None)
        self._protocol = ref(protocol)
        self._error = error

    def do_handshake(self) -> None:
        """
        Fail.
        """
        fail_connection(self._protocol, self._error)
        raise_refusal()


def fail_connection(protocol: ref[TLSMemoryBIOProtocol], error: FederationError) -> None:
    """
    Abort a connection; C{connectionLost} of the application gets the error.
    """
    open_protocol = protocol()
    if open_protocol is not None:
        open_protocol.failVerification(Failure(error))


def raise_refusal() -> None:
    """
    Tell Twisted that there is no TLS connection, so that it drops what waits
    to be written.

    @raise SSL.Error: always; in the form of OpenSSL's own.
    """
    raise SSL.Error([("", "", "the connection was refused")])


def dialled_address(peer: IAddress, target: Target) -> Address | None:
    """
    Tell the address of a server from that of a connection's other end.

    @return: L{None} where the other end is no IP address, or is another than
        the target's as far as that is known: then it is a proxy.
    """
    if not isinstance(peer, (IPv4Address, IPv6Address)) or peer.port != target.port:
        return None
    try:
        address = ip_address(peer.host)
    except ValueError:
        return None
    literal = target.host.literal
    return address if literal is None or unmapped(literal) == unmapped(address) else None
