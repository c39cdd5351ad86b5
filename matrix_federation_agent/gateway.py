"""
The gateway, inside a program: an HTTP service by which homeservers and others
send their federation requests through an agent.

For those who run a C{twisted.web} site::

    Site(FederationGateway(agent, secret))

For those who do not, a factory for any server endpoint, which streams bodies
both ways and has all the limits of the policy::

    forwarder = Forwarder(reactor, agent, Secret.of(secret), GatewayPolicy())
    serverFromString(reactor, "tcp:8009:interface=127.0.0.1").listen(GatewayFactory(reactor, forwarder))

It speaks what Synapse speaks with the processes that its
C{outbound_federation_restricted_to} names.
"""

from ._gateway.factory import GatewayFactory
from ._gateway.forwarder import Forwarder
from ._gateway.resource import FederationGateway
from ._gateway.secret import Secret
from ._policies import GatewayPolicy

__all__ = ["FederationGateway", "Forwarder", "GatewayFactory", "GatewayPolicy", "Secret"]
