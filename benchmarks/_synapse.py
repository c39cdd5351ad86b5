"""
Synapse's agent, driven alone. For measuring only: it is AGPL, and nothing in the package may depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from netaddr import IPSet  # type: ignore[import-untyped]
from synapse.crypto.context_factory import FederationPolicyForHTTPS  # type: ignore[import-not-found]
from synapse.http.federation.matrix_federation_agent import (  # type: ignore[import-not-found]
    MatrixFederationAgent as SynapseAgent,
)
from synapse.http.federation.srv_resolver import SrvResolver  # type: ignore[import-not-found]
from synapse.util.clock import Clock  # type: ignore[import-not-found]
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.names.client import Resolver

from ._client import mapping_reactor


def _trusting(root_file: str) -> Any:
    """
    Make Synapse's own policy, with verification, and with one root.
    """
    root = Certificate.loadPEM(Path(root_file).read_bytes())
    tls = SimpleNamespace(
        federation_ca_trust_root=trustRootFromCertificates([root]),
        federation_client_minimum_tls_version="1.2",
        federation_verify_certificates=True,
        federation_certificate_verification_whitelist=[],
    )
    return FederationPolicyForHTTPS(SimpleNamespace(tls=tls))


def synapse_agent(reactor: Any, far_side: Mapping[str, Any]) -> Any:
    """
    Make Synapse's agent for a far side with virtual addresses.

    @return: the agent, and the table that it gets addresses from.
    """
    virtual = mapping_reactor(reactor, far_side)
    return synapse_agent_on(virtual, far_side), virtual.nameResolver


def synapse_agent_on(reactor: Any, far_side: Mapping[str, Any]) -> Any:
    """
    Make Synapse's agent. SRV records are asked for as Synapse does, by one C{twisted.names} resolver, of the far
    side's name server; addresses, which Synapse leaves to the system's resolver in threads, come from a table.
    """
    resolver = Resolver(servers=[tuple(far_side["name_server"])], reactor=reactor)
    return SynapseAgent(
        server_name="here.example",
        reactor=reactor,
        clock=Clock(reactor, server_name="here.example"),
        tls_client_options_factory=_trusting(far_side["root_file"]),
        user_agent=b"Synapse",
        ip_allowlist=None,
        ip_blocklist=IPSet(),
        _srv_resolver=SrvResolver(dns_client=resolver, cache={}),
    )
