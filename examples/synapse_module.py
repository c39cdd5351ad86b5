"""
A module for Synapse that has it send its federation requests with this
package's agent.  Synapse itself stays as it is; with the file on its path,
this goes into homeserver.yaml:

    modules:
      - module: synapse_module.FederationAgentModule
        config:
          trust: {ca_files: [/etc/fed/ca.pem], use_system_roots: true}
          addresses: {allow: [10.1.0.0/16]}

The keys below C{trust}, C{addresses}, C{discovery}, C{connections} and
C{proxies} are the settings of the policies of those names, except that
C{deny} adds to the networks that are refused anyway; C{dns}, an address and a
port, names another name server than the system's.  All may be left out.

Synapse offers modules no way to choose the agent: this one takes the place of
an attribute of Synapse's federation client.  It was run with 1.163.2.  A
process whose federation goes through C{outbound_federation_restricted_to} has
no use for it.
"""

# For this project's linters: Twisted's resolvers have no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from synapse.logging.context import PreserveLoggingContext  # type: ignore[import-not-found]
from synapse.module_api.errors import ConfigError  # type: ignore[import-not-found]
from twisted.names.client import Resolver
from twisted.web.iweb import IAgent
from zope.interface import implementer

from matrix_federation_agent import (
    AddressPolicy,
    ConnectionPolicy,
    DiscoveryPolicy,
    MatrixFederationAgent,
    ProxyPolicy,
    TrustPolicy,
)
from matrix_federation_agent.errors import ConfigurationError

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

logger = logging.getLogger(__name__)


def address_policy(allow: Iterable[str] = (), deny: Iterable[str] = ()) -> AddressPolicy:
    """
    Make an address policy; C{deny} alone would replace the networks that are
    refused by default, those of this host and of the inside among them.
    """
    return AddressPolicy(allow=allow, deny=[*AddressPolicy().deny, *deny])


POLICIES: Mapping[str, Callable[..., object]] = {
    "trust": TrustPolicy,
    "addresses": address_policy,
    "discovery": DiscoveryPolicy,
    "connections": ConnectionPolicy,
    "proxies": ProxyPolicy,
}


@implementer(IAgent)
class OutsideLoggingContexts:
    """
    An agent that runs in no logging context: what one request begins (a
    connection, a fetch of C{.well-known}) may be finished by another.
    """

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        Send a request.  Synapse puts its context back when it gets the
        response.
        """
        with PreserveLoggingContext():
            return self._agent.request(method, uri, headers, bodyProducer)


class FederationAgentModule:
    """
    The module.
    """

    def __init__(self, config: Mapping[str, Any], api: Any) -> None:
        """
        @param config: what L{parse_config} has made.
        """
        # What a module is given offers neither.
        homeserver = api._hs  # noqa: SLF001 (see above)
        reactor = homeserver.get_reactor()
        try:
            agent = MatrixFederationAgent.new(reactor, resolver=_resolver(reactor, config["dns"]), **config["policies"])
        except ConfigurationError as error:
            raise ConfigError(f"{error.setting}: {error.reason}") from error
        reactor.addSystemEventTrigger("before", "shutdown", agent.close)
        homeserver.get_federation_http_client().agent = OutsideLoggingContexts(agent)
        logger.info("federation requests are sent by %r", agent)

    @staticmethod
    def parse_config(config: Mapping[str, Any]) -> dict[str, Any]:
        """
        Read the settings.

        @raise ConfigError: when there is one that is not known, or not usable.
        """
        unknown = set(config) - {*POLICIES, "dns"}
        if unknown:
            raise ConfigError(f"there is no such setting: {', '.join(sorted(unknown))}")
        try:
            policies = {name: POLICIES[name](**settings) for name, settings in config.items() if name in POLICIES}
            dns = _name_server(config["dns"]) if "dns" in config else None
        # TypeError is what a setting leads to that does not exist.
        except (ConfigurationError, TypeError, ValueError) as error:
            raise ConfigError(str(error)) from error
        return {"policies": policies, "dns": dns}


def _name_server(text: object) -> tuple[str, int]:
    host, _, port = str(text).rpartition(":")
    return str(ip_address(host)), int(port)


def _resolver(reactor: Any, name_server: tuple[str, int] | None) -> Resolver | None:
    """
    Make a resolver that asks one name server; L{None} leaves it to the agent
    to ask the system's.
    """
    return None if name_server is None else Resolver(servers=[name_server], reactor=reactor)
