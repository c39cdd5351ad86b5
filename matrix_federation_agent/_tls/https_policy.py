"""
The same trust for those who connect without the agent: a plain C{Agent},
treq, or any endpoint with TLS on it.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

import attrs
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from .._discovery.routing import Target
from .._identity import Identity
from .._server_name import ServerName
from ..errors import InvalidServerName
from .exemptions import ExemptionLog
from .gated import GatedConnectionCreator, RefusedConnection
from .trust import Trust, TrustGeneration

if TYPE_CHECKING:
    from collections.abc import Callable

    from OpenSSL import SSL
    from twisted.protocols.tls import TLSMemoryBIOProtocol

    from .._policies import TrustPolicy


def https_policy(trust: TrustPolicy) -> HTTPSPolicy:
    """
    Make the C{IPolicyForHTTPS} of a trust policy, for a plain C{Agent}, for
    treq or for C{wrapClientTLS}.

    Each connection is verified as the agent verifies its own, before a byte
    that the application writes is sent.  A refusal is the reason of the
    application's C{connectionLost}.  TLS sessions are not resumed, and files
    are not watched.

    @param trust: whose certificates are believed, and who needs none.
    @raise ConfigurationError: when a file that it names cannot be used.
    """
    # A connection in Twisted's hands does not tell when its session arrives:
    # none is kept, and so none is offered.
    return HTTPSPolicy(Trust(TrustGeneration.load(attrs.evolve(trust, max_sessions=0))), time)


@implementer(IPolicyForHTTPS)
class HTTPSPolicy:
    """
    Verifies connections that others make.
    """

    def __init__(self, trust: Trust, now: Callable[[], float]) -> None:
        """
        @param trust: remembers no sessions.
        @param now: tells the seconds since the epoch.
        """
        self._trust = trust
        self._now = now
        self._exemptions = ExemptionLog()

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """
        Make what makes the connections to one host.

        @param hostname: who must answer: a DNS name in ASCII, with or without
            its final dot, or an IP address, with or without brackets.
            Connections to anything else fail with L{InvalidServerName}.
        @param port: where it is connected to.
        """
        try:
            name = host_of(hostname)
        except InvalidServerName as error:
            return RefusedHost(self._trust, error)
        return HostCreator(self._trust, Identity(name, name), Target(name, port), self._now, self._exemptions)

    def reload_trust(self) -> None:
        """
        Read again the files that the trust policy names.  New connections are
        verified by what they say now, and handshakes that are under way are
        refused.  Open connections stay: they are the caller's.

        @raise ConfigurationError: when a file cannot be used; then everything
            is as before.
        """
        self._trust.reload()


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen(eq=False)
class HostCreator:
    """
    Makes the connections to one host and port, each with a verdict of its own.
    """

    _trust: Trust
    _identity: Identity
    _target: Target
    _now: Callable[[], float]
    _exemptions: ExemptionLog

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make a connection by the roots of now.
        """
        creator = GatedConnectionCreator(
            self._trust.generation, self._identity, self._target, self._now, self._exemptions
        )
        return creator.clientConnectionForTLS(tlsProtocol)


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen(eq=False)
class RefusedHost:
    """
    Makes connections that fail, to what is no name: an exception here would
    reach the caller of C{Agent.request} and not its Deferred.
    """

    _trust: Trust
    _error: InvalidServerName

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Make a connection that fails.
        """
        return RefusedConnection(self._trust.generation.context, tlsProtocol, self._error)


def host_of(hostname: bytes) -> ServerName:
    """
    Read a host as C{twisted.web.client.URI} has it: IPv6 literals without
    brackets, and anything that stands before a port.

    @raise InvalidServerName: when it is neither a name nor an address.
    """
    text = hostname.decode("latin-1")
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    # RFC 6066, section 3: SNI carries the name "without a trailing dot", and
    # so do certificates.
    name = ServerName.parse(text.removesuffix("."))
    if name.port is not None:
        raise InvalidServerName(text, "a port may not stand in a host", position=text.rindex(":"))
    return name
