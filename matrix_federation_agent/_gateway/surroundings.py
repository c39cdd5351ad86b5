"""
Settings of the gateway that are no part of a policy: where it listens, and
what it depends on.
"""

from __future__ import annotations

from typing import Any

import attrs

from .._options import name_server
from .._policies.validation import count, listed, optional_path, path, positive_count, yes_or_no
from ..errors import ConfigurationError


def _endpoints(value: object) -> tuple[str, ...]:
    found = listed("listen", value)
    if not found:
        reason = "say where, by --listen tcp:8009:interface=127.0.0.1 or in [gateway]"
        raise ConfigurationError.of("listen", reason)
    return found


def _secret_file(value: object) -> str:
    if value is None:
        reason = "without a secret the gateway does not start: name its file, by --secret-file or in [gateway]"
        raise ConfigurationError.of("secret_file", reason)
    return path("secret_file", value)


@attrs.frozen(kw_only=True)
class Entrance:
    """
    How clients come in.

    @ivar listen: where to listen: descriptions of Twisted's server endpoints,
        such as C{tcp:8009:interface=127.0.0.1} or
        C{unix:/run/gateway/socket:mode=660}.
    @ivar secret_file: the path of the file with the secret that clients must
        know.
    @raise ConfigurationError: when one of them is missing.
    """

    listen: tuple[str, ...] = attrs.field(default=(), converter=_endpoints)
    secret_file: str = attrs.field(default=None, converter=_secret_file)


def _listed_servers(value: object) -> tuple[str, ...]:
    return listed("dns", value)


@attrs.frozen(kw_only=True)
class NameServers:
    """
    Who is asked about names.

    @ivar dns: addresses of name servers, and ports unless they are 53, to be
        asked instead of the system's.
    @ivar servers: the same, read.
    @raise ConfigurationError: when one is no address.
    """

    dns: tuple[str, ...] = attrs.field(default=(), converter=_listed_servers)
    servers: tuple[tuple[str, int], ...] = attrs.field(init=False, repr=False, eq=False)

    @servers.default
    def _read(self) -> tuple[tuple[str, int], ...]:
        return tuple(name_server("dns", text) for text in self.dns)


@attrs.frozen(kw_only=True)
class ProxyVariables:
    """
    Whether the environment names proxies.

    @ivar proxy_environment: whether what https_proxy, all_proxy and no_proxy
        say counts, after the rules.
    @raise ConfigurationError: when it is not usable.
    """

    proxy_environment: bool = attrs.field(default=False, validator=yes_or_no)


def _optional_text(setting: str) -> Any:
    """
    Declare a text, or L{None}; an empty one is most likely a mistake.
    """

    def read(value: object) -> object:
        if value == "":
            raise ConfigurationError.of(setting, "it is empty")
        return value

    return attrs.field(default=None, converter=read)


@attrs.frozen(kw_only=True)
class StoreSettings:
    """
    Where what was learned of other servers is kept.

    @ivar sqlite: the path of a file, for one machine.
    @ivar sqlite_limit: entries that the file keeps.
    @ivar redis: where Redis is, for many machines: the description of a
        Twisted client endpoint, such as C{tcp:redis.internal:6379:timeout=5}.
    @ivar redis_database: its number.
    @ivar redis_username: the user that it knows the gateway as.
    @ivar redis_password_file: the path of the file with the password.
    @ivar redis_prefix: of every key, so that a database may be shared.
    @raise ConfigurationError: when a setting is not usable.
    """

    sqlite: str | None = optional_path("sqlite")
    sqlite_limit: int = positive_count(100_000)
    redis: str | None = _optional_text("redis")
    redis_database: int = count(0)
    redis_username: str | None = _optional_text("redis_username")
    redis_password_file: str | None = optional_path("redis_password_file")
    redis_prefix: str | None = _optional_text("redis_prefix")

    def __attrs_post_init__(self) -> None:
        """
        Refuse settings that contradict each other.
        """
        if self.sqlite is not None and self.redis is not None:
            raise ConfigurationError.of("redis", "there is sqlite as well; one store is enough")
        if self.redis_username is not None and self.redis_password_file is None:
            raise ConfigurationError.of("redis_username", "there is no redis_password_file")
