"""
An authoritative DNS server on loopback, over UDP and TCP, whose failures can be scripted.
"""

from __future__ import annotations

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import ServerFactory
from twisted.names import dns

from .._reactor import IReactor
from ._addresses import LOOPBACK, Endpoint
from ._connections import OpenConnections, TrackedFactory
from ._zone import Reply, Zone, folded

_LARGEST_DATAGRAM = 512
"""
Bytes (RFC 1035, 4.2.1); EDNS is not spoken here.
"""

_PORT_ATTEMPTS = 20


class NameServer(Zone):
    """
    A L{Zone} that answers queries on one port of 127.0.0.1.

    @ivar address: the (host, port) to ask.
    @ivar queries: every (name in lower case, type such as C{"SRV"}) that was asked for, in order.
    """

    address: Endpoint

    def __init__(self, reactor: IReactor, negative_ttl: int = 300) -> None:
        """
        Prepare a server that does not listen yet; L{new} makes one that does.

        @param reactor: the real reactor.
        @param negative_ttl: seconds for which the absence of something may be remembered.
        """
        super().__init__(negative_ttl)
        self.queries: list[tuple[str, str]] = []
        self._reactor = reactor
        self._connections = OpenConnections()
        self._ports: list[IListeningPort] = []

    @classmethod
    def new(cls, reactor: IReactor, negative_ttl: int = 300) -> NameServer:
        """
        Make a server that listens.

        @param reactor: the real reactor.
        @param negative_ttl: seconds for which the absence of something may be remembered.
        @raise CannotListenError: when no port is free for both UDP and TCP.
        """
        server = cls(reactor, negative_ttl)
        server.listen()
        return server

    def listen(self) -> None:
        """
        Listen on one ephemeral port, by UDP and by TCP.

        @raise CannotListenError: when no port is free for both.
        """
        for remaining in reversed(range(_PORT_ATTEMPTS)):
            # TCP first: its numbers are the scarce ones, for every connection of the tests holds one.
            streams = self._reactor.listenTCP(0, self._stream_factory(), interface=LOOPBACK)
            self._ports.append(streams)
            port: int = streams.getHost().port
            try:
                datagrams = dns.DNSDatagramProtocol(self, self._reactor)
                self._ports.append(self._reactor.listenUDP(port, datagrams, LOOPBACK))
            except CannotListenError:
                if not remaining:
                    raise
                continue
            self.address = (LOOPBACK, port)
            return

    async def stop(self) -> None:
        """
        Listen no longer, and abort what is connected.
        """
        ports, self._ports = self._ports, []
        for port in ports:
            await maybeDeferred(port.stopListening)
        await self._connections.abort_all()

    def _stream_factory(self) -> TrackedFactory:
        return TrackedFactory(_StreamFactory(self, self._reactor), self._connections)

    def connectionMade(self, protocol: dns.DNSProtocol) -> None:
        """
        Note a TCP connection; L{dns.DNSProtocol} calls this.

        @param protocol: the new connection.
        """

    def connectionLost(self, protocol: dns.DNSProtocol) -> None:
        """
        Note the end of a TCP connection; L{dns.DNSProtocol} calls this.

        @param protocol: the connection.
        """

    def messageReceived(
        self,
        message: dns.Message,
        protocol: dns.DNSProtocol | dns.DNSDatagramProtocol,
        address: Endpoint | None = None,
    ) -> None:
        """
        Answer a query; L{dns.DNSProtocol} and L{dns.DNSDatagramProtocol} call this.

        @param message: what arrived.
        @param protocol: what it arrived on.
        @param address: where it came from, by UDP.
        """
        if message.answer or not message.queries:
            return
        query = message.queries[0]
        name = query.name.name.decode("ascii", "replace")
        self.queries.append((folded(name), dns.QUERY_TYPES.get(query.type, str(query.type))))
        reply = self.reply(name, query.type)
        if reply is None:
            return
        if isinstance(protocol, dns.DNSDatagramProtocol):
            protocol.writeMessage(_response(message, reply, _LARGEST_DATAGRAM), address or self.address)
        else:
            protocol.writeMessage(_response(message, reply))


class _StreamFactory(ServerFactory):
    noisy = False

    def __init__(self, server: NameServer, reactor: IReactor) -> None:
        self._server = server
        self._reactor = reactor

    def buildProtocol(self, addr: IAddress | None) -> dns.DNSProtocol:
        """
        Make the protocol of one TCP connection.
        """
        return dns.DNSProtocol(self._server, self._reactor)


def _response(question: dns.Message, reply: Reply, limit: int | None = None) -> dns.Message:
    response = dns.Message(
        id=question.id, answer=True, opCode=question.opCode, recDes=question.recDes, auth=True, rCode=reply.rcode
    )
    # Twisted's own limit cuts records apart.
    response.maxSize = 0
    response.queries = question.queries
    response.answers = list(reply.answers)
    response.authority = list(reply.authority)
    if limit is not None and len(response.toStr()) > limit:
        # RFC 2181, 9: the receiver of a truncated answer ignores what is in it and asks again by TCP.
        response.answers, response.authority, response.trunc = [], [], 1
    return response
