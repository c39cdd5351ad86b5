"""
The options that C{resolve}, C{request} and C{check} share, as policies.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import attrs

from .._agent import MatrixFederationAgent
from .._deadlines import within
from .._discovery.name_servers import NameServerResolver
from .._options import OPTIONS, address_policy, bare_reason, proxy_rule, with_environment
from .._policies import AddressPolicy, ProxyPolicy, TrustPolicy
from ..errors import TimedOut

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Coroutine
    from typing import Any

    from twisted.internet.defer import Deferred

    from .._discovery.resolv_conf import NameServer
    from .._reactor import IReactor
    from ..errors import ConfigurationError, FederationError

T = TypeVar("T")


class CommandTimedOut(TimedOut):
    """
    The whole command took longer than C{--timeout}; in which phase it was is
    not known.
    """


@attrs.frozen
class Settings:
    """
    How to find, reach and trust servers.

    @ivar name_server: asked instead of the system's, or L{None}.
    @ivar timeout: for the whole command, in seconds, or L{None}.
    """

    trust: TrustPolicy = attrs.field(factory=TrustPolicy)
    addresses: AddressPolicy = attrs.field(factory=AddressPolicy)
    name_server: NameServer | None = None
    timeout: float | None = None
    proxies: ProxyPolicy = attrs.field(factory=ProxyPolicy)

    @classmethod
    def of(cls, options: Namespace) -> Settings:
        """
        Read the options.

        @raise ConfigurationError: when one is not usable.
        """
        trust = TrustPolicy(
            ca_files=options.ca_file,
            use_system_roots=not options.no_system_roots,
            exempt_domains=options.exempt_domain,
            exempt_networks=options.exempt_network,
            minimum_tls=options.minimum_tls,
            client_certificate=options.client_certificate,
            client_key=options.client_key,
            ct_log_list=options.ct_log_list,
            required_scts=options.required_scts,
        )
        addresses = address_policy(options.allow_network, options.deny_network)
        return cls(trust, addresses, options.dns, options.timeout, _proxies(options))

    def agent(self, reactor: IReactor) -> MatrixFederationAgent:
        """
        Make the agent.

        @raise ConfigurationError: when a file of roots cannot be used.
        """
        resolver = None if self.name_server is None else NameServerResolver(reactor, [self.name_server])
        return MatrixFederationAgent.new(
            reactor, trust=self.trust, addresses=self.addresses, proxies=self.proxies, resolver=resolver
        )


def _proxies(options: Namespace) -> ProxyPolicy:
    """
    Read the rules of the command line, and after them those of the
    environment if they are asked for.
    """
    given = ProxyPolicy([proxy_rule(text) for text in options.proxy], resolve_here=options.proxy_resolve_here)
    return with_environment(given, os.environ) if options.proxy_environment else given


async def in_time(
    reactor: IReactor, seconds: float | None, server_name: str, work: Coroutine[Deferred[Any], Any, T] | Deferred[T]
) -> T:
    """
    Await the work of a command, no longer than C{--timeout} says.

    @param seconds: the limit, or L{None}.
    @param server_name: what the error names.
    @raise CommandTimedOut: when it is late.
    """
    if seconds is None:
        return await work

    def late(limit: float) -> FederationError:
        return CommandTimedOut(server_name, f"cancelled: not done within {limit:g} s (--timeout)", seconds=limit)

    return await within(reactor, seconds, work, late)


def setting_error(error: ConfigurationError) -> str:
    """
    Say what is wrong with a setting, in the terms of the command line.
    """
    option = OPTIONS.get(error.setting)
    if option is None:
        return error.reason
    return f"argument {option}: {bare_reason(error)}"
