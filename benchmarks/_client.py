"""
This side: agents on a reactor that leads to the far side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IConnector, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from matrix_federation_agent import AddressPolicy, MatrixFederationAgent, TrustPolicy
from matrix_federation_agent._discovery.name_servers import NameServerResolver
from matrix_federation_agent.testing import DOCUMENTATION_RANGES, LoopbackReactor


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """
        It is over already.
        """


@implementer(IHostnameResolver)
class TabledHostnames:
    """
    Resolves names from a table, at once and at no cost, for contenders that resolve by their reactor.

    @ivar asked: how often each name was asked for. A system resolver would have sent as many queries for A, and as
        many for AAAA.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        self.asked: Counter[str] = Counter()

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        Look into the table.
        """
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        self.asked[hostName] += 1
        found = self._addresses.get(hostName)
        if found is not None:
            kind = IPv6Address if ":" in found else IPv4Address
            resolutionReceiver.addressResolved(kind("TCP", found, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


class PortMap(LoopbackReactor):
    """
    A reactor on which ports lead to other ports of the same host.

    Unlike what it is made of, it puts nothing between a connection and its protocol: that would be measured.
    """

    def __init__(self, reactor: Any, name_resolver: IHostnameResolver, ports: Mapping[int, int]) -> None:
        super().__init__(reactor, name_resolver)
        self._ports = ports

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: tuple[str, int] | None = None
    ) -> IConnector:
        """
        Connect to what the port leads to.
        """
        return self._tcp.connectTCP(host, self._ports.get(port, port), factory, timeout)


def mapping_reactor(reactor: Any, far_side: Mapping[str, Any]) -> LoopbackReactor:
    """
    Make the reactor on which the far side's virtual addresses exist.
    """
    virtual = LoopbackReactor(reactor, TabledHostnames(far_side["addresses"]))
    for address, port, real_port in far_side["ports"]:
        virtual.map(address, port, real_port)
    virtual.allow_direct(*far_side["name_server"])
    return virtual


def our_agent(reactor: Any, far_side: Mapping[str, Any], **settings: Any) -> MatrixFederationAgent:
    """
    Make our agent, with its own DNS client asking the far side's name server.
    """
    virtual = mapping_reactor(reactor, far_side)
    return MatrixFederationAgent.new(
        virtual,
        trust=TrustPolicy(ca_files=[far_side["root_file"]], use_system_roots=False),
        addresses=AddressPolicy(allow=DOCUMENTATION_RANGES),
        resolver=NameServerResolver(virtual, [tuple(far_side["name_server"])]),
        **settings,
    )
