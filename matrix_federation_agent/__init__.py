"""
An C{IAgent} for requests to other Matrix servers.

    >>> from treq import content
    >>> from twisted.internet.task import react
    >>> from matrix_federation_agent import MatrixFederationAgent
    >>> async def main(reactor):
    ...     agent = MatrixFederationAgent.new(reactor)
    ...     uri = b"matrix-federation://matrix.org/_matrix/federation/v1/version"
    ...     response = await agent.request(b"GET", uri)
    ...     print(response.code, await content(response))
    ...     await agent.close()
    >>> react(main)  # doctest: +SKIP
"""

from ._agent import MatrixFederationAgent
from ._connect.lane import Connections
from ._counters import Counters
from ._discovery.remembering import Known
from ._policies import AddressPolicy, ConnectionPolicy, DiscoveryPolicy, ProxyPolicy, TrustPolicy
from ._reading import read_body, read_json
from ._route import Inspection, LocatedTarget, Route, ShownCertificate, Step
from ._server_name import ServerName
from ._tls.https_policy import https_policy
from ._uri import FederationURL, federation_url
from ._version import __version__

__all__ = [
    "AddressPolicy",
    "ConnectionPolicy",
    "Connections",
    "Counters",
    "DiscoveryPolicy",
    "FederationURL",
    "Inspection",
    "Known",
    "LocatedTarget",
    "MatrixFederationAgent",
    "ProxyPolicy",
    "Route",
    "ServerName",
    "ShownCertificate",
    "Step",
    "TrustPolicy",
    "__version__",
    "federation_url",
    "https_policy",
    "read_body",
    "read_json",
]
