"""
A TLS server of Python's own C{ssl}, which tells of each connection whether it was resumed.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from matrix_federation_agent.testing import Certificate

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def server_context(
    certificate: Certificate, path: Path, *, newest: str = "1.3", tickets: bool = True
) -> ssl.SSLContext:
    """
    Make the settings of a server that resumes sessions.

    @param path: a file to write.
    @param newest: the newest TLS version that it speaks.
    @param tickets: whether the server leaves its state to the client, or gives it the number of one that it keeps.
    """
    path.write_bytes(certificate.private_key_pem + certificate.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[newest]
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    return context


class TicketPeer(Protocol):
    """
    One connection: answers a request, and closes.
    """

    factory: TicketServer

    def connectionMade(self) -> None:
        """
        Begin TLS.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self.factory.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._complete = False
        self._head = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Go on with the handshake, or with the request.
        """
        self._incoming.write(data)
        try:
            self._advance()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.factory.failed += 1
        self._flush()

    def _advance(self) -> None:
        if not self._complete:
            self._tls.do_handshake()
            self._complete = True
            self.factory.resumed.append(bool(self._tls.session_reused))
        while b"\r\n\r\n" not in self._head:
            self._head += self._tls.read(65536)
        self._tls.write(ANSWER)
        self._flush()
        self._end()

    def _end(self) -> None:
        assert self.transport is not None
        if self.factory.farewell:
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                self._flush()
        self.transport.loseConnection()

    def _flush(self) -> None:
        assert self.transport is not None
        self.transport.write(self._outgoing.read())


class TicketServer(Factory):
    """
    A server that resumes sessions.

    @ivar context: can be replaced, as if another server had taken over.
    @ivar resumed: for each complete handshake, whether it went on from an earlier one.
    @ivar failed: handshakes that ended in an alert.
    """

    noisy = False

    def __init__(self, context: ssl.SSLContext, *, farewell: bool = True) -> None:
        """
        @param farewell: whether TLS is closed before TCP.
        """
        self.context = context
        self.farewell = farewell
        self.resumed: list[bool] = []
        self.failed = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Make the protocol of one connection.
        """
        peer = TicketPeer()
        peer.factory = self
        return peer
