"""
Settings: frozen values that are checked when they are made.

A policy that exists is usable; whatever is wrong with a setting is a
L{ConfigurationError <matrix_federation_agent.errors.ConfigurationError>} that
names it.
"""

from .addresses import SPECIAL_PURPOSE, AddressPolicy
from .connections import ConnectionPolicy
from .discovery import DiscoveryPolicy
from .gateway import GatewayPolicy
from .networks import Address, Network, unmapped
from .proxies import ProxyPolicy
from .proxy_urls import Proxy
from .trust import TrustPolicy

__all__ = [
    "SPECIAL_PURPOSE",
    "Address",
    "AddressPolicy",
    "ConnectionPolicy",
    "DiscoveryPolicy",
    "GatewayPolicy",
    "Network",
    "Proxy",
    "ProxyPolicy",
    "TrustPolicy",
    "unmapped",
]
