"""
What C{matrix_federation_agent} offers to Twisted's plugin system.

Scanning plugins imports this file in every Twisted program of the
environment: nothing of the package is imported before it is used.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import ServiceMaker
from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class MatrixEndpointParser:
    """
    Reads C{matrix:example.org} in C{clientFromString}.
    """

    prefix = "matrix"

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Make the endpoint; see L{matrix_federation_agent._endpoint_string}.
        """
        from matrix_federation_agent._endpoint_string import parse_endpoint  # noqa: PLC0415

        return parse_endpoint(reactor, *args, **kwargs)


matrix_endpoint_parser = MatrixEndpointParser()

gateway = ServiceMaker(
    "matrix-federation-gateway",
    "matrix_federation_agent._gateway.tap",
    "Forwards matrix-federation:// requests of homeservers to other Matrix servers.",
    "matrix-federation-gateway",
)
