"""
What an operator wants of the gateway, whole and checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from .._options import address_policy, bare_reason, with_environment
from .._policies import (
    AddressPolicy,
    ConnectionPolicy,
    DiscoveryPolicy,
    GatewayPolicy,
    ProxyPolicy,
    TrustPolicy,
)
from ..errors import ConfigurationError
from .surroundings import Entrance, NameServers, ProxyVariables, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .settings import Setting

T = TypeVar("T")


@attrs.frozen
class Given:
    """
    The value of a setting, and who gave it.

    @ivar place: tells, for errors, where it stands.
    """

    value: Any
    place: Callable[[], str] = attrs.field(eq=False, repr=False)


@attrs.frozen
class Choices:
    """
    What was chosen of all that can be.
    """

    _given: Mapping[Setting, Given]

    def made(self, owner: type[T], make: Callable[..., T] | None = None) -> T:
        """
        Make a policy.

        @param make: instead of its class.
        @raise ConfigurationError: when a setting is not usable; says where it
            stands.
        """
        values = {setting.key: given.value for setting, given in self._given.items() if setting.owner is owner}
        try:
            return (make or owner)(**values)
        except ConfigurationError as error:
            raise self.explained(error, owner) from error

    def explained(self, error: ConfigurationError, owner: type | None = None) -> ConfigurationError:
        """
        Say where a setting stands that is not usable, if somebody gave it.

        @param owner: of the setting, where that is known.
        """
        for setting, given in self._given.items():
            if setting.key == error.setting and owner in {None, setting.owner}:
                return ConfigurationError("", f"{given.place()}: {bare_reason(error)}", setting=error.setting)
        return error


@attrs.frozen(kw_only=True)
class Configuration:
    """
    What an operator wants of the gateway.

    @ivar choices: what was given, to say where an error comes from.
    """

    entrance: Entrance
    gateway: GatewayPolicy
    trust: TrustPolicy
    addresses: AddressPolicy
    discovery: DiscoveryPolicy
    connections: ConnectionPolicy
    proxies: ProxyPolicy
    name_servers: NameServers
    store: StoreSettings
    choices: Choices = attrs.field(eq=False, repr=False)

    @classmethod
    def of(cls, given: Mapping[Setting, Given], environ: Mapping[str, str]) -> Configuration:
        """
        Check what was given, and add what was not.

        @param environ: the variables of the process; they are looked at when
            that is asked for.
        @raise ConfigurationError: when a setting is not usable.
        """
        choices = Choices(given)
        proxies = choices.made(ProxyPolicy)
        if choices.made(ProxyVariables).proxy_environment:
            proxies = with_environment(proxies, environ)
        return cls(
            gateway=choices.made(GatewayPolicy),
            trust=choices.made(TrustPolicy),
            addresses=choices.made(AddressPolicy, _addresses),
            discovery=choices.made(DiscoveryPolicy),
            connections=choices.made(ConnectionPolicy),
            proxies=proxies,
            name_servers=choices.made(NameServers),
            store=choices.made(StoreSettings),
            # Last: what is wrong comes before what is missing.
            entrance=choices.made(Entrance),
            choices=choices,
        )


def _addresses(allow: Any = (), deny: Any = ()) -> AddressPolicy:
    return address_policy(allow, deny)
