"""
Twisted's own agent, without discovery: every server is where its name says, at port 8448.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.web.client import Agent, HTTPConnectionPool
from zope.interface import implementer

from ._client import TabledHostnames, mapping_reactor
from ._contenders import OneContext, verifying_context


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
    virtual = mapping_reactor(reactor, far_side)
    virtual.installNameResolver(SilentHostnames(far_side["addresses"]))
    return Agent(
        virtual,
        OneContext(verifying_context(far_side["root_file"])),
        pool=HTTPConnectionPool(virtual),
        connectTimeout=30,
    )
