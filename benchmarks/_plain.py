"""
Twisted's own agent, without discovery: every server is where its name says, at port 8448.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from OpenSSL import SSL, crypto
from service_identity.cryptography import verify_certificate_hostname
from twisted.internet.interfaces import IAddress, IHostResolution, IOpenSSLClientConnectionCreator, IResolutionReceiver
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from ._client import TabledHostnames, mapping_reactor


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class _Verifying:
    context: SSL.Context
    hostname: str

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """
        Verify as Twisted does, but in a context that all connections share.
        """
        connection = SSL.Connection(self.context, None)
        connection.set_tlsext_host_name(self.hostname.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def _check(self, _connection: SSL.Connection, certificate: crypto.X509, _code: int, depth: int, ok: int) -> bool:
        if ok and depth == 0:
            verify_certificate_hostname(certificate.to_cryptography(), self.hostname)
        return bool(ok)


@implementer(IPolicyForHTTPS)
@attrs.frozen
class _OneContext:
    context: SSL.Context

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Verifying:
        """
        Make what verifies one server.
        """
        return _Verifying(self.context, hostname.decode("ascii"))


class SilentHostnames(TabledHostnames):
    """
    Resolves names from a table; what is not in it is never answered, and holds nobody else up.
    """

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        Look into the table, or begin what does not end.
        """
        if hostName in self._addresses:
            return super().resolveHostName(resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics)
        resolutionReceiver.resolutionBegan(begun := _Begun(hostName))
        return begun


@implementer(IHostResolution)
@attrs.frozen
class _Begun:
    name: str

    def cancel(self) -> None:
        """
        It does nothing that could be ended.
        """


def plain_agent(reactor: Any, far_side: Mapping[str, Any]) -> Agent:
    """
    Make the agent, with connections that persist.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(far_side["root_file"])
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    virtual = mapping_reactor(reactor, far_side)
    virtual.installNameResolver(SilentHostnames(far_side["addresses"]))
    return Agent(virtual, _OneContext(context), pool=HTTPConnectionPool(virtual), connectTimeout=30)
